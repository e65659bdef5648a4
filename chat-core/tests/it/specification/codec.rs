//! A codec built from the specification alone: values are JSON, and the other form is written and
//! read by the schema.

use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};

use super::schema::{Part, Schema, Shape, Type};

/// The number of a word that came by a name which a reader does not know.
const UNNAMED: u16 = 65_535;

impl Schema {
    /// A message's body of a frame in postcard.
    pub(crate) fn write_message(&self, list: &str, message: &Value) -> Vec<u8> {
        let kind = self.kind(list, message["type"].as_str().unwrap()).unwrap();
        let mut out = Vec::new();
        varint(kind.number.into(), &mut out);
        self.write_parts(&kind.body, message, &mut out);
        out
    }

    /// A record as a log keeps it.
    pub(crate) fn write_record(&self, record: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_parts(&self.shapes["Record"], record, &mut out);
        out
    }

    fn write_parts(&self, shape: &Shape, value: &Value, out: &mut Vec<u8>) {
        for part in &shape.parts {
            match part {
                Part::Field(field) => self.write(&field.of, &value[&field.name], out),
                Part::Pair(list) => self.write_pair(list, value, out),
            }
        }
    }

    fn write_pair(&self, list: &str, value: &Value, out: &mut Vec<u8>) {
        let (kind, body) = (&value["kind"], &value["body"]);
        let known = kind.as_str().and_then(|name| self.kind(list, name));
        let number = known.map_or_else(|| number_of(kind), |kind| kind.number);
        varint(number.into(), out);
        let bytes = match (known, body) {
            (Some(kind), Value::Object(_)) => {
                let mut bytes = Vec::new();
                self.write_parts(&kind.body, body, &mut bytes);
                return self.counted_body(bytes, out);
            }
            _ => unbase64(body).unwrap(),
        };
        counted(&bytes, out);
    }

    fn write(&self, of: &Type, value: &Value, out: &mut Vec<u8>) {
        match of {
            Type::Number(_) => varint(value.as_u64().unwrap(), out),
            Type::Bool => out.push(value.as_bool().unwrap().into()),
            Type::Text => counted(value.as_str().unwrap().as_bytes(), out),
            Type::Bytes => counted(&unbase64(value).unwrap(), out),
            Type::Fixed(_) => out.extend(unbase64(value).unwrap()),
            Type::Optional(_) if value.is_null() => out.push(0),
            Type::Optional(inner) => {
                out.push(1);
                self.write(inner, value, out);
            }
            Type::List(inner) => {
                let items = value.as_array().unwrap();
                varint(items.len() as u64, out);
                items.iter().for_each(|item| self.write(inner, item, out));
            }
            Type::Named(name) => self.write_named(name, value, out),
        }
    }

    fn write_named(&self, name: &str, value: &Value, out: &mut Vec<u8>) {
        if let Some(shape) = self.shapes.get(name) {
            let mut bytes = Vec::new();
            self.write_parts(shape, value, &mut bytes);
            if shape.frozen {
                out.extend(bytes);
            } else {
                self.counted_body(bytes, out);
            }
        } else if let Some(words) = self.words.get(name) {
            let known = words.iter().position(|word| value == word);
            let number = known.map_or_else(|| number_of(value).into(), |at| at as u64);
            varint(number, out);
        } else if let Some(choices) = self.choices.get(name) {
            let (chosen, inner) = match value {
                Value::Object(object) => object.iter().next().unwrap(),
                Value::String(name) => (name, &Value::Null),
                other => panic!("{other} is no choice"),
            };
            let at = choices.iter().position(|(name, _)| name == chosen).unwrap();
            varint(at as u64, out);
            if let Some(of) = &choices[at].1 {
                self.write(of, inner, out);
            }
        } else {
            self.write_pair(name, value, out);
        }
    }
}

impl Schema {
    /// The form that is hashed: every body that has a length ends before the zero bytes at its end.
    pub(crate) fn write_canonical_pair(&self, list: &str, value: &Value, out: &mut Vec<u8>) {
        Self {
            canonical: true,
            ..self.clone()
        }
        .write_hashed(list, value, out);
    }

    fn write_hashed(&self, list: &str, value: &Value, out: &mut Vec<u8>) {
        let mut pair = Vec::new();
        self.write_pair(list, value, &mut pair);
        // The kind is hashed, and then the body without its length.
        let mut rest = &pair[..];
        let kind = unvarint(&mut rest, 16).unwrap();
        varint(kind, out);
        out.extend(uncounted(&mut rest).unwrap());
    }

    fn counted_body(&self, mut body: Vec<u8>, out: &mut Vec<u8>) {
        while self.canonical && body.last() == Some(&0) {
            body.pop();
        }
        counted(&body, out);
    }
}

/// Bytes that cannot be read.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed;

type Read<T> = Result<T, Malformed>;

impl Schema {
    /// A frame's body in postcard as a reader understands it; none if the number of the message is
    /// not known.
    pub(crate) fn read_message(&self, list: &str, mut bytes: &[u8]) -> Read<Option<Value>> {
        let number = unvarint(&mut bytes, 16)? as u16;
        let Some(kind) = self.kind_of_number(list, number) else {
            return Ok(None);
        };
        let mut message = self.read_body(&kind.body, bytes)?;
        message.insert("type".to_owned(), json!(kind.name));
        Ok(Some(Value::Object(message)))
    }

    /// A stored record as a reader understands it.
    pub(crate) fn read_record(&self, bytes: &[u8]) -> Read<Value> {
        self.read_body(&self.shapes["Record"], bytes)
            .map(Value::Object)
    }

    /// Fields up to the end of what has a length.
    fn read_body(&self, shape: &Shape, mut bytes: &[u8]) -> Read<Map<String, Value>> {
        let mut object = Map::new();
        for part in &shape.parts {
            match part {
                Part::Field(field) if bytes.is_empty() => {
                    let default = field.default.clone().ok_or(Malformed)?;
                    object.insert(field.name.clone(), default);
                }
                Part::Field(field) => {
                    let value = self.read(&field.of, &mut bytes)?;
                    object.insert(field.name.clone(), value);
                }
                Part::Pair(list) => {
                    let number = unvarint(&mut bytes, 16)? as u16;
                    // The body may be missing as any last field may.
                    let body = if bytes.is_empty() {
                        &[]
                    } else {
                        uncounted(&mut bytes)?
                    };
                    self.read_pair(list, number, body, &mut object);
                }
            }
        }
        Ok(object)
    }

    fn read_pair(&self, list: &str, number: u16, body: &[u8], object: &mut Map<String, Value>) {
        let known = self.kind_of_number(list, number);
        let read = known.and_then(|kind| self.read_body(&kind.body, body).ok());
        let name = known.map_or(json!(number), |kind| json!(kind.name));
        object.insert("kind".to_owned(), name);
        let body = read.map_or_else(|| base64(body), Value::Object);
        object.insert("body".to_owned(), body);
    }

    fn read(&self, of: &Type, bytes: &mut &[u8]) -> Read<Value> {
        Ok(match of {
            Type::Number(bits) => {
                let number = unvarint(bytes, *bits)?;
                if number >= 1 << 53 {
                    return Err(Malformed);
                }
                json!(number)
            }
            Type::Bool => json!(flag(bytes)?),
            Type::Text => {
                let text = core::str::from_utf8(uncounted(bytes)?);
                json!(text.map_err(|_| Malformed)?)
            }
            Type::Bytes => base64(uncounted(bytes)?),
            Type::Fixed(length) => base64(front(bytes, *length)?),
            Type::Optional(inner) => match flag(bytes)? {
                true => self.read(inner, bytes)?,
                false => Value::Null,
            },
            Type::List(inner) => {
                let count = unvarint(bytes, 32)?;
                let items = (0..count).map(|_| self.read(inner, bytes));
                Value::Array(items.collect::<Read<_>>()?)
            }
            Type::Named(name) => self.read_named(name, bytes)?,
        })
    }

    fn read_named(&self, name: &str, bytes: &mut &[u8]) -> Read<Value> {
        if let Some(shape) = self.shapes.get(name) {
            if !shape.frozen {
                return Ok(Value::Object(self.read_body(shape, uncounted(bytes)?)?));
            }
            let mut object = Map::new();
            for part in &shape.parts {
                let Part::Field(field) = part else {
                    panic!("a frozen shape has fields only")
                };
                object.insert(field.name.clone(), self.read(&field.of, bytes)?);
            }
            Ok(Value::Object(object))
        } else if let Some(words) = self.words.get(name) {
            let number = unvarint(bytes, 16)?;
            let word = words.get(number as usize);
            Ok(word.map_or(json!(number), |word| json!(word)))
        } else if let Some(choices) = self.choices.get(name) {
            let at = unvarint(bytes, 32)?;
            let (name, of) = choices.get(at as usize).ok_or(Malformed)?;
            match of {
                None => Ok(json!(name)),
                Some(of) => Ok(json!({ name: self.read(of, bytes)? })),
            }
        } else {
            let number = unvarint(bytes, 16)? as u16;
            let body = uncounted(bytes)?;
            let mut object = Map::new();
            self.read_pair(name, number, body, &mut object);
            Ok(Value::Object(object))
        }
    }
}

impl Schema {
    /// A message in JSON, of another program, as a reader understands it.
    pub(crate) fn read_json_message(&self, list: &str, message: &Value) -> Value {
        let kind = self.kind(list, message["type"].as_str().unwrap()).unwrap();
        let mut read = self.read_json_body(&kind.body, message);
        read["type"] = json!(kind.name);
        read
    }

    /// The same, of a record.
    pub(crate) fn read_json_record(&self, record: &Value) -> Value {
        self.read_json_body(&self.shapes["Record"], record)
    }

    fn read_json_body(&self, shape: &Shape, value: &Value) -> Value {
        let mut object = Map::new();
        for part in &shape.parts {
            match part {
                Part::Field(field) => {
                    let read = match value.get(&field.name) {
                        Some(value) => self.read_json(&field.of, value),
                        None => field
                            .default
                            .clone()
                            .expect("only what has a default is missing"),
                    };
                    object.insert(field.name.clone(), read);
                }
                Part::Pair(list) => self.read_json_pair(list, value, &mut object),
            }
        }
        Value::Object(object)
    }

    fn read_json_pair(&self, list: &str, value: &Value, object: &mut Map<String, Value>) {
        let (kind, body) = (&value["kind"], &value["body"]);
        let known = kind.as_str().and_then(|name| self.kind(list, name));
        let (kind, body) = match (known, body) {
            (Some(known), Value::Object(_)) => {
                (kind.clone(), self.read_json_body(&known.body, body))
            }
            (None, Value::Object(_)) => (json!(0), base64(body.to_string().as_bytes())),
            _ => (kind.clone(), body.clone()),
        };
        object.insert("kind".to_owned(), kind);
        object.insert("body".to_owned(), body);
    }

    fn read_json(&self, of: &Type, value: &Value) -> Value {
        match of {
            Type::Optional(inner) if !value.is_null() => self.read_json(inner, value),
            Type::List(inner) => {
                let items = value.as_array().unwrap().iter();
                items.map(|item| self.read_json(inner, item)).collect()
            }
            Type::Named(name) if self.lists.contains_key(name) => {
                let mut object = Map::new();
                self.read_json_pair(name, value, &mut object);
                Value::Object(object)
            }
            Type::Named(name) => match (self.shapes.get(name), self.words.get(name)) {
                (Some(shape), _) => self.read_json_body(shape, value),
                (_, Some(words))
                    if value.is_string() && !words.iter().any(|word| value == word) =>
                {
                    json!(UNNAMED)
                }
                _ => value.clone(),
            },
            _ => value.clone(),
        }
    }
}

fn number_of(value: &Value) -> u16 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    loop {
        let low = (number % 128) as u8;
        number /= 128;
        if number == 0 {
            return out.push(low);
        }
        out.push(low + 128);
    }
}

fn unvarint(bytes: &mut &[u8], bits: u32) -> Read<u64> {
    let mut number = 0_u128;
    for at in 0..bits.div_ceil(7) {
        let byte = front(bytes, 1)?[0];
        number += u128::from(byte % 128) << (7 * at);
        if byte < 128 {
            let fits = number < 1 << bits;
            return u64::try_from(number).ok().filter(|_| fits).ok_or(Malformed);
        }
    }
    Err(Malformed)
}

fn counted(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len() as u64, out);
    out.extend(bytes);
}

fn uncounted<'a>(bytes: &mut &'a [u8]) -> Read<&'a [u8]> {
    let length = unvarint(bytes, 32)?;
    front(bytes, length as usize)
}

fn front<'a>(bytes: &mut &'a [u8], length: usize) -> Read<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(front)
}

fn flag(bytes: &mut &[u8]) -> Read<bool> {
    match front(bytes, 1)? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Malformed),
    }
}

pub(super) fn base64(bytes: &[u8]) -> Value {
    json!(Base64::encode_string(bytes))
}

fn unbase64(value: &Value) -> Option<Vec<u8>> {
    Base64::decode_vec(value.as_str()?).ok()
}
