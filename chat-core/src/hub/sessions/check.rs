//! Checks of a request that look at no state but that of its connection.

use super::{
    Sessions, Turn,
    connection::{MemberSession, Registration},
};
use crate::{
    hub::origin::Login,
    id::{ConnId, CredentialId, KeyId, MemberId, RoomId},
    limits::Limits,
    nick::line,
    password::{ServerSecret, length},
    state::room::EARLIER_KEYS,
    wire::{
        ErrorCode, Refusal, Tagged,
        client::{Op, Register, Request},
        record::{CipherKind, Content, PasswordRecord, WrappedKey},
        server::Registered,
    },
};

/// Bytes of a wrapped room key: nonce, key, tag.
const WRAPPED_KEY: usize = 24 + 32 + 16;
/// Bytes around a sealed text: nonce and tag.
const SEALED: usize = 24 + 16;
/// Registrations that one connection may have begun.
const REGISTRATIONS: usize = 4;

fn bad(text: &str) -> Result<(), Refusal> {
    Err(ErrorCode::BadRequest.because(text))
}

/// Whether the request is well formed and within the limits. A malformed one (`bad_request`,
/// `unknown_request`) is never a repeat of anything.
pub(super) fn check(limits: &Limits, request: &Request) -> Result<(), Refusal> {
    if let Op::Unknown(unknown) = &request.op {
        return match Op::name(unknown.kind) {
            Some(name) => bad(&format!("the body of `{name}` is malformed")),
            None => {
                Err(ErrorCode::UnknownRequest.because("this server does not know that request"))
            }
        };
    }
    if request.id == 0 {
        return bad("an `id` is at least 1");
    }
    let reads = matches!(
        request.op,
        Op::List(_) | Op::Register(_) | Op::Login(_) | Op::Members(_) | Op::History(_)
    );
    if !reads && request.txn == 0 {
        return bad("a request that changes something needs a `txn` of at least 1");
    }
    let words = |text: &str, what: &str| {
        line(text, limits.topic_bytes.into())
            .map_err(|e| ErrorCode::TopicInvalid.because(format!("{what}: {e}")))
    };
    match &request.op {
        Op::Create(create) => {
            if (create.cipher == CipherKind::StaticKey) != create.key.is_some() {
                return bad("`key` belongs to the cipher `static_key` and to no other");
            }
            if create.cipher == CipherKind::RoomPassword && create.password.is_none() {
                return bad("the cipher `room_password` needs a password");
            }
            words(&create.topic, "topic")
        }
        Op::Join(join) => match &join.proof {
            Some(proof) if proof.ke3.len() != length::KE3 => bad("`ke3` has 64 bytes"),
            _ => Ok(()),
        },
        Op::Topic(topic) => words(&topic.topic, "topic"),
        Op::Kick(remove) | Op::Ban(remove) => words(&remove.reason, "reason"),
        Op::Send(send) => check_content(limits, &send.content),
        _ => Ok(()),
    }
}

/// Refuses what guests may not do, whatever the state of a room.
pub(super) fn check_guest(member: MemberId, op: &Op) -> Result<(), Refusal> {
    let needs_keys = match op {
        Op::Register(_) | Op::Login(_) | Op::Password(_) | Op::Direct(_) => true,
        Op::Create(create) => create.password.is_some() || create.cipher.needs_keys(),
        Op::Join(join) => join.proof.is_some(),
        _ => false,
    };
    if needs_keys && member.is_guest() {
        let text = "guests have no private conversations, and no rooms that have a password or are \
                    sealed";
        return Err(ErrorCode::NeedsKeys.because(text));
    }
    Ok(())
}

fn check_content(limits: &Limits, content: &Content) -> Result<(), Refusal> {
    let size = content.size();
    match content {
        Content::Plain(text) | Content::Caesar(text) if text.text.is_empty() => {
            return bad("an empty message");
        }
        Content::Sealed(sealed) if sealed.data.len() <= SEALED => {
            return bad("a sealed message has a nonce, a text and a tag");
        }
        _ => {}
    }
    if size > limits.message_bytes as usize {
        let text = format!("{size} bytes where {} are allowed", limits.message_bytes);
        return Err(ErrorCode::MessageTooLarge.because(text));
    }
    Ok(())
}

/// Whether a password record belongs to a registration of this connection, for this room, and is
/// well formed. Uses the registration up, except for the same request once more: it may have been
/// refused for a time.
pub(super) fn check_password(
    session: &mut MemberSession,
    txn: u64,
    room: Option<RoomId>,
    password: &PasswordRecord,
    earlier: &[WrappedKey],
) -> Result<(), Refusal> {
    let registrations = session.registrations.get_mut();
    let known = registrations.into_iter().flatten();
    let wanted = (password.credential, room);
    match known
        .into_iter()
        .find(|known| (known.credential, known.room) == wanted)
    {
        Some(known) if known.used_by.is_none_or(|by| by == txn) => known.used_by = Some(txn),
        _ => {
            return bad("`register` first, on this connection and for this room");
        }
    }
    if ServerSecret::check_upload(&password.upload).is_err() {
        return bad("the registration upload is malformed");
    }
    if earlier.len() > EARLIER_KEYS {
        return bad("at most 16 earlier keys");
    }
    let mut keys = earlier.iter().chain([&password.key]);
    if keys.any(|key| key.wrapped.len() != WRAPPED_KEY) {
        return bad("a wrapped key has 72 bytes");
    }
    let mut ids: Vec<KeyId> = earlier.iter().map(|key| key.id).collect();
    ids.push(password.key.id);
    ids.sort_unstable();
    if ids.windows(2).any(|two| two[0] == two[1]) {
        return bad("two keys of one name");
    }
    Ok(())
}

impl Sessions {
    /// The server's part of a registration, which the connection remembers.
    pub(super) fn register(
        &mut self,
        turn: &mut Turn<'_>,
        conn: ConnId,
        register: &Register,
    ) -> Result<Registered, Refusal> {
        let credential = CredentialId(turn.random_id());
        let response = turn
            .config
            .secret
            .register(credential, &register.request)
            .map_err(|e| ErrorCode::BadRequest.because(e.to_string()))?;
        if let Some(session) = self.slots.member_mut(conn) {
            let registrations = session.registrations.make();
            if registrations.len() == REGISTRATIONS {
                registrations.pop_front();
            }
            registrations.push_back(Registration {
                credential,
                room: register.room,
                used_by: None,
            });
        }
        Ok(Registered {
            credential,
            response,
        })
    }

    /// A login was begun: its end comes with a join.
    pub(in crate::hub) fn keep_login(&mut self, conn: ConnId, login: Box<Login>) {
        if let Some(session) = self.slots.member_mut(conn) {
            session.login = Some(login);
        }
    }
}
