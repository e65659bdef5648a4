//! Rooms with passwords: made, joined, changed; with the server's half of OPAQUE and cheap
//! stretching.

use chat_core::{
    cipher::OpenError,
    client::{
        ClientEvent, ClientInput, Command, CommandError, Create, Outcome, RoomCipher, Ticket,
    },
    id::{CredentialId, KeyId},
    password::{LoginError, Password, ServerLogin, ServerSecret},
    wire::{
        CloseReason, ErrorCode, Form, Record, ServerMessage,
        client::{Join, Op, Request, RoomRef},
        record::{CipherKind, Message, PasswordChange, PasswordRecord, RecordBody, WrappedKey},
        server::{Answer, Challenge, Records, Registered, RoomView},
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::script::*;

/// A server's half of one room's password.
struct Safe {
    secret: ServerSecret,
    rng: ChaCha20Rng,
    registered: u8,
    password: Option<PasswordRecord>,
    earlier: Vec<WrappedKey>,
    login: Option<ServerLogin>,
}

impl Safe {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::from_seed([42; 32]);
        let secret = ServerSecret::generate(&mut rng);
        Self {
            secret,
            rng,
            registered: 0,
            password: None,
            earlier: Vec::new(),
            login: None,
        }
    }

    fn register(&mut self, script: &mut Script) {
        let request = script.request();
        let Op::Register(register) = &request.op else {
            panic!("not a register: {request:?}")
        };
        self.registered += 1;
        let credential = CredentialId([self.registered; 16]);
        let response = self
            .secret
            .register(credential, &register.request)
            .expect("well formed");
        script.ok(
            request.id,
            Answer::Register(Registered {
                credential,
                response,
            }),
        );
    }

    fn login(&mut self, script: &mut Script) {
        let request = script.request();
        let Op::Login(login) = &request.op else {
            panic!("not a login: {request:?}")
        };
        let password = self.password.as_ref().expect("there is a password");
        let credential = password.credential;
        let (login, ke2) = self
            .secret
            .login(&mut self.rng, credential, &password.upload, &login.ke1)
            .expect("well formed");
        self.login = Some(login);
        script.ok(request.id, Answer::Login(Challenge { credential, ke2 }));
    }

    fn join(&mut self, script: &mut Script) {
        let request = script.request();
        let Op::Join(join) = &request.op else {
            panic!("not a join: {request:?}")
        };
        let proof = join.proof.as_ref().expect("a proof");
        let checked: Result<(), LoginError> = self
            .login
            .take()
            .expect("a login went before")
            .finish(&proof.ke3);
        assert_eq!(checked, Ok(()));
        script.ok(request.id, Answer::Join(self.view(10)));
    }

    fn keys(&self) -> Vec<WrappedKey> {
        let newest = self.password.iter().map(|password| password.key.clone());
        self.earlier.iter().cloned().chain(newest).collect()
    }

    fn view(&self, seq: u64) -> RoomView {
        RoomView {
            cipher: CipherKind::RoomPassword,
            key: self.password.as_ref().map(|password| password.key.id),
            credential: self.password.as_ref().map(|password| password.credential),
            keys: self.keys(),
            ..view(ROOM, seq)
        }
    }

    /// The client makes the room.
    fn create(&mut self, script: &mut Script, password: &str) {
        script.command(creation(password));
        self.register(script);
        script.run_work();
        let request = script.request();
        let Op::Create(create) = &request.op else {
            panic!("not a create: {request:?}")
        };
        assert_eq!(
            (create.cipher, create.key),
            (CipherKind::RoomPassword, None)
        );
        self.password.clone_from(&create.password);
        script.ok(request.id, Answer::Create(self.view(10)));
        script.events.clear();
    }

    /// The client joins the room.
    fn enter(&mut self, script: &mut Script, password: &str) {
        script.command(joining(password));
        self.login(script);
        script.run_work();
        self.join(script);
    }

    /// The client changes the password, which becomes record `seq`.
    fn change(&mut self, script: &mut Script, password: &str, seq: u64) -> Record {
        script.command(Command::SetPassword {
            room: ROOM,
            password: Password::new(password),
        });
        self.register(script);
        script.run_work();
        let request = script.request();
        let Op::Password(change) = &request.op else {
            panic!("not a password: {request:?}")
        };
        assert_eq!(
            Some(change.expected),
            self.password.as_ref().map(|password| password.key.id)
        );
        self.password = Some(change.password.clone());
        self.earlier.clone_from(&change.earlier);
        script.ok(request.id, Answer::Password(committed(seq)));
        let (password, earlier) = (change.password.clone(), change.earlier.clone());
        record(
            seq,
            script.me(),
            RecordBody::Password(PasswordChange { password, earlier }),
        )
    }
}

fn creation(password: &str) -> Command {
    let password = Some(Password::new(password));
    Command::Create(Create {
        cipher: RoomCipher::RoomPassword,
        password,
        ..Create::default()
    })
}

fn joining(password: &str) -> Command {
    Command::Join {
        room: RoomRef::Number(0),
        password: Some(Password::new(password)),
        key: None,
        unsealed_too: false,
    }
}

fn member(byte: u8) -> Script {
    let mut script = Script::with(Form::Postcard, Framing::Stream, [byte; 32]);
    script.enter(&[]);
    script
}

/// The record that a client's next message becomes.
fn say(script: &mut Script, text: &str, seq: u64) -> Record {
    script.command(send(text));
    let request = script.request();
    let Op::Send(sent) = &request.op else {
        panic!("not a send: {request:?}")
    };
    let body = RecordBody::Message(Message {
        content: sent.content.clone(),
    });
    script.ok(request.id, Answer::Send(committed(seq)));
    Record {
        session: script.client.session(),
        txn: request.txn,
        ..record(seq, script.me(), body)
    }
}

/// The text of a message, as a client opens it.
fn hear(script: &mut Script, record: Record) -> Result<String, OpenError> {
    script.events.clear();
    script.say(ServerMessage::Records(Records {
        room: ROOM,
        epoch: EPOCH,
        records: vec![record],
    }));
    match script.event() {
        ClientEvent::Record {
            text: Some(text), ..
        } => text,
        other => panic!("nothing was said: {other:?}"),
    }
}

#[test]
fn whoever_knows_the_password_reads_what_is_said() {
    let mut safe = Safe::new();
    let (mut owner, mut guest) = (member(1), member(2));
    safe.create(&mut owner, "swordfish");
    safe.enter(&mut guest, "swordfish");
    assert!(matches!(guest.event(), ClientEvent::Entered { .. }));
    assert_eq!(guest.finished().1, Ok(Outcome::Room(safe.view(10))));
    let record = say(&mut owner, "psst", 11);
    assert_eq!(hear(&mut guest, record), Ok("psst".to_owned()));
    let record = say(&mut guest, "what?", 12);
    hear(
        &mut owner,
        Record {
            seq: 11,
            ..record.clone()
        },
    )
    .expect("the number of a record is not what it is bound to");
}

#[test]
fn a_join_is_numbered_when_it_is_sent_and_not_as_its_password_is_proved() {
    let mut safe = Safe::new();
    safe.create(&mut member(1), "swordfish");
    let mut guest = member(2);
    guest.command(joining("swordfish"));
    let (nick, label) = ("Berl".to_owned(), String::new());
    guest.command(Command::Nick { nick, label });
    safe.login(&mut guest);
    let named = guest.request();
    guest.run_work();
    let join = guest.request();
    assert!(matches!((&named.op, &join.op), (Op::Nick(_), Op::Join(_))));
    assert_eq!(join.txn, named.txn + 1);
}

/// A guest who has tried a wrong password, and the `join` that tells the server so.
fn mistaken(safe: &mut Safe) -> (Script, Ticket, Request) {
    let (mut owner, mut guest) = (member(1), member(2));
    safe.create(&mut owner, "swordfish");
    let ticket = guest.command(joining("codfish"));
    safe.login(&mut guest);
    guest.run_work();
    assert!(guest.events.is_empty(), "the server is told first");
    let request = guest.request();
    (guest, ticket, request)
}

#[test]
fn a_wrong_password_is_found_by_the_client_and_told_to_the_server() {
    let mut safe = Safe::new();
    let (mut guest, ticket, request) = mistaken(&mut safe);
    let Op::Join(Join {
        proof: Some(proof), ..
    }) = &request.op
    else {
        panic!("not a join: {request:?}")
    };
    assert_eq!(proof.ke3, [0; 64].as_slice());
    let checked = safe.login.take().expect("asked").finish(&proof.ke3);
    assert_eq!(checked, Err(LoginError::WrongPassword));
    guest.refuse(request.id, ErrorCode::WrongPassword, None);
    assert_eq!(guest.finished(), (ticket, Err(CommandError::WrongPassword)));
    assert!(guest.sent.is_empty() && guest.events.is_empty());
    safe.enter(&mut guest, "swordfish");
    assert!(
        matches!(guest.event(), ClientEvent::Entered { .. }),
        "the next try is free to succeed"
    );
}

#[test]
fn a_wrong_password_is_wrong_whatever_the_server_makes_of_it() {
    let wrong = Err(CommandError::WrongPassword);
    for code in [
        ErrorCode::Banned,
        ErrorCode::RateLimited,
        ErrorCode::Unavailable,
        ErrorCode::UnknownRoom,
    ] {
        let (mut guest, ticket, request) = mistaken(&mut Safe::new());
        guest.refuse(request.id, code, Some(60_000));
        assert_eq!(guest.finished(), (ticket, wrong.clone()), "{code}");
        assert!(guest.sent.is_empty());
    }
    // A server that takes the guest in all the same: the guest, who could not read there, leaves.
    let mut safe = Safe::new();
    let (mut guest, ticket, request) = mistaken(&mut safe);
    guest.ok(request.id, Answer::Join(safe.view(10)));
    let leave = guest.request();
    assert!(matches!(leave.op, Op::Leave(_)), "{leave:?}");
    guest.ok(leave.id, Answer::Leave(committed(11)));
    assert_eq!(guest.finished(), (ticket, wrong));
}

#[test]
fn a_wrong_password_that_became_right_meanwhile_is_right() {
    let mut safe = Safe::new();
    let (mut owner, mut other) = (member(1), member(3));
    safe.create(&mut owner, "swordfish");
    safe.enter(&mut other, "swordfish");
    let mut guest = member(2);
    guest.command(joining("codfish"));
    safe.login(&mut guest);
    guest.run_work();
    let id = guest.request().id;
    safe.change(&mut owner, "codfish", 11);
    guest.refuse(id, ErrorCode::StaleProof, None);
    safe.login(&mut guest);
    guest.run_work();
    safe.join(&mut guest);
    assert!(matches!(guest.event(), ClientEvent::Entered { .. }));
}

#[test]
fn a_wrong_password_leaves_nothing_in_doubt() {
    let mut safe = Safe::new();
    let (mut guest, ticket, _) = mistaken(&mut safe);
    guest.closing(CloseReason::Stopped, None);
    guest.input(ClientInput::Disconnected);
    let ends: Vec<_> = guest
        .events
        .iter()
        .filter_map(|event| match event {
            ClientEvent::Finished { ticket, outcome } => Some((*ticket, outcome.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(ticket, Err(CommandError::WrongPassword))]);
}

#[test]
fn a_room_with_a_password_needs_one() {
    let mut guest = member(2);
    guest.command(Command::Join {
        room: RoomRef::Number(0),
        password: None,
        key: None,
        unsealed_too: false,
    });
    let id = guest.request().id;
    guest.refuse(id, ErrorCode::PasswordRequired, None);
    assert!(
        matches!(guest.failed(), CommandError::Refused(failure) if failure.code == ErrorCode::PasswordRequired)
    );
}

#[test]
fn out_of_guesses_is_told_and_not_waited_for() {
    let mut guest = member(2);
    guest.command(joining("x"));
    let id = guest.request().id;
    guest.refuse(id, ErrorCode::TooManyGuesses, Some(30_000));
    assert!(
        matches!(guest.failed(), CommandError::Refused(failure) if failure.retry_after == Some(30_000))
    );
}

#[test]
fn a_stale_proof_is_made_anew_three_times() {
    let mut safe = Safe::new();
    let (mut owner, mut guest) = (member(1), member(2));
    safe.create(&mut owner, "swordfish");
    guest.command(joining("swordfish"));
    for _ in 0..3 {
        safe.login(&mut guest);
        guest.run_work();
        let id = guest.request().id;
        guest.refuse(id, ErrorCode::StaleProof, None);
    }
    assert!(guest.events.is_empty());
    safe.login(&mut guest);
    guest.run_work();
    let id = guest.request().id;
    guest.refuse(id, ErrorCode::StaleProof, None);
    assert!(
        matches!(guest.failed(), CommandError::Refused(failure) if failure.code == ErrorCode::StaleProof)
    );
    assert!(guest.sent.is_empty());
}

#[test]
fn after_a_change_of_password_only_those_who_know_the_new_one_read_on() {
    let mut safe = Safe::new();
    let (mut owner, mut guest) = (member(1), member(2));
    safe.create(&mut owner, "old");
    safe.enter(&mut guest, "old");
    let early = say(&mut owner, "early", 11);
    hear(&mut guest, early.clone()).expect("the key is known");
    guest.events.clear();

    let change = safe.change(&mut owner, "new", 12);
    let key = safe.password.as_ref().expect("changed").key.id;
    guest.say(ServerMessage::Records(Records {
        room: ROOM,
        epoch: EPOCH,
        records: vec![change],
    }));
    let late = say(&mut owner, "late", 13);
    assert_eq!(hear(&mut guest, late), Err(OpenError::NoKey(key)));
    guest.command(send("x"));
    assert_eq!(
        guest.failed(),
        CommandError::KeyMissing {
            announced: CipherKind::RoomPassword
        }
    );

    safe.enter(&mut guest, "new");
    assert!(matches!(guest.finished().1, Ok(Outcome::Room(_))));
    let later = say(&mut owner, "later", 14);
    assert_eq!(hear(&mut guest, later.clone()), Ok("later".to_owned()));

    // A member who comes now reads what was said before, too.
    let mut third = member(3);
    safe.enter(&mut third, "new");
    assert_eq!(
        hear(&mut third, Record { seq: 11, ..early }),
        Ok("early".to_owned())
    );
    assert_eq!(
        hear(&mut third, Record { seq: 12, ..later }),
        Ok("later".to_owned())
    );
}

#[test]
fn who_changes_the_password_reads_on_whichever_comes_first() {
    let mut safe = Safe::new();
    let mut owner = member(1);
    safe.create(&mut owner, "old");
    owner.command(Command::SetPassword {
        room: ROOM,
        password: Password::new("new"),
    });
    safe.register(&mut owner);
    owner.run_work();
    let request = owner.request();
    let Op::Password(change) = &request.op else {
        panic!("not a password")
    };
    let (password, earlier) = (change.password.clone(), change.earlier.clone());
    let change = record(
        11,
        owner.me(),
        RecordBody::Password(PasswordChange { password, earlier }),
    );
    owner.records(vec![change]);
    owner.command(send("waits for the answer"));
    assert!(owner.sent.is_empty());
    owner.ok(request.id, Answer::Password(committed(11)));
    let Op::Send(sent) = owner.request().op else {
        panic!("not a send")
    };
    let chat_core::wire::record::Content::Sealed(sealed) = sent.content else {
        panic!("not sealed")
    };
    assert_eq!(Some(sealed.key), owner_key(&request.op));
}

fn owner_key(op: &Op) -> Option<KeyId> {
    match op {
        Op::Password(change) => Some(change.password.key.id),
        _ => None,
    }
}

#[test]
fn at_most_sixteen_earlier_keys_are_carried_on_the_newest_of_them() {
    let mut safe = Safe::new();
    let mut owner = member(1);
    safe.create(&mut owner, "0");
    for n in 1..=20_u64 {
        let before = safe.keys();
        // Registrations have a rate.
        owner.pass(std::time::Duration::from_secs(1));
        owner.sent.clear();
        let change = safe.change(&mut owner, &n.to_string(), 10 + n);
        owner.records(vec![change]);
        let expected: Vec<KeyId> = before
            .iter()
            .rev()
            .take(16)
            .rev()
            .map(|key| key.id)
            .collect();
        assert_eq!(
            safe.earlier.iter().map(|key| key.id).collect::<Vec<_>>(),
            expected
        );
    }
}

#[test]
fn who_lacks_the_key_in_force_cannot_change_the_password() {
    let mut safe = Safe::new();
    let (mut owner, mut other) = (member(1), member(2));
    safe.create(&mut owner, "swordfish");
    other.entered(false, safe.view(10));
    other.events.clear();
    other.command(Command::SetPassword {
        room: ROOM,
        password: Password::new("mine"),
    });
    assert_eq!(
        other.failed(),
        CommandError::KeyMissing {
            announced: CipherKind::RoomPassword
        }
    );
}

#[test]
fn an_exchange_begins_anew_after_a_lost_connection_and_late_work_is_ignored() {
    let mut safe = Safe::new();
    let (mut owner, mut guest) = (member(1), member(2));
    safe.create(&mut owner, "swordfish");
    let ticket = guest.command(joining("swordfish"));
    // Lost while the login is asked; while the work is done; while the join is asked.
    guest.request();
    again(&mut guest);
    safe.login(&mut guest);
    let late = guest.work.pop_front().expect("work").run();
    again(&mut guest);
    guest.input(ClientInput::Done(late));
    safe.login(&mut guest);
    guest.run_work();
    assert!(matches!(guest.request().op, Op::Join(_)));
    again(&mut guest);
    safe.login(&mut guest);
    guest.run_work();
    safe.join(&mut guest);
    guest.event();
    assert_eq!(guest.finished(), (ticket, Ok(Outcome::Room(safe.view(10)))));
}

fn again(script: &mut Script) {
    script.reconnect();
    script.resume(&[]);
    script.events.clear();
}

#[test]
fn a_creation_that_was_sent_is_repeated_and_made_anew_only_if_it_was_not_done() {
    let mut owner = member(1);
    let mut safe = Safe::new();
    owner.command(creation("swordfish"));
    safe.register(&mut owner);
    owner.run_work();
    let before = owner.request();
    again(&mut owner);
    let after = owner.request();
    assert_eq!((&before.op, before.txn), (&after.op, after.txn));
    // The registration died with the connection, and the first try had not arrived.
    owner.refuse(after.id, ErrorCode::StaleProof, None);
    safe.register(&mut owner);
    owner.run_work();
    let anew = owner.request();
    assert!(matches!(&anew.op, Op::Create(create) if create.password.is_some()));
    assert_eq!(anew.txn, before.txn, "a refused number may be used again");
    assert_ne!(anew.op, before.op);
}

/// The repeat of what was in doubt is refused, as by a hub that does not know yet what became of
/// it: what is registered anew.
fn made_anew(safe: &mut Safe, owner: &mut Script) -> Request {
    let repeated = owner.request();
    owner.refuse(repeated.id, ErrorCode::StaleProof, None);
    safe.register(owner);
    owner.run_work();
    owner.request()
}

/// The first try arrived late, by way of a server that was slow: the second one is answered with
/// what came of the first.
#[test]
fn a_group_that_came_of_an_earlier_registration_has_the_key_of_that_one() {
    let mut owner = member(1);
    let mut safe = Safe::new();
    owner.command(creation("swordfish"));
    safe.register(&mut owner);
    owner.run_work();
    let Op::Create(first) = owner.request().op else {
        panic!("not a create")
    };
    again(&mut owner);
    let anew = made_anew(&mut safe, &mut owner);
    safe.password = first.password;
    owner.ok(anew.id, Answer::Create(safe.view(1)));
    assert!(matches!(owner.event(), ClientEvent::Entered { .. }));
    assert!(owner.finished().1.is_ok());
    let record = say(&mut owner, "mine", 2);
    let mut guest = member(2);
    safe.enter(&mut guest, "swordfish");
    assert_eq!(
        hear(&mut guest, Record { seq: 11, ..record }),
        Ok("mine".to_owned())
    );
}

/// The same with a change of the password.
#[test]
fn a_password_that_came_of_an_earlier_registration_is_known() {
    let mut safe = Safe::new();
    let mut owner = member(1);
    safe.create(&mut owner, "old");
    let ticket = owner.command(Command::SetPassword {
        room: ROOM,
        password: Password::new("new"),
    });
    safe.register(&mut owner);
    owner.run_work();
    let Op::Password(first) = owner.request().op else {
        panic!("not a password")
    };
    owner.reconnect();
    owner.resume(&[safe.view(10)]);
    owner.events.clear();
    let anew = made_anew(&mut safe, &mut owner);
    owner.ok(anew.id, Answer::Password(committed(11)));
    assert!(matches!(owner.finished(), (ended, Ok(_)) if ended == ticket));
    safe.password = Some(first.password.clone());
    safe.earlier.clone_from(&first.earlier);
    let (password, earlier) = (first.password, first.earlier);
    owner.records(vec![record(
        11,
        owner.me(),
        RecordBody::Password(PasswordChange { password, earlier }),
    )]);
    let record = say(&mut owner, "mine", 12);
    let mut guest = member(2);
    safe.enter(&mut guest, "new");
    assert_eq!(
        hear(&mut guest, Record { seq: 11, ..record }),
        Ok("mine".to_owned())
    );
}

#[test]
fn one_exchange_goes_on_at_a_time() {
    let mut safe = Safe::new();
    let mut owner = member(1);
    let first = owner.command(creation("a"));
    let second = owner.command(creation("b"));
    assert_eq!(owner.sent.len(), 1);
    safe.register(&mut owner);
    assert_eq!((owner.sent.len(), owner.work.len()), (0, 1));
    owner.run_work();
    assert_eq!(owner.sent.len(), 1, "the first one's `create`");
    let id = owner.request().id;
    owner.refuse(id, ErrorCode::RoomsExhausted, None);
    assert_eq!(owner.finished().0, first);
    safe.register(&mut owner);
    owner.run_work();
    let id = owner.request().id;
    owner.refuse(id, ErrorCode::RoomsExhausted, None);
    let finished: Ticket = owner.finished().0;
    assert_eq!(finished, second);
}

#[test]
fn a_key_that_changed_in_between_is_used_for_what_was_refused_under_the_old_one() {
    let mut safe = Safe::new();
    let mut owner = member(1);
    safe.create(&mut owner, "old");
    owner.command(send("in between"));
    let before = owner.request();
    let change = safe.change(&mut owner, "new", 11);
    owner.records(vec![change]);
    owner.refuse(before.id, ErrorCode::WrongCipher, None);
    let after = owner.request();
    assert_eq!(before.txn, after.txn);
    assert_ne!(before.op, after.op);
    owner.events.clear();
    owner.refuse(after.id, ErrorCode::WrongCipher, None);
    assert!(
        matches!(owner.failed(), CommandError::Refused(failure) if failure.code == ErrorCode::WrongCipher)
    );
}

#[test]
fn a_malformed_answer_of_the_exchange_is_a_fault_of_the_server() {
    let mut guest = member(2);
    let ticket = guest.command(joining("x"));
    let id = guest.request().id;
    let credential = CredentialId([1; 16]);
    guest.ok(
        id,
        Answer::Login(Challenge {
            credential,
            ke2: vec![7; 320].into(),
        }),
    );
    guest.run_work();
    guest.input(ClientInput::Disconnected);
    assert_eq!(guest.finished(), (ticket, Err(CommandError::Ended)));
    assert!(matches!(guest.event(), ClientEvent::Ended(_)));
}

#[test]
fn a_password_that_is_too_long_is_nobodys() {
    let mut owner = member(1);
    owner.command(creation(&"x".repeat(70_000)));
    assert!(matches!(owner.failed(), CommandError::OutsideLimits(_)));
}

/// A record of the server's making that names a key which was replaced: with what it has of it.
fn forged(safe: &Safe, seq: u64) -> Record {
    let mut password = safe.password.clone().expect("there is a password");
    let old = safe.earlier.last().expect("it was changed").clone();
    let earlier = vec![std::mem::replace(&mut password.key, old)];
    let change = PasswordChange { password, earlier };
    record(seq, OTHER, RecordBody::Password(change))
}

fn rolled_back(script: &mut Script) {
    script.events.clear();
    script.command(send("for those who know the new one"));
    assert_eq!(script.failed(), CommandError::KeyRolledBack);
    assert!(script.requests().is_empty(), "nothing is sent");
}

#[test]
fn no_server_has_a_client_speak_under_a_key_that_was_replaced() {
    let mut safe = Safe::new();
    let mut owner = member(1);
    safe.create(&mut owner, "old");
    let change = safe.change(&mut owner, "new", 11);
    owner.records(vec![change]);
    owner.events.clear();
    // By a record; before anything was said under the new key, and after that.
    let mut reader = member(2);
    safe.enter(&mut reader, "new");
    reader.records(vec![forged(&safe, 11)]);
    rolled_back(&mut reader);
    let mut speaker = member(3);
    safe.enter(&mut speaker, "new");
    say(&mut speaker, "under the new one", 11);
    speaker.records(vec![forged(&safe, 11)]);
    rolled_back(&mut speaker);
    let kept = speaker.client.keys(ROOM).expect("it has keys");

    // By a view: of the answer to a join, on coming back, and in the client's next life.
    let new_key = safe.view(10).key;
    let back = |safe: &Safe| {
        let seq = 12;
        let RecordBody::Password(change) = forged(safe, seq).body else {
            unreachable!("it is one")
        };
        let (key, mut keys) = (change.password.key, change.earlier);
        let view = safe.view(seq);
        keys.push(key.clone());
        RoomView {
            key: Some(key.id),
            keys,
            ..view
        }
    };
    assert_ne!(back(&safe).key, new_key);
    owner.command(Command::Join {
        room: RoomRef::Number(0),
        password: None,
        key: None,
        unsealed_too: false,
    });
    let request = owner.request();
    owner.ok(request.id, Answer::Join(back(&safe)));
    assert_eq!(owner.failed(), CommandError::KeyRolledBack);
    for resumed in [true, false] {
        speaker.reconnect();
        let welcome = welcome(speaker.me(), vec![ROOM]);
        speaker.say(ServerMessage::Welcome(welcome));
        speaker.entered(resumed, back(&safe));
        rolled_back(&mut speaker);
    }
    let mut next = Script::in_rooms(&[back(&safe)]);
    assert!(!next.client.restore_keys(ROOM, &kept));
    rolled_back(&mut next);
    let mut next = Script::new();
    assert!(!next.client.restore_keys(ROOM, &kept), "it is in no room");
    next.enter(&[back(&safe)]);
    rolled_back(&mut next);
    // Although the password is given again.
    let mut next = member(4);
    assert!(!next.client.restore_keys(ROOM, &kept));
    next.command(joining("new"));
    safe.login(&mut next);
    next.run_work();
    let request = next.request();
    next.ok(request.id, Answer::Join(back(&safe)));
    let request = next.request();
    assert!(matches!(request.op, Op::Leave(_)), "it does not stay");
    next.ok(request.id, Answer::Leave(committed(13)));
    assert_eq!(next.failed(), CommandError::KeyRolledBack);

    // A new password brings a new key, and all is well.
    let view = RoomView {
        role: chat_core::roles::Role::Owner,
        ..safe.view(12)
    };
    owner.reconnect();
    let welcome = welcome(owner.me(), vec![ROOM]);
    owner.say(ServerMessage::Welcome(welcome));
    owner.entered(false, view);
    owner.records(vec![forged(&safe, 13)]);
    rolled_back(&mut owner);
    safe.password = match forged(&safe, 13).body {
        RecordBody::Password(change) => Some(change.password),
        _ => unreachable!("it is one"),
    };
    let change = safe.change(&mut owner, "newer", 14);
    owner.records(vec![change]);
    owner.events.clear();
    say(&mut owner, "again", 15);
}

/// An answer to a join in which somebody on the way has made a plain room of the encrypted one.
fn plain(safe: &Safe) -> RoomView {
    RoomView {
        cipher: CipherKind::None,
        key: None,
        ..safe.view(10)
    }
}

#[test]
fn who_gave_a_password_is_asked_before_anything_is_said_in_the_clear() {
    let mut safe = Safe::new();
    safe.create(&mut member(1), "swordfish");
    let not_sealed = CommandError::NotSealed {
        announced: CipherKind::None,
    };
    let mut guest = member(2);
    let ask = |safe: &mut Safe, guest: &mut Script, unsealed_too: bool| {
        guest.command(Command::Join {
            room: RoomRef::Number(0),
            password: Some(Password::new("swordfish")),
            key: None,
            unsealed_too,
        });
        safe.login(guest);
        guest.run_work();
        let request = guest.request();
        guest.ok(request.id, Answer::Join(plain(safe)));
    };
    // A command given meanwhile waits for the end of the join, and is in no room.
    ask(&mut safe, &mut guest, false);
    let request = guest.request();
    assert!(matches!(request.op, Op::Leave(_)), "it does not stay");
    guest.ok(request.id, Answer::Leave(committed(11)));
    assert_eq!(guest.failed(), not_sealed);
    guest.command(send("x"));
    assert_eq!(guest.failed(), CommandError::NotInRoom);
    // A person who is content with that.
    ask(&mut safe, &mut guest, true);
    guest.events.clear();
    guest.command(send("y"));
    assert_eq!(text_of(&guest.request()), "y");

    // One is in already, by an earlier life; then it is not said in the clear either before the
    // word is given.
    let mut back = Script::in_rooms(&[plain(&safe)]);
    ask(&mut safe, &mut back, false);
    assert_eq!(back.failed(), not_sealed);
    back.command(send("x"));
    assert_eq!(back.failed(), not_sealed);
    assert!(back.requests().is_empty());
    ask(&mut safe, &mut back, true);
    back.events.clear();
    back.command(send("y"));
    assert_eq!(text_of(&back.request()), "y");
}

#[test]
fn a_room_that_was_encrypted_in_an_earlier_life_is_not_spoken_in_in_the_clear() {
    let mut safe = Safe::new();
    let mut before = member(1);
    safe.create(&mut before, "swordfish");
    let kept = before.client.keys(ROOM).expect("it has a key");
    for cipher in [CipherKind::None, CipherKind::Caesar] {
        let view = RoomView {
            cipher,
            ..plain(&safe)
        };
        let mut after = Script::in_rooms(&[view]);
        assert!(!after.client.restore_keys(ROOM, &kept));
        after.command(send("x"));
        let announced = cipher;
        assert_eq!(after.failed(), CommandError::NotSealed { announced });
        assert!(after.requests().is_empty());
    }
}
