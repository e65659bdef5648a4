//! The clients and their driver: it does what a client asks, over links that may fail.

use std::collections::BTreeMap;

use chat_core::{
    client::{
        Client, ClientConfig, ClientEvent, ClientInput, ClientOutput, ClientOutputs, Command,
        Ended, Ticket, Work,
    },
    hub::{Framing, Input},
    id::{MemberId, Secret},
    password::Stretch,
    wire::{ClientMessage, CloseReason, Form, Frame},
};

use crate::{
    actions::Asked,
    client_oracle::Told,
    connection_oracle::{Line, proof_of, room_of},
    foreign_client::Raw,
    net::{Flag, Kind, Link, Pipe},
    plan::{Hears, Outbox},
    rng::Rng,
    world::{Happening, MS, SECOND, World},
};

/// Requests of one connection without an answer.
const UNANSWERED: usize = 256;
/// Further frames of a client before it is heard: hello, pings, its last words.
const OTHER_WORDS: usize = 16;

/// A person with a program.
pub(crate) struct Peer {
    pub(crate) index: usize,
    pub(crate) client: Option<Box<Client>>,
    pub(crate) out: ClientOutputs,
    pub(crate) life: u32,
    pub(crate) secret: Option<[u8; 32]>,
    /// Its program is of another make.
    pub(crate) raw: Option<Raw>,
    pub(crate) member: MemberId,
    /// All that it has been, for whoever reads the trace.
    pub(crate) members: Vec<MemberId>,
    pub(crate) nick: String,
    pub(crate) kept: bool,
    pub(crate) json: bool,
    pub(crate) messages: bool,
    pub(crate) link: Option<u32>,
    last_hub: usize,
    pub(crate) steer: Option<usize>,
    pub(crate) stalled_until: u64,
    armed: Option<u64>,
    pub(crate) told: Told,
    pub(crate) tickets: BTreeMap<Ticket, Asked>,
    /// Why it has ended, if it has.
    pub(crate) ended: Option<Ended>,
    /// The client said `bye`.
    pub(crate) leaving: bool,
    /// An earlier session of this member may still be on its way somewhere.
    has_past: bool,
    /// The outbox as it was kept: behind each command and each end of one, and before each frame.
    saved: Vec<u8>,
    /// The outbox of the life before, and by which fault it is what it is.
    outbox: Option<(Vec<u8>, &'static str)>,
    /// When this life began, and how it came by its outbox.
    began: (u64, Option<&'static str>),
    pub(crate) said: u32,
    /// Hellos that were refused.
    refused: u32,
    pub(crate) rng: Rng,
}

impl Peer {
    pub(crate) fn new(seed: u64, index: u16) -> Self {
        Self {
            index: index.into(),
            client: None,
            out: ClientOutputs::new(),
            life: 0,
            secret: None,
            raw: None,
            member: MemberId::SERVER,
            members: Vec::new(),
            nick: format!("n{index}"),
            kept: false,
            json: false,
            messages: false,
            link: None,
            last_hub: 0,
            steer: None,
            stalled_until: 0,
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

impl World {
    pub(crate) fn start(&mut self, client: usize) {
        let peer = &mut self.peers[client];
        if peer.raw.is_some() || peer.client.is_some() || self.over {
            return;
        }
        let now = self.client_now();
        let peer = &mut self.peers[client];
        self.lives += 1;
        peer.life += 1;
        peer.has_past = peer.secret.is_some() && (peer.has_past || peer.outbox.is_none());
        let secret = Secret(*peer.secret.get_or_insert_with(|| peer.rng.bytes32()));
        peer.member = MemberId::of(&secret);
        if !peer.members.contains(&peer.member) {
            peer.members.push(peer.member);
        }
        let mut config = ClientConfig::new(peer.nick.clone(), secret, peer.rng.bytes32());
        config.kept = peer.kept;
        config.stretch = Stretch::cheap();
        let mut machine = Box::new(Client::new(config));
        let outbox = peer.outbox.take();
        peer.began = (self.now, outbox.as_ref().map(|(_, fault)| *fault));
        let restored = outbox.map(|(bytes, _)| machine.restore_outbox(now, &bytes));
        peer.client = Some(machine);
        peer.told = Told::default();
        peer.ended = None;
        peer.leaving = false;
        let (member, nick) = (peer.member, peer.nick.clone());
        self.book
            .note(|| format!("client {client} begins: {nick}, {member}"));
        if let Some(restored) = restored {
            self.goes_on(client, restored);
        }
        let peer = &mut self.peers[client];
        if let Some(machine) = &mut peer.client {
            machine.start(now, &mut peer.out);
        }
        self.drain_client(client);
    }

    /// A program goes on with the commands of its last life.
    fn goes_on(&mut self, client: usize, restored: Option<Vec<(Ticket, Command)>>) {
        let whole = restored.is_some();
        self.book.check("a saved outbox is one", whole, || {
            format!("client {client}")
        });
        let peer = &mut self.peers[client];
        if let (_, Some(fault)) = peer.began
            && restored
                .as_ref()
                .is_some_and(|commands| !commands.is_empty())
        {
            self.book.fault(fault);
        }
        for (ticket, command) in restored.into_iter().flatten() {
            self.book
                .note(|| format!("client {client} goes on with {ticket:?}: {command:?}"));
            let asked = Asked::again(command);
            if let Some(text) = &asked.text {
                // An older outbox does not know that.
                self.refused.remove(text);
            }
            peer.tickets.insert(ticket, asked);
        }
    }

    /// A command of the last life has become this record.
    pub(crate) fn is_found_done(&mut self, client: usize, written: Option<u64>) {
        let (at, fault) = self.peers[client].began;
        if let Some(fault) = fault.filter(|_| written.is_some_and(|written| written < at)) {
            self.book.changes(fault);
        }
    }

    /// The application keeps the outbox.
    pub(crate) fn save(&mut self, client: usize) {
        let peer = &mut self.peers[client];
        if let Some(machine) = &peer.client {
            peer.saved = machine.outbox().to_vec();
        }
    }

    /// The program is gone without a word.
    pub(crate) fn kill(&mut self, client: usize, forget: bool, outbox: Outbox) {
        let peer = &mut self.peers[client];
        let Some(machine) = &peer.client else {
            return;
        };
        peer.outbox = match outbox {
            _ if forget => None,
            Outbox::Lost => None,
            Outbox::Older if peer.saved.is_empty() => None,
            Outbox::Kept => Some((machine.outbox().to_vec(), "an outbox gone on with")),
            Outbox::Older => Some((peer.saved.clone(), "an outbox that was kept before")),
        };
        if peer.outbox.is_none() && !peer.tickets.is_empty() {
            self.book.fault("a client crashed and lost its outbox");
        }
        self.book.fault(if forget {
            "a client crashed and lost its secret"
        } else {
            "a client crashed"
        });
        self.end_client(client, forget);
    }

    /// A client's program is there no more.
    pub(crate) fn end_client(&mut self, client: usize, forget: bool) {
        if self.peers[client].client.take().is_none() {
            return;
        }
        self.book.note(|| format!("client {client} is gone"));
        self.forget_life(client);
        if forget {
            self.peers[client].secret = None;
        }
        if let Some(link) = self.peers[client].link.take() {
            let found = self.links.get_mut(&link).expect("a client's link is there");
            found.client_open = false;
            let hears = match found.rng.below(3) {
                0 => Hears::Now,
                1 => Hears::Late(found.rng.between(1, 9_000) as u32),
                _ => Hears::Never,
            };
            self.cut(link, hears, Hears::Never);
        }
    }

    fn forget_life(&mut self, client: usize) {
        let peer = &mut self.peers[client];
        while peer.out.pop().is_some() {}
        self.lives += 1;
        peer.life += 1;
        peer.armed = None;
        peer.tickets.clear();
        peer.saved.clear();
        peer.client = None;
    }

    pub(crate) fn bye(&mut self, client: usize) {
        let now = self.client_now();
        let peer = &mut self.peers[client];
        if let Some(machine) = &mut peer.client {
            self.book.saw("a goodbye");
            peer.leaving = true;
            machine.close(now, &mut peer.out);
            self.drain_client(client);
        }
    }

    pub(crate) fn rename(&mut self, client: usize, life: u32, nick: String) {
        let now = self.client_now();
        let peer = &mut self.peers[client];
        if peer.life != life {
            return;
        }
        peer.nick.clone_from(&nick);
        if let Some(machine) = &mut peer.client {
            machine.rename(now, nick, String::new(), &mut peer.out);
            self.drain_client(client);
        }
    }

    pub(crate) fn client_input(&mut self, client: usize, input: ClientInput<'_>) {
        let now = self.client_now();
        let peer = &mut self.peers[client];
        if let Some(machine) = &mut peer.client {
            machine.handle_input(now, input, &mut peer.out);
            self.drain_client(client);
        }
    }

    pub(crate) fn client_received(&mut self, client: usize, mut bytes: &[u8]) {
        let link = self.peers[client].link;
        let framing = link.and_then(|link| Some(self.links.get(&link)?.framing));
        let now = self.client_now();
        let peer = &mut self.peers[client];
        if let (Some(machine), Some(knife), Some(Framing::Stream)) =
            (&mut peer.client, &mut self.knife, framing)
        {
            while let Some((piece, rest)) = knife.cut(bytes) {
                machine.handle_input(now, ClientInput::Received(piece), &mut peer.out);
                bytes = rest;
            }
        }
        self.client_input(client, ClientInput::Received(bytes));
    }

    pub(crate) fn client_wake(&mut self, client: usize, life: u32) {
        let now = self.client_now();
        let peer = &mut self.peers[client];
        if peer.life != life || peer.armed.is_none_or(|armed| armed > self.now) {
            return;
        }
        peer.armed = None;
        let Some(machine) = &mut peer.client else {
            return;
        };
        if machine.poll_timeout().is_some_and(|at| at <= now.monotonic) {
            machine.handle_timeout(now, &mut peer.out);
            let next = machine.poll_timeout();
            self.book.check(
                "what is due is done",
                next.is_none_or(|next| next > now.monotonic),
                || format!("client {client}: {next:?}"),
            );
        }
        self.drain_client(client);
    }

    pub(crate) fn drain_client(&mut self, client: usize) {
        while let Some(output) = self.peers[client].out.pop() {
            match output {
                ClientOutput::Connect => self.connect(client),
                ClientOutput::Send(frame) => {
                    self.save(client);
                    self.client_says(client, &frame);
                }
                ClientOutput::Disconnect => self.hang_up(client),
                ClientOutput::Work(work) => {
                    let peer = &mut self.peers[client];
                    let (life, after) = (peer.life, peer.rng.below(200 * MS));
                    self.soon(after, Happening::Work(client, life, Box::new(work)));
                }
                ClientOutput::Event(event) => self.hears(client, event),
            }
        }
        let peer = &mut self.peers[client];
        if peer.ended.is_some() {
            let quiet = peer.tickets.is_empty();
            self.book.check("every command ends", quiet, || {
                format!(
                    "client {client} has ended, and {:?} have not",
                    self.peers[client].tickets
                )
            });
            let peer = &mut self.peers[client];
            if let Some(link) = peer.link.take() {
                self.end_of_client(link);
            }
            self.forget_life(client);
            return;
        }
        let Some(at) = peer
            .client
            .as_ref()
            .and_then(|machine| machine.poll_timeout())
        else {
            return;
        };
        if peer.armed.is_none_or(|armed| at.0 < armed) {
            peer.armed = Some(at.0);
            let life = peer.life;
            self.at(at.0, Happening::ClientWake(client, life));
        }
    }

    pub(crate) fn work_done(&mut self, client: usize, life: u32, work: Work) {
        if self.peers[client].life == life {
            let done = work.run();
            self.client_input(client, ClientInput::Done(done));
        }
    }

    /// Makes a connection to some hub.
    pub(crate) fn connect(&mut self, client: usize) {
        let hubs = self.nodes.len() as u64;
        let delay = u64::from(self.plan.shape.delay_us) * 1_000;
        let peer = &mut self.peers[client];
        let any = if peer.rng.chance(500) {
            peer.last_hub
        } else {
            peer.rng.below(hubs) as usize
        };
        let mut hub = peer.steer.unwrap_or(any);
        if self.calm && self.nodes[hub].hub.is_none() {
            hub = self
                .nodes
                .iter()
                .position(|node| node.hub.is_some())
                .unwrap_or(hub);
        }
        if hub != peer.last_hub && peer.told.welcomes > 0 {
            self.book.saw("a client came back on another hub");
        }
        peer.last_hub = hub;
        let (life, after) = (peer.life, 1 + peer.rng.below(delay + 1));
        if self.nodes[hub].hub.is_none() {
            self.soon(after, Happening::NoConnection(client, life));
            return;
        }
        self.last_link += 1;
        let link = self.last_link;
        let rng = Rng::new(
            self.plan.seed,
            2_000_000 + u64::from(link) + (client as u64) * 10_000_000,
        );
        let conn = self.nodes[hub].slot(link);
        let peer = &mut self.peers[client];
        peer.link = Some(link);
        let made = Link {
            hub,
            conn,
            client,
            client_life: life,
            hub_life: self.nodes[hub].life,
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
            hub_open: false,
            client_open: false,
            broken: false,
            up: Pipe::default(),
            down: Pipe::default(),
            closed: false,
            hung_up: false,
            flag: Flag::No,
            words_since: 0,
            lost_while_blocked: false,
            up_armed: false,
            down_armed: false,
            line: Line::new(peer.member),
            rng,
        };
        self.book
            .note(|| format!("client {client} connects to hub {hub}: link {link}"));
        self.links.insert(link, made);
        self.soon(after, Happening::Arrive(link));
    }

    pub(crate) fn no_connection(&mut self, client: usize, life: u32) {
        if self.peers[client].life == life {
            self.client_input(client, ClientInput::Disconnected);
        }
    }

    pub(crate) fn arrive(&mut self, link: u32) {
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        let (hub, conn, client, life) = (found.hub, found.conn, found.client, found.client_life);
        let alive = self.nodes[hub].life == found.hub_life && self.nodes[hub].hub.is_some();
        if !alive || found.broken {
            self.links.remove(&link);
            if alive {
                self.nodes[hub].free(conn);
            }
            if self.peers[client].link == Some(link) {
                self.peers[client].link = None;
            }
            self.no_connection(client, life);
            return;
        }
        found.hub_open = true;
        self.nodes[hub].open += 1;
        let (framing, form) = (found.framing, found.form);
        let after = found
            .rng
            .below(u64::from(self.plan.shape.delay_us) * 1_000 + 1);
        let address =
            std::net::IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + client as u32));
        let turned = !self.calm && self.now < self.full_until;
        found.line.turned = turned;
        self.soon(after, Happening::Connected(link));
        let address = Some(address);
        if turned {
            self.book.fault("somebody turned away at the door");
            let reason = CloseReason::Full;
            return self.hub_input(
                hub,
                Input::Rejected {
                    conn,
                    address,
                    framing,
                    form,
                    reason,
                },
            );
        }
        self.hub_input(
            hub,
            Input::Connected {
                conn,
                address,
                framing,
                form,
            },
        );
    }

    pub(crate) fn connected(&mut self, link: u32) {
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        let (client, life) = (found.client, found.client_life);
        if self.peers[client].life != life || self.peers[client].link != Some(link) {
            return;
        }
        if found.broken {
            // The link broke before the client knew of it; the client hears so by itself.
            found.client_open = true;
            self.client_end(link);
            return;
        }
        found.client_open = true;
        let (framing, form) = (found.framing, found.form);
        if self.peers[client].raw.is_some() {
            self.hello(client);
        }
        self.client_input(client, ClientInput::Connected { framing, form });
        self.arm_down(link);
    }

    pub(crate) fn client_says(&mut self, client: usize, frame: &Frame) {
        let Some(link) = self.peers[client].link else {
            return;
        };
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        match found.form.decode::<ClientMessage>(&frame.body()) {
            Ok(message) => {
                self.book
                    .note(|| format!("client {client} -> hub {}: {}", found.hub, brief(&message)));
                let mut again = false;
                if let ClientMessage::Request(request) = &message {
                    let member = found.line.member();
                    if let Some(credential) = proof_of(&request.op) {
                        self.truth.proved(member, credential);
                    }
                    if room_of(&request.op).is_some() && request.txn != 0 {
                        let session = found.line.session();
                        again = !self.asked.insert((member, session, request.txn));
                    }
                }
                found.line.client_said(&message, again, &mut self.book);
            }
            Err(e) => self
                .book
                .fail("the client speaks its protocol", || e.to_string()),
        }
        self.book.mix_bytes(&frame.body());
        if found.broken {
            return;
        }
        let bytes = frame.in_framing(found.framing);
        found.up.push(bytes, Kind::Answer);
        let (asked, waiting) = (found.line.pending(), found.up.frames());
        let raw = self.peers[client].raw.is_some();
        let few = raw || asked <= UNANSWERED && waiting <= asked + OTHER_WORDS;
        self.book.check("a client's outbox is bounded", few, || {
            format!("client {client}: {waiting} frames wait, {asked} without an answer")
        });
        self.arm_up(link);
    }

    /// The client ends its connection when what waits is written.
    fn hang_up(&mut self, client: usize) {
        let life = self.peers[client].life;
        match self.peers[client].link.take() {
            Some(link) => self.end_of_client(link),
            None => return self.soon(0, Happening::NoConnection(client, life)),
        }
        self.soon(1, Happening::NoConnection(client, life));
    }

    fn end_of_client(&mut self, link: u32) {
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        found.client_open = false;
        found.hung_up = true;
        found.down.clear();
        // A connection that is dead takes no end of it to the other side either.
        if found.up.is_empty() && !found.broken {
            let after = found.rng.below(50 * MS);
            self.soon(after, Happening::HubEnd(link));
        }
    }

    fn hop(&mut self, link: u32) -> u64 {
        let usual = u64::from(self.plan.shape.delay_us) * 1_000;
        self.links
            .get_mut(&link)
            .map_or(0, |link| link.rng.below(usual + 1))
    }

    fn arm_up(&mut self, link: u32) {
        let after = self.hop(link);
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        if !found.up_armed && !found.up.is_empty() {
            found.up_armed = true;
            self.soon(after, Happening::Up(link));
        }
    }

    pub(crate) fn arm_down(&mut self, link: u32) {
        let after = self.hop(link);
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        let stalled = !self.calm && self.now < self.peers[found.client].stalled_until;
        if !found.down_armed && !found.down.is_empty() && found.client_open && !stalled {
            found.down_armed = true;
            self.soon(after, Happening::Down(link));
        }
    }

    pub(crate) fn up(&mut self, link: u32) {
        let splits = self.plan.shape.splits;
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        found.up_armed = false;
        if found.broken || !found.hub_open {
            return;
        }
        let bytes = found.next(true, splits);
        let (hub, conn, closed) = (found.hub, found.conn, found.closed);
        let ends = found.hung_up && found.up.is_empty();
        if !closed && !bytes.is_empty() {
            self.hub_received(hub, conn, &bytes);
        }
        if ends {
            self.soon(0, Happening::HubEnd(link));
        } else {
            self.arm_up(link);
        }
    }

    pub(crate) fn down(&mut self, link: u32) {
        let splits = self.plan.shape.splits;
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        found.down_armed = false;
        let stalled = !self.calm && self.now < self.peers[found.client].stalled_until;
        if found.broken || !found.client_open || stalled {
            return;
        }
        let bytes = found.next(false, splits);
        let (hub, client, life) = (found.hub, found.client, found.client_life);
        let over = found.closed && found.down.is_empty();
        if self.peers[client].life == life
            && self.peers[client].link == Some(link)
            && !bytes.is_empty()
        {
            self.client_received(client, &bytes);
        }
        self.drain_hub(hub);
        if over {
            self.soon(0, Happening::HubEnd(link));
        } else {
            self.arm_down(link);
        }
    }

    pub(crate) fn unstall(&mut self, client: usize) {
        if let Some(link) = self.peers[client].link {
            self.arm_down(link);
        }
    }

    /// The hub hears that a connection is gone.
    pub(crate) fn hub_end(&mut self, link: u32) {
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        if !found.broken {
            found.broken = true;
            found.up.clear();
            // Bytes written before the end still arrive.
            let rest = found.down.bytes(usize::MAX);
            let (client, life, open, framing) = (
                found.client,
                found.client_life,
                found.client_open,
                found.framing,
            );
            if open
                && framing == Framing::Stream
                && !rest.is_empty()
                && self.peers[client].life == life
                && self.peers[client].link == Some(link)
            {
                self.client_received(client, &rest);
            }
            let hears = self
                .links
                .get_mut(&link)
                .map_or(0, |link| link.rng.below(20 * MS));
            self.soon(hears, Happening::ClientEnd(link));
        }
        self.is_gone(link);
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        if found.hub_open {
            found.hub_open = false;
            let (hub, conn) = (found.hub, found.conn);
            let alive = self.nodes[hub].life == found.hub_life;
            if alive {
                self.nodes[hub].open -= 1;
                self.nodes[hub].ended += 1;
                self.hub_input(hub, Input::Disconnected { conn });
                self.nodes[hub].free(conn);
            }
        }
        self.tidy(link);
    }

    /// The client hears that a connection is gone.
    pub(crate) fn client_end(&mut self, link: u32) {
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        let (client, life) = (found.client, found.client_life);
        found.client_open = false;
        if self.peers[client].life == life && self.peers[client].link == Some(link) {
            self.peers[client].link = None;
            self.client_input(client, ClientInput::Disconnected);
        }
        self.tidy(link);
    }

    fn tidy(&mut self, link: u32) {
        if self
            .links
            .get(&link)
            .is_some_and(|found| !found.hub_open && self.peers[found.client].link != Some(link))
        {
            self.links.remove(&link);
        }
    }

    /// A client tells its application something.
    fn hears(&mut self, client: usize, event: ClientEvent) {
        self.book
            .note(|| format!("client {client}: {}", crate::client_oracle::brief(&event)));
        match event {
            ClientEvent::Finished { ticket, outcome } => {
                self.finished(client, ticket, outcome);
                self.save(client);
            }
            ClientEvent::SessionRenewed(_) => {
                self.book.saw("a session in use elsewhere");
                self.peers[client].has_past = true;
                self.save(client);
            }
            ClientEvent::HelloRefused(failure) => {
                self.book.saw("a hello refused");
                let peer = &mut self.peers[client];
                peer.refused += 1;
                let nick = format!("n{client}x{}", peer.rng.below(100_000));
                let after = *peer.rng.pick(&[10 * MS, 2 * SECOND, 12 * SECOND]);
                let after = if self.calm { 10 * MS } else { after };
                let life = peer.life;
                self.book.note(|| format!("client {client}: {failure:?}"));
                self.soon(after, Happening::Rename(client, life, nick));
            }
            ClientEvent::Ended(ended) => {
                let peer = &mut self.peers[client];
                let cause = match &ended {
                    Ended::Asked => peer.leaving,
                    // A client that was never in is not kept in: the person tries again.
                    Ended::CannotConnect => peer.told.welcomes == 0,
                    Ended::Closed(reason) if reason.reconnect() => peer.told.welcomes == 0,
                    Ended::Closed(CloseReason::Replaced) => peer.has_past,
                    Ended::Closed(CloseReason::TooManyAttempts) => peer.refused >= 10,
                    Ended::Closed(_) | Ended::ProtocolError(_) => false,
                };
                let (life, after) = (peer.life + 1, peer.rng.between(100 * MS, 3 * SECOND));
                peer.ended = Some(ended.clone());
                self.book
                    .check("no client ends without a cause", cause, || {
                        format!("client {client}: {ended:?}")
                    });
                if matches!(
                    ended,
                    Ended::CannotConnect
                        | Ended::Closed(
                            CloseReason::Restarting
                                | CloseReason::Full
                                | CloseReason::Resync
                                | CloseReason::TooManyAttempts
                        )
                ) {
                    self.soon(after, Happening::StartAgain(client, life));
                }
            }
            event => self.tell(client, event),
        }
    }
}

fn brief(message: &ClientMessage) -> String {
    let mut text = match message {
        ClientMessage::Hello(hello) => format!("hello {:?}, resume {:?}", hello.nick, hello.resume),
        ClientMessage::Request(request) => format!(
            "request {} txn {}: {:?}",
            request.id, request.txn, request.op
        ),
        other => format!("{other:?}"),
    };
    if let Some((at, _)) = text.char_indices().nth(300) {
        text.truncate(at);
    }
    text
}
