//! Passwords of rooms: logins, proofs, and the price of a wrong guess.

use super::{
    Effect, Proved, Room, Task, Turn, Waiting,
    propose::{Only, Proposal, Then},
};
use crate::{
    hub::{
        origin::{Asked, Login},
        partition::Look,
        views::People,
    },
    state::room::{
        Standing,
        judge::{Ask, Author},
    },
    wire::{
        ErrorCode, Refusal,
        client::{Op, Proof},
        server::{Answer, Challenge},
    },
};

impl Room {
    /// Begins to prove the password.
    pub(super) fn login(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        asked: Asked,
        since: Look,
    ) {
        let state = self.pipe.state();
        let password = state.about().and_then(|about| about.password.clone());
        let Some(password) = password else {
            if !self.pipe.is_certain(since) {
                let task = Task::Request(Box::new(asked));
                return self.look_first(turn, people, Waiting { task, since });
            }
            let refusal = match state.about() {
                Some(_) => ErrorCode::NotProtected.because("the room has no password"),
                None => ErrorCode::UnknownRoom.because("there is no such room"),
            };
            return self.refuse(turn, asked.origin, refusal);
        };
        let Op::Login(login) = &asked.request.op else {
            return;
        };
        let (config, now) = (turn.config, turn.now.monotonic);
        let (doer, room) = (asked.doer(), self.id);
        let (counts, limits) = (&config.address_limits, &config.limits);
        if let Err(wait) = counts.guess(limits, doer, room, now) {
            let refusal = ErrorCode::TooManyGuesses
                .because("too many passwords were tried by you, from your address or for this room")
                .after(wait);
            return self.refuse(turn, asked.origin, refusal);
        }
        let credential = password.credential;
        let begun = config.secret.login(
            &mut turn.common.rng,
            credential,
            &password.upload,
            &login.ke1,
        );
        match begun {
            Err(e) => {
                // That was no guess.
                counts.guessed(limits, doer, room, now);
                let refusal = ErrorCode::BadRequest.because(e.to_string());
                self.refuse(turn, asked.origin, refusal);
            }
            Ok((state, ke2)) => {
                let login = Box::new(Login {
                    room,
                    credential,
                    state,
                });
                let (origin, challenge) = (asked.origin, Challenge { credential, ke2 });
                let answer = Box::new(Answer::Login(challenge));
                self.emit(
                    turn,
                    Effect::Challenge {
                        origin,
                        login,
                        answer,
                    },
                );
            }
        }
    }

    /// A join: the proof is looked at, then it is judged.
    pub(super) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        author: Author,
        asked: Asked,
        since: Look,
    ) {
        let is_in = self.pipe.state().standing(author.member) == Some(Standing::Member);
        let Op::Join(join) = &asked.request.op else {
            return;
        };
        let origin = asked.origin;
        let mut proved: Proved = None;
        if let Some(proof) = join.proof.clone() {
            if !is_in && !self.pipe.is_certain(since) {
                let task = Task::Request(Box::new(asked));
                return self.look_first(turn, people, Waiting { task, since });
            }
            // A ban counts before the password.
            if self.pipe.state().is_banned(author.member) {
                return self.propose_join(turn, people, author, (origin, None), since);
            }
            match self.prove(turn, asked, &proof) {
                Ok(()) => proved = Some(proof.credential),
                // The proof of a repeat died with the connection it was made on; what the room is
                // answers it.
                Err(_) if is_in => {}
                Err(refusal) => return self.refuse(turn, origin, refusal),
            }
        }
        self.propose_join(turn, people, author, (origin, proved), since);
    }

    fn propose_join(
        &mut self,
        turn: &mut Turn<'_>,
        people: &dyn People,
        author: Author,
        (origin, proved): (crate::hub::origin::Origin, Proved),
        since: Look,
    ) {
        self.begin_join(origin.conn);
        let proposal = Proposal {
            author,
            ask: Ask::Join { proved },
            then: Then::Show { origin },
            checked: Ok(()),
            only: Only::Anyway,
        };
        self.propose(turn, people, proposal, since);
    }

    fn prove(&mut self, turn: &mut Turn<'_>, asked: Asked, proof: &Proof) -> Result<(), Refusal> {
        let (doer, member) = (asked.doer(), asked.member);
        let login = asked
            .login
            .filter(|login| login.room == self.id && login.credential == proof.credential)
            .ok_or_else(|| {
                let text = "`login` first, on this connection and for this room";
                ErrorCode::StaleProof.because(text)
            })?;
        if login.state.finish(&proof.ke3).is_ok() {
            let (counts, limits) = (&turn.config.address_limits, &turn.config.limits);
            counts.guessed(limits, doer, self.id, turn.now.monotonic);
            return Ok(());
        }
        self.emit(turn, Effect::WrongPassword { member });
        Err(ErrorCode::WrongPassword.because("wrong password"))
    }
}
