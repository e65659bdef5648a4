//! What the logs say, folded: the directory and the rooms.
//!
//! A fold reads its own partition and nothing else: no clock, no configuration, no Unicode table. Whatever it needs
//! travels in the record, so that two hubs fed the same records hold the same state. Whether something *may* become a
//! record is judged before, against the state at the head of the log.

pub(crate) mod called;
pub(crate) mod directory;
pub(crate) mod mutes;
pub(crate) mod results;
pub(crate) mod room;
mod snapshot;

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{id::Seq, wire::tagged};

/// A partition's state, folded from its records.
pub(crate) trait Fold: Default + Clone + PartialEq + Serialize + DeserializeOwned {
    /// What the partition's log consists of.
    type Entry: Clone;

    /// The entry's number.
    fn seq(entry: &Self::Entry) -> Seq;
    /// The entry as the log keeps it.
    fn encode(entry: &Self::Entry) -> Bytes;
    /// Reads what [`encode`](Self::encode) wrote. A log holds only what a hub wrote, so a fault here is a damaged log.
    fn decode(bytes: &[u8]) -> Result<Self::Entry, tagged::BodyError>;
    /// Takes one committed entry in.
    fn apply(&mut self, entry: &Self::Entry);
    /// The form of this state's snapshots, one more with each change of what is in them.
    const FORM: u8;
    /// About how many entries' worth of work it is to write this state down.
    fn weight(&self) -> u64;
}

/// A state as a snapshot.
pub(crate) fn freeze<S: Fold>(state: &S) -> Bytes {
    let mut out = vec![S::FORM];
    tagged::extend(state, &mut out);
    // It is kept for long.
    out.shrink_to_fit();
    out.into()
}

/// A snapshot as a state.
pub(crate) fn thaw<S: Fold>(snapshot: &[u8]) -> Result<S, tagged::BodyError> {
    let Some((&form, state)) = snapshot.split_first() else {
        return Err(tagged::BodyError("an empty snapshot".to_owned()));
    };
    if form == S::FORM {
        return tagged::take(state);
    }
    Err(tagged::BodyError(format!(
        "a snapshot of form {form}, which only another version of this program can read"
    )))
}

/// The state after these records, which follow what a snapshot covers, as a snapshot.
pub(crate) fn fold<S: Fold>(
    snapshot: Option<&[u8]>,
    records: &[Bytes],
) -> Result<Bytes, tagged::BodyError> {
    let mut state = snapshot.map_or_else(|| Ok(S::default()), thaw)?;
    for bytes in records {
        state.apply(&S::decode(bytes)?);
    }
    Ok(freeze(&state))
}

/// What becomes of a request when it is judged at the head of the log.
#[derive(Debug)]
pub(crate) enum Verdict<B, R> {
    /// It becomes these records, in this order, the first of them its own.
    Accept(Vec<B>),
    /// It was done before; this is what came of it.
    Repeat(R),
    /// There is nothing to do: things are as asked.
    Already,
    /// It may not be done.
    Refuse(crate::wire::Refusal),
    /// That depends on what is ahead of it in this batch: judge again when that is committed.
    Wait,
}

/// A refusal in one line.
pub(crate) fn refuse<B, R>(
    code: crate::wire::ErrorCode,
    text: impl Into<Cow<'static, str>>,
) -> Verdict<B, R> {
    Verdict::Refuse(code.because(text.into().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{
        Fold,
        directory::{Change, Directory, Entry},
        freeze,
        room::{REDACTIONS, Room},
        thaw,
    };
    use crate::{
        id::{MemberId, Place, RoomId},
        time::Wall,
        wire::{
            Record,
            record::{Created, RecordBody, Redacted, RoomKind},
        },
    };

    fn room(bodies: impl IntoIterator<Item = RecordBody>) -> Room {
        let created = RecordBody::Created(Created {
            kind: RoomKind::Lobby,
            topic: "tea".to_owned(),
            cipher: Default::default(),
            key: None,
            history: Default::default(),
            presence: Default::default(),
            password: None,
            members: Vec::new(),
        });
        let mut room = Room::default();
        for (seq, body) in (1..).zip([created].into_iter().chain(bodies)) {
            room.apply(&Record {
                seq,
                time: Wall(0),
                member: MemberId([seq as u8; 16]),
                nick: String::new(),
                label: String::new(),
                txn: seq,
                body,
            });
        }
        room
    }

    #[test]
    fn the_topic_that_is_listed_is_the_latest_in_whatever_order_they_come() {
        let room = RoomId([9; 16]);
        let title = |topic: &str, epoch, seq| Change::Titled {
            room,
            topic: topic.to_owned(),
            place: Place { epoch, seq },
        };
        let changes = [
            Change::Listed {
                room,
                number: 0,
                name: None,
                topic: String::new(),
                cipher: Default::default(),
                protected: false,
            },
            title("a", 5, 7),
            title("b", 5, 6),
            // In another life of the room's log everything is news.
            title("c", 2, 3),
            title("d", 2, 2),
        ];
        let mut directory = Directory::default();
        let topics = (1..).zip(changes).map(|(seq, change)| {
            let (time, member) = (Wall(0), MemberId::SERVER);
            directory.apply(&Entry {
                seq,
                time,
                member,
                txn: 0,
                change,
            });
            directory.group(room).map(|group| group.topic.clone())
        });
        let topics: Vec<String> = topics.flatten().collect();
        assert_eq!(topics, ["", "a", "a", "c", "c"]);
    }

    #[test]
    fn a_snapshot_of_a_later_form_is_refused_in_words() {
        let mut later = freeze(&room([])).to_vec();
        later[0] = 200;
        let error = thaw::<Room>(&later).unwrap_err().to_string();
        assert!(error.contains("form 200"), "{error}");
    }

    #[test]
    fn the_last_redactions_are_remembered() {
        let all = 3 * REDACTIONS as u64;
        let room = room((0..all).map(|seq| RecordBody::Redacted(Redacted { seq })));
        assert_eq!(room.redactions.len(), REDACTIONS);
        assert_eq!(room.redactions.back(), Some(&(all - 1, all + 1)));
        assert_eq!(thaw::<Room>(&freeze(&room)).unwrap(), room);
    }
}
