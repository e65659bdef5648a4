//! The closed lists: error codes and close reasons.

use serde::{Deserialize, Serialize};

/// Declares a closed list: unit variants, their postcard index from 0 in order, their JSON name, and whether they are temporary.
macro_rules! closed_list {
    ($(#[$meta:meta])* pub enum $list:ident, $flag:ident ($(#[$flagdoc:meta])*) { $( $(#[$doc:meta])* $variant:ident = $value:literal, )* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $list { $( $(#[$doc])* $variant, )* }

        impl $list {
            /// Every one of them, in order.
            pub const ALL: &[Self] = &[$( Self::$variant, )*];

            $(#[$flagdoc])*
            pub fn $flag(self) -> bool {
                match self { $( Self::$variant => $value, )* }
            }

            /// The name that JSON has.
            pub fn name(self) -> String {
                let mut name = String::new();
                for c in format!("{self:?}").chars() {
                    if c.is_ascii_uppercase() && !name.is_empty() {
                        name.push('_');
                    }
                    name.push(c.to_ascii_lowercase());
                }
                name
            }
        }

        impl core::fmt::Display for $list {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&self.name())
            }
        }
    };
}

closed_list! {
    /// What is wrong with a request.
    pub enum ErrorCode, is_temporary (
        /// Whether the same request may succeed later without anything else being changed.
    ) {
        /// The body is malformed, a field is outside its bounds, or `txn` is missing.
        BadRequest = false,
        /// This server does not know that kind of request.
        UnknownRequest = false,
        /// The nick is empty, too long, reserved, or has white space or characters that cannot be seen.
        NickInvalid = false,
        /// Somebody else holds that nick, or one that looks like it.
        NickTaken = true,
        /// The label is too long, reserved, blank, or has characters that it may not have.
        LabelInvalid = false,
        /// There is no such room, or it is a private conversation of others.
        UnknownRoom = false,
        /// Nobody of that name or id.
        UnknownMember = false,
        /// You (or the target) are not a member of that room.
        NotMember = false,
        /// Your role does not allow it.
        Forbidden = false,
        /// You are banned from that room.
        Banned = false,
        /// You may not speak in that room at present. `retry_after` says for how long, if it is known.
        Muted = true,
        /// The other takes no messages from you.
        Blocked = false,
        /// The room has a password; `login` first.
        PasswordRequired = false,
        /// That is not the password.
        WrongPassword = false,
        /// The password or the key has changed meanwhile; begin again.
        StaleProof = false,
        /// The room has no password.
        NotProtected = false,
        /// The name of the group is too long or has characters that cannot be seen.
        NameInvalid = false,
        /// Another group has that name, or one that looks like it.
        NameTaken = false,
        /// The topic is too long or has characters that cannot be seen.
        TopicInvalid = false,
        /// The room has as many members as it may.
        RoomFull = true,
        /// You are in as many rooms as you may be.
        TooManyRooms = false,
        /// The server has as many rooms as it may.
        RoomsExhausted = false,
        /// The message is longer than `message_bytes`.
        MessageTooLarge = false,
        /// The content is not in the form, or not under the key, that the room announces.
        WrongCipher = false,
        /// A repeat of something so long ago that its result is forgotten; it was not done (again).
        TooOld = false,
        /// Too fast. `retry_after` says when to go on.
        RateLimited = true,
        /// Too many wrong passwords. `retry_after` says when to go on.
        TooManyGuesses = true,
        /// Too many requests of this connection, or too many bytes of them, wait for their answers.
        Busy = true,
        /// The server cannot write its log at present, or not read it. What was asked is in doubt all the same: the log may have
        /// it later.
        Unavailable = true,
        /// The server is closing. Nothing was changed.
        ShuttingDown = true,
        /// What was asked for is stored, and is not what was written. Only the server's operator can mend that.
        Damaged = false,
    }
}

closed_list! {
    /// Why a connection ends.
    pub enum CloseReason, reconnect (
        /// Whether the client should connect again by itself.
    ) {
        /// The server ends and does not come back.
        Stopped = false,
        /// The server ends and comes back.
        Restarting = true,
        /// The server has as many connections as it may.
        Full = true,
        /// Your address has as many connections as it may.
        TooManyConnections = true,
        /// No protocol version in common.
        Version = false,
        /// A frame that is none, or at the wrong time (a second `hello`, a request before `welcome`).
        Protocol = false,
        /// A frame longer than `frame_bytes`.
        FrameTooLarge = false,
        /// No `welcome` was reached within the time for it (10 s by default).
        HandshakeTimeout = false,
        /// Nothing was heard for too long.
        Idle = true,
        /// The client does not read.
        Slow = true,
        /// Requests went on although they were refused as too fast.
        Flood = true,
        /// Too many refused `hello`s on one connection.
        TooManyAttempts = false,
        /// The same member connected anew.
        Replaced = false,
        /// The client said `bye`.
        Bye = false,
        /// The server lost its place and takes everybody in again.
        Resync = true,
    }
}

/// An error code with its particulars, on its way into a `Failure`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Refusal {
    /// What is wrong.
    pub code: ErrorCode,
    /// When to try again, in milliseconds.
    pub retry_after: Option<u32>,
    /// For a person to read, in English.
    pub text: String,
}

impl ErrorCode {
    /// A refusal for this reason.
    pub fn because(self, text: impl Into<String>) -> Refusal {
        Refusal {
            code: self,
            retry_after: None,
            text: text.into(),
        }
    }
}

impl Refusal {
    /// Says when to try again.
    #[must_use]
    pub fn after(mut self, wait: core::time::Duration) -> Self {
        // Rounded up: who waits exactly that long is not refused again.
        let millis = wait.as_nanos().div_ceil(1_000_000);
        self.retry_after = Some(u32::try_from(millis).unwrap_or(u32::MAX).max(1));
        self
    }
}
