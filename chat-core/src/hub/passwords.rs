//! Passwords: registrations, logins and the price of a wrong guess.

use super::{Hub, answers::Origin, io::Outputs, session::Registration};
use crate::{
    id::{ConnId, CredentialId, KeyId, RoomId},
    password::ServerSecret,
    state::room,
    time::Now,
    wire::{
        ErrorCode, Refusal,
        client::{Login, Register},
        record::{PasswordRecord, WrappedKey},
        server::{Answer, Challenge, Registered},
    },
};

/// Bytes of a wrapped room key: nonce, key, tag.
const WRAPPED_KEY: usize = 24 + 32 + 16;
/// Registrations that one connection may have begun.
const REGISTRATIONS: usize = 4;

impl Hub {
    pub(super) fn register(
        &mut self,
        conn: ConnId,
        register: &Register,
    ) -> Result<Registered, Refusal> {
        let credential = CredentialId(self.random_id());
        let response = self
            .config
            .secret
            .register(credential, &register.request)
            .map_err(|e| ErrorCode::BadRequest.because(e.to_string()))?;
        if let Some(guest) = self.sessions.guest_mut(conn) {
            let registrations = guest.registrations.make();
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

    /// Whether a password record belongs to a registration of this connection, for this room, and is well formed. Uses
    /// the registration up, except for the same request once more: it may have been refused for a time.
    pub(super) fn check_password(
        &mut self,
        conn: ConnId,
        txn: u64,
        room: Option<RoomId>,
        password: &PasswordRecord,
        earlier: &[WrappedKey],
    ) -> Result<(), Refusal> {
        let bad = |text: &str| Err(ErrorCode::BadRequest.because(text));
        let mut registrations = self
            .sessions
            .guest_mut(conn)
            .into_iter()
            .flat_map(|guest| guest.registrations.get_mut())
            .flatten();
        match registrations
            .find(|known| (known.credential, known.room) == (password.credential, room))
        {
            Some(known) if known.used_by.is_none_or(|by| by == txn) => known.used_by = Some(txn),
            _ => return bad("`register` first, on this connection and for this room"),
        }
        if ServerSecret::check_upload(&password.upload).is_err() {
            return bad("the registration upload is malformed");
        }
        if earlier.len() > room::EARLIER_KEYS {
            return bad("at most 16 earlier keys");
        }
        if earlier
            .iter()
            .chain([&password.key])
            .any(|key| key.wrapped.len() != WRAPPED_KEY)
        {
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

    pub(super) fn login(
        &mut self,
        now: Now,
        origin: Origin,
        id: RoomId,
        login: &Login,
        out: &mut Outputs,
    ) {
        let password = self
            .rooms
            .get(&id)
            .and_then(|room| room.pipe.state.about.as_ref())
            .and_then(|about| about.password.clone());
        let Some(password) = password else {
            return self.refuse(
                origin,
                ErrorCode::NotProtected.because("the room has no password"),
                out,
            );
        };
        let address = self.address_of(origin.conn);
        let (tallies, limits) = (&self.config.tallies, &self.config.limits);
        if let Err(wait) = tallies.guess(limits, address, id, now.monotonic) {
            return self.refuse(
                origin,
                ErrorCode::TooManyGuesses
                    .because("too many wrong passwords")
                    .after(wait),
                out,
            );
        }
        self.arm_tallies(now);
        match self.config.secret.login(
            &mut self.rng,
            password.credential,
            &password.upload,
            &login.ke1,
        ) {
            Err(e) => {
                // That was no guess.
                let (tallies, limits) = (&self.config.tallies, &self.config.limits);
                tallies.guessed(limits, address, id, now.monotonic);
                self.refuse(origin, ErrorCode::BadRequest.because(e.to_string()), out);
            }
            Ok((state, ke2)) => {
                let credential = password.credential;
                if let Some(guest) = self.sessions.guest_mut(origin.conn) {
                    guest.login = Some(Box::new(super::session::Login {
                        room: id,
                        credential,
                        state,
                    }));
                }
                self.answer(origin, Answer::Login(Challenge { credential, ke2 }), out);
            }
        }
    }

    pub(super) fn arm_tallies(&mut self, now: Now) {
        if !self.tallies_armed && self.config.tallies.len() > 0 {
            self.tallies_armed = true;
            self.timers.arm(
                now.monotonic + core::time::Duration::from_secs(60),
                super::Timer::Tallies,
            );
        }
    }

    pub(super) fn sweep_tallies(&mut self, now: Now) {
        self.config.tallies.sweep(now.monotonic);
        self.tallies_armed = false;
        if self.config.tallies.len() > 0 {
            self.arm_tallies(now);
        }
    }
}
