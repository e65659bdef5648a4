//! Words about connections for the hub, in order of precedence.

use std::collections::VecDeque;

use chat_core::{hub::RoomPlace, id::ConnId};

/// Events of connections that the hub has not been told.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Fan-outs that were skipped. The hub hears of them before anything else.
    pub(super) blocked: VecDeque<(ConnId, Option<RoomPlace>)>,
    /// Outboxes with more answers than are kept. The hub hears of them after the former.
    pub(super) overfull: VecDeque<ConnId>,
    /// Connections that have ended.
    pub(super) gone: VecDeque<ConnId>,
    /// Outboxes of flagged connections that are below half.
    pub(super) drained: VecDeque<ConnId>,
    /// Outboxes that have room for one more answer.
    pub(super) credits: VecDeque<ConnId>,
}
