//! The session alone.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::{
    id::Secret,
    keys::{DeviceKeys, Signature, SigningKey},
    limits::Limits,
    time::Wall,
    wire::{ErrorCode, server::Durability},
};

/// The server's key.
fn server() -> SigningKey {
    SigningKey::from_seed(&[8; 32])
}

fn keys() -> DeviceKeys {
    DeviceKeys::generate(&mut ChaCha20Rng::from_seed([7; 32]), "laptop", Wall(0))
}

fn config() -> ClientConfig {
    ClientConfig::new("Adina", Credentials::passing(keys()), [7; 32])
}

fn of(config: &ClientConfig) -> Session {
    Session::new(config, &mut ChaCha20Rng::from_seed([7; 32]))
}

fn session(imposed: bool, waits_for_name: bool) -> Session {
    let mut config = config();
    config.imposed = imposed;
    config.waits_for_name = waits_for_name;
    let mut session = of(&config);
    assert_eq!(challenged(&mut session, &server()), Ok(Shown::Expected));
    assert!(session.hello(Vec::new()).is_some());
    session
}

/// The answer of a server with this key to the session's `open`.
fn challenge(session: &mut Session, key: &SigningKey) -> (Transcript, Challenged) {
    let open = session.open(&mut ChaCha20Rng::from_seed([6; 32]));
    let transcript = Transcript {
        server: key.public(),
        of_client: open.nonce,
        of_server: Nonce([5; 32]),
    };
    let challenge = Challenged {
        version: VERSION,
        nonce: transcript.of_server,
        key: key.public(),
        signature: transcript.challenge(key),
        time: Wall(0),
        capabilities: Vec::new(),
    };
    (transcript, challenge)
}

fn challenged(session: &mut Session, key: &SigningKey) -> Result<Shown, String> {
    let (_, challenge) = challenge(session, key);
    session.challenged(&challenge)
}

/// Takes in a welcome, with the proof of the server that has this key.
fn welcomed(session: &mut Session, key: &SigningKey, mut welcome: Welcome) -> Result<(), String> {
    let Handshake {
        transcript, signed, ..
    } = &session.handshake;
    let transcript = transcript.expect("the server has shown its key");
    welcome.proof = Some(transcript.welcome(key, signed));
    session.welcome(&welcome)
}

fn entrance(session: &mut Session) -> Entrance {
    match session.hello(Vec::new()) {
        Some(ClientMessage::Hello(hello)) => hello.entrance().expect("it was signed"),
        other => panic!("not a hello: {other:?}"),
    }
}

fn welcome(member: MemberId) -> Welcome {
    Welcome {
        version: VERSION,
        capabilities: Vec::new(),
        agent: String::new(),
        member,
        nick: "Adina Levi".to_owned(),
        label: "3".to_owned(),
        limits: Limits::default().wire(),
        ping_interval: 30_000,
        durability: Durability::Disk,
        time: Wall(0),
        lobby: true,
        rooms: Vec::new(),
        proof: None,
        any_audience: false,
    }
}

#[test]
fn a_welcome_for_another_member_is_none_unless_the_server_says_who_people_are_and_then_once() {
    let (other, third) = (MemberId([9; 16]), MemberId([8; 16]));
    let mut session = session(false, true);
    assert!(welcomed(&mut session, &server(), welcome(other)).is_err());
    let me = session.me().member;
    assert!(welcomed(&mut session, &server(), welcome(me)).is_ok());
    assert_eq!(
        (session.me().nick.as_str(), session.me().label.as_str()),
        ("Adina Levi", "3")
    );

    let mut imposed = session_of_application();
    assert!(welcomed(&mut imposed, &server(), welcome(other)).is_ok());
    assert_eq!(imposed.me().member, other);
    assert!(welcomed(&mut imposed, &server(), welcome(third)).is_err());
    assert!(welcomed(&mut imposed, &server(), welcome(other)).is_ok());
}

#[test]
fn a_version_that_was_not_offered_is_none() {
    let mut session = session(false, true);
    let later = Welcome {
        version: VERSION + 1,
        ..welcome(session.me().member)
    };
    assert!(welcomed(&mut session, &server(), later).is_err());
    assert_eq!(session.limits(), None);
}

#[test]
fn a_session_is_never_none_and_goes_into_every_hello() {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut session = session(false, true);
    for _ in 0..100 {
        let id = session.renew(&mut rng);
        assert!(id != SessionId::NONE && id.0 < 1 << 53);
        assert_eq!(entrance(&mut session).session, id);
    }
    session.restore(SessionId(5));
    assert_eq!(
        (session.id(), entrance(&mut session).session),
        (SessionId(5), SessionId(5))
    );
}

#[test]
fn a_refused_name_refuses_commands_where_they_do_not_wait_and_until_there_is_another() {
    let failure = Failure {
        id: 0,
        code: ErrorCode::NickTaken,
        temporary: true,
        retry_after: None,
        text: String::new(),
    };
    for (waits, refused) in [(true, None), (false, Some(&failure))] {
        let mut session = session(false, waits);
        let me = session.me().member;
        welcomed(&mut session, &server(), welcome(me)).expect("it is mine");
        session.refuse(failure.clone());
        assert_eq!(session.refusal(), refused);
        assert!(session.limits().is_some(), "of the welcome before");
        session.rename("Bela".to_owned(), String::new());
        assert_eq!(session.refusal(), None);
        assert_eq!(entrance(&mut session).nick, "Bela");
    }
}

fn session_of_application() -> Session {
    session(true, true)
}

#[test]
fn a_server_is_the_one_that_has_the_key_which_was_expected() {
    let (key, other) = (server(), SigningKey::from_seed(&[9; 32]));
    let mut config = config();
    config.pin = Some(key.public().fingerprint());
    let wrong = Ok(Shown::Wrong(other.public()));
    assert_eq!(challenged(&mut of(&config), &key), Ok(Shown::Expected));
    assert_eq!(challenged(&mut of(&config), &other), wrong);
    // A server without a pin has the key that it had first.
    let mut session = session(false, true);
    assert_eq!(challenged(&mut session, &other), wrong);
    assert_eq!(challenged(&mut session, &key), Ok(Shown::Expected));
    // A key is shown by a signature over what this client has said.
    let (_, mut challenge) = challenge(&mut session, &key);
    challenge.signature = Signature([1; 64]);
    assert_eq!(
        session.challenged(&challenge),
        Ok(Shown::Wrong(key.public()))
    );
    let mut one = of(&config);
    let (_, replayed) = super::tests::challenge(&mut one, &key);
    one.connected(String::new(), None);
    one.open(&mut ChaCha20Rng::from_seed([4; 32]));
    assert_eq!(one.challenged(&replayed), Ok(Shown::Wrong(key.public())));
    assert!(one.hello(Vec::new()).is_none(), "nothing is said to it");
}

#[test]
fn a_welcome_is_of_the_server_that_was_entered() {
    let (key, other) = (server(), SigningKey::from_seed(&[9; 32]));
    let mut session = session(false, true);
    let mine = welcome(session.me().member);
    assert!(session.welcome(&mine).is_err(), "without a proof");
    assert!(welcomed(&mut session, &other, mine.clone()).is_err());
    // The proof is of what was signed last.
    let proof = {
        let transcript = session.handshake.transcript.expect("it is open");
        transcript.welcome(&key, &session.handshake.signed)
    };
    session.rename("Bela".to_owned(), String::new());
    session.hello(Vec::new());
    let old = Welcome {
        proof: Some(proof),
        ..mine.clone()
    };
    assert!(session.welcome(&old).is_err());
    assert!(welcomed(&mut session, &key, mine).is_ok());
}

#[test]
fn without_credentials_the_driver_is_asked_and_nothing_is_said_before() {
    let mut config = config();
    let credentials = config.credentials.take();
    let mut session = of(&config);
    let key = server();
    assert_eq!(
        challenged(&mut session, &key),
        Ok(Shown::Unknown(key.public()))
    );
    assert!(session.hello(Vec::new()).is_none());
    session.identified(credentials.expect("there were some"));
    assert_eq!(session.me().member, keys().member());
    assert!(session.hello(Vec::new()).is_some());
}

#[test]
fn a_guest_says_its_secret_and_signs_nothing() {
    let secret = Secret([3; 32]);
    let config = ClientConfig::new("Adina", Credentials::Guest(secret.clone()), [7; 32]);
    let mut session = of(&config);
    assert!(session.me().member.is_guest());
    assert_eq!(challenged(&mut session, &server()), Ok(Shown::Expected));
    let Some(ClientMessage::GuestHello(guest)) = session.hello(Vec::new()) else {
        panic!("not a guest")
    };
    assert_eq!(guest.secret, Some(secret));
    let mine = welcome(session.me().member);
    assert!(welcomed(&mut session, &server(), mine).is_ok());
}

#[test]
fn a_hello_names_what_was_dialled_and_the_channel() {
    let mut session = of(&config());
    session.connected("tcp://chat.example.org:7037".to_owned(), Some([2; 32]));
    assert_eq!(challenged(&mut session, &server()), Ok(Shown::Expected));
    let entrance = entrance(&mut session);
    assert_eq!(entrance.audience, "tcp://chat.example.org:7037");
    assert_eq!(entrance.channel, Some(Fixed([2; 32])));
}
