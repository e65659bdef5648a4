//! The effect of each record on a room.

use core::{ops::ControlFlow, time::Duration};

use bytes::Bytes;

use super::{
    About, Life, MUTES, Membership, Mute, REDACTIONS, Redaction, Room, Standing,
    snapshot::{self, Restored},
};
use crate::{
    id::{MemberId, Seq},
    roles::Role,
    state::{Fold, rows::Rows},
    time::Wall,
    wire::{
        BodyError, Record,
        record::{CipherKind, Created, Muted, PasswordChange, RecordBody, RoomKind},
    },
};

impl Fold for Room {
    type Entry = Record;
    type Restored = Restored;

    const FORM: u8 = 5;

    fn seq(record: &Record) -> Seq {
        record.seq
    }

    fn encode(record: &Record) -> Bytes {
        record.to_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Record, BodyError> {
        Record::from_bytes(bytes)
    }

    fn apply(&mut self, record: &Record, bytes: &[u8]) {
        self.tail.take(record, bytes);
        match (&mut self.life, &record.body) {
            (Life::Empty, RecordBody::Created(created)) => self.create(record, created),
            (Life::Empty | Life::Open(_), RecordBody::Closed(_)) => self.close(),
            (Life::Open(_), _) => self.apply_to_open(record),
            (Life::Empty | Life::Closed, _) => {}
        }
    }

    fn note_behind<'a>(&self, ahead: impl Iterator<Item = (&'a Record, &'a [u8])>) -> Bytes {
        let mut tail = self.tail;
        ahead.for_each(|(record, bytes)| tail.take(record, bytes));
        tail.to_note()
    }

    fn weight(&self) -> u64 {
        let Self {
            members,
            banned,
            muted,
            results,
            ..
        } = self;
        (members.len() + banned.len() + muted.len() + 8 * results.len()) as u64
    }

    fn freeze(&mut self, rows: &mut Rows) {
        snapshot::freeze(self, rows);
    }

    fn write(&mut self, rows: &mut Rows) -> ControlFlow<()> {
        snapshot::write(self, rows)
    }

    fn thaw(&mut self) {
        snapshot::thaw(self);
    }

    fn restore(restored: &mut Restored, section: u8, row: &[u8]) -> Result<(), BodyError> {
        restored.take(section, row)
    }

    fn restored(rows: Restored) -> Result<Self, BodyError> {
        rows.into_room()
    }
}

impl Room {
    fn create(&mut self, record: &Record, created: &Created) {
        self.life = Life::Open(Box::new(About {
            kind: created.kind,
            origin: created.origin,
            founder: record.member,
            hash: record.hash,
            number: created.number,
            name: created.name.clone(),
            topic: created.topic.clone(),
            cipher: created.cipher,
            key: match (created.cipher, &created.password) {
                (CipherKind::RoomPassword, Some(password)) => Some(password.key.id),
                _ => created.key,
            },
            history: created.history,
            presence: created.presence,
            password: created.password.clone(),
            earlier: Vec::new(),
            pair: created.members.clone(),
        }));
        match created.kind {
            RoomKind::Group => self.enter(record.member, Role::Owner, record.seq),
            RoomKind::Private => {
                self.enter(record.member, Role::Member, record.seq);
                self.invite_other(record.member, record.seq);
            }
            RoomKind::Lobby | RoomKind::Other(_) => {}
        }
    }

    fn close(&mut self) {
        self.life = Life::Closed;
        self.members.clear();
        self.banned.clear();
        self.muted.clear();
        self.results.clear();
        self.blocking.clear();
        self.redactions.clear();
    }

    fn apply_to_open(&mut self, record: &Record) {
        let (author, seq) = (record.member, record.seq);
        match &record.body {
            RecordBody::Joined(_) => self.enter(author, Role::Member, seq),
            RecordBody::Reopened(_) => {
                self.enter(author, Role::Member, seq);
                self.invite_other(author, seq);
            }
            RecordBody::Left(_) => {
                self.members.remove(&author);
            }
            RecordBody::Kicked(removal) => {
                self.members.remove(&removal.target);
            }
            RecordBody::Banned(removal) => {
                self.members.remove(&removal.target);
                let nick = removal.nick.as_str().into();
                self.banned.insert(removal.target, nick);
            }
            RecordBody::Unbanned(target) => {
                self.banned.remove(&target.target);
            }
            RecordBody::Role(change) => {
                if let Some(member) = self.members.get_mut(&change.target) {
                    member.role = change.role;
                }
            }
            RecordBody::Muted(muted) => self.mute(record.time, muted),
            RecordBody::Unmuted(target) => {
                self.muted.remove(&target.target);
            }
            RecordBody::Topic(topic) => {
                if let Life::Open(about) = &mut self.life {
                    about.topic.clone_from(&topic.topic);
                }
            }
            RecordBody::Password(change) => self.change_password(change),
            RecordBody::Blocked(blocked) if blocked.blocked => {
                self.blocking.insert(author);
            }
            RecordBody::Blocked(_) => {
                self.blocking.remove(&author);
            }
            RecordBody::Redacted(redacted) => self.redact(record, redacted.seq),
            RecordBody::Created(_)
            | RecordBody::Closed(_)
            | RecordBody::Message(_)
            | RecordBody::Action(_)
            | RecordBody::Blank(_)
            | RecordBody::Unknown(_) => {}
        }
        if record.txn != 0 && has_result(&record.body) {
            let Record {
                hash, seq, time, ..
            } = *record;
            self.results.note(record.id(), hash, seq, time);
        }
        self.results.age(record.seq, record.time);
    }

    /// A member is in from here on, or was already.
    fn enter(&mut self, member: MemberId, role: Role, since: Seq) {
        match self.members.get_mut(&member) {
            Some(membership) => membership.standing = Standing::Member,
            None => {
                let standing = Standing::Member;
                let membership = Membership {
                    role,
                    since,
                    standing,
                };
                self.members.insert(member, membership);
            }
        }
    }

    /// The other member of a private conversation is invited, unless it is in.
    fn invite_other(&mut self, author: MemberId, since: Seq) {
        let other = self.about().and_then(|about| about.other(author));
        if let Some(other) = other.map(|person| person.member)
            && !self.members.contains_key(&other)
        {
            let membership = Membership {
                role: Role::Member,
                since,
                standing: Standing::Invited,
            };
            self.members.insert(other, membership);
        }
    }

    /// Mutes that are over stay, since no record ends them: of too many, the first to end goes.
    fn mute(&mut self, at: Wall, muted: &Muted) {
        let seconds = muted.seconds;
        self.muted.insert(muted.target, Mute { at, seconds });
        if self.muted.len() > MUTES {
            let end = |mute: &Mute| Some(mute.at + Duration::from_secs(mute.seconds?.into()));
            let timed = self
                .muted
                .iter()
                .filter_map(|(member, mute)| Some((end(mute)?, *member)));
            if let Some((_, first)) = timed.min() {
                self.muted.remove(&first);
            }
        }
    }

    fn change_password(&mut self, change: &PasswordChange) {
        if let Life::Open(about) = &mut self.life {
            about.earlier.clone_from(&change.earlier);
            if about.cipher == CipherKind::RoomPassword {
                about.key = Some(change.password.key.id);
            }
            about.password = Some(change.password.clone());
        }
    }

    fn redact(&mut self, record: &Record, seq: Seq) {
        self.redactions.push_back(Redaction {
            seq,
            target: record.target,
            by: record.seq,
        });
        if self.redactions.len() > REDACTIONS {
            self.redactions.pop_front();
        }
    }
}

/// Whether a repeat of the request behind such a record is recognised by its result. Other requests
/// are answered from the state, and `create` by the room's id.
fn has_result(body: &RecordBody) -> bool {
    !matches!(
        body,
        RecordBody::Created(_)
            | RecordBody::Joined(_)
            | RecordBody::Left(_)
            | RecordBody::Blocked(_)
            | RecordBody::Reopened(_)
            | RecordBody::Closed(_)
    )
}
