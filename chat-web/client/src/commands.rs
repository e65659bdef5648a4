//! The page's commands. Each gives a number back; its outcome is the event `finished` with that
//! number.

use chat_core::{
    cipher::Key,
    client::{Command, Create, RoomCipher, RoomKey},
    id::{MemberId, MessageId, RoomId, SessionId},
    password::Password,
    roles::Role,
    wire::client::{HistoryFrom, Peer, RoomRef},
};
use wasm_bindgen::prelude::*;

use crate::{WebClient, id};

#[wasm_bindgen]
impl WebClient {
    /// All groups.
    pub fn list(&mut self, now: f64) -> f64 {
        self.command(now, Command::List)
    }

    /// The group of this number, or none.
    pub fn find(&mut self, now: f64, number: u32) -> f64 {
        self.command(now, Command::Find { number })
    }

    /// Be called something else.
    pub fn nick(&mut self, now: f64, nick: String, label: String) -> f64 {
        self.command(now, Command::Nick { nick, label })
    }

    /// Makes a group. `cipher` is `none`, `room_password`, `caesar` (with its shift as `key`) or
    /// `static_key` (with the key).
    ///
    /// # Errors
    /// The cipher or its key is not one.
    pub fn create(
        &mut self,
        now: f64,
        name: Option<String>,
        topic: String,
        password: Option<String>,
        cipher: &str,
        key: Option<String>,
    ) -> Result<f64, JsError> {
        let cipher = match (cipher, room_key(key)?) {
            ("none", None) => RoomCipher::None,
            ("room_password", None) => RoomCipher::RoomPassword,
            (_, Some(key)) => RoomCipher::Key(key),
            _ => return Err(JsError::new("no such cipher")),
        };
        let create = Create {
            name,
            topic,
            cipher,
            password: password.map(Password::new),
            ..Create::default()
        };
        Ok(self.command(now, Command::Create(create)))
    }

    /// Enters a room: the lobby, unless there is a number. `key` is a shift or a static key, where
    /// the room asks for one. Who gives a password for a room that is not encrypted enters it only
    /// if that is `unsealed_too`.
    ///
    /// # Errors
    /// The key is not one.
    pub fn join(
        &mut self,
        now: f64,
        number: Option<u32>,
        password: Option<String>,
        key: Option<String>,
        unsealed_too: Option<bool>,
    ) -> Result<f64, JsError> {
        let room = number.map_or(RoomRef::Lobby, RoomRef::Number);
        let (password, key) = (password.map(Password::new), room_key(key)?);
        Ok(self.command(
            now,
            Command::Join {
                room,
                password,
                key,
                unsealed_too: unsealed_too.unwrap_or(false),
            },
        ))
    }

    /// Leaves a room, or declines the invitation to it.
    ///
    /// # Errors
    /// These and those below: the room's id is not one.
    pub fn leave(&mut self, now: f64, room: &str) -> Result<f64, JsError> {
        let room = RoomId(id(room)?);
        Ok(self.command(now, Command::Leave { room }))
    }

    /// Opens the private conversation with somebody, named by nick or by id.
    pub fn direct(
        &mut self,
        now: f64,
        nick: Option<String>,
        member: Option<String>,
    ) -> Result<f64, JsError> {
        let to = peer(nick, member)?;
        Ok(self.command(now, Command::Direct { to }))
    }

    /// Says something.
    pub fn send(
        &mut self,
        now: f64,
        room: &str,
        action: bool,
        text: String,
    ) -> Result<f64, JsError> {
        let room = RoomId(id(room)?);
        Ok(self.command(now, Command::Send { room, action, text }))
    }

    /// All members of a room.
    pub fn members(&mut self, now: f64, room: &str) -> Result<f64, JsError> {
        let room = RoomId(id(room)?);
        Ok(self.command(now, Command::Members { room }))
    }

    /// The record of a room: the latest, or before the record of this number.
    pub fn history(
        &mut self,
        now: f64,
        room: &str,
        before: Option<f64>,
        limit: u16,
    ) -> Result<f64, JsError> {
        let room = RoomId(id(room)?);
        let from = before.map_or(HistoryFrom::Latest, |seq| HistoryFrom::Before(seq as u64));
        Ok(self.command(now, Command::History { room, from, limit }))
    }

    /// Changes the topic.
    pub fn topic(&mut self, now: f64, room: &str, topic: String) -> Result<f64, JsError> {
        let room = RoomId(id(room)?);
        Ok(self.command(now, Command::Topic { room, topic }))
    }

    /// A new password.
    pub fn password(&mut self, now: f64, room: &str, password: String) -> Result<f64, JsError> {
        let (room, password) = (RoomId(id(room)?), Password::new(password));
        Ok(self.command(now, Command::SetPassword { room, password }))
    }

    /// Takes back what was said: the message of this author, session and number, which stands in
    /// this record.
    pub fn redact(
        &mut self,
        now: f64,
        room: &str,
        member: &str,
        session: f64,
        txn: f64,
        seq: f64,
    ) -> Result<f64, JsError> {
        let (room, seq) = (RoomId(id(room)?), seq as u64);
        let target = MessageId {
            member: MemberId(id(member)?),
            session: SessionId(session as u64),
            txn: txn as u64,
        };
        Ok(self.command(now, Command::Redact { room, target, seq }))
    }

    /// Takes no messages in a private conversation, or takes them again.
    pub fn block(&mut self, now: f64, room: &str, blocked: bool) -> Result<f64, JsError> {
        let room = RoomId(id(room)?);
        Ok(self.command(now, Command::Block { room, blocked }))
    }

    /// Does something to somebody, named by nick or by id: `kick`, `ban` (both with a reason),
    /// `unban`, `mute` (with seconds or for ever), `unmute`, or makes them `owner`, `moderator` or
    /// `member`.
    #[expect(clippy::too_many_arguments, reason = "JavaScript has no other way")]
    pub fn sanction(
        &mut self,
        now: f64,
        room: &str,
        what: &str,
        nick: Option<String>,
        member: Option<String>,
        reason: String,
        seconds: Option<u32>,
    ) -> Result<f64, JsError> {
        let (room, target) = (RoomId(id(room)?), peer(nick, member)?);
        let role = |target, role| Command::Role { room, target, role };
        let command = match what {
            "kick" => Command::Kick {
                room,
                target,
                reason,
            },
            "ban" => Command::Ban {
                room,
                target,
                reason,
            },
            "unban" => Command::Unban { room, target },
            "mute" => Command::Mute {
                room,
                target,
                seconds,
            },
            "unmute" => Command::Unmute { room, target },
            "owner" => role(target, Role::Owner),
            "moderator" => role(target, Role::Moderator),
            "member" => role(target, Role::Member),
            _ => return Err(JsError::new("there is no such thing to do")),
        };
        Ok(self.command(now, command))
    }
}

impl WebClient {
    fn command(&mut self, now: f64, command: Command) -> f64 {
        let now = self.at(now);
        self.machine.command(now, command, &mut self.out).0 as f64
    }
}

/// A shift, or else a key.
fn room_key(text: Option<String>) -> Result<Option<RoomKey>, JsError> {
    let Some(text) = text else {
        return Ok(None);
    };
    Ok(Some(match text.parse() {
        Ok(shift) => RoomKey::Caesar(shift),
        Err(_) => RoomKey::Static(Key::parse(&text)?),
    }))
}

fn peer(nick: Option<String>, member: Option<String>) -> Result<Peer, JsError> {
    Ok(match (nick, member) {
        (_, Some(member)) => Peer::Member(MemberId(id(&member)?)),
        (nick, None) => Peer::Nick(nick.unwrap_or_default()),
    })
}
