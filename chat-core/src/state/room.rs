//! A room: the fold of its records, and the judgement of what may become one.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Fold, Verdict,
    directory::Directory,
    mutes::Mutes,
    refuse,
    results::{Known, Results},
};
use crate::{
    id::{CredentialId, KeyId, MemberId, Place, Seq},
    limits::Limits,
    roles::{Action, Role, may},
    time::{Monotonic, Wall},
    wire::{
        BodyError, ErrorCode, Record, Refusal,
        client::Peer,
        record::{
            Blocked, CipherKind, Content, Created, HistoryPolicy, Joined, Left, LeftReason,
            Message, Muted, PasswordChange, PasswordRecord, Person, PresenceMode, RecordBody,
            Redacted, Removal, RoleChange, RoomKind, Target, Topic, WrappedKey,
        },
    },
};

/// Earlier keys a room keeps at most.
pub(crate) const EARLIER_KEYS: usize = 16;

/// Former members whose results are remembered, so that a repeated `leave` is recognised.
const DEPARTED: usize = 256;

/// Mutes that are remembered. A limit of those in force must be lower.
pub(crate) const MUTES: usize = 16_384;

/// Redactions that are remembered, and may be on their way into the log at once.
pub(crate) const REDACTIONS: usize = 64;

/// A room, as of a place of its log. The default is a room that was never created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Room {
    pub(crate) about: Option<About>,
    pub(crate) members: BTreeMap<MemberId, Membership>,
    banned: BTreeMap<MemberId, String>,
    muted: BTreeMap<MemberId, Mute>,
    /// In a private conversation: who takes no messages.
    blocking: BTreeSet<MemberId>,
    results: BTreeMap<MemberId, Results<Seq>>,
    departed: VecDeque<MemberId>,
    /// The last records that were redacted, each with the record that did it: their text may still have to be taken out of
    /// the log.
    pub(crate) redactions: VecDeque<(Seq, Seq)>,
}

/// That a member may not speak.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mute {
    /// When it was recorded, by the clock of the hub that did.
    pub(crate) at: Wall,
    /// For how long; none until it is unmuted.
    pub(crate) seconds: Option<u32>,
}

impl Mute {
    /// How much of it is left, for a hub that has only the record to go by. A clock that was set in between can end it early
    /// and can begin it anew, but not make it longer than it was.
    pub(crate) fn left(&self, now: Wall) -> Option<Duration> {
        let whole = Duration::from_secs(self.seconds?.into());
        Some(whole.saturating_sub(now - self.at))
    }
}

/// What a room is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) kind: RoomKind,
    pub(crate) topic: String,
    pub(crate) cipher: CipherKind,
    pub(crate) key: Option<KeyId>,
    pub(crate) history: HistoryPolicy,
    pub(crate) presence: PresenceMode,
    pub(crate) password: Option<PasswordRecord>,
    /// Oldest first, wrapped under the registration in force.
    pub(crate) earlier: Vec<WrappedKey>,
    /// The two of a private conversation.
    pub(crate) pair: Vec<Person>,
}

/// One member of the room.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Membership {
    pub(crate) role: Role,
    /// The record that made it one.
    pub(crate) since: Seq,
}

impl Fold for Room {
    type Entry = Record;

    fn seq(entry: &Record) -> Seq {
        entry.seq
    }

    fn encode(entry: &Record) -> Bytes {
        entry.to_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Record, BodyError> {
        Record::from_bytes(bytes)
    }

    fn apply(&mut self, record: &Record) {
        match &record.body {
            RecordBody::Created(created) => self.create(record, created),
            RecordBody::Joined(_) => self.enter(record.member, Role::Member, record.seq),
            RecordBody::Left(_) => self.depart(record.member),
            RecordBody::Message(_) | RecordBody::Action(_) => {}
            RecordBody::Topic(Topic { topic }) => self.about_mut().topic.clone_from(topic),
            RecordBody::Role(change) => {
                if let Some(member) = self.members.get_mut(&change.target) {
                    member.role = change.role;
                }
            }
            RecordBody::Kicked(removal) => self.depart(removal.target),
            RecordBody::Banned(removal) => {
                self.depart(removal.target);
                self.banned.insert(removal.target, removal.nick.clone());
            }
            RecordBody::Unbanned(target) => {
                self.banned.remove(&target.target);
            }
            RecordBody::Muted(muted) => self.mute(record.time, muted),
            RecordBody::Unmuted(target) => {
                self.muted.remove(&target.target);
            }
            RecordBody::Password(change) => {
                let about = self.about_mut();
                about.earlier.clone_from(&change.earlier);
                if about.cipher == CipherKind::RoomPassword {
                    about.key = Some(change.password.key.id);
                }
                about.password = Some(change.password.clone());
            }
            RecordBody::Blocked(Blocked { blocked }) => {
                if *blocked {
                    self.blocking.insert(record.member);
                } else {
                    self.blocking.remove(&record.member);
                }
            }
            RecordBody::Redacted(Redacted { seq }) => {
                self.redactions.push_back((*seq, record.seq));
                if self.redactions.len() > REDACTIONS {
                    self.redactions.pop_front();
                }
            }
            RecordBody::Blank(_) | RecordBody::Unknown(_) => {}
        }
        if record.txn != 0 {
            self.results
                .entry(record.member)
                .or_default()
                .note(record.txn, record.seq);
        }
    }

    const FORM: u8 = 3;

    fn weight(&self) -> u64 {
        (self.members.len() + self.banned.len() + self.muted.len() + 8 * self.results.len()) as u64
    }
}

impl Room {
    fn create(&mut self, record: &Record, created: &Created) {
        self.about = Some(About {
            kind: created.kind,
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
        });
        match created.kind {
            RoomKind::Lobby => {}
            RoomKind::Group => self.enter(record.member, Role::Owner, record.seq),
            RoomKind::Private => {
                created
                    .members
                    .iter()
                    .for_each(|person| self.enter(person.member, Role::Member, record.seq));
            }
        }
    }

    fn enter(&mut self, member: MemberId, role: Role, since: Seq) {
        self.departed.retain(|gone| *gone != member);
        self.members.insert(member, Membership { role, since });
    }

    fn depart(&mut self, member: MemberId) {
        if self.members.remove(&member).is_none() {
            return;
        }
        self.departed.push_back(member);
        if self.departed.len() > DEPARTED
            && let Some(forgotten) = self.departed.pop_front()
        {
            self.results.remove(&forgotten);
        }
    }

    /// Mutes that have ended are kept as well, since no record says so: of too many, the one goes that was to end first.
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

    fn about_mut(&mut self) -> &mut About {
        self.about
            .as_mut()
            .expect("the first record of a room is `created`")
    }

    /// Whether a request was done already and its result is remembered.
    pub(crate) fn did(&self, member: MemberId, txn: u64) -> Option<Seq> {
        match self.results.get(&member)?.look(txn) {
            Known::Done(seq) => Some(seq),
            Known::New | Known::TooOld => None,
        }
    }

    /// Whose results are remembered, and the most of one member.
    #[cfg(feature = "deliberate-bugs")]
    pub(crate) fn remembered(&self) -> (usize, usize) {
        let most = self.results.values().map(Results::len).max();
        (self.results.len(), most.unwrap_or(0))
    }

    pub(crate) fn last_txn(&self, member: MemberId) -> u64 {
        self.results.get(&member).map_or(0, Results::last)
    }

    /// Whether somebody is in, or is one of the two of a private conversation and has left it.
    pub(crate) fn is_known_to(&self, member: MemberId) -> bool {
        let pair = self.about.iter().flat_map(|about| &about.pair);
        self.members.contains_key(&member) || pair.into_iter().any(|one| one.member == member)
    }

    pub(crate) fn is_banned(&self, member: MemberId) -> bool {
        self.banned.contains_key(&member)
    }

    pub(crate) fn is_owner(&self, member: MemberId) -> bool {
        self.members
            .get(&member)
            .is_some_and(|m| m.role == Role::Owner)
    }

    /// Whether a member keeps order here, so that nobody else may look like them.
    pub(crate) fn leads(&self, member: MemberId) -> bool {
        self.members
            .get(&member)
            .is_some_and(|m| m.role >= Role::Moderator)
    }

    /// Mutes in force; one more of the same member only replaces its own.
    fn mutes_of_others(&self, target: MemberId, mutes: &Mutes, now: Monotonic) -> usize {
        self.muted
            .keys()
            .filter(|member| **member != target && self.is_muted(**member, mutes, now))
            .count()
    }

    pub(crate) fn is_muted(&self, member: MemberId, mutes: &Mutes, now: Monotonic) -> bool {
        self.muted
            .get(&member)
            .is_some_and(|mute| mute.seconds.is_none() || mutes.left(member, now).is_some())
    }

    /// Mutes, of which some may be over.
    pub(crate) fn mutes(&self) -> impl Iterator<Item = (MemberId, &Mute)> {
        self.muted.iter().map(|(member, mute)| (*member, mute))
    }

    /// The first record this member may read.
    pub(crate) fn readable_from(&self, member: MemberId) -> Seq {
        match (
            self.about.as_ref().map(|about| about.history),
            self.members.get(&member),
        ) {
            (Some(HistoryPolicy::All), Some(_)) => 1,
            (_, Some(membership)) => membership.since,
            (_, None) => Seq::MAX,
        }
    }
}

/// What somebody asks of a room.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// The first record. Asked by the hub, when it has made sure that the room is new.
    Create(Box<Created>),
    /// The same of a private conversation, or whoever of the two has left it is in it again.
    Open(Box<Created>),
    /// With the registration whose password was proved.
    Join {
        proved: Option<CredentialId>,
    },
    Leave,
    /// The member was away too long.
    Expire,
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
    /// With who said it, and whether it is there still; none if nothing was said there.
    Redact {
        seq: Seq,
        said: Option<Said>,
    },
}

/// Something that was said, as it stands in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) by: MemberId,
    /// It was redacted already, by this record.
    pub(crate) blank: Option<Seq>,
    /// The life of the log that was looked at.
    pub(crate) epoch: u64,
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
    /// Requests accepted so far; their `txn`s count as seen.
    accepted: BTreeSet<(MemberId, u64)>,
    len: usize,
}

/// What a judgement looks at besides the room.
pub(crate) struct Surroundings<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) limits: &'a Limits,
    pub(crate) now: Monotonic,
    /// Until when those are muted whose mute has an end.
    pub(crate) mutes: &'a Mutes,
    /// The log's head at present.
    pub(crate) head: Place,
    /// Redactions of this room that are not in its log yet.
    pub(crate) erasing: usize,
}

impl Room {
    /// Judges a request of `author` at the head of the log, behind what the draft holds already, and adds it to the
    /// draft if it is accepted.
    pub(crate) fn judge(
        &self,
        draft: &mut Draft,
        with: &Surroundings<'_>,
        author: MemberId,
        txn: u64,
        ask: &Ask,
    ) -> Verdict<(MemberId, RecordBody), Seq> {
        if draft.exclusive
            || draft.touched.contains(&author)
            || draft.accepted.contains(&(author, txn))
        {
            return Verdict::Wait;
        }
        if txn != 0 {
            match self
                .results
                .get(&author)
                .map_or(Known::New, |results| results.look(txn))
            {
                Known::New => {}
                Known::Done(seq) => return Verdict::Repeat(seq),
                Known::TooOld => {
                    return refuse(ErrorCode::TooOld, "a repeat of something long ago");
                }
            }
        }
        // What others are judged by (roles, bans, keys, the topic) changes in a batch of its own.
        let alone = !matches!(
            ask,
            Ask::Join { .. } | Ask::Leave | Ask::Expire | Ask::Send { .. } | Ask::Topic(_)
        );
        let verdict = self.judge_alone(draft, with, author, ask);
        let Verdict::Accept(bodies) = &verdict else {
            return verdict;
        };
        // An owner's departure hands ownership on, and looks at who is there for that.
        let alone = alone
            || bodies.len() > 1
            || (matches!(ask, Ask::Leave | Ask::Expire) && self.is_owner(author));
        if alone && draft.len > 0 {
            return Verdict::Wait;
        }
        draft.exclusive = alone;
        draft.len += bodies.len();
        if matches!(ask, Ask::Join { .. } | Ask::Leave | Ask::Expire) {
            draft.touched.insert(author);
            draft.joining += usize::from(matches!(ask, Ask::Join { .. }));
        }
        if txn != 0 {
            draft.accepted.insert((author, txn));
        }
        verdict
    }

    fn judge_alone(
        &self,
        draft: &Draft,
        with: &Surroundings<'_>,
        author: MemberId,
        ask: &Ask,
    ) -> Verdict<(MemberId, RecordBody), Seq> {
        let one = |body| Verdict::Accept(vec![(author, body)]);
        let about = match (&self.about, ask) {
            (None, Ask::Create(created) | Ask::Open(created)) => {
                return one(RecordBody::Created((**created).clone()));
            }
            (Some(_), Ask::Create(_)) => return Verdict::Already,
            (Some(about), Ask::Open(_)) => return self.judge_reopen(about, author),
            (None, _) => return refuse(ErrorCode::UnknownRoom, "there is no such room"),
            (Some(about), _) => about,
        };
        if let Ask::Join { proved } = ask {
            return self.judge_join(about, draft, with, author, *proved);
        }
        let Some(me) = self.members.get(&author) else {
            return match ask {
                Ask::Expire => Verdict::Already,
                _ => refuse(ErrorCode::NotMember, "you are not in that room"),
            };
        };
        match ask {
            Ask::Create(_) | Ask::Open(_) | Ask::Join { .. } => unreachable!("judged above"),
            Ask::Leave => Verdict::Accept(self.departure(with, author, LeftReason::Asked)),
            Ask::Expire if with.directory.holds_nick(author) => Verdict::Already,
            // The pair is the room: it is there when the other comes back.
            Ask::Expire if about.kind == RoomKind::Private => Verdict::Already,
            Ask::Expire => Verdict::Accept(self.departure(with, author, LeftReason::Expired)),
            Ask::Send { action, content } => self.judge_send(about, with, author, *action, content),
            Ask::Topic(topic) => {
                if about.kind != RoomKind::Private && !may(me.role, Action::Topic, None) {
                    return forbidden();
                }
                one(RecordBody::Topic(Topic {
                    topic: topic.clone(),
                }))
            }
            Ask::Role { target, role } => {
                match self.target(with, author, target, me.role, Action::Grant(*role), true) {
                    Err(refusal) => Verdict::Refuse(refusal),
                    Ok((_, _, Some(now))) if now == *role => Verdict::Already,
                    Ok((target, nick, _)) => {
                        let owners = self
                            .members
                            .values()
                            .filter(|m| m.role == Role::Owner)
                            .count();
                        if target == author && owners == 1 {
                            return refuse(
                                ErrorCode::Forbidden,
                                "the only owner cannot step down; make somebody else owner first",
                            );
                        }
                        one(RecordBody::Role(RoleChange {
                            target,
                            nick,
                            role: *role,
                        }))
                    }
                }
            }
            Ask::Kick { target, reason } => {
                match self.target(with, author, target, me.role, Action::Kick, true) {
                    Err(refusal) => Verdict::Refuse(refusal),
                    Ok((target, nick, _)) => one(RecordBody::Kicked(Removal {
                        target,
                        nick,
                        reason: reason.clone(),
                    })),
                }
            }
            Ask::Ban { target, reason } => {
                match self.target(with, author, target, me.role, Action::Ban, false) {
                    Err(refusal) => Verdict::Refuse(refusal),
                    Ok((target, _, _)) if self.is_banned(target) => Verdict::Already,
                    Ok(_) if self.banned.len() >= with.limits.sanctions_per_room as usize => {
                        refuse(ErrorCode::RoomFull, "the room has as many bans as it may")
                    }
                    Ok((target, nick, _)) => one(RecordBody::Banned(Removal {
                        target,
                        nick,
                        reason: reason.clone(),
                    })),
                }
            }
            Ask::Unban { target } => {
                if !may(me.role, Action::Ban, None) {
                    return forbidden();
                }
                let by_nick = |name: &str| {
                    self.banned
                        .iter()
                        .find(|(_, nick)| *nick == name)
                        .map(|(member, _)| *member)
                };
                let found = match target {
                    Peer::Member(member) => Some(*member).filter(|member| self.is_banned(*member)),
                    Peer::Nick(name) => with
                        .directory
                        .holder(name, with.limits.nick_bytes)
                        .filter(|m| self.is_banned(*m))
                        .or_else(|| by_nick(name)),
                };
                let Some(target) = found else {
                    return refuse(ErrorCode::UnknownMember, "nobody of that name is banned");
                };
                one(RecordBody::Unbanned(Target {
                    target,
                    nick: self.banned[&target].clone(),
                }))
            }
            Ask::Mute { target, seconds } => {
                match self.target(with, author, target, me.role, Action::Mute, true) {
                    Err(refusal) => Verdict::Refuse(refusal),
                    Ok((target, _, _))
                        if self.mutes_of_others(target, with.mutes, with.now)
                            >= with.limits.sanctions_per_room as usize =>
                    {
                        refuse(ErrorCode::RoomFull, "the room has as many mutes as it may")
                    }
                    Ok((target, nick, _)) => one(RecordBody::Muted(Muted {
                        target,
                        nick,
                        seconds: *seconds,
                    })),
                }
            }
            Ask::Unmute { target } => {
                match self.target(with, author, target, me.role, Action::Mute, true) {
                    Err(refusal) => Verdict::Refuse(refusal),
                    Ok((target, _, _)) if !self.is_muted(target, with.mutes, with.now) => {
                        Verdict::Already
                    }
                    Ok((target, nick, _)) => one(RecordBody::Unmuted(Target { target, nick })),
                }
            }
            Ask::Password { expected, change } => {
                let Some(password) = &about.password else {
                    return refuse(ErrorCode::NotProtected, "the room has no password");
                };
                if !may(me.role, Action::Password, None) {
                    return forbidden();
                }
                if password.key.id != *expected {
                    return refuse(
                        ErrorCode::StaleProof,
                        "the password has been changed meanwhile",
                    );
                }
                let id = change.password.key.id;
                if about
                    .earlier
                    .iter()
                    .chain([&password.key])
                    .any(|key| key.id == id)
                {
                    return refuse(ErrorCode::BadRequest, "a new key needs a name of its own");
                }
                one(RecordBody::Password((**change).clone()))
            }
            Ask::Block { .. } if about.kind != RoomKind::Private => refuse(
                ErrorCode::BadRequest,
                "only a private conversation can be blocked",
            ),
            Ask::Block { blocked } if self.blocking.contains(&author) == *blocked => {
                Verdict::Already
            }
            Ask::Block { blocked } => one(RecordBody::Blocked(Blocked { blocked: *blocked })),
            Ask::Redact { seq, said } => self.judge_redact(about, with, author, *seq, *said),
        }
    }

    /// A private conversation is opened that has begun already.
    fn judge_reopen(
        &self,
        about: &About,
        author: MemberId,
    ) -> Verdict<(MemberId, RecordBody), Seq> {
        if let Some(refusal) = self.refusal_to_reopen(author) {
            return Verdict::Refuse(refusal);
        }
        let pair = about.pair.iter().map(|person| person.member);
        let mut out: Vec<_> = pair
            .filter(|member| !self.members.contains_key(member))
            .collect();
        // The first record is what the request became.
        out.sort_by_key(|member| *member != author);
        let joined = |member| (member, RecordBody::Joined(Joined {}));
        let bodies: Vec<_> = out.into_iter().map(joined).collect();
        if bodies.is_empty() {
            Verdict::Already
        } else {
            Verdict::Accept(bodies)
        }
    }

    /// Why somebody may not open this private conversation again: the other has left it, and takes no messages.
    pub(crate) fn refusal_to_reopen(&self, author: MemberId) -> Option<Refusal> {
        let declined = |member: &MemberId| *member != author && !self.members.contains_key(member);
        self.blocking
            .iter()
            .any(declined)
            .then(|| ErrorCode::Blocked.because("they take no messages from you"))
    }

    fn judge_join(
        &self,
        about: &About,
        draft: &Draft,
        with: &Surroundings<'_>,
        author: MemberId,
        proved: Option<CredentialId>,
    ) -> Verdict<(MemberId, RecordBody), Seq> {
        let stale = proved.is_some() && proved != about.password.as_ref().map(|p| p.credential);
        if self.members.contains_key(&author) {
            return if stale {
                stale_proof()
            } else {
                Verdict::Already
            };
        }
        if about.kind == RoomKind::Private {
            return refuse(ErrorCode::UnknownRoom, "there is no such room");
        }
        if self.is_banned(author) {
            return refuse(ErrorCode::Banned, "you are banned from that room");
        }
        if about.password.is_some() && proved.is_none() {
            return refuse(ErrorCode::PasswordRequired, "the room has a password");
        }
        if stale {
            return stale_proof();
        }
        if self.members.len() + draft.joining >= with.limits.members_per_room as usize {
            return refuse(
                ErrorCode::RoomFull,
                "the room has as many members as it may",
            );
        }
        let mut bodies = vec![(author, RecordBody::Joined(Joined {}))];
        if about.kind == RoomKind::Group && self.members.is_empty() {
            // All have left: it is theirs who come first.
            bodies.push(becomes_owner(with, author));
        }
        Verdict::Accept(bodies)
    }

    fn judge_send(
        &self,
        about: &About,
        with: &Surroundings<'_>,
        author: MemberId,
        action: bool,
        content: &Content,
    ) -> Verdict<(MemberId, RecordBody), Seq> {
        if self.is_muted(author, with.mutes, with.now) {
            let refusal = ErrorCode::Muted.because("you may not speak in this room at present");
            return Verdict::Refuse(match with.mutes.left(author, with.now) {
                Some(left) => refusal.after(left),
                None => refusal,
            });
        }
        if self.blocking.iter().any(|member| *member != author) {
            return refuse(ErrorCode::Blocked, "they take no messages from you");
        }
        if about.kind == RoomKind::Private && self.members.len() < 2 {
            return refuse(
                ErrorCode::NotMember,
                "they have left this conversation; open it again to speak to them",
            );
        }
        let fits = match (about.cipher, content) {
            (CipherKind::None, Content::Plain(_)) | (CipherKind::Caesar, Content::Caesar(_)) => {
                true
            }
            (CipherKind::StaticKey | CipherKind::RoomPassword, Content::Sealed(sealed)) => {
                about.key.is_none_or(|key| key == sealed.key)
            }
            _ => false,
        };
        if !fits {
            return refuse(
                ErrorCode::WrongCipher,
                "not in the form, or not under the key, that the room announces",
            );
        }
        let message = Message {
            content: content.clone(),
        };
        Verdict::Accept(vec![(
            author,
            if action {
                RecordBody::Action(message)
            } else {
                RecordBody::Message(message)
            },
        )])
    }

    fn judge_redact(
        &self,
        about: &About,
        with: &Surroundings<'_>,
        author: MemberId,
        seq: Seq,
        said: Option<Said>,
    ) -> Verdict<(MemberId, RecordBody), Seq> {
        // What one has said oneself is no secret to oneself, whenever one came back.
        let known = |said: &Said| said.by == author || seq >= self.readable_from(author);
        let Some(said) = said.filter(known) else {
            return refuse(
                ErrorCode::BadRequest,
                "nothing was said under that number, or it is not kept any more",
            );
        };
        if said.epoch != with.head.epoch {
            return refuse(ErrorCode::Unavailable, "the log has lost its end meanwhile");
        }
        let role = |member| self.members.get(&member).map(|member| member.role);
        let by_order = about.kind != RoomKind::Private
            && role(author).is_some_and(|mine| may(mine, Action::Redact, role(said.by)));
        if said.by != author && !by_order {
            return forbidden();
        }
        let under_way = self.redactions.iter().find(|(what, _)| *what == seq);
        if let Some(done) = said.blank.or(under_way.map(|(_, done)| *done)) {
            // An end of the log that was lost may have held it.
            return match done <= with.head.seq {
                true => Verdict::Repeat(done),
                false => Verdict::Already,
            };
        }
        if with.erasing >= REDACTIONS {
            return refuse(ErrorCode::Busy, "earlier redactions are still being done");
        }
        Verdict::Accept(vec![(author, RecordBody::Redacted(Redacted { seq }))])
    }

    /// Somebody goes; if they were the last owner, the longest-serving of the highest role left takes over.
    fn departure(
        &self,
        with: &Surroundings<'_>,
        author: MemberId,
        reason: LeftReason,
    ) -> Vec<(MemberId, RecordBody)> {
        let mut bodies = vec![(author, RecordBody::Left(Left { reason }))];
        let was_owner = self
            .members
            .get(&author)
            .is_some_and(|m| m.role == Role::Owner);
        let mut others = self.members.iter().filter(|(member, _)| **member != author);
        if was_owner && !others.clone().any(|(_, m)| m.role == Role::Owner) {
            let heir = others
                .clone()
                .map(|(_, m)| m.role)
                .max()
                .and_then(|highest| {
                    others
                        .by_ref()
                        .filter(|(_, m)| m.role == highest)
                        .min_by_key(|(member, m)| (m.since, **member))
                });
            bodies.extend(heir.map(|(heir, _)| becomes_owner(with, *heir)));
        }
        bodies
    }

    /// Whom a request is about, what they are called and what they are here.
    fn target(
        &self,
        with: &Surroundings<'_>,
        author: MemberId,
        target: &Peer,
        role: Role,
        action: Action,
        must_be_here: bool,
    ) -> Result<(MemberId, String, Option<Role>), crate::wire::Refusal> {
        let found = match target {
            // Whoever the directory has forgotten may come back with the same secret.
            Peer::Member(member) => Some(*member).filter(|member| {
                let stranger = action == Action::Ban && *member != MemberId::SERVER;
                stranger || self.members.contains_key(member) || with.directory.knows(*member)
            }),
            Peer::Nick(name) => with
                .directory
                .holder(name, with.limits.nick_bytes)
                .or_else(|| {
                    self.members
                        .keys()
                        .copied()
                        .find(|member| with.directory.nick(*member) == name)
                }),
        };
        let Some(member) = found else {
            return Err(ErrorCode::UnknownMember.because("nobody of that name"));
        };
        let theirs = self.members.get(&member).map(|m| m.role);
        if must_be_here && theirs.is_none() {
            return Err(ErrorCode::NotMember.because("they are not in that room"));
        }
        let own_step_down = member == author && matches!(action, Action::Grant(_));
        if (member == author && !own_step_down) || !may(role, action, theirs) {
            return Err(ErrorCode::Forbidden.because("your role does not allow that"));
        }
        Ok((member, with.directory.nick(member).to_owned(), theirs))
    }
}

/// The server's word that a group has an owner.
fn becomes_owner(with: &Surroundings<'_>, target: MemberId) -> (MemberId, RecordBody) {
    let change = RoleChange {
        target,
        nick: with.directory.nick(target).to_owned(),
        role: Role::Owner,
    };
    (MemberId::SERVER, RecordBody::Role(change))
}

fn forbidden<B, R>() -> Verdict<B, R> {
    refuse(ErrorCode::Forbidden, "your role does not allow that")
}

fn stale_proof<B, R>() -> Verdict<B, R> {
    refuse(
        ErrorCode::StaleProof,
        "the password has been changed meanwhile",
    )
}
