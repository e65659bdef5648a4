//! The steps of a registration and of a login, with the heavy part handed to the driver.

use super::{
    super::command::{Command, CommandError, Create, RoomCipher, RoomKey},
    ring::Ring,
    room::RoomKeys,
    work::{Register, Work, WorkDone, WorkResult},
};
use crate::{
    cipher::{Key, Rng},
    id::{CredentialId, KeyId, RoomId},
    password::{ClientLogin, ClientRegistration, ExportKey, LoginError, Password, Stretch},
    wire::{
        client::{self, Op, Proof},
        record::{CipherKind, PasswordRecord, WrappedKey},
        server::{Challenge, Registered, RoomView},
    },
};
use bytes::Bytes;

/// Earlier keys that a change of the password carries on.
const EARLIER: usize = 16;

/// One command's password exchange.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) stage: Stage,
    /// The keys of each registration: which of them came to be, the server tells.
    pub(super) made: Ring,
}

/// How far it has come.
#[derive(Debug, Default)]
pub(super) enum Stage {
    /// Not begun, or to be begun anew.
    #[default]
    Idle,
    /// `register` is asked.
    Registering {
        registration: Box<ClientRegistration>,
        basis: Basis,
    },
    /// The driver finishes the registration.
    Wrapping {
        work: u64,
        key: (KeyId, Key),
        basis: Basis,
    },
    /// `create` or `password` can be asked.
    Proposed {
        password: PasswordRecord,
        earlier: Vec<WrappedKey>,
        key: (KeyId, Key),
        basis: Basis,
    },
    /// `login` is asked.
    LoggingIn { login: Box<ClientLogin> },
    /// The driver finishes the login.
    Stretching { work: u64, challenge: Challenge },
    /// `join` can be asked.
    Proved { proof: Proof, export: ExportKey },
    /// The password is wrong. `join` is asked all the same, with a proof that proves nothing, so
    /// that the server's operator learns of it.
    Disproved { credential: CredentialId },
}

/// The keys that a change of the password starts from; of no use to a new room.
#[derive(Debug, Default)]
pub(super) struct Basis {
    /// The key in force.
    expected: Option<KeyId>,
    /// The keys so far, oldest first.
    earlier: Vec<(KeyId, Key)>,
}

/// The outcome of finished work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The next request can be made.
    Ready,
    /// The next request can be made, and the password is wrong.
    Disproved,
    /// The server's half made no sense.
    Malformed,
}

impl Exchange {
    /// The next request; the first one, if there was none.
    pub(super) fn next(
        &mut self,
        rng: &mut dyn Rng,
        command: &Command,
        room: Option<&mut RoomKeys>,
    ) -> Result<Op, CommandError> {
        match (command, &self.stage) {
            (Command::Join { room, .. }, Stage::Proved { proof, .. }) => {
                Ok(Op::Join(client::Join {
                    room: *room,
                    proof: Some(proof.clone()),
                }))
            }
            (Command::Join { room, .. }, Stage::Disproved { credential }) => {
                let ke3 = Bytes::from_static(&[0; 64]);
                let credential = *credential;
                Ok(Op::Join(client::Join {
                    room: *room,
                    proof: Some(Proof { credential, ke3 }),
                }))
            }
            (Command::Create(create), Stage::Proposed { password, .. }) => {
                Ok(Op::Create(creation(create, Some(password.clone()))))
            }
            (
                Command::SetPassword { room: id, .. },
                Stage::Proposed {
                    password,
                    earlier,
                    key,
                    basis,
                },
            ) => {
                // Messages under the new key may come before the answer.
                if let Some(room) = room {
                    room.ring.add(key.0, key.1.clone());
                }
                Ok(Op::Password(client::SetPassword {
                    room: *id,
                    expected: basis.expected.unwrap_or(KeyId([0; 16])),
                    password: password.clone(),
                    earlier: earlier.clone(),
                }))
            }
            _ => self.begin(rng, command, room.as_deref()),
        }
    }

    fn begin(
        &mut self,
        rng: &mut dyn Rng,
        command: &Command,
        room_keys: Option<&RoomKeys>,
    ) -> Result<Op, CommandError> {
        match command {
            Command::Join {
                room,
                password: Some(password),
                ..
            } => {
                let (login, ke1) = ClientLogin::start(rng, password);
                self.stage = Stage::LoggingIn {
                    login: Box::new(login),
                };
                Ok(Op::Login(client::Login { room: *room, ke1 }))
            }
            Command::SetPassword { room, password } => {
                let basis = Basis::of(room_keys.ok_or(CommandError::NotInRoom)?)?;
                self.begin_registration(rng, Some(*room), password, basis)
            }
            Command::Create(create) => {
                let password = create.password.as_ref().ok_or(CommandError::KeyMissing {
                    announced: CipherKind::RoomPassword,
                })?;
                self.begin_registration(rng, None, password, Basis::default())
            }
            _ => Err(CommandError::NotInRoom),
        }
    }

    fn begin_registration(
        &mut self,
        rng: &mut dyn Rng,
        room: Option<RoomId>,
        password: &Password,
        basis: Basis,
    ) -> Result<Op, CommandError> {
        if !password.fits() {
            let text = format!("a password has at most {} bytes", Password::MAX_BYTES);
            return Err(CommandError::OutsideLimits(text));
        }
        let (registration, request) = ClientRegistration::start(rng, password);
        self.stage = Stage::Registering {
            registration: Box::new(registration),
            basis,
        };
        Ok(Op::Register(client::Register { room, request }))
    }

    /// The server's half of a registration is here: the rest is heavy. None: it answers something
    /// else.
    pub(super) fn registered(
        &mut self,
        rng: &mut dyn Rng,
        work: u64,
        password: Password,
        stretch: Stretch,
        answer: Registered,
    ) -> Option<Work> {
        let Stage::Registering {
            registration,
            basis,
        } = core::mem::take(&mut self.stage)
        else {
            return None;
        };
        let (mut id, mut seed) = (KeyId([0; 16]), [0; 32]);
        rng.fill_bytes(&mut id.0);
        let key = (id, Key::random(rng));
        rng.fill_bytes(&mut seed);
        let task = Register {
            registration: *registration,
            password,
            credential: answer.credential,
            response: answer.response,
            stretch,
            key: key.clone(),
            earlier: basis.earlier.clone(),
            seed,
        };
        self.stage = Stage::Wrapping { work, key, basis };
        Some(Work::register(work, task))
    }

    /// The server's half of a login is here: the rest is heavy. None: it answers something else.
    pub(super) fn challenged(
        &mut self,
        work: u64,
        password: Password,
        stretch: Stretch,
        challenge: Challenge,
    ) -> Option<Work> {
        let Stage::LoggingIn { login } = core::mem::take(&mut self.stage) else {
            return None;
        };
        let ke2 = challenge.ke2.clone();
        self.stage = Stage::Stretching { work, challenge };
        Some(Work::login(work, *login, password, ke2, stretch))
    }

    /// Whether it waits for this work.
    pub(super) fn waits_for(&self, id: u64) -> bool {
        match self.stage {
            Stage::Wrapping { work, .. } | Stage::Stretching { work, .. } => work == id,
            _ => false,
        }
    }

    /// The work that it waits for is done.
    pub(super) fn worked(&mut self, done: WorkDone) -> Progress {
        let (stage, progress) = match (core::mem::take(&mut self.stage), done.result) {
            (Stage::Wrapping { key, basis, .. }, WorkResult::Registered(Ok(registration))) => {
                self.made.add(key.0, key.1.clone());
                let stage = Stage::Proposed {
                    password: registration.password,
                    earlier: registration.earlier,
                    key,
                    basis,
                };
                (stage, Progress::Ready)
            }
            (Stage::Stretching { challenge, .. }, WorkResult::LoggedIn(Ok((ke3, export)))) => {
                let credential = challenge.credential;
                let proof = Proof { credential, ke3 };
                (Stage::Proved { proof, export }, Progress::Ready)
            }
            (
                Stage::Stretching { challenge, .. },
                WorkResult::LoggedIn(Err(LoginError::WrongPassword)),
            ) => {
                let credential = challenge.credential;
                (Stage::Disproved { credential }, Progress::Disproved)
            }
            (stage, _) => (stage, Progress::Malformed),
        };
        self.stage = stage;
        progress
    }

    /// The keys that a proof unlocks. One that does not open is as good as none.
    pub(super) fn unlock(&self, view: &RoomView) -> Ring {
        let mut ring = Ring::default();
        if let Stage::Proved { proof, export } = &self.stage {
            for wrapped in &view.keys {
                if let Ok(key) = export.unwrap(proof.credential, wrapped) {
                    ring.add(wrapped.id, key);
                }
            }
        }
        ring
    }

    /// The key that is proposed.
    pub(super) fn proposed(&self) -> Option<KeyId> {
        match &self.stage {
            Stage::Proposed { key, .. } => Some(key.0),
            _ => None,
        }
    }
}

impl Basis {
    /// The keys that a new password must carry on. A member who lacks the key in force may not
    /// change the password of an encrypted room: what was said under that key would be lost to all
    /// who come later.
    fn of(room: &RoomKeys) -> Result<Self, CommandError> {
        let encrypted = room.cipher == CipherKind::RoomPassword;
        if encrypted && room.password_key.is_none_or(|key| !room.ring.has(key)) {
            return Err(CommandError::KeyMissing {
                announced: room.cipher,
            });
        }
        Ok(Self {
            expected: room.password_key,
            earlier: if encrypted {
                room.ring.newest(EARLIER)
            } else {
                Vec::new()
            },
        })
    }
}

/// The request for a new room.
pub(in super::super) fn creation(
    create: &Create,
    password: Option<PasswordRecord>,
) -> client::Create {
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
