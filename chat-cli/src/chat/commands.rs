//! What each line of input does.

use std::{pin::pin, time::SystemTime};

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
    enter::{self, Group, Secrets},
    input::{Answer, Asked},
    rooms::room_name,
    slash::{self, Line, Past, Place, Slash, Which},
    talk::{Stop, Talk, Then},
    voice::Doing,
};
use crate::{exit::Failure, visible::visible};

/// Commands that may be unfinished before the next line is read.
const UNFINISHED: usize = 200;
/// The same where somebody types. What was pasted is read whatever the server does, so that Ctrl-C
/// is, and that it can be said what was not sent.
const UNFINISHED_OF_A_PERSON: usize = 10_000;

/// Records of history that are shown at once, where it is not said how many.
const PAGE: u16 = 20;

/// Does line after line, until the input or the conversation ends. At the end of input everything
/// is finished first; at Ctrl-C, what was typed before it is said first.
pub(crate) async fn talk(talk: &mut Talk<'_>) -> Result<(), Stop> {
    let mut asked = None;
    match lines(talk, &mut asked).await {
        Err(Stop::Quit) if talk.input.is_person() && !talk.all_read => {
            match typed_ahead(talk, asked).await {
                Err(Stop::Quit) => talk.impatient = true,
                ended => ended?,
            }
            Err(Stop::Quit)
        }
        Err(stop) if !talk.all_read => {
            let line = asked.and_then(Asked::withdraw);
            talk.unread += u64::from(line.is_some_and(|line| line.is_something()));
            Err(stop)
        }
        ended => ended,
    }
}

async fn lines(talk: &mut Talk<'_>, asked: &mut Option<Asked>) -> Result<(), Stop> {
    let unfinished = if talk.input.is_person() {
        UNFINISHED_OF_A_PERSON
    } else {
        UNFINISHED
    };
    loop {
        talk.until_at_most(unfinished).await?;
        let spoken_in = talk.rooms.current().map(|view| view.room);
        let answer = asked.insert(talk.input.talk(&talk.prompt()));
        let answer = talk.until(answer).await?;
        *asked = None;
        let (line, taken_back) = match answer {
            Answer::Line(line) => (line, false),
            Answer::TakenBack(line) => (line, true),
            Answer::Unreadable(why) => {
                talk.line += 1;
                talk.voice
                    .not_understood(talk.line, &format!("not sent: {why}"));
                continue;
            }
            Answer::End => {
                talk.all_read = true;
                return talk.until_at_most(0).await;
            }
            Answer::Interrupted => {
                talk.signals.came();
                talk.all_read = true;
                return Err(Stop::Quit);
            }
        };
        talk.line += 1;
        match slash::parse(&line) {
            Ok(Line::Empty) => {}
            Ok(Line::Say(text)) => say(talk, text, false, taken_back, spoken_in),
            _ if !talk.commands => return refuse(talk).await,
            Ok(Line::Command(Slash::Quit)) => {
                talk.all_read = true;
                return talk.until_at_most(0).await;
            }
            Ok(Line::Command(Slash::Me(text))) => say(talk, text, true, taken_back, spoken_in),
            Ok(Line::Command(slash)) => {
                if matches!(slash, Slash::Create(_) | Slash::Join(_) | Slash::Switch(_)) {
                    leave_place(talk);
                }
                run(talk, slash, taken_back).await?;
            }
            Err(why) => {
                talk.voice.not_understood(talk.line, &why);
                leave_place(talk);
            }
        }
    }
}

/// The lines of a file or a pipe are written for the room that the last command names: if that comes
/// to nothing, they are said nowhere.
fn leave_place(talk: &mut Talk<'_>) {
    if !talk.input.is_person() {
        talk.rooms.switch_off();
    }
}

/// What a person had typed, or pasted, when a signal came while no line was edited: it is said all
/// the same. Commands are not done any more.
async fn typed_ahead(talk: &mut Talk<'_>, mut asked: Option<Asked>) -> Result<(), Stop> {
    let mut idle = pin!(talk.voice.idle());
    loop {
        let spoken_in = talk.rooms.current().map(|view| view.room);
        let mut answer = asked
            .take()
            .unwrap_or_else(|| talk.input.talk(&talk.prompt()));
        let answer = tokio::select! {
            biased;
            answer = talk.until(&mut answer) => answer?,
            () = &mut idle => return Ok(()),
        };
        let (line, taken_back) = match answer {
            Answer::Line(line) => (line, false),
            Answer::TakenBack(line) => (line, true),
            Answer::Unreadable(_) => continue,
            Answer::End => return Ok(()),
            Answer::Interrupted => return Err(Stop::Quit),
        };
        talk.line += 1;
        match slash::parse(&line) {
            Ok(Line::Say(text)) => say(talk, text, false, taken_back, spoken_in),
            Ok(Line::Command(Slash::Me(text))) => say(talk, text, true, taken_back, spoken_in),
            Ok(Line::Empty) => {}
            Ok(Line::Command(_)) | Err(_) => {
                let why = format!("not done any more: {line}");
                talk.voice.not_understood(talk.line, &why);
            }
        }
    }
}

/// A line of a file or a pipe begins with a slash, and nobody said that it may be a command: what
/// was before it is finished, and that is the end.
async fn refuse(talk: &mut Talk<'_>) -> Result<(), Stop> {
    let line = talk.line;
    talk.unread = 1;
    talk.until_at_most(0).await?;
    Err(Stop::Failed(Failure::Usage(format!(
        "line {line} begins with a slash; begin it with two, or use --commands if lines may be commands"
    ))))
}

/// Says something in the room that is spoken in, if that is the one in which it was typed.
fn say(
    talk: &mut Talk<'_>,
    text: String,
    action: bool,
    taken_back: bool,
    spoken_in: Option<RoomId>,
) {
    let Some(room) = talk.rooms.current().map(|view| view.room) else {
        let why = if talk.rooms.is_empty() {
            "not sent: you are in no room; /join NUMBER, /create or /quit"
        } else {
            "not sent: the room for it was not entered; /join NUMBER, /create or /switch"
        };
        return talk.voice.not_understood(talk.line, why);
    };
    let command = if action { "me" } else { "send" };
    let doing = Doing {
        line: talk.line,
        command,
        text: Some(text.clone()),
        taken_back,
    };
    if talk.input.is_person() && spoken_in != Some(room) {
        return talk.voice.failed(&doing, &CommandError::NotInRoom);
    }
    talk.say(room, action, text, doing);
}

async fn run(talk: &mut Talk<'_>, slash: Slash, taken_back: bool) -> Result<(), Stop> {
    match slash {
        Slash::Help => talk.voice.help(),
        Slash::Msg { nick, text } => {
            let doing = Doing {
                line: talk.line,
                command: "msg",
                text: Some(text.clone()),
                taken_back,
            };
            talk.start(
                Command::Direct {
                    to: Peer::Nick(nick.clone()),
                },
                doing,
                Then::Say { nick, text },
            );
        }
        Slash::Nick { nick, label } => {
            let label = label.unwrap_or_else(|| talk.me.label.clone());
            if talk.nameless {
                talk.client.retry_as(nick, label);
            } else {
                simple(talk, "nick", Command::Nick { nick, label }, Then::Tell);
            }
        }
        Slash::Rooms => simple(talk, "rooms", Command::List, Then::Tell),
        Slash::Create(line) => {
            let secrets = match Secrets::load(line.password_file.as_deref(), line.cipher.as_ref()) {
                Ok(secrets) => secrets,
                Err(failure) => return failed(talk, &failure),
            };
            let group = Group {
                name: (!line.name.is_empty()).then(|| line.name.join(" ")),
                topic: line.topic.unwrap_or_default(),
                secrets,
            };
            if let Err(error) = enter::create(talk, group).await? {
                let doing = Doing::of(talk.line, "create");
                talk.voice.failed(&doing, &error);
            }
        }
        Slash::Join(line) => {
            let secrets = match Secrets::load(line.password_file.as_deref(), line.cipher.as_ref()) {
                Ok(secrets) => secrets,
                Err(failure) => return failed(talk, &failure),
            };
            if let Err(error) = enter::join(talk, &line.room, secrets).await? {
                let doing = Doing::of(talk.line, "join");
                talk.voice.failed(&doing, &error);
            }
        }
        Slash::Switch(place) => match (talk.rooms.find(&place), place) {
            (Some(room), _) => {
                talk.rooms.switch(room);
                if let Some(view) = talk.rooms.view(room) {
                    let name = room_name(view);
                    talk.voice.notice(&format!("speaking in {name}"));
                }
            }
            (None, Place::With(nick)) => {
                let command = Command::Direct {
                    to: Peer::Nick(nick.clone()),
                };
                let doing = Doing::of(talk.line, "switch");
                let number = talk.start(command, doing, Then::Switch { nick });
                // What is typed next is meant for that conversation.
                talk.until_ended(number).await?;
            }
            (None, _) => talk.voice.not_understood(
                talk.line,
                "/switch: you are not in that room; /join enters it",
            ),
        },
        Slash::Block { nick, blocked } => {
            let command = if blocked { "block" } else { "unblock" };
            simple(
                talk,
                command,
                Command::Direct {
                    to: Peer::Nick(nick.clone()),
                },
                Then::Block { nick, blocked },
            );
        }
        Slash::Quit => return Err(Stop::Quit),
        in_room => return run_in_room(talk, in_room).await,
    }
    Ok(())
}

/// Commands about the room that is spoken in.
async fn run_in_room(talk: &mut Talk<'_>, slash: Slash) -> Result<(), Stop> {
    let Some(view) = talk.rooms.current() else {
        talk.voice.not_understood(
            talk.line,
            "you are in no room; /join NUMBER, /create or /quit",
        );
        return Ok(());
    };
    let room = view.room;
    let peer = Peer::Nick;
    match slash {
        Slash::Online => simple(
            talk,
            "online",
            Command::Members { room },
            Then::Members {
                room,
                only_here: true,
            },
        ),
        Slash::Members => simple(
            talk,
            "members",
            Command::Members { room },
            Then::Members {
                room,
                only_here: false,
            },
        ),
        Slash::History(past) => {
            let shown = talk.said.shown(room);
            let (from, limit) = match past {
                Past::Last(limit) => (HistoryFrom::Latest, limit),
                Past::Before(seq) => {
                    let before = seq.or(shown.map(|(first, _)| first));
                    (
                        before.map_or(HistoryFrom::Latest, HistoryFrom::Before),
                        PAGE,
                    )
                }
                Past::After(seq) => {
                    let after = seq.or(shown.map(|(_, last)| last));
                    (after.map_or(HistoryFrom::Latest, HistoryFrom::After), PAGE)
                }
                Past::Around(date, time) => match moment(date, time) {
                    Some(moment) => (HistoryFrom::Around(moment), PAGE),
                    None => {
                        talk.voice
                            .not_understood(talk.line, "/history: there is no such moment");
                        return Ok(());
                    }
                },
            };
            simple(
                talk,
                "history",
                Command::History { room, from, limit },
                Then::History { room },
            );
        }
        Slash::Redact(which) => {
            let seen = talk.said.newest(room).max(view.place.seq);
            let found = match &which {
                Which::Number(seq) => match talk.said.numbered(room, *seq) {
                    Some(found) => Ok(found),
                    None => return look_and_redact(talk, room, *seq, seen),
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
                    let doing = Doing::of(talk.line, "redact");
                    talk.redact(room, found, seen, doing);
                }
                Err(who) => {
                    let why = format!(
                        "/redact: {who} said nothing here that was seen and is not taken back; \
                         /history shows more"
                    );
                    talk.voice.not_understood(talk.line, &why);
                }
            }
        }
        Slash::Topic(Some(topic)) => {
            simple(talk, "topic", Command::Topic { room, topic }, Then::Tell)
        }
        Slash::Topic(None) => {
            let topic = match view.topic.as_str() {
                "" => "there is no topic".to_owned(),
                topic => format!("topic: {}", visible(topic)),
            };
            talk.voice.notice(&topic);
        }
        Slash::Kick { nick, reason } => simple(
            talk,
            "kick",
            Command::Kick {
                room,
                target: peer(nick),
                reason,
            },
            Then::Tell,
        ),
        Slash::Ban { nick, reason } => simple(
            talk,
            "ban",
            Command::Ban {
                room,
                target: peer(nick),
                reason,
            },
            Then::Tell,
        ),
        Slash::Unban { nick } => simple(
            talk,
            "unban",
            Command::Unban {
                room,
                target: peer(nick),
            },
            Then::Tell,
        ),
        Slash::Mute { nick, seconds } => simple(
            talk,
            "mute",
            Command::Mute {
                room,
                target: peer(nick),
                seconds,
            },
            Then::Tell,
        ),
        Slash::Unmute { nick } => simple(
            talk,
            "unmute",
            Command::Unmute {
                room,
                target: peer(nick),
            },
            Then::Tell,
        ),
        Slash::Role { nick, role } => simple(
            talk,
            "role",
            Command::Role {
                room,
                target: peer(nick),
                role,
            },
            Then::Tell,
        ),
        Slash::Password { file } => {
            let password = match (file, talk.input.is_person()) {
                (Some(file), _) => match enter::read_password(&file) {
                    Ok(password) => password,
                    Err(failure) => return failed(talk, &failure),
                },
                (None, true) => {
                    let question = "new password (Enter to leave it as it is): ";
                    match enter::optional_password(talk, question).await? {
                        Some(password) => password,
                        None => {
                            talk.voice.notice("the password is as it was");
                            return Ok(());
                        }
                    }
                }
                (None, false) => {
                    talk.voice.not_understood(talk.line, "write /password FILE");
                    return Ok(());
                }
            };
            simple(
                talk,
                "password",
                Command::SetPassword { room, password },
                Then::Tell,
            );
        }
        Slash::Leave => {
            talk.leaving.insert(room);
            // What is typed next is meant for another room, so this one has to be left first.
            let doing = Doing::of(talk.line, "leave");
            match talk.command(Command::Leave { room }).await? {
                Ok(outcome) => talk.voice.done(&doing, &outcome),
                Err(error) => {
                    talk.leaving.remove(&room);
                    talk.voice.failed(&doing, &error);
                }
            }
        }
        other => unreachable!("{other:?} is about no room"),
    }
    Ok(())
}

/// Takes back what stands in a record that was not seen: it is read first.
fn look_and_redact(talk: &mut Talk<'_>, room: RoomId, seq: Seq, seen: Seq) -> Result<(), Stop> {
    let from = HistoryFrom::After(seq.saturating_sub(1));
    let command = Command::History {
        room,
        from,
        limit: 1,
    };
    simple(talk, "redact", command, Then::Redact { room, seq, seen });
    Ok(())
}

fn simple(talk: &mut Talk<'_>, name: &'static str, command: Command, then: Then) {
    let doing = Doing::of(talk.line, name);
    talk.start(command, doing, then);
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

fn failed(talk: &mut Talk<'_>, failure: &Failure) -> Result<(), Stop> {
    talk.voice.not_understood(talk.line, &failure.to_string());
    Ok(())
}
