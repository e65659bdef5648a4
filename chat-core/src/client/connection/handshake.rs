//! From a connection to the welcome, with as many names as it takes.

use core::time::Duration;

use super::{
    Backoff, Connection, Effect, Ended, HANDSHAKE, KeepAlive, Past, Stage, State, Then, millis,
};
use crate::{
    time::Monotonic,
    wire::{ClientMessage, ErrorCode, ServerMessage, client::Open, server::Failure},
};

impl Connection {
    /// Takes in a message of the server.
    ///
    /// # Errors
    /// It is said out of turn.
    pub(in super::super) fn message(
        &mut self,
        now: Monotonic,
        message: ServerMessage,
    ) -> Result<Vec<Effect>, String> {
        let State::Open(_, stage) = &mut self.state else {
            return Ok(Vec::new());
        };
        Ok(match (message, stage) {
            (ServerMessage::Ping(ping), _) => self.say(now, &ClientMessage::Pong(ping)),
            (ServerMessage::Pong(_), _) => {
                self.patience.ponged();
                Vec::new()
            }
            (ServerMessage::Closing(closing), _) => self.closing(now, closing),
            (ServerMessage::Welcome(_), Stage::Up(_) | Stage::Bye { welcomed: true, .. }) => {
                return Err("a second welcome".to_owned());
            }
            (message, Stage::Up(_) | Stage::Bye { welcomed: true, .. }) => {
                vec![Effect::Said(message)]
            }
            (ServerMessage::Challenge(challenge), Stage::Opening { .. }) => {
                vec![Effect::Challenged(challenge)]
            }
            (ServerMessage::Welcome(welcome), Stage::Handshake { .. }) => {
                vec![Effect::Welcome(welcome)]
            }
            (ServerMessage::Error(failure), Stage::Handshake { .. }) if failure.id == 0 => {
                self.hello_refused(now, failure)
            }
            // Said before the server has read the `bye`.
            (_, Stage::Bye { .. }) => Vec::new(),
            _ => return Err("a message before the welcome".to_owned()),
        })
    }

    /// The welcome is accepted.
    pub(in super::super) fn admit(&mut self, now: Monotonic, ping_interval: Duration) {
        let State::Open(_, stage @ Stage::Handshake { .. }) = &mut self.state else {
            return;
        };
        *stage = Stage::Up(KeepAlive::new(now, ping_interval));
        self.backoff = Backoff::new();
        if self.past == Past::Outside {
            self.past = Past::Inside { late_hello: false };
        }
    }

    /// Says `open`.
    pub(in super::super) fn open(&mut self, now: Monotonic, open: Open) -> Vec<Effect> {
        self.say(now, &ClientMessage::Open(open))
    }

    /// Credentials are looked for.
    pub(in super::super) fn identify(&mut self, now: Monotonic) {
        if let State::Open(_, stage @ Stage::Opening { .. }) = &mut self.state {
            let until = now + HANDSHAKE;
            *stage = Stage::Identifying { until };
        }
    }

    /// Whether credentials are looked for.
    pub(in super::super) fn is_identifying(&self) -> bool {
        matches!(self.state, State::Open(_, Stage::Identifying { .. }))
    }

    /// Says `hello`, or its like.
    pub(in super::super) fn hello(&mut self, now: Monotonic, hello: &ClientMessage) -> Vec<Effect> {
        let State::Open(_, stage) = &mut self.state else {
            return Vec::new();
        };
        if matches!(stage, Stage::Opening { .. } | Stage::Identifying { .. }) {
            *stage = Stage::Handshake {
                until: now + HANDSHAKE,
                refused: false,
            };
        }
        self.say(now, hello)
    }

    /// The client does not enter at this server.
    pub(in super::super) fn refuse_server(&mut self, now: Monotonic, ended: Ended) -> Vec<Effect> {
        match self.state {
            State::Open(_, Stage::Opening { .. } | Stage::Identifying { .. }) => {
                self.disconnect(now, Then::End(ended))
            }
            _ => Vec::new(),
        }
    }

    /// Whether another name is waited for.
    pub(in super::super) fn wants_name(&self) -> bool {
        matches!(
            self.state,
            State::Open(_, Stage::Refused)
                | State::Parked
                | State::Dropping {
                    then: Then::Park,
                    ..
                }
        )
    }

    /// There is another name.
    pub(in super::super) fn rename(&mut self, now: Monotonic) -> Vec<Effect> {
        match &mut self.state {
            State::Open(_, stage @ Stage::Refused) => {
                *stage = Stage::Handshake {
                    until: now + HANDSHAKE,
                    refused: true,
                };
                vec![Effect::SayHello]
            }
            State::Parked => self.connect(),
            State::Dropping {
                then: then @ Then::Park,
                ..
            } => {
                *then = Then::Connect;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// If a `hello` goes unanswered with its connection, it may be read yet.
    pub(super) fn remember_hello(&mut self) {
        let unanswered = matches!(self.state, State::Open(_, Stage::Handshake { .. }));
        if let Past::Inside { late_hello } = &mut self.past {
            *late_hello |= unanswered;
        }
    }

    /// The name is taken or cannot be. A server that cannot just now is tried again, if it has been
    /// left only for a moment.
    fn hello_refused(&mut self, now: Monotonic, failure: Failure) -> Vec<Effect> {
        let later = matches!(
            failure.code,
            ErrorCode::Unavailable | ErrorCode::Busy | ErrorCode::RateLimited
        );
        if later && self.was_inside() {
            let not_before = millis(failure.retry_after);
            return self.disconnect(now, Then::Retry { not_before });
        }
        if let State::Open(_, stage) = &mut self.state {
            *stage = Stage::Refused;
        }
        vec![Effect::Refused(failure)]
    }
}
