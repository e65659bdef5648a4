//! The people: their programs, what they do with them, and what they are told. What a program asks
//! for is given out one by one, and what it is told is handed in.

mod actions;
mod client_oracle;
mod foreign_client;
mod outcomes;
mod programs;

use std::collections::{BTreeMap, HashMap, HashSet};

use chat_core::{
    client::{
        Client, ClientEvent, ClientInput, ClientOutput, ClientOutputs, Credentials, Ended, Ticket,
        Work,
    },
    hub::Framing,
    id::{MemberId, RoomId},
    invite::InviteSecret,
    keys::PublicKey,
    wire::{CloseReason, Form},
};

pub(crate) use self::{
    actions::{Asked, picks},
    client_oracle::Inside,
};
use self::{client_oracle::Told, foreign_client::Raw};
use crate::{
    happening::{ClientDue, Happening},
    reference_model::Truth,
    rng::Rng,
    time::{MS, SECOND},
    turn::Turn,
    untruth::Untruth,
};

/// Longer than a hub waits for a hello.
const PATIENCE: u64 = 12 * SECOND;

/// All people of a world.
#[derive(Debug)]
pub(crate) struct People {
    peers: Vec<Peer>,
    /// The key of the server.
    server: PublicKey,
    /// Lives of clients that there have been, at most.
    lives: usize,
    /// Passwords that rooms have had, as their users pass them on; the newest last.
    passwords: BTreeMap<RoomId, Vec<String>>,
    /// The author of each text, and the room it went to.
    texts: HashMap<String, (MemberId, Option<RoomId>)>,
    /// Texts that were refused, and so must never be heard.
    refused: HashSet<String>,
    /// Invitations, as the operator has handed them out.
    invites: Vec<InviteSecret>,
}

/// A person with a program.
#[derive(Debug)]
struct Peer {
    index: usize,
    client: Option<Box<Client>>,
    out: ClientOutputs,
    life: u32,
    credentials: Option<Credentials>,
    /// Its program is of another make.
    raw: Option<Raw>,
    member: MemberId,
    /// All that it has been, for whoever reads the trace.
    members: Vec<MemberId>,
    nick: String,
    kept: bool,
    guest: bool,
    /// The client was told of the server's key.
    pinned: bool,
    /// The client was given its credentials later than hubs wait for.
    slow: bool,
    json: bool,
    messages: bool,
    last_hub: usize,
    steer: Option<usize>,
    armed: Option<u64>,
    told: Told,
    tickets: BTreeMap<Ticket, Asked>,
    /// Why it has ended, if it has.
    ended: Option<Ended>,
    /// The client said `bye`.
    leaving: bool,
    /// An earlier session of this member may still be on its way somewhere.
    has_past: bool,
    /// The outbox as it was kept: behind each command and each end of one, and before each frame.
    saved: Vec<u8>,
    /// The outbox of the life before, and by which fault it is what it is.
    outbox: Option<(Vec<u8>, &'static str)>,
    /// When this life began, and how it came by its outbox.
    began: (u64, Option<&'static str>),
    said: u32,
    /// Hellos that were refused.
    refused: u32,
    rng: Rng,
}

/// The program of a client as it is to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) kept: bool,
    pub(crate) json: bool,
    pub(crate) messages: bool,
    /// Without keys, if it has no credentials yet.
    pub(crate) guest: bool,
}

/// An event for a client's application, and what went before.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) event: ClientEvent,
    /// The untruth on its last connection.
    pub(crate) untruth: Option<Untruth>,
    /// The client has read nothing up to just now.
    pub(crate) stalled: bool,
}

/// A connection that a client asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) hub: usize,
    pub(crate) life: u32,
    pub(crate) member: MemberId,
    pub(crate) form: Form,
    pub(crate) framing: Framing,
    /// The program is of another make.
    pub(crate) raw: bool,
    /// The client knows the server's key.
    pub(crate) knows: bool,
    /// How long until it reaches the hub.
    pub(crate) after: u64,
}

/// A client as it is in the end.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub(crate) client: &'a Client,
    pub(crate) member: MemberId,
    /// The name that it was told.
    pub(crate) nick: &'a str,
    pub(crate) rooms: &'a BTreeMap<RoomId, Inside>,
    /// Its commands that have not ended.
    pub(crate) tickets: &'a BTreeMap<Ticket, Asked>,
}

impl Peer {
    fn new(seed: u64, index: u16) -> Self {
        Self {
            index: index.into(),
            client: None,
            out: ClientOutputs::new(),
            life: 0,
            credentials: None,
            raw: None,
            member: MemberId::SERVER,
            members: Vec::new(),
            nick: format!("n{index}"),
            kept: false,
            guest: false,
            pinned: false,
            slow: false,
            json: false,
            messages: false,
            last_hub: 0,
            steer: None,
            armed: None,
            told: Told::default(),
            tickets: BTreeMap::new(),
            ended: None,
            leaving: false,
            has_past: false,
            saved: Vec::new(),
            outbox: None,
            began: (0, None),
            said: 0,
            refused: 0,
            rng: Rng::new(seed, 1_000_000 + u64::from(index)),
        }
    }
}

impl People {
    pub(crate) fn new(turn: &Turn, server: PublicKey) -> Self {
        let count = turn.shape.clients + turn.shape.raws;
        Self {
            peers: (0..count)
                .map(|client| Peer::new(turn.seed, client))
                .collect(),
            server,
            lives: 0,
            passwords: BTreeMap::new(),
            texts: HashMap::new(),
            refused: HashSet::new(),
            invites: Vec::new(),
        }
    }

    /// The operator hands out an invitation.
    pub(crate) fn is_handed_out(&mut self, invite: InviteSecret) {
        self.invites.push(invite);
    }

    /// The invitation that a person shows: most often one of the newest.
    fn invitation(&mut self, turn: &Turn, client: usize) -> Option<InviteSecret> {
        let among = self.invites.len();
        if among == 0 {
            return None;
        }
        let rng = &mut self.peers[client].rng;
        let newest = if turn.calm {
            1
        } else if rng.chance(700) {
            3.min(among)
        } else {
            among
        };
        let back = rng.between(1, newest as u64) as usize;
        Some(self.invites[among - back].clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    /// Members that there can have been, at most.
    pub(crate) fn ever(&self) -> usize {
        self.lives + self.peers.len()
    }

    pub(crate) fn life(&self, client: usize) -> u32 {
        self.peers[client].life
    }

    pub(crate) fn is_raw(&self, client: usize) -> bool {
        self.peers[client].raw.is_some()
    }

    /// Whether a program of this project's runs.
    pub(crate) fn is_running(&self, client: usize) -> bool {
        self.peers[client].client.is_some()
    }

    pub(crate) fn standing(&self, client: usize) -> Option<Standing<'_>> {
        let peer = &self.peers[client];
        Some(Standing {
            client: peer.client.as_ref()?,
            member: peer.member,
            nick: &peer.told.nick,
            rooms: &peer.told.rooms,
            tickets: &peer.tickets,
        })
    }

    /// All that each of them has been.
    pub(crate) fn members(&self) -> impl Iterator<Item = (usize, MemberId)> {
        self.peers.iter().flat_map(|peer| {
            let members = peer.members.iter();
            members.map(|member| (peer.index, *member))
        })
    }

    /// A text stands in a room that no client said.
    pub(crate) fn is_written(&mut self, text: String, member: MemberId, room: RoomId) {
        self.texts.insert(text, (member, Some(room)));
    }

    /// Clients that connect go to this hub; without one, to any.
    pub(crate) fn steer(&mut self, client: usize, hub: Option<usize>) {
        self.peers[client].steer = hub;
    }

    /// Something is due to a client in this life. Whether its machine may have something to say.
    pub(crate) fn happen(
        &mut self,
        turn: &mut Turn,
        client: usize,
        life: u32,
        due: ClientDue,
    ) -> bool {
        if self.peers[client].life != life {
            return false;
        }
        match due {
            ClientDue::Wake => self.wake(turn, client),
            ClientDue::NoConnection => self.feed(turn, client, ClientInput::Disconnected),
            ClientDue::Work(work) => {
                let done = work.run();
                self.feed(turn, client, ClientInput::Done(done))
            }
            ClientDue::Rename(nick) => self.rename(turn, client, nick),
            ClientDue::Identified => {
                let credentials = self.peers[client].credentials.clone();
                self.feed(turn, client, ClientInput::Identified(credentials))
            }
            ClientDue::StartAgain => !turn.over && self.start(turn, client),
        }
    }

    /// A client asks with which credentials it is to enter.
    pub(crate) fn is_asked(&mut self, turn: &mut Turn, client: usize, key: PublicKey) {
        turn.book.saw("a client that asked for its credentials");
        let right = key == self.server;
        turn.book
            .check("nobody else has the server's key", right, || {
                format!("client {client} is shown {key}")
            });
        let peer = &mut self.peers[client];
        let after = *peer.rng.pick(&[0, 200 * MS, PATIENCE]);
        let after = if turn.calm { 0 } else { after };
        peer.slow |= after == PATIENCE;
        let identified = Happening::Client(client, peer.life, ClientDue::Identified);
        turn.soon(after, identified);
    }

    fn rename(&mut self, turn: &Turn, client: usize, nick: String) -> bool {
        let now = turn.time(0);
        let peer = &mut self.peers[client];
        peer.nick.clone_from(&nick);
        let Some(machine) = &mut peer.client else {
            return false;
        };
        machine.rename(now, nick, String::new(), &mut peer.out);
        true
    }

    /// Hands in one thing, if there is a program.
    pub(crate) fn feed(&mut self, turn: &Turn, client: usize, input: ClientInput<'_>) -> bool {
        let now = turn.time(0);
        let peer = &mut self.peers[client];
        let Some(machine) = &mut peer.client else {
            return false;
        };
        machine.handle_input(now, input, &mut peer.out);
        true
    }

    /// Hands in what came on the connection, of a stream in small pieces if it is to be cut.
    pub(crate) fn receive(
        &mut self,
        turn: &mut Turn,
        client: usize,
        framing: Option<Framing>,
        mut bytes: &[u8],
    ) -> bool {
        let now = turn.time(0);
        let peer = &mut self.peers[client];
        if let (Some(machine), Some(knife), Some(Framing::Stream)) =
            (&mut peer.client, &mut turn.knife, framing)
        {
            while let Some((piece, rest)) = knife.cut(bytes) {
                machine.handle_input(now, ClientInput::Received(piece), &mut peer.out);
                bytes = rest;
            }
        }
        self.feed(turn, client, ClientInput::Received(bytes))
    }

    fn wake(&mut self, turn: &mut Turn, client: usize) -> bool {
        let now = turn.time(0);
        let peer = &mut self.peers[client];
        if peer.armed.is_none_or(|armed| armed > turn.now) {
            return false;
        }
        peer.armed = None;
        let Some(machine) = &mut peer.client else {
            return false;
        };
        if machine.poll_timeout().is_some_and(|at| at <= now.monotonic) {
            machine.handle_timeout(now, &mut peer.out);
            let next = machine.poll_timeout();
            turn.book.check(
                "what is due is done",
                next.is_none_or(|next| next > now.monotonic),
                || format!("client {client}: {next:?}"),
            );
        }
        true
    }

    /// The next that a client asks for.
    pub(crate) fn next(&mut self, client: usize) -> Option<ClientOutput> {
        self.peers[client].out.pop()
    }

    /// A client has work that takes its time.
    pub(crate) fn works(&mut self, turn: &mut Turn, client: usize, work: Work) {
        let peer = &mut self.peers[client];
        let (life, after) = (peer.life, peer.rng.below(200 * MS));
        let work = ClientDue::Work(Box::new(work));
        turn.soon(after, Happening::Client(client, life, work));
    }

    /// All that a client asked for is done. Whether it has ended.
    pub(crate) fn settle(&mut self, turn: &mut Turn, client: usize) -> bool {
        let peer = &mut self.peers[client];
        if peer.ended.is_some() {
            let quiet = peer.tickets.is_empty();
            turn.book.check("every command ends", quiet, || {
                format!("client {client} has ended, and {:?} have not", peer.tickets)
            });
            self.forget_life(client);
            return true;
        }
        let machine = peer.client.as_ref();
        let Some(at) = machine.and_then(|machine| machine.poll_timeout()) else {
            return false;
        };
        if peer.armed.is_none_or(|armed| at.0 < armed) {
            peer.armed = Some(at.0);
            let life = peer.life;
            turn.at(at.0, Happening::Client(client, life, ClientDue::Wake));
        }
        false
    }

    /// A client makes a connection to some hub; none if that is not there, of which it hears.
    pub(crate) fn connect(
        &mut self,
        turn: &mut Turn,
        client: usize,
        up: &[bool],
    ) -> Option<Wanted> {
        let peer = &mut self.peers[client];
        let any = if peer.rng.chance(500) {
            peer.last_hub
        } else {
            peer.rng.below(up.len() as u64) as usize
        };
        let mut hub = peer.steer.unwrap_or(any);
        if turn.calm && !up[hub] {
            hub = up.iter().position(|up| *up).unwrap_or(hub);
        }
        if hub != peer.last_hub && peer.told.welcomes > 0 {
            turn.book.saw("a client came back on another hub");
        }
        peer.last_hub = hub;
        let (life, after) = (peer.life, 1 + peer.rng.below(turn.delay() + 1));
        if !up[hub] {
            let none = Happening::Client(client, life, ClientDue::NoConnection);
            turn.soon(after, none);
            return None;
        }
        Some(Wanted {
            hub,
            life,
            member: peer.member,
            form: if peer.json {
                Form::Json
            } else {
                Form::Postcard
            },
            framing: match (peer.messages, peer.json) {
                (true, _) => Framing::Message,
                (false, true) => Framing::Lines,
                (false, false) => Framing::Stream,
            },
            raw: peer.raw.is_some(),
            knows: peer.pinned || peer.told.welcomes > 0,
            after,
        })
    }

    /// A client tells its application something.
    pub(crate) fn hears(&mut self, turn: &mut Turn, client: usize, word: Word, truth: &Truth) {
        let Word {
            event,
            untruth,
            stalled,
        } = word;
        turn.book
            .note(|| format!("client {client}: {}", client_oracle::brief(&event)));
        match event {
            ClientEvent::Finished { ticket, outcome } => {
                self.finished(turn, client, ticket, outcome, truth);
                self.save(client);
            }
            ClientEvent::SessionRenewed(_) => {
                turn.book.saw("a session in use elsewhere");
                self.peers[client].has_past = true;
                self.save(client);
            }
            ClientEvent::HelloRefused(failure) => {
                turn.book.saw("a hello refused");
                let peer = &mut self.peers[client];
                peer.refused += 1;
                let nick = format!("n{client}x{}", peer.rng.below(100_000));
                let after = *peer.rng.pick(&[10 * MS, 2 * SECOND, 12 * SECOND]);
                let after = if turn.calm { 10 * MS } else { after };
                let life = peer.life;
                turn.book.note(|| format!("client {client}: {failure:?}"));
                let rename = Happening::Client(client, life, ClientDue::Rename(nick));
                turn.soon(after, rename);
            }
            ClientEvent::Ended(ended) => {
                let found_out = untruth.and_then(|untruth| untruth.found_out(&ended));
                found_out.iter().for_each(|state| turn.book.saw(state));
                let excused = found_out.is_some() || stalled && is_too_late(&ended);
                self.has_ended(turn, client, &ended, excused);
            }
            ClientEvent::Welcomed { welcome, .. } => {
                let check = "no false server is taken for the real one";
                turn.book.check(check, untruth.is_none(), || {
                    format!("client {client}: {untruth:?}")
                });
                self.welcomed(turn, client, welcome.nick);
            }
            event => self.tell(turn, client, event, truth),
        }
    }

    fn has_ended(&mut self, turn: &mut Turn, client: usize, ended: &Ended, excused: bool) {
        let peer = &mut self.peers[client];
        let cause = match &ended {
            Ended::Asked => peer.leaving,
            // A client that was never in is not kept in: the person tries again.
            Ended::CannotConnect => peer.told.welcomes == 0,
            Ended::Closed(reason) if reason.reconnect() => peer.told.welcomes == 0,
            Ended::Closed(CloseReason::Replaced) => peer.has_past,
            Ended::Closed(CloseReason::TooManyAttempts) => peer.refused >= 10,
            ended => excused || peer.slow && is_too_late(ended),
        };
        let (life, after) = (peer.life + 1, peer.rng.between(100 * MS, 3 * SECOND));
        peer.ended = Some(ended.clone());
        turn.book
            .check("no client ends without a cause", cause, || {
                format!("client {client}: {ended:?}")
            });
        if matches!(
            ended,
            Ended::CannotConnect
                | Ended::WrongServer { .. }
                | Ended::ProtocolError(_)
                | Ended::Closed(
                    CloseReason::HandshakeTimeout
                        | CloseReason::Protocol
                        | CloseReason::Restarting
                        | CloseReason::Full
                        | CloseReason::Resync
                        | CloseReason::TooManyAttempts
                )
        ) {
            let again = Happening::Client(client, life, ClientDue::StartAgain);
            turn.soon(after, again);
        }
    }
}

/// The answer to `open` was read too late, or answered too late.
fn is_too_late(ended: &Ended) -> bool {
    matches!(ended, Ended::Closed(CloseReason::HandshakeTimeout))
}
