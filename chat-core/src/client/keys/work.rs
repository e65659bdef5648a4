//! The client's heavy work, to be run off the loop: the halves of OPAQUE that stretch a password.

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::{
    cipher::Key,
    id::{CredentialId, KeyId},
    password::{
        ClientLogin, ClientRegistration, ExportKey, LoginError, Malformed, Password, Stretch,
    },
    wire::record::{PasswordRecord, WrappedKey},
};

/// Work to be done.
pub struct Work {
    pub(super) id: u64,
    pub(super) task: Task,
}

/// Work that is done.
pub struct WorkDone {
    pub(super) id: u64,
    pub(super) result: WorkResult,
}

impl Work {
    /// Does it. Takes up to a second and, with the real stretching of passwords, 64 MiB of memory.
    ///
    /// A pure function of what it is: run it anywhere, once, and hand in the result as
    /// [`ClientInput::Done`](crate::client::ClientInput::Done). A result that nobody waits for any
    /// more is ignored.
    pub fn run(self) -> WorkDone {
        let result = match self.task {
            Task::Register(task) => WorkResult::Registered(task.run()),
            Task::Login {
                login,
                password,
                ke2,
                stretch,
            } => WorkResult::LoggedIn(login.finish(&password, &ke2, &stretch)),
        };
        WorkDone {
            id: self.id,
            result,
        }
    }

    pub(super) fn register(id: u64, task: Register) -> Self {
        Self {
            id,
            task: Task::Register(Box::new(task)),
        }
    }

    pub(super) fn login(
        id: u64,
        login: ClientLogin,
        password: Password,
        ke2: Bytes,
        stretch: Stretch,
    ) -> Self {
        Self {
            id,
            task: Task::Login {
                login: Box::new(login),
                password,
                ke2,
                stretch,
            },
        }
    }
}

impl core::fmt::Debug for Work {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let task = match self.task {
            Task::Register(_) => "register",
            Task::Login { .. } => "login",
        };
        write!(f, "Work({}, {task})", self.id)
    }
}

impl core::fmt::Debug for WorkDone {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "WorkDone({})", self.id)
    }
}

pub(super) enum WorkResult {
    Registered(Result<Registration, Malformed>),
    LoggedIn(Result<(Bytes, ExportKey), LoginError>),
}

/// A finished registration: the record for the server.
pub(super) struct Registration {
    pub(super) password: PasswordRecord,
    pub(super) earlier: Vec<WrappedKey>,
}

pub(super) enum Task {
    Register(Box<Register>),
    Login {
        login: Box<ClientLogin>,
        password: Password,
        ke2: Bytes,
        stretch: Stretch,
    },
}

/// Finishes a registration and wraps the room's keys under it.
pub(super) struct Register {
    pub(super) registration: ClientRegistration,
    pub(super) password: Password,
    pub(super) credential: CredentialId,
    pub(super) response: Bytes,
    pub(super) stretch: Stretch,
    /// The key in force from here on.
    pub(super) key: (KeyId, Key),
    /// Oldest first.
    pub(super) earlier: Vec<(KeyId, Key)>,
    pub(super) seed: [u8; 32],
}

impl Register {
    fn run(self) -> Result<Registration, Malformed> {
        let mut rng = ChaCha20Rng::from_seed(self.seed);
        let (upload, export) =
            self.registration
                .finish(&mut rng, &self.password, &self.response, &self.stretch)?;
        let mut wrap = |(id, key): &(KeyId, Key)| export.wrap(&mut rng, self.credential, *id, key);
        let key = wrap(&self.key);
        let earlier = self.earlier.iter().map(&mut wrap).collect();
        Ok(Registration {
            password: PasswordRecord {
                credential: self.credential,
                upload,
                key,
            },
            earlier,
        })
    }
}

/// Drivers send work to other threads.
const _: () = {
    const fn sendable<T: Send + 'static>() {}
    sendable::<Work>();
    sendable::<WorkDone>();
};
