//! What is true: the logs, folded by a second reading of the specification that shares no code with the hub's. Each
//! record is judged when it is committed: whether it may follow those before it.

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    id::{CredentialId, MemberId, Partition, Place, RoomId, Seq},
    nick::NameKey,
    roles::{Action, Role, may},
    time::Wall,
    wire::{
        Record,
        record::{CipherKind, Content, HistoryPolicy, PresenceMode, RecordBody, RoomKind},
    },
};
use serde::Deserialize;

use crate::{book::Book, log::Kept};

/// All that is true.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Each life of each room's log.
    rooms: BTreeMap<(RoomId, u64), Room>,
    /// The present life of each room's log.
    present: BTreeMap<RoomId, u64>,
    pub(crate) directory: Directory,
    directory_epoch: u64,
    directory_lives: u32,
}

/// One life of a room's log.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) records: Vec<Record>,
    pub(crate) kind: Option<RoomKind>,
    pub(crate) history: HistoryPolicy,
    pub(crate) presence: PresenceMode,
    pub(crate) cipher: CipherKind,
    /// From when to when somebody was a member; the record that ended it is theirs to see.
    stays: BTreeMap<MemberId, Vec<(Seq, Option<Seq>)>>,
    roles: BTreeMap<MemberId, Role>,
    banned: BTreeSet<MemberId>,
    muted: BTreeMap<MemberId, Option<Wall>>,
    blocking: BTreeSet<MemberId>,
    done: BTreeSet<(MemberId, u64)>,
    said: BTreeSet<String>,
    /// What was taken back, and since when its text is out of the log.
    redacted: BTreeMap<Seq, Option<u64>>,
    /// The registrations of the password, each from its record on.
    credentials: Vec<(Seq, CredentialId)>,
}

/// The directory.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    length: usize,
    people: BTreeMap<MemberId, Person>,
    folded: BTreeMap<String, MemberId>,
    skeletons: BTreeMap<String, MemberId>,
    pub(crate) groups: Vec<RoomId>,
    names: BTreeSet<String>,
    /// The topic of each group, and as of which place of its log.
    titles: BTreeMap<RoomId, (String, Place)>,
}

#[derive(Debug, Default)]
pub(crate) struct Person {
    pub(crate) nick: String,
    key: Option<NameKey>,
    /// Which hub holds the name.
    pub(crate) lease: Option<u64>,
    pub(crate) rooms: BTreeSet<RoomId>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    seq: Seq,
    #[expect(dead_code, reason = "part of the form")]
    time: Wall,
    member: MemberId,
    #[expect(dead_code, reason = "part of the form")]
    txn: u64,
    change: Change,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "part of the form")]
enum Change {
    Leased {
        nick: String,
        label: String,
        key: NameKey,
        kept: bool,
        node: u64,
        from: Option<(String, String)>,
    },
    Released,
    Expired,
    Entered(RoomId),
    Exited(RoomId),
    Listed {
        room: RoomId,
        number: u32,
        name: Option<(String, NameKey)>,
        topic: String,
        cipher: CipherKind,
        protected: bool,
    },
    Retitled {
        room: RoomId,
        topic: String,
    },
    Opened {
        room: RoomId,
        with: MemberId,
        after: u64,
    },
    Titled {
        room: RoomId,
        topic: String,
        place: Place,
    },
}

impl Truth {
    /// Takes in what is new in a partition.
    pub(crate) fn absorb(&mut self, partition: Partition, kept: &Kept, book: &mut Book) {
        match partition {
            Partition::Directory => {
                if self.directory_epoch != kept.epoch {
                    self.directory_epoch = kept.epoch;
                    self.directory_lives += 1;
                    self.directory = Directory::default();
                }
                let known = self.directory.length;
                let kept = still_there(kept, known, partition, book);
                for bytes in kept {
                    match postcard::take_from_bytes::<Entry>(bytes) {
                        Ok((entry, _)) => self.directory.apply(entry, book),
                        Err(e) => book.fail("the directory's log is readable", || e.to_string()),
                    }
                }
            }
            Partition::Room(id) => {
                self.present.insert(id, kept.epoch);
                let room = self.rooms.entry((id, kept.epoch)).or_default();
                let kept = still_there(kept, room.records.len(), partition, book);
                for bytes in kept {
                    match Record::from_bytes(bytes) {
                        Ok(record) => room.apply(id, record, book),
                        Err(e) => book.fail("a room's log is readable", || e.to_string()),
                    }
                }
            }
        }
    }

    /// The log is asked to put other bytes in a record's place.
    pub(crate) fn redacted(&mut self, id: RoomId, seq: Seq, replacement: &[u8], book: &mut Book) {
        let now = book.now;
        let room = self.present.get(&id).copied();
        let room = room.and_then(|epoch| self.rooms.get_mut(&(id, epoch)));
        let right = room.is_some_and(|room| {
            let blank = Record::from_bytes(replacement).ok();
            let fits = blank.is_some_and(|blank| {
                room.record(seq).is_some_and(|said| {
                    *said == blank || (room.is_redacted(seq) && is_blank_of(&blank, said))
                }) && matches!(blank.body, RecordBody::Blank(_))
            });
            if let Some(since) = room.redacted.get_mut(&seq) {
                since.get_or_insert(now);
            }
            fits
        });
        book.saw("a text taken out of the log");
        book.check(
            "a redaction takes the text that was taken back, and no more",
            right,
            || format!("{id}: {seq}"),
        );
    }

    pub(crate) fn room(&self, id: RoomId, epoch: u64) -> Option<&Room> {
        self.rooms.get(&(id, epoch))
    }

    /// The room as it is now.
    pub(crate) fn present(&self, id: RoomId) -> Option<(u64, &Room)> {
        let epoch = *self.present.get(&id)?;
        Some((epoch, self.rooms.get(&(id, epoch))?))
    }

    pub(crate) fn rooms_ever(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.keys().map(|(room, _)| *room)
    }

    pub(crate) fn rooms_now(&self) -> impl Iterator<Item = (RoomId, u64, &Room)> {
        self.present
            .iter()
            .filter_map(|(id, epoch)| Some((*id, *epoch, self.rooms.get(&(*id, *epoch))?)))
    }

    /// Whether the directory's log never lost its end: then it knows of every membership.
    pub(crate) fn directory_is_whole(&self) -> bool {
        self.directory_lives <= 1
    }

    /// How many groups there have been, also in lives of the directory that are lost.
    pub(crate) fn groups_ever(&self) -> usize {
        self.rooms.len()
    }

    /// How often the end of the room's log was lost.
    pub(crate) fn lives(&self, id: RoomId) -> usize {
        self.rooms.range((id, 0)..=(id, u64::MAX)).count()
    }
}

impl Room {
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

    pub(crate) fn topic(&self) -> &str {
        self.records
            .iter()
            .rev()
            .find_map(|record| match &record.body {
                RecordBody::Topic(change) => Some(change.topic.as_str()),
                RecordBody::Created(created) => Some(created.topic.as_str()),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// Something that was said, by this member or by others.
    pub(crate) fn something_said(&self, by: MemberId, own: bool, pick: u32) -> Option<Seq> {
        let fits = |record: &&Record| {
            matches!(record.body, RecordBody::Message(_) | RecordBody::Action(_))
                && (record.member == by) == own
        };
        let said = self.records.iter().rev().filter(fits);
        let among = 1 + pick as usize % 4;
        said.take(among).last().map(|record| record.seq)
    }

    /// Whether a member may be told of the record as something that happens.
    pub(crate) fn may_hear(&self, member: MemberId, seq: Seq) -> bool {
        let stays = self.stays.get(&member).into_iter().flatten();
        match self.history {
            HistoryPolicy::SinceJoined => stays
                .clone()
                .any(|(since, until)| *since <= seq && until.is_none_or(|until| seq <= until)),
            // Who comes back may read what was said meanwhile.
            HistoryPolicy::All => stays
                .clone()
                .any(|(_, until)| until.is_none_or(|until| seq <= until)),
        }
    }

    pub(crate) fn is_member_at(&self, member: MemberId, seq: Seq) -> bool {
        let stays = self.stays.get(&member).into_iter().flatten();
        stays
            .clone()
            .any(|(since, until)| *since <= seq && until.is_none_or(|until| seq < until))
    }

    /// Since which record they are a member, of those who are now.
    pub(crate) fn member_since(&self, member: MemberId) -> Option<Seq> {
        self.stays
            .get(&member)?
            .last()
            .filter(|(_, until)| until.is_none())
            .map(|(since, _)| *since)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = MemberId> {
        self.roles.keys().copied()
    }

    /// The registration in force just before a record.
    pub(crate) fn credential_before(&self, seq: Seq) -> Option<CredentialId> {
        self.credentials
            .iter()
            .rev()
            .find(|(since, _)| *since < seq)
            .map(|(_, credential)| *credential)
    }

    pub(crate) fn has_said(&self, text: &str) -> bool {
        self.said.contains(text)
    }

    fn enter(&mut self, id: RoomId, member: MemberId, role: Role, seq: Seq, book: &mut Book) {
        let new = self.roles.insert(member, role).is_none();
        book.check("nobody joins twice", new, || {
            format!("{member} in {id} at {seq}")
        });
        let free = !self.banned.contains(&member);
        book.check("nobody joins who is banned", free, || {
            format!("{member} in {id} at {seq}")
        });
        self.stays.entry(member).or_default().push((seq, None));
    }

    fn depart(&mut self, member: MemberId, seq: Seq) {
        self.roles.remove(&member);
        if let Some((_, until)) = self
            .stays
            .get_mut(&member)
            .and_then(|stays| stays.last_mut())
        {
            until.get_or_insert(seq);
        }
    }

    fn apply(&mut self, id: RoomId, record: Record, book: &mut Book) {
        let (seq, member) = (record.seq, record.member);
        book.check("seq has no holes", seq == self.head() + 1, || {
            format!("{id}: {seq} after {}", self.head())
        });
        if record.txn != 0 {
            let new = self.done.insert((member, record.txn));
            book.check("nothing is done twice", new, || {
                format!(
                    "{id}: txn {} of {member} again at {seq}: {:?}",
                    record.txn, record.body
                )
            });
        }
        let role = self.roles.get(&member).copied();
        let private = self.kind == Some(RoomKind::Private);
        let mut allowed = |action: Action, target: Option<MemberId>| {
            let theirs = target.and_then(|target| self.roles.get(&target).copied());
            let stepping_down = target == Some(member) && matches!(action, Action::Grant(_));
            let by_server = member == MemberId::SERVER;
            let may = by_server
                || role.is_some_and(|role| may(role, action, theirs))
                    && (target != Some(member) || stepping_down);
            book.check("roles are kept", may, || {
                format!("{id} {seq}: {member} ({role:?}) {action:?} {target:?} ({theirs:?})")
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
                self.credentials.extend(
                    created
                        .password
                        .iter()
                        .map(|password| (seq, password.credential)),
                );
                match created.kind {
                    RoomKind::Lobby => {}
                    RoomKind::Group => self.enter(id, member, Role::Owner, seq, book),
                    RoomKind::Private => {
                        created.members.iter().for_each(|person| {
                            self.enter(id, person.member, Role::Member, seq, book)
                        });
                    }
                }
            }
            RecordBody::Joined(_) => self.enter(id, member, Role::Member, seq, book),
            RecordBody::Left(_) => {
                book.check("only members leave", role.is_some(), || {
                    format!("{member} of {id} at {seq}")
                });
                self.depart(member, seq);
            }
            RecordBody::Message(said) | RecordBody::Action(said) => {
                book.check("only members speak", role.is_some(), || {
                    format!("{member} in {id} at {seq}")
                });
                let silent = self
                    .muted
                    .get(&member)
                    .is_some_and(|until| until.is_none_or(|until| record.time < until));
                book.check("nobody speaks who is muted", !silent, || {
                    format!("{member} in {id} at {seq}")
                });
                let blocked = self.blocking.iter().any(|other| *other != member);
                book.check("nobody speaks who is blocked", !blocked, || {
                    format!("{member} in {id} at {seq}")
                });
                if let Content::Plain(text) = &said.content {
                    let new = self.said.insert(text.clone());
                    book.check("nothing is said twice", new, || {
                        format!("{text:?} in {id} again at {seq}")
                    });
                }
            }
            RecordBody::Topic(_) => {
                if !private {
                    allowed(Action::Topic, None);
                }
            }
            RecordBody::Role(change) => {
                allowed(Action::Grant(change.role), Some(change.target));
                if let Some(role) = self.roles.get_mut(&change.target) {
                    *role = change.role;
                }
            }
            RecordBody::Kicked(removal) => {
                allowed(Action::Kick, Some(removal.target));
                let there = self.roles.contains_key(&removal.target);
                book.check("only members are kicked", there, || {
                    format!("{} of {id} at {seq}", removal.target)
                });
                self.depart(removal.target, seq);
            }
            RecordBody::Banned(removal) => {
                allowed(Action::Ban, Some(removal.target));
                self.banned.insert(removal.target);
                self.depart(removal.target, seq);
            }
            RecordBody::Unbanned(target) => {
                allowed(Action::Ban, None);
                self.banned.remove(&target.target);
            }
            RecordBody::Muted(muted) => {
                allowed(Action::Mute, Some(muted.target));
                self.muted.insert(muted.target, muted.until);
            }
            RecordBody::Unmuted(target) => {
                allowed(Action::Mute, Some(target.target));
                self.muted.remove(&target.target);
            }
            RecordBody::Password(change) => {
                allowed(Action::Password, None);
                self.credentials.push((seq, change.password.credential));
            }
            RecordBody::Blocked(blocked) => {
                if blocked.blocked {
                    self.blocking.insert(member);
                } else {
                    self.blocking.remove(&member);
                }
            }
            RecordBody::Redacted(redacted) => {
                let said = self.record(redacted.seq);
                let by = said.map(|said| said.member);
                let spoken = said.is_some_and(|said| {
                    matches!(
                        said.body,
                        RecordBody::Message(_) | RecordBody::Action(_) | RecordBody::Blank(_)
                    )
                });
                book.check("only what was said is taken back", spoken, || {
                    format!("{id} {seq}: {}", redacted.seq)
                });
                if by == Some(member) {
                    book.check("only members speak", role.is_some(), || {
                        format!("{member} in {id} at {seq}")
                    });
                } else {
                    book.check("roles are kept", !private, || {
                        format!("{id} {seq}: {member} takes back what {by:?} said")
                    });
                    let theirs = by.and_then(|by| self.roles.get(&by).copied());
                    let may = role.is_some_and(|role| may(role, Action::Redact, theirs));
                    book.check("roles are kept", may, || {
                        format!("{id} {seq}: {member} ({role:?}) redacts {by:?} ({theirs:?})")
                    });
                    book.saw("a text taken back by a moderator");
                }
                self.redacted.entry(redacted.seq).or_default();
            }
            // In an earlier life of this log it was a text.
            RecordBody::Blank(_) => {}
            unknown => book.fail("a room's log is readable", || format!("{unknown:?}")),
        }
        self.records.push(record);
    }
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

/// The records after those that are known, which must all be there still.
fn still_there<'a>(
    kept: &'a Kept,
    known: usize,
    partition: Partition,
    book: &mut Book,
) -> &'a [bytes::Bytes] {
    let there = kept.records.len();
    book.check("what was committed is there", known <= there, || {
        format!("{partition:?}: {there} records where there were {known}")
    });
    kept.records.get(known..).unwrap_or_default()
}

impl Directory {
    pub(crate) fn person(&self, member: MemberId) -> Option<&Person> {
        self.people.get(&member)
    }

    /// The topic that the list has for a group.
    pub(crate) fn topic(&self, room: RoomId) -> Option<&str> {
        self.titles.get(&room).map(|(topic, _)| topic.as_str())
    }

    fn holds_nick(&self, member: MemberId) -> bool {
        self.people
            .get(&member)
            .is_some_and(|person| person.lease.is_some())
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = (MemberId, &Person)> {
        self.people
            .iter()
            .filter(|(_, person)| person.lease.is_some())
            .map(|(member, person)| (*member, person))
    }

    fn free(&mut self, member: MemberId) {
        if let Some(person) = self.people.get_mut(&member)
            && person.lease.take().is_some()
            && let Some(key) = &person.key
        {
            self.folded.remove(&key.folded);
            self.skeletons.remove(&key.skeleton);
        }
    }

    fn apply(&mut self, entry: Entry, book: &mut Book) {
        let (seq, member) = (entry.seq, entry.member);
        self.length += 1;
        book.check("seq has no holes", seq == self.length as Seq, || {
            format!("directory: {seq} where {} is next", self.length)
        });
        match entry.change {
            Change::Leased {
                nick, key, node, ..
            } => {
                self.free(member);
                let before = [
                    self.folded.insert(key.folded.clone(), member),
                    self.skeletons.insert(key.skeleton.clone(), member),
                ];
                let free = before.iter().all(Option::is_none);
                book.check("a nick has one holder", free, || {
                    format!("{nick:?} of {member} at {seq} is held by {before:?}")
                });
                let person = self.people.entry(member).or_default();
                (person.nick, person.key, person.lease) = (nick, Some(key), Some(node));
            }
            Change::Released => self.free(member),
            Change::Expired => {
                let holds = self.holds_nick(member);
                book.check("nobody expires who is here", !holds, || {
                    format!("{member} at {seq}")
                });
                self.people.remove(&member);
            }
            Change::Entered(room) => {
                self.people.entry(member).or_default().rooms.insert(room);
            }
            Change::Exited(room) => {
                self.people.entry(member).or_default().rooms.remove(&room);
            }
            Change::Listed {
                room,
                number,
                name,
                topic,
                ..
            } => {
                self.titles
                    .insert(room, (topic, Place { epoch: 0, seq: 0 }));
                let next = self.groups.len() as u32;
                book.check("numbers of groups are dense", number == next, || {
                    format!("{number} where {next} is next")
                });
                let new = !self.groups.contains(&room);
                book.check("a group has one number", new, || format!("{room} at {seq}"));
                self.groups.push(room);
                if let Some((name, key)) = name {
                    let new = self.names.insert(key.folded);
                    book.check("a group's name is its own", new, || {
                        format!("{name:?} at {seq}")
                    });
                }
                self.people.entry(member).or_default().rooms.insert(room);
            }
            Change::Retitled { .. } => book.fail("topics are listed with their place", || {
                format!("{seq} in the directory")
            }),
            Change::Titled { room, topic, place } => {
                let before = self.titles.get(&room).map(|(_, place)| *place);
                if before.is_none_or(|at| at.epoch != place.epoch || at.seq < place.seq) {
                    self.titles.insert(room, (topic, place));
                }
            }
            Change::Opened { room, with, .. } => {
                self.people.entry(member).or_default().rooms.insert(room);
                self.people.entry(with).or_default().rooms.insert(room);
            }
        }
    }
}
