//! Joins under way, here or at another hub: the directory lists the room, and the room has not let its member in yet.
//!
//! A member that reconnects meanwhile gets one answer about the room, when it is known how the join ends.

use core::time::Duration;

use super::{Hub, io::Outputs, rooms::Task, timers::Timer};
use crate::{
    id::{ConnId, MemberId, RoomId},
    time::{Monotonic, Now},
};

/// How long a join may be under way: the hub that was asked for it may have ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// A join under way.
#[derive(Debug)]
pub(super) struct Entering {
    until: Monotonic,
    /// The connection that waits for its end.
    waiting: Option<ConnId>,
}

impl Entering {
    /// Whether this connection waits for its end.
    pub(super) fn waits(&self, conn: ConnId) -> bool {
        self.waiting == Some(conn)
    }
}

impl Hub {
    /// The directory lists a room for a member that may not be in it yet.
    pub(super) fn begins_to_enter(&mut self, now: Now, id: RoomId, member: MemberId) {
        let room = self.rooms.get(&id);
        if room.is_some_and(|room| room.pipe.state.members.contains_key(&member)) {
            return;
        }
        let before = self.entered(id, member);
        let until = now.monotonic + PATIENCE;
        let waiting = before.and_then(|before| before.waiting);
        self.timers.arm(until, Timer::Entering(member, id));
        let entering = Entering { until, waiting };
        self.entering.insert((member, id), entering);
    }

    /// Whether a connection waits for the end of a join by its member, as it does from now on.
    pub(super) fn waits_to_enter(&mut self, id: RoomId, member: MemberId, conn: ConnId) -> bool {
        let entering = self.entering.get_mut(&(member, id));
        entering
            .map(|entering| entering.waiting = Some(conn))
            .is_some()
    }

    /// A join has ended: the member is in.
    pub(super) fn entered(&mut self, id: RoomId, member: MemberId) -> Option<Entering> {
        let entering = self.entering.remove(&(member, id))?;
        self.timers
            .disarm(entering.until, Timer::Entering(member, id));
        Some(entering)
    }

    /// A join has come to nothing, or nothing is heard of it: a connection that waits is told what is so.
    pub(super) fn entering_over(
        &mut self,
        now: Now,
        id: RoomId,
        member: MemberId,
        out: &mut Outputs,
    ) {
        let waiting = self.entered(id, member).and_then(|over| over.waiting);
        if let Some(conn) = waiting
            && self.online.get(&member) == Some(&conn)
        {
            let (resume, looks) = (None, 0);
            self.with_room(
                now,
                id,
                Task::Attach {
                    conn,
                    resume,
                    looks,
                },
                out,
            );
        }
    }
}
