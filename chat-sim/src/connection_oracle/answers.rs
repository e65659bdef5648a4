//! Answers: whether what one is told of a request is what came of it, and whether one may be told.

use core::ops::RangeInclusive;

use chat_core::{
    hub::Hub,
    id::{CredentialId, MemberId, MessageId, Partition, RoomId, Seq},
    wire::{
        ErrorCode, Record,
        client::{HistoryFrom, List, Members, Mute, Op, Peer, Remove, RoomRef},
        record::{LeftReason, RecordBody},
        server::{Answer, Committed, HistoryPage, MemberPage, Named, RoomView, Rooms},
    },
};

use super::{Asked, Line};
use crate::{
    journal::Book,
    log::Log,
    reference_model::{Room, Truth, is_sealed},
};

/// Entries of a page, at most.
const PAGE: usize = 100;

/// The truth at the moment of a hub's word.
pub(crate) struct Scene<'a> {
    pub(crate) truth: &'a Truth,
    pub(crate) log: &'a Log,
    /// The hub that speaks; its news of the logs may be old.
    pub(crate) hub: Option<&'a Hub>,
    /// Whether anybody is at the other end.
    pub(crate) alive: bool,
}

impl Scene<'_> {
    /// How far the hub knows a room.
    pub(super) fn known(&self, room: RoomId) -> Option<(Seq, &Room)> {
        let place = self.hub?.place_of(Partition::Room(room))?;
        Some((place.seq, self.truth.room(room, place.epoch)?))
    }

    /// Whether the hub knows all of the directory.
    fn knows_the_directory(&self) -> bool {
        let place = self
            .hub
            .and_then(|hub| hub.place_of(Partition::Directory(0)));
        place == Some(self.log.head(Partition::Directory(0)))
    }
}

impl Line {
    pub(super) fn answered(
        &mut self,
        asked: &Asked,
        answer: &Answer,
        scene: &Scene<'_>,
        book: &mut Book,
    ) {
        match answer {
            Answer::Join(view) | Answer::Create(view) | Answer::Direct(view) => {
                self.look(view, scene, book);
                self.is_what_was_asked_for(asked, view, scene, book);
                if matches!(asked.op, Op::Join(_)) {
                    self.has_proved(asked, view, scene.truth, book);
                }
                self.rooms.entry(view.room).or_insert(view.place);
            }
            Answer::List(rooms) => {
                if let Op::List(list) = &asked.op {
                    self.lists(list, rooms, scene, book);
                }
            }
            Answer::Nick(named) => self.is_called(asked, named, scene.truth, book),
            Answer::Members(page) => {
                if let Op::Members(members) = &asked.op {
                    self.counts(members, page, scene, book);
                }
            }
            Answer::History(page) => self.reads(asked, page, scene, book),
            Answer::Send(done)
            | Answer::Topic(done)
            | Answer::Kick(done)
            | Answer::Leave(done)
            | Answer::Mute(done)
            | Answer::Password(done)
            | Answer::Role(done)
            | Answer::Ban(done)
            | Answer::Unban(done)
            | Answer::Unmute(done)
            | Answer::Redact(done)
            | Answer::Block(done) => self.is_done(asked, *done, scene, book),
            Answer::Register(_) | Answer::Login(_) => {}
            unknown => book.fail("the hub speaks its protocol", || format!("{unknown:?}")),
        }
    }

    /// A room that one is shown is the one that was asked for.
    fn is_what_was_asked_for(
        &self,
        asked: &Asked,
        view: &RoomView,
        scene: &Scene<'_>,
        book: &mut Book,
    ) {
        let me = self.member;
        let first = scene
            .truth
            .room(view.room, view.place.epoch)
            .and_then(|room| room.record(1))
            .map(|record| &record.body);
        let right = match (&asked.op, first) {
            (Op::Join(join), Some(_)) => match join.room {
                RoomRef::Lobby => view.room == RoomId::LOBBY,
                RoomRef::Id(id) => view.room == id,
                // In another life of the directory it may have been another one's.
                RoomRef::Number(number) => {
                    view.number == Some(number) || !scene.truth.directory_is_whole()
                }
            },
            (Op::Create(create), Some(RecordBody::Created(created))) => {
                created.cipher == create.cipher
                    && created.history == create.history
                    && created.presence == create.presence
                    // In doubt, one registers anew under the same number.
                    && created.password.is_some() == create.password.is_some()
                    && created.topic == create.topic
            }
            (Op::Direct(direct), Some(RecordBody::Created(_))) => {
                let with = view.peer.as_ref().map(|peer| peer.member);
                with.is_some_and(|with| {
                    view.room == RoomId::private(me, with)
                        && match &direct.to {
                            Peer::Member(member) => *member == with,
                            Peer::Nick(nick) => {
                                scene.truth.called(nick).any(|member| member == with)
                            }
                        }
                })
            }
            _ => false,
        };
        book.check("a room is the one that was asked for", right, || {
            format!("{me}: {asked:?}: {view:?}")
        });
    }

    /// A member that is let in has shown the password that is in force, if there is one.
    fn has_proved(&self, asked: &Asked, view: &RoomView, truth: &Truth, book: &mut Book) {
        let Some(room) = truth.room(view.room, view.place.epoch) else {
            return;
        };
        // A member that was in already needs none, be it by another join that was answered just
        // before.
        let let_in = view.place.seq == view.since
            && !self.rooms.contains_key(&view.room)
            && room.written_at(view.since).is_some_and(|at| at >= asked.at);
        if let_in {
            let in_force = room.credential_before(view.since);
            let proved = in_force.is_none() || proof_of(&asked.op) == in_force;
            book.check("who joins has proved the password in force", proved, || {
                format!(
                    "{} joined {} by {:?} where {in_force:?}",
                    self.member, view.room, asked.op
                )
            });
        }
    }

    fn lists(&self, list: &List, answer: &Rooms, scene: &Scene<'_>, book: &mut Book) {
        if !scene.knows_the_directory() {
            return;
        }
        let directory = &scene.truth.directory;
        let from = list.after.map_or(0, |after| after.saturating_add(1));
        let rest = directory.groups_from(from);
        let page = rest.len().min(limit(list.limit));
        let same = answer.more == (rest.len() > page)
            && answer.rooms.len() == page
            && answer.rooms.iter().zip(&rest).all(|(info, id)| {
                info.room == *id
                    && directory.listed(*id).is_some_and(|listed| {
                        Some(info.number) == listed.number
                            && info.name == listed.name
                            && info.members as usize == listed.members.len()
                            && info.topic == listed.about.topic
                            && info.protected == listed.about.protected
                    })
            });
        book.check("the list is of the groups there are", same, || {
            let there: Vec<_> = rest.iter().map(|id| (id, directory.listed(*id))).collect();
            format!("{}: {answer:?} where {there:?}", self.member)
        });
    }

    fn is_called(&self, asked: &Asked, named: &Named, truth: &Truth, book: &mut Book) {
        let me = self.member;
        let person = truth.directory.person(me);
        let now = person
            .is_some_and(|person| (&person.nick, &person.label) == (&named.nick, &named.label));
        let wanted = match &asked.op {
            Op::Nick(nick) => (&nick.nick, &nick.label) == (&named.nick, &named.label),
            _ => false,
        };
        // Another of its requests, or a lost end of the log, may have come in between.
        let once = wanted && truth.called(&named.nick).any(|member| member == me);
        book.check("a name is given to who is told it", now || once, || {
            format!("{me}: {asked:?}: {named:?} where {person:?}")
        });
    }

    fn counts(&self, asked: &Members, page: &MemberPage, scene: &Scene<'_>, book: &mut Book) {
        let (me, id) = (self.member, asked.room);
        let Some((seq, room)) = scene.known(id) else {
            return book.fail("only members ask who is a member", || format!("{me}: {id}"));
        };
        let may = room.is_member_at(me, seq);
        book.check("only members ask who is a member", may, || {
            format!("{me} at {seq} of {id}")
        });
        let after = asked.after;
        let all = room.members_at(seq).filter(|member| Some(*member) > after);
        let all: Vec<MemberId> = all.collect();
        let count = all.len().min(limit(asked.limit));
        let directory = &scene.truth.directory;
        let named = scene.knows_the_directory();
        let same = page.more == (all.len() > count)
            && page.members.len() == count
            && page.members.iter().zip(&all).all(|(info, member)| {
                let mute = room.muted_at(*member, seq);
                let muted = if info.muted {
                    mute.is_some()
                } else {
                    !mute.is_some_and(|mute| room.lasts(mute, book))
                };
                // A listed member that has never had a name here is called as the room says.
                let person = directory
                    .person(*member)
                    .filter(|person| !person.nick.is_empty());
                let known = person.is_none_or(|person| {
                    (&info.nick, &info.label) == (&person.nick, &person.label)
                });
                info.member == *member
                    && Some(info.standing) == room.standing_at(*member, seq)
                    && Some(info.role) == room.role_at(*member, seq)
                    && muted
                    && (known || !named)
            });
        book.check("the list is of the members there are", same, || {
            format!("{me}: {page:?} of {id} at {seq} where {all:?}")
        });
    }

    fn reads(&self, asked: &Asked, page: &HistoryPage, scene: &Scene<'_>, book: &mut Book) {
        let me = self.member;
        let Op::History(history) = &asked.op else {
            return;
        };
        let id = history.room;
        let known = scene
            .known(id)
            .filter(|_| scene.truth.room(id, page.epoch).is_some());
        let since = known.and_then(|(seq, room)| room.readable_at(me, seq));
        let (Some((seq, room)), Some(from)) = (known, since) else {
            return book.fail("only members read", || format!("{me} of {id}: {known:?}"));
        };
        for two in page.records.windows(2) {
            book.check("history has no holes", two[0].seq + 1 == two[1].seq, || {
                format!("{id}: {} then {}", two[0].seq, two[1].seq)
            });
        }
        for record in &page.records {
            Self::is_true(id, page.epoch, record, scene.truth, book);
            Self::is_gone(id, page.epoch, record, scene.truth, book);
            let may = record.seq >= from && room.may_hear(me, record.seq);
            book.check("only members read", may, || {
                format!("{me} reads {} of {id}, from {from} on", record.seq)
            });
        }
        let first = page.records.first().map(|record| record.seq);
        let last = page.records.last().map(|record| record.seq);
        let oldest = scene.log.oldest(Partition::Room(id)).max(from);
        // Records told before the question are in the page; later ones may be or not.
        let told = asked.told.filter(|told| told.epoch == page.epoch);
        let told = told.map_or(0, |told| told.seq);
        let there = |seqs: RangeInclusive<Seq>| *seqs.start() <= (*seqs.end()).min(told);
        let begin = page.oldest.max(1);
        let up_to = |end: Seq| !there(last.map_or(begin, |last| last + 1)..=end);
        // All that the hub knows of is trimmed.
        let nothing = page.oldest == 0 && page.records.is_empty() && oldest > seq;
        let fits = match history.from {
            _ if nothing => true,
            HistoryFrom::Before(before) => {
                last.is_none_or(|last| last < before) && up_to(before.saturating_sub(1))
            }
            HistoryFrom::After(after) => {
                let next = begin.max(after.saturating_add(1));
                match first {
                    Some(first) => after < first && (first == next || first <= oldest),
                    None => !there(next..=seq),
                }
            }
            HistoryFrom::Latest => up_to(seq),
            HistoryFrom::Around(_) => first.is_some() || !there(begin..=seq),
        };
        let fits = fits
            && page.newest == seq
            && (from..=oldest).contains(&page.oldest) | nothing
            && last.is_none_or(|last| last <= page.newest)
            && first.is_none_or(|first| page.oldest <= first)
            && page.records.len() <= limit(history.limit);
        book.check("history is what was asked for", fits, || {
            format!(
                "{me}: {history:?} of {id} at {seq}, from {oldest}: {first:?} to {last:?} of {} to {}",
                page.oldest, page.newest
            )
        });
    }

    /// A refused request was not done, and there is a reason to refuse it.
    pub(super) fn refused(
        &self,
        asked: &Asked,
        code: ErrorCode,
        scene: &Scene<'_>,
        book: &mut Book,
    ) {
        let me = self.member;
        if code == ErrorCode::NeedsKeys {
            self.lacks_keys(asked, scene, book);
        }
        let Some(id) = joined_or_named(&asked.op) else {
            return;
        };
        let Some((seq, room)) = scene.known(id) else {
            return;
        };
        // The log may say later that it has written after all. A join by id may be a repeat of one
        // in an earlier life.
        let in_doubt = code == ErrorCode::Unavailable
            || asked.again
            || !scene.alive
            || matches!(asked.op, Op::Join(_))
            || matches!(code, ErrorCode::TxnReused | ErrorCode::TxnForgotten);
        let done = !in_doubt && asked.txn != 0 && room.has_done(me, self.session, asked.txn);
        book.check("what is refused is not done", !done, || {
            format!("{me}: {asked:?}: {code:?}")
        });
        // As it was a moment ago, for what had to wait.
        let at_some_time = |so: &dyn Fn(Seq) -> bool| (seq.saturating_sub(3)..=seq).any(so);
        let right = match (code, &asked.op) {
            (ErrorCode::TxnReused, _) => {
                let id = MessageId {
                    member: me,
                    session: self.session,
                    txn: asked.txn,
                };
                let before = room.asked_for(id).map(|record| record.hash);
                before.is_some_and(|hash| hash != asked.op.hash())
            }
            (ErrorCode::TxnForgotten, _) => room.forgets(me, self.session, asked.txn),
            (ErrorCode::Banned, Op::Join(_)) => at_some_time(&|seq| room.is_banned_at(me, seq)),
            (ErrorCode::Muted, Op::Send(_)) => {
                at_some_time(&|seq| room.muted_at(me, seq).is_some())
            }
            (ErrorCode::Forbidden, Op::Topic(_)) => {
                at_some_time(&|seq| !room.may_set_the_topic(me, seq))
            }
            (ErrorCode::Forbidden, Op::Password(_)) => {
                at_some_time(&|seq| !room.may_set_the_password(me, seq))
            }
            (
                ErrorCode::Forbidden,
                Op::Kick(Remove { target, .. }) | Op::Ban(Remove { target, .. }),
            )
            | (ErrorCode::Forbidden, Op::Mute(Mute { target, .. })) => match target {
                Peer::Member(target) => at_some_time(&|seq| !room.may_order(me, *target, seq)),
                Peer::Nick(_) => return,
            },
            _ => return,
        };
        book.check("what is refused is forbidden", right, || {
            format!("{me}: {asked:?}: {code:?} at {seq} of {id}")
        });
    }

    /// Guests are refused what they may not do.
    fn lacks_keys(&self, asked: &Asked, scene: &Scene<'_>, book: &mut Book) {
        let me = self.member;
        let right = match &asked.op {
            Op::Direct(direct) => {
                let is_guest = match &direct.to {
                    Peer::Member(other) => other.is_guest(),
                    Peer::Nick(nick) => scene.truth.called(nick).any(MemberId::is_guest),
                };
                me.is_guest() || is_guest
            }
            Op::Register(_) | Op::Login(_) | Op::Password(_) => me.is_guest(),
            Op::Create(create) => {
                me.is_guest() && (create.password.is_some() || is_sealed(create.cipher))
            }
            Op::Join(join) => {
                let room = joined_or_named(&asked.op).and_then(|id| scene.known(id));
                let needs = room.is_none_or(|(_, room)| room.needs_keys());
                me.is_guest() && (join.proof.is_some() || needs)
            }
            _ => false,
        };
        book.check("what needs keys is refused to guests", right, || {
            format!("{me}: {asked:?}")
        });
    }

    /// A change that is acknowledged stands in the log, or had been made before.
    fn is_done(&mut self, asked: &Asked, done: Committed, scene: &Scene<'_>, book: &mut Book) {
        let (me, place) = (self.member, done.place);
        let Some(id) = room_of(&asked.op) else {
            return;
        };
        let room = scene.truth.room(id, place.epoch);
        let stands = room.and_then(|room| room.record(place.seq));
        let same = stands.is_some_and(|record| {
            let id = (record.member, record.session, record.txn, record.hash);
            let request = (me, self.session, asked.txn, asked.op.hash());
            id == request && became(&asked.op, record)
        });
        let nothing = !same
            && room.is_some_and(|room| {
                place.seq <= room.head()
                    && changes_nothing(&asked.op, me, room, place.seq, scene.truth)
            });
        if nothing {
            book.saw("a change that had been made before");
        }
        book.check(
            "what is acknowledged stands in the log",
            same || nothing,
            || format!("{me}: {asked:?} is acknowledged at {place:?} of {id}, where {stands:?}"),
        );
        let new = room.and_then(|room| room.written_at(place.seq));
        // A redaction is looked up first, and a repeat has its first one's place.
        // On a dead connection it may be the repeat on another one that is answered.
        let own = !asked.again && !matches!(asked.op, Op::Redact(_)) && scene.alive;
        let first = room.is_some_and(|room| stands.is_some_and(|record| room.is_first(record)));
        if same && own && first && new.is_some_and(|at| at > asked.at) {
            let became = self.became.entry((id, place.epoch)).or_default();
            became.insert(asked.id, place.seq);
            let before = became.range(..asked.id).next_back();
            let after = became.range(asked.id + 1..).next();
            let right = before.is_none_or(|(_, seq)| *seq < place.seq)
                && after.is_none_or(|(_, seq)| place.seq < *seq);
            book.check("what changes a room is done in order", right, || {
                format!("{me}: {asked:?} at {place:?} of {id}, {before:?}, {after:?}")
            });
        }
        if matches!(asked.op, Op::Leave(_))
            && let Some(at) = self.rooms.remove(&id)
        {
            if at.epoch == place.epoch && at.seq > place.seq {
                // That had been done before, and one has come in again since.
                self.rooms.insert(id, at);
            }
            let log_now = Partition::Room(id);
            let trimmed = scene.log.oldest(log_now) > at.seq + 1
                || scene.log.was_damaged(log_now, at.seq + 1..=place.seq);
            let lost = scene.log.head(log_now).epoch != place.epoch || at.epoch != place.epoch;
            // A member that is back before having read so far is spared the records until then.
            let back = room.is_some_and(|room| room.member_since(me) > Some(place.seq));
            // A leave that had been done already is answered with where the log is.
            let out = room.is_some_and(|room| room.out_since(me, place.seq) == Some(at.seq));
            book.check(
                "the answer to a leave comes after the records",
                at == place || out || trimmed || lost || back,
                || format!("{me} is at {at:?} of {id} and left at {place:?}"),
            );
        }
    }
}

/// The registration whose password a join shows to be known. Nobody who does not know it can make
/// more than zeros.
pub(crate) fn proof_of(op: &Op) -> Option<CredentialId> {
    match op {
        Op::Join(join) => join
            .proof
            .as_ref()
            .filter(|proof| proof.ke3.iter().any(|byte| *byte != 0))
            .map(|proof| proof.credential),
        _ => None,
    }
}

/// The room that is to be changed or read, of those that are named by their ids.
pub(crate) fn room_of(op: &Op) -> Option<RoomId> {
    Some(match op {
        Op::Send(on) => on.room,
        Op::Leave(on) => on.room,
        Op::Members(on) => on.room,
        Op::History(on) => on.room,
        Op::Topic(on) => on.room,
        Op::Role(on) => on.room,
        Op::Kick(on) | Op::Ban(on) => on.room,
        Op::Mute(on) => on.room,
        Op::Unmute(on) | Op::Unban(on) => on.room,
        Op::Password(on) => on.room,
        Op::Block(on) => on.room,
        Op::Redact(on) => on.room,
        _ => return None,
    })
}

/// The same, and the room that is joined by its id.
fn joined_or_named(op: &Op) -> Option<RoomId> {
    match op {
        Op::Join(join) => match join.room {
            RoomRef::Lobby => Some(RoomId::LOBBY),
            RoomRef::Id(room) => Some(room),
            _ => None,
        },
        _ => room_of(op),
    }
}

fn limit(asked: u16) -> usize {
    match usize::from(asked) {
        0 => PAGE,
        some => some.min(PAGE),
    }
}

/// Whether a request can have become this record.
fn became(op: &Op, record: &Record) -> bool {
    let is = |peer: &Peer, member: MemberId, nick: &str| match peer {
        Peer::Member(named) => *named == member,
        Peer::Nick(named) => named.to_lowercase() == nick.to_lowercase(),
    };
    match (op, &record.body) {
        (Op::Send(send), RecordBody::Message(said)) => !send.action && said.content == send.content,
        (Op::Send(send), RecordBody::Action(said)) => send.action && said.content == send.content,
        // The message was taken back in an earlier life of the log.
        (Op::Send(_), RecordBody::Blank(_)) => true,
        (Op::Leave(_), RecordBody::Left(left)) => left.reason == LeftReason::Asked,
        (Op::Topic(set), RecordBody::Topic(topic)) => set.topic == topic.topic,
        (Op::Role(set), RecordBody::Role(change)) => {
            set.role == change.role && is(&set.target, change.target, &change.nick)
        }
        (Op::Kick(remove), RecordBody::Kicked(out))
        | (Op::Ban(remove), RecordBody::Banned(out)) => {
            remove.reason == out.reason && is(&remove.target, out.target, &out.nick)
        }
        // By the name of when they were banned, or that of now.
        (Op::Unban(on), RecordBody::Unbanned(target)) => match &on.target {
            Peer::Member(named) => *named == target.target,
            Peer::Nick(_) => true,
        },
        (Op::Mute(mute), RecordBody::Muted(muted)) => {
            muted.seconds == mute.seconds && is(&mute.target, muted.target, &muted.nick)
        }
        (Op::Unmute(on), RecordBody::Unmuted(target)) => {
            is(&on.target, target.target, &target.nick)
        }
        // In doubt, one registers anew under the same number.
        (Op::Password(_), RecordBody::Password(_)) => true,
        (Op::Block(block), RecordBody::Blocked(blocked)) => block.blocked == blocked.blocked,
        (Op::Redact(redact), RecordBody::Redacted(_)) => record.target == Some(redact.target),
        _ => false,
    }
}

/// Whether a request asks for what was so already at a place of the room.
fn changes_nothing(op: &Op, me: MemberId, room: &Room, seq: Seq, truth: &Truth) -> bool {
    let some = |peer: &Peer, fits: &dyn Fn(MemberId) -> bool| match peer {
        Peer::Member(member) => fits(*member),
        Peer::Nick(nick) => truth.called(nick).any(fits),
    };
    match op {
        Op::Role(set) => some(&set.target, &|member| {
            room.role_at(member, seq) == Some(set.role)
        }),
        Op::Ban(remove) => some(&remove.target, &|member| room.is_banned_at(member, seq)),
        // One that has ended by itself may have been forgotten.
        Op::Unmute(on) => some(&on.target, &|member| {
            room.is_member_at(member, seq) && !matches!(room.muted_at(member, seq), Some((_, None)))
        }),
        Op::Block(block) => room.is_blocking_at(me, seq) == block.blocked,
        Op::Redact(redact) => {
            let said = room.asked_for(redact.target);
            said.is_some_and(|said| {
                room.is_redacted(said.seq) || matches!(said.body, RecordBody::Blank(_))
            })
        }
        // The member is out already, and may have been so for long.
        Op::Leave(_) => !room.is_member_at(me, seq),
        _ => false,
    }
}
