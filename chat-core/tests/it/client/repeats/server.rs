//! A model of what a server keeps of a session.

use std::{collections::BTreeMap, time::Duration};

use chat_core::{
    id::{MemberId, Place, RoomId, SessionId},
    time::Monotonic,
    wire::{
        ErrorCode, Record, ServerMessage,
        client::{Entrance, Op, Request},
        record::{Content, Message, RecordBody},
        server::{Answer, Committed, Done, Entered, Records, RoomView},
    },
};

use super::{
    super::script::{failure, record, view, welcome},
    ROOMS,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// The manner in which a server does a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    Does,
    IsBusy,
    /// Says that it cannot write, and has written.
    Wrote,
    /// Says that it cannot write, and has not.
    CannotWrite,
}

/// A room's log, and how often each text was ever written there.
pub(super) struct Log {
    pub(super) epoch: u64,
    pub(super) records: Vec<(Record, Monotonic)>,
    pub(super) ever: BTreeMap<String, usize>,
}

/// A server that keeps of a session's results no more than it must.
pub(super) struct Server {
    pub(super) logs: [Log; 2],
    pub(super) session: SessionId,
}

impl Server {
    pub(super) fn new() -> Self {
        let log = || Log {
            epoch: 1,
            records: Vec::new(),
            ever: BTreeMap::new(),
        };
        Self {
            logs: [log(), log()],
            session: SessionId::NONE,
        }
    }

    pub(super) fn view(&self, n: usize) -> RoomView {
        let log = &self.logs[n];
        RoomView {
            place: Place {
                epoch: log.epoch,
                seq: log.records.len() as u64,
            },
            number: None,
            ..view(ROOMS[n], 0)
        }
    }

    pub(super) fn hello(&mut self, hello: &Entrance, me: MemberId, down: &mut Vec<ServerMessage>) {
        self.session = hello.session;
        down.push(ServerMessage::Welcome(welcome(me, ROOMS.to_vec())));
        for (n, room) in ROOMS.into_iter().enumerate() {
            let log = &self.logs[n];
            let at = hello.resume.iter().find(|resume| resume.room == room);
            let at = at.map(|resume| resume.place);
            let since = at.filter(|at| at.epoch == log.epoch && at.seq <= log.records.len() as u64);
            let view = self.view(n);
            down.push(ServerMessage::Entered(Entered {
                resumed: since.is_some(),
                view,
            }));
            if let Some(since) = since {
                let all = log.records[since.seq as usize..].iter();
                let records = all.map(|(record, _)| record.clone()).collect();
                down.push(records_of(room, log.epoch, records));
            }
        }
    }

    /// The record of a request with that name, if it is remembered: among a session's last 64 in
    /// the room, those of the last hour.
    fn repeat(&self, n: usize, txn: u64, now: Monotonic) -> Option<&Record> {
        let records = self.logs[n].records.iter().rev();
        let of_session = records.filter(|(record, _)| record.session == self.session);
        let kept = of_session.take(64).filter(|(_, at)| now - *at < HOUR);
        kept.map(|(record, _)| record)
            .find(|record| record.txn == txn)
    }

    pub(super) fn request(
        &mut self,
        request: Request,
        me: MemberId,
        mood: Mood,
        now: Monotonic,
        down: &mut Vec<ServerMessage>,
    ) {
        let Op::Send(send) = &request.op else {
            panic!("not among the commands: {request:?}")
        };
        let n = ROOMS
            .iter()
            .position(|room| *room == send.room)
            .expect("a room");
        let (id, epoch, hash) = (request.id, self.logs[n].epoch, request.op.hash());
        let done = |seq| {
            let place = Place { epoch, seq };
            let answer = Answer::Send(Committed { place });
            ServerMessage::Ok(Done { id, answer })
        };
        if let Some(known) = self.repeat(n, request.txn, now) {
            return down.push(if known.hash == hash {
                done(known.seq)
            } else {
                ServerMessage::Error(failure(id, ErrorCode::TxnReused, None))
            });
        }
        match mood {
            Mood::IsBusy => {
                return down.push(ServerMessage::Error(failure(id, ErrorCode::Busy, None)));
            }
            Mood::CannotWrite => {
                let failure = failure(id, ErrorCode::Unavailable, None);
                return down.push(ServerMessage::Error(failure));
            }
            Mood::Does | Mood::Wrote => {}
        }
        let log = &mut self.logs[n];
        let seq = log.records.len() as u64 + 1;
        let content = send.content.clone();
        let body = RecordBody::Message(Message { content });
        let record = Record {
            session: self.session,
            txn: request.txn,
            hash,
            ..record(seq, me, body)
        };
        *log.ever.entry(text_of(&record)).or_default() += 1;
        log.records.push((record.clone(), now));
        let told = records_of(send.room, epoch, vec![record]);
        if mood == Mood::Wrote {
            let failure = failure(id, ErrorCode::Unavailable, None);
            down.extend([ServerMessage::Error(failure), told]);
        } else if request.txn.is_multiple_of(2) {
            down.extend([told, done(seq)]);
        } else {
            down.extend([done(seq), told]);
        }
    }
}

fn records_of(room: RoomId, epoch: u64, records: Vec<Record>) -> ServerMessage {
    ServerMessage::Records(Records {
        room,
        epoch,
        records,
    })
}

pub(super) fn text_of(record: &Record) -> String {
    match &record.body {
        RecordBody::Message(message) => match &message.content {
            Content::Plain(text) => text.text.clone(),
            other => panic!("not plain: {other:?}"),
        },
        other => panic!("not a message: {other:?}"),
    }
}
