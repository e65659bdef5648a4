//! The directory's way through the log, and what follows from what is committed there.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    DIRECTORY, Hub, Reading,
    answers::Origin,
    event::{Event, RoomLabel},
    io::{Output, Outputs, ReadToken},
    keep,
    pipeline::{Append, Judged, Paged, Piece, Taken},
    rooms::{self, Task},
    session::Phase,
    too_large,
};
use crate::{
    bugs::Bug,
    id::{ConnId, CredentialId, MemberId, RoomId},
    log::ReadFailed,
    state::{
        Verdict,
        directory::{Ask, Change, Did, Draft, Entry, Surroundings, mark},
        results::Known,
        room,
    },
    time::Now,
    wire::{
        CloseReason, ErrorCode, Refusal,
        client::Resume,
        record::{CipherKind, Created, HistoryPolicy, Person, PresenceMode, RoomKind},
        server::{Answer, Named},
    },
};

/// A request to the directory on its way.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) member: MemberId,
    pub(super) txn: u64,
    pub(super) ask: Ask,
    pub(super) then: Then,
}

/// What follows when it is done.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    /// Let the member in.
    Welcome {
        conn: ConnId,
        agent: String,
        kept: bool,
        resume: Vec<Resume>,
    },
    /// Answer with the name.
    Named {
        origin: Origin,
    },
    /// Go on with joining.
    Join {
        origin: Origin,
        room: RoomId,
        txn: u64,
        proved: Option<CredentialId>,
    },
    /// Answer with the new group.
    Group {
        origin: Origin,
        room: RoomId,
    },
    /// Open the conversation, then answer with it. `again`: a repeat, which takes nobody in who has left since.
    Private {
        origin: Origin,
        room: RoomId,
        with: MemberId,
        again: bool,
    },
}

impl Then {
    fn origin(&self) -> Option<Origin> {
        match self {
            Self::Nothing | Self::Welcome { .. } => None,
            Self::Named { origin }
            | Self::Join { origin, .. }
            | Self::Group { origin, .. }
            | Self::Private { origin, .. } => Some(*origin),
        }
    }
}

impl Hub {
    /// Proposes what the hub wants for itself: nobody waits for an answer.
    pub(super) fn note_in_directory(
        &mut self,
        now: Now,
        member: MemberId,
        ask: Ask,
        out: &mut Outputs,
    ) {
        self.directory.propose(Proposal {
            member,
            txn: 0,
            ask,
            then: Then::Nothing,
        });
        self.pump_directory(now, out);
    }

    /// Brings the directory's log on: reads if it must be read, appends what waits.
    pub(super) fn pump_directory(&mut self, now: Now, out: &mut Outputs) {
        if self.settling {
            // Whoever settles brings it on afterwards.
            return;
        }
        while self.append_to_directory(now, out) {}
    }

    /// One step of that. Whether there may be another at once.
    fn append_to_directory(&mut self, now: Now, out: &mut Outputs) -> bool {
        if let Some(wanted) = self.directory.wants_read() {
            let token = self.read_wanted(DIRECTORY, wanted, Reading::Follow, out);
            self.directory.reads(token);
            return false;
        }
        let mut settled = Vec::new();
        let mut draft = Draft::default();
        let early = self.has(Bug::FreeANickTooEarly);
        let (online, grace) = (&self.online, &self.grace);
        let (sessions, config) = (&self.sessions, &self.config);
        let rooms = &self.rooms;
        let with = Surroundings {
            limits: &config.limits,
            node: config.node,
            alone: config.writes_alone(),
            may_release: &|node| config.may_release(node),
            leads: &|room, member| {
                let room = rooms.get(&room).filter(|room| room.pipe.is_live())?;
                Some(room.pipe.state.leads(member))
            },
            // A release that waited while its member was back, and went away again, takes nothing.
            is_expected: &|member| {
                !early && (online.contains_key(&member) || grace.contains_key(&member))
            },
        };
        let log = &config.log;
        let batch = self
            .directory
            .batch(log.append_bytes, |state, seq, proposal: Proposal| {
                // Whoever has gone meanwhile takes no nick: it may have come in elsewhere.
                let gone = match proposal.then {
                    Then::Welcome { conn, .. } => sessions
                        .get(conn)
                        .is_none_or(|session| !matches!(session.phase, Phase::Greeting { .. })),
                    Then::Named { origin } => sessions.guest(origin.conn).is_none(),
                    _ => false,
                };
                if gone {
                    return Judged::Settled;
                }
                match state.judge(
                    &mut draft,
                    &with,
                    proposal.member,
                    proposal.txn,
                    &proposal.ask,
                ) {
                    Verdict::Accept(changes) => {
                        let entry = |(seq, change)| Entry {
                            seq,
                            time: now.wall,
                            member: proposal.member,
                            txn: proposal.txn,
                            change,
                        };
                        Judged::Entries((seq..).zip(changes).map(entry).collect(), proposal)
                    }
                    Verdict::Wait => Judged::Wait(proposal),
                    verdict => {
                        settled.push((proposal, verdict));
                        Judged::Settled
                    }
                }
            });
        let again = batch.append.is_none() && batch.too_large.is_some();
        if let Some(Append { expected, entries }) = batch.append {
            out.push(Output::Append {
                partition: DIRECTORY,
                expected,
                entries,
                note: Bytes::new(),
            });
        }
        let part = self
            .directory
            .snapshot(false, &mut self.rng, log.part_bytes);
        keep(DIRECTORY, part, out);
        if let Some(proposal) = batch.too_large {
            settled.push((proposal, Verdict::Refuse(too_large())));
        }
        for (proposal, verdict) in settled {
            self.settled_without_entry(now, proposal, verdict, out);
        }
        again
    }

    pub(super) fn directory_read(
        &mut self,
        now: Now,
        token: Option<ReadToken>,
        piece: Result<Piece, ReadFailed>,
        out: &mut Outputs,
    ) {
        let mut taken = Vec::new();
        let mut failed = Vec::new();
        let mut refusal =
            ErrorCode::Unavailable.because("the server's log cannot be read: it is damaged");
        let before = self.directory.place.epoch;
        let epoch = match &piece {
            Ok(Piece::Page(page)) => page.head.epoch,
            Ok(Piece::Part(_)) | Err(_) => before,
        };
        let result = match piece {
            Ok(piece) => self
                .directory
                .take(token, piece, &mut taken)
                .map_err(|damaged| {
                    failed = self.directory.take_queue();
                    damaged.to_string()
                }),
            Err(e) => self.directory.goes_on_without(token, e).ok_or_else(|| {
                failed = self.directory.unreadable(token);
                if e == ReadFailed::Unavailable {
                    refusal = ErrorCode::Unavailable
                        .because("the server's log cannot be read at present");
                }
                e.to_string()
            }),
        };
        match result {
            Ok(Paged::Onward) => self.settle_directory(now, taken, out),
            Ok(Paged::Live) => self.directory_live(now),
            Ok(Paged::Lost) => {
                let why = if epoch == before {
                    "the directory's log does not keep what was missed"
                } else {
                    // Nobody knows any more who was away, nor since when: whose grace was over has it again.
                    self.directory
                        .withdraw(|proposal| matches!(proposal.ask, Ask::Release));
                    "the directory's log lost its end"
                };
                let detail = format!("{why}; everybody is taken in again");
                out.push(Output::Event(Event::LogTrouble { detail }));
                for conn in self.sessions.all() {
                    if self.sessions.guest(conn).is_some() {
                        self.close(now, conn, CloseReason::Resync, "", out);
                    }
                }
            }
            Ok(Paged::LostAgain) => return self.retry(now, DIRECTORY),
            Err(detail) => {
                self.settle_directory(now, taken, out);
                self.tell_trouble(DIRECTORY, format!("directory: {detail}"), out);
                return self.fail_directory(now, failed, &refusal, out);
            }
        }
        self.pump_directory(now, out);
    }

    /// The directory is there for the first time, or again: takes over the nicks and memberships it tells of.
    fn directory_live(&mut self, now: Now) {
        let (directory, most) = (&self.directory.state, self.config.limits.presence_names);
        self.rooms
            .values_mut()
            .for_each(|room| room.count_here(directory, most));
        // A room's log may tell of members that this one does not list (any more).
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.keep_all_listed(room);
            self.keep_titled(room);
        }
        let everybody: Vec<_> = self
            .directory
            .state
            .members()
            .map(|(id, member)| (id, member.lease, member.at))
            .collect();
        let released: BTreeSet<MemberId> = self
            .directory
            .waiting()
            .filter(|proposal| matches!(proposal.ask, Ask::Release))
            .map(|proposal| proposal.member)
            .collect();
        for (member, lease, at) in everybody {
            match lease {
                Some(node)
                    if self.config.may_release(node)
                        && !self.online.contains_key(&member)
                        // Whose grace period has begun, or is over, does not get another.
                        && !self.grace.contains_key(&member)
                        && !released.contains(&member) =>
                {
                    let left = self.absences.left(member, at, self.config.limits.grace);
                    if left.is_zero() {
                        // A hello for that name waits here already, perhaps, and it must not wait
                        // for another hub: each of them releases it.
                        self.directory.propose_first(Proposal {
                            member,
                            txn: 0,
                            ask: Ask::Release,
                            then: Then::Nothing,
                        });
                    } else if self.config.is_heir_of(node) {
                        self.hold_for(now, member, left)
                    }
                }
                Some(_) => {}
                None => self.keep(now, member, now.wall - at),
            }
        }
        self.absences.forget();
    }

    /// What follows from committed entries.
    pub(super) fn settle_directory(
        &mut self,
        now: Now,
        taken: Vec<Taken<Entry, Proposal>>,
        out: &mut Outputs,
    ) {
        let outer = std::mem::replace(&mut self.settling, true);
        for Taken {
            entry, proposal, ..
        } in taken
        {
            self.directory_changed(now, &entry, proposal.is_some(), out);
            if let Some(proposal) = proposal {
                let again = matches!(entry.change, Change::Leased { from: Some(_), .. });
                self.then(now, proposal, again, out);
            }
        }
        self.settling = outer;
    }

    /// What everybody is told of an entry. `mine`: this hub asked for it.
    fn directory_changed(&mut self, now: Now, entry: &Entry, mine: bool, out: &mut Outputs) {
        let member = entry.member;
        if let Change::Entered(room) | Change::Listed { room, .. } | Change::Opened { room, .. } =
            entry.change
            && (!mine || matches!(entry.change, Change::Entered(_)))
            && self.online.contains_key(&member)
        {
            // It asked for that elsewhere, and is here now; or on an earlier connection.
            // Its record comes by itself, unless another hub only reminds of it.
            let (after, sure) = (None, mine || !matches!(entry.change, Change::Entered(_)));
            let task = Task::Find {
                member,
                after,
                sure,
            };
            self.with_room(now, room, task, out);
        }
        match &entry.change {
            Change::Leased {
                node, from, nick, ..
            } => {
                self.leaving.remove(&member);
                self.greet_stranger(now, member, out);
                if *node != self.config.node {
                    // It came in elsewhere.
                    if let Some(at) = self.grace.remove(&member) {
                        self.timers.disarm(at, super::Timer::Grace(member));
                    }
                    if let Some(conn) = self.online.remove(&member) {
                        self.close(now, conn, CloseReason::Replaced, "", out);
                    }
                }
                let waits = self.online.contains_key(&member) || self.grace.contains_key(&member);
                if *node == self.config.node && !mine && !waits {
                    // Who said hello has gone, and the log has it after all.
                    self.hold(now, member);
                }
                self.see(now, member);
                if let Some((before, _)) = from
                    && before != nick
                    && mine
                {
                    out.push(Output::Event(Event::Renamed {
                        member,
                        from: before.clone(),
                        to: nick.clone(),
                    }));
                }
            }
            Change::Released => {
                if mine {
                    let nick = self.directory.state.nick(member).to_owned();
                    out.push(Output::Event(Event::Gone { member, nick }));
                } else if let Some(conn) = self.online.get(&member).copied() {
                    // An earlier life of this hub gave the name up, and the log took that in after it was given anew.
                    self.close(now, conn, CloseReason::Resync, "", out);
                }
                self.see(now, member);
                self.keep(now, member, core::time::Duration::ZERO);
            }
            Change::Expired => {
                if let Some(at) = self.expiry.remove(&member) {
                    self.timers.disarm(at, super::Timer::Expiry(member));
                }
            }
            Change::Exited(room) => {
                self.entering_over(now, *room, member, out);
                // It came in again while this was on its way.
                let back = self.look_whether_to_keep(now, *room, member, out);
                // The last room of somebody who is expected no more.
                let over = self
                    .directory
                    .state
                    .member(member)
                    .is_some_and(|m| m.lease.is_none() && m.rooms.is_empty());
                if over && !back {
                    self.directory.propose(Proposal {
                        member,
                        txn: 0,
                        ask: Ask::Expire,
                        then: Then::Nothing,
                    });
                }
            }
            Change::Opened { room, with, after } => {
                // It may have begun long ago, and one of them forgotten since.
                for member in [member, *with] {
                    self.begins_to_enter(now, *room, member);
                    self.see_in(now, *room, member);
                }
                // The other may be connected here, and its room opened elsewhere.
                if self.online.contains_key(with) {
                    let task = Task::Find {
                        member: *with,
                        after: Some(*after),
                        sure: true,
                    };
                    self.with_room(now, *room, task, out);
                }
            }
            Change::Entered(room) => {
                self.begins_to_enter(now, *room, member);
                // Its `joined` may have been seen before, if it came in elsewhere.
                self.see_in(now, *room, member);
            }
            Change::Listed { room, .. } => {
                // It may have come in anew since the room began.
                self.see_in(now, *room, member);
                self.keep_titled(*room);
            }
            Change::Titled { room, place, .. } => self.doubt_title(now, *room, *place, out),
            Change::Retitled { .. } => {}
        }
    }

    /// What follows for whoever asked. `again`: a nick was held already.
    fn then(&mut self, now: Now, proposal: Proposal, again: bool, out: &mut Outputs) {
        let Proposal {
            member,
            txn,
            ask,
            then,
        } = proposal;
        match then {
            Then::Nothing => {
                if let Ask::Keep(room) = ask {
                    // It may have been forgotten just before.
                    self.expire_forgotten(room, member);
                    self.pump_room(now, room, out);
                }
            }
            Then::Welcome {
                conn,
                agent,
                kept,
                resume,
            } => self.welcome(now, conn, member, agent, kept, resume, again, out),
            Then::Named { origin } => {
                // What was asked for, and not what the member is called now: another name may have come after it.
                if let Ask::Rename { name, label } = ask {
                    let nick = name.shown;
                    self.answer(origin, Answer::Nick(Named { nick, label }), out);
                }
            }
            Then::Join {
                origin,
                room,
                txn,
                mut proved,
            } => {
                if self.has(Bug::ApplyAStalePasswordProof) && proved.is_some()
                    || self.has(Bug::LetInWithoutProof) && proved.is_none()
                {
                    proved = self.rooms.get(&room).and_then(|room| {
                        Some(
                            room.pipe
                                .state
                                .about
                                .as_ref()?
                                .password
                                .as_ref()?
                                .credential,
                        )
                    });
                }
                let then = rooms::Then::Answer { origin };
                let proposal = rooms::Proposal {
                    author: member,
                    txn,
                    ask: room::Ask::Join { proved },
                    then,
                };
                self.with_room(now, room, Task::Propose(Box::new(proposal)), out);
            }
            Then::Group { origin, room } => {
                if let Ask::List { .. } = ask {
                    let nick = self.directory.state.nick(member).to_owned();
                    if let Some(RoomLabel::Number(number)) = self.label(room) {
                        out.push(Output::Event(Event::RoomCreated {
                            room: RoomLabel::Number(number),
                            nick,
                        }));
                    }
                }
                self.with_room(now, room, Task::Show { origin, member }, out);
                self.group_done(now, member, txn, Ok(room), out);
            }
            Then::Private {
                origin,
                room,
                with,
                again,
            } => {
                let person = |member| Person {
                    member,
                    nick: self.directory.state.nick(member).to_owned(),
                    label: self.directory.state.label(member).to_owned(),
                };
                let mut members = vec![person(member), person(with)];
                members.sort_by_key(|person| person.member);
                let created = Box::new(Created {
                    kind: RoomKind::Private,
                    topic: String::new(),
                    cipher: CipherKind::None,
                    key: None,
                    history: HistoryPolicy::All,
                    presence: PresenceMode::Full,
                    password: None,
                    members,
                });
                let ask = if again {
                    room::Ask::Create(created)
                } else {
                    room::Ask::Open(created)
                };
                let proposal = rooms::Proposal {
                    author: member,
                    txn: 0,
                    ask,
                    then: rooms::Then::Show { origin },
                };
                self.with_room(now, room, Task::Propose(Box::new(proposal)), out);
            }
        }
    }

    pub(super) fn settled_without_entry(
        &mut self,
        now: Now,
        mut proposal: Proposal,
        verdict: Verdict<Change, Did>,
        out: &mut Outputs,
    ) {
        match verdict {
            Verdict::Accept(_) | Verdict::Wait => unreachable!("these are not settled"),
            Verdict::Already => self.then(now, proposal, true, out),
            Verdict::Repeat(did) => {
                let Some(origin) = proposal.then.origin() else {
                    return;
                };
                // The repeat names what the first one asked for.
                let called = match &proposal.ask {
                    Ask::Rename { name, label } => Some(mark(&name.shown, label)),
                    _ => None,
                };
                match (did, &mut proposal.then) {
                    (Did::Called(did), Then::Named { .. }) if called == Some(did) => {
                        self.then(now, proposal, true, out)
                    }
                    (Did::Named, Then::Named { .. }) => self.then(now, proposal, true, out),
                    (Did::Room(room), Then::Group { .. })
                        if self.directory.state.group(room).is_some() =>
                    {
                        let Proposal { member, txn, .. } = proposal;
                        self.with_room(now, room, Task::Show { origin, member }, out);
                        self.group_done(now, member, txn, Ok(room), out);
                    }
                    (Did::Room(done), Then::Private { room, again, .. }) if done == *room => {
                        *again = true;
                        self.then(now, proposal, true, out)
                    }
                    _ => self.refuse(
                        origin,
                        ErrorCode::BadRequest.because("that `txn` was another request's"),
                        out,
                    ),
                }
            }
            Verdict::Refuse(refusal) => match proposal.then {
                Then::Welcome { conn, .. } => self.hello_refused(now, conn, refusal, out),
                Then::Join { origin, room, .. } => {
                    self.refuse(origin, refusal, out);
                    self.unpark(now, origin.conn, room, out);
                }
                then => {
                    if let Then::Group { .. } = then {
                        self.group_done(now, proposal.member, proposal.txn, Err(&refusal), out);
                    }
                    if let Some(origin) = then.origin() {
                        self.refuse(origin, refusal, out);
                    }
                }
            },
        }
    }

    /// The log cannot write: whoever asked is told; what the hub wants for itself waits.
    pub(super) fn fail_directory(
        &mut self,
        now: Now,
        failed: Vec<Proposal>,
        refusal: &Refusal,
        out: &mut Outputs,
    ) {
        for proposal in failed {
            if matches!(proposal.then, Then::Nothing) {
                self.directory.propose(proposal);
                continue;
            }
            // What an earlier append, of unknown outcome, has done after all is no failure.
            let verdict = match self.directory.state.did(proposal.member, proposal.txn) {
                Known::Done(did) => Verdict::Repeat(did),
                _ => Verdict::Refuse(refusal.clone()),
            };
            self.settled_without_entry(now, proposal, verdict, out);
        }
        self.retry(now, DIRECTORY);
    }
}
