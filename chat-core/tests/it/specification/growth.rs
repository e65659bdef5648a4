//! Programs of different age read each other: a codec built from the specification plays an older
//! one, which lacks fields, kinds and words at every depth, and a newer one, which has more of
//! them.

use core::fmt::Debug;

use chat_core::wire::{ClientMessage, Form, Record, ServerMessage, Tagged};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{
    Entropy, Schema,
    codec::Malformed,
    message, record,
    schema::{Field, Kind, Part, Shape, Type},
};

const CLIENT: &str = "ClientMessage";
const SERVER: &str = "ServerMessage";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The schemas have the fields of the types, in their order, of their types, in both forms.
    #[test]
    fn the_schemas_are_the_types(entropy in Entropy::any()) {
        let schema = Schema::specified();
        for each in all(schema, &entropy) {
            let bytes = each.write(schema);
            prop_assert_eq!(each.real_json(&each.value), Some(each.value.clone()));
            prop_assert_eq!(each.real_bytes(&each.value), bytes.clone());
            prop_assert_eq!(each.real_read(&bytes), Some(each.value.clone()));
            prop_assert_eq!(each.read(schema, &bytes), Ok(Some(each.value.clone())));
        }
    }

    /// An older program leaves out what it does not know, and has what this one gives it for that.
    #[test]
    fn an_older_program_and_this_one_read_each_other(age in Entropy::any(), entropy in Entropy::any()) {
        let older = older(age.clone());
        for each in all(&older, &entropy) {
            each.is_read_as_written(&older)?;
        }
        for each in all(Schema::specified(), &entropy) {
            each.is_read_by(&older)?;
        }
        // Kinds and words have no default: they are kept as what they are.
        let younger_words = fewer_kinds_and_words(Schema::specified().clone(), age);
        for each in all(Schema::specified(), &entropy) {
            let read = each.read(&younger_words, &each.real_bytes(&each.value));
            prop_assert!(matches!(read, Ok(Some(_))), "{:?}", read);
        }
    }

    /// A newer program writes fields, kinds and words that this one does not know, and finds
    /// defaults for its own.
    #[test]
    fn a_newer_program_and_this_one_read_each_other(entropy in Entropy::any()) {
        let newer = newer(Schema::specified().clone());
        for each in all(&newer, &entropy) {
            each.is_read_as_written(&newer)?;
        }
        for each in all(Schema::specified(), &entropy) {
            each.is_read_by(&newer)?;
        }
    }

    /// Any bytes mean the same to this program and to one that was built from the specification.
    #[test]
    fn bytes_that_are_changed_mean_the_same_to_both(
        entropy in Entropy::any(),
        changes in vec((any::<prop::sample::Index>(), 0..4, any::<u8>()), 1..4),
    ) {
        let schema = Schema::specified();
        for each in all(schema, &entropy) {
            let mut bytes = each.write(schema);
            for (at, change, with) in &changes {
                let at = at.index(bytes.len().max(1));
                match change {
                    _ if bytes.is_empty() => bytes.push(*with),
                    0 => bytes[at] = *with,
                    1 => bytes[at] = bytes[at].wrapping_add(1),
                    2 => bytes.truncate(at),
                    _ => bytes.insert(at, *with),
                }
            }
            let read = each.read(schema, &bytes).ok().flatten();
            prop_assert_eq!(each.real_read(&bytes), read, "{:?}", bytes);
        }
    }
}

/// A server that knows more fields knows the requests of before by the hash that they had.
#[test]
fn growing_does_not_change_the_hash_of_a_request() {
    let specified = Schema::specified();
    let newer = zero_is_added(specified.clone());
    let canonical = |schema: &Schema, value: &Value| {
        let mut bytes = Vec::new();
        schema.write_canonical_pair("Request", value, &mut bytes);
        bytes
    };
    let examples = crate::vectors::read("messages.json");
    let requests = examples["cases"].as_array().unwrap().iter();
    let requests = requests.filter(|case| case["json"]["type"] == "request");
    let mut seen = 0;
    for case in requests {
        let request = &case["json"];
        let bytes = canonical(specified, request);
        assert_eq!(json!(crc32(&bytes)), case["hash"], "{request}");
        let grown = newer.read_json_message(CLIENT, request);
        assert_ne!(&grown, request, "a field was added");
        assert_eq!(canonical(&newer, &grown), bytes, "{request}");
        seen += 1;
    }
    assert!(seen > 30);
}

#[test]
fn a_field_without_a_default_must_be_there() {
    let schema = Schema::specified();
    let ping = json!({ "type": "ping", "nonce": 300 });
    let bytes = schema.write_message(CLIENT, &ping);
    assert_eq!(bytes, [5, 0xac, 2]);
    assert!(Form::Postcard.decode::<ClientMessage>(&bytes[..1]).is_err());
    assert_eq!(schema.read_message(CLIENT, &bytes[..1]), Err(Malformed));
    let json = br#"{"type":"ping"}"#;
    assert!(Form::Json.decode::<ClientMessage>(json).is_err());
}

/// One value and the list it is of; a record if it is of none.
struct Each {
    list: Option<&'static str>,
    value: Value,
}

/// A value of each sort.
fn all(schema: &Schema, entropy: &Entropy) -> [Each; 3] {
    let of = |list| Each {
        list: Some(list),
        value: message(schema, list, &mut entropy.clone()),
    };
    let record = Each {
        list: None,
        value: record(schema, &mut entropy.clone()),
    };
    [of(CLIENT), of(SERVER), record]
}

impl Each {
    fn write(&self, schema: &Schema) -> Vec<u8> {
        match self.list {
            Some(list) => schema.write_message(list, &self.value),
            None => schema.write_record(&self.value),
        }
    }

    fn read(&self, schema: &Schema, bytes: &[u8]) -> Result<Option<Value>, Malformed> {
        match self.list {
            Some(list) => schema.read_message(list, bytes),
            None => schema.read_record(bytes).map(Some),
        }
    }

    fn read_json(&self, schema: &Schema, value: &Value) -> Value {
        match self.list {
            Some(list) => schema.read_json_message(list, value),
            None => schema.read_json_record(value),
        }
    }

    /// The meaning of bytes to this program, as JSON.
    fn real_read(&self, bytes: &[u8]) -> Option<Value> {
        match self.list {
            Some(CLIENT) => again::<ClientMessage>(Form::Postcard, bytes),
            Some(_) => again::<ServerMessage>(Form::Postcard, bytes),
            None => Some(serde_json::to_value(Record::from_bytes(bytes).ok()?).unwrap()),
        }
    }

    /// The meaning of JSON to this program, as JSON.
    fn real_json(&self, value: &Value) -> Option<Value> {
        let text = value.to_string();
        match self.list {
            Some(CLIENT) => again::<ClientMessage>(Form::Json, text.as_bytes()),
            Some(_) => again::<ServerMessage>(Form::Json, text.as_bytes()),
            None => {
                let record: Record = serde_json::from_str(&text).ok()?;
                Some(serde_json::to_value(record).unwrap())
            }
        }
    }

    /// This program's bytes.
    fn real_bytes(&self, value: &Value) -> Vec<u8> {
        let text = value.to_string();
        match self.list {
            Some(CLIENT) => rewritten::<ClientMessage>(&text),
            Some(_) => rewritten::<ServerMessage>(&text),
            None => serde_json::from_str::<Record>(&text)
                .unwrap()
                .to_bytes()
                .to_vec(),
        }
    }

    /// Another program's message is read here as the specification says.
    fn is_read_as_written(&self, writer: &Schema) -> Result<(), TestCaseError> {
        let schema = Schema::specified();
        let bytes = self.write(writer);
        let read = self.read(schema, &bytes);
        prop_assert!(matches!(read, Ok(Some(_))), "{:?}", read);
        prop_assert_eq!(self.real_read(&bytes), read.ok().flatten());
        let read = self.read_json(schema, &self.value);
        prop_assert_eq!(self.real_json(&self.value), Some(read));
        Ok(())
    }

    /// This program's message is read by another one as the same, with its defaults for what is
    /// not written.
    fn is_read_by(&self, reader: &Schema) -> Result<(), TestCaseError> {
        let expected = self.read_json(reader, &self.value);
        let read = self.read(reader, &self.real_bytes(&self.value));
        prop_assert_eq!(read, Ok(Some(expected.clone())));
        let written = self.real_json(&self.value).unwrap();
        prop_assert_eq!(self.read_json(reader, &written), expected);
        Ok(())
    }
}

fn again<T: Tagged + Debug>(form: Form, bytes: &[u8]) -> Option<Value> {
    let message: T = form.decode(bytes).ok()?;
    let json = Form::Json.encode(&message).body();
    Some(serde_json::from_slice(&json).unwrap())
}

fn rewritten<T: Tagged + Debug>(json: &str) -> Vec<u8> {
    let message: T = Form::Json.decode(json.as_bytes()).unwrap();
    Form::Postcard.encode(&message).body().to_vec()
}

/// A program that lacks some of the fields at the end of shapes, as far as these have defaults.
fn older(mut age: Entropy) -> Schema {
    let mut schema = Schema::specified().clone();
    for shape in schema.growing() {
        let fields = shape.parts.iter().rev();
        let may_lack = fields
            .take_while(|part| matches!(part, Part::Field(field) if field.default.is_some()))
            .count();
        let lacks = age.below(may_lack + 1);
        shape.parts.truncate(shape.parts.len() - lacks);
    }
    schema
}

/// A program that lacks some kinds and words.
fn fewer_kinds_and_words(mut schema: Schema, mut age: Entropy) -> Schema {
    for (list, kinds) in &mut schema.lists {
        if list != CLIENT && list != SERVER {
            kinds.retain(|_| age.below(2) == 0);
        }
    }
    for words in schema.words.values_mut() {
        words.truncate(age.below(words.len() + 1));
    }
    schema
}

/// A program with one more field in each shape and body, and one more kind and word in each list.
fn newer(mut schema: Schema) -> Schema {
    let sorts = [
        (Type::Number(64), json!(7)),
        (Type::Text, json!("new")),
        (Type::Optional(Box::new(Type::Bool)), Value::Null),
        (Type::List(Box::new(named("Addition"))), json!([])),
        (named("Addition"), json!({ "of": 1, "said": null })),
        (named("Role"), json!("moderator")),
    ];
    for (shape, (of, default)) in schema.growing().zip(sorts.into_iter().cycle()) {
        shape.parts.push(field("added", of, Some(default)));
    }
    let addition = Shape {
        parts: vec![
            field("of", Type::Number(32), None),
            field(
                "said",
                Type::Optional(Box::new(Type::Text)),
                Some(Value::Null),
            ),
        ],
        frozen: false,
    };
    for (list, kinds) in &mut schema.lists {
        if list != CLIENT && list != SERVER {
            kinds.push(Kind {
                number: 900,
                name: "later".to_owned(),
                body: addition.clone(),
            });
        }
    }
    schema.shapes.insert("Addition".to_owned(), addition);
    for words in schema.words.values_mut() {
        words.push("later".to_owned());
    }
    schema
}

/// A program with one more field in each shape and body, whose default is zero.
fn zero_is_added(mut schema: Schema) -> Schema {
    for shape in schema.growing() {
        shape
            .parts
            .push(field("added", Type::Number(64), Some(json!(0))));
    }
    schema
}

fn named(name: &str) -> Type {
    Type::Named(name.to_owned())
}

fn field(name: &str, of: Type, default: Option<Value>) -> Part {
    Part::Field(Field {
        name: name.to_owned(),
        of,
        default,
    })
}

/// Bit by bit, as it is defined.
fn crc32(bytes: &[u8]) -> u32 {
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| u32::from(byte >> bit & 1)));
    !bits.fold(u32::MAX, |rest, bit| match (rest ^ bit) & 1 {
        0 => rest >> 1,
        _ => rest >> 1 ^ 0xedb8_8320,
    })
}
