//! The right to a name: reserved names, and those that owners have.

use crate::harness::*;
use chat_core::{
    hub::{Identity, Input},
    id::{ConnId, RoomId},
    nick::Reserved,
    roles::Role,
    wire::{
        ErrorCode,
        client::{self, Op, Peer, RoomRef},
    },
};

/// A hello under a nick that is not the member's secret.
fn called(secret: &str, nick: &str) -> Hello {
    let nick = nick.to_owned();
    Hello {
        nick,
        ..hello(secret)
    }
}

fn refused(w: &mut World, nick: &str) -> Option<ErrorCode> {
    let conn = w.connect();
    let refusal = w.greet(conn, called("x", nick)).err().map(|f| f.code);
    w.say(conn, &chat_core::wire::ClientMessage::Bye(client::Empty {}));
    w.pass(SECOND);
    refusal
}

fn rename(w: &mut World, conn: ConnId, txn: u64, nick: &str) -> Result<(), ErrorCode> {
    let nick = client::Nick {
        nick: nick.to_owned(),
        label: String::new(),
    };
    w.request(conn, txn, Op::Nick(nick))
        .map(drop)
        .map_err(|f| f.code)
}

#[test]
fn reserved_names_are_nobody_s() {
    let mut w = World::new();
    for nick in [
        "server",
        "System",
        "ạdmin",
        "*admin*",
        "[private]",
        "[private]Maya",
        "admin\u{e47}",
        "adm\u{941}in",
    ] {
        assert_eq!(
            refused(&mut w, nick),
            Some(ErrorCode::NickInvalid),
            "{nick}"
        );
    }
    let ada = w.welcome("ada");
    assert_eq!(rename(&mut w, ada, 1, "Admin"), Err(ErrorCode::NickInvalid));
    let mut w = World::with(|config| config.reserved = Reserved::new(["office"]).unwrap());
    assert_eq!(refused(&mut w, "Office"), Some(ErrorCode::NickInvalid));
    assert_eq!(refused(&mut w, "admin"), None);
}

fn labelled(nick: &str, label: &str) -> Hello {
    Hello {
        label: label.to_owned(),
        ..hello(nick)
    }
}

#[test]
fn labels_are_not_what_is_reserved() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    for label in [
        "[private]",
        "[Private] to you",
        "ADMIN",
        "sÿstem",
        "x) left",
    ] {
        let bob = w.connect();
        let code = w.greet(bob, labelled("bob", label)).unwrap_err().code;
        assert_eq!(code, ErrorCode::LabelInvalid, "{label}");
        let nick = client::Nick {
            nick: "ada".to_owned(),
            label: label.to_owned(),
        };
        assert_eq!(w.refusal(ada, 1, Op::Nick(nick)), ErrorCode::LabelInvalid);
    }
}

#[test]
fn an_application_may_call_people_what_is_reserved() {
    let mut w = World::new();
    let conn = w.connect();
    let identity = Identity::new("root", "admin").label("system");
    w.input(Input::Identified { conn, identity });
    let welcome = w.greet(conn, hello("x")).unwrap();
    assert_eq!((&*welcome.nick, &*welcome.label), ("admin", "system"));
    // An application that imposes no label leaves the rule for labels in force.
    let conn = w.connect();
    let identity = Identity::new("wheel", "wheel");
    w.input(Input::Identified { conn, identity });
    let code = w.greet(conn, labelled("x", "admin")).unwrap_err().code;
    assert_eq!(code, ErrorCode::LabelInvalid);
}

#[test]
fn decoration_does_not_make_a_nick_free() {
    let mut w = World::new();
    let maya = w.welcome("Maya");
    for nick in ["Maya✓", "Maya.", "*Maya", "Maya\u{20dd}", "Maya\u{2d0}"] {
        assert_eq!(refused(&mut w, nick), Some(ErrorCode::NickTaken), "{nick}");
    }
    assert_eq!(refused(&mut w, "Mayạ"), None, "another name");
    // Her own spelling is hers to choose, and is how she is addressed.
    rename(&mut w, maya, 1, "Maya✓").unwrap();
    assert_eq!(refused(&mut w, "Maya"), Some(ErrorCode::NickTaken));
    let bob = w.welcome("bob");
    let to = |nick: &str| {
        Op::Direct(client::Direct {
            to: Peer::Nick(nick.to_owned()),
        })
    };
    assert_eq!(w.refusal(bob, 1, to("Maya")), ErrorCode::UnknownMember);
    w.request(bob, 1, to("maya✓")).unwrap();
}

#[test]
fn against_owners_combining_marks_do_not_count() {
    let mut w = World::new();
    let maya = w.welcome("Maya");
    assert_eq!(refused(&mut w, "Mayạ"), None);
    let room = w.create(maya, 1, None).unwrap().room;
    for nick in ["Mayạ", "mâya", "Ма\u{301}уа"] {
        assert_eq!(refused(&mut w, nick), Some(ErrorCode::NickTaken), "{nick}");
    }
    // Those of other scripts are in no name.
    for nick in ["Maya\u{e47}", "Ma\u{941}ya"] {
        assert_eq!(
            refused(&mut w, nick),
            Some(ErrorCode::NickInvalid),
            "{nick}"
        );
    }
    assert_eq!(refused(&mut w, "Mara"), None);
    // Her own may have them, and then others may not go without.
    rename(&mut w, maya, 2, "Mäyä").unwrap();
    assert_eq!(refused(&mut w, "Maya"), Some(ErrorCode::NickTaken));
    assert_eq!(refused(&mut w, "Mayä"), Some(ErrorCode::NickTaken));
    rename(&mut w, maya, 3, "Maya").unwrap();

    // Ownership is what counts, not who began.
    let bob = w.welcome("Zoe");
    w.join(bob, RoomRef::Id(room)).unwrap();
    assert_eq!(refused(&mut w, "Zoë"), None);
    let role = |target: &str, role| {
        Op::Role(client::SetRole {
            room,
            target: Peer::Member(member(target)),
            role,
        })
    };
    w.request(maya, 4, role("Zoe", Role::Owner)).unwrap();
    w.request(maya, 5, role("Maya", Role::Moderator)).unwrap();
    assert_eq!(refused(&mut w, "Zoë"), Some(ErrorCode::NickTaken));
    // A moderator keeps order too.
    assert_eq!(refused(&mut w, "Mayạ"), Some(ErrorCode::NickTaken));
    w.request(bob, 2, role("Maya", Role::Member)).unwrap();
    assert_eq!(refused(&mut w, "Mayạ"), None);
}

#[test]
fn a_nick_that_is_held_stays_when_another_becomes_an_owner() {
    let mut w = World::new();
    let marked = w.connect();
    w.greet(marked, called("marked", "Mayạ")).unwrap();
    let maya = w.welcome("Maya");
    w.create(maya, 1, None).unwrap();
    w.disconnect(marked);
    let again = w.connect();
    w.greet(again, called("marked", "Mayạ"))
        .expect("it is hers");
}

#[test]
fn an_owner_is_known_where_the_group_is_not_in_use() {
    let (mut here, mut other) = two_hubs();
    std::mem::swap(&mut here.log, &mut other.log);
    let maya = here.welcome("Maya");
    here.create(maya, 1, None).unwrap();
    std::mem::swap(&mut here.log, &mut other.log);
    other.news(chat_core::id::Partition::Directory(0), 0);
    assert_eq!(refused(&mut other, "Mayạ"), Some(ErrorCode::NickTaken));
}

#[test]
fn what_is_drawn_beside_a_name_hides_nothing() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    for text in [
        "a\u{200b}b",
        "\u{3164}",
        "\u{115f}",
        "\u{ffa0}",
        "\u{e0061}",
        "\u{feff}",
        "\u{2800}",
        " ",
    ] {
        let mut labelled = hello("bob");
        labelled.label = text.to_owned();
        let bob = w.connect();
        let code = w.greet(bob, labelled).unwrap_err().code;
        assert_eq!(code, ErrorCode::LabelInvalid, "{text:?}");
        let mut agent = hello("bob");
        agent.agent = text.to_owned();
        assert_eq!(w.greet(bob, agent).unwrap_err().code, ErrorCode::BadRequest);
        let create = |name: Option<&str>, topic: &str| {
            Op::Create(client::Create {
                name: name.map(str::to_owned),
                topic: topic.to_owned(),
                cipher: Default::default(),
                key: None,
                history: Default::default(),
                presence: Default::default(),
                password: None,
            })
        };
        assert_eq!(
            w.refusal(ada, 1, create(None, text)),
            ErrorCode::TopicInvalid
        );
        assert_eq!(
            w.refusal(ada, 1, create(Some(text), "")),
            ErrorCode::NameInvalid
        );
        let label = client::Nick {
            nick: "ada".to_owned(),
            label: text.to_owned(),
        };
        assert_eq!(w.refusal(ada, 1, Op::Nick(label)), ErrorCode::LabelInvalid);
    }
}

/// A member came in at another hub, and nothing was heard of that here: whoever is meant by its
/// name is looked for before it is said that there is nobody.
#[test]
fn a_member_that_another_hub_has_named_is_found_for_each_order() {
    let target = || client::Peer::Nick("bob".to_owned());
    let ops: [fn(RoomId, client::Peer) -> Op; 6] = [
        |room, target| {
            Op::Role(client::SetRole {
                room,
                target,
                role: Role::Moderator,
            })
        },
        |room, target| {
            Op::Kick(client::Remove {
                room,
                target,
                reason: String::new(),
            })
        },
        |room, target| {
            Op::Ban(client::Remove {
                room,
                target,
                reason: String::new(),
            })
        },
        |room, target| Op::Unban(client::OnPeer { room, target }),
        |room, target| {
            Op::Mute(client::Mute {
                room,
                target,
                seconds: None,
            })
        },
        |room, target| Op::Unmute(client::OnPeer { room, target }),
    ];
    for op in ops {
        let (mut here, mut other) = two_hubs();
        let ada = here.welcome("ada");
        let room = here.create(ada, 1, None).unwrap().room;
        here.pass(SECOND);
        std::mem::swap(&mut here.log, &mut other.log);
        other.news(chat_core::id::Partition::Directory(0), 0);
        let bob = other.welcome("bob");
        other.join(bob, client::RoomRef::Id(room)).unwrap();
        std::mem::swap(&mut here.log, &mut other.log);
        let op = op(room, target());
        if matches!(op, Op::Unban(_)) {
            let ban = client::Remove {
                room,
                target: Peer::Member(member("bob")),
                reason: String::new(),
            };
            here.request(ada, 3, Op::Ban(ban)).unwrap();
        }
        let answer = here.request(ada, 2, op.clone());
        let code = answer.err().map(|failure| failure.code);
        assert_ne!(code, Some(ErrorCode::UnknownMember), "{op:?}");
    }
}
