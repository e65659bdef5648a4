//! The client machine of `chat-core` for a browser: bytes in, bytes out, events as JSON, timers by
//! `next_timeout`.
//!
//! The page has a WebSocket, a timer and a worker, and this says what to do with them: the page
//! hands in what happened, then takes [`Step`]s until there are none. All of the protocol is in
//! here; the page draws.
//!
//! Times are milliseconds: `now` is `performance.now()`. Identifiers are base64, as in the
//! protocol's JSON form.

mod commands;
mod event;
mod words;

use core::time::Duration;

use base64ct::{Base64, Encoding};
use chat_core::{
    client::{
        Client, ClientConfig, ClientInput, ClientOutput, ClientOutputs, Credentials, Dialled, Work,
        WorkDone,
    },
    id::{RoomId, Secret},
    keys::DeviceKeys,
    link::Fragment,
    time::{Monotonic, Now, Wall},
    wire::{Form, Framing},
};
use wasm_bindgen::prelude::*;

/// A third of the code of the standard library's.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

pub use words::{check_key, check_nick, harmless, qr_code};

/// A hung link shows within ten seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// A client. It has to be told [`start`](Self::start) first.
#[wasm_bindgen]
#[derive(Debug)]
pub struct WebClient {
    machine: Client,
    out: ClientOutputs,
    /// The wall clock at the moment from which `now` counts.
    origin: f64,
}

#[wasm_bindgen]
impl WebClient {
    /// `secret` and `seed` are 32 random bytes each: the first is kept and makes the member's keys,
    /// the second is new each time. `imposed`: the application that the page belongs to knows who
    /// people are, and says which member this is. `fragment`: of the link that led here. `origin`:
    /// `performance.timeOrigin`.
    ///
    /// # Errors
    /// They have another length.
    #[wasm_bindgen(constructor)]
    pub fn new(
        nick: String,
        label: String,
        secret: &[u8],
        imposed: bool,
        fragment: &str,
        seed: &[u8],
        origin: f64,
    ) -> Result<WebClient, JsError> {
        let sized = |bytes: &[u8]| {
            <[u8; 32]>::try_from(bytes).map_err(|_| JsError::new("32 bytes are needed"))
        };
        let keys = DeviceKeys::from_secret(&Secret(sized(secret)?));
        let mut config = ClientConfig::new(nick, Credentials::kept(keys), sized(seed)?);
        config.label = label;
        config.imposed = imposed;
        // Of half a link nothing counts: the server says what is missing.
        let link = fragment.parse::<Fragment>().unwrap_or_default();
        config.pin = link.key;
        config.invite = link.invite;
        // A page is left open, and comes back by itself.
        config.returns = true;
        config.answer_within = Some(ANSWER_WITHIN);
        config.agent = concat!("chat-web/", env!("CARGO_PKG_VERSION")).to_owned();
        Ok(Self {
            machine: Client::new(config),
            out: ClientOutputs::new(),
            origin,
        })
    }

    /// Begins.
    pub fn start(&mut self, now: f64) {
        self.machine.start(self.at(now), &mut self.out);
    }

    /// The WebSocket to `url` is open.
    pub fn connected(&mut self, now: f64, url: String) {
        let dialled = Dialled {
            audience: url,
            ..Dialled::new(Framing::Message, Form::Postcard)
        };
        self.input(now, ClientInput::Connected(dialled));
    }

    /// A binary message came.
    pub fn received(&mut self, now: f64, bytes: &[u8]) {
        self.input(now, ClientInput::Received(bytes));
    }

    /// The WebSocket is closed, or could not be opened.
    pub fn disconnected(&mut self, now: f64) {
        self.input(now, ClientInput::Disconnected);
    }

    /// The worker has done what it was given.
    ///
    /// # Errors
    /// These bytes are not what [`run_work`] gave.
    pub fn done(&mut self, now: f64, bytes: &[u8]) -> Result<(), JsError> {
        let done = WorkDone::from_bytes(bytes)?;
        self.input(now, ClientInput::Done(done));
        Ok(())
    }

    /// The time of [`next_timeout`](Self::next_timeout) has come.
    pub fn timeout(&mut self, now: f64) {
        self.machine.handle_timeout(self.at(now), &mut self.out);
    }

    /// The network may have changed, or a person looks again: tries at once, or asks whether the
    /// server is there.
    pub fn probe(&mut self, now: f64) {
        self.machine.probe(self.at(now), &mut self.out);
    }

    /// When [`timeout`](Self::timeout) is to be called, on the scale of `now`.
    pub fn next_timeout(&self) -> Option<f64> {
        let nanos = self.machine.poll_timeout()?.0;
        // Rounded up: a call that is too early would only be repeated.
        Some(nanos.div_ceil(1_000_000) as f64)
    }

    /// Another name, after an event `hello_refused`.
    pub fn rename(&mut self, now: f64, nick: String, label: String) {
        self.machine
            .rename(self.at(now), nick, label, &mut self.out);
    }

    /// Says good-bye and ends.
    pub fn close(&mut self, now: f64) {
        self.machine.close(self.at(now), &mut self.out);
    }

    /// This member's id, in base64.
    pub fn member(&self) -> String {
        Base64::encode_string(&self.machine.me().member.0)
    }

    /// The keys of a room, for [`restore_keys`](Self::restore_keys) after the page was loaded anew.
    /// A secret.
    ///
    /// # Errors
    /// The room's id is not one.
    pub fn keys(&self, room: &str) -> Result<Option<Vec<u8>>, JsError> {
        Ok(self
            .machine
            .keys(RoomId(id(room)?))
            .map(|keys| keys.to_vec()))
    }

    /// Takes in what [`keys`](Self::keys) gave. Whether the room can be spoken in now.
    ///
    /// # Errors
    /// The room's id is not one.
    pub fn restore_keys(&mut self, room: &str, kept: &[u8]) -> Result<bool, JsError> {
        Ok(self.machine.restore_keys(RoomId(id(room)?), kept))
    }

    /// The life of the outbox: only one page at a time may go on with it.
    pub fn session(&self) -> f64 {
        self.machine.session().0 as f64
    }

    /// The server's key as links carry it, `k=…`; nothing before it has shown one.
    pub fn server(&self) -> String {
        let key = self.machine.server().map(|key| key.fingerprint());
        let link = Fragment { key, invite: None }.to_string();
        link.trim_start_matches('#').to_owned()
    }

    /// The requests that are not done, in base64, for [`restore_outbox`](Self::restore_outbox)
    /// after the page was loaded anew. They hold texts to be said.
    pub fn outbox(&self) -> String {
        Base64::encode_string(&self.machine.outbox())
    }

    /// Goes on with what [`outbox`](Self::outbox) gave, before the start. The result is the
    /// requests in their order, as JSON:
    /// `{"ticket", "said": {"room", "action", "text"} | null}`. None: the bytes are something else,
    /// and nothing is restored.
    pub fn restore_outbox(&mut self, now: f64, kept: &str) -> Option<String> {
        let kept = Base64::decode_vec(kept).ok()?;
        let now = self.at(now);
        let commands = self.machine.restore_outbox(now, &kept)?;
        Some(event::restored(&commands))
    }

    /// The page's next step; to be asked for until there is none.
    pub fn next_step(&mut self) -> Option<Step> {
        Some(match self.out.pop()? {
            ClientOutput::Connect => Step::bare("connect"),
            ClientOutput::Disconnect => Step::bare("disconnect"),
            ClientOutput::Identify(_) => {
                debug_assert!(false, "the credentials were given");
                return self.next_step();
            }
            ClientOutput::Send(frame) => Step {
                bytes: Some(frame.body().to_vec()),
                ..Step::bare("send")
            },
            ClientOutput::Work(work) => Step {
                bytes: Some(work.to_bytes().to_vec()),
                ..Step::bare("work")
            },
            ClientOutput::Event(event) => Step {
                event: Some(event::write(&event)),
                ..Step::bare("event")
            },
        })
    }

    fn input(&mut self, now: f64, input: ClientInput<'_>) {
        self.machine
            .handle_input(self.at(now), input, &mut self.out);
    }

    fn at(&self, now: f64) -> Now {
        Now {
            monotonic: Monotonic((now.max(0.0) * 1e6) as u64),
            wall: Wall((self.origin + now).max(0.0) as u64),
        }
    }
}

/// Something that the page shall do.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Step {
    what: &'static str,
    bytes: Option<Vec<u8>>,
    event: Option<String>,
}

#[wasm_bindgen]
impl Step {
    /// `connect`, `disconnect`, `send` (with bytes), `work` (with bytes, for [`run_work`] in a
    /// worker) or `event` (with JSON).
    #[wasm_bindgen(getter)]
    pub fn what(&self) -> String {
        self.what.to_owned()
    }

    /// Takes the bytes out.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        self.bytes.take()
    }

    /// Takes the event out.
    pub fn event(&mut self) -> Option<String> {
        self.event.take()
    }

    fn bare(what: &'static str) -> Self {
        Self {
            what,
            bytes: None,
            event: None,
        }
    }
}

/// Does the work of a step: stretches a password. Takes up to a second and 64 MiB; for a worker.
///
/// # Errors
/// These bytes are no work.
#[wasm_bindgen]
pub fn run_work(bytes: &[u8]) -> Result<Vec<u8>, JsError> {
    Ok(Work::from_bytes(bytes)?.run().to_bytes().to_vec())
}

/// Reads an identifier.
fn id(text: &str) -> Result<[u8; 16], JsError> {
    let mut id = [0; 16];
    match Base64::decode(text, &mut id) {
        Ok(bytes) if bytes.len() == 16 => Ok(id),
        _ => Err(JsError::new("this is no identifier")),
    }
}
