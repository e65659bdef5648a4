//! Orders of the operator about invitations.

use super::{
    Registry, Task, Turn, Waiting,
    log::{Proposal, Then, What},
};
use crate::{
    hub::{
        io::Output,
        orders::{Order, OrderDone, OrderOutcome, OrderToken},
        partition::Look,
        views::LocalView,
    },
    invite::{InviteSecret, KeptInvite, MadeInvite, NewInvite},
    state::directory::judge::{Ask, AskInvite},
    time::Wall,
    wire::{ErrorCode, Refusal},
};

/// Says what came of an order.
pub(super) fn tell(turn: &mut Turn<'_>, token: OrderToken, outcome: OrderOutcome) {
    turn.out.push(Output::Ordered { token, outcome });
}

fn check(new: &NewInvite) -> Result<(), Refusal> {
    if new.uses == 0 {
        return Err(ErrorCode::BadRequest.because("an invitation has at least one use"));
    }
    if new.lasts.as_secs() == 0 {
        return Err(ErrorCode::BadRequest.because("an invitation lasts at least a second"));
    }
    Ok(())
}

impl Registry {
    /// An order is to be judged, when it is known what is there.
    pub(in crate::hub) fn order(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        token: OrderToken,
        order: Order,
    ) {
        self.in_turn(turn, with, Task::Order(token, order));
    }

    pub(super) fn ordered(
        &mut self,
        turn: &mut Turn<'_>,
        with: &dyn LocalView,
        (token, order): (OrderToken, Order),
        since: Look,
    ) {
        let (ask, done) = match order {
            Order::Invite(new) => {
                if let Err(refusal) = check(&new) {
                    return tell(turn, token, Err(refusal));
                }
                let secret = InviteSecret(turn.random_id());
                let ends = (turn.now.wall + new.lasts).min(Wall::LAST);
                let ask = Ask::Invite(Box::new(AskInvite {
                    id: secret.id(),
                    uses: new.uses,
                    ends,
                    room: new.room,
                }));
                (ask, OrderDone::Invited(MadeInvite { secret, ends }))
            }
            Order::Revoke(id) => (Ask::Revoke(id), OrderDone::Revoked),
            Order::Invites if !self.pipe.is_certain(since) => {
                let task = Task::Order(token, Order::Invites);
                return self.look_first(turn, with, Waiting { task, since });
            }
            Order::Invites => {
                let invites = OrderDone::Invites(self.invites());
                return tell(turn, token, Ok(invites));
            }
        };
        let proposal = Proposal {
            what: What::Ask(ask),
            then: Then::Tell {
                token,
                done: Box::new(done),
            },
        };
        self.pipe.propose_since(proposal, since);
        self.advance(turn, with);
    }

    fn invites(&self) -> Vec<KeptInvite> {
        let invites = self.state().invites.iter();
        let kept = invites.map(|(id, invite)| KeptInvite {
            id,
            uses: invite.uses,
            used: invite.used,
            ends: invite.ends,
            room: invite.room,
            number: invite.room.and_then(|room| self.number(room)),
        });
        kept.collect()
    }
}
