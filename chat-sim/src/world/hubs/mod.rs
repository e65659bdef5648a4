//! The hubs: their processes, their clocks and what they say to each other. What a hub asks for is
//! given out one by one, and what it is told is handed in.

mod config;
mod words;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use chat_core::{
    hub::{Event, Framing, Hub, Input, Output, Outputs, Stats},
    id::{ConnId, Partition, Place},
    keys::PublicKey,
    password::ServerSecret,
    time::Now,
};

use self::{
    config::{chacha, config},
    words::Word,
};
use crate::{
    happening::{Happening, HubDue},
    rng::Rng,
    turn::Turn,
};

/// The directory, as far as there is one shard of it.
const DIRECTORY: Partition = Partition::Directory(0);
/// A hub is counted after every turn while it holds no more things than this, and a larger one so
/// much more seldom as it is larger: what is counted for each turn stays the same.
const AT_ONCE: usize = 24;

/// All hubs of a world.
pub(crate) struct Hubs {
    nodes: Vec<Node>,
    secret: ServerSecret,
    /// When a hub began to go by another life of the directory.
    directory_heard: u64,
    /// Until when some hub is held.
    held_until: u64,
}

/// A hub's machine.
struct Node {
    hub: Option<Box<Hub>>,
    out: Outputs,
    /// Its number among the hubs.
    number: u64,
    life: u32,
    /// How often it has crashed.
    starts: u32,
    /// The life of the directory that it goes by, or went by last.
    directory: Option<u64>,
    /// How its wall clock differs.
    clock_ms: i64,
    /// Its process is held until then.
    held_until: u64,
    /// Words of the others that have not come: of each in the order in which they were said.
    words: BTreeMap<usize, VecDeque<Word>>,
    /// The hub was asked to end; then it is gone for so long.
    stopping: Option<u64>,
    /// The earliest time at which it will be woken.
    armed: Option<u64>,
    /// How much was done since it was last counted what the hub holds.
    uncounted: usize,
    /// How many things it held when it was counted last.
    weight: usize,
}

impl Node {
    fn new(hub: u64) -> Self {
        Self {
            hub: None,
            out: Outputs::new(),
            number: 100 + hub,
            life: 0,
            starts: 0,
            directory: None,
            clock_ms: 0,
            held_until: 0,
            words: BTreeMap::new(),
            stopping: None,
            armed: None,
            uncounted: 0,
            weight: 0,
        }
    }

    /// Its name on the log, another one in each life.
    fn name(&self) -> u64 {
        self.number + 1_000 * u64::from(self.starts)
    }
}

impl Hubs {
    pub(crate) fn new(turn: &Turn) -> Self {
        let mut rng = Rng::new(turn.seed, 1);
        Self {
            nodes: (0..u64::from(turn.shape.hubs)).map(Node::new).collect(),
            secret: ServerSecret::generate(&mut chacha(&mut rng)),
            directory_heard: 0,
            held_until: 0,
        }
    }

    /// The key by which clients know them.
    pub(crate) fn key(&self) -> PublicKey {
        self.secret.key().public()
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The hub itself, if it is there.
    pub(crate) fn machine(&self, hub: usize) -> Option<&Hub> {
        self.nodes[hub].hub.as_deref()
    }

    pub(crate) fn is_up(&self, hub: usize) -> bool {
        self.nodes[hub].hub.is_some()
    }

    pub(crate) fn life(&self, hub: usize) -> u32 {
        self.nodes[hub].life
    }

    /// Changes whenever one of the hubs is gone or begins.
    pub(crate) fn lives(&self) -> u32 {
        self.nodes.iter().map(|node| node.life).sum()
    }

    /// Those that are there, each with its place in a partition and its state.
    pub(crate) fn states(
        &self,
        partition: Partition,
    ) -> impl Iterator<Item = (usize, Place, Bytes)> {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(move |(hub, node)| {
                let (at, state) = node.hub.as_ref()?.state_of(partition)?;
                Some((hub, at, state))
            })
    }

    /// A hub begins. How many bytes it takes in one append.
    pub(crate) fn boot(&mut self, turn: &mut Turn, hub: usize) -> usize {
        let now = self.now(turn, hub);
        turn.trouble(0);
        turn.book.begun = turn.now;
        turn.book.several = self.nodes.len() > 1;
        let peers = (0..self.nodes.len())
            .filter(|other| turn.shape.disk && *other != hub)
            .map(|other| self.nodes[other].name())
            .collect();
        let node = &mut self.nodes[hub];
        node.life += 1;
        let seed = turn.rngs[hub].bytes32();
        let config = config(&turn.shape, &self.secret, node.name(), peers, seed);
        let append_bytes = config.log.append_bytes;
        turn.book.note(|| format!("hub {hub} begins"));
        match Hub::new(config, now, &mut node.out) {
            Ok(made) => node.hub = Some(Box::new(made)),
            Err(e) => turn.book.fail("the limits are sound", || e.to_string()),
        }
        append_bytes
    }

    /// A hub's machine is gone at once, if it is there. Whether it was, and after how long it
    /// begins again because it was asked to end.
    pub(crate) fn crash(&mut self, turn: &mut Turn, hub: usize) -> Option<Option<u64>> {
        let node = &mut self.nodes[hub];
        node.hub.take()?;
        turn.book.note(|| format!("hub {hub} is gone"));
        node.life += 1;
        while node.out.pop().is_some() {}
        node.armed = None;
        node.held_until = 0;
        Some(node.stopping.take())
    }

    /// Asked to end, a hub is gone for so long.
    pub(crate) fn stops_for(&mut self, hub: usize, time: u64) {
        self.nodes[hub].stopping = Some(time);
    }

    /// A hub begins again when it is told to, and not because it was asked to end.
    pub(crate) fn stops_no_more(&mut self, hub: usize) {
        self.nodes[hub].stopping = None;
    }

    /// A hub's wall clock jumps.
    pub(crate) fn set_clock(&mut self, hub: usize, by_ms: i64) {
        self.nodes[hub].clock_ms += by_ms;
    }

    /// The processes of these hubs are held until then, as far as they are there. Until when some
    /// hub is.
    pub(crate) fn hold(
        &mut self,
        turn: &mut Turn,
        hubs: impl Iterator<Item = usize>,
        until: u64,
    ) -> u64 {
        self.held_until = self.held_until.max(until);
        for hub in hubs {
            let node = &mut self.nodes[hub];
            if node.hub.is_some() {
                node.held_until = until.max(node.held_until);
                turn.at(node.held_until, Happening::Hub(hub, HubDue::Onward));
            }
        }
        self.held_until
    }

    pub(crate) fn held_until(&self, hub: usize) -> u64 {
        self.nodes[hub].held_until
    }

    pub(crate) fn is_held(&self, turn: &Turn, hub: usize) -> bool {
        turn.now < self.nodes[hub].held_until
    }

    /// Whether some hub may be held.
    pub(crate) fn is_any_held(&self, turn: &Turn) -> bool {
        turn.now < self.held_until
    }

    /// The time as a hub sees it.
    fn now(&self, turn: &Turn, hub: usize) -> Now {
        turn.time(self.nodes[hub].clock_ms)
    }

    /// Hands in one thing.
    pub(crate) fn feed(&mut self, turn: &Turn, hub: usize, input: Input<'_>) {
        let now = self.now(turn, hub);
        let node = &mut self.nodes[hub];
        if let Some(machine) = &mut node.hub {
            machine.handle_input(now, input, &mut node.out);
        }
    }

    /// Hands in what came on a connection, of a stream in small pieces if it is to be cut.
    pub(crate) fn receive(
        &mut self,
        turn: &mut Turn,
        hub: usize,
        conn: ConnId,
        framing: Option<Framing>,
        mut bytes: &[u8],
    ) {
        let now = self.now(turn, hub);
        let node = &mut self.nodes[hub];
        if let (Some(machine), Some(knife), Some(Framing::Stream)) =
            (&mut node.hub, &mut turn.knife, framing)
        {
            while let Some((piece, rest)) = knife.cut(bytes) {
                let input = Input::Received { conn, bytes: piece };
                machine.handle_input(now, input, &mut node.out);
                bytes = rest;
            }
        }
        self.feed(turn, hub, Input::Received { conn, bytes });
    }

    /// A hub is woken, if it is in this life and asked to be. Whether it was.
    pub(crate) fn wake(&mut self, turn: &mut Turn, hub: usize, life: u32) -> bool {
        let now = self.now(turn, hub);
        let node = &mut self.nodes[hub];
        if node.life != life || node.armed.is_none_or(|armed| armed > turn.now) {
            return false;
        }
        node.armed = None;
        let Some(machine) = &mut node.hub else {
            return false;
        };
        if machine.poll_timeout().is_some_and(|at| at <= now.monotonic) {
            machine.handle_timeout(now, &mut node.out);
            // One call goes on with requests of a few connections alone.
            for _ in 0..machine.connections() {
                if machine.poll_timeout().is_some_and(|at| at < now.monotonic) {
                    machine.handle_timeout(now, &mut node.out);
                }
            }
            // Requests that wait may have another turn at once.
            let next = machine.poll_timeout();
            turn.book.check(
                "what is due is done",
                next.is_none_or(|next| next >= now.monotonic),
                || format!("hub {hub}: {next:?}"),
            );
        }
        true
    }

    /// The next that a hub asks for.
    pub(crate) fn next(&mut self, hub: usize) -> Option<Output> {
        self.nodes[hub].out.pop()
    }

    /// All that a hub asked for is done: what there is to see, when it is to be woken, and what it
    /// holds, if it is time to count that.
    pub(crate) fn settle(&mut self, turn: &mut Turn, hub: usize) -> Option<Stats> {
        self.look_at_the_directory(turn, hub);
        self.arm(turn, hub);
        let node = &mut self.nodes[hub];
        node.uncounted += AT_ONCE;
        if node.uncounted < node.weight {
            return None;
        }
        node.uncounted = 0;
        self.count(hub)
    }

    /// Counts what a hub holds.
    pub(crate) fn count(&mut self, hub: usize) -> Option<Stats> {
        let node = &mut self.nodes[hub];
        let stats = node.hub.as_ref()?.stats();
        node.weight = stats.connections + stats.here + stats.rooms;
        Some(stats)
    }

    fn arm(&mut self, turn: &mut Turn, hub: usize) {
        let node = &mut self.nodes[hub];
        let Some(at) = node.hub.as_ref().and_then(|hub| hub.poll_timeout()) else {
            return;
        };
        if node.armed.is_none_or(|armed| at.0 < armed) {
            node.armed = Some(at.0);
            let wake = HubDue::Wake(node.life);
            turn.at(at.0, Happening::Hub(hub, wake));
        }
    }

    /// Notes when a hub begins to go by another life of the directory than before.
    fn look_at_the_directory(&mut self, turn: &Turn, hub: usize) {
        let node = &mut self.nodes[hub];
        let machine = node.hub.as_ref();
        let place = machine.and_then(|hub| hub.place_of(DIRECTORY));
        if let Some(epoch) = place.map(|place| place.epoch)
            && node.directory != Some(epoch)
        {
            node.directory = Some(epoch);
            self.directory_heard = turn.now;
        }
    }

    /// Whether a hub goes by this life of the directory, as far as it is there.
    pub(crate) fn has_heard_of_the_directory(&self, hub: usize, epoch: u64) -> bool {
        let node = &self.nodes[hub];
        node.hub.is_none() || node.directory == Some(epoch)
    }

    /// When a hub began to go by another life of the directory.
    pub(crate) fn directory_heard(&self) -> u64 {
        self.directory_heard
    }

    /// A hub tells its operator something.
    pub(crate) fn tells(&self, turn: &mut Turn, hub: usize, event: &Event) {
        turn.book.note(|| format!("hub {hub}: {event:?}"));
        match event {
            // Its process ends when all of its hubs have.
            Event::Closed if turn.shape.disk => {}
            Event::Closed => {
                let die = HubDue::Die(self.nodes[hub].life);
                turn.soon(0, Happening::Hub(hub, die));
            }
            Event::LogTrouble { .. } => turn.book.saw("a hub in trouble with the log"),
            _ => {}
        }
    }
}
