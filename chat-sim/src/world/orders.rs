//! The way between the operator and the hubs.

use chat_core::hub::{Input, Order, OrderOutcome, OrderToken};

use super::World;

impl World {
    /// A hub is to make an invitation.
    pub(super) fn invite(&mut self, hub: usize, uses: u32, ms: u32) {
        if self.hubs.is_up(hub) {
            let order = self.operator.invites(&mut self.turn, uses, ms);
            self.order(hub, order);
        }
    }

    /// A hub is to make an invitation for all, if they need one.
    pub(super) fn invite_all(&mut self) {
        if self.turn.shape.closed {
            let order = self.operator.invites_all(&mut self.turn);
            self.order(0, order);
        }
    }

    /// A hub is to revoke an invitation, if one was made.
    pub(super) fn revoke(&mut self, hub: usize, pick: u32) {
        if self.hubs.is_up(hub)
            && let Some(order) = self.operator.revokes(&mut self.turn, pick)
        {
            self.order(hub, order);
        }
    }

    fn order(&mut self, hub: usize, (token, order): (OrderToken, Order)) {
        self.tell_hub(hub, Input::Order { token, order });
    }

    /// A hub has done an order, or says why not.
    pub(super) fn ordered(&mut self, token: OrderToken, outcome: OrderOutcome) {
        let (turn, truth) = (&mut self.turn, self.log.truth());
        if let Some(invite) = self.operator.hears(turn, token, outcome, truth) {
            self.people.is_handed_out(invite);
        }
    }
}
