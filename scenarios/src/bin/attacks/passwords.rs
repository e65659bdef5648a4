//! A room with a password, those who know it and those who guess.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use chat_core::{
    cipher::Key,
    id::{KeyId, RoomId},
    password::{ClientLogin, ClientRegistration, Password, Stretch},
    wire::{
        client::{Create, Join, Login, Op, Proof, Register, RoomRef},
        record::{CipherKind, HistoryPolicy, PasswordRecord, PresenceMode},
        server::Answer,
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::member::{Member, Trouble};

const PASSWORD: &str = "open, sesame";

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([9; 32])
}

/// The beginning of a registration.
pub(crate) fn registration() -> Op {
    let (_, request) = ClientRegistration::start(&mut rng(), &Password::new(PASSWORD));
    let room = None;
    Op::Register(Register { request, room })
}

/// A room with a password, and its owner, who stays.
pub(crate) struct Gate {
    room: RoomId,
    _owner: Member,
}

impl Gate {
    /// Makes it.
    pub(crate) async fn make(server: SocketAddr, from: IpAddr) -> Self {
        let owner = Member::enter(from, server, "Owner", Duration::ZERO).await;
        let mut owner = owner.expect("the owner comes in");
        let (rng, stretch, password) = (&mut rng(), Stretch::cheap(), Password::new(PASSWORD));
        let (registration, request) = ClientRegistration::start(rng, &password);
        let room = None;
        let answer = owner.answer(Op::Register(Register { request, room })).await;
        let Ok(Answer::Register(registered)) = answer else {
            panic!("no registration: {answer:?}");
        };
        let (upload, export) = registration
            .finish(rng, &password, &registered.response, &stretch)
            .expect("the server's response");
        let (credential, id) = (registered.credential, KeyId([3; 16]));
        let key = Key::random(rng);
        let key = export.wrap(rng, credential, id, &key);
        let made = owner.answer(Op::Create(Create {
            name: Some("gate".to_owned()),
            topic: String::new(),
            cipher: CipherKind::RoomPassword,
            key: None,
            history: HistoryPolicy::All,
            presence: PresenceMode::Off,
            password: Some(PasswordRecord {
                credential,
                upload,
                key,
            }),
        }));
        let made = made.await;
        let Ok(Answer::Create(view)) = made else {
            panic!("no room: {made:?}");
        };
        Self {
            room: view.room,
            _owner: owner,
        }
    }

    /// Begins a login with a wrong password; what the server answers is all that a guess needs.
    pub(crate) async fn guess(&self, member: &mut Member) -> Result<(), Trouble> {
        let (_, ke1) = ClientLogin::start(&mut rng(), &Password::new("wrong"));
        let room = RoomRef::Id(self.room);
        member.answer(Op::Login(Login { room, ke1 })).await?;
        Ok(())
    }

    /// Joins with the right one.
    pub(crate) async fn join(&self, member: &mut Member) -> Result<(), Trouble> {
        let password = Password::new(PASSWORD);
        let (login, ke1) = ClientLogin::start(&mut rng(), &password);
        let room = RoomRef::Id(self.room);
        let answer = member.answer(Op::Login(Login { room, ke1 })).await?;
        let Answer::Login(challenge) = answer else {
            return Err(Trouble::Closed(None));
        };
        let finished = login.finish(&password, &challenge.ke2, &Stretch::cheap());
        let (ke3, _) = finished.expect("the right password");
        let proof = Some(Proof {
            credential: challenge.credential,
            ke3,
        });
        member.answer(Op::Join(Join { room, proof })).await?;
        Ok(())
    }
}
