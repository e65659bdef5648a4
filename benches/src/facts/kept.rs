//! A hub's memory for members who are away, and for empty rooms.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::hub::world::World;

/// Rooms of one maker.
const EACH: u32 = 50;

/// Longer than the grace period, and than rooms stay loaded.
const LONG: Duration = Duration::from_secs(300);

/// So many members of this world, each in one of so many rooms; the makers of the rooms, one for
/// each fifty, are in all of theirs. All are gone, and their names are free.
pub fn left_behind(mut world: World, members: u32, rooms: u32) -> World {
    let mut made = Vec::new();
    while made.len() < rooms as usize {
        let maker = world.welcome();
        for _ in 0..EACH {
            made.push(world.create(maker));
        }
        world.disconnect(maker);
        world.settle();
    }
    for number in 0..members {
        let peer = world.welcome();
        world.join(peer, made[number as usize % made.len()]);
        world.disconnect(peer);
        if number % 10_000 == 9_999 {
            // Neither all are away at once nor are all rooms loaded.
            world.pass(LONG);
        }
    }
    world.pass(LONG);
    world
}

/// The cost of each in memory, as far as the hub has asked for it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// Bytes of one more member of a room.
    pub member: f64,
    /// Bytes of one more room, with the membership of its maker.
    pub room: f64,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { member, room } = self;
        write!(
            f,
            "kept of a member: {member:.0} bytes; of a room: {room:.0} bytes"
        )
    }
}

impl Kept {
    /// Measures it, by what hubs give back at their end. `given_back` does something, and says how
    /// many bytes that has given back.
    pub fn measure(given_back: impl Fn(&mut dyn FnMut()) -> i64) -> Self {
        let bytes = |members, rooms| {
            let mut world = left_behind(World::with_hubs(1, 1_000), members, rooms);
            given_back(&mut || world.end_hubs()) as f64
        };
        let (few, more) = (bytes(10_000, 1_000), bytes(30_000, 1_000));
        let rooms = bytes(10_000, 11_000);
        Self {
            member: (more - few) / 20_000.0,
            room: (rooms - few) / 10_000.0,
        }
    }
}
