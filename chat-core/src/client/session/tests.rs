//! The session alone.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::{
    limits::Limits,
    time::Wall,
    wire::{ErrorCode, server::Durability},
};

fn session(imposed: bool, waits_for_name: bool) -> Session {
    let mut config = ClientConfig::new("Adina", Secret([7; 32]), [7; 32]);
    config.imposed = imposed;
    config.waits_for_name = waits_for_name;
    Session::new(&config, &mut ChaCha20Rng::from_seed([7; 32]))
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
    }
}

#[test]
fn a_welcome_for_another_member_is_none_unless_the_server_says_who_people_are_and_then_once() {
    let (other, third) = (MemberId([9; 16]), MemberId([8; 16]));
    let mut session = session(false, true);
    assert!(session.welcome(&welcome(other)).is_err());
    let me = session.me().member;
    assert!(session.welcome(&welcome(me)).is_ok());
    assert_eq!(
        (session.me().nick.as_str(), session.me().label.as_str()),
        ("Adina Levi", "3")
    );

    let mut imposed = session_of_application();
    assert!(imposed.welcome(&welcome(other)).is_ok());
    assert_eq!(imposed.me().member, other);
    assert!(imposed.welcome(&welcome(third)).is_err());
    assert!(imposed.welcome(&welcome(other)).is_ok());
}

#[test]
fn a_version_that_was_not_offered_is_none() {
    let mut session = session(false, true);
    let later = Welcome {
        version: VERSION + 1,
        ..welcome(session.me().member)
    };
    assert!(session.welcome(&later).is_err());
    assert_eq!(session.limits(), None);
}

#[test]
fn a_session_is_never_none_and_goes_into_every_hello() {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut session = session(false, true);
    for _ in 0..100 {
        let id = session.renew(&mut rng);
        assert!(id != SessionId::NONE && id.0 < 1 << 53);
        assert_eq!(session.hello(Vec::new()).session, id);
    }
    session.restore(SessionId(5));
    assert_eq!(
        (session.id(), session.hello(Vec::new()).session),
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
        session.welcome(&welcome(me)).expect("it is mine");
        session.refuse(failure.clone());
        assert_eq!(session.refusal(), refused);
        assert!(session.limits().is_some(), "of the welcome before");
        session.rename("Bela".to_owned(), String::new());
        assert_eq!(session.refusal(), None);
        assert_eq!(session.hello(Vec::new()).nick, "Bela");
    }
}

fn session_of_application() -> Session {
    session(true, true)
}
