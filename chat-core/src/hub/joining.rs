//! Coming into a room and going out of it: the proof, the view that is shown, and the place in the audience.

use std::collections::VecDeque;

use super::{
    Hub, STALE_READS_MAX,
    answers::Origin,
    directory,
    event::{Event, RoomLabel},
    io::{Output, Outputs},
    rooms::Room,
    session::Lag,
};
use crate::{
    bugs::Bug,
    id::{ConnId, MemberId, Place, RoomId, Seq},
    state::{self},
    time::Now,
    wire::{
        ErrorCode, Form, ServerMessage,
        client::{Join, Proof, RoomRef},
        record::RoomKind,
        server::{Committed, Entered, Removed, RemovedReason, RoomView},
    },
};

impl Hub {
    /// A join: the proof is looked at, the directory told, then the room asked.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    pub(super) fn join(
        &mut self,
        now: Now,
        origin: Origin,
        member: MemberId,
        id: RoomId,
        txn: u64,
        join: Join,
        out: &mut Outputs,
    ) {
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        let Join { room: named, proof } = join;
        let is_in = room.pipe.state.members.contains_key(&member);
        let mut done = room.pipe.state.did(member, txn).is_some();
        let mut txn = txn;
        if !is_in && !matches!(named, RoomRef::Id(_)) && txn <= room.pipe.state.last_txn(member) {
            // Who names a room by number may not know that it has been there before, nor its counter.
            (done, txn) = (false, 0);
        }
        let mut proved = None;
        // The proof of a repeat died with the connection it was made on; the first one's result stands.
        if let Some(proof) = proof {
            match self.prove(now, origin, id, &proof, out) {
                Ok(()) => proved = Some(proof.credential),
                Err(_) if done => {}
                Err(_) if self.has(Bug::TakeAnyProof) => proved = Some(proof.credential),
                Err(refusal) => return self.refuse(origin, refusal, out),
            }
        }
        if let Some(guest) = self.sessions.guest_mut(origin.conn)
            && !guest
                .parked
                .get()
                .is_some_and(|parked| parked.contains_key(&id))
        {
            guest.parked.make().insert(id, VecDeque::new());
        }
        let then = directory::Then::Join {
            origin,
            room: id,
            txn,
            proved,
        };
        self.directory.propose(directory::Proposal {
            member,
            txn: 0,
            ask: state::directory::Ask::Enter(id),
            then,
        });
        self.pump_directory(now, out);
    }

    fn prove(
        &mut self,
        now: Now,
        origin: Origin,
        id: RoomId,
        proof: &Proof,
        out: &mut Outputs,
    ) -> Result<(), crate::wire::Refusal> {
        let stale =
            || ErrorCode::StaleProof.because("`login` first, on this connection and for this room");
        let session = self.sessions.get_mut(origin.conn).ok_or_else(stale)?;
        let address = session.address;
        let guest = session.guest.as_mut().ok_or_else(stale)?;
        let member = guest.member;
        let login = guest
            .login
            .take()
            .filter(|login| login.room == id && login.credential == proof.credential);
        let login = login.ok_or_else(stale)?;
        if login.state.finish(&proof.ke3).is_ok() {
            self.config
                .tallies
                .guessed(&self.config.limits, address, id, now.monotonic);
            return Ok(());
        }
        if let Some(room) = self.label(id) {
            let nick = self.directory.state.nick(member).to_owned();
            out.push(Output::Event(Event::WrongPassword { room, nick }));
        }
        Err(ErrorCode::WrongPassword.because("wrong password"))
    }

    /// Whether a room's state, as it is known here, is that of somebody who comes in. Where other hubs write to the log as
    /// well, this one may not have heard yet that the member is in, or of a place that it has seen elsewhere. `looks`: how often
    /// the log was read because of that.
    pub(super) fn is_certain(
        &self,
        id: RoomId,
        conn: ConnId,
        resume: Option<Place>,
        looks: u8,
    ) -> bool {
        let (Some(room), Some(guest)) = (self.rooms.get(&id), self.sessions.guest(conn)) else {
            return true;
        };
        let (state, place) = (&room.pipe.state, room.pipe.place);
        let ahead = resume.is_some_and(|at| at.epoch == place.epoch && at.seq > place.seq);
        let known = !ahead && state.members.contains_key(&guest.member);
        // A log that shows less than others know may answer from a server that is behind.
        self.config.writes_alone() || looks >= STALE_READS_MAX || known
    }

    /// Takes a connection into a room that its member is in already, or tells it that it is out.
    pub(super) fn come_in(
        &mut self,
        now: Now,
        id: RoomId,
        conn: ConnId,
        resume: Option<Place>,
        out: &mut Outputs,
    ) {
        let Some(guest) = self.sessions.guest(conn) else {
            return;
        };
        let member = guest.member;
        if guest.rooms.contains_key(&id) {
            // What it asked for on an earlier connection was done meanwhile, and it was told.
            return;
        }
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        let state = &room.pipe.state;
        let Some(since) = state.members.get(&member).map(|member| member.since) else {
            let about = state.about.is_some();
            if let Some(room) = self.rooms.get_mut(&id) {
                room.awaited = !about;
            }
            if self.waits_to_enter(id, member, conn) {
                return;
            }
            self.tell_removed(id, conn, out);
            // A room without a first record may be about to begin; one that has begun has told who is in it.
            if about {
                self.unlist(now, id, member, out);
            }
            return;
        };
        let place = room.pipe.place;
        self.entered(id, member);
        // Who was out in between begins anew, even where it may read what was said meanwhile: the record that put it out
        // would put it out again.
        let whole = |at: &Place| at.epoch == place.epoch && at.seq <= place.seq && at.seq >= since;
        match resume.filter(whole).filter(|_| !self.has(Bug::ResumeNever)) {
            Some(at) => {
                self.attach(id, conn, place.seq, out);
                self.resume_from(id, conn, at, out);
            }
            None => self.enter(id, conn, member, None, out),
        }
        self.keep_listed(id, member);
        self.pump_directory(now, out);
    }

    /// Takes a member into a room it is in, if it is connected and does not know.
    pub(super) fn find(
        &mut self,
        id: RoomId,
        member: MemberId,
        after: Option<Seq>,
        out: &mut Outputs,
    ) {
        let Some(conn) = self.online.get(&member).copied() else {
            return;
        };
        if let Some(room) = self.rooms.get_mut(&id) {
            room.awaited = room.pipe.state.about.is_none();
        }
        if !self.comes_back(id, conn)
            && self
                .sessions
                .guest(conn)
                .is_some_and(|guest| !guest.rooms.contains_key(&id))
        {
            let at = after.and_then(|after| {
                let room = self.rooms.get(&id)?;
                let since = room.pipe.state.members.get(&member)?.since;
                Some(after.max(since).min(room.pipe.place.seq))
            });
            self.enter(id, conn, member, at, out);
            if let Some(at) = at {
                self.follow(id, conn, at, out);
            }
        }
    }

    /// Whether a connection has presented a place of a room that is not known well enough yet: it goes on from there when
    /// the room is, and is told of it then.
    pub(super) fn comes_back(&self, id: RoomId, conn: ConnId) -> bool {
        let room = self.rooms.get(&id);
        room.is_some_and(|room| room.waiting.iter().any(|task| task.is_to_resume(conn)))
    }

    /// Opens a private conversation, whatever is there of it already.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    pub(super) fn open(
        &mut self,
        now: Now,
        id: RoomId,
        member: MemberId,
        with: MemberId,
        txn: u64,
        then: directory::Then,
        out: &mut Outputs,
    ) {
        let after = self.rooms.get(&id).map_or(0, |room| room.pipe.place.seq);
        let ask = state::directory::Ask::Open {
            room: id,
            with,
            after,
        };
        self.directory.propose(directory::Proposal {
            member,
            txn,
            ask,
            then,
        });
        self.pump_directory(now, out);
    }

    /// Tells a connection that a room is not its member's.
    pub(super) fn tell_removed(&mut self, id: RoomId, conn: ConnId, out: &mut Outputs) {
        let Some(member) = self.sessions.guest(conn).map(|guest| guest.member) else {
            return;
        };
        let state = self
            .rooms
            .get(&id)
            .map(|room| &room.pipe.state)
            .filter(|state| state.about.is_some());
        let reason = match state {
            None => RemovedReason::Unknown,
            Some(state) if state.is_banned(member) => RemovedReason::Banned,
            Some(_) => RemovedReason::NotMember,
        };
        self.send(
            conn,
            &ServerMessage::Removed(Removed { room: id, reason }),
            out,
        );
    }

    /// Tells a connection that it is in a room, as of a record or of now.
    pub(super) fn enter(
        &mut self,
        id: RoomId,
        conn: ConnId,
        member: MemberId,
        at: Option<Seq>,
        out: &mut Outputs,
    ) {
        let Some(view) = self.view(id, member, at) else {
            return;
        };
        self.attach(id, conn, view.place.seq, out);
        self.tell_entered(conn, view, out);
    }

    fn tell_entered(&mut self, conn: ConnId, view: RoomView, out: &mut Outputs) {
        let (id, resumed) = (view.room, false);
        let entered = ServerMessage::Entered(Entered { resumed, view });
        self.send(conn, &entered, out);
        self.tell_who_is_here(id, conn, out);
    }

    /// Answers with a room, as of a record or of now.
    pub(super) fn show(
        &mut self,
        id: RoomId,
        origin: Origin,
        member: MemberId,
        at: Option<Seq>,
        out: &mut Outputs,
    ) {
        let Some(view) = self.view(id, member, at) else {
            return self.refuse(
                origin,
                ErrorCode::NotMember.because("you are not in that room any more"),
                out,
            );
        };
        if self.sessions.guest(origin.conn).is_none() {
            // Whoever asked is back on another connection.
            return self.find(id, member, None, out);
        }
        // A connection that waits for the end of a join is told of it as of any other room after
        // `welcome`, also where the same request was asked again on it.
        let over = self.entered(id, member);
        if over.is_some_and(|over| over.waits(origin.conn)) {
            self.enter(id, origin.conn, member, at, out);
        }
        let new = self.attach(id, origin.conn, view.place.seq, out);
        // Who is in already goes on from where it is: the answer must not look like a new beginning.
        self.announce_now(id, origin.conn, out);
        self.answer_room(origin, view, out);
        if new {
            self.tell_who_is_here(id, origin.conn, out);
        }
    }

    /// The room's log lost its end: begins anew with everybody who is still in it.
    pub(super) fn reenter(&mut self, now: Now, id: RoomId, conn: ConnId, out: &mut Outputs) {
        let Some(member) = self.sessions.guest(conn).map(|guest| guest.member) else {
            return;
        };
        match self.view(id, member, None) {
            Some(view) => {
                let forgets = self.has(Bug::ForgetTheSnapshotOfALaggingReader)
                    && self
                        .sessions
                        .guest(conn)
                        .is_some_and(|guest| guest.lagging.is_some());
                self.forget_lag(id, conn, view.place.seq);
                if forgets {
                    return;
                }
                self.tell_entered(conn, view, out);
            }
            None => {
                self.forget_lag(id, conn, Seq::MAX - 1);
                self.detach(now, id, conn, Place { epoch: 0, seq: 0 }, None, out);
                self.send(
                    conn,
                    &ServerMessage::Removed(Removed {
                        room: id,
                        reason: RemovedReason::NotMember,
                    }),
                    out,
                );
                self.unlist(now, id, member, out);
            }
        }
    }

    /// Makes a connection one of a room's. It has all up to `seq`. False if it was one already.
    fn attach(&mut self, id: RoomId, conn: ConnId, seq: Seq, out: &mut Outputs) -> bool {
        let Some(session) = self.sessions.get_mut(conn) else {
            return false;
        };
        let form = session.form;
        let (Some(guest), Some(room)) = (session.guest.as_mut(), self.rooms.get_mut(&id)) else {
            return false;
        };
        if guest.rooms.contains_key(&id) {
            return false;
        }
        let slot = room.audience.insert(form, conn);
        guest
            .rooms
            .insert(id, super::session::Attached { slot, since: seq });
        let before = guest
            .lagging
            .as_mut()
            .and_then(|lagging| lagging.rooms.insert(id, Lag::after(seq)));
        if let Some(before) = before
            && let Some((_, answer)) = before.farewell
        {
            // It was out, and came back before it had read what was said until then: that is history now.
            self.tell_out(id, conn, before, out);
            self.answer_leaves(id, conn, answer, out);
        }
        true
    }

    /// Takes a connection out of a room's audience. What it has not been told yet of the room is told before `answer`.
    pub(super) fn detach(
        &mut self,
        now: Now,
        id: RoomId,
        conn: ConnId,
        until: Place,
        answer: Option<(Origin, Committed)>,
        out: &mut Outputs,
    ) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let form = session.form;
        let Some(attached) = session
            .guest
            .as_mut()
            .and_then(|guest| guest.rooms.remove(&id))
        else {
            if let Some((origin, committed)) = answer {
                self.answer_committed(origin, committed, out);
            }
            return;
        };
        self.detach_slot(now, id, form, attached.slot);
        self.farewell(id, conn, until, answer, out);
    }

    /// Frees a slot of a room's audience. Whoever moves there is told its new place.
    pub(super) fn detach_slot(&mut self, now: Now, id: RoomId, form: Form, slot: usize) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        if let Some(moved) = room.audience.remove(form, slot)
            && let Some(attached) = self
                .sessions
                .guest_mut(moved)
                .and_then(|guest| guest.rooms.get_mut(&id))
        {
            attached.slot = slot;
        }
        self.arm_unload(now, id);
    }

    /// The room as one of its members sees it; none if it is none.
    pub(super) fn view(&self, id: RoomId, member: MemberId, at: Option<Seq>) -> Option<RoomView> {
        let room = self.rooms.get(&id)?;
        let state = &room.pipe.state;
        let (about, membership) = (state.about.as_ref()?, state.members.get(&member)?);
        let group = self.directory.state.group(id);
        let peer = match about.kind {
            // Also if that one has left.
            RoomKind::Private => about
                .pair
                .iter()
                .find(|other| other.member != member)
                .map(|other| room.person(&self.directory.state, other.member)),
            _ => None,
        };
        let keys = about
            .password
            .iter()
            .flat_map(|password| about.earlier.iter().chain([&password.key]))
            .cloned()
            .collect();
        Some(RoomView {
            room: id,
            kind: about.kind,
            number: group.map(|group| group.number),
            name: group.and_then(|group| group.name.clone()),
            peer,
            topic: if self.has(Bug::ShowAnOldTopic) {
                String::new()
            } else {
                about.topic.clone()
            },
            cipher: about.cipher,
            key: about.key,
            history: about.history,
            presence: about.presence,
            place: at.map_or(room.pipe.place, |seq| Place {
                seq,
                ..room.pipe.place
            }),
            since: membership.since,
            role: membership.role,
            members: state.members.len() as u32,
            credential: about.password.as_ref().map(|password| password.credential),
            keys,
            last_txn: state.last_txn(member),
        })
    }

    /// A room as the operator knows it; none for a private conversation.
    pub(super) fn label(&self, id: RoomId) -> Option<RoomLabel> {
        if id == RoomId::LOBBY {
            return Some(RoomLabel::Lobby);
        }
        if let Some(group) = self.directory.state.group(id) {
            return Some(RoomLabel::Number(group.number));
        }
        let kind = self.rooms.get(&id).and_then(Room::kind)?;
        (kind == RoomKind::Group).then_some(RoomLabel::Id(id))
    }
}
