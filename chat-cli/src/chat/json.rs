//! What happens, as JSON objects for programs. The README lists their names and fields.

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

use super::text::Seen;

pub(crate) fn welcome(welcome: &Welcome, again: bool) -> Value {
    json!({
        "event": "welcome", "again": again, "member": welcome.member.to_string(), "nick": welcome.nick,
        "label": welcome.label, "durability": welcome.durability, "lobby": welcome.lobby, "server": welcome.agent,
    })
}

pub(crate) fn created(view: &RoomView) -> Value {
    json!({"event": "created", "room": room(view)})
}

pub(crate) fn entered(view: &RoomView, how: EnteredHow) -> Value {
    let how = match how {
        EnteredHow::Command => "command",
        EnteredHow::Resumed => "resumed",
        EnteredHow::Afresh => "afresh",
        EnteredHow::New => "new",
    };
    json!({
        "event": "entered", "room": room(view), "how": how, "topic": view.topic, "cipher": view.cipher,
        "insecure": view.cipher == CipherKind::Caesar, "role": view.role, "standing": view.standing, "members": view.members,
        "seq": view.place.seq,
    })
}

/// An invitation to a private conversation: this client's, or the other's.
pub(crate) fn invitation(view: &RoomView, mine: bool, what: Invitation) -> Value {
    let what = match what {
        Invitation::Given => "given",
        Invitation::Accepted => "accepted",
        Invitation::Declined => "declined",
    };
    json!({"event": "invitation", "room": room(view), "mine": mine, "what": what})
}

pub(crate) fn removed(view: &RoomView, reason: RemovedReason) -> Value {
    json!({"event": "removed", "room": room(view), "reason": reason})
}

pub(crate) fn silent(view: &RoomView) -> Value {
    json!({"event": "silent", "room": room(view)})
}

/// `message` for what was said, `record` for the rest.
pub(crate) fn record(seen: Seen<'_>) -> Value {
    let mut object = record_fields(seen.record, seen.text);
    object.insert("room".to_owned(), room(seen.view));
    object.insert("mine".to_owned(), seen.mine.into());
    Value::Object(object)
}

pub(crate) fn presence(view: &RoomView, update: &PresenceUpdate) -> Value {
    let mut object = json!({"event": "presence", "room": room(view)});
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
pub(crate) fn done(command: &str, line: u64, outcome: &Outcome) -> Value {
    let mut object = json!({"event": "done", "command": command, "line": line});
    match outcome {
        Outcome::Committed(committed) => object["seq"] = committed.place.seq.into(),
        Outcome::Named(named) => {
            object["nick"] = named.nick.clone().into();
            object["label"] = named.label.clone().into();
        }
        Outcome::Room(view) => object["room"] = room(view),
        Outcome::Rooms(_) | Outcome::Members(_) | Outcome::History { .. } => {}
    }
    object
}

/// A message is sent; `done` or `failed` follows.
pub(crate) fn pending(command: &str, line: u64) -> Value {
    json!({"event": "pending", "command": command, "line": line})
}

/// The server cannot take what was asked at present; it is asked again.
pub(crate) fn delayed(failure: &Failure) -> Value {
    let mut object = json!({"event": "delayed", "text": failure.text});
    add_failure(&mut object, failure);
    object
}

/// A command has failed. `unknown`: it may have been done all the same.
pub(crate) fn failed(command: &str, line: u64, error: &CommandError, text: &str) -> Value {
    let mut object = json!({
        "event": "failed", "command": command, "line": line, "text": text, "unknown": *error == CommandError::Unknown,
    });
    if let CommandError::Refused(failure) = error {
        add_failure(&mut object, failure);
    }
    object
}

/// A line could not be understood.
pub(crate) fn not_understood(line: u64, text: &str) -> Value {
    json!({"event": "failed", "command": null, "line": line, "text": text, "unknown": false})
}

pub(crate) fn rooms(rooms: &[RoomInfo]) -> Value {
    let room = |room: &RoomInfo| {
        json!({
            "id": room.room.to_string(), "number": room.number, "name": room.name, "topic": room.topic,
            "cipher": room.cipher, "protected": room.protected, "members": room.members,
        })
    };
    json!({"event": "rooms", "rooms": rooms.iter().map(room).collect::<Vec<_>>()})
}

pub(crate) fn members(view: &RoomView, members: &[MemberInfo]) -> Value {
    let member = |member: &MemberInfo| {
        let mut object = someone(&member.member.to_string(), &member.nick, &member.label);
        object["role"] = json!(member.role);
        object["standing"] = json!(member.standing);
        object["here"] = member.here.into();
        object["muted"] = member.muted.into();
        object
    };
    json!({"event": "members", "room": room(view), "members": members.iter().map(member).collect::<Vec<_>>()})
}

pub(crate) fn history(view: &RoomView, page: &HistoryPage, texts: &[Option<Text>]) -> Value {
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
    json!({"event": "history", "room": room(view), "oldest": page.oldest, "newest": page.newest, "records": records})
}

pub(crate) fn closing(closing: &Closing) -> Value {
    json!({
        "event": "closing", "reason": closing.reason, "reconnect": closing.reconnect, "retry_after": closing.retry_after,
        "text": closing.text,
    })
}

pub(crate) fn disconnected(retry_in: Option<std::time::Duration>) -> Value {
    let retry_in = retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    json!({"event": "disconnected", "retry_in": retry_in})
}

pub(crate) fn notice(text: &str) -> Value {
    json!({"event": "notice", "text": text})
}

pub(crate) fn hello_refused(failure: &Failure) -> Value {
    let mut object = json!({"event": "hello_refused", "text": failure.text});
    add_failure(&mut object, failure);
    object
}

fn add_failure(object: &mut Value, failure: &Failure) {
    object["code"] = json!(failure.code);
    object["temporary"] = failure.temporary.into();
    object["retry_after"] = failure.retry_after.into();
}

fn room(view: &RoomView) -> Value {
    let with = view.peer.as_ref().map(|peer| peer.nick.as_str());
    json!({"id": view.room.to_string(), "kind": view.kind, "number": view.number, "name": view.name, "with": with})
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

    use super::{super::rooms::tests::view, *};

    fn a_record(body: RecordBody) -> Record {
        Record {
            member: MemberId([1; 16]),
            nick: "Ada".into(),
            txn: 1,
            ..Record::by_server(7, Wall(5), body)
        }
    }

    fn seen(record: &Record, text: Option<Text>) -> Value {
        super::record(Seen {
            record,
            text: text.as_ref(),
            view: &view(Some(2)),
            mine: true,
            current: true,
        })
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
