//! The machine-readable examples of names, ids, keys, ciphers and passwords in `docs/vectors`.
//!
//! Every case is worked out again from what goes in, and undone where it can be undone.

use crate::vectors::{Case, check, hex};
use chat_core::{
    cipher::{Caesar, Cipher, Context, Key, OpenError, Sealing},
    id::{CredentialId, KeyId, MemberId, MessageId, RoomId, RoomOrigin, Secret, SessionId},
    invite::InviteSecret,
    keys::{DeviceKeys, Nonce, SignedHash, SigningKey, Transcript, chain},
    link::Fragment,
    nick::{Name, Reserved, label, line},
    password::{ClientLogin, ClientRegistration, ExportKey, Password, ServerSecret, Stretch},
    time::Wall,
    visible::harmless,
    wire::{
        Fixed,
        client::{Entrance, Open, Versions},
        record::{Content, Sealed},
        server::Challenged,
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};
use serde_json::json;

#[test]
fn caesar() {
    check("caesar.json", |case| {
        let cipher = Caesar(case.number("shift").try_into().unwrap());
        let text = case.text("text");
        let content = cipher.seal(&mut Given::nothing(), &anywhere(), &text);
        assert_eq!(cipher.open(&anywhere(), &content), Ok(text));
        let Content::Caesar(shifted) = content else {
            panic!("{content:?}")
        };
        case.gives("content", json!(shifted.text));
    });
}

#[test]
fn sealed_messages() {
    check("sealed.json", |case| {
        let key = Key(case.bytes("key"));
        let id = case
            .optional_bytes("key_id")
            .map_or_else(|| key.static_id(), KeyId);
        let context = Context {
            origin: RoomOrigin(case.bytes("origin")),
            member: MemberId(case.bytes("member")),
            session: SessionId(case.number("session").try_into().unwrap()),
            txn: case.number("txn").try_into().unwrap(),
            kind: case.number("kind").try_into().unwrap(),
            target: case
                .optional_bytes("target_member")
                .map(|member| MessageId {
                    member: MemberId(member),
                    session: SessionId(case.number("target_session").try_into().unwrap()),
                    txn: case.number("target_txn").try_into().unwrap(),
                }),
        };
        let text = case.text("text");
        let cipher = Sealing::new(id, key);
        let content = cipher.seal(
            &mut Given::bytes(&case.bytes::<24>("nonce")),
            &context,
            &text,
        );
        assert_eq!(cipher.open(&context, &content), Ok(text));
        let elsewhere = Context {
            txn: context.txn + 1,
            ..context
        };
        assert_eq!(cipher.open(&elsewhere, &content), Err(OpenError::Altered));
        let Content::Sealed(Sealed { key, data }) = content else {
            panic!("{content:?}")
        };
        case.gives("content_key", hex(&key.0));
        case.gives("content_data", hex(&data));
    });
}

#[test]
fn keys() {
    check("keys.json", |case| match Key::parse(&case.text("text")) {
        Ok(key) => {
            case.gives("key", hex(&key.0));
            case.gives("static_id", hex(&key.static_id().0));
        }
        Err(_) => case.gives("refused", json!(true)),
    });
}

#[test]
fn wrapped_keys() {
    check("wrapped_keys.json", |case| {
        let export = ExportKey::new(case.bytes("export_key"));
        let credential = CredentialId(case.bytes("credential"));
        let (id, key) = (KeyId(case.bytes("key_id")), Key(case.bytes("key")));
        let wrapped = export.wrap(
            &mut Given::bytes(&case.bytes::<24>("nonce")),
            credential,
            id,
            &key,
        );
        assert_eq!(export.unwrap(credential, &wrapped), Ok(key));
        case.gives("wrapped", hex(&wrapped.wrapped));
    });
}

#[test]
fn handshake() {
    check("handshake.json", |case| {
        let given = [
            case.bytes::<32>("account_seed").to_vec(),
            case.bytes::<32>("device_sign_seed").to_vec(),
            case.bytes::<32>("device_dh_secret").to_vec(),
            case.bytes::<16>("recovery_seed").to_vec(),
        ];
        let time = Wall(case.number("time").try_into().unwrap());
        let rng = &mut Given::bytes(&given.concat());
        let keys = DeviceKeys::generate(rng, &case.text("device_name"), time);
        let server = SigningKey::from_seed(&case.bytes("server_seed"));
        let transcript = Transcript {
            server: server.public(),
            of_client: Nonce(case.bytes("client_nonce")),
            of_server: Nonce(case.bytes("server_nonce")),
        };
        let signature = transcript.challenge(&server);
        let open = Open {
            versions: Versions { min: 1, max: 1 },
            nonce: transcript.of_client,
            capabilities: vec![],
        };
        let challenge = Challenged {
            version: 1,
            nonce: transcript.of_server,
            key: transcript.server,
            signature,
            time,
            capabilities: vec![],
        };
        let entrance = Entrance {
            agent: case.text("agent"),
            nick: case.text("nick"),
            label: case.text("label"),
            session: SessionId(case.number("session").try_into().unwrap()),
            kept: case.flag("kept"),
            resume: vec![],
            audience: case.text("audience"),
            channel: case.optional_bytes("channel").map(Fixed),
            entries: vec![],
            invite: case.optional_bytes("invite").map(InviteSecret),
        };
        let link = Fragment {
            key: Some(transcript.server.fingerprint()),
            invite: entrance.invite.clone(),
        };
        case.gives("link", link.to_string().into());
        if let Some(invite) = &entrance.invite {
            case.gives("invite_id", hex(&invite.id().0));
        }
        let hello = keys
            .hello(&open, &challenge, entrance)
            .expect("it is the server's");
        let [entry] = &hello.entrance().unwrap().entries[..] else {
            panic!("one entry")
        };
        let founded = chain::verify_first(entry).unwrap();
        assert_eq!(founded.member, keys.member());
        assert!(transcript.has_entered(&founded.device.sign, &hello.signed, &hello.signature));
        let signed = SignedHash::of(&hello.signed);
        let proof = transcript.welcome(&server, &signed);
        assert!(transcript.is_welcome(&signed, &proof));
        case.gives("server_key", hex(&transcript.server.0));
        case.gives(
            "server_link",
            json!(transcript.server.fingerprint().to_string()),
        );
        case.gives(
            "entry",
            serde_json::to_value(entry.read().unwrap()).unwrap(),
        );
        case.gives(
            "entrance",
            serde_json::to_value(hello.entrance().unwrap()).unwrap(),
        );
        case.gives("entry_body", hex(&entry.body));
        case.gives("entry_signature", hex(&entry.signature.0));
        case.gives("entry_possession", hex(&entry.possession.unwrap().0));
        case.gives("device_id", hex(&founded.device.id().0));
        case.gives("member", hex(&founded.member.0));
        case.gives("challenge_signature", hex(&signature.0));
        case.gives("signed", hex(&hello.signed));
        case.gives("hello_signature", hex(&hello.signature.0));
        case.gives("welcome_proof", hex(&proof.0));
    });
}

#[test]
fn ids() {
    check("ids.json", |case| {
        let [a, b] =
            ["secret", "other_secret"].map(|name| MemberId::guest(&Secret(case.bytes(name))));
        assert_eq!(RoomId::private(a, b), RoomId::private(b, a));
        case.gives("member", hex(&a.0));
        case.gives("other_member", hex(&b.0));
        case.gives("private_room", hex(&RoomId::private(a, b).0));
        let session = SessionId(case.number("session").try_into().unwrap());
        let txn = case.number("txn").try_into().unwrap();
        case.gives("group_room", hex(&RoomId::group(a, session, txn).0));
    });
}

#[test]
fn names() {
    let reserved = Reserved::default();
    check("names.json", |case| {
        let (text, max_bytes) = (
            case.text("text"),
            case.number("max_bytes").try_into().unwrap(),
        );
        let kind = case.text("kind");
        let name = match kind.as_str() {
            "nick" => Name::nick(&text, max_bytes).map(Some),
            "group" => Name::group(&text, max_bytes).map(Some),
            "label" => label(&text, max_bytes).map(|()| None),
            "line" => line(&text, max_bytes).map(|()| None),
            other => panic!("no such kind: {other}"),
        };
        match name {
            Ok(Some(name)) => {
                case.gives("shown", json!(name.shown));
                case.gives("folded", json!(name.key.folded));
                case.gives("skeleton", json!(name.key.skeleton));
                if kind == "nick" && reserved.has(&name) {
                    case.gives("reserved", json!(true));
                }
            }
            Ok(None) => {
                case.gives("shown", json!(harmless(&text)));
                if kind == "label" && reserved.has_label(&text) {
                    case.gives("reserved", json!(true));
                }
            }
            Err(_) => case.gives("refused", json!(true)),
        }
    });
}

/// A room's password from its creation to its first use, with the real stretching.
#[test]
fn opaque() {
    check("opaque.json", |case| {
        let stretch = Stretch::default();
        let password = Password::new(case.text("password"));
        let credential = CredentialId(case.bytes("credential"));
        let rng = |case: &Case, name| ChaCha20Rng::from_seed(case.bytes(name));

        let server = ServerSecret::generate(&mut rng(case, "seed_server_secret"));
        case.gives("server_secret", hex(&server.to_bytes()));
        let server = ServerSecret::from_bytes(&server.to_bytes()).unwrap();

        let (client, request) =
            ClientRegistration::start(&mut rng(case, "seed_request"), &password);
        case.gives("request", hex(&request));
        case.gives(
            "request_state",
            hex(&bare::registration_state(
                &mut rng(case, "seed_request"),
                &password_text(case),
            )),
        );
        let response = server.register(credential, &request).unwrap();
        case.gives("response", hex(&response));
        let (upload, export) = client
            .finish(
                &mut rng(case, "seed_upload"),
                &password,
                &response,
                &stretch,
            )
            .unwrap();
        ServerSecret::check_upload(&upload).unwrap();
        case.gives("upload", hex(&upload));
        case.gives("export_key", hex(export.as_bytes()));

        let (id, key) = (KeyId(case.bytes("key_id")), Key(case.bytes("key")));
        let wrapped = export.wrap(
            &mut Given::bytes(&case.bytes::<24>("wrap_nonce")),
            credential,
            id,
            &key,
        );
        case.gives("wrapped", hex(&wrapped.wrapped));

        let (client, ke1) = ClientLogin::start(&mut rng(case, "seed_ke1"), &password);
        case.gives("ke1", hex(&ke1));
        case.gives(
            "ke1_state",
            hex(&bare::login_state(
                &mut rng(case, "seed_ke1"),
                &password_text(case),
            )),
        );
        let (expected, ke2) = server
            .login(&mut rng(case, "seed_ke2"), credential, &upload, &ke1)
            .unwrap();
        case.gives("ke2", hex(&ke2));
        let (ke3, export) = client.finish(&password, &ke2, &stretch).unwrap();
        case.gives("ke3", hex(&ke3));
        expected.finish(&ke3).unwrap();
        assert_eq!(hex(export.as_bytes()), case.0["export_key"]);
        assert_eq!(export.unwrap(credential, &wrapped), Ok(key));
    });
}

/// A recorded exchange between the npm package `@serenity-kit/opaque` 1.1.0 and this library, with
/// the package's default stretching. The package's messages go in, ours must come out, and both
/// ends must have agreed.
#[test]
fn opaque_npm() {
    check("opaque_npm.json", |case| {
        let stretch = Stretch::default();
        let password = Password::new(case.text("password"));
        let credential = CredentialId(case.bytes("credential"));
        let server = ServerSecret::from_bytes(&case.bytes::<128>("npm_server_secret")).unwrap();
        let rng = |case: &Case, name| ChaCha20Rng::from_seed(case.bytes(name));

        // Our client, the package's server.
        let (client, request) =
            ClientRegistration::start(&mut rng(case, "seed_request"), &password);
        case.gives("request", hex(&request));
        let response = case.bytes::<64>("npm_response");
        assert_eq!(
            server.register(credential, &request).unwrap(),
            &response[..]
        );
        let (upload, export) = client
            .finish(
                &mut rng(case, "seed_upload"),
                &password,
                &response,
                &stretch,
            )
            .unwrap();
        case.gives("upload", hex(&upload));
        case.gives("export_key", hex(export.as_bytes()));
        let (client, ke1) = ClientLogin::start(&mut rng(case, "seed_ke1"), &password);
        case.gives("ke1", hex(&ke1));
        let (ke3, again) = client
            .finish(&password, &case.bytes::<320>("npm_ke2"), &stretch)
            .unwrap();
        case.gives("ke3", hex(&ke3));
        assert_eq!(export, again);

        // The package's client, our server; then our client with what the package registered.
        let response = server
            .register(credential, &case.bytes::<32>("npm_request"))
            .unwrap();
        case.gives("response", hex(&response));
        let upload = case.bytes::<192>("npm_upload");
        let (expected, ke2) = server
            .login(
                &mut rng(case, "seed_ke2"),
                credential,
                &upload,
                &case.bytes::<96>("npm_ke1"),
            )
            .unwrap();
        case.gives("ke2", hex(&ke2));
        assert_eq!(expected.finish(&case.bytes::<64>("npm_ke3")), Ok(()));
        let (client, ke1) = ClientLogin::start(&mut rng(case, "seed_ke1"), &password);
        let (_, ke2) = server
            .login(&mut rng(case, "seed_ke2"), credential, &upload, &ke1)
            .unwrap();
        let (_, export) = client.finish(&password, &ke2, &stretch).unwrap();
        assert_eq!(export.as_bytes(), &case.bytes::<64>("npm_export_key"));
    });
}

/// The cipher suite without our types, for what only the library itself can give: a client's state
/// between two messages, with which other implementations can take over.
mod bare {
    use super::*;

    struct Suite;

    impl opaque_ke::CipherSuite for Suite {
        type OprfCs = opaque_ke::Ristretto255;
        type KeyExchange = opaque_ke::TripleDh<opaque_ke::Ristretto255, sha2::Sha512>;
        type Ksf = opaque_ke::ksf::Identity;
    }

    pub(super) fn registration_state(rng: &mut ChaCha20Rng, password: &str) -> Vec<u8> {
        let result =
            opaque_ke::ClientRegistration::<Suite>::start(rng, password.as_bytes()).unwrap();
        result.state.serialize().to_vec()
    }

    pub(super) fn login_state(rng: &mut ChaCha20Rng, password: &str) -> Vec<u8> {
        let result = opaque_ke::ClientLogin::<Suite>::start(rng, password.as_bytes()).unwrap();
        result.state.serialize().to_vec()
    }
}

fn password_text(case: &Case) -> String {
    case.text("password")
}

fn anywhere() -> Context {
    Context {
        origin: RoomOrigin([0; 16]),
        member: MemberId::SERVER,
        session: SessionId(1),
        txn: 1,
        kind: 4,
        target: None,
    }
}

/// A generator that gives exactly these bytes.
struct Given(Vec<u8>);

impl Given {
    fn nothing() -> Self {
        Self(Vec::new())
    }

    fn bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl RngCore for Given {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.copy_from_slice(&self.0.drain(..dest.len()).collect::<Vec<_>>());
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Given {}
