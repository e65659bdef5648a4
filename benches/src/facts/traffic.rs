//! The writes of hubs to their log and their words to each other, per action of members. Two hubs,
//! of one seed: the figures are the same each time.

use std::time::Duration;

use chat_core::{id::RoomId, wire::client::Resume};

use crate::hub::world::{Peer, Traffic, World};

/// Longer than the grace period, and all that follows it.
const GRACE: Duration = Duration::from_secs(45);

/// The writes and words of one action.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// For what.
    pub what: &'static str,
    /// So many times.
    pub times: u64,
    /// In all.
    pub traffic: Traffic,
}

/// The facts of a server on which so many are connected to a hub that dies.
pub fn all(people: u32) -> Vec<Fact> {
    let mut facts = of_one_room();
    facts.push(rename());
    facts.extend(deaths(people));
    facts
}

/// As a table in Markdown.
pub fn table(facts: &[Fact]) -> String {
    let mut out = String::from(
        "| what | appends | records | bytes of the log | words | their bytes |\n|---|---|---|---|---|---|\n",
    );
    for Fact {
        what,
        times,
        traffic,
    } in facts
    {
        let each = |count: u64| count as f64 / *times as f64;
        out += &format!(
            "| {what} | {:.2} | {:.2} | {:.1} | {:.2} | {:.1} |\n",
            each(traffic.appends),
            each(traffic.records),
            each(traffic.bytes),
            each(traffic.words),
            each(traffic.word_bytes)
        );
    }
    out
}

fn fact(world: &mut World, what: &'static str, times: u64, work: impl FnOnce(&mut World)) -> Fact {
    world.settle();
    let before = world.traffic;
    work(world);
    world.settle();
    let traffic = world.traffic.since(before);
    Fact {
        what,
        times,
        traffic,
    }
}

/// The actions of a hundred people in a room of a hundred.
fn of_one_room() -> Vec<Fact> {
    let mut world = World::with_hubs(2, 1_000);
    let (first, room) = filled(&mut world, 100);
    let mut new: Vec<Peer> = Vec::new();
    let hello = fact(&mut world, "a newcomer's hello", 100, |world| {
        new.extend((0..100).map(|_| world.welcome()));
    });
    let (alone, together) = new.split_at(50);
    let alone = fact(&mut world, "a join, nothing else being done", 50, |world| {
        for peer in alone {
            world.join(*peer, room);
            world.settle();
        }
    });
    let together = fact(&mut world, "a join, one of fifty at once", 50, |world| {
        for peer in together {
            world.join(*peer, room);
        }
    });
    let said = fact(&mut world, "a message of 64 bytes", 100, |world| {
        for _ in 0..100 {
            world.say(first, room);
        }
    });
    let place = world.head(room);
    let back = |world: &mut World, peer: &mut Peer| {
        world.disconnect(*peer);
        world.pass(Duration::from_secs(5));
        *peer = world.again(*peer, vec![Resume { room, place }]);
    };
    let same = fact(&mut world, "a reconnect", 100, |world| {
        new.iter_mut().for_each(|peer| back(world, peer));
    });
    world.enter_at(1);
    let other = fact(&mut world, "a reconnect at another hub", 100, |world| {
        new.iter_mut().for_each(|peer| back(world, peer));
    });
    let left = fact(&mut world, "a leave", 50, |world| {
        new[..50].iter().for_each(|peer| world.leave(*peer, room));
    });
    let gone = fact(&mut world, "a bye out of a room", 50, |world| {
        for peer in &new[50..] {
            world.bye(*peer);
            world.settle();
        }
    });
    vec![hello, alone, together, said, same, other, left, gone]
}

/// By a member of ten rooms.
fn rename() -> Fact {
    let mut world = World::with_hubs(2, 1_000);
    let peer = world.welcome();
    for _ in 0..10 {
        let (_, room) = filled(&mut world, 10);
        world.join(peer, room);
    }
    fact(
        &mut world,
        "a rename by a member of ten rooms",
        10,
        |world| {
            for number in 0..10 {
                world.rename(peer, &format!("name{number}"));
            }
        },
    )
}

/// A hub dies, with the connections of so many people in rooms of a hundred; nobody comes back, or
/// all do.
fn deaths(people: u32) -> [Fact; 4] {
    let [dies, gone] = {
        let (mut world, _) = crowd(people);
        let dies = fact(&mut world, "a hub that dies with its people", 1, |world| {
            world.kill(0);
        });
        let gone = fact(
            &mut world,
            "… who do not come back, all together",
            1,
            |world| {
                world.pass(GRACE);
            },
        );
        [dies, gone]
    };
    let (mut world, away) = crowd(people);
    world.kill(0);
    let times = away.len() as u64;
    let back = fact(&mut world, "… or come back, each", times, |world| {
        for (peer, resume) in away {
            world.again(peer, vec![resume]);
        }
    });
    let after = fact(&mut world, "… and afterwards, all together", 1, |world| {
        world.pass(GRACE);
    });
    [dies, gone, back, after]
}

/// So many people at the first hub, and one of each room at the second; the former, and what they
/// would come back with.
fn crowd(people: u32) -> (World, Vec<(Peer, Resume)>) {
    let mut world = World::with_hubs(2, 1_000);
    let mut away = Vec::new();
    for _ in 0..people / 100 {
        world.enter_at(1);
        let first = world.welcome();
        let room = world.create(first);
        world.enter_at(0);
        let peers: Vec<Peer> = (0..100).map(|_| world.welcome()).collect();
        peers.iter().for_each(|peer| world.join(*peer, room));
        let place = world.head(room);
        away.extend(peers.into_iter().map(|peer| (peer, Resume { room, place })));
    }
    world.settle();
    world.enter_at(1);
    (world, away)
}

/// A room of so many; the first of them, and the room.
fn filled(world: &mut World, members: u32) -> (Peer, RoomId) {
    let first = world.welcome();
    let room = world.create(first);
    for _ in 1..members {
        let peer = world.welcome();
        world.join(peer, room);
    }
    (first, room)
}
