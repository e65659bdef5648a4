//! An honest server whose log loses its tail now and then, and devices that come and go.
//!
//! No alarm must come of that. A device that comes back, or hears that the log has begun a new
//! life, hands in what the server lacks before anything else is written. Entries that only a device
//! had which is away come back as a branch, if others were written meanwhile; the device ends it by
//! a heal.

use chat_core::{keys::chain::Entry, roles::Role};
use chat_seal::{
    Chain, Control, Relation,
    chain::{Followed, complete},
    keys::Signer,
    signed::{Chains, ControlError, Shown, SignedRecord, Step},
};
use proptest::{prelude::*, sample::Index};

use crate::harness::{NOW, ORIGIN, Person, chains, created, device};

/// A server's log of one chain, which is honest and forgetful.
struct Server {
    chain: Chain,
}

impl Server {
    /// Takes entries in if they continue the chain, or are a branch that takes over.
    fn put(&mut self, entries: &[Entry]) -> bool {
        let taken = self.chain.follow(entries);
        matches!(
            taken,
            Ok(Followed::Advanced { .. } | Followed::Switched { .. })
        )
    }

    /// Loses all but so many entries.
    fn keep(&mut self, entries: usize) {
        self.chain = Chain::verify(&self.chain.entries()[..entries]).unwrap();
    }
}

/// A device, or a peer, that keeps what it has verified.
struct Client {
    chain: Chain,
    online: bool,
}

impl Client {
    /// Follows the server and hands in what the server lacks. The fork, if there is one.
    fn sync(&mut self, server: &mut Server) -> Option<Box<chat_seal::chain::Fork>> {
        match self.chain.follow(server.chain.entries()).unwrap() {
            Followed::Fork(fork) => return Some(fork),
            Followed::Behind => {
                let missing = self.chain.missing(server.chain.head());
                assert!(server.put(missing), "the server takes what it had");
            }
            Followed::GivenUp { .. } => assert!(server.put(self.chain.entries())),
            Followed::Same | Followed::Advanced { .. } | Followed::Switched { .. } => {}
        }
        assert_eq!(self.chain.relation(server.chain.head()), Relation::Same);
        None
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// A client writes: a device more.
    Write(Index),
    /// A client goes or comes back.
    Toggle(Index),
    /// The log loses so many entries.
    Lose(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => any::<Index>().prop_map(Event::Write),
        3 => any::<Index>().prop_map(Event::Toggle),
        2 => (1..4usize).prop_map(Event::Lose),
    ];
    proptest::collection::vec(event, 1..24)
}

struct World {
    ada: Person,
    server: Server,
    clients: Vec<Client>,
    written: u64,
    forks: usize,
}

impl World {
    fn new() -> Self {
        let ada = Person::new(1);
        let client = || Client {
            chain: ada.chain.clone(),
            online: true,
        };
        Self {
            server: Server {
                chain: ada.chain.clone(),
            },
            clients: vec![client(), client(), client()],
            ada,
            written: 0,
            forks: 0,
        }
    }

    /// All that are online hear what is new.
    fn tell(&mut self) {
        // Twice: what the last one hands in is news for the first one.
        for _ in 0..2 {
            for at in 0..self.clients.len() {
                if self.clients[at].online {
                    self.sync(at);
                }
            }
        }
    }

    fn sync(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let Some(fork) = client.sync(&mut self.server) else {
            return;
        };
        self.forks += 1;
        // The member's own device: it takes the server's branch and gives its own one up.
        let given_up = chat_seal::chain::Fork {
            from: fork.from,
            other: client.chain.clone(),
        };
        let signer = Signer::Account(&self.ada.account);
        let heal = fork.other.heal(&given_up, signer, NOW).unwrap();
        assert!(self.server.put(&[heal]));
        assert!(self.clients[at].sync(&mut self.server).is_none());
    }

    fn write(&mut self, at: usize) {
        if !self.clients[at].online || self.clients[at].chain.devices().count() >= 16 {
            return;
        }
        self.written += 1;
        let new = device(self.written);
        let entry = self.clients[at]
            .chain
            .add(&self.ada.account, new.device(""), NOW);
        assert!(self.server.put(&[complete(entry, &new)]));
        self.tell();
    }

    fn run(&mut self, events: &[Event], always_somebody: bool) {
        for event in events {
            match event {
                Event::Write(which) => self.write(which.index(3)),
                Event::Toggle(which) => {
                    let at = which.index(3);
                    if always_somebody && at == 0 {
                        continue;
                    }
                    self.clients[at].online ^= true;
                    self.tell();
                }
                Event::Lose(count) => {
                    let entries = self.server.chain.entries().len();
                    self.server.keep(entries.saturating_sub(*count).max(1));
                    // The epoch has changed; those who are there hear it before anything else.
                    self.tell();
                }
            }
        }
        self.clients
            .iter_mut()
            .for_each(|client| client.online = true);
        self.tell();
        self.tell();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// While one client that has seen it all is there, nothing is lost, and there is no alarm.
    #[test]
    fn a_lost_tail_gives_no_alarm(events in events()) {
        let mut world = World::new();
        world.run(&events, true);
        prop_assert_eq!(world.forks, 0);
        let heads: Vec<_> = world.clients.iter().map(|it| it.chain.head()).collect();
        prop_assert_eq!(heads, vec![world.server.chain.head(); 3]);
        prop_assert_eq!(world.server.chain.head().counter, 1 + world.written);
    }

    /// When all who had seen it were away and something else was written meanwhile, there is a
    /// branch; the first device that comes back ends it, and all agree again.
    #[test]
    fn a_branch_of_a_lost_tail_heals(events in events()) {
        let mut world = World::new();
        world.run(&events, false);
        let heads: Vec<_> = world.clients.iter().map(|it| it.chain.head()).collect();
        prop_assert_eq!(heads, vec![world.server.chain.head(); 3]);
    }
}

/// The branch that the second property speaks of does come about.
#[test]
fn what_only_somebody_away_had_becomes_a_branch_and_heals() {
    let mut world = World::new();
    world.clients[1].online = false;
    world.clients[2].online = false;
    world.write(0);
    world.clients[0].online = false;
    world.server.keep(1);
    world.clients[1].online = true;
    world.tell();
    world.write(1);
    assert_eq!(world.forks, 0);
    world.clients[0].online = true;
    world.clients[2].online = true;
    world.tell();
    assert_eq!(world.forks, 1);
    let chain = &world.server.chain;
    assert!(chain.has(device(2).id()) && !chain.has(device(1).id()));
    // The other device was not revoked, only left out, and may come in again.
    let again = chain.add(&world.ada.account, device(1).device(""), NOW);
    assert_eq!(chain.check(&complete(again, &device(1))), Ok(()));
}

/// The same for the signed records of a room: a lost tail is handed in by any reader.
#[test]
fn a_room_that_lost_its_tail_gives_no_alarm() {
    let [ada, berl, cleo] = [1, 2, 3].map(Person::new);
    let chains: Chains = chains([&ada, &berl, &cleo]);
    let first = SignedRecord::create(ada.author(), ORIGIN, created(vec![berl.id()]), NOW);
    let mut server = Control::verify(ORIGIN, &[first], &chains).unwrap();
    let mut lost = server.clone();
    let mut readers = vec![server.clone(); 2];
    for step in [
        Step::Invited(cleo.id()),
        Step::Role(berl.id(), Role::Moderator),
        Step::Left(Some(berl.id())),
    ] {
        let record = server.sign(ada.author(), &step, NOW);
        server.append(&record, &chains).unwrap();
        for reader in &mut readers {
            let shown = reader.follow(server.records(), &chains).unwrap();
            assert!(matches!(shown, Shown::Advanced { .. }));
        }
    }
    // All but the first record is gone, and the author has left.
    for reader in &mut readers {
        let shown = reader.follow(lost.records(), &chains).unwrap();
        assert!(!matches!(shown, Shown::Fork { .. }), "{shown:?}");
        let missing = reader.missing(lost.head()).to_vec();
        lost.follow(&missing, &chains).unwrap();
        assert_eq!(lost.head(), server.head());
    }
    assert!(lost.readers().eq(server.readers()));
}

/// The author of a record was the only one to have it, and another record has its number now.
#[test]
fn an_author_gives_way_with_what_nobody_else_had() {
    let [ada, berl, cleo, dora] = [1, 2, 3, 4].map(Person::new);
    let chains: Chains = chains([&ada, &berl, &cleo, &dora]);
    let first = SignedRecord::create(
        ada.author(),
        ORIGIN,
        created(vec![berl.id(), dora.id()]),
        NOW,
    );
    let mut server = Control::verify(ORIGIN, &[first], &chains).unwrap();
    let role = |role| Step::Role(berl.id(), role);
    let record = server.sign(ada.author(), &role(Role::Moderator), NOW);
    server.append(&record, &chains).unwrap();
    let (mut of_ada, mut of_berl) = (server.clone(), server.clone());
    let lost = server.sign(ada.author(), &Step::Invited(cleo.id()), NOW);
    of_ada.append(&lost, &chains).unwrap();
    let instead = server.sign(berl.author(), &Step::Left(None), NOW);
    server.append(&instead, &chains).unwrap();
    let shown = &server.records()[1..];
    assert_eq!(of_ada.follow(shown, &chains), Ok(Shown::Fork { from: 3 }));
    let device = ada.devices[0].id();
    assert_eq!(
        of_ada
            .clone()
            .yield_to(shown, &chains, berl.devices[0].id()),
        Ok(false)
    );
    // A removal that is known stands, and who is out signs nothing in the other branch either.
    let mut without_berl = of_ada.clone();
    without_berl.remove(berl.id());
    let refused = without_berl.yield_to(shown, &chains, device);
    assert_eq!(refused, Err(ControlError::NoReader(berl.id())));
    of_ada.remove(dora.id());
    assert_eq!(of_ada.yield_to(shown, &chains, device), Ok(true));
    assert_eq!(of_ada.head(), server.head());
    assert!(
        ![&berl, &cleo, &dora]
            .iter()
            .any(|it| of_ada.may_read(it.id()))
    );
    // Where there is no fork, there is nothing to give up.
    assert_eq!(of_ada.yield_to(shown, &chains, device), Ok(false));
    assert_eq!(of_berl.yield_to(shown, &chains, device), Ok(false));
    assert_eq!(of_berl.yield_to(&[], &chains, device), Ok(false));
    let next = of_ada.sign(ada.author(), &Step::Invited(cleo.id()), NOW);
    of_ada.append(&next, &chains).unwrap();
    assert_eq!(of_ada.yield_to(shown, &chains, device), Ok(false));
    // A record of somebody else stands: the alarm does, too.
    let mut with_berl = of_berl.clone();
    with_berl.append(&instead, &chains).unwrap();
    let branch = of_berl.sign(ada.author(), &Step::Invited(cleo.id()), NOW);
    assert_eq!(with_berl.yield_to(&[branch], &chains, device), Ok(false));
}
