//! Every limit is reached, and answered as the specification says.

use std::{net::IpAddr, time::Duration};

use crate::harness::*;
use bytes::Bytes;
use chat_core::{
    hub::{Config, Framing},
    id::{ConnId, Place, RoomId},
    limits::{Limits, Rate, SlowRate},
    password::{ClientLogin, ClientRegistration, Password, Stretch},
    wire::{
        ClientMessage, CloseReason, ErrorCode, Form, ServerMessage,
        client::{self, InRoom, Op, Peer, RoomRef},
        record::{CipherKind, Content, LeftReason, PasswordRecord, RecordBody},
        server::{Answer, PresenceUpdate},
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn limited(set: impl FnOnce(&mut Limits)) -> World {
    World::with(|config: &mut Config| set(&mut config.limits))
}

fn from(w: &mut World, address: &str) -> ConnId {
    w.connect_as(
        Form::Postcard,
        Framing::Message,
        Some(address.parse::<IpAddr>().unwrap()),
    )
}

/// The reason it was told, if it was told to go.
fn closing(w: &mut World, conn: ConnId) -> Option<CloseReason> {
    w.take(conn, |message| match message {
        ServerMessage::Closing(closing) => Some(closing.reason),
        _ => None,
    })
}

fn mute(room: RoomId, whom: &str, seconds: u32) -> Op {
    Op::Mute(client::Mute {
        room,
        target: Peer::Nick(whom.to_owned()),
        seconds: Some(seconds),
    })
}

fn ban(room: RoomId, whom: &str) -> Op {
    Op::Ban(client::Remove {
        room,
        target: Peer::Nick(whom.to_owned()),
        reason: String::new(),
    })
}

#[test]
fn connections() {
    let mut w = limited(|limits| limits.connections = 2);
    let [first, second, third] = [w.connect(), w.connect(), w.connect()];
    assert_eq!(
        (closing(&mut w, first), closing(&mut w, second)),
        (None, None)
    );
    assert_eq!(closing(&mut w, third), Some(CloseReason::Full));
    assert_eq!(w.lines[&third].closed, Some(CloseReason::Full));
    let late = w.connect();
    let told = w.take(late, |message| match message {
        ServerMessage::Closing(closing) => Some((closing.reconnect, closing.retry_after)),
        _ => None,
    });
    assert_eq!(told, Some((true, Some(5_000))), "a place may be free then");
    w.disconnect(first);
    let fourth = w.connect();
    assert_eq!(closing(&mut w, fourth), None, "a place is free again");
    assert_eq!(w.hub.connections(), 2);
}

#[test]
fn connections_per_address() {
    let mut w = limited(|limits| limits.connections_per_address = 2);
    for (same, other) in [
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8:0:1::1", "2001:db8:0:2::1"),
    ] {
        let first = from(&mut w, same);
        let second = from(
            &mut w,
            if same.contains(':') {
                "2001:db8:0:1:ffff::2"
            } else {
                "::ffff:192.0.2.1"
            },
        );
        assert_eq!(
            (closing(&mut w, first), closing(&mut w, second)),
            (None, None)
        );
        let third = from(&mut w, same);
        assert_eq!(
            closing(&mut w, third),
            Some(CloseReason::TooManyConnections)
        );
        let elsewhere = from(&mut w, other);
        assert_eq!(closing(&mut w, elsewhere), None);
        w.disconnect(first);
        let again = from(&mut w, same);
        assert_eq!(closing(&mut w, again), None);
    }
}

#[test]
fn the_largest_network_gives_up_its_newest_place() {
    let mut w = limited(|limits| limits.connections = 10);
    let enter = |w: &mut World, address, nick: &str| {
        let conn = from(w, address);
        let greeted = w.greet(conn, hello(nick));
        (conn, greeted.is_ok())
    };
    let (ann, _) = enter(&mut w, "192.0.2.1", "ann");
    let many: Vec<_> = ["eve", "eva", "evi"]
        .map(|nick| {
            w.pass(SECOND);
            enter(&mut w, "192.0.2.2", nick).0
        })
        .into();
    let handshakes: Vec<_> = (0..6).map(|_| from(&mut w, "192.0.2.2")).collect();
    // All places are taken; who arrives from the largest network finds none.
    let late = from(&mut w, "192.0.2.2");
    assert_eq!(closing(&mut w, late), Some(CloseReason::Full));
    // Each arrival from elsewhere takes one of its places: of handshakes first, then the newest.
    for host in 1..=6 {
        let ben = from(&mut w, &format!("203.0.113.{host}"));
        assert_eq!(closing(&mut w, ben), None);
    }
    for conn in handshakes {
        assert_eq!(closing(&mut w, conn), Some(CloseReason::Full));
    }
    let dan = from(&mut w, "203.0.113.7");
    assert_eq!(closing(&mut w, dan), None);
    let ended = many.iter().map(|conn| closing(&mut w, *conn));
    assert_eq!(
        ended.collect::<Vec<_>>(),
        [None, None, Some(CloseReason::Full)]
    );
    // Now the networks have as good as the same, and nobody gives way.
    let dora = from(&mut w, "192.0.2.1");
    assert_eq!(closing(&mut w, dora), Some(CloseReason::Full));
    assert_eq!((closing(&mut w, ann), w.hub.connections()), (None, 10));
}

#[test]
fn a_connection_that_ends_anyway_gives_its_place_up_before_all_others() {
    let mut w = limited(|limits| limits.connections = 4);
    let [eve, _, evi] = ["eve", "eva", "evi"].map(|nick| {
        w.pass(SECOND);
        let conn = from(&mut w, "192.0.2.2");
        w.greet(conn, hello(nick)).unwrap();
        conn
    });
    let handshake = from(&mut w, "192.0.2.2");
    // Its client has not confirmed yet.
    w.say(eve, &ClientMessage::Bye(client::Empty {}));
    let ben = from(&mut w, "203.0.113.1");
    let ended = [evi, handshake, ben].map(|conn| closing(&mut w, conn));
    assert_eq!(ended, [None, None, None]);
    assert_eq!(w.hub.connections(), 4);
    w.disconnect(eve);
    assert_eq!(w.hub.connections(), 4);
    let dan = from(&mut w, "203.0.113.2");
    assert_eq!(closing(&mut w, dan), None);
    assert_eq!(closing(&mut w, handshake), Some(CloseReason::Full));
}

#[test]
fn frame_bytes() {
    for (framing, form) in [
        (Framing::Stream, Form::Postcard),
        (Framing::Message, Form::Postcard),
        (Framing::Lines, Form::Json),
    ] {
        let mut w = limited(|_| {});
        let limit = 65_536_usize;
        let conn = w.connect_as(form, framing, None);
        match framing {
            // Refused when the length is there, long before the frame is.
            Framing::Stream => w.bytes(conn, &u32::try_from(limit + 1).unwrap().to_be_bytes()),
            Framing::Message => w.bytes(conn, &vec![0; limit + 1]),
            // Refused without its end.
            Framing::Lines => w.bytes(conn, &vec![b' '; limit + 1]),
        }
        assert_eq!(closing(&mut w, conn), Some(CloseReason::FrameTooLarge));
        let conn = w.connect_as(form, framing, None);
        match framing {
            Framing::Stream => w.bytes(conn, &u32::try_from(limit).unwrap().to_be_bytes()),
            Framing::Message => {
                // A ping with bytes behind it that this version does not know.
                let mut body = Form::Postcard
                    .encode(&ClientMessage::Ping(client::Ping { nonce: 1 }))
                    .body()
                    .to_vec();
                body.resize(limit, 0);
                w.bytes(conn, &body);
            }
            Framing::Lines => {
                let mut line = br#"{"type":"ping","nonce":1}"#.to_vec();
                line.resize(limit, b' ');
                line.extend(b"\r\n\r\n\n");
                w.bytes(conn, &line);
            }
        }
        assert_eq!(closing(&mut w, conn), None);
    }
}

#[test]
fn message_bytes() {
    let mut w = limited(|limits| limits.message_bytes = 10);
    let ada = w.in_lobby("ada");
    w.send(ada, RoomId::LOBBY, 2, "0123456789").unwrap();
    assert_eq!(
        w.refusal(ada, 3, send(RoomId::LOBBY, "0123456789a")),
        ErrorCode::MessageTooLarge
    );
    assert_eq!(
        w.refusal(ada, 3, send(RoomId::LOBBY, "ééééé1")),
        ErrorCode::MessageTooLarge,
        "bytes, not letters"
    );
}

#[test]
fn names_labels_and_topics() {
    let mut w = limited(|limits| {
        (
            limits.nick_bytes,
            limits.label_bytes,
            limits.name_bytes,
            limits.topic_bytes,
        ) = (3, 4, 5, 6);
    });
    let conn = w.connect();
    let with = |nick: &str, label: &str| Hello {
        label: label.to_owned(),
        ..hello(nick)
    };
    assert_eq!(
        w.greet(conn, with("abcd", "")).unwrap_err().code,
        ErrorCode::NickInvalid
    );
    assert_eq!(
        w.greet(conn, with("abc", "12345")).unwrap_err().code,
        ErrorCode::LabelInvalid
    );
    w.greet(conn, with("abc", "1234")).unwrap();
    let rename = |nick: &str, label: &str| {
        Op::Nick(client::Nick {
            nick: nick.to_owned(),
            label: label.to_owned(),
        })
    };
    assert_eq!(
        w.refusal(conn, 1, rename("abcd", "")),
        ErrorCode::NickInvalid
    );
    assert_eq!(
        w.refusal(conn, 1, rename("abd", "12345")),
        ErrorCode::LabelInvalid
    );
    assert_eq!(
        w.create(conn, 1, Some("123456")).unwrap_err().code,
        ErrorCode::NameInvalid
    );
    let room = w.create(conn, 1, Some("12345")).unwrap().room;
    let topic = |topic: &str| {
        Op::Topic(client::SetTopic {
            room,
            topic: topic.to_owned(),
        })
    };
    assert_eq!(
        w.refusal(conn, 1, topic("1234567")),
        ErrorCode::TopicInvalid
    );
    w.request(conn, 1, topic("123456")).unwrap();
    let reason = "1234567".to_owned();
    let kick = Op::Kick(client::Remove {
        room,
        target: Peer::Nick("x".to_owned()),
        reason,
    });
    assert_eq!(w.refusal(conn, 2, kick), ErrorCode::TopicInvalid);
}

#[test]
fn rooms() {
    let mut w = limited(|limits| limits.rooms = 2);
    let ada = w.welcome("ada");
    w.create(ada, 1, None).unwrap();
    w.create(ada, 2, None).unwrap();
    let refused = w.create(ada, 3, None).unwrap_err();
    assert_eq!(
        (refused.code, refused.temporary),
        (ErrorCode::RoomsExhausted, false)
    );
    assert_eq!(
        w.partitions.len(),
        4,
        "the directory, the lobby and two groups: nothing was begun in vain"
    );
}

#[test]
fn rooms_per_member() {
    let mut w = limited(|limits| (limits.rooms_per_member, limits.invitations) = (2, 6));
    let [ada, bob] = ["ada", "bob"].map(|nick| w.welcome(nick));
    for txn in 1..=2 {
        w.create(ada, txn, None).unwrap();
    }
    assert_eq!(
        w.create(ada, 3, None).unwrap_err().code,
        ErrorCode::TooManyRooms
    );
    assert_eq!(
        w.join(ada, RoomRef::Lobby).unwrap_err().code,
        ErrorCode::TooManyRooms
    );
    let direct = |to: &str| {
        Op::Direct(client::Direct {
            to: Peer::Nick(to.to_owned()),
        })
    };
    assert_eq!(w.refusal(ada, 3, direct("bob")), ErrorCode::TooManyRooms);
    // Others cannot fill somebody's rooms, so that they may enter none themselves; nor without end.
    for (n, who) in ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
        .into_iter()
        .enumerate()
    {
        let conn = w.welcome(who);
        let outcome = w
            .request(conn, 1, direct("bob"))
            .map_err(|failure| failure.code);
        assert_eq!(outcome.is_ok(), n < 6, "{n} {outcome:?}");
    }
    // Conversations that they opened take nothing away from him, before he accepts them.
    let own = ["a", "g"].map(|who| w.request(bob, 1, direct(who)).map_err(|e| e.code));
    assert!(matches!(own, [Ok(_), Ok(_)]), "{own:?}");
    assert_eq!(
        w.join(bob, RoomRef::Lobby).unwrap_err().code,
        ErrorCode::TooManyRooms
    );
    for room in ["a", "g"].map(|who| RoomId::private(member("bob"), member(who))) {
        w.request(bob, 1, Op::Leave(InRoom { room })).unwrap();
    }
    let lobby = w.join(bob, RoomRef::Lobby);
    assert!(lobby.is_ok(), "{lobby:?}");
    w.request(bob, 2, direct("h")).unwrap();
    assert_eq!(w.refusal(bob, 2, direct("i")), ErrorCode::TooManyRooms);
    let room = RoomId::private(member("bob"), member("h"));
    w.request(bob, 1, Op::Leave(InRoom { room })).unwrap();
    w.request(
        bob,
        2,
        Op::Leave(InRoom {
            room: RoomId::LOBBY,
        }),
    )
    .unwrap();
    w.join(bob, RoomRef::Lobby).unwrap();
    w.join(bob, RoomRef::Number(0)).unwrap();
    assert_eq!(
        w.join(bob, RoomRef::Number(1)).unwrap_err().code,
        ErrorCode::TooManyRooms
    );
}

#[test]
fn rooms_are_resumed_that_are_more_than_one_may_enter_now() {
    let mut w = limited(|limits| {
        limits.rooms_per_member = 1;
        (limits.frame_bytes, limits.page_bytes) = (200_000, 262_144);
    });
    let resume = |rooms: u32| {
        let place = Place { epoch: 5, seq: 1 };
        let room = |n: u32| {
            let mut id = [9; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            (RoomId(id), place)
        };
        let rooms: Vec<_> = (0..rooms).map(room).collect();
        resuming("ada", &rooms)
    };
    let ada = w.connect();
    let refused = w.greet(ada, resume(4_097)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::BadRequest);
    w.greet(ada, resume(4_096)).unwrap();
    let removed = w.lines[&ada].inbox.iter();
    let removed = removed.filter(|said| matches!(said, ServerMessage::Removed(_)));
    assert_eq!(removed.count(), 4_096, "each is answered");
}

#[test]
fn members_per_room() {
    let mut w = limited(|limits| limits.members_per_room = 2);
    let [ada, bob, cy] = ["ada", "bob", "cy"].map(|nick| w.welcome(nick));
    w.hold = true;
    for (id, conn) in [(1, ada), (2, bob), (3, cy)] {
        w.ask(
            conn,
            id,
            1,
            Op::Join(client::Join {
                room: RoomRef::Lobby,
                proof: None,
            }),
        );
    }
    w.hold = false;
    w.release();
    assert!(w.answer(ada, 1).unwrap().is_ok() && w.answer(bob, 2).unwrap().is_ok());
    assert_eq!(
        w.answer(cy, 3).unwrap().unwrap_err().code,
        ErrorCode::RoomFull
    );
    w.request(
        ada,
        2,
        Op::Leave(client::InRoom {
            room: RoomId::LOBBY,
        }),
    )
    .unwrap();
    w.join(cy, RoomRef::Lobby).unwrap();
}

#[test]
fn sanctions_per_room() {
    let mut w = limited(|limits| limits.sanctions_per_room = 2);
    let boss = w.welcome("boss");
    let room = w.create(boss, 1, None).unwrap().room;
    for who in ["a", "b", "c"] {
        let conn = w.welcome(who);
        w.join(conn, RoomRef::Id(room)).unwrap();
    }
    w.request(boss, 2, mute(room, "a", 60)).unwrap();
    w.request(boss, 3, mute(room, "b", 60)).unwrap();
    assert_eq!(w.refusal(boss, 4, mute(room, "c", 60)), ErrorCode::RoomFull);
    w.request(boss, 4, mute(room, "b", 10)).unwrap();
    w.pass(10 * SECOND);
    w.request(boss, 5, mute(room, "c", 60))
        .expect("a mute that is over does not count");
    w.request(boss, 6, ban(room, "a")).unwrap();
    w.request(boss, 7, ban(room, "b")).unwrap();
    assert_eq!(w.refusal(boss, 8, ban(room, "c")), ErrorCode::RoomFull);
    w.request(
        boss,
        8,
        Op::Unban(client::OnPeer {
            room,
            target: Peer::Nick("a".to_owned()),
        }),
    )
    .unwrap();
    w.request(boss, 9, ban(room, "c")).unwrap();
}

#[test]
fn presence_names() {
    let mut w = limited(|limits| limits.presence_names = 2);
    let words = |w: &mut World, conn| {
        let mut words = Vec::new();
        while let Some(update) = w.take(conn, |message| match message {
            ServerMessage::Presence(presence) => Some(presence.update.clone()),
            _ => None,
        }) {
            words.push(match update {
                PresenceUpdate::Full(people) => format!("full {}", people.people.len()),
                PresenceUpdate::Changes(changes) => {
                    format!("+{} -{}", changes.here.len(), changes.gone.len())
                }
                PresenceUpdate::Count(count) => format!("count {}", count.count),
                other => panic!("{other:?}"),
            });
        }
        words
    };
    let [ada, bob, cy] = ["ada", "bob", "cy"].map(|nick| w.in_lobby(nick));
    w.pass(SECOND);
    assert_eq!(
        (words(&mut w, ada), words(&mut w, bob), words(&mut w, cy)),
        (
            vec!["full 1".to_owned(), "count 3".to_owned()],
            vec!["full 2".to_owned(), "count 3".to_owned()],
            vec!["count 3".to_owned(); 2]
        )
    );
    let dan = w.in_lobby("dan");
    w.pass(SECOND);
    assert_eq!(words(&mut w, ada), ["count 4"]);
    w.disconnect(bob);
    w.pass(31 * SECOND);
    assert_eq!(words(&mut w, ada), ["count 3"]);
    // Few again: a count cannot be changed by names, so all of them are told.
    for conn in [cy, dan] {
        let room = RoomId::LOBBY;
        w.request(conn, 2, Op::Leave(client::InRoom { room }))
            .unwrap();
    }
    w.pass(SECOND);
    assert_eq!(words(&mut w, ada), ["full 1"]);
}

#[test]
fn changes_of_presence_are_not_kept_back_once_they_are_gathered() {
    let mut w = limited(|limits| limits.presence_names = 3);
    let [_ada, bob, cy] = ["ada", "bob", "cy"].map(|nick| w.in_lobby(nick));
    w.patient.clear();
    w.disconnect(bob);
    w.pass_with(&[cy], 31 * SECOND);
    let kept = |w: &World| {
        let presence = |said: &&ServerMessage| matches!(said, ServerMessage::Presence(_));
        w.patient.iter().filter(presence).count()
    };
    let told = w.take(cy, |message| match message {
        ServerMessage::Presence(presence) => match &presence.update {
            PresenceUpdate::Changes(changes) => Some(changes.gone.len()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!((told, kept(&w)), (Some(1), 0));
    // A count goes to many, and may wait.
    for nick in ["dan", "eve", "fay"] {
        w.in_lobby(nick);
    }
    w.pass(SECOND);
    assert!(kept(&w) > 0);
}

#[test]
fn presence_interval() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let people: Vec<ConnId> = (0..5).map(|n| w.in_lobby(&format!("p{n}"))).collect();
    w.pass(SECOND);
    w.lines.get_mut(&ada).unwrap().inbox.clear();
    for conn in people {
        w.say(conn, &ClientMessage::Bye(client::Empty {}));
        w.pass(Duration::from_millis(10));
    }
    let gone = |w: &mut World| {
        w.take(ada, |message| match message {
            ServerMessage::Presence(presence) => match &presence.update {
                PresenceUpdate::Changes(changes) => Some(changes.gone.len()),
                _ => None,
            },
            _ => None,
        })
    };
    w.pass(Duration::from_millis(199));
    assert_eq!(gone(&mut w), None);
    w.pass(Duration::from_millis(1));
    // Those who do not keep their secret are told of by a `left` at once; nobody is told of twice.
    let left = w.records(ada).iter().filter(|(_, r)| matches!(&r.body, RecordBody::Left(left) if left.reason == LeftReason::Expired)).count();
    assert_eq!(left + gone(&mut w).unwrap_or(0), 5);
    assert_eq!(gone(&mut w), None, "one word for all");
}

#[test]
fn requests() {
    let mut w = limited(|limits| limits.requests = 3);
    let ada = w.in_lobby("ada");
    w.hold = true;
    for id in 1..=4 {
        w.ask(ada, id, 1 + id, send(RoomId::LOBBY, "x"));
    }
    let busy = w.answer(ada, 4).expect("at once").unwrap_err();
    assert_eq!((busy.code, busy.temporary), (ErrorCode::Busy, true));
    w.hold = false;
    w.release();
    for id in 1..=3 {
        w.answer(ada, id).unwrap().unwrap();
    }
    w.send(ada, RoomId::LOBBY, 5, "x").unwrap();
}

#[test]
fn request_bytes() {
    let mut w = limited(|limits| limits.request_bytes = 100_000);
    let ada = w.in_lobby("ada");
    let long = "x".repeat(16_000);
    w.hold = true;
    for id in 1..=7 {
        w.ask(ada, id, 1 + id, send(RoomId::LOBBY, &long));
    }
    let busy = w.answer(ada, 7).expect("at once").unwrap_err();
    assert_eq!((busy.code, busy.temporary), (ErrorCode::Busy, true));
    // A short one may still wait.
    w.ask(ada, 8, 8, send(RoomId::LOBBY, "x"));
    assert_eq!(w.answer(ada, 8), None);
    w.hold = false;
    w.release();
    for id in [1, 2, 3, 4, 5, 6, 8] {
        w.answer(ada, id).unwrap().unwrap();
    }
    for txn in 10..30 {
        w.send(ada, RoomId::LOBBY, txn, &long).unwrap();
    }
    // Requests that wait for a join count, and count no more when it is done.
    let bob = w.welcome("bob");
    let join = client::Join {
        room: RoomRef::Lobby,
        proof: None,
    };
    for first in [100, 200] {
        w.hold = true;
        w.ask(bob, first, first, Op::Join(join.clone()));
        for id in first + 1..first + 8 {
            w.ask(bob, id, id, send(RoomId::LOBBY, &long));
        }
        let busy = w.answer(bob, first + 7).expect("at once").unwrap_err();
        assert_eq!(busy.code, ErrorCode::Busy);
        w.ask(
            bob,
            first + 8,
            first + 8,
            Op::Leave(client::InRoom {
                room: RoomId::LOBBY,
            }),
        );
        w.hold = false;
        w.release();
        for id in (first..first + 7).chain([first + 8]) {
            w.answer(bob, id).unwrap().unwrap();
        }
    }
}

#[test]
fn page() {
    let mut w = limited(|limits| limits.page = 3);
    let ada = w.in_lobby("ada");
    for txn in 2..12 {
        w.send(ada, RoomId::LOBBY, txn, "x").unwrap();
    }
    for n in 0..4 {
        w.in_lobby(&format!("p{n}"));
        w.create(ada, 1 + n, None).unwrap();
    }
    for limit in [0, 3, 4, u16::MAX] {
        let Ok(Answer::List(list)) =
            w.request(ada, 0, Op::List(client::List { after: None, limit }))
        else {
            panic!()
        };
        assert_eq!((list.rooms.len(), list.more), (3, true));
        let members = Op::Members(client::Members {
            room: RoomId::LOBBY,
            after: None,
            limit,
        });
        let Ok(Answer::Members(members)) = w.request(ada, 0, members) else {
            panic!()
        };
        assert_eq!((members.members.len(), members.more), (3, true));
        let history = client::History {
            room: RoomId::LOBBY,
            from: client::HistoryFrom::Latest,
            limit,
        };
        let Ok(Answer::History(history)) = w.request(ada, 0, Op::History(history)) else {
            panic!()
        };
        assert_eq!(history.records.len(), 3);
    }
    let Ok(Answer::List(rest)) = w.request(
        ada,
        0,
        Op::List(client::List {
            after: Some(2),
            limit: 2,
        }),
    ) else {
        panic!()
    };
    assert_eq!((rest.rooms.len(), rest.more), (1, false));
}

#[test]
fn page_bytes() {
    let mut w = limited(|limits| {
        limits.message_bytes = 1_000;
        (limits.frame_bytes, limits.page_bytes) = (2_100, 2_100);
    });
    let ada = w.in_lobby("ada");
    for txn in 2..12 {
        w.send(ada, RoomId::LOBBY, txn, &"x".repeat(900)).unwrap();
    }
    let page = |from| {
        Op::History(client::History {
            room: RoomId::LOBBY,
            from,
            limit: 100,
        })
    };
    let Ok(Answer::History(latest)) = w.request(ada, 0, page(client::HistoryFrom::Latest)) else {
        panic!()
    };
    assert_eq!(
        latest.records.iter().map(|r| r.seq).collect::<Vec<_>>(),
        [11, 12]
    );
    let Ok(Answer::History(after)) = w.request(ada, 0, page(client::HistoryFrom::After(4))) else {
        panic!()
    };
    assert_eq!(
        after.records.iter().map(|r| r.seq).collect::<Vec<_>>(),
        [5, 6]
    );
}

/// The longest texts there are in JSON.
fn control(bytes: usize) -> String {
    "\u{1}".repeat(bytes)
}

// No frame is longer than a client must accept: the harness looks at each.
#[test]
fn page_bytes_are_those_of_the_form_they_are_sent_in() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let json = w.connect_as(Form::Json, Framing::Message, None);
    w.greet(json, hello("json")).unwrap();
    let place = w.join(json, RoomRef::Lobby).unwrap().place;
    w.disconnect(json);
    for txn in 2..32 {
        w.send(ada, RoomId::LOBBY, txn, &control(16_000)).unwrap();
    }
    // A client that comes back.
    let json = w.connect_as(Form::Json, Framing::Message, None);
    w.greet(json, resuming("json", &[(RoomId::LOBBY, place)]))
        .unwrap();
    assert_eq!(w.texts(json).len(), 30);
    // The history.
    let mut ask = |from| {
        let history = client::History {
            room: RoomId::LOBBY,
            from,
            limit: 0,
        };
        match w.request(json, 0, Op::History(history)) {
            Ok(Answer::History(page)) => page,
            other => panic!("{other:?}"),
        }
    };
    let latest = ask(client::HistoryFrom::Latest);
    let [first, last] = [latest.records.first(), latest.records.last()].map(|r| r.unwrap().seq);
    assert_eq!((first, last), (latest.newest - 1, latest.newest));
    let before = ask(client::HistoryFrom::Before(first));
    assert_eq!(before.records.last().unwrap().seq, first - 1);
    let after = ask(client::HistoryFrom::After(10));
    let seqs: Vec<u64> = after.records.iter().map(|r| r.seq).collect();
    assert_eq!(seqs, [11, 12]);
}

#[test]
fn what_is_told_at_once_fits_into_frames_of_each_form() {
    let mut w = World::with(|config| {
        config.limits.outbox_bytes = 1 << 30;
    });
    let [ada, bob] = ["ada", "bob"].map(|nick| w.in_lobby(nick));
    let json = w.connect_as(Form::Json, Framing::Message, None);
    w.greet(json, hello("json")).unwrap();
    w.join(json, RoomRef::Lobby).unwrap();
    w.records(bob);
    w.hold = true;
    for txn in 2..32 {
        w.ask(ada, txn, txn, send(RoomId::LOBBY, &control(16_000)));
    }
    let before = w.fanouts;
    w.hold = false;
    w.release();
    assert!(w.fanouts - before < 60, "in one batch");
    let texts = w.texts(json);
    assert_eq!((texts.len(), texts == w.texts(bob)), (30, true));
}

#[test]
fn a_page_of_groups_or_members_fits_into_a_frame() {
    let mut w = limited(|limits| {
        (limits.page, limits.rooms_per_member) = (u16::MAX, 1_000);
        limits.topic_bytes = 16_384;
        limits.label_bytes = 8_192;
        limits.presence_names = 1;
        limits.costly_rate = Rate {
            burst: 1_000,
            per_second: 1,
        };
        limits.request_rate = limits.costly_rate;
        limits.written_per_member.burst = u32::MAX;
    });
    let json = w.connect_as(Form::Json, Framing::Message, None);
    let label = "\\".repeat(8_192);
    let hello = |nick: &str| Hello {
        label: label.clone(),
        ..hello(nick)
    };
    w.greet(json, hello("json")).unwrap();
    for txn in 1..=40 {
        let create = client::Create {
            name: None,
            topic: "\\".repeat(16_384),
            cipher: Default::default(),
            key: None,
            history: Default::default(),
            presence: Default::default(),
            password: None,
        };
        w.request(json, txn, Op::Create(create)).unwrap();
    }
    let (mut seen, mut after) = (0, None);
    loop {
        let list = Op::List(client::List { after, limit: 0 });
        let Ok(Answer::List(list)) = w.request(json, 0, list) else {
            panic!()
        };
        seen += list.rooms.len();
        after = list.rooms.last().map(|room| room.number);
        if !list.more {
            break;
        }
    }
    assert_eq!(seen, 40);

    w.join(json, RoomRef::Lobby).unwrap();
    for n in 0..80 {
        let conn = w.connect();
        w.greet(conn, hello(&format!("n{n}"))).unwrap();
        w.join(conn, RoomRef::Lobby).unwrap();
    }
    let (mut seen, mut after) = (0, None);
    loop {
        let members = Op::Members(client::Members {
            room: RoomId::LOBBY,
            after,
            limit: 0,
        });
        let Ok(Answer::Members(page)) = w.request(json, 0, members) else {
            panic!()
        };
        seen += page.members.len();
        after = page.members.last().map(|member| member.member);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, 81);
}

#[test]
fn outbox_bytes() {
    let mut w = limited(|limits| {
        limits.message_bytes = 1_000;
        (limits.frame_bytes, limits.page_bytes, limits.outbox_bytes) = (2_100, 2_100, 4_000);
    });
    let [ada, slow] = ["ada", "slow"].map(|nick| w.in_lobby(nick));
    w.read(slow, false);
    for txn in 2..40 {
        w.send(ada, RoomId::LOBBY, txn, &"x".repeat(900)).unwrap();
    }
    assert!(w.lines[&slow].peak <= 4_000, "{}", w.lines[&slow].peak);
    w.read(slow, true);
    assert_eq!(w.texts(slow).len(), 38);
}

#[test]
fn a_reader_whose_outbox_is_full_is_still_told_that_it_was_put_out() {
    for leaves in [false, true] {
        let mut w = limited(|limits| {
            limits.message_bytes = 1_000;
            (limits.frame_bytes, limits.page_bytes, limits.outbox_bytes) = (2_100, 2_100, 2_100);
        });
        let [boss, slow] = ["boss", "slow"].map(|nick| w.welcome(nick));
        let room = w.create(boss, 1, None).unwrap().room;
        w.join(slow, RoomRef::Id(room)).unwrap();
        w.read(slow, false);
        w.send(boss, room, 2, &"x".repeat(900)).unwrap();
        w.hold = true;
        w.ask(boss, 1, 3, send(room, &"y".repeat(900)));
        w.ask(boss, 2, 4, send(room, &"z".repeat(900)));
        let reason = "r".repeat(400);
        if leaves {
            w.ask(slow, 7, 2, Op::Leave(client::InRoom { room }));
        } else {
            w.ask(
                boss,
                3,
                5,
                Op::Kick(client::Remove {
                    room,
                    target: Peer::Nick("slow".to_owned()),
                    reason,
                }),
            );
        }
        w.hold = false;
        w.release();
        w.read(slow, true);
        let records = w.records(slow);
        let seqs: Vec<u64> = records.iter().map(|(_, record)| record.seq).collect();
        assert!(seqs.windows(2).all(|two| two[1] == two[0] + 1), "{seqs:?}");
        let last = &records.last().unwrap().1.body;
        assert!(
            matches!(last, RecordBody::Kicked(_) | RecordBody::Left(_)),
            "{last:?}"
        );
        if leaves {
            w.answer(slow, 7).unwrap().unwrap();
        }
    }
}

#[test]
fn hello_attempts() {
    let mut w = limited(|limits| limits.hello_attempts = 3);
    let conn = w.connect();
    for _ in 0..2 {
        assert_eq!(
            w.greet(conn, hello("a b")).unwrap_err().code,
            ErrorCode::NickInvalid
        );
        assert_eq!(closing(&mut w, conn), None);
    }
    assert_eq!(
        w.greet(conn, hello("a b")).unwrap_err().code,
        ErrorCode::NickInvalid
    );
    assert_eq!(closing(&mut w, conn), Some(CloseReason::TooManyAttempts));
}

#[test]
fn guesses() {
    let mut w = limited(|limits| {
        limits.guesses_per_room = SlowRate {
            burst: 2,
            every: Duration::from_secs(30),
        };
        limits.guesses_per_address = SlowRate {
            burst: 3,
            every: Duration::from_secs(10),
        };
    });
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let ada = w.welcome("ada");
    for txn in 1..=2 {
        let password = Password::new("secret");
        let (state, request) = ClientRegistration::start(&mut rng, &password);
        let Ok(Answer::Register(answer)) = w.request(
            ada,
            0,
            Op::Register(client::Register {
                room: None,
                request,
            }),
        ) else {
            panic!()
        };
        let (upload, export) = state
            .finish(&mut rng, &password, &answer.response, &Stretch::cheap())
            .unwrap();
        let key = export.wrap(
            &mut rng,
            answer.credential,
            chat_core::id::KeyId([1; 16]),
            &chat_core::cipher::Key([1; 32]),
        );
        let create = client::Create {
            name: None,
            topic: String::new(),
            cipher: CipherKind::RoomPassword,
            key: None,
            history: Default::default(),
            presence: Default::default(),
            password: Some(PasswordRecord {
                credential: answer.credential,
                upload,
                key,
            }),
        };
        w.request(ada, txn, Op::Create(create)).unwrap();
    }
    let guess = |w: &mut World,
                 rng: &mut ChaCha20Rng,
                 conn,
                 room,
                 password: &str|
     -> Result<bool, (ErrorCode, Option<u32>)> {
        let password = Password::new(password);
        let (state, ke1) = ClientLogin::start(rng, &password);
        match w.request(
            conn,
            0,
            Op::Login(client::Login {
                room: RoomRef::Number(room),
                ke1,
            }),
        ) {
            Err(failure) => Err((failure.code, failure.retry_after)),
            Ok(Answer::Login(challenge)) => {
                match state.finish(&password, &challenge.ke2, &Stretch::cheap()) {
                    Err(_) => Ok(false),
                    Ok((ke3, _)) => {
                        let proof = Some(client::Proof {
                            credential: challenge.credential,
                            ke3,
                        });
                        let join = Op::Join(client::Join {
                            room: RoomRef::Number(room),
                            proof,
                        });
                        w.request(conn, 1, join)
                            .map(|_| true)
                            .map_err(|failure| (failure.code, failure.retry_after))
                    }
                }
            }
            Ok(other) => panic!("{other:?}"),
        }
    };
    let eve = from(&mut w, "192.0.2.1");
    w.greet(eve, hello("eve")).unwrap();
    assert_eq!(guess(&mut w, &mut rng, eve, 0, "a"), Ok(false));
    assert_eq!(guess(&mut w, &mut rng, eve, 0, "b"), Ok(false));
    assert_eq!(
        guess(&mut w, &mut rng, eve, 0, "secret"),
        Err((ErrorCode::TooManyGuesses, Some(30_000)))
    );
    assert_eq!(
        guess(&mut w, &mut rng, eve, 1, "c"),
        Ok(false),
        "another room"
    );
    assert_eq!(
        guess(&mut w, &mut rng, eve, 1, "d"),
        Err((ErrorCode::TooManyGuesses, Some(10_000))),
        "but the address has no more"
    );
    // Another address, even a second connection of a member next door, is not locked out, and who
    // is right pays nothing.
    let bob = from(&mut w, "192.0.2.2");
    w.greet(bob, hello("bob")).unwrap();
    for _ in 0..5 {
        assert_eq!(guess(&mut w, &mut rng, bob, 0, "secret"), Ok(true));
    }
    // A malformed login is no guess.
    let junk = Op::Login(client::Login {
        room: RoomRef::Number(1),
        ke1: Bytes::from_static(&[0xff; 96]),
    });
    for _ in 0..5 {
        assert_eq!(w.refusal(bob, 0, junk.clone()), ErrorCode::BadRequest);
    }
    w.pass(30 * SECOND);
    assert_eq!(
        guess(&mut w, &mut rng, eve, 0, "secret"),
        Ok(true),
        "exactly then"
    );
}

#[test]
fn rates_and_their_retry_after_are_exact() {
    let slow = Rate {
        burst: 2,
        per_second: 3,
    };
    let fast = Rate {
        burst: 1_000,
        per_second: 1_000,
    };
    type Case = (fn(&mut Limits, Rate), fn(u64) -> Op);
    let cases: [Case; 3] = [
        (
            |limits, rate| limits.send_rate = rate,
            |_| send(RoomId::LOBBY, "x"),
        ),
        (
            |limits, rate| limits.request_rate = rate,
            |_| {
                Op::List(client::List {
                    after: None,
                    limit: 0,
                })
            },
        ),
        (
            |limits, rate| limits.costly_rate = rate,
            |_| {
                Op::Register(client::Register {
                    room: None,
                    request: Bytes::new(),
                })
            },
        ),
    ];
    for (set, op) in cases {
        let mut w = limited(|limits| {
            (limits.send_rate, limits.request_rate, limits.costly_rate) = (fast, fast, fast);
            limits.written_per_member.burst = u32::MAX;
            limits.written_per_address.burst = u32::MAX;
            set(limits, slow);
        });
        let ada = w.welcome("ada");
        if matches!(op(1), Op::Send(_)) {
            w.join(ada, RoomRef::Lobby).unwrap();
        }
        let code = |w: &mut World, txn| {
            w.request(ada, txn, op(txn))
                .err()
                .map(|failure| (failure.code, failure.retry_after))
        };
        let limited = |answer: Option<(ErrorCode, Option<u32>)>| {
            answer.filter(|(code, _)| *code == ErrorCode::RateLimited)
        };
        assert_eq!(limited(code(&mut w, 2)), None);
        assert_eq!(limited(code(&mut w, 3)), None);
        // A third of a second, in whole milliseconds and never too early.
        assert_eq!(
            limited(code(&mut w, 4)),
            Some((ErrorCode::RateLimited, Some(334)))
        );
        w.pass(Duration::from_millis(333));
        assert_eq!(
            limited(code(&mut w, 4)),
            Some((ErrorCode::RateLimited, Some(1)))
        );
        w.pass(Duration::from_millis(1));
        assert_eq!(limited(code(&mut w, 4)), None);
    }
}

#[test]
fn flood_refusals() {
    let mut w = limited(|limits| {
        limits.flood_refusals = 5;
        limits.request_rate = Rate {
            burst: 1,
            per_second: 1,
        };
    });
    let ada = w.welcome("ada");
    let list = || {
        Op::List(client::List {
            after: None,
            limit: 0,
        })
    };
    w.request(ada, 0, list()).unwrap();
    for round in 0..2 {
        for _ in 0..5 {
            assert_eq!(w.refusal(ada, 0, list()), ErrorCode::RateLimited);
        }
        assert_eq!(closing(&mut w, ada), None);
        if round == 0 {
            w.pass(SECOND);
            w.request(ada, 0, list()).unwrap();
        }
    }
    w.ask(ada, 1, 0, list());
    assert_eq!(
        w.answer(ada, 1).unwrap().unwrap_err().code,
        ErrorCode::RateLimited
    );
    assert_eq!(closing(&mut w, ada), Some(CloseReason::Flood));
    assert_eq!(w.lines[&ada].closed, Some(CloseReason::Flood));
}

#[test]
fn who_floods_with_what_is_refused_as_busy_or_not_refused_at_all_is_closed_as_well() {
    // More than may wait: of those, only so many a second are refused in these words.
    let mut w = limited(|limits| {
        (limits.requests, limits.flood_refusals) = (3, 5);
        (limits.send_rate.burst, limits.send_rate.per_second) = (10, 1);
    });
    let ada = w.in_lobby("ada");
    w.hold = true;
    let codes: Vec<ErrorCode> = (1..=16)
        .filter_map(|id| {
            w.ask(ada, id, 1 + id, send(RoomId::LOBBY, "x"));
            Some(w.answer(ada, id)?.unwrap_err().code)
        })
        .collect();
    let (busy, fast) = codes.split_at(7);
    assert_eq!(busy, [ErrorCode::Busy; 7]);
    assert_eq!(fast, [ErrorCode::RateLimited; 6]);
    assert_eq!(closing(&mut w, ada), Some(CloseReason::Flood));

    let ping = ClientMessage::Ping(client::Ping { nonce: 1 });
    let pong = ClientMessage::Pong(client::Ping { nonce: 1 });
    let closed = ClientMessage::Closed(client::Empty {});
    for (words, answered) in [(ping, true), (pong, false), (closed, false)] {
        for is_in in [true, false] {
            let mut w = limited(|limits| {
                limits.flood_refusals = 5;
                (limits.request_rate.burst, limits.request_rate.per_second) = (10, 1);
            });
            let ada = if is_in { w.welcome("ada") } else { w.connect() };
            for _ in 0..15 {
                w.say(ada, &words);
                assert_eq!(closing(&mut w, ada), None);
            }
            let pongs = w.lines[&ada].inbox.iter();
            let pongs = pongs.filter(|said| matches!(said, ServerMessage::Pong(_)));
            assert_eq!(pongs.count(), if answered { 10 } else { 0 });
            // The flood stops for a second.
            w.pass(SECOND);
            for _ in 0..6 {
                assert_eq!(closing(&mut w, ada), None);
                w.say(ada, &words);
            }
            assert_eq!(closing(&mut w, ada), None);
            w.say(ada, &words);
            assert_eq!(closing(&mut w, ada), Some(CloseReason::Flood));
        }
    }
}

#[test]
fn handshake() {
    let mut w = World::new();
    let conn = w.connect();
    w.pass(5 * SECOND);
    w.greet(conn, hello("a b")).unwrap_err();
    w.pass(5 * SECOND - Duration::from_nanos(1));
    assert_eq!(closing(&mut w, conn), None);
    w.pass(Duration::from_nanos(1));
    assert_eq!(closing(&mut w, conn), Some(CloseReason::HandshakeTimeout));
}

#[test]
fn idle_and_closing() {
    let mut w = World::new();
    let ada = w.welcome("ada");
    w.pass(60 * SECOND);
    w.say(ada, &ClientMessage::Ping(client::Ping { nonce: 1 }));
    w.pass(90 * SECOND - Duration::from_nanos(1));
    assert_eq!(closing(&mut w, ada), None);
    w.pass(Duration::from_nanos(1));
    assert_eq!(closing(&mut w, ada), Some(CloseReason::Idle));
    assert_eq!(w.lines[&ada].closed, None, "it may confirm");
    w.pass(2 * SECOND - Duration::from_nanos(1));
    assert_eq!(w.lines[&ada].closed, None);
    w.pass(Duration::from_nanos(1));
    assert_eq!(w.lines[&ada].closed, Some(CloseReason::Idle));
}

#[test]
fn bytes_of_half_a_frame_are_no_message() {
    let mut w = World::new();
    let ada = w.connect_as(Form::Postcard, Framing::Stream, None);
    w.greet(ada, hello("ada")).unwrap();
    let ping = |w: &mut World| {
        let ping = ClientMessage::Ping(client::Ping { nonce: 1 });
        w.say(ada, &ping);
    };
    w.pass(80 * SECOND);
    ping(&mut w);
    // A frame of 100 bytes, one of them a second.
    w.bytes(ada, &100_u32.to_be_bytes());
    for _ in 0..89 {
        w.pass(SECOND);
        w.bytes(ada, &[0]);
    }
    assert_eq!(closing(&mut w, ada), None);
    w.pass(SECOND);
    assert_eq!(closing(&mut w, ada), Some(CloseReason::Idle));
}

#[test]
fn grace_membership_and_kept_membership() {
    for (kept, rest) in [(false, 3_600), (true, 90 * 24 * 3_600)] {
        let mut w = World::new();
        let ada = w.in_lobby("ada");
        let bob = w.connect();
        w.greet(
            bob,
            Hello {
                kept,
                ..hello("bob")
            },
        )
        .unwrap();
        w.join(bob, RoomRef::Lobby).unwrap();
        w.disconnect(bob);
        let thief = Hello {
            nick: "bob".to_owned(),
            ..hello("mallory")
        };
        let other = w.connect();
        w.pass(30 * SECOND - Duration::from_nanos(1));
        w.disconnect(other);
        let other = w.connect();
        assert_eq!(
            w.greet(other, thief.clone()).unwrap_err().code,
            ErrorCode::NickTaken
        );
        w.pass(Duration::from_nanos(1));
        w.greet(other, thief).unwrap();
        w.records(ada);
        let left = |w: &mut World| {
            w.records(ada)
                .iter()
                .any(|(_, r)| matches!(r.body, RecordBody::Left(_)))
        };
        let mut passed = 0;
        while passed < rest - 60 {
            let some = (rest - 60 - passed).min(if kept { 86_400 } else { 80 });
            if kept {
                // Nobody needs to be there: what is wanted is the log.
                w.pass(some * SECOND);
            } else {
                w.pass_with(&[ada], some * SECOND);
            }
            passed += some;
        }
        let listener = if kept { w.in_lobby("cy") } else { ada };
        w.records(listener);
        w.pass_with(&[listener], 59 * SECOND);
        let gone = |w: &mut World| {
            w.records(listener)
                .iter()
                .any(|(_, r)| matches!(r.body, RecordBody::Left(_)) && r.nick == "bob")
        };
        assert!(!gone(&mut w), "too early");
        // By the wall clock, which is told in milliseconds.
        w.pass(SECOND + Duration::from_millis(1));
        assert!(gone(&mut w), "in time");
        let _ = left;
    }
}

#[test]
fn contradictions_are_refused() {
    Limits::default().check().unwrap();
    type Set = fn(&mut Limits);
    let cases: &[(&str, Set)] = &[
        ("connections", |l| l.connections = 0),
        ("connections_per_address", |l| l.connections_per_address = 0),
        ("sessions_per_member", |l| l.sessions_per_member = 0),
        ("message_bytes", |l| l.message_bytes = 0),
        ("nick_bytes", |l| l.nick_bytes = 0),
        ("label_bytes", |l| l.label_bytes = 0),
        ("name_bytes", |l| l.name_bytes = 0),
        ("topic_bytes", |l| l.topic_bytes = 0),
        ("rooms", |l| l.rooms = 0),
        ("rooms_per_member", |l| l.rooms_per_member = 0),
        ("members_per_room", |l| l.members_per_room = 0),
        ("sanctions_per_room", |l| l.sanctions_per_room = 0),
        ("presence_names", |l| l.presence_names = 0),
        ("requests", |l| l.requests = 0),
        ("page", |l| l.page = 0),
        ("hello_attempts", |l| l.hello_attempts = 0),
        ("guesses_per_room", |l| l.guesses_per_room.burst = 0),
        ("guesses_per_room", |l| {
            l.guesses_per_room.every = Duration::ZERO
        }),
        ("guesses_per_address", |l| l.guesses_per_address.burst = 0),
        ("newcomers_per_address", |l| {
            l.newcomers_per_address.burst = 0
        }),
        ("groups_per_address", |l| {
            l.groups_per_address.every = Duration::ZERO
        }),
        ("send_rate", |l| l.send_rate.burst = 0),
        ("send_rate", |l| l.send_rate.per_second = 0),
        ("request_rate", |l| l.request_rate.burst = 0),
        ("costly_rate", |l| l.costly_rate.per_second = 0),
        ("flood_refusals", |l| l.flood_refusals = 0),
        ("handshake", |l| l.handshake = Duration::ZERO),
        ("ping", |l| l.ping = Duration::ZERO),
        ("idle", |l| l.idle = Duration::ZERO),
        ("grace", |l| l.grace = Duration::ZERO),
        ("membership", |l| l.membership = Duration::ZERO),
        ("kept_membership", |l| l.kept_membership = Duration::ZERO),
        ("closing", |l| l.closing = Duration::ZERO),
        ("presence_interval", |l| {
            l.presence_interval = Duration::ZERO
        }),
        ("frame_bytes", |l| l.frame_bytes = l.message_bytes + 1_023),
        ("page_bytes", |l| l.page_bytes = l.frame_bytes - 1),
        ("request_bytes", |l| l.request_bytes = l.frame_bytes - 1),
        ("page_bytes", |l| {
            (l.page_bytes, l.outbox_bytes) = (524_289, 600_000)
        }),
        ("outbox_bytes", |l| l.outbox_bytes = l.page_bytes - 1),
        // Each of these would make frames that no client must accept.
        ("message_bytes", |l| {
            (l.message_bytes, l.frame_bytes, l.page_bytes) = (200_000, 202_000, 262_144)
        }),
        ("presence_names", |l| l.presence_names = 3_000),
        ("sessions_per_member", |l| l.sessions_per_member = 17),
        ("rooms_per_member", |l| l.rooms_per_member = 8_193),
        ("idle", |l| l.idle = 2 * l.ping - Duration::from_millis(1)),
    ];
    for (name, set) in cases {
        let mut limits = Limits::default();
        set(&mut limits);
        assert_eq!(limits.check().expect_err(name).name, *name);
        let mut config = config();
        config.limits = limits;
        let now = chat_core::time::Now {
            monotonic: Default::default(),
            wall: Default::default(),
        };
        assert!(
            chat_core::hub::Hub::new(config, now, &mut chat_core::hub::Outputs::new()).is_err()
        );
    }
}

#[test]
fn a_content_of_any_form_is_measured() {
    let mut w = World::with(|config| {
        config.lobby = Some(CipherKind::Caesar);
        config.limits.message_bytes = 8;
    });
    let ada = w.in_lobby("ada");
    let say = |content| {
        Op::Send(client::Send {
            room: RoomId::LOBBY,
            action: true,
            content,
        })
    };
    w.request(ada, 2, say(Content::caesar("12345678"))).unwrap();
    assert_eq!(
        w.refusal(ada, 3, say(Content::caesar("123456789"))),
        ErrorCode::MessageTooLarge
    );
}

fn lobby_history() -> Op {
    Op::History(client::History {
        room: RoomId::LOBBY,
        from: client::HistoryFrom::Latest,
        limit: 0,
    })
}

#[test]
fn a_page_is_made_when_there_is_room_for_it() {
    let mut w = limited(|limits| {
        limits.message_bytes = 1_000;
        (limits.frame_bytes, limits.page_bytes, limits.outbox_bytes) = (2_100, 2_100, 4_000);
    });
    let [reader, deaf] = ["reader", "deaf"].map(|nick| w.in_lobby(nick));
    for txn in 2..40 {
        w.send(reader, RoomId::LOBBY, txn, &"x".repeat(900))
            .unwrap();
    }
    for conn in [reader, deaf] {
        w.read(conn, false);
        for id in 100..140 {
            w.ask(conn, id, 0, lobby_history());
        }
    }
    let (action, content) = (false, Content::plain("said after all that"));
    let send = client::Send {
        room: RoomId::LOBBY,
        action,
        content,
    };
    w.ask(reader, 140, 140, Op::Send(send));
    // No more than half of an outbox waited when the last page was made, which is the first here.
    for conn in [reader, deaf] {
        assert!(
            w.lines[&conn].peak < 2_000 + 2_400,
            "{}",
            w.lines[&conn].peak
        );
    }
    w.lines.get_mut(&reader).unwrap().inbox.clear();
    w.read(reader, true);
    let inbox = &w.lines[&reader].inbox;
    let answers = inbox.iter().filter_map(|message| match message {
        ServerMessage::Ok(done) => Some(done.id),
        _ => None,
    });
    // The message waits for the pages before it, but for the last: that one is being read.
    let (pages, message): (Vec<_>, Vec<_>) = answers.partition(|id| *id < 140);
    assert_eq!(pages, (100..140).collect::<Vec<_>>());
    assert_eq!(message, [140]);
    // Its pings would not be read either.
    w.pass_with(&[reader], 95 * SECOND);
    assert_eq!(w.lines[&deaf].closed, Some(CloseReason::Idle));
}
