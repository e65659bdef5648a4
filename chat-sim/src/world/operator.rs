//! The operator of a closed house: has hubs make invitations, hands them out, and revokes some.

use core::time::Duration;
use std::collections::BTreeMap;

use chat_core::{
    hub::{Input, Order, OrderDone, OrderOutcome, OrderToken},
    invite::{InviteId, NewInvite},
};

use super::World;
use crate::{
    happening::{Course, Happening},
    time::MS,
};

/// The last invitation: for all that are outside when the faults are over, and for longer than
/// clocks jump.
const FOR_ALL: NewInvite = NewInvite {
    uses: 100_000,
    lasts: Duration::from_secs(365 * 24 * 3_600),
    room: None,
};

/// The memory of the operator.
#[derive(Debug, Default)]
pub(super) struct Operator {
    last: u64,
    /// Orders without an outcome.
    asked: BTreeMap<OrderToken, Asked>,
    /// Invitations that were handed out.
    made: Vec<InviteId>,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Invite,
    InviteAll,
    Revoke(InviteId),
}

impl World {
    /// A hub is to make an invitation.
    pub(super) fn invite(&mut self, hub: usize, uses: u32, ms: u32) {
        let new = NewInvite {
            uses,
            lasts: Duration::from_millis(ms.into()),
            room: None,
        };
        self.order(hub, Asked::Invite, Order::Invite(new));
    }

    /// A hub is to make an invitation for all.
    pub(super) fn invite_all(&mut self) {
        if self.turn.shape.closed {
            self.order(0, Asked::InviteAll, Order::Invite(FOR_ALL));
        }
    }

    /// A hub is to revoke an invitation, if one was made.
    pub(super) fn revoke(&mut self, hub: usize, pick: u32) {
        let made = &self.operator.made;
        if !made.is_empty() {
            let id = made[pick as usize % made.len()];
            self.order(hub, Asked::Revoke(id), Order::Revoke(id));
        }
    }

    fn order(&mut self, hub: usize, asked: Asked, order: Order) {
        if !self.hubs.is_up(hub) {
            return;
        }
        self.operator.last += 1;
        let token = OrderToken(self.operator.last);
        self.operator.asked.insert(token, asked);
        self.turn
            .book
            .note(|| format!("the operator asks hub {hub}: {asked:?}"));
        self.tell_hub(hub, Input::Order { token, order });
    }

    /// A hub has done an order, or says why not.
    pub(super) fn ordered(&mut self, token: OrderToken, outcome: OrderOutcome) {
        let asked = self.operator.asked.remove(&token);
        let book = &mut self.turn.book;
        book.note(|| format!("the operator hears of {asked:?}: {outcome:?}"));
        let known = asked.is_some();
        book.check("an order has one outcome", known, || format!("{token:?}"));
        let Some(asked) = asked else {
            return;
        };
        let truth = self.log.truth();
        // With its end the log loses what was ordered.
        let whole = truth.directory_is_whole();
        match (asked, outcome) {
            (Asked::Invite | Asked::InviteAll, Ok(OrderDone::Invited(made))) => {
                let id = made.secret.id();
                let is_made = truth.directory.has_invite(id) || !whole;
                book.check("what was ordered is done", is_made, || format!("{asked:?}"));
                self.operator.made.push(id);
                self.people.is_handed_out(made.secret);
            }
            (Asked::Revoke(id), Ok(OrderDone::Revoked)) => {
                let is_revoked = !truth.directory.has_invite(id) || !whole;
                book.check("what was ordered is done", is_revoked, || {
                    format!("{asked:?}")
                });
            }
            (Asked::InviteAll, Err(_)) => {
                let again = Happening::Course(Course::InviteAll);
                self.turn.soon(500 * MS, again);
            }
            (_, Err(_)) => book.saw("an order refused"),
            (asked, Ok(done)) => book.fail("what was ordered is done", || {
                format!("{asked:?}: {done:?}")
            }),
        }
    }
}
