//! Values of any shape of the specification, as JSON.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use super::{
    codec::base64,
    schema::{Part, Schema, Shape, Type},
};

/// Bytes that decide what a value is; when there are no more, the simplest.
#[derive(Clone, Debug)]
pub(crate) struct Entropy(Vec<u8>);

impl Entropy {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        vec(any::<u8>(), 0..600).prop_map(Self)
    }

    /// Below a number.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::from(self.0.pop().unwrap_or(0)) % end.max(1)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// Of so many bits and what the wire can carry, often one at an edge.
    fn number(&mut self, bits: u32) -> u64 {
        let most = (1_u64 << bits.min(53)) - 1;
        let number = match self.below(6) {
            0 => 0,
            1 => most,
            2 => [127, 128, 16_383, 16_384][self.below(4)],
            _ => u64::from_le_bytes(self.bytes(8).try_into().unwrap()) >> self.below(60),
        };
        number & most
    }

    fn text(&mut self) -> String {
        let length = match self.below(12) {
            0 => 0,
            1 => 140,
            more => more,
        };
        let letters = ['a', 'b', ' ', '"', '\\', '\n', '\0', 'ż', '🦀', '\u{202e}'];
        (0..length)
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }
}

/// A message of a numbered list.
pub(crate) fn message(schema: &Schema, list: &str, entropy: &mut Entropy) -> Value {
    let kinds = &schema.lists[list];
    let kind = &kinds[entropy.below(kinds.len())];
    let mut message = schema.value_of(&kind.body, entropy);
    message["type"] = json!(kind.name);
    message
}

/// A record.
pub(crate) fn record(schema: &Schema, entropy: &mut Entropy) -> Value {
    schema.value_of(&schema.shapes["Record"], entropy)
}

impl Schema {
    fn value_of(&self, shape: &Shape, entropy: &mut Entropy) -> Value {
        let mut object = Map::new();
        for part in &shape.parts {
            match part {
                Part::Field(field) => {
                    object.insert(field.name.clone(), self.value(&field.of, entropy));
                }
                Part::Pair(list) => self.pair(list, &mut object, entropy),
            }
        }
        Value::Object(object)
    }

    fn pair(&self, list: &str, object: &mut Map<String, Value>, entropy: &mut Entropy) {
        let kinds = &self.lists[list];
        let (kind, body) = match kinds.get(entropy.below(kinds.len() + 2)) {
            Some(kind) => (json!(kind.name), self.value_of(&kind.body, entropy)),
            None => {
                let number = 1_000 + entropy.number(15);
                let length = entropy.below(40);
                (json!(number), base64(&entropy.bytes(length)))
            }
        };
        object.insert("kind".to_owned(), kind);
        object.insert("body".to_owned(), body);
    }

    fn value(&self, of: &Type, entropy: &mut Entropy) -> Value {
        match of {
            Type::Number(bits) => json!(entropy.number(*bits)),
            Type::Bool => json!(entropy.below(2) == 1),
            Type::Text => json!(entropy.text()),
            Type::Bytes => {
                let length = [0, 1, 24, 72, 200][entropy.below(5)];
                base64(&entropy.bytes(length))
            }
            Type::Fixed(length) => base64(&entropy.bytes(*length)),
            Type::Optional(inner) => match entropy.below(3) {
                0 => Value::Null,
                _ => self.value(inner, entropy),
            },
            Type::List(inner) => {
                let count = entropy.below(4);
                (0..count).map(|_| self.value(inner, entropy)).collect()
            }
            Type::Named(name) => self.named(name, entropy),
        }
    }

    fn named(&self, name: &str, entropy: &mut Entropy) -> Value {
        if let Some(shape) = self.shapes.get(name) {
            self.value_of(shape, entropy)
        } else if let Some(words) = self.words.get(name) {
            match words.get(entropy.below(words.len() + 1)) {
                Some(word) => json!(word),
                None => json!(1_000 + entropy.number(15)),
            }
        } else if let Some(choices) = self.choices.get(name) {
            match &choices[entropy.below(choices.len())] {
                (name, None) => json!(name),
                (name, Some(of)) => json!({ name: self.value(of, entropy) }),
            }
        } else {
            let mut object = Map::new();
            self.pair(name, &mut object, entropy);
            Value::Object(object)
        }
    }
}
