//! Gifts: the key in force for a reader that came after its record.

use bytes::Bytes;
use chat_core::{
    cipher::Rng,
    id::{DeviceId, MemberId, RoomOrigin},
    keys::{Domain, Signature},
    wire::{Fixed, Opaque, read_shape, write_shape},
};
use serde::{Deserialize, Serialize};

use super::{Binding, KEY_RECORD_BYTES, KeyError, Recipient, RoomKey, SCHEME};
use crate::{
    chain::{Author, AuthorError, Chain, Projection},
    keys::Reader,
    links::Seen,
};

/// A key that one reader hands to another, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gift {
    /// A [`GiftBody`] in its postcard form.
    pub body: Opaque,
    /// By the giver's device, over the body.
    pub signature: Signature,
}

/// The body of a gift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiftBody {
    /// [`SCHEME`].
    pub scheme: u16,
    /// The room.
    pub origin: RoomOrigin,
    /// The number of the key.
    pub epoch: u64,
    /// See [`RoomKey::commitment`].
    pub commitment: Fixed<32>,
    /// The giver.
    pub author: MemberId,
    /// The giver's device.
    pub device: DeviceId,
    /// The giver's chain, as its device knew it.
    pub chain: Seen,
    /// The one who gets it.
    pub to: Recipient,
}

impl Gift {
    /// Hands a key on.
    ///
    /// # Errors
    /// [`KeyError::WeakKey`].
    pub fn seal(
        rng: &mut dyn Rng,
        author: Author<'_>,
        key: &RoomKey,
        to: (MemberId, &Projection),
    ) -> Result<Self, KeyError> {
        let binding = Binding::of(author, key);
        let (member, projection) = to;
        let readers = projection.readers.iter();
        let wraps = readers.map(|(id, dh)| binding.wrap(rng, key, *id, dh));
        let to = Recipient {
            member,
            chain: projection.head.seen(),
            wraps: wraps.collect::<Result<_, _>>()?,
        };
        let body = GiftBody {
            scheme: SCHEME,
            origin: key.origin(),
            epoch: key.epoch(),
            commitment: Fixed(*key.commitment()),
            author: author.member(),
            device: author.device.id(),
            chain: author.seen(),
            to,
        };
        let body = Bytes::from(write_shape(&body));
        Ok(Self {
            signature: author.device.sign(Domain::KeyGift, &[&body]),
            body: Opaque(body),
        })
    }

    /// The body. Nothing is verified by that.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::UnknownScheme`].
    pub fn read(&self) -> Result<GiftBody, KeyError> {
        if self.body.0.len() > KEY_RECORD_BYTES {
            return Err(KeyError::Malformed);
        }
        let body: GiftBody = read_shape(&self.body.0).map_err(|_| KeyError::Malformed)?;
        if body.scheme == SCHEME {
            Ok(body)
        } else {
            Err(KeyError::UnknownScheme)
        }
    }

    /// The key; `chain` is the giver's chain.
    ///
    /// # Errors
    /// See [`KeyError`]. A device that has been revoked since gives nothing.
    pub fn open(&self, chain: &Chain, reader: &Reader<'_>) -> Result<RoomKey, KeyError> {
        let body = self.read()?;
        if chain.member() != body.author {
            return Err(KeyError::NotSigned);
        }
        let known = chain.author(body.device, body.chain)?;
        if known.revoked.is_some() {
            return Err(AuthorError::Revoked.into());
        }
        let key = &known.device.sign;
        if !key.has_signed(Domain::KeyGift, &[&self.body.0], &self.signature) {
            return Err(KeyError::NotSigned);
        }
        let binding = Binding {
            origin: body.origin,
            epoch: body.epoch,
            id: RoomKey::name(&body.commitment.0),
            author: body.author,
            device: body.device,
        };
        binding.unwrap(&body.to.wraps, reader, &body.commitment.0)
    }
}
