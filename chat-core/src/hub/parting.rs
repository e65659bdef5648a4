//! Parting: how connections end, and how long a member is held for.

use core::time::Duration;

use super::{
    Hub,
    event::Event,
    io::{Output, Outputs},
    rooms::Task,
    session::{Guest, Phase},
    timers::Timer,
};
use crate::{
    bugs::Bug,
    id::{ConnId, MemberId, RoomId},
    state::directory,
    time::Now,
    wire::{CloseReason, Form, ServerMessage, server::Closing},
};

impl Hub {
    pub(super) fn disconnected(&mut self, now: Now, conn: ConnId, out: &mut Outputs) {
        let Some(mut session) = self.sessions.remove(conn) else {
            return;
        };
        if let Some(at) = session.timer {
            self.timers.disarm(at, Timer::Session(conn));
        }
        if session.admitted
            && let Some(address) = session.address
            && let Some(count) = self.addresses.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
        if let Some(guest) = session.guest.take() {
            self.depart(now, conn, session.form, guest, None, out);
        }
        out.push(Output::Event(Event::Disconnected { conn }));
        self.tell_closed(now, out);
    }

    /// Tells a connection that it ends. Reasons that a client can do something about wait for its confirmation.
    pub(super) fn close(
        &mut self,
        now: Now,
        conn: ConnId,
        reason: CloseReason,
        detail: &str,
        out: &mut Outputs,
    ) {
        let until = now.monotonic + self.config.limits.closing;
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        if matches!(session.phase, Phase::Closing { .. } | Phase::Ended) {
            return;
        }
        let text = if detail.is_empty() {
            words(reason).to_owned()
        } else {
            format!("{}: {detail}", words(reason))
        };
        let retry_after = match reason {
            CloseReason::Flood | CloseReason::Full | CloseReason::TooManyConnections => Some(5_000),
            CloseReason::Restarting => Some(500),
            _ => None,
        };
        let closing = Closing {
            reason,
            reconnect: reason.reconnect(),
            retry_after,
            text,
        };
        out.push(Output::Send {
            to: conn,
            frame: session.form.encode(&ServerMessage::Closing(closing)),
        });
        out.push(Output::Event(Event::Closing {
            conn,
            reason,
            detail: detail.to_owned(),
        }));
        session.phase = Phase::Closing { until, reason };
        let form = session.form;
        if let Some(guest) = session.guest.take() {
            self.depart(now, conn, form, guest, Some(reason), out);
        }
        let polite = matches!(
            reason,
            CloseReason::Stopped
                | CloseReason::Restarting
                | CloseReason::Bye
                | CloseReason::Replaced
                | CloseReason::Resync
                | CloseReason::Idle
        );
        let refused = self
            .sessions
            .get(conn)
            .is_some_and(|session| !session.admitted);
        if polite && !refused {
            self.arm_session(conn)
        } else {
            self.end(conn, reason, out)
        }
    }

    pub(super) fn end(&mut self, conn: ConnId, reason: CloseReason, out: &mut Outputs) {
        if let Some(session) = self.sessions.get_mut(conn)
            && session.phase != Phase::Ended
        {
            session.phase = Phase::Ended;
            out.push(Output::Close { conn, reason });
        }
    }

    /// A member's connection is over.
    fn depart(
        &mut self,
        now: Now,
        conn: ConnId,
        form: Form,
        guest: Guest,
        reason: Option<CloseReason>,
        out: &mut Outputs,
    ) {
        let member = guest.member;
        for (room, attached) in guest.rooms {
            self.detach_slot(now, room, form, attached.slot);
        }
        if self.online.get(&member) != Some(&conn) {
            return;
        }
        self.online.remove(&member);
        if reason == Some(CloseReason::Bye) {
            if !guest.kept {
                self.leaving.insert(member);
            }
            self.release(now, member, out);
        } else if reason == Some(CloseReason::Stopped) && !guest.kept {
            self.absences.end(member);
        } else {
            self.hold(now, member);
        }
    }

    /// Holds the nick of somebody who is not connected for the grace period.
    pub(super) fn hold(&mut self, now: Now, member: MemberId) {
        self.hold_for(now, member, self.config.limits.grace);
    }

    /// The same for what is left of it.
    pub(super) fn hold_for(&mut self, now: Now, member: MemberId, left: Duration) {
        if self.has(Bug::NeverFreeANick) {
            return;
        }
        self.arm_note(now);
        let at = now.monotonic + left;
        if let Some(before) = self.grace.insert(member, at) {
            self.timers.disarm(before, Timer::Grace(member));
        }
        self.timers.arm(at, Timer::Grace(member));
    }

    pub(super) fn grace_over(&mut self, now: Now, member: MemberId, out: &mut Outputs) {
        if self.grace.remove(&member).is_some() {
            self.release(now, member, out);
        }
    }

    fn release(&mut self, now: Now, member: MemberId, out: &mut Outputs) {
        self.note_in_directory(now, member, directory::Ask::Release, out);
    }

    /// Keeps the memberships of somebody without a nick for a time. Who is in no room has nothing to keep for long but the
    /// results of requests, which are asked for again soon or never.
    pub(super) fn keep(&mut self, now: Now, member: MemberId, elapsed: core::time::Duration) {
        let Some(person) = self.directory.state.member(member) else {
            return;
        };
        let limits = &self.config.limits;
        let time = if person.kept && !person.rooms.is_empty() {
            limits.kept_membership
        } else {
            limits.membership
        };
        let time = if self.leaving.remove(&member) {
            core::time::Duration::ZERO
        } else {
            time.saturating_sub(elapsed)
        };
        let at = now.monotonic + time;
        if let Some(before) = self.expiry.insert(member, at) {
            self.timers.disarm(before, Timer::Expiry(member));
        }
        self.timers.arm(at, Timer::Expiry(member));
    }

    /// Ends all memberships of somebody who was away for too long; when the last is ended, forgets them.
    pub(super) fn memberships_over(&mut self, now: Now, member: MemberId, out: &mut Outputs) {
        self.expiry.remove(&member);
        let Some(person) = self
            .directory
            .state
            .member(member)
            .filter(|person| person.lease.is_none())
        else {
            return;
        };
        let rooms: Vec<RoomId> = person.rooms.iter().copied().collect();
        // Whatever cannot be done now is tried again.
        let at = now.monotonic + core::time::Duration::from_secs(60);
        self.expiry.insert(member, at);
        self.timers.arm(at, Timer::Expiry(member));
        // A log that cannot write at present would be asked for more with each try.
        if rooms.is_empty() && !self.retries.contains_key(&super::DIRECTORY) {
            self.note_in_directory(now, member, directory::Ask::Expire, out);
        }
        for room in rooms {
            self.with_room(now, room, Task::Expire { member }, out);
        }
    }
}

/// A close reason in words.
fn words(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Stopped => "the server is stopping",
        CloseReason::Restarting => "the server is restarting",
        CloseReason::Full => "the server has as many connections as it may",
        CloseReason::TooManyConnections => "your address has as many connections as it may",
        CloseReason::Version => "no protocol version in common",
        CloseReason::Protocol => "that is not the protocol",
        CloseReason::FrameTooLarge => "the frame is too large",
        CloseReason::HandshakeTimeout => "no hello in time",
        CloseReason::Idle => "nothing was heard for too long",
        CloseReason::Slow => "you do not read what you are sent",
        CloseReason::Flood => "too many requests, although they were refused",
        CloseReason::TooManyAttempts => "too many refused hellos",
        CloseReason::Replaced => "the same member connected anew",
        CloseReason::Bye => "goodbye",
        CloseReason::Resync => "the server lost its place; connect again",
    }
}
