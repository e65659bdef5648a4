//! The one connection of a client: its link, its handshake, its clocks, and when to come back.

mod backoff;
mod closing;
mod handshake;
mod keep_alive;
mod link;
#[cfg(test)]
mod tests;

use core::time::Duration;

use rand_core::RngCore;

use self::{
    backoff::Backoff,
    keep_alive::{Due, KeepAlive, Patience},
    link::Link,
};
use super::event::Ended;
use crate::{
    time::Monotonic,
    wire::{
        ClientMessage, Form, Frame, Framing, ServerMessage,
        client::{Empty, Ping, Request},
        server::{Challenged, Closing, Failure, Welcome},
    },
};

/// Time for an answer to `hello`. A server gives the client 10 s for the whole of it.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// Time for the end of a connection: for the server's word after `bye`, and for the driver's after
/// `Disconnect`.
const DISCONNECT: Duration = Duration::from_secs(2);

/// The connection, as the machine sees it.
#[derive(Debug)]
pub(super) struct Connection {
    state: State,
    past: Past,
    backoff: Backoff,
    patience: Patience,
    /// Whether the client comes back after a `closing` that time may heal.
    returns: bool,
}

/// Its life from the first try to the end.
#[derive(Debug)]
enum State {
    /// Not started.
    New,
    /// The driver is making one.
    Connecting,
    /// The server is listened to.
    Open(Link, Stage),
    /// The application looks for another name, and there is no connection.
    Parked,
    /// The driver was asked to end it.
    Dropping {
        then: Then,
        until: Option<Monotonic>,
    },
    /// There is none; the next try is made then.
    Waiting { until: Monotonic },
    /// Never again.
    Ended,
}

/// How far an open connection has come.
#[derive(Debug)]
enum Stage {
    /// `open` is sent.
    Opening { until: Monotonic },
    /// The server has shown its key, and the driver looks for credentials.
    Identifying { until: Monotonic },
    /// `hello` is sent.
    Handshake {
        until: Monotonic,
        /// An earlier `hello` was refused on this connection.
        refused: bool,
    },
    /// `hello` was refused; the application looks for another name.
    Refused,
    /// Welcomed.
    Up(KeepAlive),
    /// `bye` is sent, before or after the welcome.
    Bye { until: Monotonic, welcomed: bool },
}

/// The step after the end of a connection.
#[derive(Clone, Debug, PartialEq)]
enum Then {
    End(Ended),
    /// Another one, not before so long from now.
    Retry {
        not_before: Duration,
    },
    /// The application looks for another name.
    Park,
    /// Another one at once.
    Connect,
}

/// The outcome of earlier connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// No connection has been welcomed; until then nothing is tried again.
    Outside,
    /// The client has been in. `late_hello`: a lost connection's `hello` was not answered, and may
    /// yet be taken for this member coming anew.
    Inside { late_hello: bool },
}

/// The effects of a connection.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// For the driver: make one.
    Connect,
    /// For the driver: write this.
    Send(Frame),
    /// For the driver: end it.
    Disconnect,
    /// `open` is due.
    SayOpen,
    /// The server has shown its key.
    Challenged(Challenged),
    /// `hello` is due.
    SayHello,
    /// `hello` was answered.
    Welcome(Welcome),
    /// `hello` was refused, and another one is wanted.
    Refused(Failure),
    /// Something was said to a client that is in.
    Said(ServerMessage),
    /// The server is about to end it.
    Closing(Closing),
    /// There is none any more: what was unanswered stays so.
    Lost,
    /// The next try is made after this time.
    Retrying { retry_in: Duration },
    /// Never again.
    Ended(Ended),
}

impl Connection {
    pub(super) fn new(answer_within: Option<Duration>, returns: bool) -> Self {
        Self {
            state: State::New,
            past: Past::Outside,
            backoff: Backoff::new(),
            patience: Patience::new(answer_within),
            returns,
        }
    }

    /// Begins. Of no effect the second time.
    pub(super) fn start(&mut self) -> Vec<Effect> {
        match self.state {
            State::New => self.connect(),
            _ => Vec::new(),
        }
    }

    /// The driver has made it.
    pub(super) fn connected(
        &mut self,
        now: Monotonic,
        framing: Framing,
        form: Form,
    ) -> Vec<Effect> {
        match self.state {
            State::Connecting => {
                let until = now + HANDSHAKE;
                let stage = Stage::Opening { until };
                self.state = State::Open(Link::new(framing, form), stage);
                vec![Effect::SayOpen]
            }
            // The connection came while it was being called off.
            State::Dropping { .. } => vec![Effect::Disconnect],
            _ => Vec::new(),
        }
    }

    /// Bytes came: they are read message by message, with [`next`](Self::next).
    pub(super) fn heard(&mut self, now: Monotonic) {
        if let State::Open(_, Stage::Up(alive)) = &mut self.state {
            alive.heard(now);
        }
    }

    /// The next message of the bytes at hand; none when they are used up, or nobody listens.
    ///
    /// # Errors
    /// The bytes are none of the protocol's.
    pub(super) fn next(
        &mut self,
        bytes: &mut Option<&[u8]>,
    ) -> Result<Option<ServerMessage>, String> {
        match &mut self.state {
            State::Open(link, _) => link.next(bytes),
            _ => Ok(None),
        }
    }

    /// A request as it goes out, to see how long it is.
    pub(super) fn encode(&self, request: Request) -> Option<Frame> {
        match &self.state {
            State::Open(link, Stage::Up(_)) => Some(link.encode(&ClientMessage::Request(request))),
            _ => None,
        }
    }

    /// Sends a request.
    pub(super) fn send(&mut self, now: Monotonic, frame: Frame) -> Vec<Effect> {
        if let State::Open(_, Stage::Up(alive)) = &mut self.state {
            alive.said(now);
        }
        vec![Effect::Send(frame)]
    }

    /// Whether requests are unanswered by now.
    pub(super) fn expects(&mut self, now: Monotonic, unanswered: bool) {
        if let State::Open(_, Stage::Up(alive)) = &mut self.state {
            alive.expects(now, unanswered);
        }
    }

    /// There is no connection (any more).
    pub(super) fn disconnected(&mut self, now: Monotonic, rng: &mut dyn RngCore) -> Vec<Effect> {
        let then = match &self.state {
            State::Connecting
            | State::Open(
                _,
                Stage::Opening { .. } | Stage::Identifying { .. } | Stage::Handshake { .. },
            ) if self.past == Past::Outside => Then::End(Ended::CannotConnect),
            State::Connecting
            | State::Open(_, Stage::Opening { .. } | Stage::Identifying { .. } | Stage::Up(_)) => {
                retry()
            }
            State::Open(_, Stage::Handshake { .. }) => {
                self.remember_hello();
                retry()
            }
            State::Open(_, Stage::Refused) => Then::Park,
            State::Open(_, Stage::Bye { .. }) => Then::End(Ended::Asked),
            State::Dropping { then, .. } => then.clone(),
            State::New | State::Parked | State::Waiting { .. } | State::Ended => {
                return Vec::new();
            }
        };
        let mut effects = vec![Effect::Lost];
        match then {
            Then::End(ended) => effects.extend(self.end(ended)),
            Then::Park => self.state = State::Parked,
            Then::Connect => effects.extend(self.connect()),
            Then::Retry { not_before } => {
                let retry_in = self.backoff.next(not_before, rng);
                self.state = State::Waiting {
                    until: now + retry_in,
                };
                effects.push(Effect::Retrying { retry_in });
            }
        }
        effects
    }

    /// Does what is due.
    pub(super) fn timeout(&mut self, now: Monotonic) -> Vec<Effect> {
        match &mut self.state {
            State::Waiting { until } if *until <= now => self.connect(),
            State::Open(
                _,
                Stage::Opening { until }
                | Stage::Identifying { until }
                | Stage::Handshake { until, .. },
            ) if *until <= now => {
                let then = match self.past {
                    Past::Outside => Then::End(Ended::CannotConnect),
                    Past::Inside { .. } => {
                        self.remember_hello();
                        retry()
                    }
                };
                self.disconnect(now, then)
            }
            State::Open(_, Stage::Bye { until, .. }) if *until <= now => {
                self.disconnect(now, Then::End(Ended::Asked))
            }
            State::Dropping {
                then: Then::End(ended),
                until: Some(until),
            } if *until <= now => {
                let ended = ended.clone();
                self.end(ended)
            }
            State::Open(_, Stage::Up(alive)) => match alive.due(now, &self.patience) {
                Due::Nothing => Vec::new(),
                Due::Ping { nonce } => self.say(now, &ClientMessage::Ping(Ping { nonce })),
                Due::Dead => {
                    self.patience.silent();
                    self.disconnect(now, retry())
                }
            },
            _ => Vec::new(),
        }
    }

    /// When [`timeout`](Self::timeout) is due.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match &self.state {
            State::Waiting { until }
            | State::Open(
                _,
                Stage::Opening { until }
                | Stage::Identifying { until }
                | Stage::Handshake { until, .. }
                | Stage::Bye { until, .. },
            ) => Some(*until),
            State::Open(_, Stage::Up(alive)) => Some(alive.deadline(&self.patience)),
            State::Dropping { until, .. } => *until,
            State::Open(_, Stage::Refused)
            | State::New
            | State::Connecting
            | State::Parked
            | State::Ended => None,
        }
    }

    /// The network may have changed: a try that waits is made at once, and a server that is
    /// thought to be there is asked.
    pub(super) fn probe(&mut self, now: Monotonic) -> Vec<Effect> {
        match &mut self.state {
            State::Waiting { .. } => self.connect(),
            State::Open(_, Stage::Up(alive)) => match alive.probe(now) {
                Some(nonce) => self.say(now, &ClientMessage::Ping(Ping { nonce })),
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Says `bye`, waits for the server's word, and ends.
    pub(super) fn close(&mut self, now: Monotonic) -> Vec<Effect> {
        let until = now + DISCONNECT;
        match &mut self.state {
            State::New | State::Parked | State::Waiting { .. } => self.end(Ended::Asked),
            State::Connecting => self.disconnect(now, Then::End(Ended::Asked)),
            State::Open(_, Stage::Bye { .. }) | State::Ended => Vec::new(),
            State::Open(_, stage) => {
                let welcomed = matches!(stage, Stage::Up(_));
                *stage = Stage::Bye { until, welcomed };
                self.say(now, &ClientMessage::Bye(Empty {}))
            }
            State::Dropping {
                then: Then::End(_), ..
            } => Vec::new(),
            State::Dropping { .. } => {
                let then = Then::End(Ended::Asked);
                self.state = State::Dropping {
                    then,
                    until: Some(until),
                };
                Vec::new()
            }
        }
    }

    /// Ends at once, without the server's word.
    pub(super) fn abort(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        match self.state {
            State::Ended => return effects,
            State::New | State::Parked | State::Waiting { .. } => {}
            _ => effects.push(Effect::Disconnect),
        }
        effects.extend(self.end(Ended::Asked));
        effects
    }

    /// There is no talking to this server.
    pub(super) fn fail(&mut self, now: Monotonic, fault: String) -> Vec<Effect> {
        match &self.state {
            State::Open(_, Stage::Bye { .. }) => self.disconnect(now, Then::End(Ended::Asked)),
            State::Dropping {
                then: Then::End(_), ..
            }
            | State::Ended => Vec::new(),
            _ => self.disconnect(now, Then::End(Ended::ProtocolError(fault))),
        }
    }

    /// The server has left something out: it is asked again, over another connection.
    pub(super) fn ask_again(&mut self, now: Monotonic, not_before: Duration) -> Vec<Effect> {
        match &self.state {
            State::Open(_, Stage::Bye { .. }) => self.disconnect(now, Then::End(Ended::Asked)),
            State::Open(..) => self.disconnect(now, Then::Retry { not_before }),
            _ => Vec::new(),
        }
    }

    /// `hello` is to be said anew, over another connection, at once.
    pub(super) fn renew(&mut self, now: Monotonic) -> Vec<Effect> {
        match &self.state {
            State::Open(
                _,
                Stage::Opening { .. }
                | Stage::Identifying { .. }
                | Stage::Handshake { .. }
                | Stage::Up(_),
            ) => {
                self.remember_hello();
                self.disconnect(now, Then::Connect)
            }
            _ => Vec::new(),
        }
    }

    /// Whether it has not been started.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.state, State::New)
    }

    /// Whether requests may be sent.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Open(_, Stage::Up(_)))
    }

    /// Whether it will never be again.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether any connection has been welcomed.
    pub(super) fn was_inside(&self) -> bool {
        matches!(self.past, Past::Inside { .. })
    }

    fn connect(&mut self) -> Vec<Effect> {
        self.state = State::Connecting;
        vec![Effect::Connect]
    }

    fn say(&mut self, now: Monotonic, message: &ClientMessage) -> Vec<Effect> {
        let State::Open(link, _) = &self.state else {
            return Vec::new();
        };
        let frame = link.encode(message);
        self.send(now, frame)
    }

    /// Ends the connection, and remembers what comes then.
    fn disconnect(&mut self, now: Monotonic, then: Then) -> Vec<Effect> {
        // Before another connection is made the driver's word is needed; an end does not wait for
        // it for ever.
        let until = matches!(then, Then::End(_)).then(|| now + DISCONNECT);
        self.state = State::Dropping { then, until };
        vec![Effect::Disconnect]
    }

    fn end(&mut self, ended: Ended) -> Vec<Effect> {
        self.state = State::Ended;
        vec![Effect::Ended(ended)]
    }
}

/// Another connection, as soon as may be.
fn retry() -> Then {
    Then::Retry {
        not_before: Duration::ZERO,
    }
}

fn millis(time: Option<u32>) -> Duration {
    Duration::from_millis(time.unwrap_or(0).into())
}
