//! Files of `vectors`: each holds cases of what goes in and what must come out, for authors in
//! other languages. `docs/seal.md` explains them.
//!
//! With `CHAT_WRITE_VECTORS=1` in the environment what comes out is written into the files instead
//! of being compared.

use std::path::PathBuf;

use chat_core::{
    id::{CredentialId, MemberId, MessageId, Place, RoomOrigin, SessionId},
    keys::{DhSecret, chain::Entry},
    roles::Role,
    time::Wall,
    wire::{
        Fixed, Opaque,
        record::{CipherKind, HistoryPolicy, RoomKind},
    },
};
use chat_seal::{
    Author, Chain, Control, KeyRecord, RoomKey, RoomKeys, SafetyNumber,
    chain::{Fork, begin, complete},
    key_record::{Gift, Reason, Rotation},
    keys::{AccountKey, DeviceKey, RecoveryKey, Signer},
    mailbox::{Answer, LinkSecret, Pin, Request},
    message::{Content, Context, open, seal},
    signed::{Chains, Created, KeyStep, SignedRecord, Step},
};
use rand_core::{CryptoRng, RngCore};
use serde_json::{Map, Value, json};

/// One case of a file: what goes in and what comes out, side by side.
struct Case(Map<String, Value>);

impl Case {
    fn text(&self, name: &str) -> &str {
        let text = self.0[name].as_str();
        text.unwrap_or_else(|| panic!("{name} is no text"))
    }

    fn number(&self, name: &str) -> u64 {
        let number = self.0[name].as_u64();
        number.unwrap_or_else(|| panic!("{name} is no number"))
    }

    fn bytes<const N: usize>(&self, name: &str) -> [u8; N] {
        let bytes = unhex(self.text(name));
        let length = bytes.len();
        let bytes = bytes.try_into();
        bytes.unwrap_or_else(|_| panic!("{name} has {length} bytes"))
    }

    fn gives(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn gives_hex(&mut self, name: &str, bytes: &[u8]) {
        self.gives(name, hex(bytes));
    }

    fn account(&self) -> AccountKey {
        AccountKey::from_seed(&self.bytes("account_seed"))
    }

    fn recovery(&self) -> RecoveryKey {
        RecoveryKey::from_seed(&self.bytes("recovery_seed"))
    }

    fn device(&self, name: &str) -> DeviceKey {
        let sign = self.bytes(&format!("{name}_sign_seed"));
        let dh = self.bytes(&format!("{name}_dh_secret"));
        DeviceKey::from_seeds(&sign, &dh)
    }

    fn origin(&self) -> RoomOrigin {
        RoomOrigin(self.bytes("origin"))
    }

    fn time(&self) -> Wall {
        Wall(self.number("time"))
    }

    /// The chain of one device that a case begins with.
    fn chain(&self) -> Chain {
        let (account, recovery) = (self.account(), self.recovery());
        begin(
            &account,
            &recovery,
            &self.device("device"),
            "laptop",
            self.time(),
        )
        .unwrap()
    }

    fn room_key(&self, name: &str, epoch: u64) -> RoomKey {
        RoomKey::from_bytes(self.origin(), epoch, &self.bytes(name))
    }
}

/// Works out every case of a file again.
fn check(file: &str, work_out: impl Fn(&mut Case)) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(file);
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let cases = written["cases"].as_array().expect("a file has cases");
    assert!(!cases.is_empty(), "{file} has no cases");
    let worked_out = cases.iter().map(|case| {
        let mut case = Case(case.as_object().expect("a case is an object").clone());
        work_out(&mut case);
        Value::Object(case.0)
    });
    let worked_out: Vec<Value> = worked_out.collect();
    if std::env::var_os("CHAT_WRITE_VECTORS").is_some() {
        let all = json!({ "about": written["about"], "cases": worked_out });
        let text = serde_json::to_string_pretty(&all).unwrap() + "\n";
        std::fs::write(path, text).unwrap();
        return;
    }
    for (number, (case, before)) in worked_out.iter().zip(cases).enumerate() {
        assert_eq!(case, before, "{file}, case {number} counted from 0");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half a byte");
    let bytes = (0..text.len()).step_by(2);
    bytes
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn entry(entry: &Entry) -> Value {
    let mut shown = json!({
        "body": hex(&entry.body),
        "signature": hex(&entry.signature.0),
    });
    if let Some(possession) = &entry.possession {
        shown["possession"] = hex(&possession.0).into();
    }
    shown
}

fn entries(chain: &Chain) -> Value {
    chain.entries().iter().map(entry).collect()
}

#[test]
fn keys() {
    check("keys.json", |case| {
        let (recovery, device) = (case.recovery(), case.device("device"));
        let public = device.device("");
        case.gives_hex("account", &case.account().public().0);
        case.gives_hex("recovery", &recovery.public().0);
        case.gives_hex("recovery_dh", &recovery.dh().0);
        case.gives_hex("device_sign", &public.sign.0);
        case.gives_hex("device_dh", &public.dh.0);
        case.gives_hex("device_id", &device.id().0);
        let chain = case.chain();
        let readers = chain.projection().readers;
        let other = readers.iter().find(|(id, _)| *id != device.id()).unwrap();
        assert_eq!(other.1, recovery.dh());
        case.gives_hex("recovery_id", &other.0.0);
        case.gives_hex("member", &chain.member().0);
        case.gives("chain", entries(&chain));
        case.gives_hex("head", &chain.head().hash);
    });
}

/// One chain with every change; then a fork, and its heal.
#[test]
fn chains() {
    check("chain.json", |case| {
        let (account, time) = (case.account(), case.time());
        let phone = case.device("phone");
        let mut chain = case.chain();
        let add = chain.add(&account, phone.device("phone"), time);
        chain.append(&complete(add, &phone)).unwrap();
        let mut other = chain.clone();
        let revoke = chain.revoke(&account, phone.id(), time);
        chain.append(&revoke).unwrap();
        let next = AccountKey::from_seed(&case.bytes("next_account_seed"));
        let words = RecoveryKey::from_seed(&case.bytes("next_recovery_seed"));
        let keep = vec![case.device("device").id()];
        let recover = chain.recover(&case.recovery(), &next, &words, keep, time);
        chain.append(&recover).unwrap();
        case.gives("chain", entries(&chain));
        case.gives_hex("head", &chain.head().hash);
        let live = chain.devices().map(|(id, _)| hex(&id.0));
        case.gives("devices", live.collect::<Vec<_>>());

        // The other branch: a tablet came in where the phone went.
        let tablet = case.device("tablet");
        let revoked = Chain::verify(&chain.entries()[..3]).unwrap();
        let add = other.add(&account, tablet.device("tablet"), time);
        other.append(&complete(add, &tablet)).unwrap();
        let fork = Fork {
            from: 3,
            other: revoked,
        };
        let heal = other.heal(&fork, Signer::Account(&account), time).unwrap();
        other.append(&heal).unwrap();
        case.gives("healed", entries(&other));
        let live = other.devices().map(|(id, _)| hex(&id.0));
        case.gives("healed_devices", live.collect::<Vec<_>>());
    });
}

#[test]
fn key_records() {
    check("key_record.json", |case| {
        let (chain, device) = (case.chain(), case.device("device"));
        let author = Author {
            device: &device,
            chain: &chain,
        };
        let epoch = case.number("epoch");
        let (key, before) = (
            case.room_key("key", epoch),
            case.room_key("key_before", epoch - 1),
        );
        let mut drawn = Vec::new();
        for name in ["ephemeral_0", "ephemeral_1", "ephemeral_password"] {
            drawn.extend(case.bytes::<32>(name));
        }
        drawn.extend(case.bytes::<24>("previous_nonce"));
        let password = DhSecret::from_bytes(&case.bytes("password_dh_secret"));
        let to = [(chain.member(), chain.projection())];
        let rotation = Rotation {
            key: &key,
            before: Some(&before),
            history: true,
            reason: Reason::Readers,
            as_of: Place { epoch: 7, seq: 42 },
            to: &to,
            password: Some((CredentialId(case.bytes("credential")), password.public())),
        };
        let mut rng = Given(drawn);
        let record = KeyRecord::seal(&mut rng, author, &rotation).unwrap();
        let verified = record.verify(&chain).unwrap();
        for reader in [device.reader(), case.recovery().reader()] {
            assert_eq!(verified.open(&reader).unwrap().bytes(), key.bytes());
        }
        assert_eq!(verified.previous(&key).unwrap().bytes(), before.bytes());
        case.gives("chain", entries(&chain));
        let readers = chain.projection().readers;
        let readers = readers.iter().map(|(id, _)| hex(&id.0));
        case.gives("readers", readers.collect::<Vec<_>>());
        case.gives_hex("password_dh", &password.public().0);
        case.gives_hex("commitment", key.commitment());
        case.gives_hex("key_id", &key.id().0);
        case.gives_hex("key_before_id", &before.id().0);
        case.gives_hex("body", &record.body.0);
        case.gives_hex("signature", &record.signature.0);
        case.gives_hex("record_hash", &record.hash());
        let id = device.id();
        case.gives_hex("admission", &key.admission(chain.member(), id));
        let drawn = [case.bytes::<32>("ephemeral_0"), case.bytes("ephemeral_1")].concat();
        let to = (chain.member(), &chain.projection());
        let gift = Gift::seal(&mut Given(drawn), author, &key, to).unwrap();
        assert_eq!(gift.open(&chain, &device.reader()).unwrap().id(), key.id());
        case.gives_hex("gift_body", &gift.body.0);
        case.gives_hex("gift_signature", &gift.signature.0);
    });
}

#[test]
fn signed_records() {
    check("signed.json", |case| {
        let (chain, device, time) = (case.chain(), case.device("device"), case.time());
        let author = Author {
            device: &device,
            chain: &chain,
        };
        let others = ["reader", "invited"].map(|name| MemberId(case.bytes(name)));
        let created = Created {
            kind: RoomKind::Group,
            cipher: CipherKind::RoomPassword,
            history: HistoryPolicy::All,
            readers: vec![others[0]],
        };
        let chains = Chains::from([(chain.member(), chain.clone())]);
        let first = SignedRecord::create(author, case.origin(), created, time);
        let mut control = Control::verify(case.origin(), &[first], &chains).unwrap();
        let key = case.room_key("key", 1);
        for step in [
            Step::Invited(others[1]),
            Step::Role(others[0], Role::Moderator),
            Step::Key(KeyStep {
                epoch: 1,
                key: key.id(),
                record: Fixed(case.bytes("record_hash")),
                without: vec![others[1]],
            }),
            Step::Left(Some(others[0])),
        ] {
            let record = control.sign(author, &step, time);
            control.append(&record, &chains).unwrap();
        }
        let records = control.records().iter();
        let records =
            records.map(|it| json!({ "body": hex(&it.body.0), "signature": hex(&it.signature.0) }));
        case.gives("records", records.collect::<Vec<_>>());
        case.gives_hex("head", &control.head().hash);
        let readers = control.readers().map(|(member, _)| hex(&member.0));
        case.gives("readers", readers.collect::<Vec<_>>());
    });
}

#[test]
fn messages() {
    check("message.json", |case| {
        let (chain, device) = (case.chain(), case.device("device"));
        let author = Author {
            device: &device,
            chain: &chain,
        };
        let key = case.room_key("key", case.number("epoch"));
        let target = case.0.contains_key("target").then(|| MessageId {
            member: MemberId(case.bytes("target")),
            session: SessionId(case.number("target_session")),
            txn: case.number("target_txn"),
        });
        let blobs = case.0["blobs"].as_array().unwrap().iter();
        let blobs = blobs.map(|blob| Opaque(unhex(blob.as_str().unwrap()).into()));
        let blobs: Vec<Opaque> = blobs.collect();
        let context = Context {
            origin: case.origin(),
            member: chain.member(),
            device: device.id(),
            session: SessionId(case.number("session")),
            txn: case.number("txn"),
            kind: case.number("kind").try_into().unwrap(),
            target,
            blobs: &blobs,
        };
        let control = chat_seal::Head {
            counter: case.number("control_counter"),
            hash: case.bytes("control_head"),
        };
        let content = Content {
            control: control.seen(),
            nick: case.text("nick"),
            content: case.text("content").as_bytes(),
        };
        let mut rng = Given(case.bytes::<24>("nonce").to_vec());
        let sealed = seal(&mut rng, &key, author, &context, &content).unwrap();
        let mut keys = RoomKeys::new(case.origin());
        keys.keep(
            case.room_key("key", case.number("epoch")),
            &named(&key, author),
        )
        .unwrap();
        let opened = open(&keys, &chain, &context, &sealed, 1).unwrap();
        assert_eq!(*opened.content, case.text("content").as_bytes());
        case.gives("chain", entries(&chain));
        case.gives_hex("key_id", &sealed.key.0);
        case.gives_hex("data", &sealed.data);
    });
}

/// A room whose signed records name this key, which is its first one.
fn named(key: &RoomKey, author: Author<'_>) -> Control {
    let created = Created {
        kind: RoomKind::Group,
        cipher: CipherKind::RoomPassword,
        history: HistoryPolicy::All,
        readers: vec![],
    };
    let chains = Chains::from([(author.member(), author.chain.clone())]);
    let first = SignedRecord::create(author, key.origin(), created, Wall(0));
    let mut control = Control::verify(key.origin(), &[first], &chains).unwrap();
    let step = Step::Key(KeyStep {
        epoch: key.epoch(),
        key: key.id(),
        record: Fixed([0; 32]),
        without: vec![],
    });
    let record = control.sign(author, &step, Wall(0));
    control.append(&record, &chains).unwrap();
    control
}

#[test]
fn mailboxes() {
    check("mailbox.json", |case| {
        let secret = LinkSecret::from_bytes(&case.bytes("secret"));
        let (chain, account, phone) = (case.chain(), case.account(), case.device("phone"));
        case.gives("letters", secret.letters().as_str());
        case.gives_hex("mailbox", &secret.mailbox());
        let request = Request::new(&secret, &phone.device("phone"));
        case.gives_hex("request_device", &request.device.0);
        case.gives_hex("request_mac", &request.mac.0);
        let device = request.open(&secret).unwrap();
        let add = chain.add(&account, device, case.time());
        let pins = [Pin::of(&chain, true)];
        let mut rng = Given(case.bytes::<32>("ephemeral").to_vec());
        let given = Some(&account);
        let answer = Answer::new(&mut rng, &secret, &request, &chain, &add, &pins, given).unwrap();
        case.gives_hex("answer_enc", &answer.enc.0);
        case.gives_hex("answer_sealed", &answer.sealed.0);
        case.gives_hex("answer_mac", &answer.mac.0);
        let linked = answer.open(&secret, &request, &phone).unwrap();
        case.gives("chain", entries(&linked.chain));
    });
}

#[test]
fn safety_numbers() {
    check("safety.json", |case| {
        let chain = case.chain();
        let account = AccountKey::from_seed(&case.bytes("peer_account_seed"));
        let recovery = RecoveryKey::from_seed(&case.bytes("peer_recovery_seed"));
        let device = case.device("peer");
        let peer = begin(&account, &recovery, &device, "laptop", case.time()).unwrap();
        case.gives("chain", entries(&chain));
        case.gives("peer_chain", entries(&peer));
        case.gives("number", SafetyNumber::of(&chain, &peer).to_string());
    });
}

/// A generator that gives exactly these bytes.
struct Given(Vec<u8>);

impl Drop for Given {
    fn drop(&mut self) {
        assert!(
            self.0.is_empty() || std::thread::panicking(),
            "bytes are left over"
        );
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
