//! The schemas of the specification, read from its text.

use std::{collections::BTreeMap, sync::OnceLock};

use serde_json::{Value, json};

use super::tables::table;

/// Everything that the specification says about the form of messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    pub(crate) shapes: BTreeMap<String, Shape>,
    pub(crate) words: BTreeMap<String, Vec<String>>,
    pub(crate) choices: BTreeMap<String, Vec<(String, Option<Type>)>>,
    pub(crate) lists: BTreeMap<String, Vec<Kind>>,
    /// Whether what is written is the form that is hashed.
    pub(crate) canonical: bool,
}

/// Fields in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) parts: Vec<Part>,
    pub(crate) frozen: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    Field(Field),
    /// `kind, body of` a numbered list.
    Pair(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) of: Type,
    pub(crate) default: Option<Value>,
}

/// One of a numbered list.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) number: u16,
    pub(crate) name: String,
    pub(crate) body: Shape,
}

#[derive(Clone, Debug)]
pub(crate) enum Type {
    /// Of so many bits.
    Number(u32),
    Bool,
    Text,
    Bytes,
    Fixed(usize),
    Optional(Box<Type>),
    List(Box<Type>),
    /// A shape, words, a choice or a numbered list.
    Named(String),
}

impl Schema {
    /// The specification's.
    pub(crate) fn specified() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| Self::parse(&super::text()))
    }

    fn parse(text: &str) -> Self {
        let mut schema = Self::default();
        for (words, heading) in [
            ("Code", "## 14. Error codes"),
            ("Reason", "## 15. Close reasons"),
        ] {
            let names = table(heading).into_iter().map(|row| row[1].clone());
            schema.words.insert(words.to_owned(), names.collect());
        }
        let blocks = text.split("```").skip(1).step_by(2);
        for block in blocks.filter_map(|block| block.strip_prefix("schema\n")) {
            schema.parse_block(block);
        }
        schema.resolve();
        schema
    }

    fn parse_block(&mut self, block: &str) {
        let lines = block
            .lines()
            .map(|line| line.split(';').next().unwrap_or_default().trim_end())
            .filter(|line| !line.trim().is_empty());
        let mut under = Under::Nothing;
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            if line.starts_with(' ') {
                let part = part(line.trim());
                match &under {
                    Under::Nothing => panic!("{line} belongs to nothing"),
                    Under::Shape(name) => self.shapes.get_mut(name).unwrap().parts.push(part),
                    Under::List(name) => {
                        let kinds = self.lists.get_mut(name).unwrap();
                        kinds.last_mut().unwrap().body.parts.push(part);
                    }
                }
                continue;
            }
            match words[..] {
                ["shape", name, ref rest @ ..] => {
                    let frozen = rest == ["frozen"];
                    assert!(frozen || rest.is_empty(), "{line}");
                    let parts = Vec::new();
                    self.shapes.insert(name.to_owned(), Shape { parts, frozen });
                    under = Under::Shape(name.to_owned());
                }
                ["words", name, "=", ref rest @ ..] => {
                    let each = rest.iter().filter(|word| **word != "|");
                    self.words.insert(
                        name.to_owned(),
                        each.map(|word| (*word).to_owned()).collect(),
                    );
                }
                ["choice", name, "=", ref rest @ ..] => {
                    let each = rest.iter().filter(|word| **word != "|");
                    self.choices
                        .insert(name.to_owned(), each.map(|each| choice(each)).collect());
                }
                ["numbered", name] => {
                    self.lists.insert(name.to_owned(), Vec::new());
                    under = Under::List(name.to_owned());
                }
                [number, name, ref rest @ ..] => {
                    let Under::List(list) = &under else {
                        panic!("{line} belongs to no list")
                    };
                    let body = match rest {
                        // Filled in when all shapes are known.
                        ["=", shape] => Shape {
                            parts: vec![Part::Pair((*shape).to_owned())],
                            frozen: false,
                        },
                        _ => Shape::default(),
                    };
                    self.lists.get_mut(list).unwrap().push(Kind {
                        number: number.parse().unwrap(),
                        name: name.to_owned(),
                        body,
                    });
                }
                _ => panic!("{line} is not understood"),
            }
        }
    }

    /// Gives the kinds whose body is a shape that shape's fields.
    fn resolve(&mut self) {
        for kind in self.lists.values_mut().flatten() {
            if let [Part::Pair(shape)] = &kind.body.parts[..]
                && let Some(shape) = self.shapes.get(shape)
            {
                kind.body = shape.clone();
            }
        }
    }

    pub(crate) fn kind(&self, list: &str, name: &str) -> Option<&Kind> {
        self.lists[list].iter().find(|kind| kind.name == name)
    }

    pub(crate) fn kind_of_number(&self, list: &str, number: u16) -> Option<&Kind> {
        self.lists[list].iter().find(|kind| kind.number == number)
    }

    /// Every shape and body that may grow.
    pub(crate) fn growing(&mut self) -> impl Iterator<Item = &mut Shape> {
        let bodies = self.lists.values_mut().flatten();
        self.shapes
            .values_mut()
            .chain(bodies.map(|kind| &mut kind.body))
            .filter(|shape| !shape.frozen)
    }
}

enum Under {
    Nothing,
    Shape(String),
    List(String),
}

/// `name type`, `name type = default` or `kind, body of List`.
fn part(line: &str) -> Part {
    if let Some(list) = line.strip_prefix("kind, body of ") {
        return Part::Pair(list.to_owned());
    }
    let (declared, default) = match line.split_once(" = ") {
        Some((declared, default)) => (declared, Some(default)),
        None => (line, None),
    };
    let (name, of) = declared.split_once(' ').expect("a name and a type");
    let of = of_name(of);
    let default = match (&of, default) {
        (Type::Optional(_), None) => Some(Value::Null),
        (Type::List(_), None) => Some(json!([])),
        (_, None) => None,
        (_, Some(given)) => Some(serde_json::from_str(given).unwrap_or_else(|_| json!(given))),
    };
    Part::Field(Field {
        name: name.to_owned(),
        of,
        default,
    })
}

/// `name` or `name(type)`.
fn choice(text: &str) -> (String, Option<Type>) {
    match text.split_once('(') {
        Some((name, of)) => (name.to_owned(), Some(of_name(of.trim_end_matches(')')))),
        None => (text.to_owned(), None),
    }
}

fn of_name(name: &str) -> Type {
    if let Some(inner) = name.strip_suffix('?') {
        return Type::Optional(Box::new(of_name(inner)));
    }
    if let Some(inner) = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        return Type::List(Box::new(of_name(inner)));
    }
    if let Some(length) = name.strip_prefix("bytes[") {
        return Type::Fixed(length.trim_end_matches(']').parse().unwrap());
    }
    match name {
        "u16" => Type::Number(16),
        "u32" => Type::Number(32),
        "u64" | "time" => Type::Number(64),
        "bool" => Type::Bool,
        "string" => Type::Text,
        "bytes" => Type::Bytes,
        "id" => Type::Fixed(16),
        other => Type::Named(other.to_owned()),
    }
}
