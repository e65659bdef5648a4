//! What somebody is called, in one piece of memory that everybody shares who has to know; and who is called so.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use crate::{
    id::MemberId,
    nick::{NameKey, bare},
};

/// Between the parts of what somebody is called: no name and no label has one.
const END: char = '\n';

/// A nick and a label, and the forms of the nick that are compared.
#[derive(Clone, Debug)]
pub(crate) struct Called(Arc<str>);

impl Called {
    pub(crate) fn new(nick: &str, label: &str, key: &NameKey) -> Self {
        let NameKey { folded, skeleton } = key;
        Self(format!("{nick}{END}{label}{END}{folded}{END}{skeleton}").into())
    }

    /// As a record tells it.
    pub(crate) fn shown(nick: &str, label: &str) -> Self {
        Self(format!("{nick}{END}{label}").into())
    }

    pub(crate) fn nick(&self) -> &str {
        self.parts().0
    }

    pub(crate) fn label(&self) -> &str {
        self.parts().1
    }

    /// The nick and the label.
    pub(crate) fn parts(&self) -> (&str, &str) {
        let (nick, rest) = first(&self.0);
        (nick, first(rest).0)
    }

    /// The comparison form and the skeleton; empty if it is only shown.
    pub(crate) fn key(&self) -> (&str, &str) {
        first(first(first(&self.0).1).1)
    }
}

/// The first part and what is behind it. They are short: looking at each byte is faster than anything clever.
fn first(parts: &str) -> (&str, &str) {
    match parts.bytes().position(|byte| byte == END as u8) {
        Some(at) => (&parts[..at], &parts[at + 1..]),
        None => (parts, ""),
    }
}

/// Whether it is told alike.
impl PartialEq for Called {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.parts() == other.parts()
    }
}

/// Who holds which form of a name, by a hash of it: what is hashed stands with the member. Two names of one hash would count as one;
/// that happens to nobody by chance, and who looks for such a pair keeps only names of their own from each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Holders(BTreeMap<u64, MemberId>);

impl Holders {
    pub(crate) fn get(&self, form: &str) -> Option<MemberId> {
        self.0.get(&hash(form)).copied()
    }

    pub(crate) fn insert(&mut self, form: &str, member: MemberId) {
        self.0.insert(hash(form), member);
    }

    pub(crate) fn remove(&mut self, form: &str) {
        self.0.remove(&hash(form));
    }
}

/// Who holds which name that has combining marks, by a hash of each of its forms without them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Marked(BTreeSet<(u64, MemberId)>);

impl Marked {
    pub(crate) fn get(&self, (folded, skeleton): (&str, &str)) -> impl Iterator<Item = MemberId> {
        let (first, last) = (MemberId([0; 16]), MemberId([255; 16]));
        [hash(folded), hash(skeleton)]
            .into_iter()
            .flat_map(move |form| self.0.range((form, first)..=(form, last)))
            .map(|(_, member)| *member)
    }

    pub(crate) fn insert(&mut self, (folded, skeleton): (&str, &str), member: MemberId) {
        let forms = [folded, skeleton].into_iter().filter_map(unmarked);
        self.0.extend(forms.map(|bare| (hash(&bare), member)));
    }

    pub(crate) fn remove(&mut self, (folded, skeleton): (&str, &str), member: MemberId) {
        for bare in [folded, skeleton].into_iter().filter_map(unmarked) {
            self.0.remove(&(hash(&bare), member));
        }
    }
}

/// A form without its marks, if it has any.
fn unmarked(form: &str) -> Option<String> {
    Some(bare(form).into_owned()).filter(|bare| bare != form)
}

/// The same in every hub of a process, which is all that is asked of it: it is never written down.
fn hash(form: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    form.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_parts_are_found_again() {
        let key = |folded: &str, skeleton: &str| NameKey {
            folded: folded.to_owned(),
            skeleton: skeleton.to_owned(),
        };
        let maya = Called::new("Maya", "", &key("maya", "rnaya"));
        assert_eq!((maya.nick(), maya.label()), ("Maya", ""));
        assert_eq!(maya.key(), ("maya", "rnaya"));
        assert_eq!(maya, Called::shown("Maya", ""));
        assert_ne!(maya, Called::shown("Maya", "g1"));
        assert_eq!(Called::shown("Maya", "g1").key(), ("", ""));
    }
}
