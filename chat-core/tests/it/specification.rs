//! The specification's tables are what the code has: numbers, names, fields, flags and defaults.

use std::collections::BTreeSet;

use crate::vectors::unhex;
use chat_core::{
    limits::Limits,
    wire::{
        ClientMessage, CloseReason, ErrorCode, Form, ServerMessage, Tagged, client::Op,
        record::RecordBody, server::Answer,
    },
};
use serde_json::Value;

#[test]
fn error_codes() {
    let rows = table("## 11. Error codes");
    assert_eq!(rows.len(), ErrorCode::ALL.len());
    for (i, (row, code)) in rows.iter().zip(ErrorCode::ALL).enumerate() {
        assert_eq!(row[..2], [i.to_string(), code.name()]);
        assert_eq!(row[2] == "*T*", code.is_temporary(), "{code}");
        assert!(row[3].len() > 10, "{code} is not explained");
    }
}

#[test]
fn close_reasons() {
    let rows = table("## 12. Close reasons");
    assert_eq!(rows.len(), CloseReason::ALL.len());
    for (i, (row, reason)) in rows.iter().zip(CloseReason::ALL).enumerate() {
        assert_eq!(row[..2], [i.to_string(), reason.name()]);
        assert_eq!(
            row[2],
            if reason.reconnect() { "yes" } else { "no" },
            "{reason}"
        );
        assert!(row[3].len() > 10, "{reason} is not explained");
    }
}

#[test]
fn limits() {
    let defaults = serde_json::to_value(Limits::default()).unwrap();
    let defaults = defaults.as_object().unwrap();
    let rows = table("None is ever 0.");
    let told: BTreeSet<&String> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(told, defaults.keys().collect());
    for row in &rows {
        let default = &defaults[&row[0]];
        let expected: Vec<f64> = match default {
            // A rate: `burst` stands before `per_second` and `seconds` in the alphabet too.
            Value::Object(rate) => rate.values().filter_map(Value::as_f64).collect(),
            number => number.as_f64().into_iter().collect(),
        };
        let said: Vec<f64> = row[2]
            .replace(',', "")
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        assert_eq!(said, expected, "{}", row[0]);
    }
    let text = specification();
    let line = text
        .lines()
        .find(|line| line.starts_with("`Limits` in `welcome`:"))
        .expect("the limits are listed");
    let line = line
        .trim_start_matches("`Limits` in `welcome`: `")
        .trim_end_matches("`.");
    let wire = serde_json::to_value(Limits::default().wire()).unwrap();
    assert_eq!(
        fields(line),
        wire.as_object().unwrap().keys().cloned().collect()
    );
}

#[test]
fn messages() {
    numbered::<ClientMessage>(&table("Client's messages:"));
    numbered::<ServerMessage>(&table("Server's messages:"));
}

#[test]
fn requests_and_their_answers() {
    let rows = table("| no. | `kind` | changes | body | answer's body |");
    numbered::<Op>(&rows);
    numbered::<Answer>(&rows);
}

#[test]
fn records() {
    numbered::<RecordBody>(&table("| no. | `kind` | body | means |"));
}

/// Every example has the fields that the tables list, no more and no fewer.
#[test]
fn fields_of_the_examples() {
    let tables = [
        ("client", 2, table("Client's messages:")),
        ("server", 2, table("Server's messages:")),
        (
            "request",
            3,
            table("| no. | `kind` | changes | body | answer's body |"),
        ),
        (
            "ok",
            4,
            table("| no. | `kind` | changes | body | answer's body |"),
        ),
        ("record", 2, table("| no. | `kind` | body | means |")),
    ];
    let shapes: Vec<Vec<String>> = table("Shared shapes:")
        .into_iter()
        .chain(table("| shape | fields |"))
        .collect();
    let listed = |list: &str, kind: &str| -> Option<BTreeSet<String>> {
        let (_, column, rows) = tables.iter().find(|(name, ..)| *name == list)?;
        let row = rows.iter().find(|row| row[1] == kind)?;
        let shape = shapes.iter().find(|shape| shape[0] == row[*column]);
        Some(fields(shape.map_or(&row[*column], |shape| &shape[1])))
    };
    let keys = |body: &Value| -> BTreeSet<String> {
        body.as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    let mut seen = BTreeSet::new();
    for case in crate::vectors::read("messages.json")["cases"]
        .as_array()
        .unwrap()
    {
        let (side, json) = (case["side"].as_str().unwrap(), &case["json"]);
        let mut check = |list: &str, kind: &Value, body: &Value| {
            let Some(expected) = kind.as_str().and_then(|kind| listed(list, kind)) else {
                return;
            };
            assert_eq!(keys(body), expected, "{list} {kind}");
            seen.insert((list.to_owned(), kind.to_string()));
        };
        if side == "record" {
            check("record", &json["kind"], &json["body"]);
            continue;
        }
        let mut body = json.clone();
        body.as_object_mut().unwrap().remove("type");
        check(side, &json["type"], &body);
        if json["type"] == "request" || json["type"] == "ok" {
            check(json["type"].as_str().unwrap(), &json["kind"], &json["body"]);
        }
    }
    let all: usize = tables.iter().map(|(.., rows)| rows.len()).sum();
    assert_eq!(seen.len(), all, "each has an example: {seen:?}");
}

/// The frames of the worked conversation are what they are said to be, in both forms.
#[test]
fn the_conversation() {
    let text = specification();
    let conversation = &text[text.find("## 15.").expect("there is a conversation")..];
    let blocks: Vec<(&str, &str)> = conversation
        .split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').expect("a block has a first line"))
        .collect();
    assert!(blocks.len() >= 24);
    for pair in blocks.chunks(2) {
        let [(says, frame), ("json", json)] = pair else {
            panic!("{pair:?}")
        };
        let digits: String = frame
            .lines()
            .map(|line| line.split(';').next().unwrap_or_default())
            .collect();
        let frame = unhex(&digits.replace(' ', ""));
        match *says {
            "hex client" => same::<ClientMessage>(&frame, json),
            "hex server" => same::<ServerMessage>(&frame, json),
            other => panic!("{other}"),
        }
    }
}

fn same<T: Tagged + PartialEq + core::fmt::Debug>(frame: &[u8], json: &str) {
    let message: T = Form::Json.decode(json.as_bytes()).unwrap();
    assert_eq!(
        Form::Postcard.encode(&message).prefixed()[..],
        *frame,
        "{json}"
    );
    assert_eq!(Form::Postcard.decode::<T>(&frame[4..]).unwrap(), message);
}

fn numbered<T: Tagged>(rows: &[Vec<String>]) {
    let known: Vec<[String; 2]> = (1..=u16::MAX)
        .filter_map(|number| Some([number.to_string(), T::name(number)?.to_owned()]))
        .collect();
    let told: Vec<[String; 2]> = rows
        .iter()
        .map(|row| [row[0].clone(), row[1].clone()])
        .collect();
    assert_eq!(told, known);
}

/// Names of the fields in a list such as `room id, from (latest | before(u64)), limit u16`.
fn fields(list: &str) -> BTreeSet<String> {
    let (mut depth, mut flat) = (0, String::new());
    for c in list.chars() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            '`' => {}
            _ if depth == 0 => flat.push(c),
            _ => {}
        }
    }
    flat.split(',')
        .filter_map(|field| field.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// The rows of the first table at or after a piece of text, with the code marks of cells that are nothing else taken away.
fn table(after: &str) -> Vec<Vec<String>> {
    let text = specification();
    let start = text
        .find(after)
        .unwrap_or_else(|| panic!("{after} is not in the specification"));
    text[start..]
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let line = line.replace("\\|", "¦");
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().trim_matches('`').replace('¦', "|"))
                .collect()
        })
        .collect()
}

fn specification() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md")).unwrap()
}
