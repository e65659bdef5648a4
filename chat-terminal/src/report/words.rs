//! Words for people: rooms, members, and what became of commands. Everything that others wrote is
//! made visible.

use super::reporter::CommandOrigin;
use crate::{
    rooms::{RoomTitle, room_name},
    secrets::cipher_name,
    visible::{after_colon, person, visible},
};
use chat_core::{
    client::CommandError,
    roles::Role,
    wire::{
        CloseReason, ErrorCode,
        record::{CipherKind, RoomKind},
        server::{Closing, Failure, HistoryPage, MemberInfo, RemovedReason, RoomInfo, RoomView},
    },
};

/// `joined room N` or `joined the lobby`, and what else is to be known on entering.
pub(crate) fn entered(view: &RoomView) -> Vec<String> {
    let mut lines = Vec::new();
    if view.kind != RoomKind::Private {
        lines.push(format!("joined {}", room_name(&view.into())));
        if let Some(name) = &view.name {
            lines.push(format!("name: {}", visible(name)));
        }
        if !view.topic.is_empty() {
            lines.push(format!("topic: {}", visible(&view.topic)));
        }
    }
    if view.cipher == CipherKind::Caesar {
        lines.push(format!(
            "{} is insecure: anybody can read its cipher, caesar",
            room_name(&view.into())
        ));
    }
    lines
}

/// The groups of a server, one a line. What people chose stands behind what the server knows, so
/// that it cannot be taken for that.
pub(crate) fn rooms(rooms: &[RoomInfo]) -> Vec<String> {
    if rooms.is_empty() {
        return vec!["there are no groups".to_owned()];
    }
    let line = |room: &RoomInfo| {
        let name = room
            .name
            .as_deref()
            .map(|name| format!(" {}", visible(name)))
            .unwrap_or_default();
        let protected = if room.protected { ", password" } else { "" };
        let cipher = match room.cipher {
            CipherKind::None => String::new(),
            CipherKind::Caesar => ", cipher caesar (insecure)".to_owned(),
            other => format!(", cipher {}", cipher_name(other)),
        };
        let people = if room.members == 1 {
            "1 member".to_owned()
        } else {
            format!("{} members", room.members)
        };
        let topic = after_colon(&room.topic);
        format!(
            "room {} ({people}{protected}{cipher}){name}{topic}",
            room.number
        )
    };
    rooms.iter().map(line).collect()
}

/// The members who are here, in one line.
pub(crate) fn online(members: &[MemberInfo]) -> String {
    let here: Vec<String> = members
        .iter()
        .filter(|member| member.here)
        .map(|member| person(&member.nick, &member.label))
        .collect();
    format!(
        "online: {}",
        if here.is_empty() {
            "nobody".to_owned()
        } else {
            here.join(", ")
        }
    )
}

/// All members of a room, one a line.
pub(crate) fn members(members: &[MemberInfo]) -> Vec<String> {
    let line = |member: &MemberInfo| {
        let mut line = person(&member.nick, &member.label);
        if member.role != Role::Member {
            line += &format!(", {}", role_name(member.role));
        }
        if !member.here {
            line += ", away";
        }
        if member.muted {
            line += ", silenced";
        }
        line
    };
    members.iter().map(line).collect()
}

/// Why a command failed, without a full stop.
pub(crate) fn command_error(error: &CommandError) -> String {
    match error {
        CommandError::Refused(failure) if failure.code == ErrorCode::PasswordRequired => {
            format!("{}; use --password-file FILE", refusal(failure))
        }
        CommandError::Refused(failure) => refusal(failure),
        CommandError::CipherMismatch { announced } => {
            format!(
                "the room's cipher is {}, and the key given is for another",
                cipher_name(*announced)
            )
        }
        CommandError::KeyMissing {
            announced: CipherKind::Caesar,
        } => "the room's cipher is caesar, and no shift was given; use --cipher caesar:SHIFT"
            .to_owned(),
        CommandError::KeyMissing {
            announced: CipherKind::RoomPassword,
        } => {
            "the room is encrypted under its password, and none was given; use --password-file FILE"
                .to_owned()
        }
        CommandError::KeyMissing { announced } => {
            format!(
                "the room's cipher is {}, and no key was given; use --cipher key-file:FILE",
                cipher_name(*announced)
            )
        }
        CommandError::NotSealed { .. } => {
            "the room is not encrypted, although a password was given; if that is meant so, use --cipher none"
                .to_owned()
        }
        other => visible(&other.to_string()),
    }
}

/// The words of a refusal, and when to try again.
pub(crate) fn refusal(failure: &Failure) -> String {
    let text = if failure.text.is_empty() {
        failure.code.to_string()
    } else {
        visible(&failure.text)
    };
    match failure.retry_after {
        Some(wait) => format!("{text} (again in {} s)", wait.div_ceil(1_000)),
        None => text,
    }
}

/// Why a command that the program did not wait for came to nothing.
pub(crate) const ENDED_FIRST: &str = "the program was ended first";

/// The wish to end came while messages are not confirmed.
pub(crate) fn waits_before_end(messages: usize) -> String {
    let messages = match messages {
        1 => "1 message is".to_owned(),
        more => format!("{more} messages are"),
    };
    format!("{messages} not confirmed yet; Ctrl-C once more ends at once")
}

/// Lines of a file or a pipe were not sent.
pub(crate) fn rest_not_sent(lines: u64) -> String {
    match lines {
        1 => "1 line not sent".to_owned(),
        more => format!("{more} lines not sent"),
    }
}

/// Why the server does not want this client.
pub(crate) fn closed(reason: CloseReason, text: &str) -> String {
    let words = match reason {
        CloseReason::Full => "the server has as many clients as it may",
        CloseReason::TooManyConnections => {
            "the server has as many clients from this address as it may"
        }
        CloseReason::Version => "the server speaks another version of the protocol",
        CloseReason::TlsRequired => "from here the server is reached over TLS only",
        CloseReason::Stopped => "the server is closing",
        CloseReason::Restarting => "the server is restarting",
        CloseReason::TooManyAttempts => "too many attempts",
        CloseReason::Replaced => "the same identity has connected elsewhere",
        CloseReason::HandshakeTimeout => "the server waited too long for this client",
        _ => "",
    };
    match (words, text) {
        ("", "") => reason.to_string(),
        ("", text) => format!("{reason}: {}", visible(text)),
        (words, _) => format!("{words} ({reason})"),
    }
}

/// The server is about to end the connection.
pub(crate) fn closing(closing: &Closing) -> String {
    match closing.reason {
        CloseReason::Stopped | CloseReason::Restarting => {
            format!("server is closing: {}", closing.reason)
        }
        reason if closing.text.is_empty() => format!("server ends the connection: {reason}"),
        reason => format!(
            "server ends the connection: {reason}: {}",
            visible(&closing.text)
        ),
    }
}

/// The client is not in a room any more.
pub(crate) fn removed(room: &RoomTitle, reason: RemovedReason, asked: bool) -> String {
    let name = room_name(room);
    match reason {
        _ if asked => format!("left {name}"),
        RemovedReason::NotMember => format!("you are no longer in {name}"),
        RemovedReason::Banned => format!("you are banned from {name}"),
        RemovedReason::Closed => format!("{name} was closed"),
        _ => format!("{name} is no longer there"),
    }
}

/// Messages wait for longer than usual.
pub(crate) fn still_pending(messages: usize, failure: Option<&Failure>) -> String {
    let what = match messages {
        0 => "what was asked".to_owned(),
        1 => "1 message".to_owned(),
        more => format!("{more} messages"),
    };
    let why = failure.map_or_else(String::new, |failure| {
        format!(": {}", visible(&failure.text))
    });
    format!("pending: {what}{why}; tried again until it is done")
}

/// A command came to nothing, or nobody knows.
pub(crate) fn failed(origin: &CommandOrigin, error: &CommandError, reason: &str) -> String {
    match &origin.text {
        Some(said) if *error == CommandError::Unknown => {
            format!("unknown whether sent: {reason}{}", quoted(said))
        }
        Some(said) => format!("not sent: {reason}{}", quoted(said)),
        None => format!("/{}: {reason}", origin.command),
    }
}

/// The beginning of what was to be said, so that one can tell which it was.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let visible = visible(text);
    if visible.chars().count() <= SHOWN {
        return format!(" (\"{visible}\")");
    }
    format!(
        " (\"{}…\")",
        visible.chars().take(SHOWN).collect::<String>()
    )
}

/// How far a page of history reaches.
pub(crate) fn page(page: &HistoryPage) -> String {
    match (page.records.first(), page.records.last()) {
        (Some(first), Some(last)) => format!(
            "so far what was said before: records {} to {} of {} to {}",
            first.seq, last.seq, page.oldest, page.newest
        ),
        _ => "nothing was said there".to_owned(),
    }
}

pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Moderator => "moderator",
        Role::Owner => "owner",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::tests::{private, view};

    #[test]
    fn what_the_server_knows_of_a_group_comes_before_what_people_chose() {
        let group = RoomInfo {
            room: chat_core::id::RoomId([1; 16]),
            number: 4,
            name: Some("Bank (900 members, password)".into()),
            topic: "ours".into(),
            members: 1,
            protected: false,
            cipher: CipherKind::None,
        };
        assert_eq!(
            rooms(&[group]),
            ["room 4 (1 member) Bank (900 members, password): ours"]
        );
    }

    #[test]
    fn entering_tells_what_to_know() {
        assert_eq!(entered(&view(None)), ["joined the lobby"]);
        let mut room = view(Some(4));
        room.topic = "chess".into();
        room.cipher = CipherKind::Caesar;
        assert_eq!(
            entered(&room),
            [
                "joined room 4",
                "topic: chess",
                "room 4 is insecure: anybody can read its cipher, caesar"
            ]
        );
        assert!(entered(&private("Berl")).is_empty());
    }
}
