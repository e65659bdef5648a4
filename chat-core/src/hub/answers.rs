//! Answers: every request gets exactly one.

use std::{collections::VecDeque, net::IpAddr};

use super::{
    Hub,
    event::Event,
    io::{Output, Outputs},
};
use crate::{
    bugs::Bug,
    few::Seldom,
    id::{ConnId, RoomId},
    time::Now,
    wire::{
        ErrorCode, Form, Refusal, ServerMessage, Tagged,
        client::{Op, Request},
        server::{Answer, Committed, Done, Failure, RoomView},
    },
};

/// Where a request came from, and so where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) conn: ConnId,
    /// The request's id.
    pub(super) id: u64,
    /// The request's kind.
    pub(super) kind: u16,
    /// Bytes of its frame, which count as waiting until it is answered.
    pub(super) bytes: u32,
    /// The answer is a page, and the next page waits until there is room for it.
    pub(super) paced: bool,
}

impl Origin {
    pub(super) fn of(conn: ConnId, request: &Request, bytes: u32) -> Self {
        Self {
            conn,
            id: request.id,
            kind: request.op.kind(),
            bytes,
            paced: false,
        }
    }
}

impl Hub {
    pub(super) fn send(&self, to: ConnId, message: &ServerMessage, out: &mut Outputs) {
        if let Some(session) = self.sessions.get(to) {
            out.push(Output::Send {
                to,
                frame: session.form.encode(message),
            });
        }
    }

    /// The form that a connection reads.
    pub(super) fn form_of(&self, conn: ConnId) -> Form {
        self.sessions
            .get(conn)
            .map_or(Form::Postcard, |session| session.form)
    }

    /// The address whose limits a connection counts against, if it comes from one.
    pub(super) fn address_of(&self, conn: ConnId) -> Option<IpAddr> {
        self.sessions.get(conn)?.address
    }

    pub(super) fn answer(&mut self, origin: Origin, answer: Answer, out: &mut Outputs) {
        if self.answered(origin) {
            self.send(
                origin.conn,
                &ServerMessage::Ok(Done {
                    id: origin.id,
                    answer,
                }),
                out,
            );
            self.ask_for_credit(origin, out);
        }
    }

    /// Answers with the record that a request became.
    pub(super) fn answer_committed(
        &mut self,
        origin: Origin,
        committed: Committed,
        out: &mut Outputs,
    ) {
        if self.has(Bug::AnswerTwice) && origin.kind == 12 {
            self.answer(origin, Answer::Topic(committed), out);
        }
        let answer = match origin.kind {
            7 => Answer::Leave(committed),
            9 => Answer::Send(committed),
            12 => Answer::Topic(committed),
            13 => Answer::Role(committed),
            14 => Answer::Kick(committed),
            15 => Answer::Ban(committed),
            16 => Answer::Unban(committed),
            17 => Answer::Mute(committed),
            18 => Answer::Unmute(committed),
            19 => Answer::Password(committed),
            20 => Answer::Block(committed),
            21 => Answer::Redact(committed),
            other => unreachable!("requests of kind {other} are not answered with a place"),
        };
        self.answer(origin, answer, out);
    }

    /// Answers with a room.
    pub(super) fn answer_room(&mut self, origin: Origin, view: RoomView, out: &mut Outputs) {
        let answer = match origin.kind {
            4 => Answer::Create(view),
            6 => Answer::Join(view),
            8 => Answer::Direct(view),
            other => unreachable!("requests of kind {other} are not answered with a room"),
        };
        self.answer(origin, answer, out);
    }

    pub(super) fn refuse(&mut self, origin: Origin, refusal: Refusal, out: &mut Outputs) {
        if let Some(guest) = self.sessions.guest(origin.conn) {
            out.push(Output::Event(Event::Refused {
                nick: self.directory.state.nick(guest.member).to_owned(),
                kind: Op::name(origin.kind).map_or_else(|| origin.kind.to_string(), str::to_owned),
                code: refusal.code,
                text: refusal.text.clone(),
            }));
        }
        if self.answered(origin) {
            self.send(
                origin.conn,
                &ServerMessage::Error(failure(origin.id, refusal)),
                out,
            );
            self.ask_for_credit(origin, out);
        }
    }

    /// Lets requests go on that waited for the end of a join.
    pub(super) fn unpark(&mut self, now: Now, conn: ConnId, room: RoomId, out: &mut Outputs) {
        let Some(guest) = self.sessions.guest_mut(conn) else {
            return;
        };
        let member = guest.member;
        let mut parked = VecDeque::new();
        if let Some(all) = guest.parked.get_mut() {
            parked = all.remove(&room).unwrap_or_default();
            if all.keys().next().is_none() {
                guest.parked = Seldom::default();
            }
        }
        if self.has(Bug::ForgetWhatWaitsForAJoin) {
            return;
        }
        while let Some((origin, request)) = parked.pop_front() {
            self.dispatch(now, origin, member, request, out);
            // Another join: the rest waits for that one.
            if let Some(again) = self
                .sessions
                .guest_mut(conn)
                .and_then(|guest| guest.parked.get_mut()?.get_mut(&room))
            {
                again.append(&mut parked);
            }
        }
    }

    fn answered(&mut self, origin: Origin) -> bool {
        let Some(guest) = self.sessions.guest_mut(origin.conn) else {
            return false;
        };
        guest.unanswered = guest.unanswered.saturating_sub(1);
        guest.unanswered_bytes = guest.unanswered_bytes.saturating_sub(origin.bytes);
        true
    }
}

/// A refusal as a client is told it.
pub(super) fn failure(id: u64, refusal: Refusal) -> Failure {
    let Refusal {
        code,
        retry_after,
        text,
    } = refusal;
    Failure {
        id,
        code,
        temporary: ErrorCode::is_temporary(code),
        retry_after,
        text,
    }
}
