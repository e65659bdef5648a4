//! Names and their holders.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use crate::{
    id::MemberId,
    nick::{NameKey, bare},
    small::SmallSet,
    state::kept::Kept,
};

use super::entry::{Change, Entry, Named};

/// The sign between the parts of a name: no name and no label has one.
const END: char = '\n';

/// A name, its label, and the forms under which the name is unique, in one shared piece of memory.
#[derive(Clone, Debug)]
pub(crate) struct DisplayName(Arc<str>);

impl DisplayName {
    pub(crate) fn new(name: &str, label: &str, key: &NameKey) -> Self {
        Self::of_forms(name, label, forms_of(key))
    }

    /// Of the comparison form and the skeleton.
    pub(super) fn of_forms(name: &str, label: &str, (folded, skeleton): (&str, &str)) -> Self {
        // Most forms repeat the part before.
        let skeleton = shorter(skeleton, folded);
        let folded = shorter(folded, name);
        let text = match (folded, skeleton) {
            ("", "") => format!("{name}{END}{label}"),
            (folded, skeleton) => format!("{name}{END}{label}{END}{folded}{END}{skeleton}"),
        };
        Self(text.into())
    }

    /// A name whose forms are of no interest here.
    pub(crate) fn shown(name: &str, label: &str) -> Self {
        Self(format!("{name}{END}{label}").into())
    }

    /// All parts, for snapshots.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn name(&self) -> &str {
        first(&self.0).0
    }

    pub(crate) fn label(&self) -> &str {
        first(first(&self.0).1).0
    }

    /// The name and the label.
    pub(crate) fn parts(&self) -> (&str, &str) {
        (self.name(), self.label())
    }

    /// The comparison form and the skeleton.
    pub(crate) fn forms(&self) -> (&str, &str) {
        let (name, rest) = first(&self.0);
        let (folded, skeleton) = first(first(rest).1);
        let folded = if folded.is_empty() { name } else { folded };
        let skeleton = if skeleton.is_empty() {
            folded
        } else {
            skeleton
        };
        (folded, skeleton)
    }
}

/// A form; empty if it repeats the part before.
fn shorter<'a>(form: &'a str, before: &str) -> &'a str {
    if form == before { "" } else { form }
}

/// The first part and the rest. Parts are short: a plain loop is the fastest.
fn first(parts: &str) -> (&str, &str) {
    match parts.bytes().position(|byte| byte == END as u8) {
        Some(at) => (&parts[..at], &parts[at + 1..]),
        None => (parts, ""),
    }
}

/// Names are equal if they are shown alike, with equal labels.
impl PartialEq for DisplayName {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.parts() == other.parts()
    }
}

/// Holders of names by form: a name is taken if either of its forms is. The index has hashes of the
/// forms, which stand with the holders. Two forms of one hash would count as one: that does not
/// happen by chance, and a member that looks for such a pair keeps only its own names from each
/// other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NameIndex<K> {
    /// By form. Most names have two equal forms, and one entry.
    forms: BTreeMap<u64, K>,
    /// Holders of names with combining marks, by form without marks.
    marked: BTreeMap<u64, SmallSet<K>>,
}

/// The form of a name that an entry is for.
#[derive(Clone, Copy)]
enum Form {
    Folded,
    Skeleton,
    Both,
}

impl<K> Default for NameIndex<K> {
    fn default() -> Self {
        Self {
            forms: BTreeMap::new(),
            marked: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord> NameIndex<K> {
    /// The holder of a name of this comparison form.
    pub(crate) fn folded(&self, key: &NameKey) -> Option<K> {
        self.of(&key.folded, Form::Folded)
    }

    /// Holders of equal names: at most one for each form.
    pub(crate) fn alike(&self, key: &NameKey) -> impl Iterator<Item = K> {
        let folded = self.of(&key.folded, Form::Folded);
        let skeleton = self.of(&key.skeleton, Form::Skeleton);
        folded.into_iter().chain(skeleton)
    }

    /// Holders of names that are equal apart from combining marks.
    pub(crate) fn alike_unmarked(&self, key: &NameKey) -> Vec<K> {
        let folded = bare(&key.folded);
        let skeleton = bare(&key.skeleton);
        let plain = [
            self.of(&folded, Form::Folded),
            self.of(&skeleton, Form::Skeleton),
        ];
        let forms = [hash(&folded, Form::Folded), hash(&skeleton, Form::Skeleton)];
        let marked = forms.iter().filter_map(|form| self.marked.get(form));
        let marked = marked.flat_map(|holders| holders.iter().copied());
        plain.into_iter().flatten().chain(marked).collect()
    }

    fn of(&self, form: &str, which: Form) -> Option<K> {
        let both = self.forms.get(&hash(form, Form::Both));
        both.or_else(|| self.forms.get(&hash(form, which))).copied()
    }

    pub(crate) fn insert(&mut self, forms: (&str, &str), holder: K) {
        for form in hashes(forms).into_iter().flatten() {
            self.forms.insert(form, holder);
        }
        for form in unmarked(forms).into_iter().flatten() {
            self.marked.entry(form).or_default().insert(holder);
        }
    }

    pub(crate) fn remove(&mut self, forms: (&str, &str), holder: K) {
        for form in hashes(forms).into_iter().flatten() {
            if self.forms.get(&form) == Some(&holder) {
                self.forms.remove(&form);
            }
        }
        for form in unmarked(forms).into_iter().flatten() {
            if let Some(holders) = self.marked.get_mut(&form) {
                holders.remove(&holder);
                if holders.is_empty() {
                    self.marked.remove(&form);
                }
            }
        }
    }

    /// The index of all these names, made at once.
    pub(crate) fn build<'a>(names: impl Iterator<Item = (&'a DisplayName, K)>) -> Self {
        let (mut forms, mut marked) = (Vec::new(), BTreeMap::<u64, SmallSet<K>>::new());
        for (name, holder) in names {
            let name = name.forms();
            forms.extend(
                hashes(name)
                    .into_iter()
                    .flatten()
                    .map(|form| (form, holder)),
            );
            for form in unmarked(name).into_iter().flatten() {
                marked.entry(form).or_default().insert(holder);
            }
        }
        Self {
            forms: forms.into_iter().collect(),
            marked,
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.forms.len()
    }
}

fn hashes((folded, skeleton): (&str, &str)) -> [Option<u64>; 2] {
    if folded == skeleton {
        [Some(hash(folded, Form::Both)), None]
    } else {
        let skeleton = hash(skeleton, Form::Skeleton);
        [Some(hash(folded, Form::Folded)), Some(skeleton)]
    }
}

/// Hashes of the forms without marks, as far as a form has marks.
fn unmarked((folded, skeleton): (&str, &str)) -> [Option<u64>; 2] {
    let unmarked = |form, which| {
        let bare = bare(form);
        (bare != form).then(|| hash(&bare, which))
    };
    [
        unmarked(folded, Form::Folded),
        unmarked(skeleton, Form::Skeleton),
    ]
}

/// A hash that is the same in all hubs of a process. It is never written down.
fn hash(form: &str, which: Form) -> u64 {
    let mut hasher = DefaultHasher::new();
    form.hash(&mut hasher);
    hasher.finish() & !3 | which as u64
}

/// The fold of names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Names {
    people: Kept<MemberId, MemberName>,
    index: NameIndex<MemberId>,
}

/// A member's name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MemberName {
    /// The name held, or the last one held.
    pub(crate) name: DisplayName,
    /// Whether the name is held.
    pub(crate) is_held: bool,
    /// Whether the member keeps its secret.
    pub(crate) keep: bool,
}

impl Names {
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.change {
            Change::Named(named) => self.take(named),
            Change::Freed(freed) => freed.members.iter().for_each(|member| self.free(*member)),
            Change::Forgotten(of) => {
                self.free(of.member);
                self.people.remove(&of.member);
            }
            _ => {}
        }
    }

    fn take(&mut self, named: &Named) {
        let Named {
            member,
            nick,
            label,
            key,
            keep,
            invite: _,
        } = named;
        let before = self.people.get(member).filter(|called| called.is_held);
        let is_same = before.is_some_and(|called| called.name.forms() == forms_of(key));
        if !is_same {
            self.free(*member);
            self.index.insert(forms_of(key), *member);
        }
        let called = MemberName {
            name: DisplayName::new(nick, label, key),
            is_held: true,
            keep: *keep,
        };
        self.people.insert(*member, called);
    }

    /// Frees a name that is held.
    fn free(&mut self, member: MemberId) {
        if self.is_held(member)
            && let Some(called) = self.people.get_mut(&member)
        {
            called.is_held = false;
            self.index.remove(called.name.forms(), member);
        }
    }

    pub(crate) fn called(&self, member: MemberId) -> Option<&MemberName> {
        self.people.get(&member)
    }

    /// The nick held, or the last one held; empty for a stranger.
    pub(crate) fn nick(&self, member: MemberId) -> &str {
        self.called(member).map_or("", |called| called.name.name())
    }

    #[cfg(test)]
    pub(crate) fn label(&self, member: MemberId) -> &str {
        self.called(member).map_or("", |called| called.name.label())
    }

    pub(crate) fn is_held(&self, member: MemberId) -> bool {
        self.called(member).is_some_and(|called| called.is_held)
    }

    /// Whether a member keeps its secret.
    pub(crate) fn keeps(&self, member: MemberId) -> bool {
        self.called(member).is_some_and(|called| called.keep)
    }

    pub(crate) fn index(&self) -> &NameIndex<MemberId> {
        &self.index
    }

    /// All names, in the order of the members' ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MemberId, &MemberName)> {
        self.people.iter().map(|(member, called)| (*member, called))
    }

    pub(super) fn people_mut(&mut self) -> &mut Kept<MemberId, MemberName> {
        &mut self.people
    }

    /// The names, of all rows of a snapshot.
    pub(super) fn restored(rows: Vec<(MemberId, MemberName)>) -> Self {
        let held = rows.iter().filter(|(_, called)| called.is_held);
        let index = NameIndex::build(held.map(|(member, called)| (&called.name, *member)));
        Self {
            people: rows.into_iter().collect(),
            index,
        }
    }
}

fn forms_of(key: &NameKey) -> (&str, &str) {
    (&key.folded, &key.skeleton)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nick::Name;

    fn key(folded: &str, skeleton: &str) -> NameKey {
        NameKey {
            folded: folded.to_owned(),
            skeleton: skeleton.to_owned(),
        }
    }

    #[test]
    fn the_parts_of_a_name_are_found_again() {
        for (folded, skeleton) in [
            ("maya", "rnaya"),
            ("rnaya", "rnaya"),
            ("Maya", "rnaya"),
            ("Maya", "Maya"),
        ] {
            let maya = DisplayName::new("Maya", "g1", &key(folded, skeleton));
            assert_eq!(maya.parts(), ("Maya", "g1"));
            assert_eq!(maya.forms(), (folded, skeleton));
            assert_eq!(maya, DisplayName::shown("Maya", "g1"));
            assert_ne!(maya, DisplayName::shown("Maya", ""));
        }
    }

    #[test]
    fn a_name_is_taken_under_either_form_and_only_under_the_same_one() {
        let mut index = NameIndex::default();
        index.insert(("a", "b"), 1);
        index.insert(("c", "c"), 2);
        let alike = |folded, skeleton| index.alike(&key(folded, skeleton)).collect::<Vec<_>>();
        assert_eq!(alike("a", "x"), [1]);
        assert_eq!(alike("x", "b"), [1]);
        assert!(alike("b", "a").is_empty());
        assert_eq!(alike("c", "x"), [2]);
        assert_eq!(alike("x", "c"), [2]);
        assert_eq!(alike("a", "c"), [1, 2]);
        assert_eq!(index.folded(&key("c", "")), Some(2));
        assert_eq!(index.folded(&key("b", "")), None);
    }

    #[test]
    fn nothing_is_left_of_a_name_that_was_given_up() {
        let mut index = NameIndex::default();
        let name = |nick| Name::nick(nick, 64).unwrap().key;
        for (holder, nick) in [(1, "Mayạ"), (2, "Máya"), (3, "paypaI")] {
            index.insert(forms_of(&name(nick)), holder);
        }
        let mut alike = index.alike_unmarked(&name("maya"));
        alike.sort_unstable();
        alike.dedup();
        assert_eq!(alike, [1, 2]);
        for (holder, nick) in [(1, "Mayạ"), (2, "Máya"), (3, "paypaI")] {
            index.remove(forms_of(&name(nick)), holder);
        }
        assert_eq!(index, NameIndex::default());
    }

    #[test]
    fn an_index_made_at_once_is_the_one_that_grew() {
        let nicks = ["ada", "Mayạ", "paypaI", "Zoë", "x"];
        let names = nicks.map(|nick| {
            let name = Name::nick(nick, 64).unwrap();
            DisplayName::new(&name.shown, "", &name.key)
        });
        let mut grown = NameIndex::default();
        for (holder, name) in names.iter().enumerate() {
            grown.insert(name.forms(), holder);
        }
        let built = NameIndex::build(names.iter().enumerate().map(|(n, name)| (name, n)));
        assert_eq!(built, grown);
    }
}
