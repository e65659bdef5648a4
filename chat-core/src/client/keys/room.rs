//! The cipher of a room, and whether this client may and can speak in it.

use super::{
    super::command::{CommandError, RoomKey, Text},
    ring::{Fit, Ring},
};
use crate::{
    cipher::{Context, Rng},
    id::{KeyId, MemberId, Place, RoomOrigin, SessionId},
    wire::{
        Tagged,
        record::{CipherKind, Content, Message, Record, RecordBody},
        server::RoomView,
    },
};

/// The keys of a room that the client is in, and which of them the room announces.
#[derive(Debug)]
pub(super) struct RoomKeys {
    /// Stands for the room in all that is sealed for it.
    origin: RoomOrigin,
    pub(super) cipher: CipherKind,
    /// The key that the cipher asks for, as announced.
    key: Option<KeyId>,
    /// The key that came with the password in force, whatever the cipher.
    pub(super) password_key: Option<KeyId>,
    /// The keys in force are those as of this record. Views and answers may be ahead of what was
    /// received.
    as_of: Place,
    pub(super) ring: Ring,
    consent: Consent,
}

/// Whether the application is content with a room that is not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consent {
    /// There was no question: the room is what it announces.
    NotAsked,
    /// A password was given for it, and nothing since that says that it need not be encrypted.
    Wanting,
}

/// The author of a message, and its number.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Author {
    pub(in super::super) member: MemberId,
    pub(in super::super) session: SessionId,
    pub(in super::super) txn: u64,
}

impl RoomKeys {
    /// As a view shows the room.
    pub(super) fn new(view: &RoomView, ring: Ring) -> Self {
        let mut room = Self {
            origin: view.origin,
            cipher: view.cipher,
            key: None,
            password_key: None,
            as_of: view.place,
            ring,
            consent: Consent::NotAsked,
        };
        room.note(view);
        room
    }

    /// Takes in what a view says of the keys, if it is not older than what is known.
    ///
    /// # Errors
    /// The cipher is another one. No record changes it, so a server that says that wants to read
    /// along.
    pub(super) fn look(&mut self, view: &RoomView) -> Result<(), String> {
        if is_sealed(self.cipher) && view.cipher != self.cipher {
            let (was, is) = (self.cipher, view.cipher);
            return Err(format!(
                "a room's cipher was {was:?} and is said to be {is:?}"
            ));
        }
        self.note(view);
        Ok(())
    }

    fn note(&mut self, view: &RoomView) {
        if !self.is_ahead_of(view.place) {
            self.as_of = view.place;
            self.origin = view.origin;
            self.cipher = view.cipher;
            self.key = view.key;
            self.password_key = view.keys.last().map(|key| key.id);
        }
        self.note_in_force();
    }

    fn is_ahead_of(&self, place: Place) -> bool {
        self.as_of.epoch == place.epoch && self.as_of.seq > place.seq
    }

    /// Which of the keys at hand is in force.
    fn note_in_force(&mut self) {
        let of_lobby = || self.ring.newest(1).first().map(|(key, _)| *key);
        let of_lobby = (self.cipher == CipherKind::StaticKey).then(of_lobby);
        if let Some(key) = self.key.or(of_lobby.flatten()) {
            self.ring.in_force(key);
        }
    }

    /// The application is content with a room that is not encrypted, or is not.
    pub(super) fn accept_unsealed(&mut self, accepted: bool) {
        if accepted {
            self.consent = Consent::NotAsked;
            if self.is_unsealed() {
                self.ring.forget_order();
            }
        } else {
            self.consent = Consent::Wanting;
        }
    }

    fn is_unsealed(&self) -> bool {
        !is_sealed(self.cipher)
    }

    /// Takes in further keys, as newer than those that are there.
    pub(super) fn merge(&mut self, ring: Ring) {
        self.ring.merge(ring);
        self.note_in_force();
    }

    /// Takes in keys of an earlier life. Whether the room can be spoken in.
    pub(super) fn restore(&mut self, kept: Ring) -> bool {
        self.ring.restore(kept);
        self.note_in_force();
        matches!(self.ring.fit(self.cipher, self.key), Fit::Yes)
    }

    /// The key in force has changed, as of a record.
    pub(super) fn rekey(&mut self, key: KeyId, as_of: Place) {
        if self.is_ahead_of(as_of) {
            return;
        }
        self.as_of = as_of;
        self.password_key = Some(key);
        if self.cipher == CipherKind::RoomPassword {
            self.key = Some(key);
            self.note_in_force();
        }
    }

    /// The text of a record, if there is one.
    pub(super) fn open(&self, record: &Record) -> Option<Text> {
        let (RecordBody::Message(said) | RecordBody::Action(said)) = &record.body else {
            return None;
        };
        let context = Context {
            origin: self.origin,
            member: record.member,
            session: record.session,
            txn: record.txn,
            kind: record.body.kind(),
            target: record.target,
        };
        Some(self.ring.open(self.cipher, &context, &said.content))
    }

    /// Closes a text.
    pub(super) fn seal(
        &self,
        rng: &mut dyn Rng,
        author: Author,
        action: bool,
        text: &str,
    ) -> Result<Content, CommandError> {
        if self.consent == Consent::Wanting && self.is_unsealed() {
            let announced = self.cipher;
            return Err(CommandError::NotSealed { announced });
        }
        let context = Context {
            origin: self.origin,
            member: author.member,
            session: author.session,
            txn: author.txn,
            kind: kind_of(action),
            target: None,
        };
        self.ring.seal(rng, self.cipher, self.key, &context, text)
    }

    /// Whether content is closed under the key in force, as far as this client knows.
    pub(super) fn is_current(&self, content: &Content) -> bool {
        match content {
            Content::Sealed(sealed) => self.key.is_none_or(|key| key == sealed.key),
            _ => true,
        }
    }
}

/// The number of the record that a `send` becomes.
fn kind_of(action: bool) -> u16 {
    let message = Message {
        content: Content::plain(""),
    };
    if action {
        RecordBody::Action(message).kind()
    } else {
        RecordBody::Message(message).kind()
    }
}

fn is_sealed(cipher: CipherKind) -> bool {
    !matches!(cipher, CipherKind::None | CipherKind::Caesar)
}

/// Whether these keys do for the room of a view; why not, otherwise. A key that was `given` for a
/// room without a use for it is a mistake that the person should know of; a password that was given
/// is a wish to have what is said encrypted, if no more than that is said (`sealed`).
pub(super) fn check(
    view: &RoomView,
    ring: &Ring,
    given: Option<&RoomKey>,
    sealed: bool,
) -> Result<(), CommandError> {
    let announced = view.cipher;
    if sealed && given.is_none() && announced == CipherKind::None {
        return Err(CommandError::NotSealed { announced });
    }
    let given_fits = match (given, announced) {
        (None, _) | (Some(RoomKey::Caesar(_)), CipherKind::Caesar) => true,
        (Some(RoomKey::Static(key)), CipherKind::StaticKey) => {
            view.key.is_none_or(|id| id == key.static_id())
        }
        _ => false,
    };
    if !given_fits {
        return Err(CommandError::CipherMismatch { announced });
    }
    match ring.fit(announced, view.key) {
        Fit::Yes => Ok(()),
        Fit::Missing => Err(CommandError::KeyMissing { announced }),
        Fit::Mismatch => Err(CommandError::CipherMismatch { announced }),
        Fit::RolledBack => Err(CommandError::KeyRolledBack),
        Fit::NotSealed => Err(CommandError::NotSealed { announced }),
    }
}
