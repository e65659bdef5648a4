//! The lives of programs: how each begins, with what its last life has left, and how it ends.

use chat_core::{
    client::{Client, ClientConfig, Command, Credentials, Ticket},
    id::Secret,
    keys::DeviceKeys,
    password::Stretch,
};

use super::{Peer, People, Program, Told, actions::Asked};
use crate::{plan::Outbox, turn::Turn};

/// Of a thousand people without keys, so many use those of another one: a second device.
const DEVICES: u32 = 200;

impl Peer {
    /// Takes up the credentials of the life before, or makes some.
    pub(super) fn identify(&mut self) -> Credentials {
        let kept = self.kept;
        let made = match self.credentials.take() {
            Some(Credentials::Keys { keys, .. }) => Credentials::Keys { keys, kept },
            Some(guest) => guest,
            None => {
                let secret = Secret(self.rng.bytes32());
                if self.guest {
                    Credentials::Guest(secret)
                } else {
                    let keys = Box::new(DeviceKeys::from_secret(&secret));
                    Credentials::Keys { keys, kept }
                }
            }
        };
        self.member = made.member();
        if !self.members.contains(&self.member) {
            self.members.push(self.member);
        }
        self.credentials.insert(made).clone()
    }
}

impl People {
    /// A program is started, if there is none.
    pub(crate) fn start_as(&mut self, turn: &mut Turn, client: usize, program: Program) -> bool {
        let peer = &mut self.peers[client];
        if peer.client.is_some() {
            return false;
        }
        let Program {
            kept,
            json,
            messages,
            guest,
        } = program;
        (peer.kept, peer.json, peer.messages) = (kept, json, messages);
        // There are no guests in a closed house.
        peer.guest = guest && !turn.shape.closed;
        self.start(turn, client)
    }

    /// The same as before is. Whether it was.
    pub(crate) fn start(&mut self, turn: &mut Turn, client: usize) -> bool {
        let peer = &mut self.peers[client];
        if peer.raw.is_some() || peer.client.is_some() || turn.over {
            return false;
        }
        let now = turn.time(0);
        self.lives += 1;
        peer.life += 1;
        peer.has_past = peer.credentials.is_some() && (peer.has_past || peer.outbox.is_none());
        if peer.credentials.is_none() && !peer.guest && peer.rng.chance(DEVICES) {
            let keys = self.keys_of(client.wrapping_sub(1));
            if keys.is_some() {
                turn.book.saw("a member with two devices");
            }
            self.peers[client].credentials = keys;
        }
        let invite = self.invitation(turn, client);
        let peer = &mut self.peers[client];
        let credentials = peer.identify();
        let seed = peer.rng.bytes32();
        let mut config = ClientConfig::new(peer.nick.clone(), credentials, seed);
        config.stretch = Stretch::cheap();
        config.invite = invite;
        (peer.pinned, peer.slow) = (peer.rng.chance(300), false);
        config.pin = peer.pinned.then(|| self.server.fingerprint());
        if peer.rng.chance(100) {
            // The client asks for them.
            config.credentials = None;
        }
        let mut machine = Box::new(Client::new(config));
        let outbox = peer.outbox.take();
        peer.began = (turn.now, outbox.as_ref().map(|(_, fault)| *fault));
        let restored = outbox.map(|(bytes, _)| machine.restore_outbox(now, &bytes));
        peer.client = Some(machine);
        peer.told = Told::default();
        peer.ended = None;
        peer.leaving = false;
        let (member, nick) = (peer.member, &peer.nick);
        turn.book
            .note(|| format!("client {client} begins: {nick}, {member}"));
        if let Some(restored) = restored {
            self.goes_on(turn, client, restored);
        }
        let peer = &mut self.peers[client];
        if let Some(machine) = &mut peer.client {
            machine.start(now, &mut peer.out);
        }
        true
    }

    /// The keys of a client, if it has some and a program of this project's.
    fn keys_of(&self, client: usize) -> Option<Credentials> {
        let peer = self.peers.get(client).filter(|peer| peer.raw.is_none())?;
        let keys = matches!(peer.credentials, Some(Credentials::Keys { .. }));
        peer.credentials.clone().filter(|_| keys)
    }

    /// A program goes on with the commands of its last life.
    fn goes_on(
        &mut self,
        turn: &mut Turn,
        client: usize,
        restored: Option<Vec<(Ticket, Command)>>,
    ) {
        let whole = restored.is_some();
        turn.book.check("a saved outbox is one", whole, || {
            format!("client {client}")
        });
        let peer = &mut self.peers[client];
        if let (_, Some(fault)) = peer.began
            && restored
                .as_ref()
                .is_some_and(|commands| !commands.is_empty())
        {
            turn.book.fault(fault);
        }
        for (ticket, command) in restored.into_iter().flatten() {
            turn.book
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
    pub(super) fn is_found_done(&mut self, turn: &mut Turn, client: usize, written: Option<u64>) {
        let (at, fault) = self.peers[client].began;
        if let Some(fault) = fault.filter(|_| written.is_some_and(|written| written < at)) {
            turn.book.changes(fault);
        }
    }

    /// The application keeps the outbox.
    pub(crate) fn save(&mut self, client: usize) {
        let peer = &mut self.peers[client];
        if let Some(machine) = &peer.client {
            peer.saved = machine.outbox().to_vec();
        }
    }

    /// The program is gone without a word, if there is one.
    pub(crate) fn kill(
        &mut self,
        turn: &mut Turn,
        client: usize,
        forget: bool,
        outbox: Outbox,
    ) -> bool {
        let peer = &mut self.peers[client];
        let Some(machine) = &peer.client else {
            return false;
        };
        peer.outbox = match outbox {
            _ if forget => None,
            Outbox::Lost => None,
            Outbox::Older if peer.saved.is_empty() => None,
            Outbox::Kept => Some((machine.outbox().to_vec(), "an outbox gone on with")),
            Outbox::Older => Some((peer.saved.clone(), "an outbox that was kept before")),
        };
        if peer.outbox.is_none() && !peer.tickets.is_empty() {
            turn.book.fault("a client crashed and lost its outbox");
        }
        turn.book.fault(if forget {
            "a client crashed and lost its credentials"
        } else {
            "a client crashed"
        });
        self.end(turn, client, forget)
    }

    /// A client's program is there no more, if it was.
    pub(crate) fn end(&mut self, turn: &mut Turn, client: usize, forget: bool) -> bool {
        if self.peers[client].client.take().is_none() {
            return false;
        }
        turn.book.note(|| format!("client {client} is gone"));
        self.forget_life(client);
        if forget {
            self.peers[client].credentials = None;
        }
        true
    }

    pub(super) fn forget_life(&mut self, client: usize) {
        let peer = &mut self.peers[client];
        while peer.out.pop().is_some() {}
        self.lives += 1;
        peer.life += 1;
        peer.armed = None;
        peer.tickets.clear();
        peer.saved.clear();
        peer.client = None;
    }

    /// A client says goodbye.
    pub(crate) fn bye(&mut self, turn: &mut Turn, client: usize) -> bool {
        let now = turn.time(0);
        let peer = &mut self.peers[client];
        let Some(machine) = &mut peer.client else {
            return false;
        };
        turn.book.saw("a goodbye");
        peer.leaving = true;
        machine.close(now, &mut peer.out);
        true
    }
}
