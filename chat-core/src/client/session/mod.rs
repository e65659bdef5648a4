//! The client's identity at one server: member, name, and the life of its outbox.

#[cfg(test)]
mod tests;

use rand_core::RngCore;

use super::{event::Me, io::ClientConfig};
use crate::{
    id::{MemberId, Secret, SessionId},
    limits::WireLimits,
    wire::{
        VERSION,
        client::{Hello, Resume, Versions},
        server::{Failure, Named, Welcome},
    },
};

/// Member, name and session, as a `hello` says them and a `welcome` confirms them.
#[derive(Debug)]
pub(super) struct Session {
    me: Me,
    secret: Secret,
    kept: bool,
    agent: String,
    authority: Authority,
    waits_for_name: bool,
    id: SessionId,
    admission: Admission,
}

/// Where the member's id comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authority {
    /// The secret: otherwise a server could have this client's words closed as another's.
    Secret,
    /// The application around the server, which says so in the first welcome.
    Server,
}

/// The server's answer to the last `hello`.
#[derive(Debug)]
enum Admission {
    /// Nothing yet.
    Pending,
    /// The client is in, or was at the end of the last connection; the limits last told hold.
    Admitted(WireLimits),
    /// The name was refused, and there is no other yet. `limits`: of an earlier welcome.
    Refused {
        failure: Failure,
        limits: Option<WireLimits>,
    },
}

impl Session {
    /// A new session.
    pub(super) fn new(config: &ClientConfig, rng: &mut dyn RngCore) -> Self {
        Self {
            me: Me {
                member: MemberId::of(&config.secret),
                nick: config.nick.clone(),
                label: config.label.clone(),
            },
            secret: config.secret.clone(),
            kept: config.kept,
            agent: config.agent.clone(),
            authority: if config.imposed {
                Authority::Server
            } else {
                Authority::Secret
            },
            waits_for_name: config.waits_for_name,
            id: random(rng),
            admission: Admission::Pending,
        }
    }

    pub(super) fn me(&self) -> &Me {
        &self.me
    }

    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    /// Goes on with the session of a saved outbox.
    pub(super) fn restore(&mut self, id: SessionId) {
        self.id = id;
    }

    /// Begins another session.
    pub(super) fn renew(&mut self, rng: &mut dyn RngCore) -> SessionId {
        self.id = random(rng);
        self.id
    }

    /// The server's limits; none before the first welcome.
    pub(super) fn limits(&self) -> Option<&WireLimits> {
        match &self.admission {
            Admission::Pending => None,
            Admission::Admitted(limits) => Some(limits),
            Admission::Refused { limits, .. } => limits.as_ref(),
        }
    }

    /// Why commands cannot be done, if the name was refused and they do not wait for another.
    pub(super) fn refusal(&self) -> Option<&Failure> {
        match &self.admission {
            Admission::Refused { failure, .. } if !self.waits_for_name => Some(failure),
            _ => None,
        }
    }

    /// The first message on a connection.
    pub(super) fn hello(&self, resume: Vec<Resume>) -> Hello {
        Hello {
            versions: Versions {
                min: VERSION,
                max: VERSION,
            },
            agent: self.agent.clone(),
            nick: self.me.nick.clone(),
            label: self.me.label.clone(),
            secret: self.secret.clone(),
            session: self.id,
            kept: self.kept,
            resume,
            capabilities: Vec::new(),
        }
    }

    /// Takes in the answer to `hello`.
    ///
    /// # Errors
    /// It is in another version than was offered, or for another member.
    pub(super) fn welcome(&mut self, welcome: &Welcome) -> Result<(), String> {
        if welcome.version != VERSION {
            let version = welcome.version;
            return Err(format!("version {version}, which was not offered"));
        }
        match self.authority {
            Authority::Secret if welcome.member != self.me.member => {
                return Err("a welcome for another member".to_owned());
            }
            Authority::Secret => {}
            Authority::Server => {
                self.me.member = welcome.member;
                self.authority = Authority::Secret;
            }
        }
        self.me.nick.clone_from(&welcome.nick);
        self.me.label.clone_from(&welcome.label);
        self.admission = Admission::Admitted(welcome.limits);
        Ok(())
    }

    /// The `hello` was refused.
    pub(super) fn refuse(&mut self, failure: Failure) {
        let limits = self.limits().copied();
        self.admission = Admission::Refused { failure, limits };
    }

    /// The application has chosen another name.
    pub(super) fn rename(&mut self, nick: String, label: String) {
        self.me.nick = nick;
        self.me.label = label;
        self.admission = match core::mem::replace(&mut self.admission, Admission::Pending) {
            Admission::Refused {
                limits: Some(limits),
                ..
            } => Admission::Admitted(limits),
            Admission::Refused { limits: None, .. } => Admission::Pending,
            other => other,
        };
    }

    /// The server has given the member another name.
    pub(super) fn named(&mut self, named: &Named) {
        self.me.nick.clone_from(&named.nick);
        self.me.label.clone_from(&named.label);
    }
}

/// A session that nobody else has: below 2⁵³, and not 0.
fn random(rng: &mut dyn RngCore) -> SessionId {
    SessionId((rng.next_u64() >> 11).max(1))
}
