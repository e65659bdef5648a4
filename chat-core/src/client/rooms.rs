//! A room as the client knows it: how far its records have come, and what is needed to speak in it.

use crate::{
    cipher::{Context, Rng},
    id::{KeyId, MemberId, Place, RoomId, Seq},
    wire::{
        Tagged,
        record::{CipherKind, Content, Record, RecordBody},
        server::{RemovedReason, RoomView},
    },
};

use super::{
    Fault,
    io::{CommandError, Text},
    keys::{Fit, Keys},
};

/// Number of the record kind `message`.
const MESSAGE: u16 = 4;
/// Number of the record kind `action`.
const ACTION: u16 = 5;

/// A room that the client is in.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) id: RoomId,
    /// The last record received in order. An `ok` never moves it.
    pub(super) cursor: Place,
    pub(super) cipher: CipherKind,
    /// The key that the cipher asks for, as announced.
    key: Option<KeyId>,
    /// The key that came with the password in force, whatever the cipher.
    pub(super) password_key: Option<KeyId>,
    /// The keys in force are those as of this record. Views and answers may be ahead of the cursor.
    keys_as_of: Seq,
    pub(super) keys: Keys,
    /// A password was given for it, and nobody has said since that it may be a room that is not encrypted.
    must_be_sealed: bool,
}

/// What a record is in the row of those received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fits {
    /// The next one.
    Next,
    /// Known already.
    Repeat,
    /// There is a hole before it, or it is of another life of the log.
    Hole,
}

impl Room {
    /// As a view shows it; the cursor stands at the view's place.
    pub(super) fn new(view: &RoomView, keys: Keys) -> Self {
        let mut room = Self {
            id: view.room,
            cursor: view.place,
            cipher: view.cipher,
            key: None,
            password_key: None,
            keys_as_of: 0,
            keys,
            must_be_sealed: false,
        };
        room.note_keys(view);
        room
    }

    /// Takes in what a view says of the keys, if it is not older than what is known.
    ///
    /// # Errors
    /// The cipher is another one. No record changes it, so a server that says that wants to read along.
    pub(super) fn look(&mut self, view: &RoomView) -> Result<(), Fault> {
        let closed = |cipher| matches!(cipher, CipherKind::StaticKey | CipherKind::RoomPassword);
        if view.cipher != self.cipher && closed(self.cipher) {
            return Err(Fault(format!(
                "a room's cipher was {:?} and is said to be {:?}",
                self.cipher, view.cipher
            )));
        }
        self.note_keys(view);
        Ok(())
    }

    fn note_keys(&mut self, view: &RoomView) {
        if view.place.epoch != self.cursor.epoch || view.place.seq >= self.keys_as_of {
            self.keys_as_of = view.place.seq;
            self.cipher = view.cipher;
            self.key = view.key;
            self.password_key = view.keys.last().map(|key| key.id);
        }
        self.note_in_force();
    }

    /// Which of the keys at hand is in force.
    fn note_in_force(&mut self) {
        let of_lobby = || self.keys.newest(1).first().map(|(key, _)| *key);
        let of_lobby = (self.cipher == CipherKind::StaticKey).then(of_lobby);
        if let Some(key) = self.key.or(of_lobby.flatten()) {
            self.keys.in_force(key);
        }
    }

    /// The application is content with a room that is not encrypted, or is not.
    pub(super) fn accept_unsealed(&mut self, accepted: bool) {
        self.must_be_sealed = !accepted;
        if accepted && self.is_unsealed() {
            self.keys.forget_order();
        }
    }

    fn is_unsealed(&self) -> bool {
        matches!(self.cipher, CipherKind::None | CipherKind::Caesar)
    }

    /// Takes in further keys, as newer than those that are there.
    pub(super) fn merge_keys(&mut self, keys: Keys) {
        self.keys.merge(keys);
        self.note_in_force();
    }

    /// Takes in keys of an earlier life. Whether the room can be spoken in.
    pub(super) fn restore(&mut self, kept: Keys) -> bool {
        self.keys.restore(kept);
        self.note_in_force();
        matches!(self.keys.fit(self.cipher, self.key), Fit::Yes)
    }

    /// Starts afresh from a view; what can be opened stays so.
    ///
    /// # Errors
    /// See [`look`](Self::look).
    pub(super) fn restart(&mut self, view: &RoomView) -> Result<(), Fault> {
        self.keys_as_of = 0;
        self.look(view)?;
        self.cursor = view.place;
        Ok(())
    }

    /// The key in force has changed, as of a record.
    pub(super) fn rekey(&mut self, key: KeyId, as_of: Seq) {
        if as_of < self.keys_as_of {
            return;
        }
        self.keys_as_of = as_of;
        self.password_key = Some(key);
        if self.cipher == CipherKind::RoomPassword {
            self.key = Some(key);
            self.note_in_force();
        }
    }

    pub(super) fn fits(&self, epoch: u64, seq: Seq) -> Fits {
        if epoch != self.cursor.epoch {
            Fits::Hole
        } else if seq <= self.cursor.seq {
            Fits::Repeat
        } else if seq == self.cursor.seq + 1 {
            Fits::Next
        } else {
            Fits::Hole
        }
    }

    /// Takes in the next record. Tells what it says, if it is something said, and why this member (`me`) is out, if
    /// the record puts it out.
    pub(super) fn take(
        &mut self,
        me: MemberId,
        record: &Record,
    ) -> (Option<Text>, Option<RemovedReason>) {
        self.cursor.seq = record.seq;
        let removed = match &record.body {
            RecordBody::Left(_) if record.member == me => Some(RemovedReason::NotMember),
            RecordBody::Kicked(removal) if removal.target == me => Some(RemovedReason::NotMember),
            RecordBody::Banned(removal) if removal.target == me => Some(RemovedReason::Banned),
            _ => None,
        };
        if let RecordBody::Password(change) = &record.body {
            self.rekey(change.password.key.id, record.seq);
        }
        (self.open(record), removed)
    }

    /// What a record says, if it is something said.
    pub(super) fn open(&self, record: &Record) -> Option<Text> {
        let (RecordBody::Message(said) | RecordBody::Action(said)) = &record.body else {
            return None;
        };
        let context = Context {
            room: self.id,
            member: record.member,
            txn: record.txn,
            kind: record.body.kind(),
            target: 0,
        };
        Some(self.keys.open(self.cipher, &context, &said.content))
    }

    /// Closes a text, to be sent as this member's number `txn`.
    pub(super) fn seal(
        &self,
        rng: &mut dyn Rng,
        me: MemberId,
        txn: u64,
        action: bool,
        text: &str,
    ) -> Result<Content, CommandError> {
        if self.must_be_sealed && self.is_unsealed() {
            let announced = self.cipher;
            return Err(CommandError::NotSealed { announced });
        }
        let kind = if action { ACTION } else { MESSAGE };
        let context = Context {
            room: self.id,
            member: me,
            txn,
            kind,
            target: 0,
        };
        self.keys.seal(rng, self.cipher, self.key, &context, text)
    }

    /// Whether content is closed under the key in force, as far as this client knows.
    pub(super) fn is_current(&self, content: &Content) -> bool {
        match content {
            Content::Sealed(sealed) => self.key.is_none_or(|key| key == sealed.key),
            Content::Plain(_) | Content::Caesar(_) => true,
        }
    }
}

/// Whether these keys do for the room of a view; why not, otherwise. A key that was `given` for a room without a use
/// for it is a mistake that its owner should know of; a password that was given is a wish to have what is said encrypted, if
/// no more than that is said (`sealed`).
pub(super) fn check_keys(
    view: &RoomView,
    keys: &Keys,
    given: Option<&super::io::RoomKey>,
    sealed: bool,
) -> Result<(), CommandError> {
    use super::io::RoomKey;
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
    match keys.fit(announced, view.key) {
        Fit::Yes => Ok(()),
        Fit::Missing => Err(CommandError::KeyMissing { announced }),
        Fit::Mismatch => Err(CommandError::CipherMismatch { announced }),
        Fit::RolledBack => Err(CommandError::KeyRolledBack),
        Fit::NotSealed => Err(CommandError::NotSealed { announced }),
    }
}
