//! The effect of each line of input.

use std::time::SystemTime;

use chat_core::{
    client::{Command, CommandError},
    id::{RoomId, Seq},
    time::Wall,
    wire::client::{HistoryFrom, Peer},
};
use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{
    conversation::Conversation,
    io::{Effect, Group},
    jobs::Then,
    slash::{CreateLine, JoinLine, Past, Slash, Which},
    turn::Turn,
};
use crate::{
    failure::Failure,
    report::{CommandOrigin, Report},
    rooms::{Joinable, Place},
    secrets::{Secrets, read_password},
    visible::visible,
};

/// Records of history that are shown at once, where it is not said how many.
const PAGE: u16 = 20;

/// The event that has to come before the next line is read.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing.
    Line,
    /// The end of this command.
    Ended(u64),
    /// A room is joined, which may take questions.
    Join(Joinable, Secrets),
    /// A group is made.
    Create(Group),
    /// The current room is left: what is typed next is meant for another one.
    Leave(RoomId),
    /// A new password of this room is asked for.
    Password(RoomId),
    /// The end of the conversation.
    Quit,
}

/// A line that was typed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typed {
    /// Whether it is off the screen.
    pub(super) taken_back: bool,
    /// The room that was spoken in when it was asked for.
    pub(super) spoken_in: Option<RoomId>,
}

/// Says something in the room that is spoken in, if that is the one in which it was typed.
pub(super) fn say(
    talk: &mut Conversation,
    text: String,
    action: bool,
    typed: Typed,
    turn: &mut Turn<'_>,
) {
    let Some(room) = talk.spoken_in() else {
        let why = if talk.rooms.is_empty() {
            "not sent: you are in no room; /join NUMBER, /create or /quit"
        } else {
            "not sent: the room for it was not entered; /join NUMBER, /create or /switch"
        };
        return talk.not_understood(why, turn);
    };
    let origin = CommandOrigin {
        line: talk.line,
        command: if action { "me" } else { "send" },
        text: Some(text.clone()),
        taken_back: typed.taken_back,
    };
    if talk.person && typed.spoken_in != Some(room) {
        return talk.failed(origin, CommandError::NotInRoom, turn);
    }
    talk.say(room, action, text, origin, turn);
}

/// Does what a command says.
pub(super) fn run(
    talk: &mut Conversation,
    slash: Slash,
    typed: Typed,
    turn: &mut Turn<'_>,
) -> Next {
    match slash {
        Slash::Help => turn.tell(Report::Help),
        Slash::Me(text) => say(talk, text, true, typed, turn),
        Slash::Msg { nick, text } => {
            let origin = CommandOrigin {
                line: talk.line,
                command: "msg",
                text: Some(text.clone()),
                taken_back: typed.taken_back,
            };
            let command = direct(&nick);
            talk.start(command, origin, Then::Say { nick, text }, turn);
        }
        Slash::Nick { nick, label } => {
            let label = label.unwrap_or_else(|| talk.me.label.clone());
            if talk.is_nameless() {
                turn.push(Effect::RetryAs { nick, label });
            } else {
                simple(
                    talk,
                    "nick",
                    Command::Nick { nick, label },
                    Then::Tell,
                    turn,
                );
            }
        }
        Slash::Rooms => simple(talk, "rooms", Command::List, Then::Tell, turn),
        Slash::Create(line) => return create(talk, line, turn),
        Slash::Join(line) => return join(talk, line, turn),
        Slash::Switch(place) => return switch(talk, place, turn),
        Slash::Block { nick, blocked } => {
            let name = if blocked { "block" } else { "unblock" };
            let command = direct(&nick);
            simple(talk, name, command, Then::Block { nick, blocked }, turn);
        }
        Slash::Quit => return Next::Quit,
        in_room => return run_in_room(talk, in_room, turn),
    }
    Next::Line
}

fn create(talk: &mut Conversation, line: CreateLine, turn: &mut Turn<'_>) -> Next {
    match Secrets::load(line.password_file.as_deref(), line.cipher.as_ref()) {
        Ok(secrets) => Next::Create(Group {
            name: (!line.name.is_empty()).then(|| line.name.join(" ")),
            topic: line.topic.unwrap_or_default(),
            secrets,
        }),
        Err(failure) => cannot(talk, &failure, turn),
    }
}

fn join(talk: &mut Conversation, line: JoinLine, turn: &mut Turn<'_>) -> Next {
    match Secrets::load(line.password_file.as_deref(), line.cipher.as_ref()) {
        Ok(secrets) => Next::Join(line.room, secrets),
        Err(failure) => cannot(talk, &failure, turn),
    }
}

fn switch(talk: &mut Conversation, place: Place, turn: &mut Turn<'_>) -> Next {
    match (talk.rooms.find(&place), place) {
        (Some(room), _) => talk.switch(room, turn),
        (None, Place::With(nick)) => {
            let origin = CommandOrigin::of(talk.line, "switch");
            let command = direct(&nick);
            let number = talk.start(command, origin, Then::Switch { nick }, turn);
            // The next line is meant for that conversation.
            return Next::Ended(number);
        }
        (None, _) => {
            let why = "/switch: you are not in that room; /join enters it";
            talk.not_understood(why, turn);
        }
    }
    Next::Line
}

/// Commands about the room that is spoken in.
fn run_in_room(talk: &mut Conversation, slash: Slash, turn: &mut Turn<'_>) -> Next {
    let Some(room) = talk.spoken_in() else {
        let why = "you are in no room; /join NUMBER, /create or /quit";
        talk.not_understood(why, turn);
        return Next::Line;
    };
    match slash {
        Slash::Online => members(talk, "online", room, turn),
        Slash::Members => members(talk, "members", room, turn),
        Slash::History(past) => history(talk, room, past, turn),
        Slash::Redact(which) => redact(talk, room, which, turn),
        Slash::Topic(Some(topic)) => {
            let command = Command::Topic { room, topic };
            simple(talk, "topic", command, Then::Tell, turn);
        }
        Slash::Topic(None) => {
            let topic = talk.rooms.view(room).map_or("", |view| view.topic.as_str());
            let words = match topic {
                "" => "there is no topic".to_owned(),
                topic => format!("topic: {}", visible(topic)),
            };
            turn.notice(words);
        }
        Slash::Password { file: Some(file) } => match read_password(&file) {
            Ok(password) => set_password(talk, room, password, turn),
            Err(failure) => return cannot(talk, &failure, turn),
        },
        Slash::Password { file: None } if talk.person => return Next::Password(room),
        Slash::Password { file: None } => talk.not_understood("write /password FILE", turn),
        Slash::Leave => return Next::Leave(room),
        about_member => run_on_member(talk, room, about_member, turn),
    }
    Next::Line
}

/// Commands about a member of a room.
fn run_on_member(talk: &mut Conversation, room: RoomId, slash: Slash, turn: &mut Turn<'_>) {
    let target = Peer::Nick;
    let (name, command) = match slash {
        Slash::Kick { nick, reason } => {
            let target = target(nick);
            let command = Command::Kick {
                room,
                target,
                reason,
            };
            ("kick", command)
        }
        Slash::Ban { nick, reason } => {
            let target = target(nick);
            let command = Command::Ban {
                room,
                target,
                reason,
            };
            ("ban", command)
        }
        Slash::Unban { nick } => {
            let target = target(nick);
            ("unban", Command::Unban { room, target })
        }
        Slash::Mute { nick, seconds } => {
            let target = target(nick);
            let command = Command::Mute {
                room,
                target,
                seconds,
            };
            ("mute", command)
        }
        Slash::Unmute { nick } => {
            let target = target(nick);
            ("unmute", Command::Unmute { room, target })
        }
        Slash::Role { nick, role } => {
            let target = target(nick);
            ("role", Command::Role { room, target, role })
        }
        // Those about no member are done above.
        _ => return,
    };
    simple(talk, name, command, Then::Tell, turn);
}

/// Changes a room's password.
pub(super) fn set_password(
    talk: &mut Conversation,
    room: RoomId,
    password: chat_core::password::Password,
    turn: &mut Turn<'_>,
) {
    let command = Command::SetPassword { room, password };
    simple(talk, "password", command, Then::Tell, turn);
}

fn members(talk: &mut Conversation, name: &'static str, room: RoomId, turn: &mut Turn<'_>) {
    let then = Then::Members {
        room,
        only_here: name == "online",
    };
    simple(talk, name, Command::Members { room }, then, turn);
}

fn history(talk: &mut Conversation, room: RoomId, past: Past, turn: &mut Turn<'_>) {
    let shown = talk.said.shown(room);
    let (from, limit) = match past {
        Past::Last(limit) => (HistoryFrom::Latest, limit),
        Past::Before(seq) => {
            let before = seq.or(shown.map(|(first, _)| first));
            let from = before.map_or(HistoryFrom::Latest, HistoryFrom::Before);
            (from, PAGE)
        }
        Past::After(seq) => {
            let after = seq.or(shown.map(|(_, last)| last));
            let from = after.map_or(HistoryFrom::Latest, HistoryFrom::After);
            (from, PAGE)
        }
        Past::Around(date, time) => match moment(date, time) {
            Some(moment) => (HistoryFrom::Around(moment), PAGE),
            None => return talk.not_understood("/history: there is no such moment", turn),
        },
    };
    let command = Command::History { room, from, limit };
    simple(talk, "history", command, Then::History { room }, turn);
}

fn redact(talk: &mut Conversation, room: RoomId, which: Which, turn: &mut Turn<'_>) {
    let head = talk.rooms.view(room).map_or(0, |view| view.place.seq);
    let seen = talk.said.newest(room).max(head);
    let found = match &which {
        Which::Number(seq) => match talk.said.numbered(room, *seq) {
            Some(found) => Ok(found),
            None => return look_and_redact(talk, room, *seq, seen, turn),
        },
        Which::Mine => talk
            .said
            .last_of(room, talk.me.member)
            .ok_or_else(|| "you have".to_owned()),
        Which::Of(nick) => talk
            .said
            .last_named(room, nick)
            .ok_or_else(|| format!("`{nick}` has")),
    };
    match found {
        Ok(found) => {
            let origin = CommandOrigin::of(talk.line, "redact");
            talk.redact(room, found, seen, origin, turn);
        }
        Err(who) => {
            let why = format!(
                "/redact: {who} said nothing here that was seen and is not taken back; \
                 /history shows more"
            );
            talk.not_understood(why, turn);
        }
    }
}

/// Takes back what stands in a record that was not seen: it is read first.
fn look_and_redact(
    talk: &mut Conversation,
    room: RoomId,
    seq: Seq,
    seen: Seq,
    turn: &mut Turn<'_>,
) {
    let from = HistoryFrom::After(seq.saturating_sub(1));
    let limit = 1;
    let command = Command::History { room, from, limit };
    simple(
        talk,
        "redact",
        command,
        Then::Redact { room, seq, seen },
        turn,
    );
}

fn direct(nick: &str) -> Command {
    let to = Peer::Nick(nick.to_owned());
    Command::Direct { to }
}

fn simple(
    talk: &mut Conversation,
    name: &'static str,
    command: Command,
    then: Then,
    turn: &mut Turn<'_>,
) {
    let origin = CommandOrigin::of(talk.line, name);
    talk.start(command, origin, then, turn);
}

/// A moment by the clock on the wall.
fn moment(date: Option<Date>, time: Option<Time>) -> Option<Wall> {
    // The calendar has no date for a clock beyond the year 9999.
    let now = Timestamp::try_from(SystemTime::now()).ok()?;
    let now = now.to_zoned(TimeZone::system());
    let date = date.unwrap_or(now.date());
    let at = date
        .to_datetime(time.unwrap_or(Time::midnight()))
        .to_zoned(now.time_zone().clone())
        .ok()?;
    u64::try_from(at.timestamp().as_millisecond())
        .ok()
        .map(Wall)
}

fn cannot(talk: &mut Conversation, failure: &Failure, turn: &mut Turn<'_>) -> Next {
    talk.not_understood(failure.to_string(), turn);
    Next::Line
}
