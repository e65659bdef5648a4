//! The requests of commands that need neither a password nor a key.

use super::{super::command::Command, job::Job};
use crate::wire::client::{
    Block, Direct, History, InRoom, Join, List, Members, Mute, Nick, OnPeer, Op, Redact, Remove,
    SetRole, SetTopic,
};

impl Job {
    /// The only request of the command, or the next page's. None: it needs a key or a password.
    pub(in super::super) fn plain(&self, page: u16) -> Option<Op> {
        Some(match self.command.clone() {
            Command::List => Op::List(List {
                after: self.pages.rooms.last().map(|room| room.number),
                limit: page,
            }),
            Command::Find { number } => Op::List(List {
                after: number.checked_sub(1),
                limit: 1,
            }),
            Command::Members { room } => Op::Members(Members {
                room,
                after: self.pages.members.last().map(|member| member.member),
                limit: page,
            }),
            Command::History { room, from, limit } => Op::History(History { room, from, limit }),
            Command::Nick { nick, label } => Op::Nick(Nick { nick, label }),
            Command::Join {
                room,
                password: None,
                ..
            } => Op::Join(Join { room, proof: None }),
            Command::Leave { room } => Op::Leave(InRoom { room }),
            Command::Direct { to } => Op::Direct(Direct { to }),
            Command::Topic { room, topic } => Op::Topic(SetTopic { room, topic }),
            Command::Role { room, target, role } => Op::Role(SetRole { room, target, role }),
            Command::Kick {
                room,
                target,
                reason,
            } => Op::Kick(Remove {
                room,
                target,
                reason,
            }),
            Command::Ban {
                room,
                target,
                reason,
            } => Op::Ban(Remove {
                room,
                target,
                reason,
            }),
            Command::Unban { room, target } => Op::Unban(OnPeer { room, target }),
            Command::Mute {
                room,
                target,
                seconds,
            } => Op::Mute(Mute {
                room,
                target,
                seconds,
            }),
            Command::Unmute { room, target } => Op::Unmute(OnPeer { room, target }),
            Command::Block { room, blocked } => Op::Block(Block { room, blocked }),
            Command::Redact { room, target, seq } => Op::Redact(Redact { room, target, seq }),
            Command::Send { .. }
            | Command::Create(_)
            | Command::Join { .. }
            | Command::SetPassword { .. } => return None,
        })
    }
}
