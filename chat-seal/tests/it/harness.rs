//! People with keys, and rooms of them.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    id::{KeyId, MemberId, Place, RoomOrigin, SessionId},
    keys::{SigningKey, chain::Entry},
    time::Wall,
    wire::{
        Fixed, Opaque,
        record::{CipherKind, HistoryPolicy, RoomKind, Sealed},
    },
};
use chat_seal::{
    Author, Chain, Control, Head, KeyRecord, RoomKey, RoomKeys,
    chain::{begin, complete},
    key_record::{KeyError, Reason, Roll, Rotation},
    keys::{AccountKey, DeviceKey, RecoveryKey},
    message::{Content, Context, MessageError, Opened, open, seal},
    signed::{Chains, Created, KeyStep, SignedRecord, Step},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub(crate) const ORIGIN: RoomOrigin = RoomOrigin([9; 16]);
pub(crate) const NOW: Wall = Wall(1_700_000_000_000);

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A time so many minutes after the beginning.
pub(crate) fn minute(minutes: u64) -> Wall {
    Wall(NOW.0 + minutes * 60_000)
}

/// A member with its account, its recovery and its devices.
pub(crate) struct Person {
    pub(crate) account: AccountKey,
    pub(crate) recovery: RecoveryKey,
    pub(crate) devices: Vec<DeviceKey>,
    pub(crate) chain: Chain,
}

impl Person {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = &mut rng(seed);
        let account = AccountKey::generate(rng);
        let recovery = RecoveryKey::generate(rng);
        let device = DeviceKey::generate(rng);
        let chain = begin(&account, &recovery, &device, "laptop", NOW).unwrap();
        Self {
            account,
            recovery,
            devices: vec![device],
            chain,
        }
    }

    pub(crate) fn id(&self) -> MemberId {
        self.chain.member()
    }

    pub(crate) fn author(&self) -> Author<'_> {
        Author {
            device: &self.devices[0],
            chain: &self.chain,
        }
    }

    /// An entry that adds a device.
    pub(crate) fn adding(&self, device: &DeviceKey) -> Entry {
        let entry = self.chain.add(&self.account, device.device("phone"), NOW);
        complete(entry, device)
    }

    pub(crate) fn add(&mut self, device: DeviceKey) {
        let entry = self.adding(&device);
        self.chain.append(&entry).unwrap();
        self.devices.push(device);
    }

    pub(crate) fn revoke(&mut self, device: usize) {
        let id = self.devices[device].id();
        let entry = self.chain.revoke(&self.account, id, NOW);
        self.chain.append(&entry).unwrap();
    }
}

pub(crate) fn device(seed: u64) -> DeviceKey {
    DeviceKey::generate(&mut rng(1_000 + seed))
}

/// An entry with another body, signed by the key that a test has.
pub(crate) fn signed_anew(
    entry: &Entry,
    account: &AccountKey,
    change: impl Fn(&mut Vec<u8>),
) -> Entry {
    let mut body = entry.body.to_vec();
    change(&mut body);
    let key = SigningKey::from_seed(&account.seed());
    let domain = chat_core::keys::Domain::DeviceChain;
    Entry {
        signature: key.sign(domain, &[&body]),
        body: body.into(),
        possession: entry.possession,
    }
}

/// A room as one of its readers sees it.
pub(crate) struct Room {
    pub(crate) control: Control,
    pub(crate) keys: RoomKeys,
    pub(crate) records: Vec<KeyRecord>,
    pub(crate) seq: u64,
}

pub(crate) fn chains<'a>(people: impl IntoIterator<Item = &'a Person>) -> Chains {
    let all = people.into_iter().map(|it| (it.id(), it.chain.clone()));
    all.collect()
}

pub(crate) fn roll<'a>(people: impl IntoIterator<Item = &'a Person>) -> Roll {
    let all = people
        .into_iter()
        .map(|it| (it.id(), it.chain.projection()));
    Roll {
        members: all.collect::<BTreeMap<_, _>>(),
        newcomers: BTreeSet::new(),
        password: None,
    }
}

pub(crate) fn place(seq: u64) -> Place {
    Place { epoch: 1, seq }
}

/// The record of a new key, and the step that names it.
pub(crate) fn rotation(
    seed: u64,
    author: Author<'_>,
    key: &RoomKey,
    before: Option<&RoomKey>,
    people: &[&Person],
) -> (KeyRecord, Step) {
    let to: Vec<_> = people
        .iter()
        .map(|it| (it.id(), it.chain.projection()))
        .collect();
    let rotation = Rotation {
        key,
        before,
        history: true,
        reason: Reason::Readers,
        as_of: place(1),
        to: &to,
        password: None,
    };
    let record = KeyRecord::seal(&mut rng(seed), author, &rotation).unwrap();
    let step = step(key, &record, vec![]);
    (record, step)
}

pub(crate) fn step(key: &RoomKey, record: &KeyRecord, without: Vec<MemberId>) -> Step {
    Step::Key(KeyStep {
        epoch: key.epoch(),
        key: key.id(),
        record: Fixed(record.hash()),
        without,
    })
}

pub(crate) fn created(readers: Vec<MemberId>) -> Created {
    Created {
        kind: RoomKind::Group,
        // The number that a cipher `members` is to have.
        cipher: CipherKind::Other(4),
        history: HistoryPolicy::All,
        readers,
    }
}

/// A new key, which is the seed's.
pub(crate) fn room_key(epoch: u64) -> RoomKey {
    RoomKey::generate(&mut rng(77 + epoch), ORIGIN, epoch)
}

impl Room {
    /// Made by the first of these people for all of them, as their first device sees it.
    pub(crate) fn new(people: &[&Person]) -> Self {
        let readers = people[1..].iter().map(|it| it.id()).collect();
        let first = SignedRecord::create(people[0].author(), ORIGIN, created(readers), NOW);
        let control = Control::verify(ORIGIN, &[first], &chains(people.iter().copied())).unwrap();
        let mut room = Self {
            control,
            keys: RoomKeys::new(ORIGIN),
            records: vec![],
            seq: 1,
        };
        room.rotate(people[0], people);
        room
    }

    /// A new key from one of them.
    pub(crate) fn rotate(&mut self, by: &Person, people: &[&Person]) {
        self.rotate_without(by, people, vec![]);
    }

    pub(crate) fn rotate_without(
        &mut self,
        by: &Person,
        people: &[&Person],
        without: Vec<MemberId>,
    ) {
        let epoch = self.control.key().map_or(0, |key| key.epoch) + 1;
        let key = room_key(epoch);
        let before = self.keys.in_force(&self.control).ok();
        let (record, _) = rotation(epoch, by.author(), &key, before, people);
        let step = step(&key, &record, without);
        let signed = self.control.sign(by.author(), &step, NOW);
        let chains = chains(people.iter().copied().chain([by]));
        self.control.append(&signed, &chains).unwrap();
        self.seq += 1;
        let verified = record.verify(&by.chain).unwrap();
        let reader = by.devices[0].reader();
        self.keys
            .accept(&verified, &self.control, &reader, self.seq)
            .unwrap();
        self.records.push(record);
    }

    /// The keys as another device gets them from the records.
    pub(crate) fn keys_of(
        &self,
        device: &DeviceKey,
        authors: &Chains,
    ) -> Result<RoomKeys, KeyError> {
        let mut keys = RoomKeys::new(ORIGIN);
        for (at, record) in (2..).zip(&self.records) {
            let author = record.read()?.author;
            let verified = record.verify(&authors[&author])?;
            keys.accept(&verified, &self.control, &device.reader(), at)?;
        }
        Ok(keys)
    }

    pub(crate) fn say(&self, by: &Person, txn: u64, text: &str) -> (Sealed, Context<'static>) {
        let context = context(by, txn);
        let content = Content {
            control: self.control.head().seen(),
            nick: "ada",
            content: text.as_bytes(),
        };
        let key = self.keys.in_force(&self.control).unwrap();
        let sealed = seal(&mut rng(txn), key, by.author(), &context, &content).unwrap();
        (sealed, context)
    }

    pub(crate) fn open(
        &self,
        chain: &Chain,
        said: &(Sealed, Context<'static>),
        at: u64,
    ) -> Result<Opened, MessageError> {
        open(&self.keys, chain, &said.1, &said.0, at)
    }
}

pub(crate) fn context(by: &Person, txn: u64) -> Context<'static> {
    Context {
        origin: ORIGIN,
        member: by.id(),
        device: by.devices[0].id(),
        session: SessionId(5),
        txn,
        kind: 4,
        target: None,
        blobs: &[],
    }
}

/// Each of these bytes with its lowest bit flipped, one at a time.
pub(crate) fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).map(|at| {
        let mut other = bytes.to_vec();
        other[at] ^= 1;
        other
    })
}

pub(crate) fn opaque(bytes: &[u8]) -> Opaque {
    Opaque(bytes.to_vec().into())
}

pub(crate) fn other_key() -> KeyId {
    KeyId([3; 16])
}

pub(crate) fn other_head() -> Head {
    Head {
        counter: 1,
        hash: [8; 32],
    }
}
