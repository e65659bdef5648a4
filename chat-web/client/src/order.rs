//! What the page asks for, as JSON: `{"send": {"room": …, "text": …}}`, `"list"`, and so on.

use chat_core::{
    cipher::Key,
    client::{Command, Create, RoomCipher, RoomKey},
    id::RoomId,
    password::Password,
    roles::Role,
    wire::{
        client::{HistoryFrom, Peer, RoomRef},
        record::HistoryPolicy,
    },
};
use serde::Deserialize;

/// Reads one. The error is for whoever writes the page.
pub(crate) fn read(text: &str) -> Result<Command, String> {
    let order: Order = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(match order {
        Order::List => Command::List,
        Order::Nick { nick, label } => Command::Nick { nick, label },
        Order::Create {
            name,
            topic,
            password,
            cipher,
            history,
        } => Command::Create(Create {
            name,
            topic,
            cipher: match cipher {
                CipherText::None => RoomCipher::None,
                CipherText::RoomPassword => RoomCipher::RoomPassword,
                CipherText::Key(key) => RoomCipher::Key(key.read()?),
            },
            history,
            password: password.map(Password::new),
            ..Create::default()
        }),
        Order::Join {
            room,
            password,
            key,
        } => Command::Join {
            room,
            password: password.map(Password::new),
            key: key.map(KeyText::read).transpose()?,
        },
        Order::Leave { room } => Command::Leave { room },
        Order::Direct { to } => Command::Direct { to },
        Order::Send { room, action, text } => Command::Send { room, action, text },
        Order::Members { room } => Command::Members { room },
        Order::History { room, from, limit } => Command::History { room, from, limit },
        Order::Topic { room, topic } => Command::Topic { room, topic },
        Order::Role { room, target, role } => Command::Role { room, target, role },
        Order::Kick {
            room,
            target,
            reason,
        } => Command::Kick {
            room,
            target,
            reason,
        },
        Order::Ban {
            room,
            target,
            reason,
        } => Command::Ban {
            room,
            target,
            reason,
        },
        Order::Unban { room, target } => Command::Unban { room, target },
        Order::Mute {
            room,
            target,
            seconds,
        } => Command::Mute {
            room,
            target,
            seconds,
        },
        Order::Unmute { room, target } => Command::Unmute { room, target },
        Order::Password { room, password } => Command::SetPassword {
            room,
            password: Password::new(password),
        },
        Order::Block { room, blocked } => Command::Block { room, blocked },
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    List,
    Nick {
        nick: String,
        label: String,
    },
    Create {
        name: Option<String>,
        topic: String,
        password: Option<String>,
        cipher: CipherText,
        #[serde(default)]
        history: HistoryPolicy,
    },
    Join {
        room: RoomRef,
        password: Option<String>,
        key: Option<KeyText>,
    },
    Leave {
        room: RoomId,
    },
    Direct {
        to: Peer,
    },
    Send {
        room: RoomId,
        #[serde(default)]
        action: bool,
        text: String,
    },
    Members {
        room: RoomId,
    },
    History {
        room: RoomId,
        from: HistoryFrom,
        limit: u16,
    },
    Topic {
        room: RoomId,
        topic: String,
    },
    Role {
        room: RoomId,
        target: Peer,
        role: Role,
    },
    Kick {
        room: RoomId,
        target: Peer,
        reason: String,
    },
    Ban {
        room: RoomId,
        target: Peer,
        reason: String,
    },
    Unban {
        room: RoomId,
        target: Peer,
    },
    Mute {
        room: RoomId,
        target: Peer,
        seconds: Option<u32>,
    },
    Unmute {
        room: RoomId,
        target: Peer,
    },
    Password {
        room: RoomId,
        password: String,
    },
    Block {
        room: RoomId,
        blocked: bool,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CipherText {
    None,
    RoomPassword,
    Key(KeyText),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeyText {
    Caesar(i32),
    StaticKey(String),
}

impl KeyText {
    fn read(self) -> Result<RoomKey, String> {
        Ok(match self {
            Self::Caesar(shift) => RoomKey::Caesar(shift),
            Self::StaticKey(text) => {
                RoomKey::Static(Key::parse(&text).map_err(|error| error.to_string())?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        let room = RoomId::LOBBY;
        let lobby = "AAAAAAAAAAAAAAAAAAAAAA==";
        assert_eq!(read(r#""list""#), Ok(Command::List));
        assert_eq!(
            read(&format!(r#"{{"send":{{"room":"{lobby}","text":"hi"}}}}"#)),
            Ok(Command::Send {
                room,
                action: false,
                text: "hi".into()
            })
        );
        assert_eq!(
            read(r#"{"join":{"room":{"number":3},"password":"x","key":{"caesar":3}}}"#),
            Ok(Command::Join {
                room: RoomRef::Number(3),
                password: Some(Password::new("x")),
                key: Some(RoomKey::Caesar(3)),
            })
        );
        assert!(read(r#"{"join":{"room":"lobby","key":{"static_key":"short"}}}"#).is_err());
        assert!(read("dance").is_err());
    }
}
