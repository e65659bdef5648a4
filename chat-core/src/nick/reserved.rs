//! Names that are nobody's.

use std::collections::BTreeSet;

use super::{Name, NameError, NameKey, bare, key};

/// Names that are kept from everybody, as nicks and as labels, in whatever spelling: against them
/// combining marks do not count. One with signs of its own, such as `[private]`, is also no part of
/// a nick or label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Without decoration.
    cores: BTreeSet<String>,
    /// Those that have decoration, with it.
    signs: BTreeSet<String>,
}

/// The reserved names by default: those that a program's own words could be taken for.
pub const RESERVED: [&str; 4] = ["server", "system", "admin", "[private]"];

impl Reserved {
    /// Reserves these names.
    ///
    /// # Errors
    /// One that cannot be a name.
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Result<Self, NameError> {
        let (mut cores, mut signs) = (BTreeSet::new(), BTreeSet::new());
        for name in names {
            let name = name.as_ref();
            let core = bare_forms(&Name::enforce(name, name.len(), true)?.key);
            let whole = bare_forms(&Name::enforce(name, name.len(), false)?.key);
            signs.extend(whole.into_iter().filter(|form| !core.contains(form)));
            cores.extend(core);
        }
        Ok(Self { cores, signs })
    }

    /// Whether a nick is one of them, or looks like one.
    pub fn has(&self, nick: &Name) -> bool {
        self.is_one(&nick.key) || self.has_part(&nick.shown)
    }

    /// Whether a label is one of them, or looks like one.
    pub fn has_label(&self, label: &str) -> bool {
        if label.is_empty() {
            return false;
        }
        // A label that can be no name is none of them.
        key(label, true).is_ok_and(|key| self.is_one(&key)) || self.has_part(label)
    }

    fn is_one(&self, key: &NameKey) -> bool {
        let forms = [&key.folded, &key.skeleton];
        forms.iter().any(|form| self.cores.contains(&*bare(form)))
    }

    fn has_part(&self, text: &str) -> bool {
        if self.signs.is_empty() || text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        let forms = key(text, false).map(|key| bare_forms(&key));
        forms.is_ok_and(|forms| {
            let holds = |sign: &String| forms.iter().any(|form| form.contains(sign));
            self.signs.iter().any(holds)
        })
    }
}

impl Default for Reserved {
    fn default() -> Self {
        Self::new(RESERVED).expect("these are names")
    }
}

fn bare_forms(key: &NameKey) -> [String; 2] {
    [&key.folded, &key.skeleton].map(|form| bare(form).into_owned())
}
