//! The machine-readable examples of messages in `docs/vectors`: every message, request, answer,
//! record and choice in both forms, what else is read as the same, and what is refused.

use core::fmt::Debug;

use crate::vectors::{Case, check, compare, examples, hex, unhex};
use chat_core::wire::{
    ClientMessage, Decoder, Form, Record, ServerMessage, Tagged, client::Op, record::RecordBody,
};
use serde_json::{Value, json};

#[test]
fn messages() {
    let about = "Sections 3 to 10. Each case is one message of a client or a server, or one record as a log keeps it and \
                 `records` and `history` carry it (side). Its form in postcard (a frame's body, without its length; of a record, \
                 all of it) and in JSON. A reader must read both as the same, a writer must write these bytes. hash is the \
                 number by which a server knows a request (section 6).";
    let mut cases = Vec::new();
    cases.extend(examples::client().iter().map(|message| {
        let mut case = case("client", message);
        if let ClientMessage::Request(request) = message {
            case["hash"] = json!(request.op.hash().0);
        }
        case
    }));
    cases.extend(
        examples::server()
            .iter()
            .map(|message| case("server", message)),
    );
    cases.extend(examples::records().iter().map(|record| {
        assert_eq!(Record::from_bytes(&record.to_bytes()).as_ref(), Ok(record));
        let json = serde_json::to_value(record).unwrap();
        assert_eq!(
            serde_json::from_value::<Record>(json.clone()).unwrap(),
            *record
        );
        json!({ "side": "record", "postcard": hex(&record.to_bytes()), "json": json })
    }));
    compare("messages.json", &json!(about), cases);
}

fn case<T: Tagged + Debug + PartialEq>(side: &str, message: &T) -> Value {
    let [postcard, json] = [Form::Postcard, Form::Json].map(|form| {
        let body = form.encode(message).body();
        assert_eq!(form.decode::<T>(&body).as_ref(), Ok(message));
        body
    });
    json!({ "side": side, "postcard": hex(&postcard), "json": serde_json::from_slice::<Value>(&json).unwrap() })
}

/// The file as another program would use it, without a look at the values of this library.
#[test]
fn each_form_of_a_message_gives_the_other() {
    check("messages.json", |case| match case.text("side").as_str() {
        "client" => {
            across::<ClientMessage>(case);
            let bytes = unhex(&case.text("postcard"));
            if let Ok(ClientMessage::Request(request)) = Form::Postcard.decode(&bytes) {
                case.gives("hash", json!(request.op.hash().0));
            }
        }
        "server" => across::<ServerMessage>(case),
        _ => {
            let record = Record::from_bytes(&unhex(&case.text("postcard"))).unwrap();
            case.gives("json", serde_json::to_value(&record).unwrap());
            let record: Record = serde_json::from_value(case.0["json"].clone()).unwrap();
            case.gives("postcard", hex(&record.to_bytes()));
        }
    });
}

fn across<T: Tagged + Debug>(case: &mut Case) {
    let from_postcard: T = Form::Postcard
        .decode(&unhex(&case.text("postcard")))
        .unwrap();
    let from_json: T = Form::Json
        .decode(case.0["json"].to_string().as_bytes())
        .unwrap();
    case.gives("postcard", hex(&Form::Postcard.encode(&from_json).body()));
    case.gives(
        "json",
        serde_json::from_slice(&Form::Json.encode(&from_postcard).body()).unwrap(),
    );
}

#[test]
fn frames() {
    check("frames.json", |case| {
        let (stream, limit) = (
            unhex(&case.text("stream")),
            case.number("limit").try_into().unwrap(),
        );
        let (mut decoder, mut bodies) = (Decoder::new(limit), Vec::new());
        let outcome = stream
            .iter()
            .try_for_each(|byte| decoder.feed(&[*byte], |body| bodies.push(hex(body))));
        case.gives("bodies", Value::Array(bodies));
        if let Err(e) = outcome {
            case.gives("too_large", json!(e.announced));
        }
    });
}

#[test]
fn lines() {
    check("lines.json", |case| {
        let (stream, limit) = (
            case.text("stream").into_bytes(),
            case.number("limit").try_into().unwrap(),
        );
        let (mut decoder, mut bodies) = (Decoder::lines(limit), Vec::new());
        let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap().into();
        let outcome = stream
            .iter()
            .try_for_each(|byte| decoder.feed(&[*byte], |body| bodies.push(text(body))));
        case.gives("bodies", Value::Array(bodies));
        if outcome.is_err() {
            case.gives("too_large", json!(true));
        }
        let (mut at_once, mut seen) = (Decoder::lines(limit), 0);
        assert_eq!(at_once.feed(&stream, |_| seen += 1), outcome);
        assert_eq!(case.0["bodies"].as_array().map(Vec::len), Some(seen));
    });
}

/// Messages that another program may write differently, or a newer one with more fields.
#[test]
fn other_spellings() {
    check("spellings.json", |case| {
        let text = case.text("given");
        let (form, given) = match case.text("form").as_str() {
            "json" => (Form::Json, text.into_bytes()),
            _ => (Form::Postcard, unhex(&text)),
        };
        let means = match case.text("side").as_str() {
            "client" => rewritten::<ClientMessage>(form, &given),
            "server" => rewritten::<ServerMessage>(form, &given),
            other => panic!("{other}"),
        };
        case.gives("means", means);
    });
}

fn rewritten<T: Tagged + Debug>(form: Form, given: &[u8]) -> Value {
    let message: T = form.decode(given).unwrap();
    serde_json::from_slice(&Form::Json.encode(&message).body()).unwrap()
}

/// The faults that end a connection (`protocol`), and the requests and records that nobody
/// understands.
#[test]
fn refused() {
    check("refused.json", |case| {
        let given = case.text("given");
        let given = match case.0.get("repeat").and_then(Value::as_u64) {
            Some(times) => given.repeat(times as usize),
            None => given,
        };
        let (form, given) = match case.text("form").as_str() {
            "json" => (Form::Json, given.into_bytes()),
            _ => (Form::Postcard, unhex(&given)),
        };
        let outcome = match case.text("side").as_str() {
            "client" => match form.decode::<ClientMessage>(&given) {
                Err(_) => "the connection is closed: protocol",
                Ok(ClientMessage::Request(request)) => match request.op {
                    Op::Unknown(unknown) => match Op::name(unknown.kind) {
                        Some(_) => "error: bad_request",
                        None => "error: unknown_request",
                    },
                    op => panic!("not refused: {op:?}"),
                },
                Ok(message) => panic!("not refused: {message:?}"),
            },
            "server" => match form.decode::<ServerMessage>(&given) {
                Err(_) => "malformed",
                Ok(ServerMessage::Records(records)) => {
                    assert!(matches!(records.records[0].body, RecordBody::Unknown(_)));
                    "a record that is not understood"
                }
                Ok(message) => panic!("not refused: {message:?}"),
            },
            other => panic!("{other}"),
        };
        case.gives("outcome", json!(outcome));
    });
}
