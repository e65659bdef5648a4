//! Messages: signed by a device, sealed under a room key.
//!
//! `data` is a nonce (24 bytes) and XChaCha20-Poly1305 of the plaintext, which is the author's own
//! view (its chain, the last signed record of the room, its nick), the signature, and the content,
//! filled up to a multiple of 64 bytes. The associated data says where the message belongs: room,
//! key, author, device, session, number, kind, target, blobs. The signature is over both.

use std::collections::BTreeMap;

use chat_core::{
    cipher::{Key, OpenError, Rng, open_bytes, seal_bytes},
    id::{DeviceId, KeyId, MemberId, MessageId, RoomOrigin, Seq, SessionId},
    keys::{Domain, PublicKey, Signature},
    wire::{Opaque, record::Sealed},
};
use zeroize::Zeroizing;

use crate::{
    chain::{Author, AuthorError, Chain},
    key_record::{RoomKey, RoomKeys},
    links::Seen,
};

/// The form of what is sealed here; 1 is that of rooms without devices.
pub const FORM: u8 = 2;
/// Bytes of which the length of a plaintext is a multiple.
pub const PADDING: usize = 64;
/// Bytes of a nick inside, at most.
pub const NICK_BYTES: usize = 255;
/// Bytes of a message's blobs, with two for each: at most.
pub const BLOB_BYTES: usize = 4_096;
/// Messages whose ids a client remembers, at most.
pub const REMEMBERED: usize = 131_072;

/// Bytes of the plaintext before the nick: form, the author's chain, the room's signed records, the
/// length of the nick.
const FIXED: usize = 1 + 16 + 16 + 1;
const SIGNATURE: usize = 64;
/// Follows the content, before the zero bytes that fill up.
const END: u8 = 0x80;

/// Where a message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// The room.
    pub origin: RoomOrigin,
    /// The author.
    pub member: MemberId,
    /// The author's device.
    pub device: DeviceId,
    /// The author's session.
    pub session: SessionId,
    /// The author's number in that session.
    pub txn: u64,
    /// Number of the record's kind.
    pub kind: u16,
    /// The message that it is about.
    pub target: Option<MessageId>,
    /// Names of what is kept beside the log.
    pub blobs: &'a [Opaque],
}

/// All that is inside of a message.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The last signed record of the room that the author knew: [`Control::head`], in short.
    ///
    /// [`Control::head`]: crate::Control::head
    pub control: Seen,
    /// The author's own nick.
    pub nick: &'a str,
    /// The content.
    pub content: &'a [u8],
}

/// Something is too long to be sealed: the nick (255 bytes) or the blobs (4,096).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too long to be sealed")]
pub struct TooLong;

/// A message that was opened, and is its author's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The last signed record of the room that the author knew: to be compared by
    /// [`Control::has_seen`](crate::Control::has_seen).
    pub control: Seen,
    /// The author's nick, by its own word.
    pub nick: String,
    /// The content.
    pub content: Zeroizing<Vec<u8>>,
    /// The device has been revoked since, and no key record was there yet that knew of it: to be
    /// shown with a mark.
    pub revoked: bool,
}

/// Why a message is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// This client has no key of that name.
    #[error("no key for it")]
    NoKey(KeyId),
    /// Sealed under another key, or altered, or moved here from elsewhere.
    #[error("wrong key, or it was altered on the way")]
    Altered,
    /// Too short, or not of the form that it says.
    #[error("not a sealed message")]
    Malformed,
    /// Of a form of a later version.
    #[error("of a form that this version does not know")]
    UnknownForm,
    /// Sealed under a key that had been replaced before.
    #[error("sealed under a key that was not in force any more")]
    StaleKey,
    /// The chain is another member's.
    #[error("the chain of another member")]
    OtherMember,
    /// The device has no say.
    #[error("of the author: {0}")]
    Author(#[from] AuthorError),
    /// The signature is not the device's: somebody with the key speaks in another's name.
    #[error("not signed by its author")]
    NotSigned,
}

impl Context<'_> {
    /// Form, room, key, author, device, session, number, kind, target (zero bytes without one),
    /// the number of blobs, and each with its length. Integers have their highest byte first.
    fn associated(&self, key: KeyId) -> Result<Vec<u8>, TooLong> {
        let blobs = self.blobs.iter().map(|blob| blob.0.len() + 2);
        if blobs.sum::<usize>() > BLOB_BYTES {
            return Err(TooLong);
        }
        let mut aad = vec![FORM];
        aad.extend(self.origin.0);
        aad.extend(key.0);
        aad.extend(self.member.0);
        aad.extend(self.device.0);
        aad.extend(self.session.0.to_be_bytes());
        aad.extend(self.txn.to_be_bytes());
        aad.extend(self.kind.to_be_bytes());
        match self.target {
            Some(target) => {
                aad.extend(target.member.0);
                aad.extend(target.session.0.to_be_bytes());
                aad.extend(target.txn.to_be_bytes());
            }
            None => aad.extend([0; 32]),
        }
        let length = |length: usize| u16::try_from(length).map_err(|_| TooLong);
        aad.extend(length(self.blobs.len())?.to_be_bytes());
        for blob in self.blobs {
            aad.extend(length(blob.0.len())?.to_be_bytes());
            aad.extend_from_slice(&blob.0);
        }
        Ok(aad)
    }
}

/// Signs and seals a message. What is sent again is these bytes again.
///
/// # Errors
/// [`TooLong`].
pub fn seal(
    rng: &mut dyn Rng,
    key: &RoomKey,
    author: Author<'_>,
    context: &Context<'_>,
    content: &Content<'_>,
) -> Result<Sealed, TooLong> {
    let aad = context.associated(key.id())?;
    let nick = u8::try_from(content.nick.len()).map_err(|_| TooLong)?;
    let length = FIXED + content.nick.len() + SIGNATURE + content.content.len() + 1;
    let length = length.next_multiple_of(PADDING);
    let mut plain = Zeroizing::new(Vec::with_capacity(length));
    plain.push(FORM);
    plain.extend(author.seen().to_bytes());
    plain.extend(content.control.to_bytes());
    plain.push(nick);
    plain.extend_from_slice(content.nick.as_bytes());
    let at = plain.len();
    plain.extend([0; SIGNATURE]);
    plain.extend_from_slice(content.content);
    plain.push(END);
    plain.resize(length, 0);
    let (before, rest) = plain.split_at(at);
    let signed: [&[u8]; 3] = [&aad, before, &rest[SIGNATURE..]];
    let signature = author.device.sign(Domain::Message, &signed);
    plain[at..at + SIGNATURE].copy_from_slice(&signature.0);
    Ok(Sealed {
        key: key.id(),
        data: seal_bytes(rng, key.for_messages(), &aad, &plain),
    })
}

/// Opens a message that stands at this place of the room's log, and verifies that it is its
/// author's; `chain` is the author's chain.
///
/// # Errors
/// See [`MessageError`]. After [`AuthorError::Behind`] the author's chain is to be read on.
pub fn open(
    keys: &RoomKeys,
    chain: &Chain,
    context: &Context<'_>,
    sealed: &Sealed,
    at: Seq,
) -> Result<Opened, MessageError> {
    if chain.member() != context.member {
        return Err(MessageError::OtherMember);
    }
    let key = keys.key(sealed.key);
    let key = key.ok_or(MessageError::NoKey(sealed.key))?;
    if context.origin != key.origin() {
        return Err(MessageError::Altered);
    }
    if keys.is_stale(key.epoch(), at) {
        return Err(MessageError::StaleKey);
    }
    let aad = context.associated(sealed.key);
    let aad = aad.map_err(|TooLong| MessageError::Malformed)?;
    let plain = opened(key.for_messages(), &aad, &sealed.data)?;
    let parts = Parts::of(&plain)?;
    let known = chain.author(context.device, parts.chain)?;
    if !parts.are_signed_by(&known.device.sign, &aad) {
        return Err(MessageError::NotSigned);
    }
    let border = known.revoked.and_then(|by| keys.border(context.member, by));
    if border.is_some_and(|border| border < at) {
        return Err(AuthorError::Revoked.into());
    }
    Ok(Opened {
        control: parts.control,
        nick: parts.nick.to_owned(),
        content: Zeroizing::new(parts.content.to_vec()),
        revoked: known.revoked.is_some(),
    })
}

fn opened(key: &Key, aad: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, MessageError> {
    open_bytes(key, aad, data).map_err(|error| match error {
        OpenError::Malformed => MessageError::Malformed,
        _ => MessageError::Altered,
    })
}

/// A plaintext, taken apart.
struct Parts<'a> {
    chain: Seen,
    control: Seen,
    nick: &'a str,
    content: &'a [u8],
    /// Everything that is signed, but the signature: before it, and behind.
    signed: [&'a [u8]; 2],
    signature: Signature,
}

impl<'a> Parts<'a> {
    fn of(plain: &'a [u8]) -> Result<Self, MessageError> {
        let malformed = MessageError::Malformed;
        if *plain.first().ok_or(malformed)? != FORM {
            return Err(MessageError::UnknownForm);
        }
        let (chain, rest) = plain[1..].split_first_chunk().ok_or(malformed)?;
        let (control, rest) = rest.split_first_chunk().ok_or(malformed)?;
        let (nick, rest) = rest.split_first().ok_or(malformed)?;
        let (nick, rest) = rest.split_at_checked((*nick).into()).ok_or(malformed)?;
        let (signature, padded) = rest.split_first_chunk().ok_or(malformed)?;
        let end = padded.iter().rposition(|byte| *byte != 0);
        let end = end.filter(|at| padded[*at] == END).ok_or(malformed)?;
        if !plain.len().is_multiple_of(PADDING) || padded.len() - end > PADDING {
            return Err(malformed);
        }
        Ok(Self {
            chain: Seen::from_bytes(chain),
            control: Seen::from_bytes(control),
            nick: core::str::from_utf8(nick).map_err(|_| malformed)?,
            content: &padded[..end],
            signed: [&plain[..FIXED + nick.len()], padded],
            signature: Signature(*signature),
        })
    }

    fn are_signed_by(&self, key: &PublicKey, aad: &[u8]) -> bool {
        let [before, behind] = self.signed;
        key.has_signed(Domain::Message, &[aad, before, behind], &self.signature)
    }
}

/// The ids of messages that were shown, and where: a server that has one message stand in two
/// places is noticed.
#[derive(Debug, Default)]
pub struct Replays {
    places: BTreeMap<(DeviceId, SessionId, u64), Seq>,
    by_place: BTreeMap<Seq, (DeviceId, SessionId, u64)>,
}

/// Whether a message has been shown already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The message is new.
    New,
    /// The same one: the same page of history, once more.
    Same,
    /// The message stood elsewhere before, and is not shown.
    Replayed {
        /// Where the message stands.
        first: Seq,
    },
}

impl Replays {
    /// Notes a message that was opened. Of more than [`REMEMBERED`] those that stand first are
    /// forgotten.
    pub fn note(&mut self, context: &Context<'_>, at: Seq) -> Repeat {
        let id = (context.device, context.session, context.txn);
        match self.places.get(&id) {
            Some(first) if *first == at => return Repeat::Same,
            Some(first) => return Repeat::Replayed { first: *first },
            None => {}
        }
        self.places.insert(id, at);
        if let Some(other) = self.by_place.insert(at, id) {
            self.places.remove(&other);
        }
        if self.places.len() > REMEMBERED
            && let Some((_, oldest)) = self.by_place.pop_first()
        {
            self.places.remove(&oldest);
        }
        Repeat::New
    }

    /// The log has lost its tail: what stood behind this place may stand elsewhere next.
    pub fn lose_after(&mut self, last: Seq) {
        for (_, id) in self.by_place.split_off(&last.saturating_add(1)) {
            self.places.remove(&id);
        }
    }
}
