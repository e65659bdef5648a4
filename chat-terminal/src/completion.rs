//! The words that Tab completes: commands, and the nicks of members who are in the room that is
//! spoken in, or were heard there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chat_core::{
    id::{MemberId, RoomId},
    wire::{
        record::{Record, RecordBody},
        server::PresenceUpdate,
    },
};

use crate::{commands::COMMANDS, visible::visible};

/// Nicks of one room that are remembered. In a room of more, Tab knows some of them.
const KEPT: usize = 1_000;

/// The names of all rooms, shared with the line editor.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    rooms: BTreeMap<RoomId, BTreeMap<MemberId, String>>,
    current: Option<RoomId>,
}

/// The answer to a Tab.
#[derive(Debug, PartialEq, Eq)]
pub struct Completion {
    /// From here to the cursor…
    pub start: usize,
    /// …this takes the place of what is there.
    pub text: String,
    /// The words to choose from, where the text is only what all of them begin with.
    pub choices: Option<String>,
}

impl Names {
    /// The room that is spoken in.
    pub(crate) fn speak_in(&self, room: Option<RoomId>) {
        self.lock().current = room;
    }

    /// Members are there.
    pub(crate) fn present(&self, room: RoomId, update: &PresenceUpdate) {
        let known = &mut *self.lock();
        let names = known.rooms.entry(room).or_default();
        match update {
            PresenceUpdate::Full(full) => {
                names.clear();
                full.people
                    .iter()
                    .for_each(|person| add(names, person.member, &person.nick));
            }
            PresenceUpdate::Changes(changes) => {
                for person in &changes.gone {
                    names.remove(&person.member);
                }
                let renamed = changes.renamed.iter().map(|renamed| &renamed.to);
                for person in changes.here.iter().chain(renamed) {
                    add(names, person.member, &person.nick);
                }
            }
            _ => {}
        }
    }

    /// Something happened there.
    pub(crate) fn heard(&self, room: RoomId, record: &Record) {
        let known = &mut *self.lock();
        let names = known.rooms.entry(room).or_default();
        match &record.body {
            RecordBody::Left(_) => drop(names.remove(&record.member)),
            RecordBody::Kicked(removal) | RecordBody::Banned(removal) => {
                names.remove(&removal.target);
            }
            _ => add(names, record.member, &record.nick),
        }
    }

    /// The room was left.
    pub(crate) fn forget(&self, room: RoomId) {
        self.lock().rooms.remove(&room);
    }

    /// Completes the word before the cursor. What is no beginning of anything gets a blank: a tab
    /// is never said.
    pub fn complete(&self, line: &str, at: usize) -> Completion {
        let before = line.get(..at).unwrap_or(line);
        let start = before
            .char_indices()
            .rev()
            .find(|(_, c)| c.is_whitespace())
            .map_or(0, |(index, c)| index + c.len_utf8());
        let word = &before[start..];
        let known = self.lock();
        let candidates: Vec<&str> = match word {
            "" => Vec::new(),
            _ if start == 0 && word.starts_with('/') => {
                let names = COMMANDS.iter().map(|command| command.name);
                let mut names: Vec<&str> = names.filter(|n| n.starts_with(&word[1..])).collect();
                names.sort_unstable();
                names
            }
            _ => {
                let begins = |nick: &&str| begins(nick, word.strip_prefix('@').unwrap_or(word));
                let names = known.current.and_then(|room| known.rooms.get(&room));
                let mut nicks: Vec<&str> = names
                    .into_iter()
                    .flat_map(BTreeMap::values)
                    .map(String::as_str)
                    .filter(begins)
                    .collect();
                nicks.sort_unstable();
                nicks.dedup();
                nicks
            }
        };
        let mark = match word.chars().next() {
            Some(mark @ ('/' | '@')) => mark.to_string(),
            _ => String::new(),
        };
        match candidates.as_slice() {
            [] => Completion {
                start: at,
                text: " ".to_owned(),
                choices: None,
            },
            [only] => {
                let after = if start == 0 && mark.is_empty() {
                    ": "
                } else {
                    " "
                };
                Completion {
                    start,
                    text: format!("{mark}{only}{after}"),
                    choices: None,
                }
            }
            [first, rest @ ..] => {
                let shared = rest
                    .iter()
                    .fold(*first, |shared, next| common(shared, next));
                let text = if shared.len() > word.len() - mark.len() {
                    format!("{mark}{shared}")
                } else {
                    word.to_owned()
                };
                Completion {
                    start,
                    text,
                    choices: Some(candidates.join("  ")),
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A nick that does not look like what it is can only be typed.
fn add(names: &mut BTreeMap<MemberId, String>, member: MemberId, nick: &str) {
    let is_new = !names.contains_key(&member);
    if visible(nick) == nick && !nick.is_empty() && !(is_new && names.len() >= KEPT) {
        names.insert(member, nick.to_owned());
    }
}

/// In whatever case.
fn begins(nick: &str, word: &str) -> bool {
    nick.to_lowercase().starts_with(&word.to_lowercase())
}

/// The beginning that both share.
fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let differs = one
        .char_indices()
        .zip(other.chars())
        .find(|((_, a), b)| a != b)
        .map(|((index, _), _)| index);
    // If neither differs, the shorter one is the beginning of the other.
    &one[..differs.unwrap_or(one.len().min(other.len()))]
}

#[cfg(test)]
mod tests {
    use chat_core::{
        time::Wall,
        wire::{
            record::{Joined, Left, LeftReason, Person},
            server::{People, PresenceChanges, Renamed},
        },
    };

    use super::*;

    fn person(number: u8, nick: &str) -> Person {
        Person {
            member: MemberId([number; 16]),
            nick: nick.to_owned(),
            label: String::new(),
        }
    }

    fn in_lobby(nicks: &[&str]) -> Names {
        let names = Names::default();
        let people = (1..).zip(nicks).map(|(number, nick)| person(number, nick));
        let people = people.collect();
        names.present(RoomId::LOBBY, &PresenceUpdate::Full(People { people }));
        names.speak_in(Some(RoomId::LOBBY));
        names
    }

    fn text(names: &Names, line: &str) -> String {
        let completion = names.complete(line, line.len());
        format!("{}{}", &line[..completion.start], completion.text)
    }

    #[test]
    fn nicks_and_commands_are_completed() {
        let names = in_lobby(&["Adina", "Berl", "Bernard", "Łucja"]);
        for (line, expected) in [
            ("Ad", "Adina: "),
            ("ad", "Adina: "),
            ("hello ad", "hello Adina "),
            ("@ad", "@Adina "),
            ("/msg łu", "/msg Łucja "),
            ("b", "Ber"),
            ("Ber", "Ber"),
            ("/hel", "/help "),
            ("/un", "/un"),
            // A tab is never said.
            ("", " "),
            ("x", "x "),
            ("/nonsense", "/nonsense "),
            ("say /hel", "say /hel "),
            ("a ", "a  "),
        ] {
            assert_eq!(text(&names, line), expected, "{line:?}");
        }
    }

    #[test]
    fn what_there_is_to_choose_from_is_told() {
        let names = in_lobby(&["Berl", "Bernard", "Bert"]);
        let completion = names.complete("Ber", 3);
        assert_eq!(completion.choices.as_deref(), Some("Berl  Bernard  Bert"));
        assert_eq!(names.complete("Bert", 4).choices, None);
    }

    #[test]
    fn only_the_word_before_the_cursor_counts() {
        let names = in_lobby(&["Adina"]);
        assert_eq!(
            names.complete("ad hello", 2),
            Completion {
                start: 0,
                text: "Adina: ".into(),
                choices: None
            }
        );
    }

    #[test]
    fn who_comes_goes_and_is_renamed_is_known() {
        let names = in_lobby(&["Adina", "Berl"]);
        let changes = PresenceChanges {
            here: vec![person(3, "Cora")],
            gone: vec![person(1, "Adina")],
            renamed: vec![Renamed {
                from: "Berl".into(),
                to: person(2, "Dov"),
            }],
        };
        names.present(RoomId::LOBBY, &PresenceUpdate::Changes(changes));
        assert_eq!(text(&names, "C"), "Cora: ");
        assert_eq!(text(&names, "D"), "Dov: ");
        assert_eq!(text(&names, "A"), "A ");
        let happens = |body| {
            let record = Record {
                member: MemberId([4; 16]),
                nick: "Ezra".into(),
                txn: 1,
                ..Record::by_server(1, Wall(0), body)
            };
            names.heard(RoomId::LOBBY, &record);
        };
        let left = RecordBody::Left(Left {
            reason: LeftReason::Asked,
        });
        happens(RecordBody::Joined(Joined {}));
        assert_eq!(text(&names, "E"), "Ezra: ");
        happens(left);
        assert_eq!(text(&names, "E"), "E ");
        happens(RecordBody::Joined(Joined {}));
        names.forget(RoomId::LOBBY);
        assert_eq!(text(&names, "E"), "E ");
    }

    #[test]
    fn a_nick_that_hides_something_is_not_offered() {
        let names = in_lobby(&["Ad\u{200b}ina"]);
        assert_eq!(text(&names, "Ad"), "Ad ");
    }
}
