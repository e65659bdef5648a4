//! Connections: two streams of bytes between a client and a hub, which split, join, wait and break;
//! and the driver of a hub as far as connections go: slots, outboxes, whom fan-outs skip.
//!
//! Each message that passes is handed to the connection's [`Line`], which knows what should pass.

mod ends;
mod lies;
mod outbox;
mod pipe;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    hub::{Framing, Hub},
    id::{ConnId, CredentialId, MemberId, Partition, SessionId},
    wire::{ClientMessage, Form, Frame},
};

pub(crate) use self::{
    ends::{Arrived, Connected, HubEnd, noticed_within},
    outbox::{Said, Skipped},
};
use self::{
    lies::{Overheard, Wire},
    pipe::{Kind, Pipe},
    table::Table,
};
use crate::{
    connection_oracle::{Line, proof_of, room_of},
    happening::{Happening, LinkDue},
    log::Log,
    plan::Lie,
    reference_model::Truth,
    rng::Rng,
    time::SECOND,
    turn::Turn,
    untruth::Untruth,
};

/// Requests of one connection without an answer.
const UNANSWERED: usize = 256;
/// Further frames of a client before it is heard: hello, pings, its last words.
const OTHER_WORDS: usize = 16;

/// All connections of a world.
#[derive(Debug)]
pub(crate) struct Links {
    links: BTreeMap<u32, Link>,
    last: u32,
    /// By client, the connection that it has.
    of_client: Vec<Option<u32>>,
    /// By client, until when it reads nothing.
    stalled_until: Vec<u64>,
    /// By hub.
    tables: Vec<Table>,
    /// By client, how the wire of its next connection lies.
    lies: Vec<Option<(Lie, u32)>>,
    /// By client, what was not true on its last connection.
    untruths: Vec<Option<Untruth>>,
    overheard: Overheard,
    /// Until when whoever comes is turned away.
    full_until: u64,
    /// The requests to rooms: by which member, in which session and under which number.
    asked: BTreeSet<(MemberId, SessionId, u64)>,
}

/// One connection, from the client's `Connect` to the last word of both ends.
#[derive(Debug)]
struct Link {
    hub: usize,
    conn: ConnId,
    client: usize,
    /// Which life of the client, and of the hub.
    client_life: u32,
    hub_life: u32,
    form: Form,
    framing: Framing,
    /// The client's program is of another make.
    raw: bool,
    /// The hub was told of it and was not told that it is gone.
    hub_open: bool,
    client_open: bool,
    /// Bytes go nowhere any more.
    broken: bool,
    /// From the client, not delivered yet.
    up: Pipe,
    /// From the hub, not delivered yet: the outbox.
    down: Pipe,
    /// The hub said that it ends.
    closed: bool,
    /// The client said that it ends.
    hung_up: bool,
    flag: Flag,
    /// Bytes of answers and notices since the last `Drained`.
    words_since: usize,
    /// The log lost its end while this was flagged.
    lost_while_blocked: bool,
    up_armed: bool,
    down_armed: bool,
    line: Line,
    wire: Wire,
    rng: Rng,
}

/// Whether fan-outs are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    No,
    /// The hub has not been told.
    Fresh,
    Told,
}

/// A connection that a client makes.
#[derive(Debug)]
pub(crate) struct Connecting {
    pub(crate) client: usize,
    pub(crate) client_life: u32,
    pub(crate) hub: usize,
    pub(crate) hub_life: u32,
    pub(crate) member: MemberId,
    pub(crate) form: Form,
    pub(crate) framing: Framing,
    pub(crate) raw: bool,
    /// The client knows the server's key.
    pub(crate) knows: bool,
    /// How long until it reaches the hub.
    pub(crate) after: u64,
}

/// The truth while a hub speaks.
#[derive(Clone, Copy)]
pub(crate) struct Present<'a> {
    pub(crate) truth: &'a Truth,
    pub(crate) log: &'a Log,
    pub(crate) hub: Option<&'a Hub>,
    /// How often the log has lost its end.
    pub(crate) losses: usize,
}

/// The connections that a driver holds for its hub.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Links that the hub was told of and not told the end of.
    pub(crate) open: usize,
    /// Connections that ended since it was last seen that nothing waits.
    pub(crate) ended: usize,
}

/// A client's connection as it is in the end.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub(crate) line: &'a Line,
    /// Its hub goes on to skip it.
    pub(crate) flagged: bool,
}

impl Links {
    pub(crate) fn new(hubs: usize, clients: usize) -> Self {
        Self {
            links: BTreeMap::new(),
            last: 0,
            of_client: vec![None; clients],
            stalled_until: vec![0; clients],
            lies: vec![None; clients],
            untruths: vec![None; clients],
            overheard: Overheard::default(),
            tables: (0..hubs).map(|_| Table::default()).collect(),
            full_until: 0,
            asked: BTreeSet::new(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// How many there have been.
    pub(crate) fn ever(&self) -> usize {
        self.last as usize
    }

    pub(crate) fn all(&self) -> Vec<u32> {
        self.links.keys().copied().collect()
    }

    /// The connection that a client has.
    pub(crate) fn of_client(&self, client: usize) -> Option<u32> {
        self.of_client[client]
    }

    pub(crate) fn hub_of(&self, link: u32) -> Option<usize> {
        Some(self.links.get(&link)?.hub)
    }

    pub(crate) fn framing_of(&self, client: usize) -> Option<Framing> {
        Some(self.link_of_client(client)?.framing)
    }

    /// Of the connection that a hub knows by this name.
    pub(crate) fn framing_at(&self, hub: usize, conn: ConnId) -> Option<Framing> {
        let link = self.links.get(&self.tables[hub].in_slot(conn)?)?;
        (link.conn == conn).then_some(link.framing)
    }

    pub(crate) fn form_of(&self, client: usize) -> Option<Form> {
        Some(self.link_of_client(client)?.form)
    }

    pub(crate) fn is_welcomed(&self, client: usize) -> bool {
        self.link_of_client(client)
            .is_some_and(|link| link.line.is_welcomed())
    }

    /// Whether a client has a connection under this member's name.
    pub(crate) fn has(&self, member: MemberId) -> bool {
        let mut of_clients = self.of_client.iter().flatten();
        of_clients.any(|link| {
            let link = self.links.get(link);
            link.is_some_and(|link| link.line.member() == member)
        })
    }

    pub(crate) fn standing(&self, client: usize) -> Option<Standing<'_>> {
        let link = self.link_of_client(client)?;
        Some(Standing {
            line: &link.line,
            flagged: link.flag != Flag::No,
        })
    }

    /// The hubs at which a member is welcome on a connection that is sound and was not said to end.
    pub(crate) fn welcome_at(&self, member: MemberId) -> impl Iterator<Item = (usize, &Line)> {
        let of_member = move |link: &&Link| {
            let open = link.hub_open && !link.broken;
            open && link.line.member() == member && link.line.is_welcomed()
        };
        let found = self.links.values().filter(of_member);
        found.map(|link| (link.hub, &link.line))
    }

    /// Whose connection to a hub is over, and whether the member said so, if that was the member's
    /// only one.
    pub(crate) fn left_by(&self, link: u32) -> Option<(MemberId, bool)> {
        let found = self.links.get(&link)?;
        let (line, member) = (&found.line, found.line.member());
        if !line.was_welcomed() || line.replaced || !found.hub_open {
            return None;
        }
        let elsewhere = self.links.iter().any(|(other, found)| {
            *other != link
                && found.line.member() == member
                && found.hub_open
                && found.line.is_welcomed()
        });
        (!elsewhere).then(|| (member, line.said_bye()))
    }

    fn link_of_client(&self, client: usize) -> Option<&Link> {
        self.links.get(&self.of_client[client]?)
    }

    /// Makes a connection.
    pub(crate) fn connect(&mut self, turn: &mut Turn, of: Connecting) {
        let (client, hub) = (of.client, of.hub);
        self.last += 1;
        let link = self.last;
        let rng = Rng::new(
            turn.seed,
            2_000_000 + u64::from(link) + (client as u64) * 10_000_000,
        );
        let conn = self.tables[hub].slot(link);
        self.of_client[client] = Some(link);
        self.untruths[client] = None;
        let made = Link {
            hub,
            conn,
            client,
            client_life: of.client_life,
            hub_life: of.hub_life,
            form: of.form,
            framing: of.framing,
            raw: of.raw,
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
            line: Line::new(of.member),
            wire: Wire::new(link, self.lies[client].take(), of.knows),
            rng,
        };
        turn.book
            .note(|| format!("client {client} connects to hub {hub}: link {link}"));
        self.links.insert(link, made);
        turn.soon(of.after, Happening::Link(link, LinkDue::Arrive));
    }

    /// A client says something. Gives back the registration whose password it shows to know.
    pub(crate) fn client_says(
        &mut self,
        turn: &mut Turn,
        client: usize,
        frame: &Frame,
    ) -> Option<(MemberId, CredentialId)> {
        let link = self.of_client[client]?;
        let found = self.links.get_mut(&link)?;
        let (mut proof, mut said) = (None, None);
        match found.form.decode::<ClientMessage>(&frame.body()) {
            Ok(message) => {
                turn.book
                    .note(|| format!("client {client} -> hub {}: {}", found.hub, brief(&message)));
                let mut again = false;
                if let ClientMessage::Request(request) = &message {
                    let member = found.line.member();
                    proof = proof_of(&request.op).map(|credential| (member, credential));
                    if room_of(&request.op).is_some() && request.txn != 0 {
                        let session = found.line.session();
                        again = !self.asked.insert((member, session, request.txn));
                    }
                }
                found.line.client_said(&message, again, &mut turn.book);
                said = Some(message);
            }
            Err(e) => turn
                .book
                .fail("the client speaks its protocol", || e.to_string()),
        }
        let told = said.and_then(|said| self.lie_to_hub(turn, link, &said));
        let frame = told.as_ref().unwrap_or(frame);
        turn.book.mix_bytes(&frame.body());
        let Some(found) = self.links.get_mut(&link).filter(|link| !link.broken) else {
            return proof;
        };
        let bytes = frame.in_framing(found.framing);
        found.up.push(bytes, Kind::Answer);
        let (asked, waiting) = (found.line.pending(), found.up.frames());
        let few = found.raw || asked <= UNANSWERED && waiting <= asked + OTHER_WORDS;
        turn.book.check("a client's outbox is bounded", few, || {
            format!("client {client}: {waiting} frames wait, {asked} without an answer")
        });
        self.arm_up(turn, link);
        proof
    }

    /// A client reads nothing for so long.
    pub(crate) fn stall(&mut self, turn: &mut Turn, client: usize, time: u64) {
        self.stalled_until[client] = turn.now + time;
        turn.soon(time, Happening::Unstall(client));
    }

    /// Whether a client has read nothing up to just now.
    pub(crate) fn was_stalled(&self, turn: &Turn, client: usize) -> bool {
        turn.now < self.stalled_until[client] + 2 * SECOND
    }

    pub(crate) fn unstall(&mut self, turn: &mut Turn, client: usize) {
        if let Some(link) = self.of_client[client] {
            self.arm_down(turn, link);
        }
    }

    /// Connections that arrive until then are turned away.
    pub(crate) fn is_full(&mut self, until: u64) {
        self.full_until = until;
    }

    /// These partitions have lost their end.
    pub(crate) fn lose(&mut self, turn: &mut Turn, lost: &BTreeSet<Partition>) {
        let blocked = self.links.values_mut().filter(|link| {
            let mut rooms = link.line.rooms().map(Partition::Room);
            link.flag != Flag::No && rooms.any(|room| lost.contains(&room))
        });
        for link in blocked {
            link.lost_while_blocked = true;
            turn.book.saw("a lost tail while a reader was blocked");
        }
    }
}

impl Link {
    /// The next of the waiting bytes to arrive.
    fn next(&mut self, upward: bool, splits: u32) -> Vec<u8> {
        let (pipe, rng) = (
            if upward { &mut self.up } else { &mut self.down },
            &mut self.rng,
        );
        match self.framing {
            Framing::Message => pipe.piece().map(|piece| piece.to_vec()).unwrap_or_default(),
            Framing::Stream | Framing::Lines => {
                let n = if rng.chance(splits) {
                    let small = if rng.chance(300) {
                        5
                    } else {
                        pipe.len() as u64
                    };
                    rng.between(1, small.max(1)) as usize
                } else {
                    pipe.len()
                };
                pipe.bytes(n)
            }
        }
    }
}

fn brief(message: &ClientMessage) -> String {
    let mut text = match message {
        ClientMessage::Hello(hello) => match hello.entrance() {
            Ok(hello) => format!("hello {:?}, resume {:?}", hello.nick, hello.resume),
            Err(e) => format!("hello: {e}"),
        },
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
