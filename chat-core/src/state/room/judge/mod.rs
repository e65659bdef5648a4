//! Who may make which record of a room: requests, judged at the head of its log.
//!
//! A request is judged in this order: is it a repeat, may it be judged in this batch, is there such a
//! room, and then what the request itself needs. Each of those has a file.

mod membership;
mod opening;
mod order;
mod redaction;
mod settings;
mod speech;

use std::collections::BTreeSet;

use self::opening::{judge_close, judge_created};
use super::{Life, Room, Standing, mutes::Mutes, results::Known};
use crate::{
    id::{CredentialId, KeyId, MemberId, MessageId, Place, RequestHash, Seq, SessionId},
    limits::Limits,
    roles::Role,
    state::{Verdict, refuse},
    time::{Monotonic, Wall},
    wire::{
        ErrorCode, Record, Unknown,
        client::Peer,
        record::{Content, Created, LeftReason, PasswordChange, RecordBody},
    },
};

/// What somebody asks of a room.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// The first record of a group or of the lobby.
    Create(Box<Created>),
    /// The private conversation: its first record, or being in it again.
    Direct(Box<Created>),
    /// With the registration whose password was proved.
    Join {
        proved: Option<CredentialId>,
    },
    Leave,
    /// The member is being forgotten.
    Expire,
    /// The room ends, for a reason to read.
    Close {
        reason: String,
    },
    Send {
        action: bool,
        content: Content,
    },
    /// A record of the application's own.
    Application(Unknown),
    Topic(String),
    Role {
        target: Peer,
        role: Role,
    },
    Kick {
        target: Peer,
        reason: String,
    },
    Ban {
        target: Peer,
        reason: String,
    },
    Unban {
        target: Peer,
    },
    Mute {
        target: Peer,
        seconds: Option<u32>,
    },
    Unmute {
        target: Peer,
    },
    Password {
        expected: KeyId,
        change: Box<PasswordChange>,
    },
    Block {
        blocked: bool,
    },
    /// A message of this id, as it was found in the log; none if it was not.
    Redact {
        target: MessageId,
        found: Option<Found>,
    },
}

/// A message or an action, as it stands in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) seq: Seq,
    /// It was taken back already, by this record.
    pub(crate) redacted: Option<Seq>,
    /// The epoch of the log that was read.
    pub(crate) epoch: u64,
}

/// The member that asks, and the name of its request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Author {
    pub(crate) member: MemberId,
    pub(crate) session: SessionId,
    /// 0 if nobody asked.
    pub(crate) txn: u64,
    pub(crate) hash: RequestHash,
}

/// A record that was accepted and has no number yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proposed {
    pub(crate) author: MemberId,
    /// It is what the request became; the others of the request only go with it.
    pub(crate) is_request: bool,
    pub(crate) target: Option<MessageId>,
    pub(crate) body: RecordBody,
}

/// What of this batch the judgement of the next request must know.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Members whose membership this batch changes.
    touched: BTreeSet<MemberId>,
    /// How many join.
    joining: usize,
    /// Something in the batch changes rules that others are judged by.
    exclusive: bool,
    /// Requests accepted so far: they count as done.
    accepted: BTreeSet<MessageId>,
    len: usize,
}

/// What a judgement looks at besides the room.
pub(crate) struct JudgeContext<'a> {
    pub(crate) people: &'a dyn People,
    pub(crate) limits: &'a Limits,
    pub(crate) now: Monotonic,
    /// Until when those are muted whose mute has an end.
    pub(crate) mutes: &'a Mutes,
    /// The log's head at present.
    pub(crate) head: Place,
    /// Redacted texts of this room that are not out of its log yet.
    pub(crate) erasing: usize,
    /// Whether the partition was read since the request came, or no other hub writes to it.
    pub(crate) fresh: bool,
}

/// What a judgement asks of people: the directory, and what this hub has committed and not projected.
pub(crate) trait People {
    /// The name held, or the last one held; empty for a stranger.
    fn nick(&self, member: MemberId) -> &str;
    /// The holder of a nick, by its comparison form.
    fn holder(&self, nick: &str) -> Option<MemberId>;
    /// Whether the directory knows the member.
    fn knows(&self, member: MemberId) -> bool;
    /// Whether the member is being forgotten.
    fn is_ending(&self, member: MemberId) -> bool;
    /// Rooms in which somebody is a member.
    fn rooms_of(&self, member: MemberId) -> usize;
    /// Conversations to which somebody is invited.
    fn invitations_of(&self, member: MemberId) -> usize;
}

type Judged = Verdict<Proposed, Seq>;

impl Author {
    /// The server, for what nobody asked for.
    pub(crate) const SERVER: Self = Self::unasked(MemberId::SERVER);

    /// A member that did not ask.
    pub(crate) const fn unasked(member: MemberId) -> Self {
        Self {
            member,
            session: SessionId::NONE,
            txn: 0,
            hash: RequestHash(0),
        }
    }

    pub(crate) fn id(&self) -> MessageId {
        MessageId {
            member: self.member,
            session: self.session,
            txn: self.txn,
        }
    }
}

impl Proposed {
    /// What the request becomes.
    pub(in crate::state) fn request(author: &Author, body: RecordBody) -> Self {
        Self {
            author: author.member,
            is_request: true,
            target: None,
            body,
        }
    }

    /// What goes with that.
    fn beside(author: MemberId, body: RecordBody) -> Self {
        Self {
            author,
            is_request: false,
            target: None,
            body,
        }
    }

    /// The record, numbered. `nick` and `label`: what its author is called.
    pub(crate) fn into_record(
        self,
        asked: &Author,
        seq: Seq,
        time: Wall,
        (nick, label): (&str, &str),
    ) -> Record {
        let request = match self.is_request {
            true => *asked,
            false => Author::unasked(self.author),
        };
        Record {
            seq,
            time,
            member: self.author,
            device: None,
            session: request.session,
            txn: request.txn,
            hash: request.hash,
            nick: nick.to_owned(),
            label: label.to_owned(),
            target: self.target,
            blobs: Vec::new(),
            signature: None,
            body: self.body,
        }
    }
}

impl Ask {
    /// Whether others are not judged by what it changes: such requests share a batch.
    fn is_sociable(&self) -> bool {
        matches!(
            self,
            Self::Join { .. }
                | Self::Leave
                | Self::Expire
                | Self::Send { .. }
                | Self::Application(_)
                | Self::Topic(_)
        )
    }

    fn changes_membership(&self) -> bool {
        matches!(self, Self::Join { .. } | Self::Leave | Self::Expire)
    }
}

impl Room {
    /// Judges a request at the head of the log, behind what the draft holds already, and adds it to the
    /// draft if it is accepted.
    pub(crate) fn judge(
        &self,
        draft: &mut Draft,
        with: &JudgeContext<'_>,
        author: &Author,
        ask: &Ask,
    ) -> Verdict<Proposed, Seq> {
        if let Some(verdict) = self.repeat(author) {
            return verdict.unless_stale(with.fresh);
        }
        if draft.exclusive
            || draft.touched.contains(&author.member)
            || draft.accepted.contains(&author.id())
        {
            return Verdict::Wait;
        }
        let verdict = self.judge_at_head(draft, with, author, ask);
        let Verdict::Accept(records) = &verdict else {
            return verdict.unless_stale(with.fresh);
        };
        // What others are judged by (roles, bans, keys) changes in a batch of its own, and an owner's
        // departure hands ownership on and looks at who is there for that.
        let departs = matches!(ask, Ask::Leave | Ask::Expire);
        let alone =
            !ask.is_sociable() || records.len() > 1 || (departs && self.is_owner(author.member));
        if alone && draft.len > 0 {
            return Verdict::Wait;
        }
        draft.exclusive = alone;
        draft.len += records.len();
        if ask.changes_membership() {
            draft.touched.insert(author.member);
            draft.joining += usize::from(matches!(ask, Ask::Join { .. }));
        }
        if author.txn != 0 {
            draft.accepted.insert(author.id());
        }
        verdict
    }

    /// What is known of a request by its number, before anything else is looked at.
    pub(crate) fn repeat(&self, author: &Author) -> Option<Verdict<Proposed, Seq>> {
        if author.txn == 0 {
            return None;
        }
        match self.results.look(author.id(), author.hash) {
            Known::New => None,
            Known::Done(seq) => Some(Verdict::Repeat(seq)),
            Known::Reused => Some(txn_reused()),
        }
    }

    fn judge_at_head(
        &self,
        draft: &Draft,
        with: &JudgeContext<'_>,
        author: &Author,
        ask: &Ask,
    ) -> Judged {
        let about = match (&self.life, ask) {
            (Life::Empty, Ask::Create(created)) => return one(author, created_by(created)),
            (Life::Empty, Ask::Direct(created)) => return self.judge_first(with, author, created),
            (Life::Empty, Ask::Close { reason }) => return one(author, closed_for(reason)),
            (Life::Closed, Ask::Close { .. } | Ask::Expire) => return Verdict::Already,
            (Life::Empty | Life::Closed, _) => return unknown_room(),
            (Life::Open(about), _) => about,
        };
        match ask {
            Ask::Create(_) => judge_created(about, author),
            Ask::Direct(_) => self.judge_direct(about, with, author),
            Ask::Close { reason } => judge_close(about, author, reason),
            Ask::Join { proved } => self.judge_join(about, draft, with, author, *proved),
            Ask::Leave => self.judge_leave(about, with, author),
            Ask::Expire => self.judge_expire(with, author),
            Ask::Send { action, content } => self.judge_send(about, with, author, *action, content),
            Ask::Application(body) => self.judge_application(about, with, author, body),
            Ask::Topic(topic) => self.judge_topic(about, author, topic),
            Ask::Block { blocked } => self.judge_block(about, author, *blocked),
            Ask::Password { expected, change } => {
                self.judge_password(about, author, *expected, change)
            }
            Ask::Role { target, role } => self.judge_role(with, author, target, *role),
            Ask::Kick { target, reason } => self.judge_kick(with, author, target, reason),
            Ask::Ban { target, reason } => self.judge_ban(with, author, target, reason),
            Ask::Unban { target } => self.judge_unban(with, author, target),
            Ask::Mute { target, seconds } => self.judge_mute(with, author, target, *seconds),
            Ask::Unmute { target } => self.judge_unmute(with, author, target),
            Ask::Redact { target, found } => {
                self.judge_redact(about, with, author, *target, *found)
            }
        }
    }

    /// The role of a member. Who is only invited has none.
    fn role_of(&self, member: MemberId) -> Option<Role> {
        let membership = self.membership(member)?;
        (membership.standing == Standing::Member).then_some(membership.role)
    }
}

fn one(author: &Author, body: RecordBody) -> Judged {
    Verdict::Accept(vec![Proposed::request(author, body)])
}

fn created_by(created: &Created) -> RecordBody {
    RecordBody::Created(created.clone())
}

fn closed_for(reason: &str) -> RecordBody {
    let reason = reason.to_owned();
    RecordBody::Closed(crate::wire::record::Closed { reason })
}

fn left_for(reason: LeftReason) -> RecordBody {
    RecordBody::Left(crate::wire::record::Left { reason })
}

fn unknown_room() -> Judged {
    refuse(ErrorCode::UnknownRoom, "there is no such room")
}

fn not_member() -> Judged {
    refuse(ErrorCode::NotMember, "you are not in that room")
}

fn forbidden() -> Judged {
    refuse(ErrorCode::Forbidden, "your role does not allow that")
}

fn stale_proof() -> Judged {
    refuse(
        ErrorCode::StaleProof,
        "the password has been changed meanwhile",
    )
}

fn too_many_rooms() -> Judged {
    refuse(
        ErrorCode::TooManyRooms,
        "you are in as many rooms as you may be",
    )
}

fn txn_reused() -> Judged {
    refuse(
        ErrorCode::TxnReused,
        "another request of this session had that number",
    )
}

/// Whether somebody may be in one more room.
fn has_room(with: &JudgeContext<'_>, member: MemberId) -> bool {
    with.people.rooms_of(member) < with.limits.rooms_per_member as usize
}
