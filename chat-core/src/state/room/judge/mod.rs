//! Requests to a room, judged at the head of its log.
//!
//! The order of checks: is the request a repeat, may it share this batch, is there such a room;
//! then the request's own checks, by subject in the files beside.

mod membership;
mod opening;
mod order;
mod redaction;
mod settings;
mod speech;

use self::opening::{judge_close, judge_created};
use super::{Life, Room, Standing, mutes::Mutes, results::Known};
use crate::{
    id::{CredentialId, KeyId, MemberId, MessageId, Place, RequestHash, Seq, SessionId},
    limits::Limits,
    log::Storage,
    roles::Role,
    small::SmallSet,
    state::{Verdict, refuse},
    time::{Monotonic, Wall},
    wire::{
        ErrorCode, Record,
        client::Peer,
        record::{Content, Created, LeftReason, PasswordChange, RecordBody},
    },
};

/// A request to a room.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// The first record of a group or of the lobby.
    Create(Box<Created>),
    /// A private conversation: its first record, or a membership in it.
    Direct(Box<Created>),
    /// `proved`: the registration whose password was proved.
    Join {
        proved: Option<CredentialId>,
    },
    Leave,
    /// The member's memberships end, because the directory forgets it.
    Expire,
    /// The end of the room, with a reason to read.
    Close {
        reason: String,
    },
    Send {
        action: bool,
        content: Content,
    },
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
    /// `found`: the message as the log has it; none if the log has no such message.
    Redact {
        target: MessageId,
        found: Option<Found>,
    },
}

/// A message or an action in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) seq: Seq,
    /// The record that redacted the message already.
    pub(crate) redacted: Option<Seq>,
    /// The epoch of the log at that read.
    pub(crate) epoch: u64,
}

/// The author of a request, and the request's name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Author {
    pub(crate) member: MemberId,
    pub(crate) session: SessionId,
    /// 0 without a request.
    pub(crate) txn: u64,
    pub(crate) hash: RequestHash,
}

/// A record that was accepted and has no number yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proposed {
    pub(crate) author: MemberId,
    /// The record carries the request's name; other records of the same request go along.
    pub(crate) is_request: bool,
    pub(crate) target: Option<MessageId>,
    pub(crate) body: RecordBody,
}

/// The accepted part of a batch, as far as the judgement of the next request must know it.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Members whose membership the batch changes.
    touched: SmallSet<MemberId>,
    /// The number of joins.
    joining: usize,
    /// The batch changes rules for judging others.
    exclusive: bool,
    /// Requests that count as done.
    accepted: SmallSet<MessageId>,
    len: usize,
}

/// Everything a judgement looks at besides the room.
pub(crate) struct JudgeContext<'a> {
    pub(crate) people: &'a dyn People,
    pub(crate) limits: &'a Limits,
    pub(crate) now: Monotonic,
    /// The ends of mutes.
    pub(crate) mutes: &'a Mutes,
    /// The log's head at present.
    pub(crate) head: Place,
    /// Redacted texts of this room that are still in its log.
    pub(crate) erasing: usize,
    /// Whether the partition was read since the request came, or has no other writer.
    pub(crate) fresh: bool,
    /// How much of what the log may keep is used.
    pub(crate) storage: Storage,
}

/// People as a judgement sees them: the directory, and this hub's commits that are not projected
/// yet.
pub(crate) trait People {
    /// The nick held, or the last one held; empty for a stranger.
    fn nick(&self, member: MemberId) -> &str;
    /// The holder of a nick, by its comparison form.
    fn holder(&self, nick: &str) -> Option<MemberId>;
    /// Whether the directory knows the member.
    fn knows(&self, member: MemberId) -> bool;
    /// Whether the directory is forgetting the member.
    fn is_ending(&self, member: MemberId) -> bool;
    /// The number of rooms in which the member is one.
    fn rooms_of(&self, member: MemberId) -> usize;
    /// The number of conversations to which the member is invited.
    fn invitations_of(&self, member: MemberId) -> usize;
}

type Judged = Verdict<Proposed, Seq>;

impl Author {
    /// The server, for records without a request.
    pub(crate) const SERVER: Self = Self::unasked(MemberId::SERVER);

    /// A member, for records without a request.
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
    /// The record of the request itself.
    pub(in crate::state) fn request(author: &Author, body: RecordBody) -> Self {
        Self {
            author: author.member,
            is_request: true,
            target: None,
            body,
        }
    }

    /// A record that goes along.
    fn beside(author: MemberId, body: RecordBody) -> Self {
        Self {
            author,
            is_request: false,
            target: None,
            body,
        }
    }

    /// The record, numbered, with the nick and the label of its author.
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
    /// Whether the request may share a batch: the others are not judged by its change.
    fn is_sociable(&self) -> bool {
        matches!(
            self,
            Self::Join { .. } | Self::Leave | Self::Expire | Self::Send { .. } | Self::Topic(_)
        )
    }

    /// Whether a repeat is recognised by its result. Other requests are answered from the state,
    /// however late they come again.
    fn has_result(&self) -> bool {
        !matches!(
            self,
            Self::Create(_)
                | Self::Direct(_)
                | Self::Join { .. }
                | Self::Leave
                | Self::Expire
                | Self::Close { .. }
                | Self::Block { .. }
        )
    }

    fn changes_membership(&self) -> bool {
        matches!(self, Self::Join { .. } | Self::Leave | Self::Expire)
    }
}

impl Room {
    /// Judges a request at the head of the log, behind what the draft holds already, and adds it to
    /// the draft if it is accepted.
    pub(crate) fn judge(
        &self,
        draft: &mut Draft,
        with: &JudgeContext<'_>,
        author: &Author,
        ask: &Ask,
    ) -> Verdict<Proposed, Seq> {
        if let Some(verdict) = self.repeat(author, ask) {
            return verdict.unless_stale(with.fresh);
        }
        if draft.exclusive
            || draft.touched.contains(&author.member)
            || draft.accepted.contains(&author.id())
        {
            return Verdict::Wait;
        }
        let mut verdict = self.judge_at_head(draft, with, author, ask);
        // The hub's own duties end what has begun.
        let is_asked = author.txn != 0;
        if let Verdict::Accept(records) = &verdict
            && is_asked
            && !self.has_space(with.storage, ask, records)
        {
            verdict = storage_full();
        }
        let Verdict::Accept(records) = &verdict else {
            return verdict.unless_stale(with.fresh);
        };
        // Roles, bans and keys, by which others are judged, change in a batch of their own; so does
        // the membership of an owner, whose heir is chosen among the members.
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

    /// Whether a request, of which these records come, may be written with so much used of what the
    /// log may keep. What goes in the reserve is done once for each member, message or room that is
    /// there; what undoes or repeats it waits, and so do bans of those who cannot come in anyway.
    fn has_space(&self, storage: Storage, ask: &Ask, records: &[Proposed]) -> bool {
        match ask {
            // The directory has taken the group in, when there was room.
            Ask::Create(_) => true,
            Ask::Leave | Ask::Expire | Ask::Close { .. } | Ask::Kick { .. } => true,
            Ask::Block { blocked: true } | Ask::Redact { .. } => storage < Storage::Exhausted,
            Ask::Ban { .. } => {
                let is_in = |record: &Proposed| match &record.body {
                    RecordBody::Banned(banned) => self.membership(banned.target).is_some(),
                    _ => false,
                };
                storage == Storage::Free
                    || (storage < Storage::Exhausted && records.iter().any(is_in))
            }
            _ => storage == Storage::Free,
        }
    }

    /// The verdict on a request whose number was used before. This check comes before all others.
    pub(crate) fn repeat(&self, author: &Author, ask: &Ask) -> Option<Verdict<Proposed, Seq>> {
        if author.txn == 0 {
            return None;
        }
        match self.results.look(author.id(), author.hash) {
            Known::New => None,
            Known::Forgotten => ask.has_result().then(txn_forgotten),
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

    /// The role of a member; none of one that is only invited.
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

fn storage_full() -> Judged {
    refuse(
        ErrorCode::StorageFull,
        "the server keeps as much as it may; nothing new is taken until there is room",
    )
}

fn txn_reused() -> Judged {
    refuse(
        ErrorCode::TxnReused,
        "another request of this session had that number",
    )
}

fn txn_forgotten() -> Judged {
    refuse(
        ErrorCode::TxnForgotten,
        "so much of this session was done since that it is not known whether this was",
    )
}

/// Whether the member may be in one more room.
fn has_room(with: &JudgeContext<'_>, member: MemberId) -> bool {
    with.people.rooms_of(member) < with.limits.rooms_per_member as usize
}
