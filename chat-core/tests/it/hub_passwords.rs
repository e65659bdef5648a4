//! Rooms with passwords through the hub: OPAQUE from both ends, with cheap stretching.

use crate::harness::*;
use bytes::Bytes;
use chat_core::{
    cipher::Key,
    hub::Event,
    id::{ConnId, CredentialId, KeyId, RoomId},
    password::{ClientLogin, ClientRegistration, ExportKey, Password, Stretch},
    wire::{
        ErrorCode, ServerMessage,
        client::{self, InRoom, Op, Peer, Proof, RoomRef},
        record::{CipherKind, PasswordRecord, WrappedKey},
        server::{Answer, Failure, RoomView},
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// A peer's own half of OPAQUE.
struct Half {
    rng: ChaCha20Rng,
    stretch: Stretch,
}

impl Half {
    fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha20Rng::seed_from_u64(seed),
            stretch: Stretch::cheap(),
        }
    }

    /// Registers a password and wraps these keys, the last of them as the one in force.
    fn register(
        &mut self,
        w: &mut World,
        conn: ConnId,
        room: Option<RoomId>,
        password: &str,
        keys: &[(KeyId, Key)],
    ) -> (PasswordRecord, Vec<WrappedKey>) {
        let (state, request) = ClientRegistration::start(&mut self.rng, &Password::new(password));
        let Ok(Answer::Register(answer)) =
            w.request(conn, 0, Op::Register(client::Register { room, request }))
        else {
            panic!()
        };
        let password = Password::new(password);
        let (upload, export) = state
            .finish(&mut self.rng, &password, &answer.response, &self.stretch)
            .unwrap();
        let mut wrapped: Vec<_> = keys
            .iter()
            .map(|(id, key)| export.wrap(&mut self.rng, answer.credential, *id, key))
            .collect();
        let key = wrapped.pop().expect("at least one key");
        (
            PasswordRecord {
                credential: answer.credential,
                upload,
                key,
            },
            wrapped,
        )
    }

    fn login(
        &mut self,
        w: &mut World,
        conn: ConnId,
        room: RoomRef,
        password: &str,
    ) -> Result<Option<(Proof, ExportKey)>, Failure> {
        let password = Password::new(password);
        let (state, ke1) = ClientLogin::start(&mut self.rng, &password);
        let Answer::Login(challenge) =
            w.request(conn, 0, Op::Login(client::Login { room, ke1 }))?
        else {
            panic!()
        };
        let done = state.finish(&password, &challenge.ke2, &self.stretch);
        Ok(done.ok().map(|(ke3, export)| {
            (
                Proof {
                    credential: challenge.credential,
                    ke3,
                },
                export,
            )
        }))
    }
}

fn keys(n: u8) -> Vec<(KeyId, Key)> {
    (1..=n).map(|n| (KeyId([n; 16]), Key([n; 32]))).collect()
}

fn create(password: PasswordRecord) -> Op {
    Op::Create(client::Create {
        name: None,
        topic: String::new(),
        cipher: CipherKind::RoomPassword,
        key: None,
        history: Default::default(),
        presence: Default::default(),
        password: Some(password),
    })
}

fn join(
    w: &mut World,
    conn: ConnId,
    txn: u64,
    room: RoomRef,
    proof: Option<Proof>,
) -> Result<RoomView, Failure> {
    match w.request(conn, txn, Op::Join(client::Join { room, proof }))? {
        Answer::Join(view) => Ok(view),
        other => panic!("{other:?}"),
    }
}

/// A world with a protected group, and its owner.
fn protected(half: &mut Half, password: &str) -> (World, ConnId, RoomView) {
    let (w, ada, view, _) = made(half, password);
    (w, ada, view)
}

/// The same, and the request that made it.
fn made(half: &mut Half, password: &str) -> (World, ConnId, RoomView, Op) {
    let mut w = World::new();
    let ada = w.welcome("ada");
    let (record, _) = half.register(&mut w, ada, None, password, &keys(1));
    let create = create(record);
    let Ok(Answer::Create(view)) = w.request(ada, 1, create.clone()) else {
        panic!()
    };
    (w, ada, view, create)
}

#[test]
fn who_knows_the_password_comes_in_and_finds_the_key_and_the_server_is_never_sent_it() {
    let mut half = Half::new(1);
    let password = "correct horse battery staple";
    let (mut w, _, view) = protected(&mut half, password);
    assert_eq!(
        (view.cipher, view.key),
        (CipherKind::RoomPassword, Some(KeyId([1; 16])))
    );
    let bob = w.welcome("bob");
    let number = RoomRef::Number(0);
    assert_eq!(
        join(&mut w, bob, 1, number, None).unwrap_err().code,
        ErrorCode::PasswordRequired
    );
    let (proof, export) = half
        .login(&mut w, bob, number, password)
        .unwrap()
        .expect("the right password");
    let joined = join(&mut w, bob, 1, number, Some(proof)).unwrap();
    let credential = joined.credential.unwrap();
    let key = export
        .unwrap(credential, joined.keys.last().unwrap())
        .unwrap();
    assert_eq!(key.0, [1; 32]);
    let wanted = password.as_bytes();
    assert!(w.said.len() > 500 && !w.said.windows(wanted.len()).any(|bytes| bytes == wanted));
    let Ok(Answer::List(list)) = w.request(
        bob,
        0,
        Op::List(client::List {
            after: None,
            limit: 0,
        }),
    ) else {
        panic!()
    };
    assert!(list.rooms[0].protected);
}

#[test]
fn a_wrong_password_is_refused_and_may_be_tried_again() {
    let mut half = Half::new(2);
    let (mut w, ada, view) = protected(&mut half, "right");
    let bob = w.welcome("bob");
    let number = RoomRef::Number(0);
    assert!(
        half.login(&mut w, bob, number, "wrong").unwrap().is_none(),
        "the client knows at once"
    );
    // A client that does not look.
    let (_, ke1) = ClientLogin::start(&mut half.rng, &Password::new("wrong"));
    let Ok(Answer::Login(challenge)) =
        w.request(bob, 0, Op::Login(client::Login { room: number, ke1 }))
    else {
        panic!()
    };
    let forged = Proof {
        credential: challenge.credential,
        ke3: Bytes::from(vec![7; 64]),
    };
    assert_eq!(
        join(&mut w, bob, 1, number, Some(forged.clone()))
            .unwrap_err()
            .code,
        ErrorCode::WrongPassword
    );
    assert!(
        w.events
            .iter()
            .any(|event| matches!(event, Event::WrongPassword { nick, .. } if nick == "bob"))
    );
    assert_eq!(
        join(&mut w, bob, 1, number, Some(forged.clone()))
            .unwrap_err()
            .code,
        ErrorCode::StaleProof,
        "a login is good for one proof"
    );
    let (proof, _) = half.login(&mut w, bob, number, "right").unwrap().unwrap();
    join(&mut w, bob, 1, number, Some(proof)).unwrap();
    let ban = Op::Ban(client::Remove {
        room: view.room,
        target: Peer::Nick("bob".to_owned()),
        reason: String::new(),
    });
    w.request(ada, 2, ban).unwrap();
    let refusal = join(&mut w, bob, 2, number, Some(forged)).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Banned, "before the password");
}

#[test]
fn a_proof_of_the_old_password_is_void() {
    let mut half = Half::new(3);
    let (mut w, ada, view) = protected(&mut half, "old");
    let bob = w.welcome("bob");
    let (proof, _) = half
        .login(&mut w, bob, RoomRef::Number(0), "old")
        .unwrap()
        .unwrap();
    let (password, earlier) = half.register(&mut w, ada, Some(view.room), "new", &keys(2));
    let change = |expected, password| {
        Op::Password(client::SetPassword {
            room: view.room,
            expected,
            password,
            earlier: earlier.clone(),
        })
    };
    w.request(ada, 2, change(KeyId([1; 16]), password)).unwrap();
    assert_eq!(
        join(&mut w, bob, 1, RoomRef::Number(0), Some(proof))
            .unwrap_err()
            .code,
        ErrorCode::StaleProof
    );
    assert!(
        half.login(&mut w, bob, RoomRef::Number(0), "old")
            .unwrap()
            .is_none()
    );
    let (proof, export) = half
        .login(&mut w, bob, RoomRef::Number(0), "new")
        .unwrap()
        .unwrap();
    let credential = proof.credential;
    let joined = join(&mut w, bob, 1, RoomRef::Number(0), Some(proof)).unwrap();
    assert_eq!(joined.key, Some(KeyId([2; 16])));
    let unwrapped: Vec<_> = joined
        .keys
        .iter()
        .map(|key| (key.id.0[0], export.unwrap(credential, key).unwrap().0[0]))
        .collect();
    assert_eq!(
        unwrapped,
        [(1, 1), (2, 2)],
        "all keys, the oldest first, under the new password"
    );
    // Another owner was faster.
    let (password, _) = half.register(&mut w, ada, Some(view.room), "newer", &keys(3));
    assert_eq!(
        w.request(ada, 3, change(KeyId([1; 16]), password))
            .unwrap_err()
            .code,
        ErrorCode::StaleProof
    );
}

#[test]
fn a_change_that_overtakes_a_join_on_its_way_voids_it() {
    let mut half = Half::new(4);
    let (mut w, ada, view) = protected(&mut half, "old");
    let bob = w.welcome("bob");
    let (proof, _) = half
        .login(&mut w, bob, RoomRef::Number(0), "old")
        .unwrap()
        .unwrap();
    let (password, earlier) = half.register(&mut w, ada, Some(view.room), "new", &keys(2));
    w.hold = true;
    w.ask(
        ada,
        70,
        2,
        Op::Password(client::SetPassword {
            room: view.room,
            expected: KeyId([1; 16]),
            password,
            earlier,
        }),
    );
    w.ask(
        bob,
        71,
        1,
        Op::Join(client::Join {
            room: RoomRef::Number(0),
            proof: Some(proof),
        }),
    );
    w.hold = false;
    w.release();
    w.answer(ada, 70).unwrap().unwrap();
    assert_eq!(
        w.answer(bob, 71).unwrap().unwrap_err().code,
        ErrorCode::StaleProof
    );
}

#[test]
fn a_login_dies_with_its_connection_and_belongs_to_its_room() {
    let mut half = Half::new(5);
    let (mut w, ada, _) = protected(&mut half, "one");
    let (record, _) = half.register(&mut w, ada, None, "one", &keys(1));
    let Ok(Answer::Create(_)) = w.request(ada, 2, create(record)) else {
        panic!()
    };
    let bob = w.welcome("bob");
    let (proof, _) = half
        .login(&mut w, bob, RoomRef::Number(0), "one")
        .unwrap()
        .unwrap();
    assert_eq!(
        join(&mut w, bob, 1, RoomRef::Number(1), Some(proof))
            .unwrap_err()
            .code,
        ErrorCode::StaleProof,
        "another room"
    );
    let (proof, _) = half
        .login(&mut w, bob, RoomRef::Number(0), "one")
        .unwrap()
        .unwrap();
    w.disconnect(bob);
    let bob = w.welcome("bob");
    assert_eq!(
        join(&mut w, bob, 1, RoomRef::Number(0), Some(proof))
            .unwrap_err()
            .code,
        ErrorCode::StaleProof
    );
}

#[test]
fn repeats_after_a_lost_connection_get_the_first_result() {
    let mut half = Half::new(6);
    let (mut w, ada, view, first) = made(&mut half, "pass");
    // The create again: its registration died with the connection.
    w.disconnect(ada);
    let ada = w.welcome("ada");
    let Ok(Answer::Create(again)) = w.request(ada, 1, first.clone()) else {
        panic!()
    };
    assert_eq!(again.room, view.room);
    assert_eq!(
        w.refusal(ada, 2, first),
        ErrorCode::BadRequest,
        "a new one needs a registration of its own"
    );
    // The join again.
    let bob = w.welcome("bob");
    let (proof, _) = half
        .login(&mut w, bob, RoomRef::Id(view.room), "pass")
        .unwrap()
        .unwrap();
    join(&mut w, bob, 1, RoomRef::Id(view.room), Some(proof.clone())).unwrap();
    w.disconnect(bob);
    let bob = w.welcome("bob");
    assert_eq!(
        join(&mut w, bob, 1, RoomRef::Id(view.room), Some(proof))
            .unwrap()
            .room,
        view.room
    );
    // The change again.
    let (password, earlier) = half.register(&mut w, ada, Some(view.room), "next", &keys(2));
    let change = Op::Password(client::SetPassword {
        room: view.room,
        expected: KeyId([1; 16]),
        password,
        earlier,
    });
    let first = w.request(ada, 7, change.clone()).unwrap();
    w.disconnect(ada);
    let ada = w.welcome("ada");
    assert_eq!(w.request(ada, 7, change).unwrap(), first);
}

#[test]
fn a_create_repeated_while_the_first_is_on_its_way_gets_its_answer() {
    let mut half = Half::new(7);
    let mut w = World::new();
    let ada = w.welcome("ada");
    let (record, _) = half.register(&mut w, ada, None, "pass", &keys(1));
    w.hold = true;
    w.ask(ada, 1, 1, create(record.clone()));
    w.disconnect(ada);
    // The hello waits for the same log.
    let ada = w.connect();
    w.say_hello(ada, &hello("ada"));
    w.release_one();
    w.ask(ada, 2, 1, create(record));
    w.hold = false;
    w.release();
    let Some(Ok(Answer::Create(view))) = w.answer(ada, 2) else {
        panic!()
    };
    assert_eq!(view.number, Some(0));
    w.send(ada, view.room, 1, "x")
        .expect_err("in plain text, it is refused");
    assert_eq!(
        w.create(ada, 2, None).unwrap().number,
        Some(1),
        "one number was given, not two"
    );
    w.request(ada, 2, Op::Leave(InRoom { room: view.room }))
        .unwrap();
    let left = w.take(ada, |message| {
        matches!(message, ServerMessage::Records(_)).then_some(())
    });
    assert!(left.is_some(), "this connection hears the room");
}

#[test]
fn malformed_passwords_are_refused() {
    let mut half = Half::new(8);
    let (mut w, ada, view) = protected(&mut half, "pass");
    let bad = [
        Op::Register(client::Register {
            room: None,
            request: Bytes::from_static(&[0xff; 32]),
        }),
        Op::Register(client::Register {
            room: None,
            request: Bytes::from_static(&[1; 31]),
        }),
        Op::Login(client::Login {
            room: RoomRef::Number(0),
            ke1: Bytes::from_static(&[0xff; 96]),
        }),
        Op::Login(client::Login {
            room: RoomRef::Number(0),
            ke1: Bytes::new(),
        }),
    ];
    for op in bad {
        assert_eq!(w.refusal(ada, 0, op), ErrorCode::BadRequest);
    }
    let (good, _) = half.register(&mut w, ada, None, "x", &keys(1));
    let short = WrappedKey {
        wrapped: good.key.wrapped.slice(1..),
        ..good.key.clone()
    };
    for record in [
        PasswordRecord {
            credential: CredentialId([9; 16]),
            ..good.clone()
        },
        PasswordRecord {
            upload: Bytes::from_static(&[0xff; 192]),
            ..good.clone()
        },
        PasswordRecord { key: short, ..good },
    ] {
        assert_eq!(w.refusal(ada, 2, create(record)), ErrorCode::BadRequest);
    }
    let (password, _) = half.register(&mut w, ada, Some(view.room), "y", &keys(2));
    let earlier = vec![password.key.clone(); 17];
    let change = Op::Password(client::SetPassword {
        room: view.room,
        expected: KeyId([1; 16]),
        password,
        earlier,
    });
    assert_eq!(w.refusal(ada, 2, change), ErrorCode::BadRequest);
    // So many earlier keys, each with a name of its own, and no more.
    for (count, refused) in [(17_u8, true), (16, false)] {
        let (password, _) = half.register(&mut w, ada, Some(view.room), "y", &keys(2));
        let key = |n| WrappedKey {
            id: KeyId([100 + n; 16]),
            ..password.key.clone()
        };
        let earlier = (0..count).map(key).collect();
        let change = Op::Password(client::SetPassword {
            room: view.room,
            expected: KeyId([77; 16]),
            password: password.clone(),
            earlier,
        });
        let code = w.refusal(ada, 2, change);
        assert_eq!(code == ErrorCode::BadRequest, refused, "{count}: {code:?}");
    }
    // Keys are told apart by their names: a new one takes nobody else's, and no two are the same.
    for (n, double) in [(1, false), (3, true)] {
        let (password, mut earlier) = half.register(&mut w, ada, Some(view.room), "z", &keys(n));
        if double {
            earlier.push(password.key.clone());
        }
        let change = Op::Password(client::SetPassword {
            room: view.room,
            expected: KeyId([1; 16]),
            password,
            earlier,
        });
        assert_eq!(w.refusal(ada, 2, change), ErrorCode::BadRequest, "{n}");
    }
    // A proof of another length is none, and does not use up the login.
    let dan = w.welcome("dan");
    let (proof, _) = half
        .login(&mut w, dan, RoomRef::Number(0), "pass")
        .unwrap()
        .unwrap();
    for length in [0, 63, 65] {
        let ke3 = Bytes::from(vec![1; length]);
        let wrong = client::Proof {
            ke3,
            ..proof.clone()
        };
        let refused = join(&mut w, dan, 1, RoomRef::Number(0), Some(wrong)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadRequest, "{length}");
    }
    join(&mut w, dan, 1, RoomRef::Number(0), Some(proof)).unwrap();
    let lobby = w.in_lobby("cy");
    let (_, ke1) = ClientLogin::start(&mut half.rng, &Password::new("x"));
    assert_eq!(
        w.refusal(
            lobby,
            0,
            Op::Login(client::Login {
                room: RoomRef::Lobby,
                ke1
            })
        ),
        ErrorCode::NotProtected
    );
}

#[test]
fn a_registration_serves_one_request_and_its_repeats() {
    let mut half = Half::new(9);
    let (mut w, ada, view) = protected(&mut half, "old");
    let (password, earlier) = half.register(&mut w, ada, Some(view.room), "new", &keys(2));
    let change = Op::Password(client::SetPassword {
        room: view.room,
        expected: KeyId([1; 16]),
        password,
        earlier,
    });
    let first = w.request(ada, 2, change.clone()).expect("an owner may");
    assert_eq!(w.request(ada, 2, change.clone()), Ok(first));
    let told = |event: &chat_core::hub::Event| matches!(event, chat_core::hub::Event::Changed { kind, .. } if *kind == "password");
    assert!(w.events.iter().any(told), "and the operator");
    assert_eq!(w.refusal(ada, 3, change), ErrorCode::BadRequest);
}
