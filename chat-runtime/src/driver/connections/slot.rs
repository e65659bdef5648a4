//! One connection, and the states that its driver has to keep of it.

use std::{mem, num::NonZeroU32, time::Duration};

use chat_core::{time::Monotonic, wire::Frame};

use super::deferred::DeferredCursor;
use crate::{link::Link, outbox::Spare};

/// How long a frame that may wait is kept back, if the connection was given one no longer ago than
/// this.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// A connection, and what the driver has to know of it.
pub(super) struct ConnectionSlot {
    pub(super) link: Link,
    pub(super) fanouts: Fanouts,
    pub(super) answers: Answers,
    pub(super) reading: Reading,
    pub(super) readiness: Readiness,
    pub(super) deferral: Deferral,
    /// In the list of those to be written to in this turn.
    pub(super) touched: bool,
    /// In the list of those to be looked at, by itself and not by its signal.
    pub(super) queued: bool,
}

/// Whether fan-outs reach a connection, and what of that the hub has yet to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fanouts {
    /// They go into the outbox.
    Delivered,
    /// They are skipped, and so many of them the hub has not been told of.
    Untold(NonZeroU32),
    /// They are skipped as the hub knows, and it is to hear when the outbox is below half.
    AwaitingRoom,
    /// They are skipped as the hub knows, and the word that there is room is on its way to it.
    RoomNoticed,
    /// They are skipped as the hub knows, which has been told that there is room.
    RoomTold,
}

/// Whether the hub may make answers for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// As they come.
    Flowing,
    /// The hub is to hear when the outbox has room for one more.
    AwaitingRoom,
    /// The word that there is room is on its way to the hub.
    RoomNoticed,
    /// More of them wait than are kept, and the hub has not been told. Until then no frame is
    /// taken.
    OverfullUntold,
    /// The hub closes the connection: only the words for that come now.
    OverfullTold,
}

/// Whether a connection is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Open,
    /// Not before the log has caught up.
    AwaitingLog,
    /// Not before the peer has read what it was sent.
    AwaitingPeer,
}

/// How a connection says that there is something to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// By its signal; then it has to be asked.
    Signalled,
    /// By its socket, which the driver watches. `readable`: there may be something. `ends`: there
    /// is an end behind what else there is.
    Watched { readable: bool, ends: bool },
}

/// Frames for one connection that may wait.
#[derive(Debug, Default)]
pub(super) struct Deferral {
    /// They go into the outbox before anything else does.
    pub(super) cursor: DeferredCursor,
    /// In the list of those that are written to when the time is up.
    pub(super) listed: bool,
    /// When the connection was last written such a frame, or something of its own.
    pub(super) written: Monotonic,
}

impl ConnectionSlot {
    pub(super) fn new(link: Link) -> Self {
        let readiness = if link.is_watched() {
            Readiness::Watched {
                readable: false,
                ends: false,
            }
        } else {
            Readiness::Signalled
        };
        Self {
            link,
            fanouts: Fanouts::Delivered,
            answers: Answers::Flowing,
            reading: Reading::Open,
            readiness,
            deferral: Deferral::default(),
            touched: false,
            queued: false,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.link.end.is_some()
    }

    /// Whether a frame that may wait does: the connection was given one just before, and is not
    /// written to in this turn anyway.
    pub(super) fn may_wait(&self, now: Monotonic) -> bool {
        let recently = now < self.deferral.written + PATIENCE;
        !self.touched && (self.deferral.listed || recently)
    }

    /// Bytes that wait for the connection, frames that are kept back included.
    pub(super) fn waiting(&self) -> usize {
        self.link.outbox.bytes() + self.deferral.cursor.bytes()
    }

    /// Puts a frame into the outbox, behind those that are kept back. Says how many frames that
    /// makes.
    pub(super) fn push(&mut self, frame: &Frame, spare: &mut Spare) -> usize {
        let released = self.release(spare);
        self.link.push(frame, spare);
        released + 1
    }

    /// Puts the frames that are kept back into the outbox. Says how many frames that makes.
    pub(super) fn release(&mut self, spare: &mut Spare) -> usize {
        let (cursor, link) = (&mut self.deferral.cursor, &mut self.link);
        if cursor.is_empty() {
            return 0;
        }
        let (frames, bytes) = (cursor.frames(), cursor.bytes());
        if link.is_stream() {
            // They are short, and would be copied to be written anyway.
            let mut all = Vec::with_capacity(bytes);
            cursor.take(|frame| all.extend_from_slice(frame.prefixed()));
            link.outbox.push(all.into(), spare);
            return 1;
        }
        cursor.take(|frame| link.push(frame, spare));
        frames
    }
}

impl Fanouts {
    pub(super) fn are_delivered(self) -> bool {
        self == Self::Delivered
    }

    /// One was skipped that the hub does not know of. Says whether the hub is to be told: if it
    /// knows that fan-outs are skipped, it knows of this one too.
    pub(super) fn skip(&mut self) -> bool {
        match self {
            Self::Delivered => *self = Self::Untold(NonZeroU32::MIN),
            Self::Untold(count) => *count = count.saturating_add(1),
            Self::AwaitingRoom | Self::RoomNoticed | Self::RoomTold => return false,
        }
        true
    }

    /// The hub is told of one that was skipped. Says whether it knows of all now.
    pub(super) fn tell(&mut self) -> bool {
        let Self::Untold(count) = self else {
            debug_assert!(false, "{self:?}: what is told was skipped");
            return false;
        };
        match NonZeroU32::new(count.get() - 1) {
            Some(left) => *count = left,
            None => *self = Self::AwaitingRoom,
        }
        *self == Self::AwaitingRoom
    }

    /// The hub has them skipped.
    pub(super) fn block(&mut self) {
        if !matches!(self, Self::Untold(_)) {
            *self = Self::AwaitingRoom;
        }
    }

    /// The hub wants them delivered again. As long as it does not know of all that were skipped, it
    /// will have to catch up once more.
    pub(super) fn resume(&mut self) {
        if !matches!(self, Self::Untold(_)) {
            *self = Self::Delivered;
        }
    }

    /// The connection was sent something of its own: room is to be told of anew.
    pub(super) fn answered(&mut self) {
        if matches!(self, Self::RoomNoticed | Self::RoomTold) {
            *self = Self::AwaitingRoom;
        }
    }
}

impl Readiness {
    /// There is something to be looked at.
    pub(super) fn set(&mut self, now_readable: bool, now_ends: bool) {
        if let Self::Watched { readable, ends } = self {
            *readable |= now_readable;
            *ends |= now_ends;
        }
    }

    /// Whether it is worth trying to read; not again before it is said anew.
    pub(super) fn take(&mut self) -> bool {
        match self {
            Self::Signalled => true,
            Self::Watched { readable, .. } => mem::take(readable),
        }
    }

    /// Whether a read that did not fill the buffer has taken all there was.
    pub(super) fn short_read_takes_all(self) -> bool {
        matches!(self, Self::Watched { ends: false, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untold(count: u32) -> Fanouts {
        Fanouts::Untold(NonZeroU32::new(count).unwrap())
    }

    #[test]
    fn a_hub_that_does_not_know_all_takes_no_flag_away() {
        let mut fanouts = Fanouts::Delivered;
        assert!(fanouts.skip() && fanouts.skip());
        for meanwhile in [Fanouts::resume, Fanouts::block, Fanouts::answered] {
            meanwhile(&mut fanouts);
            assert_eq!(fanouts, untold(2));
        }
        assert!(!fanouts.tell() && fanouts.tell());
        assert_eq!(fanouts, Fanouts::AwaitingRoom);
        assert!(!fanouts.skip(), "it knows");
        fanouts.resume();
        assert!(fanouts.are_delivered());
    }

    #[test]
    fn an_answer_takes_the_room_that_was_told() {
        for (before, after) in [
            (Fanouts::Delivered, Fanouts::Delivered),
            (Fanouts::AwaitingRoom, Fanouts::AwaitingRoom),
            (Fanouts::RoomNoticed, Fanouts::AwaitingRoom),
            (Fanouts::RoomTold, Fanouts::AwaitingRoom),
        ] {
            let mut fanouts = before;
            fanouts.answered();
            assert_eq!(fanouts, after);
        }
    }
}
