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
    /// Reads a snapshot of an older form: every form there has been can be read. `None`: there has been no such form.
    fn thaw_older(form: u8, state: &[u8]) -> Option<Result<Self, tagged::BodyError>>;
    /// About how many entries' worth of work it is to write this state down.
    fn weight(&self) -> u64;
}

/// A state as a snapshot.
pub(crate) fn freeze<S: Fold>(state: &S) -> Bytes {
    let mut out = vec![S::FORM];
    tagged::extend(state, &mut out);
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
    S::thaw_older(form, state).unwrap_or_else(|| {
        Err(tagged::BodyError(format!(
            "a snapshot of form {form}, which only another version of this program can read"
        )))
    })
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
