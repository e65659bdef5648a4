//! What the logs say, folded: the directory and the rooms.
//!
//! A fold reads its own partition and nothing else: no clock, no configuration, no Unicode table. Whatever it needs
//! travels in the record, so that two hubs fed the same records hold the same state. Whether something *may* become a
//! record is judged before, against the state at the head of the log.

pub(crate) mod directory;
pub(crate) mod results;
pub(crate) mod room;

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{id::Seq, wire::tagged};

/// The form of snapshots; a snapshot of another form is not read.
const SNAPSHOT_FORM: u8 = 1;

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
    /// About how many entries' worth of work it is to write this state down.
    fn weight(&self) -> u64;
}

/// A state as a snapshot.
pub(crate) fn freeze<S: Fold>(state: &S) -> Bytes {
    let mut out = vec![SNAPSHOT_FORM];
    tagged::extend(state, &mut out);
    out.into()
}

/// A snapshot as a state.
pub(crate) fn thaw<S: Fold>(snapshot: &[u8]) -> Result<S, tagged::BodyError> {
    match snapshot.split_first() {
        Some((&SNAPSHOT_FORM, state)) => tagged::take(state),
        _ => Err(tagged::BodyError(
            "a snapshot of another version".to_owned(),
        )),
    }
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
