//! The one connection of a client: its phases, its clocks, its bytes.

use core::time::Duration;

use rand_core::RngCore;

use crate::{
    hub::Framing,
    id::RoomId,
    time::Monotonic,
    wire::{ClientMessage, Decoder, Form, Frame, SERVER_FRAME_BYTES, client::Ping},
};

use super::{
    io::{ClientOutput, ClientOutputs, Ended},
    small::Map,
};

/// Time for an answer to `hello`. A server gives the client 10 s for the whole of it.
const GREETING: Duration = Duration::from_secs(15);
/// Time for the end of a connection: for the server's word after `bye`, and for the driver's after `Disconnect`.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);
/// Reconnecting: the first delay is below this, and each bound is twice the one before…
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// …up to this.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// After a `closing` that only time heals: no try comes sooner, and the spread beyond that doubles from the first bound…
const EASE: Duration = Duration::from_secs(5);
/// …up to this.
const LONGEST_EASE: Duration = Duration::from_secs(55);
/// How often in a row the time for an answer is doubled.
const SILENCES: u32 = 2;
/// Time for the server to say how it stands with the rooms that it remembers. It reads them first.
const READING: Duration = Duration::from_secs(5);
/// A server that asks for pings in less than this is not listened to.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Where the connection stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// Not started.
    New,
    /// The driver is making one.
    Connecting,
    /// `hello` is sent.
    Greeting { until: Monotonic },
    /// `hello` was refused; the application looks for another name.
    Refused,
    /// The same, but the connection has ended meanwhile. The next name makes another.
    Parked,
    /// Welcomed.
    Up,
    /// `bye` is sent.
    Bye { until: Monotonic },
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

/// What comes after the end of a connection.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Then {
    End(Ended),
    /// Another one, not before so long from now.
    Retry {
        not_before: Duration,
    },
    /// The application looks for another name.
    Park,
    /// Another one at once: the application has chosen a name.
    Connect,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) phase: Phase,
    form: Form,
    framing: Framing,
    decoder: Decoder,
    /// Whether any connection has been welcomed; until then nothing is tried again.
    pub(super) ever_welcomed: bool,
    /// A hello went out on this connection, and nothing was said to it yet.
    pub(super) greeted: bool,
    /// A hello was refused on this connection.
    pub(super) refused: bool,
    /// That was so on a connection that is lost: its hello may yet be taken for this member coming anew.
    pub(super) ghost: bool,
    /// Whether this one has.
    pub(super) welcomed: bool,
    /// Rooms that were presented or announced and of which nothing was said yet.
    awaited: Map<RoomId, ()>,
    /// Until then what names no room waits for them, too.
    patience: Option<Monotonic>,
    /// Tries since the last success.
    tries: u32,
    /// The server has said that it does not want the client back soon.
    pub(super) at_ease: bool,
    /// Since when a request is unanswered and nothing was heard.
    asked: Option<Monotonic>,
    /// How long the server may leave the client without a word while it is asked something, if that is limited.
    answer_within: Option<Duration>,
    /// Connections in a row that were given up because the server was silent.
    silences: u32,
    interval: Duration,
    said: Monotonic,
    heard: Monotonic,
    /// The first ping since anything was heard.
    pinged: Option<Monotonic>,
    nonce: u64,
}

impl Connection {
    pub(super) fn new(answer_within: Option<Duration>) -> Self {
        Self {
            phase: Phase::New,
            form: Form::Postcard,
            framing: Framing::Stream,
            decoder: Decoder::new(SERVER_FRAME_BYTES),
            ever_welcomed: false,
            greeted: false,
            refused: false,
            ghost: false,
            welcomed: false,
            awaited: Map::default(),
            patience: None,
            tries: 0,
            at_ease: false,
            asked: None,
            answer_within,
            silences: 0,
            interval: SHORTEST_INTERVAL,
            said: Monotonic(0),
            heard: Monotonic(0),
            pinged: None,
            nonce: 0,
        }
    }

    /// Whether requests may be sent.
    pub(super) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether the server is listened to.
    pub(super) fn is_open(&self) -> bool {
        matches!(
            self.phase,
            Phase::Greeting { .. } | Phase::Refused | Phase::Up | Phase::Bye { .. }
        )
    }

    /// Asks the driver for a connection.
    pub(super) fn connect(&mut self, out: &mut ClientOutputs) {
        self.phase = Phase::Connecting;
        out.push(ClientOutput::Connect);
    }

    /// The driver has made it.
    pub(super) fn open(&mut self, now: Monotonic, framing: Framing, form: Form) {
        self.framing = framing;
        self.form = form;
        self.refused = false;
        self.decoder = Decoder::new(SERVER_FRAME_BYTES);
        self.welcomed = false;
        self.ghost |= core::mem::take(&mut self.greeted);
        self.awaited.clear();
        self.patience = None;
        self.pinged = None;
        self.asked = None;
        self.said = now;
        self.heard = now;
        self.phase = Phase::Greeting {
            until: now + GREETING,
        };
    }

    /// `hello` goes out.
    pub(super) fn greet(&mut self, now: Monotonic) {
        self.phase = Phase::Greeting {
            until: now + GREETING,
        };
        self.greeted = true;
    }

    /// The server has taken the client in.
    pub(super) fn welcome(&mut self, now: Monotonic, ping_interval: u32, awaited: Map<RoomId, ()>) {
        self.phase = Phase::Up;
        self.ever_welcomed = true;
        self.greeted = false;
        self.welcomed = true;
        self.patience = (!awaited.is_empty()).then(|| now + READING);
        self.awaited = awaited;
        self.tries = 0;
        self.at_ease = false;
        self.interval = Duration::from_millis(ping_interval.into()).max(SHORTEST_INTERVAL);
        self.said = now;
        self.heard = now;
        self.pinged = None;
    }

    /// The server has said how a room stands.
    pub(super) fn hear_of(&mut self, room: RoomId) {
        self.awaited.remove(&room);
        if self.awaited.is_empty() {
            self.patience = None;
        }
    }

    /// Whether nothing was said yet of this room.
    pub(super) fn awaits(&self, room: RoomId) -> bool {
        self.awaited.contains_key(&room)
    }

    /// Whether something may be said yet of any room.
    pub(super) fn is_patient(&self) -> bool {
        self.patience.is_some()
    }

    /// The rooms of which nothing was said for too long, told once.
    pub(super) fn lose_patience(&mut self, now: Monotonic) -> Vec<RoomId> {
        if self.patience.is_none_or(|until| until > now) {
            return Vec::new();
        }
        self.patience = None;
        self.awaited.keys().copied().collect()
    }

    pub(super) fn encode(&self, message: &ClientMessage) -> Frame {
        self.form.encode(message)
    }

    pub(super) fn send(&mut self, now: Monotonic, frame: Frame, out: &mut ClientOutputs) {
        self.said = now;
        out.push(ClientOutput::Send(frame));
    }

    pub(super) fn say(&mut self, now: Monotonic, message: &ClientMessage, out: &mut ClientOutputs) {
        let frame = self.encode(message);
        self.send(now, frame, out);
    }

    /// Ends the connection, and remembers what comes then.
    pub(super) fn drop_it(&mut self, now: Monotonic, then: Then, out: &mut ClientOutputs) {
        // Before another connection is made the driver's word is needed; an end does not wait for it for ever.
        let until = matches!(then, Then::End(_)).then(|| now + FAREWELL);
        self.phase = Phase::Dropping { then, until };
        out.push(ClientOutput::Disconnect);
    }

    /// Chooses when to try again. The first try comes within a second, further ones at random within a bound that
    /// doubles up to ten seconds ("full jitter"); `not_before` moves all of that to a later beginning, and is the least
    /// bound: those who are asked to wait are many, and shall not come back at one moment. Where the server did not ask for
    /// the client back, all of that is slower.
    pub(super) fn wait(
        &mut self,
        now: Monotonic,
        not_before: Duration,
        rng: &mut dyn RngCore,
    ) -> Duration {
        let (first, longest, least) = if self.at_ease {
            (EASE, LONGEST_EASE, EASE)
        } else {
            (FIRST_DELAY, LONGEST_DELAY, Duration::ZERO)
        };
        let bound = first
            .saturating_mul(1 << self.tries.min(4))
            .max(not_before)
            .min(longest);
        let not_before = not_before.max(least);
        self.tries = self.tries.saturating_add(1);
        let nanos = u64::try_from(bound.as_nanos()).expect("a minute");
        let delay = not_before + Duration::from_nanos(rng.next_u64() % nanos);
        self.phase = Phase::Waiting { until: now + delay };
        delay
    }

    /// Something came.
    pub(super) fn hear(&mut self, now: Monotonic) {
        self.heard = now;
        self.pinged = None;
        self.asked = self.asked.map(|_| now);
    }

    /// A ping was answered: the way is not too slow for the time that answers have.
    pub(super) fn ponged(&mut self) {
        self.silences = 0;
    }

    /// Whether requests are unanswered by now.
    pub(super) fn expects(&mut self, now: Monotonic, unanswered: bool) {
        self.asked = unanswered.then(|| self.asked.unwrap_or(now));
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    /// The half-received frame, to be given back when the bytes at hand are used up.
    pub(super) fn decoder(&mut self) -> Decoder {
        core::mem::replace(&mut self.decoder, Decoder::new(SERVER_FRAME_BYTES))
    }

    pub(super) fn give_back(&mut self, decoder: Decoder) {
        self.decoder = decoder;
    }

    /// When the connection wants to be looked at.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match self.phase {
            Phase::Greeting { until } | Phase::Waiting { until } | Phase::Bye { until } => {
                Some(until)
            }
            Phase::Dropping { until, .. } => until,
            Phase::Up => [Some(self.ping_at()), self.dead_at(), self.patience]
                .into_iter()
                .flatten()
                .min(),
            Phase::New | Phase::Connecting | Phase::Refused | Phase::Parked | Phase::Ended => None,
        }
    }

    /// When a ping is due: a quarter of the interval before the server would expect a word, so that a slow network
    /// does not make it late; or when nothing was heard for that long, or for half of the time for an answer.
    fn ping_at(&self) -> Monotonic {
        let soon = self.interval / 4 * 3;
        if self.pinged.is_some() {
            return self.said + soon;
        }
        let due = self.said.min(self.heard) + soon;
        let nudge = self.asked.zip(self.half_for_answer());
        nudge.map_or(due, |(asked, half)| due.min(asked + half))
    }

    /// When the server counts as dead: it was pinged and has been silent for two intervals since, or for the other half
    /// of the time for an answer.
    fn dead_at(&self) -> Option<Monotonic> {
        let wait = self.half_for_answer().unwrap_or(2 * self.interval);
        self.pinged.map(|pinged| pinged + wait)
    }

    fn half_for_answer(&self) -> Option<Duration> {
        self.answer_within
            .map(|within| within / 2 * (1 << self.silences.min(SILENCES)))
    }

    /// Asks the server whether it is there, unless it is asked already.
    pub(super) fn probe(&mut self, now: Monotonic, out: &mut ClientOutputs) {
        if self.pinged.is_none() {
            self.ping(now, out);
        }
    }

    fn ping(&mut self, now: Monotonic, out: &mut ClientOutputs) {
        self.nonce += 1;
        let ping = ClientMessage::Ping(Ping { nonce: self.nonce });
        self.say(now, &ping, out);
        self.pinged.get_or_insert(now);
    }

    /// Pings if it is time. False: the connection is dead.
    pub(super) fn keep_alive(&mut self, now: Monotonic, out: &mut ClientOutputs) -> bool {
        if self.dead_at().is_some_and(|dead| dead <= now) {
            self.silences = self.silences.saturating_add(1);
            return false;
        }
        if self.ping_at() <= now {
            self.ping(now, out);
        }
        true
    }
}
