//! Orders of the server's operator, which come by no connection.

use crate::{
    invite::{InviteId, KeptInvite, MadeInvite, NewInvite},
    wire::Refusal,
};

/// Names an order, for its outcome: the driver's choice, unique among those without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderToken(pub u64);

/// An order of the server's operator to its hub.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Make an invitation.
    Invite(NewInvite),
    /// Nobody comes in by this invitation any more. One that is not kept is as good as revoked.
    Revoke(InviteId),
    /// All invitations that are kept, in the order of their ids.
    Invites,
}

/// The outcome of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderDone {
    /// The invitation is made.
    Invited(MadeInvite),
    /// The invitation lets nobody in any more.
    Revoked,
    /// The invitations.
    Invites(Vec<KeptInvite>),
}

/// The outcome of an order; a refusal says in words why nothing came of it.
pub type OrderOutcome = Result<OrderDone, Refusal>;
