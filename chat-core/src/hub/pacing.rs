//! Pages of rooms, members and history: a connection is made one at a time, when its outbox has
//! room for it. So a client that asks for fifty pages at once has all of them as fast as it reads,
//! and for one that does not read no more than one waits.

use super::{
    Hub,
    answers::Origin,
    io::{Output, Outputs},
};
use crate::{
    few::Seldom,
    id::ConnId,
    time::Now,
    wire::client::{Op, Request},
};

/// Whether the answer is a page, which may be long.
fn asks_for_page(op: &Op) -> bool {
    matches!(op, Op::List(_) | Op::Members(_) | Op::History(_))
}

impl Hub {
    /// Keeps a request for a page until there is room for it, and any other until those before it
    /// go on; gives back what need not wait.
    pub(super) fn pace(
        &mut self,
        mut origin: Origin,
        request: Request,
    ) -> Option<(Origin, Request)> {
        let guest = self.sessions.guest_mut(origin.conn)?;
        origin.paced = asks_for_page(&request.op);
        let waits = origin.paced && guest.answering;
        if waits || guest.waiting.get().is_some() {
            guest.waiting.make().push_back((origin, request));
            return None;
        }
        guest.answering |= origin.paced;
        Some((origin, request))
    }

    /// A request is answered. After a page, the next one waits until there is room for it.
    pub(super) fn ask_for_credit(&self, origin: Origin, out: &mut Outputs) {
        if origin.paced {
            out.push(Output::Credit { conn: origin.conn });
        }
    }

    /// There is room for one more page.
    pub(super) fn credit(&mut self, now: Now, conn: ConnId, out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let Some(guest) = &mut session.guest else {
            return;
        };
        // The client has read its page. Its words meanwhile were not read, so this counts in their
        // place.
        session.heard = now.monotonic;
        guest.answering = false;
        while let Some(guest) = self.sessions.guest_mut(conn)
            && let Some(waiting) = guest.waiting.get_mut()
        {
            if guest.answering && waiting.front().is_some_and(|(origin, _)| origin.paced) {
                return;
            }
            let Some((origin, request)) = waiting.pop_front() else {
                guest.waiting = Seldom::default();
                return;
            };
            guest.answering |= origin.paced;
            let member = guest.member;
            self.dispatch(now, origin, member, request, out);
        }
    }
}
