//! How calls of the log end, and what the hub is told of that.

use bytes::Bytes;
use chat_core::{
    hub::{Input, ReadToken},
    id::{Partition, Place},
    log::{AppendRefused, Appended, Head, LogUnavailable, Page, ReadFailed, SnapshotId},
};

use crate::shared::Turn;

/// How a call of the log ended.
#[derive(Debug)]
pub(super) enum Done {
    Append {
        partition: Partition,
        bytes: usize,
        end: Appended,
        /// The head had moved: to try again.
        turn: Option<Turn>,
    },
    Read {
        token: ReadToken,
        partition: Partition,
        page: Result<Page, ReadFailed>,
    },
    ReadPart {
        token: ReadToken,
        partition: Partition,
        part: Result<Bytes, ReadFailed>,
    },
    Heads {
        token: ReadToken,
        heads: Result<Vec<Head>, LogUnavailable>,
    },
    Part {
        partition: Partition,
        id: SnapshotId,
        index: u32,
        bytes: usize,
        done: Result<(), LogUnavailable>,
    },
    Manifest,
    Redact {
        partition: Partition,
        at: Place,
        done: Result<(), LogUnavailable>,
    },
}

impl Done {
    /// Bytes that the log was given with the call.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append { bytes, .. } | Self::Part { bytes, .. } => *bytes,
            _ => 0,
        }
    }

    /// Whether it is the end of an append to a room.
    pub(super) fn is_of_room(&self) -> bool {
        matches!(
            self,
            Self::Append {
                partition: Partition::Room(_),
                ..
            }
        )
    }

    /// Whether another hub was faster.
    pub(super) fn is_mismatch(&self) -> bool {
        matches!(
            self,
            Self::Append {
                end: Appended::Refused(AppendRefused::Mismatch),
                ..
            }
        )
    }

    /// The turn to try again, if there is one to be kept.
    pub(super) fn turn(&mut self) -> Option<(Partition, Turn)> {
        match self {
            Self::Append {
                partition, turn, ..
            } => Some((*partition, turn.take()?)),
            _ => None,
        }
    }

    /// The word for the hub.
    pub(super) fn input(self) -> Option<Input<'static>> {
        match self {
            Self::Append {
                partition,
                end: Appended::Committed(head),
                ..
            } => Some(Input::Committed { partition, head }),
            Self::Append {
                partition,
                end: Appended::Refused(why),
                ..
            } => Some(Input::Refused { partition, why }),
            Self::Append {
                partition,
                end: Appended::Unknown,
                ..
            } => Some(Input::Unknown { partition }),
            Self::Read {
                token,
                partition,
                page,
            } => Some(Input::Page {
                partition,
                token: Some(token),
                page,
            }),
            Self::ReadPart {
                token,
                partition,
                part,
            } => Some(Input::Part {
                partition,
                token,
                part,
            }),
            Self::Heads { token, heads } => Some(Input::Heads { token, heads }),
            Self::Part {
                partition,
                id,
                index,
                done,
                ..
            } => Some(Input::Kept {
                partition,
                id,
                index,
                done,
            }),
            Self::Redact {
                partition,
                at,
                done,
            } => Some(Input::Redacted {
                partition,
                at,
                done,
            }),
            Self::Manifest => None,
        }
    }
}
