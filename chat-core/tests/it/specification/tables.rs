//! The specification's tables are what the code has: numbers, names, flags and defaults. Its text
//! is in order.

use std::collections::BTreeSet;

use super::{schema::Schema, text};
use crate::vectors::unhex;
use chat_core::{
    limits::Limits,
    wire::{
        ClientMessage, CloseReason, ErrorCode, Form, ServerMessage, Tagged,
        client::Op,
        record::{Content, RecordBody},
        server::{Answer, PresenceUpdate},
    },
};
use serde_json::Value;

#[test]
fn error_codes() {
    let rows = table("## 14. Error codes");
    assert_eq!(rows.len(), ErrorCode::ALL.len());
    for (i, (row, code)) in rows.iter().zip(ErrorCode::ALL).enumerate() {
        assert_eq!(row[..2], [i.to_string(), code.to_string()]);
        assert_eq!(row[2] == "*T*", code.is_temporary(), "{code}");
        assert!(row[3].len() > 10, "{code} is not explained");
    }
}

#[test]
fn close_reasons() {
    let rows = table("## 15. Close reasons");
    assert_eq!(rows.len(), CloseReason::ALL.len());
    for (i, (row, reason)) in rows.iter().zip(CloseReason::ALL).enumerate() {
        assert_eq!(row[..2], [i.to_string(), reason.to_string()]);
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
    let rows = table("| limit | of | default |");
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
}

#[test]
fn numbered_lists() {
    numbered::<ClientMessage>("ClientMessage");
    numbered::<ServerMessage>("ServerMessage");
    numbered::<Op>("Request");
    numbered::<Answer>("Answer");
    numbered::<RecordBody>("RecordBody");
    numbered::<Content>("Content");
    numbered::<PresenceUpdate>("PresenceUpdate");
}

/// The order of checks names every request, and says which of them change something.
#[test]
fn requests() {
    let rows = table("| `kind` | changes | refused, in this order |");
    let told: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let known = Schema::specified().lists["Request"].iter();
    assert_eq!(
        told,
        known.map(|kind| kind.name.as_str()).collect::<Vec<_>>()
    );
    let codes: BTreeSet<String> = ErrorCode::ALL.iter().map(ToString::to_string).collect();
    for row in &rows {
        assert!(["", "yes"].contains(&row[1].as_str()), "{row:?}");
        let named = row[2].split(['`', ',', ' ', '(', ')']);
        let named = named.filter(|name| name.contains('_'));
        for name in named {
            assert!(codes.contains(name), "{name} is no error code");
        }
    }
}

#[test]
fn every_kind_has_an_example() {
    let mut missing = BTreeSet::new();
    for (list, kinds) in &Schema::specified().lists {
        missing.extend(kinds.iter().map(|kind| (list.as_str(), kind.name.as_str())));
    }
    let examples = crate::vectors::read("messages.json");
    let mut seen = |list: &'static str, kind: &Value| {
        missing.retain(|missing| *missing != (list, kind.as_str().unwrap_or_default()));
    };
    for case in examples["cases"].as_array().unwrap() {
        let (json, kind) = (&case["json"], &case["json"]["kind"]);
        match (case["side"].as_str().unwrap(), json["type"].as_str()) {
            ("record", _) => seen("RecordBody", kind),
            ("client", Some("request")) => seen("Request", kind),
            ("server", Some("ok")) => seen("Answer", kind),
            ("server", Some("presence")) => seen("PresenceUpdate", kind),
            _ => {}
        }
        match case["side"].as_str().unwrap() {
            "client" => seen("ClientMessage", &json["type"]),
            "server" => seen("ServerMessage", &json["type"]),
            _ => seen("Content", &json["body"]["content"]["kind"]),
        }
    }
    for case in crate::vectors::read("handshake.json")["cases"]
        .as_array()
        .unwrap()
    {
        seen("ChainOp", &case["entry"]["kind"]);
    }
    assert_eq!(missing, BTreeSet::new());
}

/// The client that the specification shows is the one that is tried against the server.
#[test]
fn the_client_in_fifty_lines() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python/chat.py");
    let program = std::fs::read_to_string(file).unwrap();
    let text = text();
    let shown = text.split("```python\n").nth(1).expect("it is shown");
    let shown = shown.split("```").next().unwrap_or_default();
    assert_eq!(shown, program);
    let lines = program.lines().filter(|line| !line.trim().is_empty());
    assert!(lines.count() <= 50);
}

/// Every reference within the text leads somewhere.
#[test]
fn references() {
    let text = text();
    let anchors: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| {
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || " -".contains(*c));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
        .collect();
    let links = text.split("](#").skip(1);
    let targets = links.map(|link| link.split(')').next().unwrap_or_default());
    let targets: BTreeSet<&str> = targets.collect();
    assert!(targets.len() >= 18);
    for target in targets {
        assert!(
            anchors.contains(target),
            "{target} is no heading of {anchors:?}"
        );
    }
}

/// The frames of the worked conversation are what they are said to be, in both forms.
#[test]
fn the_conversation() {
    let text = text();
    let conversation = &text[text.find("## 18.").expect("there is a conversation")..];
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

fn numbered<T: Tagged>(list: &str) {
    let known: Vec<(u16, &str)> = (1..=u16::MAX)
        .filter_map(|number| Some((number, T::name(number)?)))
        .collect();
    let told = Schema::specified().lists[list].iter();
    let told: Vec<(u16, &str)> = told.map(|kind| (kind.number, kind.name.as_str())).collect();
    assert_eq!(told, known, "{list}");
}

/// The rows of the first table at or after a piece of text, with the code marks of cells that are
/// nothing else taken away.
pub(super) fn table(after: &str) -> Vec<Vec<String>> {
    let text = text();
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
