//! How connections fall silent and end.

use core::time::Duration;

use super::{
    Effect, Sessions, Turn,
    connection::{MemberSession, Phase},
};
use crate::{
    hub::{Output, effects::Departure, event::Event, timers::Timer},
    id::{ConnId, MemberId, SessionId},
    wire::{CloseReason, Form, ServerMessage, server::Closing},
};

impl Sessions {
    pub(in crate::hub) fn disconnected(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        let Some(connection) = self.slots.remove(conn) else {
            return;
        };
        if let Some(at) = connection.timer {
            turn.common.timers.disarm(at, Timer::Connection(conn));
        }
        if connection.admitted {
            turn.config.address_limits.places.leave(connection.address);
        }
        let form = connection.form;
        if let Phase::Welcome(session) = connection.phase {
            self.depart(turn, conn, form, *session, Departure::Broken);
        }
        turn.event(Event::Disconnected { conn });
        self.tell_empty(turn);
    }

    /// Closes everything, politely.
    pub(in crate::hub) fn shutdown(&mut self, turn: &mut Turn<'_>, reason: CloseReason) {
        self.closing = Some(reason);
        for conn in self.slots.all() {
            self.close(turn, conn, reason, "");
        }
        self.tell_empty(turn);
    }

    /// Says that no connection is left, after a shutdown.
    fn tell_empty(&mut self, turn: &mut Turn<'_>) {
        if self.closing.is_some() && self.slots.len() == 0 {
            turn.effect(Effect::Empty);
        }
    }

    /// Ends all connections of a member.
    pub(in crate::hub) fn close_member(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        reason: CloseReason,
    ) {
        for conn in self.of_member(member).collect::<Vec<_>>() {
            self.close(turn, conn, reason, "");
        }
    }

    /// A session of a member is in at another hub. If its connection to this one is the newer one
    /// after all, its client comes back.
    pub(in crate::hub) fn close_session(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        session: SessionId,
    ) {
        if let Some(conn) = self.members.get(&(member, session)).copied() {
            self.close(turn, conn, CloseReason::Resync, "");
        }
    }

    /// Has all members take up their places anew.
    pub(in crate::hub) fn resync(&mut self, turn: &mut Turn<'_>) {
        for conn in self.members.values().copied().collect::<Vec<_>>() {
            self.close(turn, conn, CloseReason::Resync, "");
        }
    }

    /// Tells a connection that it ends. Reasons that a client can do something about wait for its
    /// confirmation.
    pub(in crate::hub) fn close(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        reason: CloseReason,
        detail: &str,
    ) {
        let until = turn.now.monotonic + turn.config.limits.closing;
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        if connection.is_over() {
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
        turn.out.push(Output::Send {
            to: conn,
            frame: connection.form.encode(&ServerMessage::Closing(closing)),
        });
        let (form, refused) = (connection.form, !connection.admitted);
        let phase = std::mem::replace(&mut connection.phase, Phase::Closing { until, reason });
        turn.event(Event::Closing {
            conn,
            reason,
            detail: detail.to_owned(),
        });
        if let Phase::Welcome(session) = phase {
            let how = match reason {
                CloseReason::Bye => Departure::Bye,
                CloseReason::Stopped => Departure::Stopped,
                _ => Departure::Broken,
            };
            self.depart(turn, conn, form, *session, how);
        }
        if is_polite(reason) && !refused {
            self.arm(turn, conn);
        } else {
            self.end(turn, conn, reason);
        }
    }

    pub(super) fn end(&mut self, turn: &mut Turn<'_>, conn: ConnId, reason: CloseReason) {
        if let Some(connection) = self.slots.get_mut(conn)
            && !matches!(connection.phase, Phase::Ended)
        {
            connection.phase = Phase::Ended;
            turn.out.push(Output::Close { conn, reason });
        }
    }

    /// A connection of a member is over.
    fn depart(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        form: Form,
        session: MemberSession,
        how: Departure,
    ) {
        let member = session.member;
        let before = self.members.remove(&(member, session.session));
        debug_assert_eq!(before, Some(conn), "a session has one connection");
        for (room, attached) in session.rooms {
            self.free_slot(turn, room, form, attached.slot);
        }
        self.behind.remove(&conn);
        turn.effect(Effect::Departed {
            member,
            kept: session.kept,
            how,
        });
    }

    /// A connection's time is up, unless something was heard since the timer was set.
    pub(in crate::hub) fn connection_due(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        connection.timer = None;
        let Some(deadline) = connection.deadline(&turn.config.limits) else {
            return;
        };
        if turn.now.monotonic < deadline {
            return self.arm(turn, conn);
        }
        match connection.phase {
            Phase::Fresh { .. } => self.close(turn, conn, CloseReason::HandshakeTimeout, ""),
            // That is not the client's fault: it shall come back.
            Phase::Handshake { .. } => {
                let detail = "the log does not answer at present";
                self.close(turn, conn, CloseReason::Resync, detail);
            }
            Phase::Welcome(_) => self.close(turn, conn, CloseReason::Idle, ""),
            Phase::Closing { reason, .. } => self.end(turn, conn, reason),
            Phase::Ended => {}
        }
    }

    /// Sets the connection's one timer, if it must come earlier than it is set. What is heard later
    /// than that is looked at when it is due, so that hearing something costs nothing.
    pub(super) fn arm(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        let Some(deadline) = connection.deadline(&turn.config.limits) else {
            return;
        };
        let timers = &mut turn.common.timers;
        match connection.timer {
            Some(at) if at <= deadline => return,
            Some(at) => timers.disarm(at, Timer::Connection(conn)),
            None => {}
        }
        connection.timer = Some(deadline);
        timers.arm(deadline, Timer::Connection(conn));
    }

    /// Forgets what members and addresses did slowly enough.
    pub(in crate::hub) fn rates_due(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.monotonic;
        self.rates.retain(|_, rates| !rates.are_full(now));
        let idle = turn.config.address_limits.sweep(now);
        self.rates_armed = !idle || !self.rates.is_empty();
        if self.rates_armed {
            turn.arm(RATES_EVERY, Timer::Rates);
        }
    }

    /// Something is counted that will be forgotten.
    pub(in crate::hub) fn arm_rates(&mut self, turn: &mut Turn<'_>) {
        if !std::mem::replace(&mut self.rates_armed, true) {
            turn.arm(RATES_EVERY, Timer::Rates);
        }
    }
}

/// How often what was done slowly enough is forgotten.
pub(super) const RATES_EVERY: Duration = Duration::from_secs(60);

/// Whether a client may confirm the end first.
fn is_polite(reason: CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::Stopped
            | CloseReason::Restarting
            | CloseReason::Bye
            | CloseReason::Replaced
            | CloseReason::Resync
            | CloseReason::Idle
    )
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
        CloseReason::Replaced => "the same session connected anew",
        CloseReason::Bye => "goodbye",
        CloseReason::Resync => "the server lost its place; connect again",
        CloseReason::TlsRequired => "this server is reached over TLS from here",
        _ => "the connection ends",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_reason_has_words_of_its_own() {
        let reasons = [
            CloseReason::Stopped,
            CloseReason::Restarting,
            CloseReason::Full,
            CloseReason::TooManyConnections,
            CloseReason::Version,
            CloseReason::Protocol,
            CloseReason::FrameTooLarge,
            CloseReason::HandshakeTimeout,
            CloseReason::Idle,
            CloseReason::Slow,
            CloseReason::Flood,
            CloseReason::TooManyAttempts,
            CloseReason::Replaced,
            CloseReason::Bye,
            CloseReason::Resync,
            CloseReason::TlsRequired,
        ];
        let all: BTreeSet<&str> = reasons.into_iter().map(words).collect();
        assert_eq!(all.len(), reasons.len(), "{all:?}");
        assert!(!all.contains("the connection ends") && !all.contains(""));
    }
}
