//! Bytes become frames, and frames messages.

use bytes::Bytes;

use super::{Effect, Sessions, Turn, connection::Phase};
use crate::{
    id::ConnId,
    wire::{ClientMessage, CloseReason, Framing, ServerMessage, client::Ping},
};

impl Sessions {
    pub(in crate::hub) fn received(&mut self, turn: &mut Turn<'_>, conn: ConnId, bytes: &[u8]) {
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        if connection.framing == Framing::Message {
            let limit = turn.config.limits.frame_bytes;
            if bytes.len() > limit as usize {
                let detail = format!("a frame of {} bytes where {limit} are allowed", bytes.len());
                return self.close(turn, conn, CloseReason::FrameTooLarge, &detail);
            }
            return self.frame(turn, conn, bytes);
        }
        let left = self.frames(turn, conn, bytes);
        if left > 0 {
            let rest = Bytes::copy_from_slice(&bytes[bytes.len() - left..]);
            self.read_later(turn, conn, rest);
        }
    }

    /// The rest of the bytes that came is read on: all that came of those before is done.
    pub(in crate::hub) fn read_on(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        let rest = std::mem::take(&mut connection.rest);
        let left = self.frames(turn, conn, &rest);
        if left > 0 {
            let rest = rest.slice(rest.len() - left..);
            self.read_later(turn, conn, rest);
        }
    }

    fn read_later(&mut self, turn: &mut Turn<'_>, conn: ConnId, rest: Bytes) {
        if let Some(connection) = self.slots.get_mut(conn) {
            connection.rest = rest;
            turn.effect(Effect::ReadOn { conn });
        }
    }

    /// Takes frames out of a stream, up to one of which something follows for others: it makes no
    /// difference where a stream is cut. How many bytes are left.
    fn frames(&mut self, turn: &mut Turn<'_>, conn: ConnId, mut bytes: &[u8]) -> usize {
        loop {
            let Some(connection) = self.slots.get_mut(conn) else {
                return 0;
            };
            if matches!(connection.phase, Phase::Ended) {
                return 0;
            }
            match connection.decoder.next(&mut bytes) {
                Ok(Some(body)) => self.frame(turn, conn, &body),
                Ok(None) => return 0,
                Err(too_large) => {
                    let detail = too_large.to_string();
                    self.close(turn, conn, CloseReason::FrameTooLarge, &detail);
                    return 0;
                }
            }
            if !bytes.is_empty() && turn.has_effects() {
                return bytes.len();
            }
        }
    }

    fn frame(&mut self, turn: &mut Turn<'_>, conn: ConnId, body: &[u8]) {
        let Some(connection) = self.slots.get_mut(conn) else {
            return;
        };
        let message = match connection.form.decode::<ClientMessage>(body) {
            Ok(message) => message,
            Err(_) if connection.is_over() => return,
            Err(e) => return self.close(turn, conn, CloseReason::Protocol, &e.to_string()),
        };
        // A message, not bytes: a frame that comes byte by byte says nothing.
        connection.heard = turn.now.monotonic;
        match (message, &connection.phase) {
            (ClientMessage::Closed(_), Phase::Closing { reason, .. }) => {
                let reason = *reason;
                self.end(turn, conn, reason);
            }
            (_, Phase::Closing { .. } | Phase::Ended) => {}
            (ClientMessage::Open(open), Phase::Fresh { .. }) => self.open(turn, conn, open),
            (ClientMessage::Hello(hello), Phase::Fresh { until }) => {
                let until = *until;
                self.hello(turn, conn, until, &hello);
            }
            (ClientMessage::GuestHello(guest), Phase::Fresh { until }) => {
                let until = *until;
                self.guest(turn, conn, until, guest);
            }
            (ClientMessage::Ping(Ping { nonce }), _) => {
                if self.may_say(turn, conn) {
                    self.send(turn, conn, &ServerMessage::Pong(Ping { nonce }));
                }
            }
            (ClientMessage::Pong(_) | ClientMessage::Closed(_), _) => {
                self.may_say(turn, conn);
            }
            (ClientMessage::Bye(_), _) => self.close(turn, conn, CloseReason::Bye, ""),
            (ClientMessage::Request(request), Phase::Welcome(_)) => {
                let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
                self.request(turn, conn, request, bytes);
            }
            (
                ClientMessage::Open(_) | ClientMessage::Hello(_) | ClientMessage::GuestHello(_),
                _,
            ) => self.close(turn, conn, CloseReason::Protocol, "a second hello"),
            (ClientMessage::Request(_), _) => self.close(
                turn,
                conn,
                CloseReason::Protocol,
                "a request before welcome",
            ),
            (ClientMessage::Unknown(_), _) => {
                self.close(turn, conn, CloseReason::Protocol, "an unknown message")
            }
        }
    }

    /// Puts a message into a connection's outbox. Its bytes.
    pub(super) fn send(
        &mut self,
        turn: &mut Turn<'_>,
        to: ConnId,
        message: &ServerMessage,
    ) -> usize {
        let Some(connection) = self.slots.get(to) else {
            return 0;
        };
        let frame = connection.form.encode(message);
        let bytes = frame.len();
        turn.out.push(crate::hub::Output::Send { to, frame });
        bytes
    }

    /// Puts an unasked message into a connection's outbox, and counts it against its room.
    pub(super) fn send_counted(
        &mut self,
        turn: &mut Turn<'_>,
        to: ConnId,
        message: &ServerMessage,
    ) {
        let bytes = self.send(turn, to, message);
        self.spend(turn, to, bytes);
    }

    /// So many bytes were given to a connection that nothing has made room for yet.
    pub(super) fn spend(&mut self, turn: &mut Turn<'_>, conn: ConnId, bytes: usize) {
        if let Some(member) = self.slots.member_mut(conn)
            && member.answers.spend(bytes, &turn.config.limits)
        {
            turn.out.push(crate::hub::Output::Credit { conn });
        }
    }

    /// Has the connection go on at the end of this call.
    pub(super) fn go_on_later(&mut self, turn: &mut Turn<'_>, conn: ConnId) {
        if let Some(lagging) = self.lagging(conn)
            && !std::mem::replace(&mut lagging.scheduled, true)
        {
            turn.effect(Effect::GoOn { conn });
        }
    }
}
