//! A room: one life of its log, and what may stand in it.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    id::{CredentialId, KeyId, MemberId, MessageId, RoomId, Seq, SessionId},
    roles::Role,
    wire::{
        Record,
        record::{
            CipherKind, Content, HistoryPolicy, PresenceMode, RecordBody, RoleChange, RoomKind,
            Standing,
        },
    },
};

use super::{
    directory::Listed,
    entry::About,
    rights::{self, Right},
};
use crate::{
    journal::Book,
    time::{EPOCH, MS, SECOND},
};

/// Requests of a session that a room remembers.
const RESULTS: usize = 64;

/// One life of a room's log.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) records: Vec<Record>,
    pub(crate) kind: Option<RoomKind>,
    pub(crate) history: HistoryPolicy,
    pub(crate) presence: PresenceMode,
    pub(crate) cipher: CipherKind,
    stays: BTreeMap<MemberId, Vec<Stay>>,
    /// The two of a private conversation.
    pair: Vec<MemberId>,
    roles: BTreeMap<MemberId, Role>,
    banned: BTreeSet<MemberId>,
    /// By which record, and for how long.
    muted: BTreeMap<MemberId, (Seq, Option<u32>)>,
    blocking: BTreeSet<MemberId>,
    /// The requests that were done, and the record of each.
    done: BTreeMap<MessageId, Seq>,
    /// Its last record, if it is deleted.
    closed: Option<Seq>,
    said: BTreeSet<String>,
    /// The redacted messages, and since when their texts are out of the log.
    pub(super) redacted: BTreeMap<Seq, Option<u64>>,
    /// The registrations of the password, each from its record on.
    credentials: Vec<(Seq, CredentialId)>,
    /// The key that messages are sealed with, where the server knows which.
    key: Option<KeyId>,
    /// How many of the roles are owners.
    owners: usize,
    /// The log has lost its end before this life of it began.
    pub(super) has_past: bool,
    /// When the whole log was lost, if this life of it began with that.
    lost: Option<u64>,
    /// When each record was written.
    pub(super) written: Vec<u64>,
}

/// From when to when somebody was in a room; the record that ended it is theirs to see.
#[derive(Clone, Copy, Debug)]
struct Stay {
    since: Seq,
    until: Option<Seq>,
    /// Since when a member, and not only invited.
    accepted: Option<Seq>,
}

impl Stay {
    fn is_at(&self, seq: Seq) -> bool {
        self.since <= seq && self.until.is_none_or(|until| seq < until)
    }
}

impl Room {
    /// A life of a log. `lost`: when the whole log was lost, if it begins with that.
    pub(super) fn begun(lost: Option<u64>) -> Self {
        Self {
            lost,
            ..Self::default()
        }
    }

    pub(crate) fn head(&self) -> Seq {
        self.records.len() as Seq
    }

    pub(crate) fn record(&self, seq: Seq) -> Option<&Record> {
        self.records.get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    pub(crate) fn is_redacted(&self, seq: Seq) -> bool {
        self.redacted.contains_key(&seq)
    }

    /// Since when the text of a record is out of the log.
    pub(crate) fn gone_since(&self, seq: Seq) -> Option<u64> {
        *self.redacted.get(&seq)?
    }

    pub(crate) fn redactions(&self) -> impl Iterator<Item = Seq> {
        self.redacted.keys().copied()
    }

    pub(crate) fn topic_at(&self, seq: Seq) -> &str {
        self.backwards(seq)
            .find_map(|record| match &record.body {
                RecordBody::Topic(change) => Some(change.topic.as_str()),
                RecordBody::Created(created) => Some(created.topic.as_str()),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// Something that was said, by this member or by others.
    pub(crate) fn something_said(&self, by: MemberId, own: bool, pick: u32) -> Option<&Record> {
        let fits = |record: &&Record| {
            matches!(record.body, RecordBody::Message(_) | RecordBody::Action(_))
                && (record.member == by) == own
                // A record that answers no request has no name.
                && record.txn != 0
        };
        let said = self.records.iter().rev().filter(fits);
        let among = 1 + pick as usize % 4;
        said.take(among).last()
    }

    /// Whether a member may be told of the record as something that happens.
    pub(crate) fn may_hear(&self, member: MemberId, seq: Seq) -> bool {
        let stays = self.stays.get(&member).into_iter().flatten();
        match self.history {
            HistoryPolicy::SinceJoined => stays
                .clone()
                .any(|stay| stay.since <= seq && stay.until.is_none_or(|until| seq <= until)),
            // A member that comes back may read the messages of its absence.
            _ => stays
                .clone()
                .any(|stay| stay.until.is_none_or(|until| seq <= until)),
        }
    }

    pub(crate) fn is_member_at(&self, member: MemberId, seq: Seq) -> bool {
        self.since_at(member, seq).is_some()
    }

    /// Since which record they are a member, of those who are now.
    pub(crate) fn member_since(&self, member: MemberId) -> Option<Seq> {
        self.stays
            .get(&member)?
            .last()
            .filter(|stay| stay.until.is_none())
            .map(|stay| stay.since)
    }

    /// The record that ended the last stay of somebody who is out at a place.
    pub(crate) fn out_since(&self, member: MemberId, seq: Seq) -> Option<Seq> {
        let stays = self.stays.get(&member)?.iter();
        let ends = stays.filter_map(|stay| stay.until);
        ends.filter(|until| *until <= seq).max()
    }

    /// Whether somebody is a member at a place, or invited.
    pub(crate) fn standing_at(&self, member: MemberId, seq: Seq) -> Option<Standing> {
        let mut stays = self.stays.get(&member)?.iter();
        let stay = stays.find(|stay| stay.is_at(seq))?;
        Some(match stay.accepted {
            Some(accepted) if accepted <= seq => Standing::Member,
            _ => Standing::Invited,
        })
    }

    /// How many messages there were up to a place.
    pub(crate) fn said_at(&self, seq: Seq) -> u64 {
        let said = |record: &&Record| {
            matches!(
                record.body,
                RecordBody::Message(_) | RecordBody::Action(_) | RecordBody::Blank(_)
            )
        };
        self.backwards(seq).filter(said).count() as u64
    }

    /// When the whole log was lost, if nothing has come since.
    pub(crate) fn is_lost(&self) -> Option<u64> {
        self.lost.filter(|_| self.records.is_empty())
    }

    /// Whether a room is deleted at a place.
    pub(crate) fn is_closed_at(&self, seq: Seq) -> bool {
        self.closed.is_some_and(|closed| closed <= seq)
    }

    /// Whether a listing tells what is so at a place.
    pub(crate) fn is_listed_as(&self, listed: &Listed, seq: Seq) -> bool {
        // Of a room whose whole log was lost, nobody is listed; a group is closed.
        let there = match seq {
            0 => self.lost.is_some() && listed.number.is_none(),
            _ => seq <= self.head(),
        };
        let members = self.members_at(seq).map(|member| {
            let invited = self.standing_at(member, seq) == Some(Standing::Invited);
            (member, invited)
        });
        let about = || About {
            topic: self.topic_at(seq).to_owned(),
            cipher: match self.cipher {
                CipherKind::Caesar => 1,
                CipherKind::StaticKey => 2,
                CipherKind::RoomPassword => 3,
                _ => 0,
            },
            protected: self.credential_before(seq + 1).is_some(),
        };
        let closed = self.is_closed_at(seq);
        // A room listed as deleted stays so, also if the log gives the room back.
        there
            && (!closed || listed.closed)
            && members.eq(listed
                .members
                .iter()
                .map(|(member, invited)| (*member, *invited)))
            && (listed.closed || listed.number.is_none() || about() == listed.about)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = MemberId> {
        self.roles.keys().copied()
    }

    /// Whether a record is the first one of its request.
    pub(crate) fn is_first(&self, record: &Record) -> bool {
        let first = self.done.get(&record.id());
        first.is_none_or(|first| *first == record.seq)
    }

    /// The record of a request, if there is one.
    pub(crate) fn asked_for(&self, id: MessageId) -> Option<&Record> {
        self.records.iter().find(|record| record.id() == id)
    }

    /// The role of a member at a place.
    pub(crate) fn role_at(&self, member: MemberId, seq: Seq) -> Option<Role> {
        self.backwards(seq).find_map(|record| match &record.body {
            RecordBody::Role(change) if change.target == member => Some(Some(change.role)),
            RecordBody::Joined(_) if record.member == member => Some(Some(Role::Member)),
            RecordBody::Reopened(_) if self.pair.contains(&member) => Some(Some(Role::Member)),
            RecordBody::Closed(_) => Some(None),
            RecordBody::Left(_) if record.member == member => Some(None),
            RecordBody::Kicked(out) | RecordBody::Banned(out) if out.target == member => Some(None),
            RecordBody::Created(created) => Some(match created.kind {
                RoomKind::Group => (record.member == member).then_some(Role::Owner),
                RoomKind::Private => {
                    let there = created.members.iter().any(|person| person.member == member);
                    there.then_some(Role::Member)
                }
                _ => None,
            }),
            _ => None,
        })?
    }

    pub(crate) fn is_banned_at(&self, member: MemberId, seq: Seq) -> bool {
        self.backwards(seq)
            .find_map(|record| match &record.body {
                RecordBody::Banned(out) if out.target == member => Some(true),
                RecordBody::Unbanned(on) if on.target == member => Some(false),
                _ => None,
            })
            .unwrap_or(false)
    }

    /// By which record somebody is muted at a place, and for how long. It may be over.
    pub(crate) fn muted_at(&self, member: MemberId, seq: Seq) -> Option<(Seq, Option<u32>)> {
        self.backwards(seq).find_map(|record| match &record.body {
            RecordBody::Muted(muted) if muted.target == member => {
                Some(Some((record.seq, muted.seconds)))
            }
            RecordBody::Unmuted(on) if on.target == member => Some(None),
            _ => None,
        })?
    }

    /// Whether a mute lasts yet, whatever the clocks say. Only a hub that has it from the log goes
    /// by the record's time, and may be mistaken where clocks have jumped.
    pub(crate) fn lasts(&self, mute: (Seq, Option<u32>), book: &Book) -> bool {
        let (seq, seconds) = mute;
        let (Some(record), Some(written)) = (self.record(seq), self.written_at(seq)) else {
            return false;
        };
        let jumped = book.clock_jumped;
        if self.has_past || jumped && (book.several || book.begun >= written) {
            return seconds.is_none();
        }
        let numbered = record.time.0.saturating_sub(EPOCH) * MS;
        let since = if jumped {
            written
        } else {
            written.min(numbered)
        };
        seconds.is_none_or(|seconds| book.now < since + u64::from(seconds) * SECOND)
    }

    pub(crate) fn has_done(&self, member: MemberId, session: SessionId, txn: u64) -> bool {
        let id = MessageId {
            member,
            session,
            txn,
        };
        self.done.contains_key(&id)
    }

    /// Whether results of a session are forgotten, of this number or of a higher one.
    pub(crate) fn forgets(&self, member: MemberId, session: SessionId, txn: u64) -> bool {
        let its = self.records.iter().filter(|record| {
            (record.member, record.session) == (member, session) && is_done_once(&record.body)
        });
        let mut old = its.rev().skip(RESULTS);
        old.any(|record| record.txn >= txn)
    }

    fn may(&self, member: MemberId, right: Right, target: Option<Role>, seq: Seq) -> bool {
        let role = self.role_at(member, seq);
        role.is_some_and(|role| rights::has(role, right, target))
    }

    pub(crate) fn may_set_the_topic(&self, member: MemberId, seq: Seq) -> bool {
        self.may(member, Right::Topic, None, seq)
    }

    pub(crate) fn may_set_the_password(&self, member: MemberId, seq: Seq) -> bool {
        self.may(member, Right::Password, None, seq)
    }

    /// Whether somebody may kick, ban or mute somebody.
    pub(crate) fn may_order(&self, member: MemberId, target: MemberId, seq: Seq) -> bool {
        self.may(member, Right::Order, self.role_at(target, seq), seq)
    }

    pub(crate) fn is_blocking_at(&self, member: MemberId, seq: Seq) -> bool {
        self.backwards(seq)
            .find_map(|record| match &record.body {
                RecordBody::Blocked(blocked) if record.member == member => Some(blocked.blocked),
                _ => None,
            })
            .unwrap_or(false)
    }

    /// The members at a place, in the order of their ids.
    pub(crate) fn members_at(&self, seq: Seq) -> impl Iterator<Item = MemberId> {
        let stays = self.stays.keys().copied();
        stays.filter(move |member| self.is_member_at(*member, seq))
    }

    fn backwards(&self, seq: Seq) -> impl Iterator<Item = &Record> {
        let there = self.records.len().min(seq as usize);
        self.records[..there].iter().rev()
    }

    /// Since which record they were a member at a place.
    pub(crate) fn since_at(&self, member: MemberId, seq: Seq) -> Option<Seq> {
        let stays = self.stays.get(&member)?.iter();
        stays
            .filter(|stay| stay.is_at(seq))
            .map(|stay| stay.since)
            .next()
    }

    /// The first record that a member may read, as of a place; none for who is none.
    pub(crate) fn readable_at(&self, member: MemberId, seq: Seq) -> Option<Seq> {
        let since = self.since_at(member, seq)?;
        Some(match self.history {
            HistoryPolicy::SinceJoined => since,
            _ => 1,
        })
    }

    /// When a record was written.
    pub(crate) fn written_at(&self, seq: Seq) -> Option<u64> {
        let at = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.written.get(at).copied()
    }

    /// A group with people in it is somebody's, but for one that lost the record that says whose.
    pub(super) fn has_an_owner(&self) -> bool {
        self.kind != Some(RoomKind::Group)
            || self.owners > 0
            || self.roles.is_empty()
            || self.has_past
    }

    /// The heir of a group that has lost its last owner: of the highest role, the member that has
    /// been there longest.
    fn heir(&self) -> Option<MemberId> {
        let rank = |role: &Role| match role {
            Role::Owner => 2,
            Role::Moderator => 1,
            _ => 0,
        };
        let highest = self.roles.values().map(rank).max()?;
        let of_it = self.roles.iter().filter(|(_, role)| rank(role) == highest);
        of_it
            .map(|(member, _)| *member)
            .min_by_key(|member| self.member_since(*member))
    }

    /// The registration in force just before a record.
    pub(crate) fn credential_before(&self, seq: Seq) -> Option<CredentialId> {
        self.credentials
            .iter()
            .rev()
            .find(|(since, _)| *since < seq)
            .map(|(_, credential)| *credential)
    }

    /// Whether guests may not be in it: it is of two, or has a password, or is sealed.
    pub(crate) fn needs_keys(&self) -> bool {
        self.kind == Some(RoomKind::Private)
            || !self.credentials.is_empty()
            || is_sealed(self.cipher)
    }

    pub(crate) fn has_said(&self, text: &str) -> bool {
        self.said.contains(text)
    }

    fn enter(&mut self, id: RoomId, member: MemberId, role: Role, seq: Seq, book: &mut Book) {
        let invited = self
            .stays
            .get_mut(&member)
            .and_then(|stays| stays.last_mut());
        if let Some(stay) = invited.filter(|stay| stay.until.is_none() && stay.accepted.is_none()) {
            stay.accepted = Some(seq);
            book.saw("an invitation accepted");
            return;
        }
        let new = self.roles.insert(member, role).is_none();
        book.check("nobody joins twice", new, || {
            format!("{member} in {id} at {seq}")
        });
        let free = !self.banned.contains(&member);
        book.check("nobody joins who is banned", free, || {
            format!("{member} in {id} at {seq}")
        });
        self.owners += usize::from(role == Role::Owner);
        self.stays.entry(member).or_default().push(Stay {
            since: seq,
            until: None,
            accepted: Some(seq),
        });
    }

    /// The other one of a private conversation is invited, if it is not in.
    fn invite_other(&mut self, member: MemberId, seq: Seq) {
        let other = self.pair.iter().find(|other| **other != member).copied();
        if let Some(other) = other
            && !self.roles.contains_key(&other)
        {
            self.roles.insert(other, Role::Member);
            self.stays.entry(other).or_default().push(Stay {
                since: seq,
                until: None,
                accepted: None,
            });
        }
    }

    fn depart(&mut self, member: MemberId, seq: Seq) {
        if self.roles.remove(&member) == Some(Role::Owner) {
            self.owners -= 1;
        }
        if let Some(stay) = self
            .stays
            .get_mut(&member)
            .and_then(|stays| stays.last_mut())
        {
            stay.until.get_or_insert(seq);
        }
    }

    pub(super) fn apply(
        &mut self,
        id: RoomId,
        record: Record,
        proofs: &BTreeSet<(MemberId, CredentialId)>,
        book: &mut Book,
    ) {
        let (seq, member) = (record.seq, record.member);
        book.check("seq has no holes", seq == self.head() + 1, || {
            format!("{id}: {seq} after {}", self.head())
        });
        let named = (record.txn != 0) == (record.session != SessionId::NONE);
        book.check("a request has a session and a number", named, || {
            format!("{id} at {seq}: {record:?}")
        });
        let open = self.closed.is_none();
        book.check("nothing follows the end of a room", open, || {
            format!("{id} at {seq}: {:?}", record.body)
        });
        if record.txn != 0 && is_done_once(&record.body) {
            let first = self.done.get(&record.id()).copied();
            self.done.entry(record.id()).or_insert(seq);
            book.check("nothing is done twice", first.is_none(), || {
                format!(
                    "{id}: txn {} of {member} again at {seq}: {:?}",
                    record.txn, record.body
                )
            });
        }
        let role = self.roles.get(&member).copied();
        let private = self.kind == Some(RoomKind::Private);
        if !matches!(record.body, RecordBody::Created(_) | RecordBody::Joined(_)) {
            // A group of which the whole log was lost is closed.
            let begun = self.kind.is_some() || matches!(record.body, RecordBody::Closed(_));
            book.check("a room begins once", begun, || format!("{id} at {seq}"));
            // Of what it was that was said in an earlier life of this log, nothing is known but the
            // place.
            let by_one = role.is_some()
                || matches!(record.body, RecordBody::Blank(_) | RecordBody::Reopened(_));
            let by_server = member == MemberId::SERVER;
            book.check("only members do anything", by_one || by_server, || {
                format!("{member} in {id} at {seq}: {:?}", record.body)
            });
        }
        let by_server = match &record.body {
            RecordBody::Created(created) => created.kind == RoomKind::Lobby,
            RecordBody::Role(change) => self.hands_on(change),
            RecordBody::Closed(_) => true,
            _ => false,
        };
        book.check(
            "the server does what is the server's",
            by_server == (member == MemberId::SERVER),
            || format!("{member} in {id} at {seq}: {:?}", record.body),
        );
        let mut allowed = |right: Right, target: Option<MemberId>| {
            let theirs = target.and_then(|target| self.roles.get(&target).copied());
            let stepping_down = right == Right::Role && self.owners > 1;
            let may = member == MemberId::SERVER
                || role.is_some_and(|role| rights::has(role, right, theirs))
                    && !private
                    && (target != Some(member) || stepping_down);
            book.check("roles are kept", may, || {
                format!("{id} {seq}: {member} ({role:?}) {right:?} {target:?} ({theirs:?})")
            });
        };
        match &record.body {
            RecordBody::Created(created) => {
                book.check("a room begins once", self.kind.is_none(), || {
                    format!("{id} at {seq}")
                });
                self.kind = Some(created.kind);
                self.history = created.history;
                self.presence = created.presence;
                self.cipher = created.cipher;
                self.key = created.key;
                if let Some(password) = &created.password {
                    self.credentials.push((seq, password.credential));
                    if created.cipher == CipherKind::RoomPassword {
                        self.key = Some(password.key.id);
                    }
                }
                if self.needs_keys() {
                    let two = created.members.iter().map(|one| one.member);
                    let guest = two.chain([member]).find(|member| member.is_guest());
                    book.check("no guest is where keys are needed", guest.is_none(), || {
                        format!("{guest:?} in {id} at {seq}")
                    });
                }
                match created.kind {
                    RoomKind::Group => {
                        let its = RoomId::group(member, record.session, record.txn) == id;
                        book.check("a group is of the request that made it", its, || {
                            format!("{id}: {record:?}")
                        });
                        self.enter(id, member, Role::Owner, seq, book);
                    }
                    RoomKind::Private => {
                        let two: Vec<MemberId> =
                            created.members.iter().map(|one| one.member).collect();
                        let right = two.len() == 2
                            && two.contains(&member)
                            && RoomId::private(two[0], two[1]) == id;
                        book.check("a private conversation is of its two", right, || {
                            format!("{id}: {two:?} by {member}")
                        });
                        self.pair.clone_from(&two);
                        self.enter(id, member, Role::Member, seq, book);
                        self.invite_other(member, seq);
                    }
                    _ => {}
                }
            }
            RecordBody::Joined(_) => {
                let password = self.credential_before(seq);
                let proved = password.is_none_or(|password| proofs.contains(&(member, password)));
                book.check("who joins has proved the password in force", proved, || {
                    format!("{member} in {id} at {seq} where {password:?}")
                });
                book.check(
                    "only its two are in a private conversation",
                    !private || self.pair.contains(&member),
                    || format!("{member} in {id} at {seq}"),
                );
                let fits = !member.is_guest() || !self.needs_keys();
                book.check("no guest is where keys are needed", fits, || {
                    format!("{member} in {id} at {seq}")
                });
                self.enter(id, member, Role::Member, seq, book);
            }
            RecordBody::Left(left) => {
                book.check("only members leave", role.is_some(), || {
                    format!("{member} of {id} at {seq}")
                });
                if self.standing_at(member, seq) == Some(Standing::Invited) {
                    book.saw("an invitation declined");
                }
                if left.reason == chat_core::wire::record::LeftReason::Expired {
                    book.saw("a membership that expired");
                }
                self.depart(member, seq);
            }
            RecordBody::Message(said) | RecordBody::Action(said) => {
                let speaks = self.standing_at(member, seq) == Some(Standing::Member);
                book.check("only members speak", speaks, || {
                    format!("{member} in {id} at {seq}")
                });
                let mute = self.muted.get(&member);
                let silent = mute.is_some_and(|mute| self.lasts(*mute, book));
                book.check("nobody speaks who is muted", !silent, || {
                    format!("{member} in {id} at {seq}")
                });
                let blocked = self.blocking.iter().any(|other| *other != member);
                book.check("nobody speaks who is blocked", !blocked, || {
                    format!("{member} in {id} at {seq}")
                });
                let fits = match (&said.content, self.cipher) {
                    (Content::Plain(_), CipherKind::None) => true,
                    (Content::Caesar(_), CipherKind::Caesar) => true,
                    (Content::Sealed(sealed), CipherKind::StaticKey | CipherKind::RoomPassword) => {
                        self.key.is_none_or(|key| key == sealed.key)
                    }
                    _ => false,
                };
                book.check("what is said is in the room's cipher", fits, || {
                    format!("{member} in {id} at {seq}: {:?}", self.cipher)
                });
                if let Content::Plain(text) = &said.content {
                    let text = text.text.clone();
                    let new = self.said.insert(text.clone());
                    book.check("nothing is said twice", new, || {
                        format!("{text:?} in {id} again at {seq}")
                    });
                }
            }
            RecordBody::Topic(_) => {
                if !private {
                    allowed(Right::Topic, None);
                }
            }
            RecordBody::Role(change) => {
                allowed(Right::Role, Some(change.target));
                let there = self.roles.get_mut(&change.target);
                book.check("only members have roles", there.is_some(), || {
                    format!("{} of {id} at {seq}", change.target)
                });
                if let Some(role) = there {
                    self.owners -= usize::from(*role == Role::Owner);
                    self.owners += usize::from(change.role == Role::Owner);
                    *role = change.role;
                }
            }
            RecordBody::Kicked(removal) => {
                allowed(Right::Order, Some(removal.target));
                let there = self.roles.contains_key(&removal.target);
                book.check("only members are kicked", there, || {
                    format!("{} of {id} at {seq}", removal.target)
                });
                self.depart(removal.target, seq);
            }
            RecordBody::Banned(removal) => {
                allowed(Right::Order, Some(removal.target));
                let new = self.banned.insert(removal.target);
                book.check("nobody is banned twice", new, || {
                    format!("{} of {id} at {seq}", removal.target)
                });
                self.depart(removal.target, seq);
            }
            RecordBody::Unbanned(on) => {
                allowed(Right::Order, Some(on.target));
                let there = self.banned.remove(&on.target);
                book.check("only who is banned is let back in", there, || {
                    format!("{} of {id} at {seq}", on.target)
                });
            }
            RecordBody::Muted(muted) => {
                allowed(Right::Order, Some(muted.target));
                let there = self.roles.contains_key(&muted.target);
                book.check("only members are muted", there, || {
                    format!("{} of {id} at {seq}", muted.target)
                });
                self.muted.insert(muted.target, (seq, muted.seconds));
            }
            RecordBody::Unmuted(on) => {
                allowed(Right::Order, Some(on.target));
                self.muted.remove(&on.target);
            }
            RecordBody::Password(change) => {
                allowed(Right::Password, None);
                let had = !self.credentials.is_empty();
                book.check("only a password is changed", had, || {
                    format!("{id} at {seq}")
                });
                self.credentials.push((seq, change.password.credential));
                if self.cipher == CipherKind::RoomPassword {
                    self.key = Some(change.password.key.id);
                }
            }
            RecordBody::Blocked(blocked) => {
                book.check("only one of two blocks the other", private, || {
                    format!("{member} in {id} at {seq}")
                });
                if blocked.blocked {
                    self.blocking.insert(member);
                } else {
                    self.blocking.remove(&member);
                }
            }
            RecordBody::Redacted(redacted) => {
                let said = self.record(redacted.seq);
                let by = said.map(|said| said.member);
                let named = said.is_some_and(|said| Some(said.id()) == record.target);
                book.check("what is taken back is what was named", named, || {
                    format!("{id} {seq}: {record:?} where {said:?}")
                });
                let spoken = said.is_some_and(|said| {
                    matches!(
                        said.body,
                        RecordBody::Message(_) | RecordBody::Action(_) | RecordBody::Blank(_)
                    )
                });
                book.check("only what was said is taken back", spoken, || {
                    format!("{id} {seq}: {}", redacted.seq)
                });
                if by != Some(member) {
                    let theirs = by.and_then(|by| self.roles.get(&by).copied());
                    let may = role.is_some_and(|role| rights::has(role, Right::Redact, theirs));
                    book.check("roles are kept", may && !private, || {
                        format!("{id} {seq}: {member} ({role:?}) redacts {by:?} ({theirs:?})")
                    });
                    book.saw("a text taken back by a moderator");
                }
                self.redacted.entry(redacted.seq).or_default();
            }
            RecordBody::Reopened(_) => {
                let right = private && self.pair.contains(&member);
                book.check("only its two begin a conversation again", right, || {
                    format!("{member} in {id} at {seq}")
                });
                if self.standing_at(member, seq) != Some(Standing::Member) {
                    self.enter(id, member, Role::Member, seq, book);
                }
                self.invite_other(member, seq);
                book.saw("a conversation that began again");
            }
            RecordBody::Closed(_) => {
                book.saw("a room closed");
                let silent = !self.records.iter().any(|record| {
                    matches!(
                        record.body,
                        RecordBody::Message(_) | RecordBody::Action(_) | RecordBody::Blank(_)
                    )
                });
                // Of one whose whole log was lost, nobody knows any more.
                let may_end = self.kind.is_none() || self.kind == Some(RoomKind::Group) && silent;
                book.check("only a group without a word ends", may_end, || {
                    format!("{id} at {seq}: {:?}", self.kind)
                });
                if self.kind.is_some() {
                    book.saw("a group without a word that ended");
                }
                for member in self.members().collect::<Vec<_>>() {
                    self.depart(member, seq);
                }
                self.closed = Some(seq);
            }
            // In an earlier life of this log it was a text.
            RecordBody::Blank(_) => {
                book.check("a blank is of an earlier life", self.has_past, || {
                    format!("{id} at {seq}")
                });
            }
            unknown => book.fail("a room's log is readable", || format!("{unknown:?}")),
        }
        self.written.push(book.now);
        self.records.push(record);
    }

    /// Whether this is the server's own change of a role: a group without an owner gets one.
    fn hands_on(&self, change: &RoleChange) -> bool {
        self.owners == 0
            && self.kind == Some(RoomKind::Group)
            && change.role == Role::Owner
            && self.heir() == Some(change.target)
    }
}

/// Whether a request of such a record is recognised when it comes again. What else there is changes
/// nothing the second time, unless it has been undone meanwhile.
fn is_done_once(body: &RecordBody) -> bool {
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

/// Whether this is what stands in a record's place when its text is gone.
pub(crate) fn is_blank_of(blank: &Record, said: &Record) -> bool {
    matches!(blank.body, RecordBody::Blank(_))
        && matches!(said.body, RecordBody::Message(_) | RecordBody::Action(_))
        && Record {
            body: said.body.clone(),
            ..blank.clone()
        } == *said
}

/// Whether what is said is only to be read with a key that not everybody can make.
pub(crate) fn is_sealed(cipher: CipherKind) -> bool {
    matches!(cipher, CipherKind::StaticKey | CipherKind::RoomPassword)
}
