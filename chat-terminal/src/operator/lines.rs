//! Events of a server as lines, for a person or as JSON.

use std::borrow::Cow;

use chat_core::{
    hub::{Event, RoomLabel},
    id::ConnId,
    log::Storage,
    time::Wall,
    wire::{ErrorCode, record::Content},
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value, json};

use crate::{
    json_line,
    visible::{after_colon, person, visible},
};

/// An event as JSON.
pub(super) fn json(event: &Event, at: Wall) -> String {
    let Value::Object(fields) = fields(event) else {
        unreachable!("fields are written as an object")
    };
    json_of(fields, at)
}

/// `YYYY-MM-DD HH:MM:SS WHAT`, in local time.
pub(super) fn stamped(what: &str, at: Wall, zone: &TimeZone) -> String {
    let local = timestamp(at).to_zoned(zone.clone());
    format!("{} {what}", local.strftime("%F %T"))
}

/// A time as the calendar has it. The calendar ends with the year 9999, and a clock that is beyond
/// it stands still there.
pub(super) fn timestamp(at: Wall) -> Timestamp {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// `{"event": NAME, …, "time": …}`, with the time in UTC.
pub(super) fn json_of<K: Into<String>>(
    fields: impl IntoIterator<Item = (K, Value)>,
    at: Wall,
) -> String {
    let mut object: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect();
    object.insert("time".to_owned(), format!("{:.3}", timestamp(at)).into());
    json_line::to_string(&Value::Object(object))
}

/// A message without its words; none of other events.
pub(super) fn wordless(event: &Event) -> Option<Event> {
    let Event::Message {
        room,
        nick,
        label,
        content,
    } = event
    else {
        return None;
    };
    let content = match content {
        Content::Plain(_) => Content::plain("…"),
        _ => Content::caesar("…"),
    };
    Some(Event::Message {
        room: room.clone(),
        nick: nick.clone(),
        label: label.clone(),
        content,
    })
}

/// An event in words; one line. Texts of others can do no harm to a terminal.
pub(super) fn text(event: &Event) -> String {
    match event {
        Event::LogTrouble { detail } => format!("error: the log: {}", visible(detail)),
        Event::Storage(storage) => words_of_storage(*storage).to_owned(),
        Event::Closed => "ended".to_owned(),
        event => of_client(event)
            .or_else(|| of_room(event))
            // A newer library says more than this program knows how to word.
            .unwrap_or_else(|| visible(&format!("{event:?}"))),
    }
}

/// An event of a connection, or of the member behind it.
fn of_client(event: &Event) -> Option<String> {
    Some(match event {
        Event::Connected {
            conn,
            address: Some(address),
        } => format!("client connected: {address} ({})", connection(*conn)),
        Event::Connected {
            conn,
            address: None,
        } => format!("client connected ({})", connection(*conn)),
        Event::Closing {
            conn,
            reason,
            detail,
        } => {
            format!(
                "closing connection: {reason}{} ({})",
                after_colon(detail),
                connection(*conn)
            )
        }
        Event::Disconnected { conn } => format!("client disconnected ({})", connection(*conn)),
        Event::Welcomed {
            conn,
            nick,
            label,
            agent,
            again,
            ..
        } => {
            let what = if *again { "back" } else { "log-in" };
            format!(
                "{what}: {} with {} ({})",
                person(nick, label),
                visible(agent),
                connection(*conn)
            )
        }
        Event::Renamed { from, to, .. } => {
            format!("renamed: {} is now {}", visible(from), visible(to))
        }
        Event::Gone { nick, .. } => format!("log-out: {}", visible(nick)),
        Event::Requested { nick, kind, detail } => {
            let detail = if detail.is_empty() {
                String::new()
            } else {
                format!(" {}", visible(detail))
            };
            format!("option selected: {kind}{detail} by {}", visible(nick))
        }
        Event::Refused {
            nick,
            kind,
            code,
            text,
        } if *code == ErrorCode::UnknownRequest => {
            format!(
                "invalid option: {} by {}: {}",
                visible(kind),
                visible(nick),
                visible(text)
            )
        }
        Event::Refused {
            nick,
            kind,
            code,
            text,
        } => {
            format!(
                "refused: {}{}: {code}{}",
                visible(kind),
                by(nick),
                after_colon(text)
            )
        }
        _ => return None,
    })
}

/// An event of a room.
fn of_room(event: &Event) -> Option<String> {
    Some(match event {
        Event::RoomCreated {
            room: RoomLabel::Number(number),
            nick,
        } => format!("new chat: {number} by {}", visible(nick)),
        Event::RoomCreated { room, nick } => {
            format!("new room: {} by {}", room_name(room), visible(nick))
        }
        Event::Joined { room, nick, label } => {
            format!("new member: {} in {}", person(nick, label), room_name(room))
        }
        Event::Left { room, nick, how } => format!(
            "member gone: {} from {} ({how})",
            visible(nick),
            room_name(room)
        ),
        Event::Message {
            room,
            nick,
            label,
            content,
        } => match content {
            Content::Plain(text) => format!(
                "message: {} in {}: {}",
                person(nick, label),
                room_name(room),
                visible(&text.text)
            ),
            encrypted => {
                format!(
                    "encrypted message: {} in {}: {}",
                    person(nick, label),
                    room_name(room),
                    ciphertext(encrypted)
                )
            }
        },
        Event::Changed {
            room,
            nick,
            kind,
            detail,
        } => {
            format!(
                "changed: {kind} of {} by {}{}",
                room_name(room),
                visible(nick),
                after_colon(detail)
            )
        }
        Event::WrongPassword { room, nick } => {
            format!("wrong password: {} for {}", visible(nick), room_name(room))
        }
        _ => return None,
    })
}

fn fields(event: &Event) -> Value {
    match event {
        Event::Connected { conn, address } => {
            json!({"event": "connected", "connection": connection(*conn), "address": address})
        }
        Event::Closing {
            conn,
            reason,
            detail,
        } => {
            json!({"event": "closing", "connection": connection(*conn), "reason": reason, "detail": detail})
        }
        Event::Disconnected { conn } => {
            json!({"event": "disconnected", "connection": connection(*conn)})
        }
        Event::Welcomed {
            conn,
            member,
            nick,
            label,
            agent,
            again,
        } => json!({
            "event": "log-in", "connection": connection(*conn), "member": member.to_string(), "nick": nick, "label": label,
            "agent": agent, "again": again,
        }),
        Event::Renamed { member, from, to } => {
            json!({"event": "renamed", "member": member.to_string(), "from": from, "to": to})
        }
        Event::Gone { member, nick } => {
            json!({"event": "log-out", "member": member.to_string(), "nick": nick})
        }
        Event::Requested { nick, kind, detail } => {
            json!({"event": "requested", "nick": nick, "kind": kind, "detail": detail})
        }
        Event::Refused {
            nick,
            kind,
            code,
            text,
        } => {
            json!({"event": "refused", "nick": nick, "kind": kind, "code": code, "text": text})
        }
        Event::RoomCreated { room, nick } => {
            json!({"event": "new chat", "room": room_value(room), "nick": nick})
        }
        Event::Joined { room, nick, label } => {
            json!({"event": "new member", "room": room_value(room), "nick": nick, "label": label})
        }
        Event::Left { room, nick, how } => {
            json!({"event": "member gone", "room": room_value(room), "nick": nick, "how": how})
        }
        Event::Message {
            room,
            nick,
            label,
            content,
        } => {
            json!({"event": "message", "room": room_value(room), "nick": nick, "label": label, "content": content})
        }
        Event::Changed {
            room,
            nick,
            kind,
            detail,
        } => {
            json!({"event": "changed", "room": room_value(room), "nick": nick, "kind": kind, "detail": detail})
        }
        Event::WrongPassword { room, nick } => {
            json!({"event": "wrong password", "room": room_value(room), "nick": nick})
        }
        Event::LogTrouble { detail } => json!({"event": "log trouble", "detail": detail}),
        Event::Storage(storage) => json!({"event": "storage", "storage": name_of(*storage)}),
        Event::Closed => json!({"event": "ended"}),
        other => json!({"event": "other", "detail": format!("{other:?}")}),
    }
}

fn words_of_storage(storage: Storage) -> &'static str {
    match storage {
        Storage::Free => "the log has room again: all is taken",
        Storage::Full => {
            "error: the log is full: what is new in rooms is refused until there is room \
             (a larger --max-bytes, or records that are deleted or taken back)"
        }
        Storage::Exhausted => {
            "error: the log is full, its reserve too: newcomers are refused as well"
        }
    }
}

fn name_of(storage: Storage) -> &'static str {
    match storage {
        Storage::Free => "free",
        Storage::Full => "full",
        Storage::Exhausted => "exhausted",
    }
}

/// A slot of the driver and how often it was used: enough to follow one connection through the
/// lines.
fn connection(conn: ConnId) -> String {
    format!("#{}.{}", conn.slot, conn.generation)
}

fn room_name(room: &RoomLabel) -> Cow<'static, str> {
    match room {
        RoomLabel::Lobby => "the lobby".into(),
        RoomLabel::Number(number) => format!("chat {number}").into(),
        RoomLabel::Id(id) => format!("room {id}").into(),
    }
}

fn room_value(room: &RoomLabel) -> Value {
    match room {
        RoomLabel::Lobby => "lobby".into(),
        RoomLabel::Number(number) => (*number).into(),
        RoomLabel::Id(id) => id.to_string().into(),
    }
}

/// Nobody has a name before the first `welcome`.
fn by(nick: &str) -> String {
    if nick.is_empty() {
        String::new()
    } else {
        format!(" by {}", visible(nick))
    }
}

/// A content that stays closed to the server: Caesar's letters, or the sealed bytes in base64 as
/// JSON has them.
fn ciphertext(content: &Content) -> String {
    match content {
        Content::Plain(text) | Content::Caesar(text) => visible(&text.text),
        closed => {
            let form = serde_json::to_value(closed).unwrap_or_default();
            let body = form["body"]["data"].as_str();
            let bytes = body.or(form["body"].as_str());
            bytes.unwrap_or_default().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use chat_core::{
        id::{KeyId, MemberId},
        visible::is_invisible,
        wire::{CloseReason, record::Sealed},
    };

    use super::*;

    const CONN: ConnId = ConnId {
        slot: 3,
        generation: 1,
    };
    const MEMBER: MemberId = MemberId([7; 16]);

    fn message(content: Content) -> Event {
        Event::Message {
            room: RoomLabel::Lobby,
            nick: "Ada".into(),
            label: "gr. 2".into(),
            content,
        }
    }

    #[test]
    fn what_is_said_can_be_left_out() {
        for (content, line) in [
            (Content::plain("hi"), "message: Ada (gr. 2) in the lobby: …"),
            (
                Content::caesar("kl"),
                "encrypted message: Ada (gr. 2) in the lobby: …",
            ),
        ] {
            assert_eq!(text(&wordless(&message(content)).unwrap()), line);
        }
        assert!(wordless(&Event::Closed).is_none());
    }

    #[test]
    fn each_step_has_its_line() {
        let nick = || "Ada".to_owned();
        for (event, line) in [
            (
                Event::Connected {
                    conn: CONN,
                    address: Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
                },
                "client connected: ::1 (#3.1)",
            ),
            (
                Event::Closing {
                    conn: CONN,
                    reason: CloseReason::Full,
                    detail: String::new(),
                },
                "closing connection: full (#3.1)",
            ),
            (
                Event::Disconnected { conn: CONN },
                "client disconnected (#3.1)",
            ),
            (
                Event::Welcomed {
                    conn: CONN,
                    member: MEMBER,
                    nick: nick(),
                    label: "gr. 2".into(),
                    agent: "chat-cli".into(),
                    again: false,
                },
                "log-in: Ada (gr. 2) with chat-cli (#3.1)",
            ),
            (
                Event::Renamed {
                    member: MEMBER,
                    from: nick(),
                    to: "Berl".into(),
                },
                "renamed: Ada is now Berl",
            ),
            (
                Event::Gone {
                    member: MEMBER,
                    nick: nick(),
                },
                "log-out: Ada",
            ),
            (
                Event::Requested {
                    nick: nick(),
                    kind: "join",
                    detail: "0".into(),
                },
                "option selected: join 0 by Ada",
            ),
            (
                Event::Refused {
                    nick: nick(),
                    kind: "99".into(),
                    code: ErrorCode::UnknownRequest,
                    text: "no such request".into(),
                },
                "invalid option: 99 by Ada: no such request",
            ),
            (
                Event::Refused {
                    nick: nick(),
                    kind: "join".into(),
                    code: ErrorCode::Banned,
                    text: "you are banned".into(),
                },
                "refused: join by Ada: banned: you are banned",
            ),
            (
                Event::RoomCreated {
                    room: RoomLabel::Number(0),
                    nick: nick(),
                },
                "new chat: 0 by Ada",
            ),
            (
                Event::Joined {
                    room: RoomLabel::Number(0),
                    nick: nick(),
                    label: String::new(),
                },
                "new member: Ada in chat 0",
            ),
            (
                Event::Left {
                    room: RoomLabel::Lobby,
                    nick: nick(),
                    how: "kicked",
                },
                "member gone: Ada from the lobby (kicked)",
            ),
            (
                message(Content::plain("hi")),
                "message: Ada (gr. 2) in the lobby: hi",
            ),
            (
                message(Content::caesar("kl")),
                "encrypted message: Ada (gr. 2) in the lobby: kl",
            ),
            (
                message(Content::Sealed(Sealed {
                    key: KeyId([0; 16]),
                    data: vec![0, 1, 2].into(),
                })),
                "encrypted message: Ada (gr. 2) in the lobby: AAEC",
            ),
            (
                Event::WrongPassword {
                    room: RoomLabel::Number(4),
                    nick: nick(),
                },
                "wrong password: Ada for chat 4",
            ),
            (Event::Closed, "ended"),
        ] {
            assert_eq!(text(&event), line);
        }
    }

    #[test]
    fn a_line_has_the_time_before_it() {
        let now = Wall(1_000_000_000_000);
        assert_eq!(
            stamped(&text(&Event::Closed), now, &TimeZone::UTC),
            "2001-09-09 01:46:40 ended"
        );
        assert_eq!(
            json(&Event::Closed, now),
            r#"{"event":"ended","time":"2001-09-09T01:46:40.000Z"}"#
        );
    }

    #[test]
    fn a_clock_far_ahead_is_shown_as_the_last_year_there_is() {
        let year_ms = 365 * 24 * 3_600 * 1_000;
        for at in [100_000 * year_ms, u64::MAX] {
            let line = stamped("x", Wall(at), &TimeZone::fixed(jiff::tz::offset(14)));
            assert_eq!(line, "9999-12-31 12:00:00 x".to_owned());
            assert!(json(&Event::Closed, Wall(at)).contains("9999-12-30T22:00:00.999Z"));
        }
    }

    #[test]
    fn what_others_wrote_stays_on_its_line() {
        let evil = "a\n2001-09-09 01:46:40 ended\x1b[2J\u{9b}2J\u{202e}\u{200b}\u{e0061}";
        let now = Wall(0);
        for event in [
            message(Content::plain(evil)),
            message(Content::caesar(evil)),
            Event::Gone {
                member: MEMBER,
                nick: evil.into(),
            },
            Event::Closing {
                conn: CONN,
                reason: CloseReason::Protocol,
                detail: evil.into(),
            },
            Event::Requested {
                nick: evil.into(),
                kind: "join",
                detail: evil.into(),
            },
        ] {
            for line in [text(&event), json(&event, now)] {
                assert!(!line.contains(is_invisible), "{line:?}");
            }
        }
    }
}
