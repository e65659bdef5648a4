//! Requests: how many a connection may make, which of them go on at once, and their answers.

use std::collections::VecDeque;

use super::{
    Effect, Rates, Sessions, Turn,
    check::{check, check_guest, check_password},
    connection::{Answers, Waiting},
    handshake::failure,
};
use crate::{
    hub::{
        Output,
        effects::HistoryRead,
        frame_budget::{fit, history_of},
        origin::{Asked, Origin},
        timers::Timer,
    },
    id::{ConnId, Place},
    wire::{
        CloseReason, ErrorCode, Frame, Refusal, ServerMessage, Tagged,
        client::{Op, Request},
        server::{Answer, Committed, Done},
    },
};

/// Requests of one connection that one call goes on with.
const ROUND: u32 = 64;

/// Answers with a place, the most frequent one first.
const PLACED: [fn(Committed) -> Answer; 12] = [
    Answer::Send,
    Answer::Leave,
    Answer::Topic,
    Answer::Role,
    Answer::Kick,
    Answer::Ban,
    Answer::Unban,
    Answer::Mute,
    Answer::Unmute,
    Answer::Password,
    Answer::Block,
    Answer::Redact,
];

/// Whether the answer is a page, which may be long.
fn asks_for_page(op: &Op) -> bool {
    matches!(op, Op::List(_) | Op::Members(_) | Op::History(_))
}

/// Whether it costs the server much.
fn is_costly(op: &Op) -> bool {
    matches!(op, Op::Create(_) | Op::Register(_) | Op::Login(_))
}

/// Whether it takes so long that one call goes on with one of them for a connection. A nick may
/// have to be looked at in all its forms to be refused.
fn is_long(op: &Op) -> bool {
    is_costly(op) || matches!(op, Op::Nick(_))
}

impl Sessions {
    pub(super) fn request(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        request: Request,
        bytes: u32,
    ) {
        let origin = Origin {
            conn,
            id: request.id,
            kind: request.op.kind(),
            bytes,
            paced: asks_for_page(&request.op),
        };
        let limits = &turn.config.limits;
        let (most, most_bytes) = (u32::from(limits.requests), limits.request_bytes);
        let Some(session) = self.slots.member_mut(conn) else {
            return;
        };
        session.unanswered += 1;
        session.unanswered_bytes = session.unanswered_bytes.saturating_add(bytes);
        let busy = session.unanswered > most || session.unanswered_bytes > most_bytes;
        let now = turn.now.monotonic;
        let member = session.member;
        let address = self.address(conn);
        let costly = is_costly(&request.op);
        let rates = self.rates.entry(member).or_insert_with(|| Rates::full(now));
        let mut taken = rates.take(limits, &request.op, costly, now);
        // Only changes stay.
        if taken.is_ok() && request.txn > 0 {
            let counts = &turn.config.address_limits;
            taken = rates.write(limits, bytes, now, || {
                counts.write(limits, address, bytes, now)
            });
        }
        self.arm_rates(turn);
        if let Err(wait) = taken {
            let refusal = ErrorCode::RateLimited.because("too fast").after(wait);
            self.refuse(turn, origin, refusal);
            return self.too_fast(turn, conn);
        }
        if busy {
            let text = "too many requests wait for their answers";
            return self.refuse(turn, origin, ErrorCode::Busy.because(text));
        }
        let session = self.slots.member(conn);
        if session.is_some_and(|session| session.waiting.get().is_none())
            && self.goes_on(turn, &origin, is_long(&request.op))
        {
            return self.go(turn, origin, request);
        }
        if let Some(session) = self.slots.member_mut(conn) {
            let waiting = Waiting { origin, request };
            session.waiting.make().push_back(waiting);
        }
        self.next_requests(turn, conn);
    }

    /// Whether a connection may say one more of those things that are no requests and cost little.
    pub(super) fn may_say(&mut self, turn: &mut Turn<'_>, conn: ConnId) -> bool {
        let rate = turn.config.limits.request_rate;
        let connection = self.slots.get_mut(conn);
        let may = connection.is_some_and(|one| one.words.take(rate, turn.now.monotonic).is_ok());
        if !may {
            self.too_fast(turn, conn);
        }
        may
    }

    /// Counts that a connection was too fast, and closes one that goes on although it was refused.
    fn too_fast(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        let (count, last) = connection.refusals;
        let now = turn.now.monotonic;
        let in_a_row = now - last < core::time::Duration::from_secs(1);
        connection.refusals = (if in_a_row { count + 1 } else { 1 }, now);
        if connection.refusals.0 > turn.config.limits.flood_refusals {
            self.close(turn, conn, CloseReason::Flood, "");
        }
    }

    /// Goes on with requests that wait, in order, as far as they may.
    pub(super) fn next_requests(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        while let Some(session) = self.slots.member_mut(conn)
            && let Some(waiting) = session.waiting.get()
        {
            let Some(first) = waiting.front() else {
                session.waiting.take();
                return;
            };
            let (origin, long) = (first.origin, is_long(&first.request.op));
            if !self.goes_on(turn, &origin, long) {
                return;
            }
            let session = self.slots.member_mut(conn);
            let waiting = session.and_then(|session| session.waiting.get_mut());
            if let Some(Waiting { origin, request }) = waiting.and_then(VecDeque::pop_front) {
                self.go(turn, origin, request);
            }
        }
    }

    /// Whether the next request goes on: there is room for its answer, and this call has done no
    /// more than its share for the connection. If it does, that is taken down.
    fn goes_on(&mut self, turn: &mut Turn<'_>, origin: &Origin, long: bool) -> bool {
        let Some(session) = self.slots.member_mut(origin.conn) else {
            return false;
        };
        match session.answers {
            Answers::Full => return false,
            Answers::Page { .. } if origin.paced => return false,
            Answers::Page { .. } | Answers::Free { .. } => {}
        }
        let (round, number) = (&mut session.round, turn.common.round);
        if round.number != number {
            (round.number, round.requests, round.long) = (number, 0, false);
        }
        if round.requests == ROUND || (long && round.long) {
            if !std::mem::replace(&mut round.armed, true) {
                turn.arm(core::time::Duration::ZERO, Timer::Turn(origin.conn));
            }
            return false;
        }
        round.requests += 1;
        round.long |= long;
        if origin.paced
            && let Answers::Free { spent } = session.answers
        {
            session.answers = Answers::Page { spent };
        }
        true
    }

    /// The next call has come.
    pub(in crate::hub) fn turn_due(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        if let Some(session) = self.slots.member_mut(conn) {
            session.round.armed = false;
            self.next_requests(turn, conn);
        }
    }

    /// Brings an admitted request to where it is judged.
    fn go(&mut self, turn: &mut Turn<'_>, origin: Origin, request: Request) {
        let conn = origin.conn;
        let checked = check(&turn.config.limits, &request);
        if let Err(refusal) = &checked
            && matches!(
                refusal.code,
                ErrorCode::UnknownRequest | ErrorCode::BadRequest
            )
        {
            return self.refuse(turn, origin, refusal.clone());
        }
        let address = self.address(conn);
        let Some(session) = self.slots.member_mut(conn) else {
            return;
        };
        let (member, id, since) = (session.member, session.session, session.since);
        // Nor is what a guest may never do.
        if let Err(refusal) = check_guest(member, &request.op) {
            return self.refuse(turn, origin, refusal);
        }
        let mut login = None;
        let checked = checked.and_then(|()| match &request.op {
            Op::Create(create) => match &create.password {
                Some(password) => check_password(session, request.txn, None, password, &[]),
                None => Ok(()),
            },
            Op::Password(change) => check_password(
                session,
                request.txn,
                Some(change.room),
                &change.password,
                &change.earlier,
            ),
            _ => Ok(()),
        });
        if let Op::Join(join) = &request.op
            && join.proof.is_some()
        {
            login = session.login.take();
        }
        if let Op::Register(register) = &request.op {
            return match self.register(turn, conn, register) {
                Ok(registered) => self.answer(turn, origin, Answer::Register(registered)),
                Err(refusal) => self.refuse(turn, origin, refusal),
            };
        }
        turn.effect(Effect::Request(Box::new(Asked {
            origin,
            member,
            session: id,
            address,
            since,
            request,
            checked,
            login,
        })));
    }

    /// Answers a request. Nobody is there any more for some.
    pub(in crate::hub) fn answer(
        &mut self,
        turn: &mut Turn<'_>,
        origin: Origin,
        mut answer: Answer,
    ) {
        debug_assert_eq!(
            answer.kind(),
            origin.kind,
            "an answer is of its request's kind"
        );
        let id = origin.id;
        if let Some(connection) = self.slots.get(origin.conn) {
            fit(connection.form, &mut answer);
        }
        self.give(turn, origin, &ServerMessage::Ok(Done { id, answer }));
    }

    /// Answers with as many of these records as fit.
    pub(in crate::hub) fn answer_history(
        &mut self,
        turn: &mut Turn<'_>,
        origin: Origin,
        page: HistoryRead,
    ) {
        let Some(connection) = self.slots.get(origin.conn) else {
            return;
        };
        let most = turn.config.limits.page_bytes as usize;
        match history_of(connection.form, most, origin.id, page) {
            Ok(frame) => self.give_frame(turn, origin, frame),
            Err(error) => {
                let text = format!("a stored record is damaged: {error}");
                self.refuse(turn, origin, ErrorCode::Damaged.because(text));
            }
        }
    }

    /// Answers with the place of the record that the request became.
    pub(in crate::hub) fn answer_placed(
        &mut self,
        turn: &mut Turn<'_>,
        origin: Origin,
        place: Place,
    ) {
        let mut answers = PLACED.iter().map(|answer| answer(Committed { place }));
        if let Some(answer) = answers.find(|answer| answer.kind() == origin.kind) {
            self.answer(turn, origin, answer);
        } else {
            debug_assert!(false, "another answer than a place: {}", origin.kind);
        }
    }

    pub(in crate::hub) fn refuse(&mut self, turn: &mut Turn<'_>, origin: Origin, refusal: Refusal) {
        if let Some(session) = self.slots.member(origin.conn) {
            turn.effect(Effect::Refused {
                member: session.member,
                kind: Op::name(origin.kind).map_or_else(|| origin.kind.to_string(), str::to_owned),
                code: refusal.code,
                text: refusal.text.clone(),
            });
        }
        let failure = failure(origin.id, refusal);
        self.give(turn, origin, &ServerMessage::Error(failure));
    }

    fn give(&mut self, turn: &mut Turn<'_>, origin: Origin, message: &ServerMessage) {
        if let Some(connection) = self.slots.get(origin.conn) {
            let frame = connection.form.encode(message);
            self.give_frame(turn, origin, frame);
        }
    }

    fn give_frame(&mut self, turn: &mut Turn<'_>, origin: Origin, frame: Frame) {
        let conn = origin.conn;
        let Some(session) = self.slots.member_mut(conn) else {
            return;
        };
        debug_assert!(session.unanswered > 0, "a request has one answer");
        session.unanswered = session.unanswered.saturating_sub(1);
        session.unanswered_bytes = session.unanswered_bytes.saturating_sub(origin.bytes);
        let bytes = frame.len();
        turn.out.push(Output::Send { to: conn, frame });
        let Some(session) = self.slots.member_mut(conn) else {
            return;
        };
        if origin.paced && matches!(session.answers, Answers::Page { .. }) {
            // The next page waits until there is room for it.
            session.answers = Answers::Full;
            turn.out.push(Output::Credit { conn });
        } else {
            self.spend(turn, conn, bytes);
        }
    }

    /// There is room for one more answer.
    pub(in crate::hub) fn credit(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        let now = turn.now.monotonic;
        let Some(session) = connection.member_mut() else {
            return;
        };
        if session.answers != Answers::Full {
            return;
        }
        session.answers = Answers::Free { spent: 0 };
        // The client has read. Its words meanwhile were not read, so this counts in their place.
        connection.heard = now;
        self.enter_next(turn, conn);
        self.next_requests(turn, conn);
    }

    /// Whether there is room for an unasked word; otherwise it is to be asked for again later.
    pub(super) fn has_room(&self, conn: ConnId) -> bool {
        let session = self.slots.member(conn);
        session.is_none_or(|session| session.answers != Answers::Full)
    }
}
