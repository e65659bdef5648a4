//! The keys of one room in the order in which they were in force, and what they close and open.

use zeroize::Zeroizing;

use super::super::command::{CommandError, RoomKey};
use crate::{
    cipher::{Caesar, Cipher, Context, Key, OpenError, Plain, Rng, Sealing},
    id::KeyId,
    wire::record::{CipherKind, Content},
};

/// Keys that are kept of one room; beyond it the oldest is forgotten.
const KEPT: usize = 64;
/// Bytes of a key and its id, where they are kept.
const ENTRY: usize = 16 + 32;

/// The keys of one room.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    shift: Option<i32>,
    /// In the order in which they were in force, as far as that is known.
    keys: Vec<(KeyId, Key)>,
    /// The newest of them that was ever known to be in force: nothing is closed under an older one
    /// any more.
    newest: Option<KeyId>,
}

/// A key fits a room or does not.
pub(super) enum Fit {
    /// The key does, or none is needed.
    Yes,
    /// There is none, and one is needed.
    Missing,
    /// The key is for another cipher, or another one is announced.
    Mismatch,
    /// The key was replaced by one that is known to have been in force since.
    RolledBack,
    /// None is needed, although the room was encrypted when it was entered before.
    NotSealed,
}

impl Ring {
    /// A shift, if there is one, behind its sign; how many keys there are up to the newest that was
    /// in force; then each key behind its id.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(6 + self.keys.len() * ENTRY));
        bytes.push(self.shift.is_some().into());
        bytes.extend(self.shift.unwrap_or_default().to_be_bytes());
        let upto = self.newest_place().map_or(0, |place| place + 1);
        bytes.push(u8::try_from(upto).expect("there are at most 64"));
        for (id, key) in &self.keys {
            bytes.extend(id.0);
            bytes.extend(key.0);
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (has_shift, rest) = bytes.split_first()?;
        let (shift, rest) = rest.split_first_chunk()?;
        let (upto, rest) = rest.split_first()?;
        let shift = match has_shift {
            0 => None,
            1 => Some(i32::from_be_bytes(*shift)),
            _ => return None,
        };
        let mut keys = Self {
            shift,
            ..Self::default()
        };
        if !rest.len().is_multiple_of(ENTRY) || rest.len() / ENTRY > KEPT {
            return None;
        }
        for entry in rest.chunks_exact(ENTRY) {
            let (id, key) = entry.split_first_chunk()?;
            keys.add(KeyId(*id), Key(key.try_into().ok()?));
        }
        if let Some(last) = usize::from(*upto).checked_sub(1) {
            keys.newest = Some(keys.keys.get(last)?.0);
        }
        Some(keys)
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.shift.is_none() && self.keys.is_empty()
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// With a key that came out of band.
    pub(super) fn of(key: Option<&RoomKey>) -> Self {
        let mut keys = Self::default();
        match key {
            Some(RoomKey::Caesar(shift)) => keys.shift = Some(*shift),
            Some(RoomKey::Static(key)) => keys.add(key.static_id(), key.clone()),
            None => {}
        }
        keys
    }

    /// Takes a key in, as the newest. One that is there already stays where it is.
    pub(super) fn add(&mut self, id: KeyId, key: Key) {
        if let Some(known) = self.keys.iter_mut().find(|(known, _)| *known == id) {
            known.1 = key;
            return;
        }
        if self.keys.len() == KEPT {
            self.keys.remove(0);
        }
        self.keys.push((id, key));
    }

    /// Takes in all that `other` has.
    pub(super) fn merge(&mut self, other: Self) {
        self.shift = other.shift.or(self.shift);
        for (id, key) in other.keys {
            self.add(id, key);
        }
        if let Some(newest) = other.newest {
            self.in_force(newest);
        }
    }

    /// Takes in what was kept from before, as older than what is there.
    pub(super) fn restore(&mut self, mut kept: Self) {
        kept.merge(core::mem::take(self));
        *self = kept;
    }

    /// This key is said to be in force. Taken for true of one that is there, unless it is an older
    /// one than was in force before: no change of a password brings an old key back, so a server
    /// that says that wants to have something closed under a key that others know.
    pub(super) fn in_force(&mut self, id: KeyId) {
        if let Some(place) = self.place(id)
            && self.newest_place().is_none_or(|newest| newest < place)
        {
            self.newest = Some(id);
        }
    }

    /// Which key was in force counts no more: the room is not encrypted, and the application
    /// content with that.
    pub(super) fn forget_order(&mut self) {
        self.newest = None;
    }

    fn place(&self, id: KeyId) -> Option<usize> {
        self.keys.iter().position(|(known, _)| *known == id)
    }

    fn newest_place(&self) -> Option<usize> {
        self.place(self.newest?)
    }

    /// Whether this key is older than one that was in force.
    fn is_rolled_back(&self, id: KeyId) -> bool {
        match (self.place(id), self.newest_place()) {
            (Some(place), Some(newest)) => place < newest,
            _ => false,
        }
    }

    /// Those of its keys that have one of these names.
    pub(super) fn of_names(&self, names: impl Iterator<Item = KeyId>) -> Self {
        let mut keys = Self::default();
        for (id, key) in names.filter_map(|name| self.find(name)) {
            keys.add(*id, key.clone());
        }
        keys
    }

    fn find(&self, id: KeyId) -> Option<&(KeyId, Key)> {
        self.keys.iter().find(|(known, _)| *known == id)
    }

    pub(super) fn forget(&mut self, id: KeyId) {
        self.keys.retain(|(known, _)| *known != id);
    }

    pub(super) fn has(&self, id: KeyId) -> bool {
        self.find(id).is_some()
    }

    /// The newest `count` keys, oldest first.
    pub(super) fn newest(&self, count: usize) -> Vec<(KeyId, Key)> {
        self.keys[self.keys.len().saturating_sub(count)..].to_vec()
    }

    /// Whether these keys do for a room that announces this cipher and this key.
    ///
    /// The lobby announces no key even where its cipher is `static_key`; any key will do there.
    pub(super) fn fit(&self, cipher: CipherKind, announced: Option<KeyId>) -> Fit {
        match cipher {
            CipherKind::None | CipherKind::Caesar if self.newest.is_some() => Fit::NotSealed,
            CipherKind::None => Fit::Yes,
            CipherKind::Caesar => {
                if self.shift.is_some() {
                    Fit::Yes
                } else {
                    Fit::Missing
                }
            }
            CipherKind::StaticKey | CipherKind::RoomPassword => match announced {
                Some(id) if cipher == CipherKind::RoomPassword && self.is_rolled_back(id) => {
                    Fit::RolledBack
                }
                Some(id) if self.has(id) => Fit::Yes,
                None if cipher == CipherKind::StaticKey && !self.keys.is_empty() => Fit::Yes,
                Some(_) if cipher == CipherKind::StaticKey && !self.keys.is_empty() => {
                    Fit::Mismatch
                }
                _ => Fit::Missing,
            },
            // A cipher that came later: there is nothing to close or open it with.
            CipherKind::Other(_) => Fit::Missing,
        }
    }

    /// Closes a text as the room asks.
    pub(super) fn seal(
        &self,
        rng: &mut dyn Rng,
        cipher: CipherKind,
        announced: Option<KeyId>,
        context: &Context,
        text: &str,
    ) -> Result<Content, CommandError> {
        let missing = CommandError::KeyMissing { announced: cipher };
        match self.fit(cipher, announced) {
            Fit::RolledBack => return Err(CommandError::KeyRolledBack),
            Fit::NotSealed => return Err(CommandError::NotSealed { announced: cipher }),
            Fit::Yes | Fit::Missing | Fit::Mismatch => {}
        }
        Ok(match cipher {
            CipherKind::None => Plain.seal(rng, context, text),
            CipherKind::Caesar => Caesar(self.shift.ok_or(missing)?).seal(rng, context, text),
            CipherKind::StaticKey | CipherKind::RoomPassword => {
                let (id, key) = match announced {
                    Some(id) => self.find(id),
                    None => self.keys.last(),
                }
                .ok_or(missing)?;
                Sealing::new(*id, key.clone()).seal(rng, context, text)
            }
            CipherKind::Other(_) => return Err(missing),
        })
    }

    /// Opens what somebody said. A shift that is not known has no name: it is told as `NoKey` of a
    /// name of zeros.
    pub(super) fn open(
        &self,
        cipher: CipherKind,
        context: &Context,
        content: &Content,
    ) -> Result<String, OpenError> {
        match (cipher, content) {
            (_, Content::Unknown(_)) => Err(OpenError::UnknownForm),
            (CipherKind::None, _) => Plain.open(context, content),
            (CipherKind::Caesar, _) => match self.shift {
                Some(shift) => Caesar(shift).open(context, content),
                None => Err(OpenError::NoKey(KeyId([0; 16]))),
            },
            (CipherKind::StaticKey | CipherKind::RoomPassword, Content::Sealed(sealed)) => {
                let (id, key) = self.find(sealed.key).ok_or(OpenError::NoKey(sealed.key))?;
                Sealing::new(*id, key.clone()).open(context, content)
            }
            _ => Err(OpenError::WrongForm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_key_does_again_only_where_the_room_was_open_in_between() {
        let (old, new) = (KeyId([1; 16]), KeyId([2; 16]));
        let mut ring = Ring::default();
        for id in [old, new] {
            ring.add(id, Key([3; 32]));
            ring.in_force(id);
        }
        ring.in_force(old);
        assert!(ring.is_rolled_back(old) && !ring.is_rolled_back(new));
        ring.forget_order();
        assert!(!ring.is_rolled_back(old));
    }

    #[test]
    fn a_full_ring_is_read_as_it_was_written_and_one_with_more_is_none() {
        let mut ring = Ring {
            shift: Some(-3),
            ..Ring::default()
        };
        for n in 0..KEPT as u8 {
            ring.add(KeyId([n; 16]), Key([n; 32]));
        }
        let bytes = ring.to_bytes();
        let read = Ring::from_bytes(&bytes).expect("it was written so");
        assert_eq!((read.len(), read.to_bytes()), (KEPT, bytes.clone()));
        let mut more = bytes.to_vec();
        more.extend([7; ENTRY]);
        assert!(Ring::from_bytes(&more).is_none());
        for spoiled in [&bytes[..bytes.len() - 1], &bytes[1..], &[][..]] {
            assert!(Ring::from_bytes(spoiled).is_none());
        }
    }
}
