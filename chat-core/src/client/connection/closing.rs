//! The server's last word on a connection: whether it is the end, or another try follows.

use super::{Connection, Effect, Past, Stage, State, Then, millis, retry};
use crate::{
    client::event::Ended,
    time::Monotonic,
    wire::{ClientMessage, CloseReason, client::Empty, server::Closing},
};

impl Connection {
    pub(super) fn closing(&mut self, now: Monotonic, mut closing: Closing) -> Vec<Effect> {
        let mut effects = self.say(now, &ClientMessage::Closed(Empty {}));
        let then = self.after(&closing);
        let asked_for = closing.reason == CloseReason::Bye
            && matches!(self.state, State::Open(_, Stage::Bye { .. }));
        // The client knows better: of what comes of a late hello, and that a client that never was
        // in does not try again.
        closing.reconnect = matches!(then, Then::Retry { .. });
        if !asked_for && !matches!(then, Then::Park | Then::Connect) {
            effects.push(Effect::Closing(closing));
        }
        effects.extend(self.disconnect(now, then));
        effects
    }

    /// The step after a `closing`.
    fn after(&mut self, closing: &Closing) -> Then {
        let reason = closing.reason;
        let State::Open(_, stage) = &self.state else {
            return Then::End(Ended::Closed(reason));
        };
        let comes_back = self.comes_back_after(closing);
        match (stage, self.past) {
            (Stage::Bye { .. }, _) => Then::End(Ended::Asked),
            // Nobody need hurry to choose a name: the next one makes a connection of its own.
            (Stage::Refused, _)
                if comes_back
                    || matches!(reason, CloseReason::HandshakeTimeout | CloseReason::Idle) =>
            {
                Then::Park
            }
            // The name that was chosen crossed the end of the server's patience.
            (Stage::Handshake { refused: true, .. }, _)
                if reason == CloseReason::HandshakeTimeout =>
            {
                Then::Connect
            }
            // The `hello` went out at once: the server did not read it in time, or the way there
            // is slow. Nor will it be read: that hello comes to nothing.
            (Stage::Handshake { .. }, Past::Inside { .. })
                if reason == CloseReason::HandshakeTimeout =>
            {
                retry()
            }
            // This very client may be the one that came in anew: by a hello of a lost connection.
            (Stage::Up(_), Past::Inside { late_hello: true })
                if reason == CloseReason::Replaced =>
            {
                self.past = Past::Inside { late_hello: false };
                retry()
            }
            _ if comes_back => {
                if !closing.reconnect {
                    self.backoff.ease();
                }
                self.remember_hello();
                Then::Retry {
                    not_before: millis(closing.retry_after),
                }
            }
            _ => Then::End(Ended::Closed(reason)),
        }
    }

    /// Whether a server that has taken the client in before is to be tried again after this.
    fn comes_back_after(&self, closing: &Closing) -> bool {
        let heals = matches!(
            closing.reason,
            CloseReason::Stopped
                | CloseReason::Full
                | CloseReason::TooManyConnections
                | CloseReason::HandshakeTimeout
                | CloseReason::TooManyAttempts
        );
        self.was_inside() && (closing.reconnect || (self.returns && heals))
    }
}
