//! The client's identity at one server: member, name, and the life of its outbox.

#[cfg(test)]
mod tests;

use rand_core::RngCore;

use super::{
    event::Me,
    io::{ClientConfig, Credentials},
};
use crate::{
    id::{MemberId, SessionId},
    invite::InviteSecret,
    keys::{Fingerprint, Nonce, PublicKey, SignedHash, Transcript},
    limits::WireLimits,
    wire::{
        ClientMessage, Fixed, VERSION,
        client::{Entrance, GuestHello, Open, Resume, Versions},
        server::{Challenged, Failure, Named, Welcome},
    },
};

/// Member, name and session, as a `hello` says them and a `welcome` confirms them.
#[derive(Debug)]
pub(super) struct Session {
    me: Me,
    credentials: Option<Credentials>,
    /// The key that the server must have, as far as it is known beforehand.
    pin: Option<Fingerprint>,
    /// The key of the server, once it was shown.
    server: Option<PublicKey>,
    handshake: Handshake,
    invite: Option<InviteSecret>,
    agent: String,
    authority: Authority,
    waits_for_name: bool,
    id: SessionId,
    admission: Admission,
}

/// The handshake of the present connection.
#[derive(Debug, Default)]
struct Handshake {
    audience: String,
    channel: Option<[u8; 32]>,
    nonce: Option<Nonce>,
    transcript: Option<Transcript>,
    signed: SignedHash,
}

/// How a server stands that has shown its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// The client enters there.
    Expected,
    /// The driver is asked for credentials.
    Unknown(PublicKey),
    /// The server is not the one that was expected, or does not have its key.
    Wrong(PublicKey),
}

/// Where the member's id comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authority {
    /// The credentials: otherwise a server could have this client's words closed as another's.
    Credentials,
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
                member: (config.credentials.as_ref()).map_or(MemberId::SERVER, Credentials::member),
                nick: config.nick.clone(),
                label: config.label.clone(),
            },
            credentials: config.credentials.clone(),
            pin: config.pin,
            server: None,
            handshake: Handshake::default(),
            invite: config.invite.clone(),
            agent: config.agent.clone(),
            authority: if config.imposed {
                Authority::Server
            } else {
                Authority::Credentials
            },
            waits_for_name: config.waits_for_name,
            id: random(rng),
            admission: Admission::Pending,
        }
    }

    pub(super) fn me(&self) -> &Me {
        &self.me
    }

    pub(super) fn server(&self) -> Option<PublicKey> {
        self.server
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

    /// A connection is there.
    pub(super) fn connected(&mut self, audience: String, channel: Option<[u8; 32]>) {
        self.handshake = Handshake {
            audience,
            channel,
            ..Handshake::default()
        };
    }

    /// The first message on a connection.
    pub(super) fn open(&mut self, rng: &mut dyn RngCore) -> Open {
        let mut nonce = Nonce([0; 32]);
        rng.fill_bytes(&mut nonce.0);
        self.handshake.nonce = Some(nonce);
        Open {
            versions: Versions {
                min: VERSION,
                max: VERSION,
            },
            nonce,
            capabilities: Vec::new(),
        }
    }

    /// The server has shown its key.
    ///
    /// # Errors
    /// It was not asked, or answers in another version than was offered.
    pub(super) fn challenged(&mut self, challenge: &Challenged) -> Result<Shown, String> {
        if challenge.version != VERSION {
            let version = challenge.version;
            return Err(format!("version {version}, which was not offered"));
        }
        let of_client = self.handshake.nonce.take().ok_or("a second challenge")?;
        let key = challenge.key;
        let transcript = Transcript {
            server: key,
            of_client,
            of_server: challenge.nonce,
        };
        let is_other = self.server.is_some_and(|server| server != key)
            || self.pin.is_some_and(|pin| pin != key.fingerprint());
        if is_other || !transcript.is_challenge(&challenge.signature) {
            return Ok(Shown::Wrong(key));
        }
        self.server = Some(key);
        self.handshake.transcript = Some(transcript);
        Ok(match self.credentials {
            Some(_) => Shown::Expected,
            None => Shown::Unknown(key),
        })
    }

    /// The driver has given credentials.
    pub(super) fn identified(&mut self, credentials: Credentials) {
        self.me.member = credentials.member();
        self.credentials = Some(credentials);
    }

    /// The message by which the client enters; none without credentials, or before the server has
    /// shown its key.
    pub(super) fn hello(&mut self, resume: Vec<Resume>) -> Option<ClientMessage> {
        let handshake = &mut self.handshake;
        let transcript = handshake.transcript.as_ref()?;
        let (nick, label) = (self.me.nick.clone(), self.me.label.clone());
        let (agent, session) = (self.agent.clone(), self.id);
        let (keys, kept) = match self.credentials.as_ref()? {
            Credentials::Guest(secret) => {
                return Some(ClientMessage::GuestHello(GuestHello {
                    nick,
                    label,
                    agent,
                    secret: Some(secret.clone()),
                    session,
                    resume,
                }));
            }
            Credentials::Keys { keys, kept } => (keys, *kept),
        };
        let entrance = Entrance {
            agent,
            nick,
            label,
            session,
            kept,
            resume,
            audience: handshake.audience.clone(),
            channel: handshake.channel.map(Fixed),
            entries: vec![keys.first().clone()],
            invite: self.invite.clone(),
        };
        let hello = keys.sign(transcript, &entrance);
        handshake.signed = SignedHash::of(&hello.signed);
        Some(ClientMessage::Hello(hello))
    }

    /// Takes in the answer to `hello`.
    ///
    /// # Errors
    /// It is in another version than was offered, for another member, or not of the server that has
    /// shown its key.
    pub(super) fn welcome(&mut self, welcome: &Welcome) -> Result<(), String> {
        let Handshake {
            transcript, signed, ..
        } = &self.handshake;
        let transcript = transcript.as_ref().ok_or("a welcome before a challenge")?;
        let proof = welcome.proof.as_ref();
        if !proof.is_some_and(|proof| transcript.is_welcome(signed, proof)) {
            return Err("a welcome without the server's proof".to_owned());
        }
        if welcome.version != VERSION {
            let version = welcome.version;
            return Err(format!("version {version}, which was not offered"));
        }
        match self.authority {
            Authority::Credentials if welcome.member != self.me.member => {
                return Err("a welcome for another member".to_owned());
            }
            Authority::Credentials => {}
            Authority::Server => {
                self.me.member = welcome.member;
                self.authority = Authority::Credentials;
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
