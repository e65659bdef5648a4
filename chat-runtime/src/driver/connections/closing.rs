//! Connections that are being closed: by when, and how many of them were never let in.

use std::{collections::VecDeque, time::Duration};

use chat_core::{id::ConnId, time::Monotonic, wire::CloseReason};

/// Connections that were refused for want of a place and have not closed yet. They are not counted
/// among those that are let in, so they have a bound of their own.
const REFUSED: usize = 256;

/// The connections that are being closed.
#[derive(Debug)]
pub(super) struct Closing {
    /// How long one may take.
    time: Duration,
    deadlines: VecDeque<(Monotonic, ConnId)>,
    refused: VecDeque<ConnId>,
}

impl Closing {
    pub(super) fn new(time: Duration) -> Self {
        Self {
            time,
            deadlines: VecDeque::new(),
            refused: VecDeque::new(),
        }
    }

    /// The connection is being closed from now on, or goes on being closed; says until when.
    pub(super) fn wait(&mut self, now: Monotonic, conn: ConnId) -> Monotonic {
        let deadline = now + self.time;
        self.deadlines.push_back((deadline, conn));
        deadline
    }

    /// The connection is closed for this reason. Says which other one has to go at once, if too
    /// many were refused.
    pub(super) fn refuse(&mut self, conn: ConnId, reason: CloseReason) -> Option<ConnId> {
        if !matches!(reason, CloseReason::Full | CloseReason::TooManyConnections) {
            return None;
        }
        self.refused.push_back(conn);
        if self.refused.len() <= REFUSED {
            return None;
        }
        self.refused.pop_front()
    }

    /// When the next deadline is.
    pub(super) fn next_due(&self) -> Option<Monotonic> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// A connection whose time is up. It may be gone.
    pub(super) fn take_due(&mut self, now: Monotonic) -> Option<ConnId> {
        if self.next_due()? > now {
            return None;
        }
        self.deadlines.pop_front().map(|(_, conn)| conn)
    }
}
