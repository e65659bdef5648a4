//! Why a request was not done, and why a connection ends.

use super::words::words;

words! {
    /// Why a request was refused.
    pub enum ErrorCode {
        /// The body is malformed, a field is outside its bounds, or `txn` is missing.
        0 "bad_request" BadRequest,
        /// This server does not know that kind of request.
        1 "unknown_request" UnknownRequest,
        /// The nick is empty, too long, reserved, or has white space or characters that cannot be
        /// seen.
        2 "nick_invalid" NickInvalid,
        /// Another member holds that nick, or one that looks like it.
        3 "nick_taken" NickTaken,
        /// The label is too long, reserved, blank, or has characters that it may not have.
        4 "label_invalid" LabelInvalid,
        /// There is no such room, or it is a private conversation of others.
        5 "unknown_room" UnknownRoom,
        /// There is no member of that name or id.
        6 "unknown_member" UnknownMember,
        /// You (or the target) are not a member of that room.
        7 "not_member" NotMember,
        /// Your role does not allow that.
        8 "forbidden" Forbidden,
        /// You are banned from that room.
        9 "banned" Banned,
        /// You may not speak in that room at present. `retry_after` says for how long, if it is
        /// known.
        10 "muted" Muted,
        /// The other member takes no messages from you.
        11 "blocked" Blocked,
        /// The room has a password; `login` first.
        12 "password_required" PasswordRequired,
        /// That is not the password.
        13 "wrong_password" WrongPassword,
        /// The password or the key has changed meanwhile; begin again.
        14 "stale_proof" StaleProof,
        /// The room has no password.
        15 "not_protected" NotProtected,
        /// The name of the group is too long or has characters that cannot be seen.
        16 "name_invalid" NameInvalid,
        /// Another group has that name, or one that looks like it.
        17 "name_taken" NameTaken,
        /// The topic is too long or has characters that cannot be seen.
        18 "topic_invalid" TopicInvalid,
        /// The room has as many members as it may.
        19 "room_full" RoomFull,
        /// You are in as many rooms as you may be.
        20 "too_many_rooms" TooManyRooms,
        /// The server has as many rooms as it may.
        21 "rooms_exhausted" RoomsExhausted,
        /// The message is longer than `message_bytes`, or the request is more than the log takes at
        /// once.
        22 "message_too_large" MessageTooLarge,
        /// The content is not in the form, or not under the key, that the room announces.
        23 "wrong_cipher" WrongCipher,
        /// Another request of this session had that `txn`; this one was not done.
        24 "txn_reused" TxnReused,
        /// Too fast. `retry_after` says when to go on.
        25 "rate_limited" RateLimited,
        /// Too many wrong passwords. `retry_after` says when to go on.
        26 "too_many_guesses" TooManyGuesses,
        /// Too many requests of this connection, or too many bytes of them, wait for their answers.
        27 "busy" Busy,
        /// The server cannot write its log at present, or not read it. The request is in doubt all
        /// the same: the log may have it later.
        28 "unavailable" Unavailable,
        /// The room has no such message, or does not keep it any more.
        29 "unknown_message" UnknownMessage,
        /// The requested record is stored, and is not what was written. Only the server's operator
        /// can mend that.
        30 "damaged" Damaged,
        /// The other member has as many open invitations as it may.
        31 "too_many_invitations" TooManyInvitations,
        /// So many requests of this session were done in that room since that the server does not
        /// know any more whether this one was. It was not done now.
        32 "txn_forgotten" TxnForgotten,
        /// Guests may not do that; or there are no guests on this server.
        33 "needs_keys" NeedsKeys,
        /// The `hello` is not signed by a device of the member, or its chain is not in order.
        34 "not_authentic" NotAuthentic,
        /// The `hello` is for another server: this one is not known by the name that was dialled.
        35 "wrong_audience" WrongAudience,
        /// The encrypted connection does not end where the client takes it to end: another party is
        /// in between.
        36 "relayed" Relayed,
        /// The server takes in newcomers by invitation only, and none was shown.
        37 "invitation_needed" InvitationNeeded,
        /// The invitation that was shown lets nobody in (any more): its time is over, it was used
        /// as often as it may be, or it is not known, as one that was revoked. The text says which.
        38 "invitation_ended" InvitationEnded,
        /// The member has as many sessions connected as it may.
        39 "too_many_sessions" TooManySessions,
        /// The server keeps as much as it may, and takes nothing new until there is room: its
        /// operator says how. Leaving, kicks, bans of members and redactions go on. It was not
        /// done.
        40 "storage_full" StorageFull,
    }
}

words! {
    /// Why a connection ends.
    pub enum CloseReason {
        /// The server ends and does not come back.
        0 "stopped" Stopped,
        /// The server ends and comes back.
        1 "restarting" Restarting,
        /// The server has as many connections as it may.
        2 "full" Full,
        /// Your address has as many connections as it may.
        3 "too_many_connections" TooManyConnections,
        /// No protocol version in common.
        4 "version" Version,
        /// A frame is malformed, or came at the wrong time (a second `hello`, a request before
        /// `welcome`).
        5 "protocol" Protocol,
        /// A frame longer than `frame_bytes`.
        6 "frame_too_large" FrameTooLarge,
        /// No `welcome` was reached within the time for it (10 s by default).
        7 "handshake_timeout" HandshakeTimeout,
        /// Nothing was heard for too long.
        8 "idle" Idle,
        /// The client does not read.
        9 "slow" Slow,
        /// Requests went on although they were refused as too fast.
        10 "flood" Flood,
        /// Too many refused `hello`s on one connection.
        11 "too_many_attempts" TooManyAttempts,
        /// The same session connected anew.
        12 "replaced" Replaced,
        /// The client said `bye`.
        13 "bye" Bye,
        /// The server lost its place and takes everybody in again.
        14 "resync" Resync,
        /// From this address the server is reached over TLS only.
        15 "tls_required" TlsRequired,
    }
}

impl ErrorCode {
    /// Whether the same request may succeed later without anything else being changed. Of a code
    /// that this program does not know, the message says it.
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::NickTaken
                | Self::Muted
                | Self::RoomFull
                | Self::RateLimited
                | Self::TooManyGuesses
                | Self::Busy
                | Self::Unavailable
                | Self::TooManyInvitations
                | Self::StorageFull
        )
    }
}

impl CloseReason {
    /// Whether the client should connect again by itself. Of a reason that this program does not
    /// know, the message says it.
    pub fn reconnect(self) -> bool {
        matches!(
            self,
            Self::Restarting
                | Self::Full
                | Self::TooManyConnections
                | Self::Idle
                | Self::Slow
                | Self::Flood
                | Self::Resync
        )
    }
}

/// An error code with its particulars, on its way into a `Failure`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Refusal {
    /// The reason.
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
        // Rounded up: a client that waits exactly that long is not refused again.
        let millis = wait.as_nanos().div_ceil(1_000_000);
        self.retry_after = Some(u32::try_from(millis).unwrap_or(u32::MAX).max(1));
        self
    }
}
