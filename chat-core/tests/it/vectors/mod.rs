//! Files of `docs/vectors`: each holds cases of what goes in and what must come out.
//!
//! With `CHAT_WRITE_VECTORS=1` in the environment what comes out is written into the files instead
//! of being compared: for a change of the protocol, and for new cases.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses its part"
)]

pub mod examples;

use std::path::PathBuf;

use serde_json::{Map, Value, json};

/// One case of a file. What goes in and what comes out stand side by side; `about` at the head of
/// the file says which is which.
pub struct Case(pub Map<String, Value>);

impl Case {
    pub fn text(&self, name: &str) -> String {
        self.0[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name} is no text"))
            .to_owned()
    }

    pub fn number(&self, name: &str) -> i64 {
        self.0[name]
            .as_i64()
            .unwrap_or_else(|| panic!("{name} is no number"))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0[name]
            .as_bool()
            .unwrap_or_else(|| panic!("{name} is no bool"))
    }

    pub fn bytes<const N: usize>(&self, name: &str) -> [u8; N] {
        let bytes = unhex(&self.text(name));
        let length = bytes.len();
        bytes
            .try_into()
            .unwrap_or_else(|_| panic!("{name} has {length} bytes"))
    }

    pub fn optional_bytes<const N: usize>(&self, name: &str) -> Option<[u8; N]> {
        self.0.contains_key(name).then(|| self.bytes(name))
    }

    /// The output of this name.
    pub fn gives(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }
}

/// Works out every case of a file again.
pub fn check(file: &str, work_out: impl Fn(&mut Case)) {
    let written = read(file);
    let cases = written["cases"].as_array().expect("a file has cases");
    assert!(!cases.is_empty(), "{file} has no cases");
    let work_out = |case: &Value| {
        let mut case = Case(case.as_object().expect("a case is an object").clone());
        work_out(&mut case);
        Value::Object(case.0)
    };
    compare(
        file,
        &written["about"],
        cases.iter().map(work_out).collect(),
    );
}

/// Compares a file with what it must be.
pub fn compare(file: &str, about: &Value, cases: Vec<Value>) {
    if std::env::var_os("CHAT_WRITE_VECTORS").is_some() {
        let all = json!({ "about": about, "cases": cases });
        std::fs::write(
            path(file),
            serde_json::to_string_pretty(&all).unwrap() + "\n",
        )
        .unwrap();
        return;
    }
    let written = read(file);
    assert_eq!(&written["about"], about);
    let before = written["cases"].as_array().expect("a file has cases");
    for (number, (case, before)) in cases.iter().zip(before).enumerate() {
        assert_eq!(case, before, "{file}, case {number} counted from 0");
    }
    assert_eq!(
        cases.len(),
        before.len(),
        "{file} has cases too many or too few"
    );
}

pub fn read(file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(file)).unwrap()).unwrap()
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/vectors")
        .join(file)
}

pub fn hex(bytes: &[u8]) -> Value {
    Value::String(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half a byte");
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}
