//! Work as bytes, for a driver whose other threads share no memory with it: a browser's workers.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::work::{Register, Registration, Task, Work, WorkDone, WorkResult};
use crate::{
    cipher::Key,
    id::{CredentialId, KeyId},
    password::{
        ClientLogin, ClientRegistration, ExportKey, LoginError, Malformed, Password, Stretch,
    },
    wire::{
        reader,
        record::{PasswordRecord, WrappedKey},
        writer,
    },
};

/// These bytes are not of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no work")]
pub struct NoWork;

impl Work {
    /// As bytes, which hold the password: hand them to another thread and nobody else.
    ///
    /// The form is this version's own; nothing is to be kept in it.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let task = match &self.task {
            Task::Register(task) => CarriedTask::Register {
                registration: task.registration.to_bytes().to_vec(),
                password: task.password.as_str().to_owned(),
                credential: task.credential,
                response: task.response.to_vec(),
                stretch: task.stretch,
                key: carried(&task.key),
                earlier: task.earlier.iter().map(carried).collect(),
                seed: task.seed,
            },
            Task::Login {
                login,
                password,
                ke2,
                stretch,
            } => CarriedTask::Login {
                login: login.to_bytes().to_vec(),
                password: password.as_str().to_owned(),
                ke2: ke2.to_vec(),
                stretch: *stretch,
            },
        };
        writer::secret(&(self.id, task))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// They are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoWork> {
        let (id, task) = reader::take_all(bytes).ok_or(NoWork)?;
        let task = match task {
            CarriedTask::Register {
                registration,
                password,
                credential,
                response,
                stretch,
                key,
                earlier,
                seed,
            } => Task::Register(Box::new(Register {
                registration: ClientRegistration::from_bytes(&registration).map_err(|_| NoWork)?,
                password: Password::new(password),
                credential,
                response: response.into(),
                stretch,
                key: uncarried(key),
                earlier: earlier.into_iter().map(uncarried).collect(),
                seed,
            })),
            CarriedTask::Login {
                login,
                password,
                ke2,
                stretch,
            } => Task::Login {
                login: Box::new(ClientLogin::from_bytes(&login).map_err(|_| NoWork)?),
                password: Password::new(password),
                ke2: ke2.into(),
                stretch,
            },
        };
        Ok(Self { id, task })
    }
}

impl WorkDone {
    /// As bytes, which hold what the password unlocks.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let result = match &self.result {
            WorkResult::Registered(Ok(done)) => {
                CarriedResult::Registered(Some((done.password.clone(), done.earlier.clone())))
            }
            WorkResult::Registered(Err(Malformed)) => CarriedResult::Registered(None),
            WorkResult::LoggedIn(Ok((ke3, export))) => {
                CarriedResult::LoggedIn(ke3.to_vec(), export.as_bytes().to_vec())
            }
            WorkResult::LoggedIn(Err(LoginError::WrongPassword)) => CarriedResult::WrongPassword,
            WorkResult::LoggedIn(Err(LoginError::Malformed)) => CarriedResult::Malformed,
        };
        writer::secret(&(self.id, result))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// They are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoWork> {
        let (id, result) = reader::take_all(bytes).ok_or(NoWork)?;
        let result = match result {
            CarriedResult::Registered(Some((password, earlier))) => {
                WorkResult::Registered(Ok(Registration { password, earlier }))
            }
            CarriedResult::Registered(None) => WorkResult::Registered(Err(Malformed)),
            CarriedResult::LoggedIn(ke3, export) => {
                let export = export.try_into().map_err(|_| NoWork)?;
                WorkResult::LoggedIn(Ok((ke3.into(), ExportKey::new(export))))
            }
            CarriedResult::WrongPassword => WorkResult::LoggedIn(Err(LoginError::WrongPassword)),
            CarriedResult::Malformed => WorkResult::LoggedIn(Err(LoginError::Malformed)),
        };
        Ok(Self { id, result })
    }
}

#[derive(Serialize, Deserialize)]
enum CarriedTask {
    Register {
        registration: Vec<u8>,
        password: String,
        credential: CredentialId,
        response: Vec<u8>,
        stretch: Stretch,
        key: (KeyId, [u8; 32]),
        earlier: Vec<(KeyId, [u8; 32])>,
        seed: [u8; 32],
    },
    Login {
        login: Vec<u8>,
        password: String,
        ke2: Vec<u8>,
        stretch: Stretch,
    },
}

#[derive(Serialize, Deserialize)]
enum CarriedResult {
    Registered(Option<(PasswordRecord, Vec<WrappedKey>)>),
    LoggedIn(Vec<u8>, Vec<u8>),
    WrongPassword,
    Malformed,
}

fn carried((id, key): &(KeyId, Key)) -> (KeyId, [u8; 32]) {
    (*id, key.0)
}

fn uncarried((id, key): (KeyId, [u8; 32])) -> (KeyId, Key) {
    (id, Key(key))
}
