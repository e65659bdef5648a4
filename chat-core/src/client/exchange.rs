//! Passwords: the steps of a registration and of a login, with the heavy part handed to the driver.

use bytes::Bytes;
use rand_core::RngCore;

use super::{
    Client, Fault,
    io::{ClientOutput, ClientOutputs, Command, CommandError, RoomCipher},
    keys::Keys,
    requests::{Job, Lane},
    work::{Register, Work, WorkDone, WorkResult},
};
use crate::{
    cipher::Key,
    id::{CredentialId, KeyId, RoomId},
    password::{ClientLogin, ClientRegistration, ExportKey, LoginError, Password},
    wire::{
        client::{self, Op, Proof},
        record::{CipherKind, PasswordRecord, WrappedKey},
        server::{Challenge, Registered, RoomView},
    },
};

/// Earlier keys that a change of the password carries on.
const EARLIER: usize = 16;

/// How far a command's password exchange has come.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each command, and the jobs around it are larger"
)]
pub(super) enum Stage {
    /// Not begun, or there is none.
    Begin,
    /// `register` is asked.
    Registering {
        registration: ClientRegistration,
        basis: Basis,
    },
    /// The driver finishes the registration.
    Wrapping { key: (KeyId, Key), basis: Basis },
    /// `create` or `password` can be asked.
    Proposed {
        password: PasswordRecord,
        earlier: Vec<WrappedKey>,
        key: (KeyId, Key),
        basis: Basis,
    },
    /// `login` is asked.
    LoggingIn { login: ClientLogin },
    /// The driver finishes the login.
    Stretching { challenge: Challenge },
    /// `join` can be asked.
    Proved { proof: Proof, export: ExportKey },
    /// The password is wrong. `join` is asked all the same, with a proof that proves nothing, so that the server's operator
    /// learns of it; the command ends as a wrong password whatever the answer is.
    Disproved { credential: CredentialId },
    /// The room turned out to be one that the client cannot read: it leaves again.
    Undoing { error: CommandError },
}

/// What a change of the password starts from; of no use to a new room.
#[derive(Debug, Default)]
pub(super) struct Basis {
    /// The key in force.
    expected: Option<KeyId>,
    /// The keys so far, oldest first.
    earlier: Vec<(KeyId, Key)>,
}

impl Client {
    /// The first request of an exchange.
    pub(super) fn begin_exchange(&mut self, job: &mut Job) -> Result<Op, CommandError> {
        match &job.command {
            Command::Join {
                room,
                password: Some(password),
                ..
            } => {
                let (login, ke1) = ClientLogin::start(&mut self.rng, password);
                job.stage = Stage::LoggingIn { login };
                Ok(Op::Login(client::Login { room: *room, ke1 }))
            }
            Command::SetPassword { room, password } => {
                let (room, password) = (*room, password.clone());
                let basis = self.basis(room)?;
                self.begin_registration(job, Some(room), &password, basis)
            }
            Command::Create(create) => {
                let Some(password) = create.password.clone() else {
                    return Err(CommandError::KeyMissing {
                        announced: CipherKind::RoomPassword,
                    });
                };
                self.begin_registration(job, None, &password, Basis::default())
            }
            _ => unreachable!("only these three have a password"),
        }
    }

    fn begin_registration(
        &mut self,
        job: &mut Job,
        room: Option<RoomId>,
        password: &Password,
        basis: Basis,
    ) -> Result<Op, CommandError> {
        if !password.fits() {
            let text = format!("a password has at most {} bytes", Password::MAX_BYTES);
            return Err(CommandError::OutsideLimits(text));
        }
        let (registration, request) = ClientRegistration::start(&mut self.rng, password);
        job.stage = Stage::Registering {
            registration,
            basis,
        };
        Ok(Op::Register(client::Register { room, request }))
    }

    /// The keys that a new password must carry on. Who lacks the key in force may not change the password of an
    /// encrypted room: what was said under that key would be lost to all who come later.
    fn basis(&self, room: RoomId) -> Result<Basis, CommandError> {
        let room = self.rooms.get(&room).ok_or(CommandError::NotInRoom)?;
        let encrypted = room.cipher == CipherKind::RoomPassword;
        if encrypted && room.password_key.is_none_or(|key| !room.keys.has(key)) {
            return Err(CommandError::KeyMissing {
                announced: room.cipher,
            });
        }
        let earlier = if encrypted {
            room.keys.newest(EARLIER)
        } else {
            Vec::new()
        };
        Ok(Basis {
            expected: room.password_key,
            earlier,
        })
    }

    /// The request that a finished exchange was for; none while there is more to do.
    pub(super) fn end_exchange(&mut self, job: &Job) -> Option<Op> {
        match (&job.command, &job.stage) {
            (Command::Join { room, .. }, Stage::Proved { proof, .. }) => {
                Some(Op::Join(client::Join {
                    room: *room,
                    proof: Some(proof.clone()),
                }))
            }
            (Command::Join { room, .. }, Stage::Disproved { credential }) => {
                Some(Op::Join(client::Join {
                    room: *room,
                    proof: Some(Proof {
                        credential: *credential,
                        ke3: Bytes::from_static(&[0; 64]),
                    }),
                }))
            }
            (Command::Create(create), Stage::Proposed { password, .. }) => {
                Some(Op::Create(creation(create, Some(password.clone()))))
            }
            (
                Command::SetPassword { room, .. },
                Stage::Proposed {
                    password,
                    earlier,
                    key,
                    basis,
                },
            ) => {
                // Messages under the new key may come before the answer.
                if let Some(room) = self.rooms.get_mut(room) {
                    room.keys.add(key.0, key.1.clone());
                }
                Some(Op::Password(client::SetPassword {
                    room: *room,
                    expected: basis.expected.unwrap_or(KeyId([0; 16])),
                    password: password.clone(),
                    earlier: earlier.clone(),
                }))
            }
            _ => None,
        }
    }

    /// The server's half of a registration is here: the rest is heavy.
    pub(super) fn registered(
        &mut self,
        lane: Lane,
        mut job: Job,
        answer: Registered,
        out: &mut ClientOutputs,
    ) -> Result<(), Fault> {
        let stage = core::mem::replace(&mut job.stage, Stage::Begin);
        let (
            Stage::Registering {
                registration,
                basis,
            },
            Some(password),
        ) = (stage, job.password().cloned())
        else {
            return Err(self.fault(lane, job, "an answer to something else"));
        };
        let mut id = KeyId([0; 16]);
        self.rng.fill_bytes(&mut id.0);
        let key = (id, Key::random(&mut self.rng));
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let task = Register {
            registration,
            password,
            credential: answer.credential,
            response: answer.response,
            stretch: self.config.stretch,
            key: key.clone(),
            earlier: basis.earlier.clone(),
            seed,
        };
        job.op = None;
        job.stage = Stage::Wrapping { key, basis };
        let work = self.requests.work(lane, job);
        out.push(ClientOutput::Work(Work::register(work, task)));
        Ok(())
    }

    /// The server's half of a login is here: the rest is heavy.
    pub(super) fn challenged(
        &mut self,
        lane: Lane,
        mut job: Job,
        challenge: Challenge,
        out: &mut ClientOutputs,
    ) -> Result<(), Fault> {
        let stage = core::mem::replace(&mut job.stage, Stage::Begin);
        let (Stage::LoggingIn { login }, Some(password)) = (stage, job.password().cloned()) else {
            return Err(self.fault(lane, job, "an answer to something else"));
        };
        let ke2 = challenge.ke2.clone();
        job.op = None;
        job.stage = Stage::Stretching { challenge };
        let work = self.requests.work(lane, job);
        out.push(ClientOutput::Work(Work::login(
            work,
            login,
            password,
            ke2,
            self.config.stretch,
        )));
        Ok(())
    }

    /// Work is done. Of what nobody waits for any more, nothing comes.
    pub(super) fn worked(&mut self, done: WorkDone) -> Result<(), Fault> {
        let Some((lane, mut job)) = self.requests.worked(done.id) else {
            return Ok(());
        };
        let stage = core::mem::replace(&mut job.stage, Stage::Begin);
        match (stage, done.result) {
            (Stage::Wrapping { key, basis }, WorkResult::Registered(Ok(registration))) => {
                let (password, earlier) = (registration.password, registration.earlier);
                job.made.add(key.0, key.1.clone());
                job.stage = Stage::Proposed {
                    password,
                    earlier,
                    key,
                    basis,
                };
                self.requests.put_back(lane, job);
                Ok(())
            }
            (Stage::Stretching { challenge }, WorkResult::LoggedIn(Ok((ke3, export)))) => {
                job.stage = Stage::Proved {
                    proof: Proof {
                        credential: challenge.credential,
                        ke3,
                    },
                    export,
                };
                self.requests.put_back(lane, job);
                Ok(())
            }
            (
                Stage::Stretching { challenge },
                WorkResult::LoggedIn(Err(LoginError::WrongPassword)),
            ) => {
                job.stage = Stage::Disproved {
                    credential: challenge.credential,
                };
                self.requests.put_back(lane, job);
                Ok(())
            }
            _ => Err(self.fault(lane, job, "a malformed OPAQUE message")),
        }
    }
}

/// The keys that a proof unlocks. One that does not open is as good as none.
pub(super) fn unlock(stage: &Stage, view: &RoomView) -> Keys {
    let mut keys = Keys::default();
    if let Stage::Proved { proof, export } = stage {
        for wrapped in &view.keys {
            if let Ok(key) = export.unwrap(proof.credential, wrapped) {
                keys.add(wrapped.id, key);
            }
        }
    }
    keys
}

/// What a new room is asked for with.
pub(super) fn creation(
    create: &super::io::Create,
    password: Option<PasswordRecord>,
) -> client::Create {
    use super::io::RoomKey;
    let (cipher, key) = match &create.cipher {
        RoomCipher::None => (CipherKind::None, None),
        RoomCipher::Key(RoomKey::Caesar(_)) => (CipherKind::Caesar, None),
        RoomCipher::Key(RoomKey::Static(key)) => (CipherKind::StaticKey, Some(key.static_id())),
        RoomCipher::RoomPassword => (CipherKind::RoomPassword, None),
    };
    client::Create {
        name: create.name.clone(),
        topic: create.topic.clone(),
        cipher,
        key,
        history: create.history,
        presence: create.presence,
        password,
    }
}

/// The keys of a room that the client has made, of those it `made` for it.
pub(super) fn keys_of_creation(create: &super::io::Create, made: &Keys, view: &RoomView) -> Keys {
    match &create.cipher {
        RoomCipher::Key(key) => Keys::of(Some(key)),
        RoomCipher::None => Keys::default(),
        RoomCipher::RoomPassword => made.of_names(view.keys.iter().map(|wrapped| wrapped.id)),
    }
}
