//! The outbox as bytes, for a client that goes on with it in its next life.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    super::command::{Command, Ticket},
    Lane, Outbox,
    job::{Ask, First, Job, Trail},
};
use crate::{
    id::{RoomId, SessionId},
    small::SmallMap,
    time::{Now, Wall},
    wire::{Tagged, client::Op, reader, writer},
};

/// Of these bytes.
const VERSION: u8 = 1;

/// An outbox and the session that its numbers are of.
#[derive(Serialize, Deserialize)]
#[serde(rename = "frozen")]
struct Saved {
    version: u8,
    session: SessionId,
    last_txn: u64,
    jobs: Vec<SavedJob>,
}

/// A command that changes something and holds no secret but what it says.
#[derive(Serialize, Deserialize)]
#[serde(rename = "frozen")]
struct SavedJob {
    command: SavedCommand,
    txn: Option<u64>,
    /// Its request, once it is made: what is sealed is sent again as it is.
    made: Option<SavedOp>,
    /// When it went out first, and in which life of the room's log.
    asked: Option<(Wall, Option<u64>)>,
}

#[derive(Serialize, Deserialize)]
enum SavedCommand {
    Send {
        room: RoomId,
        action: bool,
        text: String,
    },
    /// The request says all.
    Plain(SavedOp),
}

/// A request's kind and body.
#[derive(Serialize, Deserialize)]
struct SavedOp(u16, Vec<u8>);

/// A saved outbox, on its way back.
pub(in super::super) struct Restored {
    pub(in super::super) session: SessionId,
    last_txn: u64,
    jobs: Vec<SavedJob>,
}

impl Restored {
    /// Reads what [`Outbox::to_bytes`] wrote.
    pub(in super::super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let saved: Saved = reader::take_all(bytes)?;
        (saved.version == VERSION && saved.session != SessionId::NONE).then_some(Self {
            session: saved.session,
            last_txn: saved.last_txn,
            jobs: saved.jobs,
        })
    }
}

impl Outbox {
    /// The commands that go on in another life, in the order they were given.
    pub(in super::super) fn to_bytes(&self, session: SessionId) -> Zeroizing<Vec<u8>> {
        let unanswered = self.unanswered.values().map(|job| &**job);
        let jobs = unanswered.chain(self.waiting());
        let jobs: SmallMap<_, &Job> = jobs.map(|job| (job.ticket, job)).collect();
        let saved = Saved {
            version: VERSION,
            session,
            last_txn: self.last_txn,
            jobs: jobs.values().filter_map(|job| save(job)).collect(),
        };
        writer::secret(&saved)
    }

    /// Goes on with what was saved: each command under its new ticket.
    pub(in super::super) fn restore(
        &mut self,
        now: Now,
        restored: Restored,
        mut ticket: impl FnMut() -> Ticket,
    ) -> Vec<(Ticket, Command)> {
        self.last_txn = restored.last_txn;
        let mut commands = Vec::new();
        for saved in restored.jobs {
            let Some(command) = command_of(saved.command) else {
                continue;
            };
            let lane = command.room_needed().map_or(Lane::Directory, Lane::Room);
            let mut job = Box::new(Job::new(ticket(), lane, command));
            job.txn = saved.txn;
            if let Some(op) = saved.made.and_then(|op| op.read()) {
                job.ask = Ask::Made(op);
            }
            if let Some((wall, epoch)) = saved.asked {
                job.trail = Trail::InDoubt(First::restored(now, wall, epoch));
            }
            commands.push((job.ticket, job.command.clone()));
            self.unfinished += 1;
            self.put_back(job);
        }
        commands
    }
}

impl SavedOp {
    fn of(op: &Op) -> Self {
        let mut body = Vec::new();
        op.write_postcard(&mut body);
        Self(op.kind(), body)
    }

    fn read(&self) -> Option<Op> {
        Op::read_postcard(self.0, &self.1).ok()
    }
}

/// None: it asks for something only, or it holds a password, or what it does is undone by a new
/// life (the name, which `hello` says).
fn save(job: &Job) -> Option<SavedJob> {
    if job.decided().is_some() {
        return None;
    }
    let command = match &job.command {
        Command::Send { room, action, text } => SavedCommand::Send {
            room: *room,
            action: *action,
            text: text.clone(),
        },
        Command::Nick { .. } | Command::Join { .. } => return None,
        command if command.changes() => SavedCommand::Plain(SavedOp::of(&job.plain(0)?)),
        _ => return None,
    };
    Some(SavedJob {
        command,
        txn: job.txn,
        made: job.op().map(SavedOp::of),
        asked: match job.trail {
            Trail::Unsent => None,
            Trail::Asked(first) | Trail::InDoubt(first) => Some((first.wall, first.epoch)),
        },
    })
}

/// None: it is of a version that knew more.
fn command_of(saved: SavedCommand) -> Option<Command> {
    let op = match saved {
        SavedCommand::Send { room, action, text } => {
            return Some(Command::Send { room, action, text });
        }
        SavedCommand::Plain(op) => op.read()?,
    };
    Some(match op {
        Op::Leave(leave) => Command::Leave { room: leave.room },
        Op::Direct(direct) => Command::Direct { to: direct.to },
        Op::Topic(topic) => Command::Topic {
            room: topic.room,
            topic: topic.topic,
        },
        Op::Role(role) => Command::Role {
            room: role.room,
            target: role.target,
            role: role.role,
        },
        Op::Kick(kick) => Command::Kick {
            room: kick.room,
            target: kick.target,
            reason: kick.reason,
        },
        Op::Ban(ban) => Command::Ban {
            room: ban.room,
            target: ban.target,
            reason: ban.reason,
        },
        Op::Unban(unban) => Command::Unban {
            room: unban.room,
            target: unban.target,
        },
        Op::Mute(mute) => Command::Mute {
            room: mute.room,
            target: mute.target,
            seconds: mute.seconds,
        },
        Op::Unmute(unmute) => Command::Unmute {
            room: unmute.room,
            target: unmute.target,
        },
        Op::Block(block) => Command::Block {
            room: block.room,
            blocked: block.blocked,
        },
        Op::Redact(redact) => Command::Redact {
            room: redact.room,
            target: redact.target,
            seq: redact.seq,
        },
        _ => return None,
    })
}
