//! The ways between the machines of a world, as far as they go over a connection.

use chat_core::{
    client::{ClientInput, ClientOutput},
    hub::Input,
    wire::ClientMessage,
};

use super::{
    World,
    links::{Arrived, Connected, Connecting, HubEnd, noticed_within},
    people::Word,
};
use crate::{
    happening::{Happening, LinkDue},
    plan::Hears,
};

impl World {
    /// Does all that a client asks for, in order.
    pub(super) fn drain_client(&mut self, client: usize) {
        while let Some(output) = self.people.next(client) {
            match output {
                ClientOutput::Connect => self.connect(client),
                ClientOutput::Identify(key) => {
                    self.people.is_asked(&mut self.turn, client, key);
                }
                ClientOutput::Send(frame) => {
                    self.people.save(client);
                    let proof = self.links.client_says(&mut self.turn, client, &frame);
                    if let Some((member, credential)) = proof {
                        self.log.proved(member, credential);
                    }
                }
                ClientOutput::Disconnect => {
                    let life = self.people.life(client);
                    self.links.hang_up(&mut self.turn, client, life);
                }
                ClientOutput::Work(work) => self.people.works(&mut self.turn, client, work),
                ClientOutput::Event(event) => {
                    let word = Word {
                        untruth: self.links.untruth(client),
                        stalled: self.links.was_stalled(&self.turn, client),
                        event,
                    };
                    let truth = self.log.truth();
                    self.people.hears(&mut self.turn, client, word, truth);
                }
            }
        }
        if self.people.settle(&mut self.turn, client) {
            self.links.end_of_client(&mut self.turn, client);
        }
    }

    fn tell_client(&mut self, client: usize, input: ClientInput<'_>) {
        if self.people.feed(&self.turn, client, input) {
            self.drain_client(client);
        }
    }

    fn client_receives(&mut self, client: usize, bytes: &[u8]) {
        let framing = self.links.framing_of(client);
        if self.people.is_raw(client) {
            if let Some(hello) = self.people.raw_hears(&mut self.turn, client, bytes) {
                self.utter(client, &hello);
            }
        } else if self.people.receive(&mut self.turn, client, framing, bytes) {
            self.drain_client(client);
        }
    }

    /// A client of another make says something.
    pub(super) fn utter(&mut self, client: usize, message: &ClientMessage) {
        if let Some(form) = self.links.form_of(client) {
            let frame = form.encode(message);
            let proof = self.links.client_says(&mut self.turn, client, &frame);
            if let Some((member, credential)) = proof {
                self.log.proved(member, credential);
            }
        }
    }

    /// A client makes a connection to some hub.
    pub(super) fn connect(&mut self, client: usize) {
        let hubs = 0..self.hubs.len();
        let up: Vec<bool> = hubs.map(|hub| self.hubs.is_up(hub)).collect();
        if let Some(wanted) = self.people.connect(&mut self.turn, client, &up) {
            let connecting = Connecting {
                client,
                client_life: wanted.life,
                hub: wanted.hub,
                hub_life: self.hubs.life(wanted.hub),
                member: wanted.member,
                form: wanted.form,
                framing: wanted.framing,
                raw: wanted.raw,
                knows: wanted.knows,
                after: wanted.after,
            };
            self.links.connect(&mut self.turn, connecting);
        }
    }

    pub(super) fn link_happens(&mut self, link: u32, due: LinkDue) {
        match due {
            LinkDue::Arrive => self.arrive(link),
            LinkDue::Connected => self.connected(link),
            LinkDue::Up => {
                if let Some(up) = self.links.up(&self.turn, link) {
                    if !up.bytes.is_empty() {
                        self.hub_receives(up.hub, up.conn, &up.bytes);
                    }
                    self.links.after_up(&mut self.turn, link, up.ends);
                }
            }
            LinkDue::Down => {
                if let Some(down) = self.links.down(&self.turn, link) {
                    if !down.bytes.is_empty() {
                        self.client_receives(down.client, &down.bytes);
                    }
                    self.drain_hub(down.hub);
                    self.links.after_down(&mut self.turn, link, down.ends);
                }
            }
            LinkDue::HubEnd => self.hub_end(link),
            LinkDue::ClientEnd => self.client_end(link),
            LinkDue::Flush => self.links.arm_down(&mut self.turn, link),
            LinkDue::Noticed => self.check_noticed(link),
        }
    }

    fn arrive(&mut self, link: u32) {
        let hubs = &self.hubs;
        let is_up = |hub, life| hubs.life(hub) == life && hubs.is_up(hub);
        match self.links.arrive(&mut self.turn, link, is_up) {
            Some(Arrived::Nowhere(client, life)) if self.people.life(client) == life => {
                self.tell_client(client, ClientInput::Disconnected);
            }
            Some(Arrived::Nowhere(..)) | None => {}
            Some(Arrived::At(hub, input)) => self.tell_hub(hub, input),
        }
    }

    fn connected(&mut self, link: u32) {
        match self.links.connected(&mut self.turn, link) {
            Connected::Late => {}
            Connected::Broken => self.client_end(link),
            Connected::Client(client, dialled) => {
                if self.people.is_raw(client) {
                    for message in self.people.introduce(client, dialled.channel) {
                        self.utter(client, &message);
                    }
                }
                self.tell_client(client, ClientInput::Connected(dialled));
                self.links.arm_down(&mut self.turn, link);
            }
        }
    }

    /// The hub hears that a connection is gone.
    fn hub_end(&mut self, link: u32) {
        match self.links.hub_hears_the_end(link) {
            HubEnd::Over => return,
            HubEnd::Known => {}
            HubEnd::New(client, rest) => {
                if !rest.is_empty() {
                    self.client_receives(client, &rest);
                }
                self.links.client_hears_soon(&mut self.turn, link);
            }
        }
        self.is_gone(link);
        let hubs = &self.hubs;
        let is_up = |hub, life| hubs.life(hub) == life;
        if let Some((hub, conn)) = self.links.close(link, is_up) {
            self.tell_hub(hub, Input::Disconnected { conn });
            self.links.free(hub, conn);
        }
        self.links.tidy(link);
    }

    /// The client hears that a connection is gone.
    fn client_end(&mut self, link: u32) {
        if let Some(client) = self.links.client_hears_the_end(link) {
            self.tell_client(client, ClientInput::Disconnected);
        }
        self.links.tidy(link);
    }

    /// A connection breaks. Each end hears of it at once, late, or when it finds out itself.
    pub(super) fn cut(&mut self, link: u32, hub_hears: Hears, client_hears: Hears) {
        let Some(cut) = self.links.cut(link) else {
            return;
        };
        if !cut.up.is_empty() && !self.hubs.is_held(&self.turn, cut.hub) {
            let book = &mut self.turn.book;
            book.saw("bytes that arrived as the connection broke");
            self.hub_receives(cut.hub, cut.conn, &cut.up);
        }
        if !cut.down.is_empty() && self.links.is_heard(link) {
            self.client_receives(cut.client, &cut.down);
        }
        let turn = &mut self.turn;
        if self.links.broken(turn, link, hub_hears, client_hears) {
            // Frames that waited for room wait no more: a dead connection takes no bytes.
            self.drain_hub(cut.hub);
        }
    }

    /// A client's program is there no more, and its connection is cut.
    pub(super) fn client_is_gone(&mut self, client: usize) {
        if let Some((link, hears)) = self.links.client_dies(client) {
            self.cut(link, hears, Hears::Never);
        }
    }

    /// A connection is over, as its hub sees it. If it was the member's only one, the member is
    /// gone.
    pub(super) fn is_gone(&mut self, link: u32) {
        if let Some((member, bye)) = self.links.left_by(link) {
            self.names.is_gone(&mut self.turn, member, bye);
        }
    }

    /// A connection broke some time ago, and perhaps neither end was told.
    fn check_noticed(&mut self, link: u32) {
        if let Some(hub) = self.links.hub_of(link) {
            let again = self.hubs.held_until(hub) + noticed_within(&self.turn);
            if again > self.turn.now {
                // The hub was held for a time.
                let noticed = Happening::Link(link, LinkDue::Noticed);
                return self.turn.at(again, noticed);
            }
        }
        let hubs = &self.hubs;
        let is_up = |hub, life| hubs.life(hub) == life;
        let (by_hub, by_client) = self.links.is_noticed(link, is_up);
        self.turn.book.check(
            "a dead connection is noticed in time",
            by_hub && by_client,
            || format!("link {link}, by the hub: {by_hub}, by the client: {by_client}"),
        );
    }
}
