//! Entries of the directory's log, read without the hub's code: varints, bytes behind their length,
//! and of every list what stands there. What a later program appends to a body is passed over.

use chat_core::{
    id::{InviteId, MemberId, RoomId, Seq},
    nick::NameKey,
};

/// One entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(super) seq: Seq,
    /// By the wall clock of the hub that wrote it.
    pub(super) time: u64,
    pub(super) change: Change,
}

#[derive(Debug)]
pub(super) enum Change {
    Named(Named),
    Freed(Vec<MemberId>),
    Claimed(Claimed),
    Projected(Projected),
    Ending(MemberId),
    Forgotten(MemberId),
    Invited(Invited),
    Revoked(InviteId),
}

#[derive(Debug)]
pub(super) struct Named {
    pub(super) member: MemberId,
    pub(super) nick: String,
    pub(super) label: String,
    pub(super) key: NameKey,
    pub(super) keep: bool,
    /// The invitation by which a newcomer comes in.
    pub(super) invite: Option<InviteId>,
}

#[derive(Debug)]
pub(super) struct Invited {
    pub(super) id: InviteId,
    pub(super) uses: u32,
    pub(super) ends: u64,
}

#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) room: RoomId,
    pub(super) number: u32,
    pub(super) name: Option<(String, NameKey)>,
    pub(super) created: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Projected {
    pub(super) room: RoomId,
    pub(super) from: Seq,
    /// The record as of which the listing is true.
    pub(super) mark: Seq,
    /// Each with whether the member is invited only.
    pub(super) entered: Vec<(MemberId, bool)>,
    pub(super) left: Vec<MemberId>,
    pub(super) about: Option<About>,
    pub(super) closed: bool,
    pub(super) more: bool,
}

/// The listing of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) topic: String,
    /// The number of the cipher.
    pub(crate) cipher: u64,
    pub(crate) protected: bool,
}

impl Entry {
    /// Reads an entry; none if that is none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Reader(bytes);
        let seq = bytes.number()?;
        let time = bytes.number()?;
        let kind = bytes.number()?;
        let mut body = bytes.body()?;
        let change = match kind {
            1 => Change::Named(Named {
                member: body.member()?,
                nick: body.text()?,
                label: body.text()?,
                key: body.key()?,
                keep: body.flag()?,
                invite: body.option(Reader::invite)?,
            }),
            2 => Change::Freed(body.list(Reader::member)?),
            3 => Change::Claimed(body.claimed()?),
            4 => Change::Projected(body.projected()?),
            5 => Change::Ending(body.member()?),
            6 => Change::Forgotten(body.member()?),
            7 => Change::Invited(Invited {
                id: body.invite()?,
                uses: u32::try_from(body.number()?).ok()?,
                ends: body.number()?,
            }),
            8 => Change::Revoked(body.invite()?),
            _ => return None,
        };
        Some(Self { seq, time, change })
    }
}

/// The rest of some bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte < 0x80 {
                return Some(number);
            }
        }
    }

    fn flag(&mut self) -> Option<bool> {
        match self.take(1)?[0] {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// A shape inside of another one.
    fn body(&mut self) -> Option<Self> {
        self.bytes().map(Self)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn sixteen(&mut self) -> Option<[u8; 16]> {
        self.take(16)?.try_into().ok()
    }

    fn member(&mut self) -> Option<MemberId> {
        self.sixteen().map(MemberId)
    }

    fn invite(&mut self) -> Option<InviteId> {
        self.sixteen().map(InviteId)
    }

    fn room(&mut self) -> Option<RoomId> {
        self.sixteen().map(RoomId)
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| item(self)).collect()
    }

    #[expect(clippy::option_option, reason = "what may be read may be nothing")]
    fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.flag()? {
            some(self).map(Some)
        } else {
            Some(None)
        }
    }

    fn key(&mut self) -> Option<NameKey> {
        let mut key = self.body()?;
        Some(NameKey {
            folded: key.text()?,
            skeleton: key.text()?,
        })
    }

    fn claimed(&mut self) -> Option<Claimed> {
        let room = self.room()?;
        let number = u32::try_from(self.number()?).ok()?;
        let (_founder, _hash) = (self.member()?, self.number()?);
        let name = self.option(|reader| {
            let mut name = reader.body()?;
            Some((name.text()?, name.key()?))
        })?;
        let created = self.bytes()?.to_vec();
        Some(Claimed {
            room,
            number,
            name,
            created,
        })
    }

    fn projected(&mut self) -> Option<Projected> {
        let (room, from, next) = (self.room()?, self.number()?, self.number()?);
        let mark = next.checked_sub(1)?;
        let _tag = self.take(8)?;
        Some(Projected {
            room,
            from,
            mark,
            entered: self.list(|reader| Some((reader.member()?, reader.number()? == 1)))?,
            left: self.list(Self::member)?,
            about: self.option(|reader| {
                let mut about = reader.body()?;
                Some(About {
                    topic: about.text()?,
                    cipher: about.number()?,
                    protected: about.flag()?,
                })
            })?,
            closed: self.flag()?,
            more: self.flag()?,
        })
    }
}
