//! A command on its way.

use core::time::Duration;

use super::{
    super::command::{Command, CommandError, Ticket},
    lane::Lane,
    pacing::Class,
    pages::Pages,
};
use crate::{
    id::RoomId,
    time::{Monotonic, Now, Wall},
    wire::client::{Create, Join, Op},
};

/// A request that is in doubt for longer is not sent again: a server forgets a session's results
/// when they are an hour behind.
const DOUBT: Duration = Duration::from_secs(50 * 60);

/// A command, and how far it has come. A job is in the outbox or in one hand: it goes back, or it
/// ends.
#[derive(Debug)]
pub(in super::super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) lane: Lane,
    pub(super) command: Command,
    /// The number of its request in the session, once it has one.
    pub(super) txn: Option<u64>,
    pub(super) ask: Ask,
    pub(super) trail: Trail,
    pub(super) aim: Aim,
    /// Refusals for a time.
    pub(super) refusals: u32,
    /// Beginnings anew after `stale_proof`.
    pub(super) restarts: u32,
    /// Sessions that were taken because its number was in use.
    pub(super) renewals: u32,
    pub(super) pages: Pages,
}

/// The next request.
#[derive(Debug, PartialEq)]
pub(super) enum Ask {
    /// The first request is to be made; a password exchange begins (anew).
    Begin,
    /// The exchange has come on: the next request is to be made.
    GoOn,
    /// This.
    Made(Op),
}

/// The fate of a request that changes something, as far as the client can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trail {
    /// Nothing: it never went out, or it was refused for a time.
    Unsent,
    /// The request is unanswered.
    Asked(First),
    /// Its answer was lost: it may have been done, or may yet be.
    InDoubt(First),
}

/// When a request went out first, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    /// The time from which it is not sent again.
    pub(super) until: Monotonic,
    pub(super) wall: Wall,
    /// The life of the room's log at that time.
    pub(super) epoch: Option<u64>,
}

/// The purpose of the rest of a job.
#[derive(Debug, PartialEq)]
pub(super) enum Aim {
    /// The command's own outcome.
    Outcome,
    /// That is decided; what is asked yet is done all the same: a `join` that tells the server of a
    /// wrong password, or a `leave` of a room that the client cannot read.
    Decided(CommandError),
}

impl First {
    pub(super) fn new(now: Now, epoch: Option<u64>) -> Self {
        Self {
            until: now.monotonic + DOUBT,
            wall: now.wall,
            epoch,
        }
    }

    /// Of an earlier life of the program, whose wall clock is all that is left.
    pub(super) fn restored(now: Now, wall: Wall, epoch: Option<u64>) -> Self {
        let left = DOUBT.saturating_sub(now.wall - wall);
        Self {
            until: now.monotonic + left,
            wall,
            epoch,
        }
    }

    /// Whether it may not be sent again: by either clock, because the one stands still while a
    /// machine sleeps, and the other is set.
    pub(super) fn is_over(&self, now: Now) -> bool {
        now.monotonic >= self.until || now.wall - self.wall >= DOUBT
    }
}

impl Job {
    pub(super) fn new(ticket: Ticket, lane: Lane, command: Command) -> Self {
        Self {
            ticket,
            lane,
            command,
            txn: None,
            ask: Ask::Begin,
            trail: Trail::Unsent,
            aim: Aim::Outcome,
            refusals: 0,
            restarts: 0,
            renewals: 0,
            pages: Pages::default(),
        }
    }

    pub(in super::super) fn ticket(&self) -> Ticket {
        self.ticket
    }

    pub(in super::super) fn command(&self) -> &Command {
        &self.command
    }

    pub(in super::super) fn txn(&self) -> u64 {
        self.txn.unwrap_or(0)
    }

    /// The room that it waits for in its lane.
    pub(in super::super) fn room(&self) -> Option<RoomId> {
        match self.lane {
            Lane::Room(room) => Some(room),
            Lane::Directory | Lane::Number(_) => None,
        }
    }

    /// Its next request, once it is made.
    pub(in super::super) fn op(&self) -> Option<&Op> {
        match &self.ask {
            Ask::Made(op) => Some(op),
            Ask::Begin | Ask::GoOn => None,
        }
    }

    /// Its end, if that is decided.
    pub(in super::super) fn decided(&self) -> Option<&CommandError> {
        match &self.aim {
            Aim::Outcome => None,
            Aim::Decided(error) => Some(error),
        }
    }

    pub(super) fn in_doubt(&self) -> Option<&First> {
        match &self.trail {
            Trail::InDoubt(first) => Some(first),
            Trail::Unsent | Trail::Asked(_) => None,
        }
    }

    /// Whether doing it twice shows, to others or to this member. What does not may be sent again
    /// whatever the log has lost.
    fn shows(&self) -> bool {
        let hidden = matches!(
            self.command,
            Command::Join { .. }
                | Command::Leave { .. }
                | Command::Direct { .. }
                | Command::Nick { .. }
        );
        !hidden && self.aim == Aim::Outcome
    }

    /// Whether an earlier try may be done yet, although this one was refused: a server of several
    /// may have it still.
    pub(super) fn may_be_done_yet(&self) -> bool {
        self.in_doubt().is_some() && self.shows()
    }

    /// Whether it is not to be sent again: it is in doubt for too long, or it may have been done,
    /// and seen by others, in what the log of its room has lost since. `epoch`: of the log now;
    /// none if the client is not in the room any more.
    pub(super) fn is_lost(&self, now: Now, epoch: Option<u64>) -> bool {
        self.in_doubt().is_some_and(|first| {
            let elsewhere = first.epoch.is_some() && first.epoch != epoch;
            first.is_over(now) || (elsewhere && self.shows())
        })
    }

    /// Whether nothing of its lane may go before it has ended: what follows depends on it.
    pub(super) fn is_exclusive(&self) -> bool {
        matches!(
            self.command,
            Command::Join { .. }
                | Command::Leave { .. }
                | Command::SetPassword { .. }
                // The server looks the message up first, and does others meanwhile.
                | Command::Redact { .. }
        )
    }

    /// Whether it is about to begin a password exchange. The server keeps the state of one for each
    /// connection.
    pub(super) fn begins_exchange(&self) -> bool {
        self.command.password().is_some()
            && match &self.ask {
                Ask::Begin => true,
                Ask::GoOn => false,
                // The exchange may have to begin anew.
                Ask::Made(op) => is_proposal(op) && self.in_doubt().is_some(),
            }
    }

    /// The class of its next request.
    pub(super) fn class(&self) -> Class {
        let begins = match &self.ask {
            Ask::Begin => self.command.password().is_some(),
            Ask::GoOn => false,
            Ask::Made(op) => matches!(op, Op::Register(_) | Op::Login(_)),
        };
        match &self.command {
            Command::Send { .. } => Class::Send,
            Command::Create(_) => Class::Costly,
            _ if begins => Class::Costly,
            _ => Class::Request,
        }
    }

    /// The request goes out.
    pub(super) fn sent(&mut self, now: Now, epoch: Option<u64>) {
        if self.op().is_some_and(changes) && self.trail == Trail::Unsent {
            self.trail = Trail::Asked(First::new(now, epoch));
        }
    }

    /// The request was refused for a time. `unsure`: the log may say later that it has written
    /// after all.
    pub(super) fn refused(&mut self, unsure: bool) {
        if let Trail::Asked(first) = self.trail {
            self.trail = if unsure {
                Trail::InDoubt(first)
            } else {
                Trail::Unsent
            };
        }
    }

    /// The connection is lost. Whether its password exchange begins anew.
    pub(super) fn cut_off(&mut self) -> bool {
        // A wrong password has done nothing, and the next connection's answer to the `join` that
        // tells of it, `stale_proof`, begins anew.
        if self.is_disproof() {
            return false;
        }
        self.refused(true);
        // A `hello` takes the name that the client knew. The old number would only be told what
        // came of it then.
        if matches!(self.command, Command::Nick { .. }) {
            self.txn = None;
            self.ask = Ask::Begin;
        }
        // The server's half of an exchange died with the connection. What came of one can still be
        // recognised as a repeat, so a sent `create` or `password` is kept; a sent `join` is
        // harmless to do twice.
        let dead = match &self.ask {
            Ask::Begin => false,
            Ask::GoOn => true,
            Ask::Made(op) if is_proposal(op) => self.in_doubt().is_none(),
            Ask::Made(Op::Register(_) | Op::Login(_) | Op::Join(Join { proof: Some(_), .. })) => {
                true
            }
            Ask::Made(_) => false,
        };
        if dead {
            self.ask = Ask::Begin;
        }
        dead
    }

    /// Whether it only tells the server of a wrong password.
    pub(super) fn is_disproof(&self) -> bool {
        self.decided().is_some() && matches!(self.op(), Some(Op::Join(_)))
    }

    /// Its exchange begins anew.
    pub(super) fn begin_anew(&mut self) {
        self.ask = Ask::Begin;
        self.aim = Aim::Outcome;
    }

    /// How it ends, if nothing else comes of it than this error.
    pub(super) fn end(&self, error: &CommandError) -> CommandError {
        match (&self.aim, self.trail) {
            (Aim::Decided(decided), _) => decided.clone(),
            (Aim::Outcome, Trail::Asked(_) | Trail::InDoubt(_)) => CommandError::Unknown,
            (Aim::Outcome, Trail::Unsent) => error.clone(),
        }
    }
}

/// Whether a request changes something, and so has a number.
pub(super) fn changes(op: &Op) -> bool {
    !matches!(
        op,
        Op::List(_) | Op::Register(_) | Op::Login(_) | Op::Members(_) | Op::History(_)
    )
}

/// Whether a request is what a registration was for.
pub(super) fn is_proposal(op: &Op) -> bool {
    matches!(
        op,
        Op::Password(_)
            | Op::Create(Create {
                password: Some(_),
                ..
            })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        monotonic: Monotonic(5),
        wall: Wall(1_000_000_000),
    };

    fn later(now: Now, monotonic: Duration, wall: Duration) -> Now {
        Now {
            monotonic: now.monotonic + monotonic,
            wall: now.wall + wall,
        }
    }

    #[test]
    fn a_doubt_is_over_after_fifty_minutes_by_either_clock() {
        let first = First::new(NOW, None);
        let almost = DOUBT - Duration::from_millis(1);
        assert!(!first.is_over(later(NOW, almost, almost)));
        assert!(
            first.is_over(later(NOW, DOUBT, Duration::ZERO)),
            "the wall clock was set back"
        );
        assert!(
            first.is_over(later(NOW, Duration::ZERO, DOUBT)),
            "the machine slept"
        );
    }

    #[test]
    fn a_doubt_of_an_earlier_life_goes_on_where_it_was() {
        let now = Now {
            monotonic: Monotonic(1),
            ..later(NOW, Duration::ZERO, DOUBT / 5)
        };
        let first = First::restored(now, NOW.wall, None);
        let rest = DOUBT / 5 * 4;
        let almost = rest - Duration::from_millis(1);
        assert!(!first.is_over(later(now, almost, almost)));
        assert!(first.is_over(later(now, rest, Duration::ZERO)));
        let old = First::restored(later(now, Duration::ZERO, DOUBT), NOW.wall, None);
        assert!(old.is_over(now));
    }
}
