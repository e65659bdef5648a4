//! The operator of a closed house: has hubs make invitations, hands them out, and revokes some.

use core::time::Duration;
use std::collections::BTreeMap;

use chat_core::{
    hub::{Order, OrderDone, OrderOutcome, OrderToken},
    invite::{InviteId, InviteSecret, NewInvite},
};

use crate::{
    happening::{Course, Happening},
    reference_model::Truth,
    time::MS,
    turn::Turn,
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

impl Operator {
    /// The order for an invitation.
    pub(super) fn invites(&mut self, turn: &mut Turn, uses: u32, ms: u32) -> (OrderToken, Order) {
        let new = NewInvite {
            uses,
            lasts: Duration::from_millis(ms.into()),
            room: None,
        };
        self.asks(turn, Asked::Invite, Order::Invite(new))
    }

    /// The order for an invitation of all.
    pub(super) fn invites_all(&mut self, turn: &mut Turn) -> (OrderToken, Order) {
        self.asks(turn, Asked::InviteAll, Order::Invite(FOR_ALL))
    }

    /// The order that revokes an invitation, if one was handed out.
    pub(super) fn revokes(&mut self, turn: &mut Turn, pick: u32) -> Option<(OrderToken, Order)> {
        let which = pick as usize % self.made.len().max(1);
        let id = *self.made.get(which)?;
        Some(self.asks(turn, Asked::Revoke(id), Order::Revoke(id)))
    }

    fn asks(&mut self, turn: &mut Turn, asked: Asked, order: Order) -> (OrderToken, Order) {
        self.last += 1;
        let token = OrderToken(self.last);
        self.asked.insert(token, asked);
        turn.book.note(|| format!("the operator orders: {asked:?}"));
        (token, order)
    }

    /// A hub has done an order, or says why not. The invitation to be handed out.
    pub(super) fn hears(
        &mut self,
        turn: &mut Turn,
        token: OrderToken,
        outcome: OrderOutcome,
        truth: &Truth,
    ) -> Option<InviteSecret> {
        let asked = self.asked.remove(&token);
        let book = &mut turn.book;
        book.note(|| format!("the operator hears of {asked:?}: {outcome:?}"));
        let known = asked.is_some();
        book.check("an order has one outcome", known, || format!("{token:?}"));
        let asked = asked?;
        // With its end the log loses what was ordered.
        let whole = truth.directory_is_whole();
        match (asked, outcome) {
            (Asked::Invite | Asked::InviteAll, Ok(OrderDone::Invited(made))) => {
                let id = made.secret.id();
                let is_made = truth.directory.has_invite(id) || !whole;
                book.check("what was ordered is done", is_made, || format!("{asked:?}"));
                self.made.push(id);
                return Some(made.secret);
            }
            (Asked::Revoke(id), Ok(OrderDone::Revoked)) => {
                let is_revoked = !truth.directory.has_invite(id) || !whole;
                book.check("what was ordered is done", is_revoked, || {
                    format!("{asked:?}")
                });
            }
            (Asked::InviteAll, Err(_)) => {
                let again = Happening::Course(Course::InviteAll);
                turn.soon(500 * MS, again);
            }
            (_, Err(_)) => book.saw("an order refused"),
            (asked, Ok(done)) => book.fail("what was ordered is done", || {
                format!("{asked:?}: {done:?}")
            }),
        }
        None
    }
}
