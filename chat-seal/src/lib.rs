//! Rooms that nobody else can read: not the server, and no member that was not let in by one.
//!
//! The crate is what stands on `chat-core` for that, in the same style: no socket, file, clock,
//! thread or random source. Bytes of others come in and are verified; what is to be sent comes out;
//! time and randomness are arguments. There is one mechanism for every kind of sealed room:
//!
//! | module | says | signed by |
//! |---|---|---|
//! | [`chain`] | which devices are a member's | the member's account, or its recovery |
//! | [`signed`] | who may read a room, and which key is in force | a device of a reader |
//! | [`key_record`] | the room's key, wrapped for each reader's devices | a device of a reader |
//! | [`message`] | what is said | the device that says it, inside of what is sealed |
//!
//! Beside these are [`keys`] (what a member keeps), [`mailbox`] (how a device is linked) and
//! [`SafetyNumber`] (what two people compare).
//!
//! # A conversation
//!
//! ```
//! use chat_core::{
//!     id::{Place, RoomOrigin, SessionId},
//!     time::Wall,
//!     wire::{Fixed, record::{CipherKind, HistoryPolicy, RoomKind}},
//! };
//! use chat_seal::{
//!     Author, Control, KeyRecord, RoomKey, RoomKeys,
//!     chain::begin,
//!     key_record::{Reason, Rotation},
//!     keys::{AccountKey, DeviceKey, RecoveryKey},
//!     message::{self, Content, Context},
//!     signed::{Chains, Created, KeyStep, SignedRecord, Step},
//! };
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let rng = &mut ChaCha20Rng::seed_from_u64(1);
//! # let now = Wall(1_700_000_000_000);
//!
//! // Each has an account, a recovery (to be written down) and a device, and begins a chain.
//! let [ada, berl] = [(); 2].map(|()| {
//!     let keys = (AccountKey::generate(rng), RecoveryKey::generate(rng));
//!     let device = DeviceKey::generate(rng);
//!     let chain = begin(&keys.0, &keys.1, &device, "laptop", now)?;
//!     Ok::<_, chat_seal::chain::ChainError>((device, chain))
//! });
//! let ((ada_device, ada), (berl_device, berl)) = (ada?, berl?);
//! let chains = Chains::from([(ada.member(), ada.clone()), (berl.member(), berl.clone())]);
//! let author = Author { device: &ada_device, chain: &ada };
//!
//! // Ada begins a room in which Berl may read, ...
//! let origin = RoomOrigin([7; 16]); // drawn by the room
//! let created = Created {
//!     kind: RoomKind::Private,
//!     cipher: CipherKind::RoomPassword,
//!     history: HistoryPolicy::All,
//!     readers: vec![berl.member()],
//! };
//! let first = SignedRecord::create(author, origin, created, now);
//! let mut control = Control::verify(origin, &[first], &chains)?;
//!
//! // ... makes its first key, for all devices of both, ...
//! let key = RoomKey::generate(rng, origin, 1);
//! let rotation = Rotation {
//!     key: &key,
//!     before: None,
//!     history: true,
//!     reason: Reason::Created,
//!     as_of: Place { epoch: 1, seq: 1 },
//!     to: &[(ada.member(), ada.projection()), (berl.member(), berl.projection())],
//!     password: None,
//! };
//! let record = KeyRecord::seal(rng, author, &rotation)?;
//! let step = Step::Key(KeyStep {
//!     epoch: 1,
//!     key: key.id(),
//!     record: Fixed(record.hash()),
//!     without: vec![],
//! });
//! let signed = control.sign(author, &step, now);
//! control.append(&signed, &chains)?;
//!
//! // ... and says something.
//! let context = Context {
//!     origin,
//!     member: ada.member(),
//!     device: ada_device.id(),
//!     session: SessionId(5),
//!     txn: 1,
//!     kind: 4,
//!     target: None,
//!     blobs: &[],
//! };
//! let said = Content { control: control.head().seen(), nick: "ada", content: b"hello" };
//! let sealed = message::seal(rng, &key, author, &context, &said)?;
//!
//! // Berl has verified chain and signed records, takes the key, and reads.
//! let mut keys = RoomKeys::new(origin);
//! let verified = record.verify(&ada)?;
//! keys.accept(&verified, &control, &berl_device.reader(), 2)?;
//! let opened = message::open(&keys, &ada, &context, &sealed, 3)?;
//! assert_eq!(*opened.content, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a client does with it
//!
//! - It keeps what it has verified: a [`Chain`] of each peer, the [`Control`] and the [`RoomKeys`]
//!   of each room. What a server shows is *followed* from there, and never instead of it.
//! - A server that is [`Relation::Behind`] has lost a tail: it is handed what is missing, and
//!   nothing is sealed until it has it. That is no alarm. Two items of one number are: a
//!   [`Relation::Fork`].
//! - It seals under [`RoomKeys::in_force`] alone, and makes a new key first when
//!   [`Roll::rotation`](key_record::Roll::rotation) says so.
//! - That a log has lost its tail is told to [`RoomKeys::lose_after`] and
//!   [`Replays::lose_after`](message::Replays::lose_after): places change, what was signed does
//!   not.
//! - What it shows has been opened by [`message::open`] and noted in
//!   [`Replays`](message::Replays).
//!
//! A server judges by the same functions ([`Chain::admit`], [`Control::check`],
//! [`Roll::judge`](key_record::Roll::judge)), so that an honest one keeps out what clients would
//! refuse.
//!
//! # Threats
//!
//! The server, and whoever works with it, can leave out, delay and reorder, and sees who speaks
//! when and how much (in steps of 64 bytes). They cannot read, speak in another's name, let a
//! reader in, bring an old key back, or have one message stand in two places, unnoticed by a client
//! that has seen otherwise. There is no forward secrecy within an epoch: whoever gets a device's
//! keys reads what was wrapped for it, until the device is revoked and the key replaced. A reader
//! can show others that somebody said something. Nobody has audited this.

pub mod chain;
mod hpke;
pub mod key_record;
pub mod keys;
mod links;
pub mod mailbox;
pub mod message;
mod safety;
pub mod signed;

pub use self::{
    chain::{Author, Chain},
    key_record::{KeyRecord, RoomKey, RoomKeys},
    links::{Head, Relation, Seen},
    safety::SafetyNumber,
    signed::Control,
};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
