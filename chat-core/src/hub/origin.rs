//! Where requests come from, and so where their answers go; and what goes with them.

use std::net::IpAddr;

use super::address_limits::Doer;
use crate::{
    id::{ConnId, CredentialId, MemberId, RoomId, SessionId},
    password::ServerLogin,
    time::Monotonic,
    wire::{Refusal, client::Request},
};

/// Where a request came from, and so where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) conn: ConnId,
    /// The request's id.
    pub(super) id: u64,
    /// The request's kind.
    pub(super) kind: u16,
    /// Bytes of its frame, which count as waiting until it is answered.
    pub(super) bytes: u32,
    /// The answer is a page, and the next page waits until there is room for it.
    pub(super) paced: bool,
}

/// A request that was admitted, with all that its connection has to do with it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) origin: Origin,
    pub(super) member: MemberId,
    pub(super) session: SessionId,
    /// The address that its guesses and groups count against.
    pub(super) address: Option<IpAddr>,
    /// Since when the member is in, on this connection.
    pub(super) since: Monotonic,
    pub(super) request: Request,
    /// The verdict without a look at any state, to be given unless the request is a repeat.
    pub(super) checked: Result<(), Refusal>,
    /// The rest of the login on this connection, for a join with a proof.
    pub(super) login: Option<Box<Login>>,
}

impl Asked {
    /// Whom what is done slowly counts for.
    pub(super) fn doer(&self) -> Doer {
        Doer {
            member: self.member,
            address: self.address,
            since: self.since,
        }
    }
}

/// A password that is being proved.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) room: RoomId,
    pub(super) credential: CredentialId,
    pub(super) state: ServerLogin,
}
