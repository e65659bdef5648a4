//! The counted cases of the hub: each prepares a world and hands back the work, which can be
//! done again and again.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use chat_core::{
    id::{MemberId, RequestHash, RoomId, Secret, SessionId},
    keys::DeviceKeys,
    time::Wall,
    wire::{
        ClientMessage, Form, ServerMessage,
        client::Resume,
        record::{Content, Message, Record, RecordBody},
        server::Records,
    },
};

use super::world::World;
use crate::payload::Stamp;

/// Something to count.
pub struct Case {
    /// Its name in the record.
    pub name: &'static str,
    /// How often the work does what is counted.
    pub times: u64,
    /// The counted work, in words.
    pub what: &'static str,
    /// Makes everything ready; the result is the work.
    pub prepare: fn() -> Box<dyn FnMut()>,
}

/// All of them.
pub const CASES: [Case; 18] = [
    Case {
        name: "broadcast_10",
        times: 100,
        what: "a message to 10 members",
        prepare: || broadcast(10),
    },
    Case {
        name: "broadcast_1000",
        times: 100,
        what: "a message to 1,000 members",
        prepare: || broadcast(1_000),
    },
    Case {
        name: "broadcast_10000",
        times: 100,
        what: "a message to 10,000 members",
        prepare: || broadcast(10_000),
    },
    Case {
        name: "join_leave_10",
        times: 20,
        what: "a join and a leave in a room of 10",
        prepare: || join_leave(10),
    },
    Case {
        name: "join_leave_10000",
        times: 20,
        what: "a join and a leave in a room of 10,000",
        prepare: || join_leave(10_000),
    },
    Case {
        name: "decode_send",
        times: 1_000,
        what: "decoding a request to send 64 bytes",
        prepare: decode,
    },
    Case {
        name: "encode_record",
        times: 1_000,
        what: "encoding a frame with one message of 64 bytes",
        prepare: encode,
    },
    Case {
        name: "connect_bye",
        times: 50,
        what: "connecting, a guest's hello, welcome, bye",
        prepare: connect,
    },
    Case {
        name: "connect_keys_bye",
        times: 50,
        what: "the same with keys, and with all that the client signs and verifies but the proof",
        prepare: connect_with_keys,
    },
    Case {
        name: "resume_50",
        times: 10,
        what: "breaking, coming back and catching up with 50 messages",
        prepare: resume,
    },
    Case {
        name: "resume_100_rooms",
        times: 10,
        what: "breaking and coming back to 100 rooms in which nothing was said",
        prepare: resume_rooms,
    },
    Case {
        name: "create_10000",
        times: 20,
        what: "making a room, where 10,000 members of other rooms are known",
        prepare: create,
    },
    Case {
        name: "connect_join_100",
        times: 100,
        what: "connecting, hello and a join, in a room that grows from 100 to 200",
        prepare: connect_join,
    },
    Case {
        name: "timeout_100",
        times: 100,
        what: "setting one timer and running it, beside 100 quiet connections",
        prepare: || timeout(100),
    },
    Case {
        name: "timeout_10000",
        times: 100,
        what: "setting one timer and running it, beside 10,000 quiet connections",
        prepare: || timeout(10_000),
    },
    Case {
        name: "timeout_100000",
        times: 100,
        what: "setting one timer and running it, beside 100,000 quiet connections",
        prepare: || timeout(100_000),
    },
    Case {
        name: "quiet_1000",
        times: 60,
        what: "a second with 1,000 quiet connections, and a message to 100",
        prepare: || quiet(1_000),
    },
    Case {
        name: "quiet_10000",
        times: 60,
        what: "a second with 10,000 quiet connections, and a message to 100",
        prepare: || quiet(10_000),
    },
];

/// The case of this name.
pub fn named(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

/// A room of so many, in which one talks.
pub fn broadcast(members: u32) -> Box<dyn FnMut()> {
    let (mut world, first, room) = World::with_room(members);
    // The windows and queues are as full as they get.
    for _ in 0..2_500 {
        world.say(first, room);
    }
    Box::new(move || {
        for _ in 0..100 {
            world.say(first, room);
        }
    })
}

fn join_leave(members: u32) -> Box<dyn FnMut()> {
    let (mut world, _, room) = World::with_room(members);
    let peer = world.welcome();
    Box::new(move || {
        for _ in 0..20 {
            world.join(peer, room);
            world.leave(peer, room);
        }
        world.settle();
    })
}

fn decode() -> Box<dyn FnMut()> {
    let frame = World::new().saying(RoomId([9; 16]));
    let body: Bytes = frame.body();
    Box::new(move || {
        for _ in 0..1_000 {
            let message: Result<ClientMessage, _> = Form::Postcard.decode(black_box(&body));
            assert!(black_box(message).is_ok());
        }
    })
}

fn encode() -> Box<dyn FnMut()> {
    let text = Stamp {
        sender: 1,
        number: 1,
        time: 1,
    };
    let text = String::from_utf8(text.to_bytes().to_vec()).expect("it is printable");
    let body = RecordBody::Message(Message {
        content: Content::plain(text),
    });
    let message = ServerMessage::Records(Records {
        room: RoomId([9; 16]),
        epoch: 1 << 50,
        records: vec![Record {
            member: MemberId([8; 16]),
            session: SessionId(1 << 52),
            txn: 1_000,
            hash: RequestHash(1 << 31),
            nick: "m1000".to_owned(),
            ..Record::by_server(1_000, Wall(1_700_000_000_000), body)
        }],
    });
    Box::new(move || {
        for _ in 0..1_000 {
            black_box(Form::Postcard.encode(black_box(&message)));
        }
    })
}

fn connect() -> Box<dyn FnMut()> {
    let mut world = World::new();
    Box::new(move || {
        for _ in 0..50 {
            let peer = world.welcome();
            world.bye(peer);
        }
    })
}

fn connect_with_keys() -> Box<dyn FnMut()> {
    let mut world = World::new();
    let keys = DeviceKeys::from_secret(&Secret([1; 32]));
    Box::new(move || {
        for _ in 0..50 {
            let peer = world.welcome_with(&keys);
            world.bye(peer);
        }
    })
}

fn connect_join() -> Box<dyn FnMut()> {
    // The first time is for warming up: each time has a room of its own.
    let (mut world, _, first) = World::with_room(100);
    let maker = world.welcome();
    let second = world.create(maker);
    for _ in 1..100 {
        let peer = world.welcome();
        world.join(peer, second);
    }
    world.settle();
    let mut rooms = [second, first].into_iter().cycle();
    Box::new(move || {
        let room = rooms.next().expect("they go round");
        for _ in 0..100 {
            let peer = world.welcome();
            world.join(peer, room);
        }
    })
}

/// Connections that say nothing, and one after the other that is cut off because it does not even
/// say hello.
fn timeout(quiet: u32) -> Box<dyn FnMut()> {
    let mut world = World::new();
    for _ in 0..quiet {
        world.welcome();
    }
    world.settle();
    Box::new(move || {
        for _ in 0..100 {
            world.stranger();
        }
    })
}

fn resume() -> Box<dyn FnMut()> {
    let (mut world, first, room) = World::with_room(100);
    let mut peer = world.welcome();
    world.join(peer, room);
    Box::new(move || {
        for _ in 0..10 {
            let place = world.head(room);
            world.disconnect(peer);
            for _ in 0..50 {
                world.say(first, room);
            }
            peer = world.again(peer, vec![Resume { room, place }]);
        }
    })
}

fn resume_rooms() -> Box<dyn FnMut()> {
    let mut world = World::new();
    let maker = world.welcome();
    let mut peer = world.welcome();
    let rooms: Vec<RoomId> = (0..100).map(|_| world.create(maker)).collect();
    for room in &rooms {
        world.join(peer, *room);
    }
    world.settle();
    let resume = rooms.into_iter().map(|room| Resume {
        room,
        place: world.head(room),
    });
    let resume: Vec<Resume> = resume.collect();
    Box::new(move || {
        for _ in 0..10 {
            world.disconnect(peer);
            peer = world.again(peer, resume.clone());
        }
    })
}

fn create() -> Box<dyn FnMut()> {
    let (mut world, first, _) = World::with_rooms(100, 100);
    Box::new(move || {
        for _ in 0..20 {
            world.create(first);
            world.settle();
        }
    })
}

/// Connections in rooms of a hundred, of which one says something every second, and the timer is
/// run when it asks for it.
fn quiet(connections: u32) -> Box<dyn FnMut()> {
    let (mut world, first, room) = World::with_rooms(connections / 100, 100);
    Box::new(move || {
        for _ in 0..60 {
            world.say(first, room);
            world.pass(Duration::from_secs(1));
        }
    })
}
