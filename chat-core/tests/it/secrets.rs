//! Laws of every text, key and password, and of every byte that is changed on the way.

use chat_core::{
    cipher::{Caesar, Cipher, Context, Key, OpenError, Plain, Sealing},
    id::{CredentialId, KeyId, MemberId, MessageId, RoomOrigin, SessionId},
    password::{
        ClientLogin, ClientRegistration, LoginError, Malformed, Password, ServerSecret, Stretch,
    },
    wire::record::{Content, Sealed, WrappedKey},
};
use proptest::{prelude::*, sample::Index};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn context() -> impl Strategy<Value = Context> {
    let message = || {
        (any::<[u8; 16]>(), any::<u64>(), 1u64..).prop_map(|(member, session, txn)| MessageId {
            member: MemberId(member),
            session: SessionId(session),
            txn,
        })
    };
    (
        any::<[u8; 16]>(),
        message(),
        any::<u16>(),
        proptest::option::of(message()),
    )
        .prop_map(|(origin, said, kind, target)| Context {
            origin: RoomOrigin(origin),
            member: said.member,
            session: said.session,
            txn: said.txn,
            kind,
            target,
        })
}

fn flip(bytes: &[u8], bit: Index) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let bit = bit.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

proptest! {
    #[test]
    fn every_cipher_opens_what_it_sealed(text: String, context in context(), shift: i32, key: [u8; 32], seed: u64) {
        let sealing = Sealing::static_key(Key(key));
        for cipher in [&Plain as &dyn Cipher, &Caesar(shift), &sealing] {
            let content = cipher.seal(&mut rng(seed), &context, &text);
            prop_assert_eq!(cipher.open(&context, &content), Ok(text.clone()));
            for other in [&Plain as &dyn Cipher, &Caesar(shift), &sealing] {
                let opened = other.open(&context, &content);
                prop_assert!(opened == Ok(text.clone()) || opened == Err(OpenError::WrongForm));
            }
        }
    }

    #[test]
    fn caesar_is_undone_by_its_inverse_and_knows_only_remainders(text: String, shift: i32) {
        let there = Caesar(shift).shifted(&text);
        prop_assert_eq!(Caesar(shift).inverse().shifted(&there), text.as_str());
        prop_assert_eq!(Caesar(shift.rem_euclid(26)).shifted(&text), there.as_str());
        if let Some(back) = shift.checked_neg() {
            prop_assert_eq!(Caesar(back).shifted(&there), text.as_str());
        }
        prop_assert_eq!(there.len(), text.len());
    }

    #[test]
    fn one_changed_bit_keeps_a_message_closed(text in ".{0,40}", context in context(), bit: Index) {
        let cipher = Sealing::new(KeyId([7; 16]), Key([9; 32]));
        let Content::Sealed(sealed) = cipher.seal(&mut rng(1), &context, &text) else { unreachable!() };
        let data = flip(&sealed.data, bit).into();
        let changed = Content::Sealed(Sealed { key: sealed.key, data });
        prop_assert_eq!(cipher.open(&context, &changed), Err(OpenError::Altered));
    }

    #[test]
    fn a_message_opens_nowhere_else(a in context(), b in context()) {
        let cipher = Sealing::new(KeyId([7; 16]), Key([9; 32]));
        let content = cipher.seal(&mut rng(1), &a, "here");
        let moved = [
            Context { origin: b.origin, ..a },
            Context { member: b.member, ..a },
            Context { session: b.session, ..a },
            Context { txn: b.txn, ..a },
            Context { kind: b.kind, ..a },
            Context { target: b.target, ..a },
            b,
        ];
        for elsewhere in moved {
            let expected = if elsewhere == a { Ok("here".to_owned()) } else { Err(OpenError::Altered) };
            prop_assert_eq!(cipher.open(&elsewhere, &content), expected);
        }
    }

    #[test]
    fn any_bytes_are_opened_or_refused(data in proptest::collection::vec(any::<u8>(), 0..100), context in context()) {
        let cipher = Sealing::new(KeyId([7; 16]), Key([9; 32]));
        let expected = if data.len() < 40 { OpenError::Malformed } else { OpenError::Altered };
        let content = Content::Sealed(Sealed { key: KeyId([7; 16]), data: data.into() });
        prop_assert_eq!(cipher.open(&context, &content), Err(expected));
    }

    #[test]
    fn keys_are_read_as_they_are_written(bytes: [u8; 32], noise in ".{0,70}") {
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        prop_assert_eq!(Key::parse(&format!(" \t{hex}\r\n")), Ok(Key(bytes)));
        // No text makes it panic.
        let _ = Key::parse(&noise);
    }

    #[test]
    fn malformed_messages_are_refused(bytes in bytes_of_any_length()) {
        let it = Exchange::made();
        let len = bytes.len();
        let refused = [
            (128, ServerSecret::from_bytes(&bytes).map(drop)),
            (192, ServerSecret::check_upload(&bytes)),
            (32, it.server.register(it.credential, &bytes).map(drop)),
            (192, it.server.login(&mut rng(1), it.credential, &bytes, &it.ke1).map(drop)),
            (96, it.server.login(&mut rng(1), it.credential, &it.upload, &bytes).map(drop)),
            (64, it.registration().finish(&mut rng(1), &it.password, &bytes, &Stretch::cheap()).map(drop)),
        ];
        for (length, result) in refused {
            if len != length {
                prop_assert_eq!(result, Err(Malformed));
            }
        }
        let (login, ke1) = ClientLogin::start(&mut rng(4), &it.password);
        let (expected, _) = it.server.login(&mut rng(5), it.credential, &it.upload, &ke1).unwrap();
        let ours = login.finish(&it.password, &bytes, &Stretch::cheap()).map(drop);
        let theirs = expected.finish(&bytes);
        for (length, result) in [(320, ours), (64, theirs)] {
            match result {
                Ok(()) => prop_assert!(false, "random bytes were taken"),
                Err(LoginError::Malformed) => {}
                Err(LoginError::WrongPassword) => prop_assert_eq!(len, length),
            }
        }
    }

    #[test]
    fn one_changed_bit_fails_a_login(bit: Index) {
        let it = Exchange::made();
        let (login, ke1) = ClientLogin::start(&mut rng(4), &it.password);
        let (expected, ke2) = it.server.login(&mut rng(5), it.credential, &it.upload, &ke1).unwrap();
        prop_assert!(login.finish(&it.password, &flip(&ke2, bit), &Stretch::cheap()).is_err());
        let (login, _) = ClientLogin::start(&mut rng(4), &it.password);
        let (ke3, _) = login.finish(&it.password, &ke2, &Stretch::cheap()).unwrap();
        prop_assert_eq!(expected.finish(&flip(&ke3, bit)), Err(LoginError::WrongPassword));
    }

    #[test]
    fn every_other_password_is_wrong(other: String, seed: u64) {
        let it = Exchange::made();
        let other = Password::new(other);
        prop_assume!(other != it.password);
        let (login, ke1) = ClientLogin::start(&mut rng(seed), &other);
        let (_, ke2) = it.server.login(&mut rng(seed ^ 1), it.credential, &it.upload, &ke1).unwrap();
        prop_assert_eq!(login.finish(&other, &ke2, &Stretch::cheap()).map(drop), Err(LoginError::WrongPassword));
    }

    #[test]
    fn a_wrapped_key_is_for_one_registration_and_one_name(bit: Index, length in 0_usize..200) {
        let it = Exchange::made();
        let key = Key::random(&mut rng(8));
        let wrapped = it.export.wrap(&mut rng(9), it.credential, KeyId([1; 16]), &key);
        prop_assert_eq!(wrapped.wrapped.len(), 72);
        prop_assert_eq!(it.export.unwrap(it.credential, &wrapped), Ok(key));
        prop_assert_eq!(it.export.unwrap(CredentialId([0; 16]), &wrapped), Err(OpenError::Altered));
        let renamed = WrappedKey { id: KeyId([2; 16]), ..wrapped.clone() };
        prop_assert_eq!(it.export.unwrap(it.credential, &renamed), Err(OpenError::Altered));
        let altered = WrappedKey { wrapped: flip(&wrapped.wrapped, bit).into(), ..wrapped.clone() };
        prop_assert_eq!(it.export.unwrap(it.credential, &altered), Err(OpenError::Altered));
        if length != 72 {
            let cut = WrappedKey { wrapped: vec![0; length].into(), ..wrapped };
            prop_assert_eq!(it.export.unwrap(it.credential, &cut), Err(OpenError::Malformed));
        }
    }
}

/// Often of a length that some message has.
fn bytes_of_any_length() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        3 => proptest::sample::select(vec![32_usize, 64, 96, 128, 192, 320]),
        2 => 0_usize..400,
    ];
    (length, any::<bool>()).prop_flat_map(|(n, zero)| {
        proptest::collection::vec(
            if zero {
                Just(0).boxed()
            } else {
                any::<u8>().boxed()
            },
            n,
        )
    })
}

/// A registration that was made.
struct Exchange {
    password: Password,
    credential: CredentialId,
    server: ServerSecret,
    upload: bytes::Bytes,
    ke1: bytes::Bytes,
    export: chat_core::password::ExportKey,
}

impl Exchange {
    fn made() -> Self {
        let password = Password::new("swordfish");
        let credential = CredentialId([3; 16]);
        let server = ServerSecret::generate(&mut rng(0));
        let (registration, request) = ClientRegistration::start(&mut rng(1), &password);
        let response = server.register(credential, &request).unwrap();
        let (upload, export) = registration
            .finish(&mut rng(2), &password, &response, &Stretch::cheap())
            .unwrap();
        let (_, ke1) = ClientLogin::start(&mut rng(3), &password);
        Self {
            password,
            credential,
            server,
            upload,
            ke1,
            export,
        }
    }

    fn registration(&self) -> ClientRegistration {
        ClientRegistration::start(&mut rng(1), &self.password).0
    }
}

#[test]
fn a_message_says_which_key_it_lacks() {
    let (old, new) = (KeyId([1; 16]), KeyId([2; 16]));
    let context = Context {
        origin: RoomOrigin([0; 16]),
        member: MemberId::SERVER,
        session: SessionId(1),
        txn: 1,
        kind: 4,
        target: None,
    };
    let mut cipher = Sealing::new(old, Key([1; 32]));
    let early = cipher.seal(&mut rng(1), &context, "early");
    cipher.replace(new, Key([2; 32]));
    let late = cipher.seal(&mut rng(1), &context, "late");
    assert_eq!(
        (cipher.current(), cipher.has(old), cipher.keys().count()),
        (new, true, 2)
    );
    assert_eq!(cipher.open(&context, &early), Ok("early".to_owned()));
    assert_eq!(cipher.open(&context, &late), Ok("late".to_owned()));

    let mut newcomer = Sealing::new(new, Key([2; 32]));
    assert_eq!(newcomer.open(&context, &early), Err(OpenError::NoKey(old)));
    newcomer.add(old, Key([1; 32]));
    assert_eq!(newcomer.open(&context, &early), Ok("early".to_owned()));
    assert_eq!(newcomer.current(), new);
    newcomer.add(old, Key([3; 32]));
    assert_eq!(newcomer.open(&context, &early), Err(OpenError::Altered));
}

#[test]
fn a_login_proves_one_registration_only() {
    let it = Exchange::made();
    let (login, ke1) = ClientLogin::start(&mut rng(4), &it.password);
    let (_, ke2) = it
        .server
        .login(&mut rng(5), CredentialId([4; 16]), &it.upload, &ke1)
        .unwrap();
    let result = login
        .finish(&it.password, &ke2, &Stretch::cheap())
        .map(drop);
    assert_eq!(result, Err(LoginError::WrongPassword), "another credential");

    let other = ServerSecret::generate(&mut rng(77));
    let (login, ke1) = ClientLogin::start(&mut rng(4), &it.password);
    let (_, ke2) = other
        .login(&mut rng(5), it.credential, &it.upload, &ke1)
        .unwrap();
    let result = login
        .finish(&it.password, &ke2, &Stretch::cheap())
        .map(drop);
    assert_eq!(result, Err(LoginError::WrongPassword), "another server");
}

#[test]
fn a_server_secret_survives_being_kept() {
    let it = Exchange::made();
    let kept = ServerSecret::from_bytes(&it.server.to_bytes()).unwrap();
    let (login, ke1) = ClientLogin::start(&mut rng(4), &it.password);
    let (expected, ke2) = kept
        .login(&mut rng(5), it.credential, &it.upload, &ke1)
        .unwrap();
    let (ke3, export) = login.finish(&it.password, &ke2, &Stretch::cheap()).unwrap();
    assert_eq!(expected.finish(&ke3), Ok(()));
    assert_eq!(export, it.export);
}

#[test]
fn passwords_of_every_length() {
    let server = ServerSecret::generate(&mut rng(0));
    let credential = CredentialId([3; 16]);
    for (length, fits) in [
        (0, true),
        (1, true),
        (Password::MAX_BYTES, true),
        (Password::MAX_BYTES + 1, false),
    ] {
        let password = Password::new("x".repeat(length));
        assert_eq!(password.fits(), fits);
        let (registration, request) = ClientRegistration::start(&mut rng(1), &password);
        let response = server.register(credential, &request).unwrap();
        let result = registration.finish(&mut rng(2), &password, &response, &Stretch::cheap());
        assert_eq!(result.is_ok(), fits, "{length} bytes");
        let Ok((upload, export)) = result else {
            continue;
        };
        let (login, ke1) = ClientLogin::start(&mut rng(4), &password);
        let (expected, ke2) = server
            .login(&mut rng(5), credential, &upload, &ke1)
            .unwrap();
        let (ke3, again) = login.finish(&password, &ke2, &Stretch::cheap()).unwrap();
        assert_eq!((expected.finish(&ke3), again), (Ok(()), export));
    }
    let it = Exchange::made();
    let long = Password::new("x".repeat(Password::MAX_BYTES + 1));
    let (login, ke1) = ClientLogin::start(&mut rng(4), &long);
    let (_, ke2) = it
        .server
        .login(&mut rng(5), it.credential, &it.upload, &ke1)
        .unwrap();
    assert_eq!(
        login.finish(&long, &ke2, &Stretch::cheap()).map(drop),
        Err(LoginError::WrongPassword)
    );
}

#[test]
fn a_reflected_request_is_refused() {
    let it = Exchange::made();
    let (registration, request) = ClientRegistration::start(&mut rng(1), &it.password);
    let response = it.server.register(it.credential, &request).unwrap();
    let reflected = [&request[..], &response[32..]].concat();
    let result = registration.finish(&mut rng(2), &it.password, &reflected, &Stretch::cheap());
    assert_eq!(result.map(drop), Err(Malformed));
}

#[test]
fn secrets_are_not_printed() {
    let it = Exchange::made();
    let secret = hex(&it.server.to_bytes()[..4]);
    let printed = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        it.password,
        it.server,
        it.export,
        it.registration(),
        ClientLogin::start(&mut rng(1), &it.password).0,
        Sealing::static_key(Key([0xab; 32])),
    );
    for leak in ["swordfish", &secret, "171", "abab"] {
        assert!(!printed.contains(leak), "{leak} in {printed}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
