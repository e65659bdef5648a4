//! The wire by properties: any message in either form, any bytes, in any pieces.

use core::fmt::Debug;

use crate::{
    specification::{self, Entropy, Schema},
    vectors::examples,
};
use chat_core::wire::{
    ClientMessage, Decoder, Form, Frame, FrameTooLarge, Record, SERVER_FRAME_BYTES, ServerMessage,
    Tagged,
};
use proptest::{collection::vec, prelude::*};

proptest! {
    #[test]
    fn what_a_client_says_survives_both_forms(message in client_message()) {
        survives(&message)?;
    }

    #[test]
    fn what_a_server_says_survives_both_forms(message in server_message()) {
        survives(&message)?;
    }

    #[test]
    fn records_survive_storing(record in record()) {
        prop_assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
    }

    /// A newer peer's fields stand behind those that are known.
    #[test]
    fn what_follows_a_message_is_ignored(message in client_message(), more in vec(any::<u8>(), 0..20)) {
        let body = [&Form::Postcard.encode(&message).body()[..], &more].concat();
        prop_assert_eq!(Form::Postcard.decode::<ClientMessage>(&body), Ok(message));
    }

    #[test]
    fn any_bytes_are_refused_or_mean_something(bytes in vec(any::<u8>(), 0..300)) {
        anything(&bytes)?;
    }

    /// Good messages with a byte changed, taken out or doubled come closer to the edges than any
    /// bytes do.
    #[test]
    fn damaged_messages_are_refused_or_mean_something(
        message in client_message(),
        other in server_message(),
        json in any::<bool>(),
        at in any::<prop::sample::Index>(),
        damage in 0..3,
        with in any::<u8>(),
    ) {
        let form = if json { Form::Json } else { Form::Postcard };
        for body in [form.encode(&message).body(), form.encode(&other).body()] {
            let mut bytes = body.to_vec();
            let at = at.index(bytes.len());
            match damage {
                0 => bytes[at] = with,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, with),
            }
            anything(&bytes)?;
        }
    }

    #[test]
    fn any_splitting_equals_none(
        bodies in vec(vec(any::<u8>(), 0..40), 0..8),
        tail in vec(any::<u8>(), 0..3),
        cuts in vec(1usize..12, 1..20),
    ) {
        let mut stream: Vec<u8> = bodies.iter().flat_map(|body| Frame::from_body(body).prefixed().to_vec()).collect();
        stream.extend(tail);
        prop_assert_eq!(split(&stream, &cuts, 40), (bodies, None));
    }

    #[test]
    fn any_splitting_of_any_bytes_equals_none(stream in vec(prop_oneof![3 => Just(0), 1 => any::<u8>()], 0..200), cuts in vec(1usize..12, 1..20), limit in 0u32..300) {
        prop_assert_eq!(split(&stream, &cuts, limit), split(&stream, &[stream.len() + 1], limit));
    }

    /// As soon as the length is there, and so before there is anything to allocate for.
    #[test]
    fn a_frame_too_long_is_refused_by_its_length_alone(limit in 0..u32::MAX, more in 1..u32::MAX, cut in 0usize..4) {
        let announced = limit.saturating_add(more);
        let length = announced.to_be_bytes();
        let mut decoder = Decoder::new(limit);
        decoder.feed(&length[..cut], |_| {}).unwrap();
        let refused = decoder.feed(&length[cut..], |_| panic!("there is no body"));
        prop_assert_eq!(refused, Err(FrameTooLarge { announced, allowed: limit }));
    }
}

#[test]
fn every_example_survives_both_forms() {
    let survives = |outcome: Result<(), TestCaseError>| outcome.unwrap();
    examples::client()
        .iter()
        .for_each(|message| survives(self::survives(message)));
    examples::server()
        .iter()
        .for_each(|message| survives(self::survives(message)));
}

#[test]
fn json_that_nests_without_end_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":[", "]}]")] {
        for depth in [100, 127, 128, 129, 1_000, 100_000] {
            let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let request =
                format!(r#"{{"type":"request","id":1,"kind":"teleport","body":{value}}}"#);
            let outcome = Form::Json.decode::<ClientMessage>(request.as_bytes());
            assert!(outcome.is_err() || depth <= 127, "{open} {depth}");
            let unclosed = format!(r#"{{"type":"ping","nonce":{}"#, open.repeat(depth));
            assert!(
                Form::Json
                    .decode::<ClientMessage>(unclosed.as_bytes())
                    .is_err()
            );
        }
    }
}

#[test]
fn numbers_that_are_too_large_are_refused() {
    let nines = "9".repeat(10_000);
    for number in [
        "9007199254740992",
        "18446744073709551615",
        "18446744073709551616",
        "1e5",
        "1e400",
        "-0",
        "-1",
        "0.5",
        &nines,
    ] {
        let ping = format!(r#"{{"type":"ping","nonce":{number}}}"#);
        assert!(
            Form::Json.decode::<ClientMessage>(ping.as_bytes()).is_err(),
            "{number}"
        );
    }
    let most = br#"{"type":"ping","nonce":9007199254740991}"#;
    assert!(Form::Json.decode::<ClientMessage>(most).is_ok());
}

/// In both forms, and from one to the other.
fn survives<T: Tagged + Debug + PartialEq>(message: &T) -> Result<(), TestCaseError> {
    for form in [Form::Postcard, Form::Json] {
        let frame = form.encode(message);
        let read: T = form
            .decode(&frame.body())
            .map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&read, message);
        prop_assert_eq!(form.encode(&read), frame);
        let mut decoder = Decoder::new(SERVER_FRAME_BYTES);
        let mut bodies = Vec::new();
        decoder
            .feed(form.encode(message).prefixed(), |body| {
                bodies.push(body.to_vec())
            })
            .unwrap();
        prop_assert_eq!(&bodies[..], [form.encode(message).body().to_vec()]);
    }
    Ok(())
}

/// A message that can be read is written and read again as the same.
fn anything(bytes: &[u8]) -> Result<(), TestCaseError> {
    fn stable<T: Tagged + Debug + PartialEq>(
        form: Form,
        bytes: &[u8],
    ) -> Result<(), TestCaseError> {
        let Ok(message) = form.decode::<T>(bytes) else {
            return Ok(());
        };
        prop_assert_eq!(form.decode::<T>(&form.encode(&message).body()), Ok(message));
        Ok(())
    }
    for form in [Form::Postcard, Form::Json] {
        stable::<ClientMessage>(form, bytes)?;
        stable::<ServerMessage>(form, bytes)?;
    }
    if let Ok(record) = Record::from_bytes(bytes) {
        prop_assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
    }
    Ok(())
}

fn split(stream: &[u8], cuts: &[usize], limit: u32) -> (Vec<Vec<u8>>, Option<FrameTooLarge>) {
    let (mut decoder, mut bodies, mut rest) = (Decoder::new(limit), Vec::new(), stream);
    for cut in cuts.iter().cycle() {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        if let Err(e) = decoder.feed(piece, |body| bodies.push(body.to_vec())) {
            return (bodies, Some(e));
        }
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    (bodies, None)
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    Entropy::any().prop_map(|mut entropy| any_message("ClientMessage", &mut entropy))
}

fn server_message() -> impl Strategy<Value = ServerMessage> {
    Entropy::any().prop_map(|mut entropy| any_message("ServerMessage", &mut entropy))
}

/// A message of a schema of the specification.
fn any_message<T: Tagged>(list: &str, entropy: &mut Entropy) -> T {
    let message = specification::message(Schema::specified(), list, entropy);
    Form::Json.decode(message.to_string().as_bytes()).unwrap()
}

fn record() -> impl Strategy<Value = Record> {
    Entropy::any().prop_map(|mut entropy| {
        let record = specification::record(Schema::specified(), &mut entropy);
        serde_json::from_value(record).unwrap()
    })
}
