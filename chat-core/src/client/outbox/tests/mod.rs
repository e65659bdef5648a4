//! The outbox alone: it is asked what is next, and told what came of it.

mod doubt;
mod exchange;
mod order;
mod saved;

use super::*;
use crate::{
    id::{CredentialId, KeyId, MemberId, MessageId, Place, SessionId},
    limits::Limits,
    password::Password,
    time::Wall,
    wire::{
        ErrorCode,
        client::{self, Peer, RoomRef},
        record::{Content, PasswordRecord, WrappedKey},
        server::Committed,
    },
};

const ROOM: RoomId = RoomId([5; 16]);
const OTHER_ROOM: RoomId = RoomId([6; 16]);
const EPOCH: u64 = 11;
const MINUTE: Duration = Duration::from_secs(60);

/// An outbox, the time, and the rooms as they stand.
struct Desk {
    outbox: Outbox,
    now: Now,
    reach: Reach,
    tickets: u64,
    /// Commands that have ended.
    ended: Vec<(Ticket, Result<Outcome, CommandError>)>,
    /// Everything else that the outbox wanted.
    wanted: Vec<Effect>,
}

impl Desk {
    fn new() -> Self {
        let now = Now {
            monotonic: Monotonic(7),
            wall: Wall(1_700_000_000_000),
        };
        let mut outbox = Outbox::default();
        outbox.welcome(&Limits::default().wire(), now.monotonic);
        Self {
            outbox,
            now,
            reach: Reach::Inside { epoch: EPOCH },
            tickets: 0,
            ended: Vec::new(),
            wanted: Vec::new(),
        }
    }

    fn command(&mut self, command: Command) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let lane = match &command {
            Command::Join { room, .. } => Lane::of(room),
            command => command.room_needed().map_or(Lane::Directory, Lane::Room),
        };
        self.outbox.add(ticket, lane, command);
        ticket
    }

    fn say(&mut self, text: &str) -> Ticket {
        self.command(Command::Send {
            room: ROOM,
            action: false,
            text: text.to_owned(),
        })
    }

    fn done(&mut self, effects: impl IntoIterator<Item = Effect>) {
        for effect in effects {
            match effect {
                Effect::Finished { ticket, outcome } => self.ended.push((ticket, outcome)),
                other => self.wanted.push(other),
            }
        }
    }

    /// Sends all that may go.
    fn post(&mut self) -> Vec<Request> {
        let mut sent = Vec::new();
        loop {
            let reach = self.reach;
            let mut job = match self.outbox.next(self.now, |_| reach) {
                Next::Go(job) => job,
                Next::End(effect) => {
                    self.done([effect]);
                    continue;
                }
                Next::Nothing => return sent,
            };
            let made = job.op().cloned();
            if made.is_none() && !begins(&job) {
                self.outbox.number(&mut job);
            }
            let op = made.unwrap_or_else(|| make(&job));
            let request = self.outbox.made(&mut job, op);
            let epoch = match self.reach {
                Reach::Inside { epoch } => job.room().map(|_| epoch),
                Reach::NotYet | Reach::Outside => None,
            };
            self.outbox.sent(self.now, request.id, job, epoch);
            sent.push(request);
        }
    }

    fn answer(&mut self, request: &Request) {
        let answer = match &request.op {
            Op::Send(_) => Answer::Send(committed()),
            Op::Topic(_) => Answer::Topic(committed()),
            Op::Leave(_) => Answer::Leave(committed()),
            other => panic!("not among the commands: {other:?}"),
        };
        let id = request.id;
        let answered = self.outbox.answered(Done { id, answer });
        let (job, _) = answered.expect("of its kind").expect("it was asked");
        let effect = self.outbox.finish(job, Ok(Outcome::Committed(committed())));
        self.done([effect]);
    }

    fn refuse(&mut self, request: &Request, code: ErrorCode) {
        let failure = failure(request.id, code);
        let effects = self.outbox.refused(self.now.monotonic, failure, |_| false);
        self.done(effects);
    }

    fn lose_connection(&mut self) {
        let effects = self.outbox.cut_off();
        self.done(effects);
    }

    fn pass(&mut self, time: Duration) {
        self.now.monotonic = self.now.monotonic + time;
        self.now.wall = self.now.wall + time;
    }

    fn timeout(&mut self) {
        let effects = self.outbox.timeout(self.now);
        self.done(effects);
    }

    fn ended(&mut self) -> Vec<(Ticket, Result<Outcome, CommandError>)> {
        core::mem::take(&mut self.ended)
    }
}

/// Whether the request is the first half of a password exchange.
fn begins(job: &Job) -> bool {
    job.command().password().is_some() && job.ask == Ask::Begin
}

fn make(job: &Job) -> Op {
    match job.command() {
        Command::Send { room, action, text } => Op::Send(client::Send {
            room: *room,
            action: *action,
            content: Content::plain(text.as_str()),
        }),
        Command::SetPassword { room, .. } if begins(job) => Op::Register(client::Register {
            room: Some(*room),
            request: bytes::Bytes::from_static(&[1; 32]),
        }),
        Command::SetPassword { room, .. } => Op::Password(client::SetPassword {
            room: *room,
            expected: KeyId([1; 16]),
            password: PasswordRecord {
                credential: CredentialId([1; 16]),
                upload: bytes::Bytes::from_static(&[1; 192]),
                key: WrappedKey {
                    id: KeyId([2; 16]),
                    wrapped: bytes::Bytes::from_static(&[1; 72]),
                },
            },
            earlier: Vec::new(),
        }),
        Command::Join { room, .. } if begins(job) => Op::Login(client::Login {
            room: *room,
            ke1: bytes::Bytes::from_static(&[1; 96]),
        }),
        Command::Join {
            room,
            password: Some(_),
            ..
        } => Op::Join(client::Join {
            room: *room,
            proof: Some(client::Proof {
                credential: CredentialId([1; 16]),
                ke3: bytes::Bytes::from_static(&[1; 64]),
            }),
        }),
        Command::Create(_) => Op::Create(client::Create {
            name: None,
            topic: String::new(),
            cipher: Default::default(),
            key: None,
            history: Default::default(),
            presence: Default::default(),
            password: None,
        }),
        _ => job.plain(100).expect("a plain one"),
    }
}

fn committed() -> Committed {
    Committed {
        place: Place {
            epoch: EPOCH,
            seq: 9,
        },
    }
}

fn failure(id: u64, code: ErrorCode) -> Failure {
    Failure {
        id,
        code,
        temporary: code.is_temporary(),
        retry_after: None,
        text: String::new(),
    }
}

fn topic(room: RoomId) -> Command {
    Command::Topic {
        room,
        topic: "t".to_owned(),
    }
}

fn join(password: Option<&str>) -> Command {
    Command::Join {
        room: RoomRef::Number(3),
        password: password.map(Password::new),
        key: None,
        unsealed_too: false,
    }
}

fn txns(requests: &[Request]) -> Vec<u64> {
    requests.iter().map(|request| request.txn).collect()
}

const UNKNOWN: Result<Outcome, CommandError> = Err(CommandError::Unknown);
