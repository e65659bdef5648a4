//! Reports as JSON objects for programs, one a line. The README of `chat-cli` lists their names and
//! fields.

use chat_core::{
    client::{CommandError, EnteredHow, Invitation, Outcome, Text},
    wire::{
        record::{CipherKind, Record, RecordBody},
        server::{
            Closing, Failure, HistoryPage, MemberInfo, PresenceUpdate, RemovedReason, RoomInfo,
            RoomView, Welcome,
        },
    },
};
use serde_json::{Map, Value, json};

use super::{
    reporter::{Lines, Report, Reporter},
    words,
};
use crate::{commands, json_line, rooms::RoomTitle};

/// Tells everything as JSON: one object a line, for programs.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonReporter;

impl Reporter for JsonReporter {
    fn report(&mut self, report: &Report, lines: &mut dyn Lines) {
        match report {
            Report::RestNotSent(count) => lines.note(&words::rest_not_sent(*count)),
            report => {
                if let Some(value) = value(report) {
                    lines.say(&json_line::to_string(&value));
                }
            }
        }
    }
}

/// The object for a report; none for a report that another one or nothing tells to programs.
fn value(report: &Report) -> Option<Value> {
    Some(match report {
        Report::Welcomed { welcome: w, again } => welcome(w, *again),
        Report::HelloRefused(failure) => hello_refused(failure),
        Report::Created(title) => created(title),
        Report::Entered { view, how } | Report::Back { view, how } => entered(view, *how),
        Report::Invitation { room, mine, what } => invitation(room, *mine, *what),
        Report::Forgotten { room, reason } => removed(room, *reason),
        Report::Removed { room, reason, .. } => removed(room, *reason),
        Report::Silent(title) => silent(title),
        Report::Record {
            room,
            record: r,
            text,
            mine,
            ..
        } => record(room, r, text.as_ref(), *mine),
        Report::Presence { room, update, .. } => presence(room, update),
        Report::Named(named) => {
            json!({"event": "named", "nick": named.nick, "label": named.label})
        }
        Report::Closing(c) => closing(c),
        Report::Disconnected { retry_in } => disconnected(*retry_in),
        Report::Pending(origin) => pending(origin.command, origin.line),
        Report::StillPending { failure, .. } => delayed(failure.as_ref()?),
        Report::Done { origin, outcome } => done(origin.command, origin.line, outcome),
        Report::Failed { origin, error } => {
            let reason = words::command_error(error);
            failed(origin.command, origin.line, error, &reason)
        }
        Report::Abandoned { origin, error } => {
            failed(origin.command, origin.line, error, words::ENDED_FIRST)
        }
        Report::NotUnderstood { line, why } => not_understood(*line, why),
        Report::Rooms(groups) => rooms(groups),
        Report::Members {
            room, members: m, ..
        } => members(room, m),
        Report::History { room, page, texts } => history(room, page, texts),
        Report::WaitsBeforeEnd(messages) => notice(&words::waits_before_end(*messages)),
        Report::Help => notice(&commands::help().join("\n")),
        Report::Notice(text) => notice(text),
        Report::TextPending(_)
        | Report::TakenBackBefore(_)
        | Report::LastLines { .. }
        | Report::RestNotSent(_)
        | Report::Hint => return None,
    })
}

fn welcome(welcome: &Welcome, again: bool) -> Value {
    json!({
        "event": "welcome", "again": again, "member": welcome.member.to_string(), "nick": welcome.nick,
        "label": welcome.label, "durability": welcome.durability, "lobby": welcome.lobby, "server": welcome.agent,
    })
}

fn created(title: &RoomTitle) -> Value {
    json!({"event": "created", "room": room(title)})
}

fn entered(view: &RoomView, how: EnteredHow) -> Value {
    let how = match how {
        EnteredHow::Command => "command",
        EnteredHow::Resumed => "resumed",
        EnteredHow::Afresh => "afresh",
        EnteredHow::New => "new",
    };
    json!({
        "event": "entered", "room": room(&view.into()), "how": how, "topic": view.topic, "cipher": view.cipher,
        "insecure": view.cipher == CipherKind::Caesar, "role": view.role, "standing": view.standing, "members": view.members,
        "seq": view.place.seq,
    })
}

/// An invitation to a private conversation: this client's, or the other's.
fn invitation(title: &RoomTitle, mine: bool, what: Invitation) -> Value {
    let what = match what {
        Invitation::Given => "given",
        Invitation::Accepted => "accepted",
        Invitation::Declined => "declined",
    };
    json!({"event": "invitation", "room": room(title), "mine": mine, "what": what})
}

fn removed(title: &RoomTitle, reason: RemovedReason) -> Value {
    json!({"event": "removed", "room": room(title), "reason": reason})
}

fn silent(title: &RoomTitle) -> Value {
    json!({"event": "silent", "room": room(title)})
}

/// `message` for what was said, `record` for the rest.
fn record(title: &RoomTitle, record: &Record, text: Option<&Text>, mine: bool) -> Value {
    let mut object = record_fields(record, text);
    object.insert("room".to_owned(), room(title));
    object.insert("mine".to_owned(), mine.into());
    Value::Object(object)
}

fn presence(title: &RoomTitle, update: &PresenceUpdate) -> Value {
    let mut object = json!({"event": "presence", "room": room(title)});
    match update {
        PresenceUpdate::Full(full) => {
            object["full"] = true.into();
            let people = full.people.iter();
            object["here"] = people
                .map(|person| someone(&person.member.to_string(), &person.nick, &person.label))
                .collect();
        }
        PresenceUpdate::Changes(changes) => {
            let people = |people: &[chat_core::wire::record::Person]| -> Value {
                people
                    .iter()
                    .map(|person| someone(&person.member.to_string(), &person.nick, &person.label))
                    .collect()
            };
            object["full"] = false.into();
            object["here"] = people(&changes.here);
            object["gone"] = people(&changes.gone);
            let renamed = changes.renamed.iter().map(|renamed| {
                let to = &renamed.to;
                json!({"from": renamed.from, "to": someone(&to.member.to_string(), &to.nick, &to.label)})
            });
            object["renamed"] = renamed.collect();
        }
        PresenceUpdate::Count(count) => object["count"] = count.count.into(),
        _ => {}
    }
    object
}

/// A command has succeeded.
fn done(command: &str, line: u64, outcome: &Outcome) -> Value {
    let mut object = json!({"event": "done", "command": command, "line": line});
    match outcome {
        Outcome::Committed(committed) => object["seq"] = committed.place.seq.into(),
        Outcome::Named(named) => {
            object["nick"] = named.nick.clone().into();
            object["label"] = named.label.clone().into();
        }
        Outcome::Room(view) => object["room"] = room(&view.into()),
        Outcome::Rooms(_) | Outcome::Members(_) | Outcome::History { .. } => {}
    }
    object
}

/// A message is sent; `done` or `failed` follows.
fn pending(command: &str, line: u64) -> Value {
    json!({"event": "pending", "command": command, "line": line})
}

/// The server cannot take what was asked at present; it is asked again.
fn delayed(failure: &Failure) -> Value {
    let mut object = json!({"event": "delayed", "text": failure.text});
    add_failure(&mut object, failure);
    object
}

/// A command has failed. `unknown`: it may have been done all the same.
fn failed(command: &str, line: u64, error: &CommandError, text: &str) -> Value {
    let mut object = json!({
        "event": "failed", "command": command, "line": line, "text": text, "unknown": *error == CommandError::Unknown,
    });
    if let CommandError::Refused(failure) = error {
        add_failure(&mut object, failure);
    }
    object
}

/// A line could not be understood.
fn not_understood(line: u64, text: &str) -> Value {
    json!({"event": "failed", "command": null, "line": line, "text": text, "unknown": false})
}

fn rooms(rooms: &[RoomInfo]) -> Value {
    let room = |room: &RoomInfo| {
        json!({
            "id": room.room.to_string(), "number": room.number, "name": room.name, "topic": room.topic,
            "cipher": room.cipher, "protected": room.protected, "members": room.members,
        })
    };
    json!({"event": "rooms", "rooms": rooms.iter().map(room).collect::<Vec<_>>()})
}

fn members(title: &RoomTitle, members: &[MemberInfo]) -> Value {
    let member = |member: &MemberInfo| {
        let mut object = someone(&member.member.to_string(), &member.nick, &member.label);
        object["role"] = json!(member.role);
        object["standing"] = json!(member.standing);
        object["here"] = member.here.into();
        object["muted"] = member.muted.into();
        object
    };
    json!({"event": "members", "room": room(title), "members": members.iter().map(member).collect::<Vec<_>>()})
}

fn history(title: &RoomTitle, page: &HistoryPage, texts: &[Option<Text>]) -> Value {
    let texts = texts
        .iter()
        .map(Option::as_ref)
        .chain(std::iter::repeat(None));
    let records: Vec<Value> = page
        .records
        .iter()
        .zip(texts)
        .map(|(record, text)| Value::Object(record_fields(record, text)))
        .collect();
    json!({"event": "history", "room": room(title), "oldest": page.oldest, "newest": page.newest, "records": records})
}

fn closing(closing: &Closing) -> Value {
    json!({
        "event": "closing", "reason": closing.reason, "reconnect": closing.reconnect, "retry_after": closing.retry_after,
        "text": closing.text,
    })
}

fn disconnected(retry_in: Option<std::time::Duration>) -> Value {
    let retry_in = retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    json!({"event": "disconnected", "retry_in": retry_in})
}

fn notice(text: &str) -> Value {
    json!({"event": "notice", "text": text})
}

fn hello_refused(failure: &Failure) -> Value {
    let mut object = json!({"event": "hello_refused", "text": failure.text});
    add_failure(&mut object, failure);
    object
}

fn add_failure(object: &mut Value, failure: &Failure) {
    object["code"] = json!(failure.code);
    object["temporary"] = failure.temporary.into();
    object["retry_after"] = failure.retry_after.into();
}

fn room(title: &RoomTitle) -> Value {
    json!({
        "id": title.room.to_string(), "kind": title.kind, "number": title.number, "name": title.name, "with": title.with,
    })
}

fn someone(member: &str, nick: &str, label: &str) -> Value {
    json!({"member": member, "nick": nick, "label": label})
}

fn record_fields(record: &Record, text: Option<&Text>) -> Map<String, Value> {
    let mut object = Map::new();
    let action = match &record.body {
        RecordBody::Message(_) => Some(false),
        RecordBody::Action(_) => Some(true),
        _ => None,
    };
    for (name, value) in [
        ("seq", record.seq.into()),
        ("time", record.time.0.into()),
        ("member", record.member.to_string().into()),
        ("nick", record.nick.as_str().into()),
        ("label", record.label.as_str().into()),
    ] {
        object.insert(name.to_owned(), value);
    }
    match action {
        Some(action) => {
            object.insert("event".to_owned(), "message".into());
            object.insert("action".to_owned(), action.into());
            match text {
                Some(Ok(text)) => object.insert("text".to_owned(), text.as_str().into()),
                Some(Err(error)) => {
                    object.insert("unreadable".to_owned(), error.to_string().into())
                }
                None => object.insert("unreadable".to_owned(), "no text".into()),
            };
        }
        None => {
            object.insert("event".to_owned(), "record".into());
            // The record's own JSON form has the kind's name and the body's fields.
            let form = serde_json::to_value(record).unwrap_or_default();
            object.insert("kind".to_owned(), form["kind"].clone());
            object.insert("body".to_owned(), form["body"].clone());
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use chat_core::{
        cipher::OpenError,
        id::MemberId,
        time::Wall,
        wire::record::{Content, Message, Topic},
    };

    use super::*;
    use crate::rooms::tests::view;

    fn a_record(body: RecordBody) -> Record {
        Record {
            member: MemberId([1; 16]),
            nick: "Ada".into(),
            txn: 1,
            ..Record::by_server(7, Wall(5), body)
        }
    }

    fn seen(record: &Record, text: Option<Text>) -> Value {
        super::record(&(&view(Some(2))).into(), record, text.as_ref(), true)
    }

    #[test]
    fn a_message_has_its_text_or_why_not() {
        let message = a_record(RecordBody::Message(Message {
            content: Content::plain("x"),
        }));
        let value = seen(&message, Some(Ok("hi".into())));
        assert_eq!(value["event"], "message");
        assert_eq!(value["text"], "hi");
        assert_eq!(value["room"]["number"], 2);
        assert_eq!(
            (&value["mine"], &value["action"], &value["seq"]),
            (&true.into(), &false.into(), &7.into())
        );
        let value = seen(&message, Some(Err(OpenError::Altered)));
        assert_eq!(value.get("text"), None);
        assert_eq!(value["unreadable"], OpenError::Altered.to_string());
    }

    #[test]
    fn another_record_has_its_kind_and_body() {
        let value = seen(
            &a_record(RecordBody::Topic(Topic {
                topic: "chess".into(),
            })),
            None,
        );
        assert_eq!(value["event"], "record");
        assert_eq!(value["kind"], "topic");
        assert_eq!(value["body"], json!({"topic": "chess"}));
    }
}
