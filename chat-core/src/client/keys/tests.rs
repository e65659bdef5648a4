//! The keys alone.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::{
    cipher::{Key, OpenError},
    client::command::{Create, RoomKey},
    id::{CredentialId, KeyId, MemberId, RequestHash, RoomOrigin, SessionId},
    password::{Password, ServerLogin, ServerSecret},
    roles::Role,
    time::Wall,
    wire::{
        client::RoomRef,
        record::{
            HistoryPolicy, Message, PasswordChange, PasswordRecord, PresenceMode, RoomKind,
            Standing, WrappedKey,
        },
        tagged::Unknown,
    },
};

const ROOM: RoomId = RoomId([5; 16]);
const ME: MemberId = MemberId([1; 16]);
const TICKET: Ticket = Ticket(1);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([7; 32])
}

fn keys() -> Keys {
    Keys::new(Stretch::cheap())
}

fn key(byte: u8) -> Key {
    Key([byte; 32])
}

fn id(byte: u8) -> KeyId {
    KeyId([byte; 16])
}

fn view(cipher: CipherKind, key: Option<KeyId>) -> RoomView {
    RoomView {
        room: ROOM,
        kind: RoomKind::Group,
        origin: RoomOrigin([1; 16]),
        place: Place { epoch: 1, seq: 10 },
        standing: Standing::Member,
        since: 1,
        role: Role::Member,
        members: 2,
        said: 0,
        cipher,
        history: HistoryPolicy::All,
        presence: PresenceMode::Full,
        topic: String::new(),
        number: None,
        name: None,
        peer: None,
        key,
        credential: None,
        keys: Vec::new(),
        peer_standing: None,
    }
}

/// A room with these keys, oldest first; the last is in force.
fn inside(cipher: CipherKind, ring: &[u8]) -> Keys {
    let mut keys = keys();
    let mut unlocked = Ring::default();
    for byte in ring {
        unlocked.add(id(*byte), key(*byte));
    }
    let announced = ring.last().map(|byte| id(*byte));
    keys.enter_with(&view(cipher, announced), Unlocked(unlocked))
        .expect("it is new");
    keys
}

fn author(txn: u64) -> Author {
    Author {
        member: ME,
        session: SessionId(3),
        txn,
    }
}

fn seal(keys: &Keys, text: &str) -> Result<Content, CommandError> {
    keys.seal(&mut rng(), ROOM, author(4), false, text)
}

fn record(txn: u64, content: Content) -> Record {
    let body = RecordBody::Message(Message { content });
    Record {
        member: ME,
        session: SessionId(3),
        txn,
        hash: RequestHash(0),
        ..Record::by_server(11, Wall(0), body)
    }
}

/// The record of a change of the password to a key.
fn changed(seq: u64, to: u8) -> Record {
    let wrapped = WrappedKey {
        id: id(to),
        wrapped: vec![0; 72].into(),
    };
    let password = PasswordRecord {
        credential: CredentialId([to; 16]),
        upload: vec![0; 192].into(),
        key: wrapped,
    };
    let earlier = Vec::new();
    let change = PasswordChange { password, earlier };
    Record::by_server(seq, Wall(0), RecordBody::Password(change))
}

#[test]
fn what_is_sealed_is_bound_to_its_name() {
    let keys = inside(CipherKind::RoomPassword, &[1]);
    let content = seal(&keys, "secret").expect("there is a key");
    let record = record(4, content);
    assert_eq!(keys.open(ROOM, &record), Some(Ok("secret".to_owned())));
    let altered = Some(Err(OpenError::Altered));
    for moved in [
        Record {
            txn: 5,
            ..record.clone()
        },
        Record {
            session: SessionId(4),
            ..record.clone()
        },
        Record {
            member: MemberId([2; 16]),
            ..record.clone()
        },
    ] {
        assert_eq!(keys.open(ROOM, &moved), altered);
    }
    let mut elsewhere = inside(CipherKind::RoomPassword, &[1]);
    let begun_anew = RoomView {
        origin: RoomOrigin([2; 16]),
        ..view(CipherKind::RoomPassword, Some(id(1)))
    };
    elsewhere.enter(&begun_anew).expect("the same cipher");
    assert_eq!(elsewhere.open(ROOM, &record), altered);
}

#[test]
fn nothing_is_sealed_under_a_key_that_was_replaced_whoever_names_it() {
    let mut keys = inside(CipherKind::RoomPassword, &[1, 2]);
    let kept = keys.to_bytes(ROOM).expect("there are keys");
    assert!(seal(&keys, "x").is_ok());
    keys.record(ROOM, 1, &changed(11, 1));
    assert_eq!(seal(&keys, "x"), Err(CommandError::KeyRolledBack));
    // In another life.
    let mut next = self::keys();
    assert!(!next.restore(ROOM, &kept), "it is in no room");
    next.enter(&view(CipherKind::RoomPassword, Some(id(1))))
        .expect("it is new");
    assert_eq!(seal(&next, "x"), Err(CommandError::KeyRolledBack));
    next.leave(ROOM);
    // A room that was encrypted is not spoken in in the clear.
    for cipher in [CipherKind::None, CipherKind::Caesar] {
        let mut next = self::keys();
        next.restore(ROOM, &kept);
        next.enter(&view(cipher, None)).expect("it is new");
        let announced = cipher;
        assert_eq!(seal(&next, "x"), Err(CommandError::NotSealed { announced }));
    }
}

#[test]
fn a_word_that_is_older_than_what_is_known_changes_nothing() {
    let mut keys = inside(CipherKind::RoomPassword, &[1, 2]);
    keys.record(ROOM, 1, &changed(9, 1));
    assert!(seal(&keys, "x").is_ok(), "the view was ahead");
    let older = RoomView {
        place: Place { epoch: 1, seq: 9 },
        ..view(CipherKind::RoomPassword, Some(id(1)))
    };
    keys.enter(&older).expect("the same cipher");
    assert!(seal(&keys, "x").is_ok());
    let of_another_life = RoomView {
        place: Place { epoch: 2, seq: 1 },
        ..older
    };
    keys.enter(&of_another_life).expect("the same cipher");
    assert_eq!(seal(&keys, "x"), Err(CommandError::KeyRolledBack));
}

#[test]
fn a_room_that_was_sealed_stays_so() {
    for was in [
        CipherKind::StaticKey,
        CipherKind::RoomPassword,
        CipherKind::Other(9),
    ] {
        for is in [CipherKind::None, CipherKind::Caesar] {
            let mut keys = inside(was, &[1]);
            assert!(keys.enter(&view(is, None)).is_err());
            assert!(
                keys.enter_with(&view(is, None), Unlocked::default())
                    .is_err()
            );
        }
    }
    let mut keys = inside(CipherKind::None, &[]);
    assert!(keys.enter(&view(CipherKind::Caesar, None)).is_ok());
}

#[test]
fn a_cipher_or_a_content_of_a_later_version_is_told_and_not_guessed_at() {
    let keys = inside(CipherKind::Other(9), &[1]);
    let announced = CipherKind::Other(9);
    assert_eq!(
        seal(&keys, "x"),
        Err(CommandError::KeyMissing { announced })
    );
    assert_eq!(
        keys.open(ROOM, &record(4, Content::plain("x"))),
        Some(Err(OpenError::WrongForm))
    );
    let later = Content::Unknown(Unknown {
        kind: 9,
        body: bytes::Bytes::from_static(b"?"),
    });
    for cipher in [CipherKind::None, CipherKind::RoomPassword] {
        let keys = inside(cipher, &[1]);
        let told = keys.open(ROOM, &record(4, later.clone()));
        assert_eq!(told, Some(Err(OpenError::UnknownForm)));
    }
}

#[test]
fn a_group_has_the_cipher_that_was_asked_for() {
    let keys = keys();
    let asked = |cipher| {
        Command::Create(Create {
            cipher,
            ..Create::default()
        })
    };
    let plain = view(CipherKind::None, None);
    assert!(
        keys.created(TICKET, &asked(RoomCipher::None), &plain)
            .is_ok()
    );
    for cipher in [
        RoomCipher::Key(RoomKey::Static(key(1))),
        RoomCipher::RoomPassword,
    ] {
        assert!(keys.created(TICKET, &asked(cipher), &plain).is_err());
    }
}

fn join(password: &str, unsealed_too: bool) -> Command {
    Command::Join {
        room: RoomRef::Id(ROOM),
        password: Some(Password::new(password)),
        key: None,
        unsealed_too,
    }
}

#[test]
fn a_password_for_a_room_that_is_not_sealed_is_a_question() {
    let mut keys = keys();
    let plain = view(CipherKind::None, None);
    let not_sealed = CommandError::NotSealed {
        announced: CipherKind::None,
    };
    let asked = keys.joined(TICKET, &join("x", false), &plain);
    assert_eq!(asked.err(), Some(not_sealed.clone()));
    // In a room of before nothing is said until there is an answer.
    keys.enter(&plain).expect("it is new");
    assert!(seal(&keys, "x").is_ok());
    assert!(keys.joined(TICKET, &join("x", false), &plain).is_err());
    assert_eq!(seal(&keys, "x"), Err(not_sealed));
    assert!(keys.joined(TICKET, &join("x", true), &plain).is_ok());
    assert!(seal(&keys, "x").is_ok());
}

/// A server's half of one password.
struct Safe {
    secret: ServerSecret,
    login: Option<ServerLogin>,
}

impl Safe {
    fn new() -> Self {
        Self {
            secret: ServerSecret::generate(&mut rng()),
            login: None,
        }
    }

    /// A whole registration: the proposal.
    fn register(&self, keys: &mut Keys, command: &Command, credential: u8) -> Op {
        let op = keys
            .next(&mut rng(), TICKET, command)
            .expect("it can begin");
        let Op::Register(register) = op else {
            panic!("not a register: {op:?}")
        };
        let credential = CredentialId([credential; 16]);
        let response = self
            .secret
            .register(credential, &register.request)
            .expect("well formed");
        let answer = Registered {
            credential,
            response,
        };
        let work = keys
            .registered(&mut rng(), TICKET, command, answer)
            .expect("it was asked");
        let effect = keys.worked(work.run()).expect("well formed");
        assert!(matches!(effect, Some(Effect::GoOn(TICKET))));
        keys.next(&mut rng(), TICKET, command).expect("it goes on")
    }

    fn login(&mut self, keys: &mut Keys, command: &Command, password: &PasswordRecord) -> Work {
        let op = keys
            .next(&mut rng(), TICKET, command)
            .expect("it can begin");
        let Op::Login(login) = op else {
            panic!("not a login: {op:?}")
        };
        let credential = password.credential;
        let (state, ke2) = self
            .secret
            .login(&mut rng(), credential, &password.upload, &login.ke1)
            .expect("well formed");
        self.login = Some(state);
        let challenge = Challenge { credential, ke2 };
        keys.challenged(TICKET, command, challenge)
            .expect("it was asked")
    }
}

fn protected() -> Command {
    Command::Create(Create {
        cipher: RoomCipher::RoomPassword,
        password: Some(Password::new("swordfish")),
        ..Create::default()
    })
}

#[test]
fn the_password_opens_the_room_and_no_other_does() {
    let mut safe = Safe::new();
    let mut owner = keys();
    let Op::Create(create) = safe.register(&mut owner, &protected(), 1) else {
        panic!("not a create")
    };
    let password = create.password.expect("it has one");
    let sealed = RoomView {
        keys: vec![password.key.clone()],
        ..view(CipherKind::RoomPassword, Some(password.key.id))
    };
    let made = owner
        .created(TICKET, &protected(), &sealed)
        .expect("as asked");
    owner.enter_with(&sealed, made).expect("it is new");
    let content = seal(&owner, "psst").expect("it has the key");

    let mut guest = keys();
    let command = join("swordfish", false);
    let work = safe.login(&mut guest, &command, &password);
    assert!(matches!(
        guest.worked(work.run()),
        Ok(Some(Effect::GoOn(TICKET)))
    ));
    let op = guest
        .next(&mut rng(), TICKET, &command)
        .expect("it goes on");
    let Op::Join(asked) = op else {
        panic!("not a join: {op:?}")
    };
    let proof = asked.proof.expect("there is one");
    assert_eq!(safe.login.take().expect("asked").finish(&proof.ke3), Ok(()));
    let unlocked = guest
        .joined(TICKET, &command, &sealed)
        .expect("it can read");
    guest.enter_with(&sealed, unlocked).expect("it is new");
    assert_eq!(
        guest.open(ROOM, &record(4, content)),
        Some(Ok("psst".to_owned()))
    );

    let mut stranger = keys();
    let command = join("codfish", false);
    let work = safe.login(&mut stranger, &command, &password);
    assert!(matches!(
        stranger.worked(work.run()),
        Ok(Some(Effect::WrongPassword(TICKET)))
    ));
    let op = stranger
        .next(&mut rng(), TICKET, &command)
        .expect("the server is told");
    let Op::Join(asked) = op else {
        panic!("not a join: {op:?}")
    };
    assert_eq!(asked.proof.expect("there is one").ke3, [0; 64].as_slice());
}

#[test]
fn work_that_nobody_waits_for_any_more_is_ignored() {
    let mut safe = Safe::new();
    let mut owner = keys();
    let Op::Create(create) = safe.register(&mut owner, &protected(), 1) else {
        panic!("not a create")
    };
    let password = create.password.expect("it has one");
    let mut guest = keys();
    let command = join("swordfish", false);
    let late = safe.login(&mut guest, &command, &password);
    guest.restart(TICKET);
    let work = safe.login(&mut guest, &command, &password);
    assert!(matches!(guest.worked(late.run()), Ok(None)));
    assert!(matches!(
        guest.worked(work.run()),
        Ok(Some(Effect::GoOn(TICKET)))
    ));
    let again = safe.login(&mut keys(), &command, &password);
    guest.finished(TICKET);
    assert!(matches!(guest.worked(again.run()), Ok(None)));
}

#[test]
fn a_change_of_the_password_that_was_refused_leaves_no_key() {
    let safe = Safe::new();
    let mut keys = inside(CipherKind::RoomPassword, &[1]);
    let mut announced = view(CipherKind::RoomPassword, Some(id(1)));
    announced.keys = vec![WrappedKey {
        id: id(1),
        wrapped: vec![0; 72].into(),
    }];
    keys.enter(&announced).expect("the same cipher");
    let command = Command::SetPassword {
        room: ROOM,
        password: Password::new("new"),
    };
    let before = keys.to_bytes(ROOM);
    let op = safe.register(&mut keys, &command, 2);
    let Op::Password(change) = op else {
        panic!("not a password: {op:?}")
    };
    assert_eq!((change.expected, change.earlier.len()), (id(1), 1));
    assert_ne!(
        keys.to_bytes(ROOM),
        before,
        "messages under it may come before the answer"
    );
    keys.abandon(TICKET, ROOM);
    assert_eq!(keys.to_bytes(ROOM), before);
    assert!(seal(&keys, "x").is_ok());
}
