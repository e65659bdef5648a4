//! Both ends of a connection: how it comes about, what arrives at each, how it breaks, and how each
//! hears of that.

use std::net::{IpAddr, Ipv4Addr};

use chat_core::{
    client::Dialled,
    hub::{Arrival, Framing, Input},
    id::ConnId,
    wire::CloseReason,
};

use super::{Held, Link, Links};
use crate::{
    happening::{ClientDue, Happening, LinkDue},
    plan::Hears,
    time::{MS, SECOND},
    turn::Turn,
    untruth::HOST,
};

/// Within this time after the limit a connection that is dead is found out to be.
const NOTICED_WITHIN: u64 = 10 * SECOND;

/// After this time a connection that is dead is found out to be: when nothing was heard for as
/// long as the limit says, and nobody confirmed its end.
pub(crate) fn noticed_within(turn: &Turn) -> u64 {
    3 * u64::from(turn.shape.ping_ms) * MS + NOTICED_WITHIN
}

/// The outcome for a connection that reaches its hub.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// There is no hub any more: this client in this life hears so.
    Nowhere(usize, u32),
    /// This hub is told of it.
    At(usize, Input<'static>),
}

/// The outcome for a client that hears of its connection.
#[derive(Debug)]
pub(crate) enum Connected {
    /// The client has another one, or is gone.
    Late,
    /// The connection broke before.
    Broken,
    /// This client is told of it.
    Client(usize, Dialled),
}

/// Bytes that come to a hub.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) hub: usize,
    pub(crate) conn: ConnId,
    pub(crate) bytes: Vec<u8>,
    /// The client has ended the connection, and these are the last.
    pub(crate) ends: bool,
}

/// Bytes that come to a client.
#[derive(Debug)]
pub(crate) struct Down {
    pub(crate) hub: usize,
    pub(crate) client: usize,
    /// None if the client has another connection.
    pub(crate) bytes: Vec<u8>,
    /// The hub has ended the connection, and these are the last.
    pub(crate) ends: bool,
}

/// A connection as it is cut: what was on its way in each direction and arrives yet.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) hub: usize,
    pub(crate) conn: ConnId,
    pub(crate) client: usize,
    /// Empty if the hub hears nothing on it.
    pub(crate) up: Vec<u8>,
    pub(crate) down: Vec<u8>,
}

impl Links {
    /// A connection reaches its hub, if that is in this life.
    pub(crate) fn arrive(
        &mut self,
        turn: &mut Turn,
        link: u32,
        is_up: impl FnOnce(usize, u32) -> bool,
    ) -> Option<Arrived> {
        let found = self.links.get_mut(&link)?;
        let (hub, conn, client, life) = (found.hub, found.conn, found.client, found.client_life);
        let alive = is_up(hub, found.hub_life);
        if !alive || found.broken {
            self.links.remove(&link);
            if alive {
                self.tables[hub].free(conn);
            }
            self.of_client[client].take_if(|of| *of == link);
            return Some(Arrived::Nowhere(client, life));
        }
        found.hub_open = true;
        self.tables[hub].open += 1;
        let (framing, form, channel) = (found.framing, found.form, found.wire.channel);
        let after = found.rng.below(turn.delay() + 1);
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + client as u32));
        let turned = !turn.calm && turn.now < self.full_until;
        found.line.turned = turned;
        turn.soon(after, Happening::Link(link, LinkDue::Connected));
        let arrival = Arrival {
            address: Some(address),
            channel,
            ..Arrival::new(framing, form)
        };
        let input = if turned {
            turn.book.fault("somebody turned away at the door");
            let reason = CloseReason::Full;
            Input::Rejected {
                conn,
                arrival,
                reason,
            }
        } else {
            Input::Connected { conn, arrival }
        };
        Some(Arrived::At(hub, input))
    }

    /// The client hears that its connection is there.
    pub(crate) fn connected(&mut self, turn: &mut Turn, link: u32) -> Connected {
        let Some(found) = self.links.get_mut(&link) else {
            return Connected::Late;
        };
        if self.of_client[found.client] != Some(link) {
            return Connected::Late;
        }
        found.client_open = true;
        if found.broken {
            // The link broke before the client knew of it; the client hears so by itself.
            return Connected::Broken;
        }
        let (client, framing, form) = (found.client, found.framing, found.form);
        let dialled = Dialled {
            audience: format!("tcp://{HOST}:7037"),
            channel: self.channel_of_client(turn, link),
            ..Dialled::new(framing, form)
        };
        Connected::Client(client, dialled)
    }

    fn hop(&mut self, turn: &Turn, link: u32) -> u64 {
        let link = self.links.get_mut(&link);
        link.map_or(0, |link| link.rng.below(turn.delay() + 1))
    }

    pub(super) fn arm_up(&mut self, turn: &mut Turn, link: u32) {
        let after = self.hop(turn, link);
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        if !found.up_armed && !found.up.is_empty() {
            found.up_armed = true;
            turn.soon(after, Happening::Link(link, LinkDue::Up));
        }
    }

    pub(crate) fn arm_down(&mut self, turn: &mut Turn, link: u32) {
        let after = self.hop(turn, link);
        let Some(found) = self.links.get_mut(&link) else {
            return;
        };
        let stalled = !turn.calm && turn.now < self.stalled_until[found.client];
        if !found.down_armed && !found.down.is_empty() && found.client_open && !stalled {
            found.down_armed = true;
            turn.soon(after, Happening::Link(link, LinkDue::Down));
        }
    }

    /// The next bytes arrive at the hub.
    pub(crate) fn up(&mut self, turn: &Turn, link: u32) -> Option<Up> {
        let found = self.links.get_mut(&link)?;
        found.up_armed = false;
        if found.broken || !found.hub_open {
            return None;
        }
        let bytes = found.next(true, turn.shape.splits);
        Some(Up {
            hub: found.hub,
            conn: found.conn,
            bytes: if found.closed { Vec::new() } else { bytes },
            ends: found.hung_up && found.up.is_empty(),
        })
    }

    /// The next follows, or the end.
    pub(crate) fn after_up(&mut self, turn: &mut Turn, link: u32, ends: bool) {
        if ends {
            turn.soon(0, Happening::Link(link, LinkDue::HubEnd));
        } else {
            self.arm_up(turn, link);
        }
    }

    /// The next bytes arrive at the client.
    pub(crate) fn down(&mut self, turn: &Turn, link: u32) -> Option<Down> {
        let found = self.links.get_mut(&link)?;
        found.down_armed = false;
        let stalled = !turn.calm && turn.now < self.stalled_until[found.client];
        if found.broken || !found.client_open || stalled {
            return None;
        }
        let bytes = found.next(false, turn.shape.splits);
        let heard = self.of_client[found.client] == Some(link);
        Some(Down {
            hub: found.hub,
            client: found.client,
            bytes: if heard { bytes } else { Vec::new() },
            ends: found.closed && found.down.is_empty(),
        })
    }

    /// The next follows, or the end.
    pub(crate) fn after_down(&mut self, turn: &mut Turn, link: u32, ends: bool) {
        if ends {
            turn.soon(0, Happening::Link(link, LinkDue::HubEnd));
        } else {
            self.arm_down(turn, link);
        }
    }

    /// The client ends its connection when what waits is written.
    pub(crate) fn hang_up(&mut self, turn: &mut Turn, client: usize, life: u32) {
        let after = u64::from(self.end_of_client(turn, client));
        turn.soon(
            after,
            Happening::Client(client, life, ClientDue::NoConnection),
        );
    }

    /// The same, and whether it had one.
    pub(crate) fn end_of_client(&mut self, turn: &mut Turn, client: usize) -> bool {
        let Some(link) = self.of_client[client].take() else {
            return false;
        };
        let Some(found) = self.links.get_mut(&link) else {
            return true;
        };
        found.client_open = false;
        found.hung_up = true;
        found.down.clear();
        // A connection that is dead takes no end of it to the other side either.
        if found.up.is_empty() && !found.broken {
            let after = found.rng.below(50 * MS);
            turn.soon(after, Happening::Link(link, LinkDue::HubEnd));
        }
        true
    }

    /// The client's program is there no more. Its connection, and when the hub hears of that.
    pub(crate) fn client_dies(&mut self, client: usize) -> Option<(u32, Hears)> {
        let link = self.of_client[client].take()?;
        let found = self.links.get_mut(&link).expect("a client's link is there");
        found.client_open = false;
        let hears = match found.rng.below(3) {
            0 => Hears::Now,
            1 => Hears::Late(found.rng.between(1, 9_000) as u32),
            _ => Hears::Never,
        };
        Some((link, hears))
    }

    /// A hub is there no more: the connections that it was told of.
    pub(crate) fn hub_dies(&mut self, hub: usize) -> Vec<u32> {
        self.tables[hub].clear();
        let its = |(_, link): &(&u32, &Link)| link.hub == hub && link.hub_open;
        self.links.iter().filter(its).map(|(id, _)| *id).collect()
    }

    /// One of these is at its end. When the client hears of it.
    pub(crate) fn end_of_hub(&mut self, turn: &Turn, link: u32) -> Hears {
        let found = self.links.get_mut(&link).expect("just seen");
        found.hub_open = false;
        if turn.calm || found.rng.chance(700) {
            Hears::Now
        } else {
            Hears::Late(found.rng.between(1, 5_000) as u32)
        }
    }

    /// A connection is to break: something of what was on its way still arrives, often half a
    /// frame.
    pub(crate) fn cut(&mut self, link: u32) -> Option<Cut> {
        let splits = 1_000;
        let found = self.links.get_mut(&link).filter(|link| !link.broken)?;
        let (mut up, mut down) = (Vec::new(), Vec::new());
        if found.rng.chance(500) && !found.up.is_empty() {
            up = found.next(true, splits);
        }
        if found.rng.chance(500) && !found.down.is_empty() {
            down = found.next(false, splits);
        }
        let open = found.hub_open && !found.closed;
        Some(Cut {
            hub: found.hub,
            conn: found.conn,
            client: found.client,
            up: if open { up } else { Vec::new() },
            down,
        })
    }

    /// Whether a client hears what comes on a connection.
    pub(crate) fn is_heard(&self, link: u32) -> bool {
        let link = self.links.get(&link);
        link.is_some_and(|link| link.client_open)
    }

    /// A connection is broken; each end hears of it or does not.
    pub(crate) fn broken(
        &mut self,
        turn: &mut Turn,
        link: u32,
        hub_hears: Hears,
        client_hears: Hears,
    ) -> bool {
        let Some(found) = self.links.get_mut(&link) else {
            return false;
        };
        found.broken = true;
        found.up.clear();
        found.down.clear();
        let hub_end = Happening::Link(link, LinkDue::HubEnd);
        match hub_hears {
            Hears::Now => turn.soon(0, hub_end),
            Hears::Late(ms) => turn.soon(u64::from(ms) * MS, hub_end),
            Hears::Never if turn.over => {}
            Hears::Never => turn
                .book
                .saw("a connection that is dead and looks alive to the hub"),
        }
        let client_end = Happening::Link(link, LinkDue::ClientEnd);
        match client_hears {
            Hears::Now => turn.soon(0, client_end),
            Hears::Late(ms) => turn.soon(u64::from(ms) * MS, client_end),
            Hears::Never => {}
        }
        turn.soon(
            noticed_within(turn),
            Happening::Link(link, LinkDue::Noticed),
        );
        true
    }

    /// The hub hears that a connection is gone. Bytes written before the end still arrive: at
    /// which client, and which.
    pub(crate) fn hub_hears_the_end(&mut self, link: u32) -> HubEnd {
        let Some(found) = self.links.get_mut(&link) else {
            return HubEnd::Over;
        };
        if found.broken {
            return HubEnd::Known;
        }
        found.broken = true;
        found.up.clear();
        let rest = found.down.bytes(usize::MAX);
        let heard = found.client_open
            && found.framing == Framing::Stream
            && self.of_client[found.client] == Some(link);
        HubEnd::New(found.client, if heard { rest } else { Vec::new() })
    }

    /// The client hears of it a little later.
    pub(crate) fn client_hears_soon(&mut self, turn: &mut Turn, link: u32) {
        let hears = self
            .links
            .get_mut(&link)
            .map_or(0, |link| link.rng.below(20 * MS));
        turn.soon(hears, Happening::Link(link, LinkDue::ClientEnd));
    }

    /// The hub has a connection no more: which hub, and what it is told, if it was told of it and
    /// is in that life.
    pub(crate) fn close(
        &mut self,
        link: u32,
        is_up: impl FnOnce(usize, u32) -> bool,
    ) -> Option<(usize, ConnId)> {
        let found = self.links.get_mut(&link).filter(|link| link.hub_open)?;
        found.hub_open = false;
        let (hub, conn) = (found.hub, found.conn);
        is_up(hub, found.hub_life).then(|| {
            self.tables[hub].open -= 1;
            self.tables[hub].ended += 1;
            (hub, conn)
        })
    }

    /// The hub was told of the end, and its slot can be used again.
    pub(crate) fn free(&mut self, hub: usize, conn: ConnId) {
        self.tables[hub].free(conn);
    }

    /// The client hears that a connection is gone. Which client is told, if it has no other one.
    pub(crate) fn client_hears_the_end(&mut self, link: u32) -> Option<usize> {
        let found = self.links.get_mut(&link)?;
        found.client_open = false;
        let of = &mut self.of_client[found.client];
        of.take_if(|of| *of == link).map(|_| found.client)
    }

    /// A connection that neither end has any more is forgotten.
    pub(crate) fn tidy(&mut self, link: u32) {
        let ended = |found: &Link| !found.hub_open && self.of_client[found.client] != Some(link);
        if self.links.get(&link).is_some_and(ended) {
            self.links.remove(&link);
        }
    }

    /// Whether each end of a connection that broke some time ago knows by now.
    pub(crate) fn is_noticed(
        &self,
        link: u32,
        is_up: impl FnOnce(usize, u32) -> bool,
    ) -> (bool, bool) {
        let Some(found) = self.links.get(&link) else {
            return (true, true);
        };
        let by_hub = !found.hub_open || !is_up(found.hub, found.hub_life);
        // A refused client thinks about it, and listens to nothing meanwhile.
        let by_client = self.of_client[found.client] != Some(link) || !found.line.was_welcomed();
        (by_hub, by_client)
    }

    /// The connections that a driver holds for its hub. `queued`: how much waits in the hub.
    pub(crate) fn held(&mut self, hub: usize, queued: usize) -> Held {
        let table = &mut self.tables[hub];
        if queued == 0 {
            table.ended = 0;
        }
        Held {
            open: table.open,
            ended: table.ended,
        }
    }
}

/// The outcome for a connection of whose end the hub hears.
#[derive(Debug)]
pub(crate) enum HubEnd {
    /// Both ends have forgotten it.
    Over,
    /// The connection was broken before.
    Known,
    /// The connection breaks with that, after these bytes for this client.
    New(usize, Vec<u8>),
}
