//! Events for the page, as JSON. Where the protocol has a JSON form of something, it is that form.

use chat_core::{
    cipher::OpenError,
    client::{ClientEvent, Command, CommandError, Ended, EnteredHow, Outcome, Text, Ticket},
    id::RoomId,
    wire::{
        record::{CipherKind, Record},
        server::{
            Closing, Failure, MemberInfo, Named, Presence, RemovedReason, RoomInfo, RoomView,
            Welcome,
        },
    },
};
use serde::Serialize;

use crate::words::harmless;

/// Writes one.
pub(crate) fn write(event: &ClientEvent) -> String {
    serde_json::to_string(&told(event)).unwrap_or_default()
}

fn told(event: &ClientEvent) -> Told<'_> {
    match event {
        ClientEvent::Welcomed { welcome, again } => Told::Welcomed {
            welcome,
            again: *again,
        },
        ClientEvent::HelloRefused(failure) => Told::HelloRefused { failure },
        ClientEvent::Entered { view, how } => Told::Entered {
            view,
            how: match how {
                EnteredHow::Command => "command",
                EnteredHow::Resumed => "resumed",
                EnteredHow::Afresh => "afresh",
                EnteredHow::New => "new",
            },
        },
        ClientEvent::Record { room, record, text } => Told::Record {
            room: *room,
            shown: shown(record, text.as_ref()),
        },
        ClientEvent::Presence { room, update } => Told::Presence(Presence {
            room: *room,
            update: update.clone(),
        }),
        ClientEvent::Named(named) => Told::Named(named),
        ClientEvent::Removed { room, reason } => Told::Removed {
            room: *room,
            reason: *reason,
        },
        ClientEvent::SessionRenewed(_) => Told::SessionRenewed,
        ClientEvent::Silent { room } => Told::Silent { room: *room },
        ClientEvent::Finished { ticket, outcome } => Told::Finished {
            ticket: ticket.0,
            outcome: outcome.as_ref().ok().map(came),
            error: outcome.as_ref().err().map(failed),
        },
        ClientEvent::Closing(closing) => Told::Closing { closing },
        ClientEvent::Disconnected { retry_in } => Told::Disconnected {
            retry_in: retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        },
        ClientEvent::Ended(ended) => {
            let (why, reason) = match ended {
                Ended::CannotConnect => ("cannot_connect", None),
                Ended::Closed(reason) => ("closed", Some(reason.to_string())),
                Ended::Asked => ("asked", None),
                Ended::WrongServer { .. } | Ended::Distrusted => {
                    ("closed", Some("wrong_server".to_owned()))
                }
                Ended::ProtocolError(text) => ("protocol", Some(text.clone())),
            };
            Told::Ended { why, reason }
        }
        _ => Told::Other,
    }
}

/// Writes what goes on from an earlier life of the page.
pub(crate) fn restored(commands: &[(Ticket, Command)]) -> String {
    let restored = commands.iter().map(|(ticket, command)| Restored {
        ticket: ticket.0,
        said: match command {
            Command::Send { room, action, text } => Some(Said {
                room: *room,
                action: *action,
                text,
            }),
            _ => None,
        },
    });
    serde_json::to_string(&restored.collect::<Vec<_>>()).unwrap_or_default()
}

#[derive(Serialize)]
struct Restored<'a> {
    ticket: u64,
    said: Option<Said<'a>>,
}

#[derive(Serialize)]
struct Said<'a> {
    room: RoomId,
    action: bool,
    text: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Told<'a> {
    Welcomed {
        welcome: &'a Welcome,
        again: bool,
    },
    HelloRefused {
        failure: &'a Failure,
    },
    Entered {
        view: &'a RoomView,
        how: &'static str,
    },
    Record {
        room: RoomId,
        shown: Shown<'a>,
    },
    Presence(Presence),
    Named(&'a Named),
    Removed {
        room: RoomId,
        reason: RemovedReason,
    },
    /// The outbox is to be kept anew.
    SessionRenewed,
    Silent {
        room: RoomId,
    },
    /// With either an `outcome` or an `error`.
    Finished {
        ticket: u64,
        outcome: Option<Came<'a>>,
        error: Option<Failed<'a>>,
    },
    Closing {
        closing: &'a Closing,
    },
    Disconnected {
        retry_in: Option<u64>,
    },
    Ended {
        why: &'static str,
        reason: Option<String>,
    },
    /// Of a later version of the core.
    Other,
}

/// A record, and what it says if it says something: `text`, or why not.
#[derive(Serialize)]
struct Shown<'a> {
    record: &'a Record,
    text: Option<String>,
    unreadable: Option<&'static str>,
}

fn shown<'a>(record: &'a Record, text: Option<&Text>) -> Shown<'a> {
    let (text, unreadable) = match text {
        None => (None, None),
        Some(Ok(text)) => (Some(harmless(text)), None),
        Some(Err(error)) => (
            None,
            Some(match error {
                OpenError::NoKey(_) => "no_key",
                OpenError::Altered => "altered",
                OpenError::Malformed => "malformed",
                OpenError::WrongForm => "wrong_form",
                _ => "not_text",
            }),
        ),
    };
    Shown {
        record,
        text,
        unreadable,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Came<'a> {
    Rooms(&'a [RoomInfo]),
    Named(&'a Named),
    Room(&'a RoomView),
    Committed(u64),
    Members(&'a [MemberInfo]),
    History {
        records: Vec<Shown<'a>>,
        oldest: u64,
        newest: u64,
    },
}

fn came(outcome: &Outcome) -> Came<'_> {
    match outcome {
        Outcome::Rooms(rooms) => Came::Rooms(rooms),
        Outcome::Named(named) => Came::Named(named),
        Outcome::Room(view) => Came::Room(view),
        Outcome::Committed(committed) => Came::Committed(committed.place.seq),
        Outcome::Members(members) => Came::Members(members),
        Outcome::History { page, texts } => Came::History {
            records: page
                .records
                .iter()
                .zip(texts)
                .map(|(record, text)| shown(record, text.as_ref()))
                .collect(),
            oldest: page.oldest,
            newest: page.newest,
        },
    }
}

/// `code` is one of the protocol's, or `wrong_password`, `cipher_mismatch`, `key_missing`,
/// `not_sealed` (all three with the room's `cipher`), `key_rolled_back`, `not_in_room`,
/// `outside_limits`, `unknown`, `ended`.
#[derive(Serialize)]
struct Failed<'a> {
    code: String,
    text: String,
    cipher: Option<CipherKind>,
    failure: Option<&'a Failure>,
}

fn failed(error: &CommandError) -> Failed<'_> {
    let (code, cipher, failure) = match error {
        CommandError::Refused(failure) => (failure.code.to_string(), None, Some(failure)),
        CommandError::WrongPassword => ("wrong_password".to_owned(), None, None),
        CommandError::CipherMismatch { announced } => {
            ("cipher_mismatch".to_owned(), Some(*announced), None)
        }
        CommandError::KeyMissing { announced } => {
            ("key_missing".to_owned(), Some(*announced), None)
        }
        CommandError::NotSealed { announced } => ("not_sealed".to_owned(), Some(*announced), None),
        CommandError::KeyRolledBack => ("key_rolled_back".to_owned(), None, None),
        CommandError::NotInRoom => ("not_in_room".to_owned(), None, None),
        CommandError::OutsideLimits(_) => ("outside_limits".to_owned(), None, None),
        CommandError::Unknown => ("unknown".to_owned(), None, None),
        _ => ("ended".to_owned(), None, None),
    };
    Failed {
        code,
        text: error.to_string(),
        cipher,
        failure,
    }
}
