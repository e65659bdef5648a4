//! The connections of a worker: what is read from them, what waits for them, and how they end. It
//! knows nothing of the log, and of the hub only what it is to be told.

mod closing;
mod deferred;
mod notices;
mod outgoing;
mod ready;
mod shares;
mod slot;
mod table;
mod watch;

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use chat_core::{
    hub::Input,
    id::ConnId,
    limits::Limits,
    time::{Monotonic, Now},
    wire::CloseReason,
};

use self::{
    closing::Closing,
    deferred::DeferredFrames,
    notices::Notices,
    ready::{Ready, Signal, Waiting},
    shares::Shares,
    slot::{Answers, ConnectionSlot, Fanouts, Reading},
    table::ConnectionTable,
    watch::{Happened, Watch},
};
use crate::{
    Connection,
    link::{End, Link, Read},
    outbox::Spare,
    shared::Load,
};

/// Workers of one server at most.
pub(super) const WORKERS: usize = ConnectionTable::WORKERS;

/// Bytes and pieces read from one connection in one turn.
pub(super) const READ_BYTES: usize = 65_536;
const READS: usize = 64;

/// Frames put into outboxes in one turn before nothing more is read.
const FRAMES: usize = 65_536;

/// All connections of a worker, and what is to be done with them.
pub(super) struct Connections {
    table: ConnectionTable,
    /// The worker is a thread, and seldom the only one.
    threaded: bool,
    load: Arc<Load>,
    outbox_bytes: usize,
    spare: Spare,
    watch: Watch,
    ready: Arc<Ready>,
    /// To be looked at, and memory for what is taken from `ready`.
    waiting: VecDeque<Waiting>,
    taken: Vec<Arc<Signal>>,
    /// To be looked at after all these, because their networks have taken more than their share.
    last: VecDeque<Waiting>,
    shares: Shares,
    /// To be read from when the log has caught up.
    awaiting_log: Vec<ConnId>,
    /// To be written to in this turn.
    touched: Vec<ConnId>,
    /// Frames put into outboxes in this turn.
    frames: usize,
    deferred: DeferredFrames,
    closing: Closing,
    notices: Notices,
    /// When this turn began.
    now: Monotonic,
}

/// A connection that was taken over, and what the hub is told of it.
pub(super) struct Arrival {
    pub(super) conn: ConnId,
    pub(super) connected: Input<'static>,
    pub(super) identified: Option<Input<'static>>,
    /// There may be more to do at once.
    pub(super) look_again: bool,
}

/// The rest of what may be read from one connection in one turn.
pub(super) struct ReadBudget {
    bytes: usize,
    reads: usize,
}

/// The outcome of one step of reading.
pub(super) enum ReadStep {
    /// So many bytes are in the buffer, for the hub. `more`: there may be more at once.
    Received { bytes: usize, more: bool },
    /// The same, of a connection that is being closed: what it says is ignored.
    Ignored { more: bool },
    /// Nothing more for now.
    Done,
    /// The connection is gone.
    Gone,
}

impl ReadBudget {
    pub(super) fn new() -> Self {
        Self {
            bytes: READ_BYTES,
            reads: READS,
        }
    }

    fn is_spent(&self) -> bool {
        self.bytes == 0 || self.reads == 0
    }

    fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.reads -= 1;
    }
}

impl Connections {
    /// Of this one of the server's workers. `copying`: short frames are copied into one piece.
    pub(super) fn new(
        worker: usize,
        limits: &Limits,
        threaded: bool,
        load: Arc<Load>,
        copying: bool,
    ) -> Self {
        Self {
            table: ConnectionTable::new(worker),
            threaded,
            load,
            outbox_bytes: limits.outbox_bytes as usize,
            spare: Spare::copying(copying),
            watch: Watch::default(),
            ready: Arc::default(),
            waiting: VecDeque::new(),
            taken: Vec::new(),
            last: VecDeque::new(),
            shares: Shares::default(),
            awaiting_log: Vec::new(),
            touched: Vec::new(),
            frames: 0,
            deferred: DeferredFrames::default(),
            closing: Closing::new(limits.closing),
            notices: Notices::default(),
            now: Monotonic::default(),
        }
    }

    /// Wakes this when a connection wakes. Said before [`look`](Self::look).
    pub(super) fn register(&self, waker: &Waker) {
        self.ready.register(waker);
    }

    pub(super) fn begin_turn(&mut self, now: Now) {
        self.now = now.monotonic;
        self.frames = 0;
    }

    /// Whether there is more to do at once.
    pub(super) fn has_more(&self) -> bool {
        !self.waiting.is_empty()
            || !self.last.is_empty()
            || !self.notices.drained.is_empty()
            || !self.notices.credits.is_empty()
            || !self.notices.gone.is_empty()
    }

    /// When there is something to do, if nothing happens before.
    pub(super) fn next_due(&self) -> Option<Monotonic> {
        let closing = self.closing.next_due();
        closing.into_iter().chain(self.deferred.next_due()).min()
    }

    /// Takes a connection over, unless it breaks with that.
    pub(super) fn take_over(&mut self, mut connection: Box<dyn Connection>) -> Option<Arrival> {
        // Workers that are threads have reactors of their own.
        if self.threaded
            && let Err(error) = connection.moved()
        {
            tracing::debug!(%error, "a connection broke");
            self.load.less();
            return None;
        }
        let address = connection.address();
        let arrival = chat_core::hub::Arrival {
            address,
            local: connection.local(),
            channel: connection.channel_binding(),
            framing: connection.framing(),
            form: connection.form(),
        };
        let identity = connection.identity();
        // Before the first one nobody asks to be woken by what happens to sockets.
        let first_watched = self.watch.is_idle();
        let conn = self.insert(connection);
        let connected = Input::Connected { conn, arrival };
        Some(Arrival {
            conn,
            connected,
            identified: identity.map(|identity| Input::Identified { conn, identity }),
            look_again: first_watched,
        })
    }

    fn insert(&mut self, connection: Box<dyn Connection>) -> ConnId {
        let (watch, ready) = (&mut self.watch, &self.ready);
        self.table.insert(|conn| {
            // One that cannot be watched is asked like others, and says itself what is wrong with
            // it.
            let watched = watch.begin(&*connection, conn.slot).unwrap_or(false);
            let waker = if watched {
                Waker::noop().clone()
            } else {
                ready.signal(conn).into()
            };
            ConnectionSlot::new(Link::new(connection, waker, watched))
        })
    }

    /// A connection that was taken over is looked at for the first time. One that is watched makes
    /// itself heard.
    pub(super) fn begin(&mut self, conn: ConnId) {
        if self
            .table
            .find(conn)
            .is_some_and(|slot| !slot.link.is_watched())
        {
            self.again(conn);
        }
    }

    /// Comes again in the next turn.
    pub(super) fn again(&mut self, conn: ConnId) {
        let Some(slot) = self.table.find(conn) else {
            return;
        };
        slot.readiness.set(true, false);
        if !mem::replace(&mut slot.queued, true) {
            self.waiting.push_back(Waiting::Slot(conn));
        }
    }

    /// Takes note of the connections that have woken. Says whether there may be more at once.
    pub(super) fn look(&mut self, cx: &mut Context<'_>) -> bool {
        self.ready.take(&mut self.waiting, &mut self.taken);
        let (table, waiting) = (&mut self.table, &mut self.waiting);
        self.watch.take(
            cx,
            |Happened {
                 slot,
                 readable,
                 ends,
             }| {
                let Some((conn, slot)) = table.at(slot) else {
                    return;
                };
                slot.readiness.set(readable, ends);
                if !mem::replace(&mut slot.queued, true) {
                    waiting.push_back(Waiting::Slot(conn));
                }
            },
        )
    }

    /// Connections that have woken and were not looked at.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() + self.last.len()
    }

    /// Something was done for a connection.
    pub(super) fn charge(&mut self, conn: ConnId, time: Duration, now: Monotonic) {
        if let Some(slot) = self.table.find(conn) {
            self.shares.charge(slot.link.address(), time, now);
        }
    }

    /// The log has caught up: the connections that waited for it are read from again.
    pub(super) fn log_caught_up(&mut self) {
        for conn in mem::take(&mut self.awaiting_log) {
            if let Some(slot) = self.table.find(conn) {
                slot.reading = Reading::Open;
                self.again(conn);
            }
        }
    }

    /// The next of the connections that have woken, if it may have something to be read; `None` at
    /// the end of them, or when enough was put into outboxes in this turn. One of a network that
    /// has taken more than its share comes last.
    pub(super) fn next_woken(&mut self) -> Option<Option<ConnId>> {
        if self.frames >= FRAMES {
            return None;
        }
        let waiting = self.waiting.pop_front()?;
        let slot = self.table.find(waiting.conn());
        let address = slot.and_then(|slot| slot.link.address());
        if self.shares.is_spent(address, self.now) {
            self.last.push_back(waiting);
            return Some(None);
        }
        self.woken(waiting)
    }

    /// The next of those that come last.
    pub(super) fn next_last(&mut self) -> Option<Option<ConnId>> {
        if self.frames >= FRAMES {
            return None;
        }
        let waiting = self.last.pop_front()?;
        self.woken(waiting)
    }

    fn woken(&mut self, waiting: Waiting) -> Option<Option<ConnId>> {
        let conn = match waiting {
            Waiting::Signal(signal) => signal.begin(),
            Waiting::Slot(conn) => conn,
        };
        let Some(slot) = self.table.find(conn) else {
            return Some(None);
        };
        slot.queued = false;
        slot.link.woke();
        let readable = slot.readiness.take();
        if slot.link.wants_to_write() {
            self.touch(conn);
        }
        Some(readable.then_some(conn))
    }

    /// Reads once from a connection, if it may be read from.
    pub(super) fn read(
        &mut self,
        conn: ConnId,
        buffer: &mut [u8],
        budget: &mut ReadBudget,
        log_is_behind: bool,
    ) -> ReadStep {
        let Some(slot) = self.table.find(conn) else {
            return ReadStep::Done;
        };
        let closing = slot.is_closing();
        if log_is_behind && !closing {
            if mem::replace(&mut slot.reading, Reading::AwaitingLog) != Reading::AwaitingLog {
                self.awaiting_log.push(conn);
            }
            return ReadStep::Done;
        }
        let behind = matches!(slot.answers, Answers::AwaitingRoom)
            || slot.link.outbox.bytes() > self.outbox_bytes;
        if behind && !closing {
            // A client that asks and does not read is not heard before it has: it counts as silent.
            slot.reading = Reading::AwaitingPeer;
            return ReadStep::Done;
        }
        if budget.is_spent() {
            self.again(conn);
            return ReadStep::Done;
        }
        match slot.link.read(buffer) {
            Ok(Read::Nothing) => ReadStep::Done,
            Ok(Read::Some(bytes)) => {
                budget.spend(bytes);
                let more = bytes == buffer.len() || !slot.readiness.short_read_takes_all();
                if closing {
                    ReadStep::Ignored { more }
                } else {
                    ReadStep::Received { bytes, more }
                }
            }
            Ok(Read::End) => {
                // A peer that only stopped talking can still be written what is on its way to it,
                // once.
                let _ = slot.link.write(&mut self.spare);
                self.lose(conn);
                ReadStep::Gone
            }
            Err(error) => {
                tracing::debug!(?conn, %error, "a connection broke");
                self.lose(conn);
                ReadStep::Gone
            }
        }
    }

    /// Send what is in the outbox, as long as that goes on, then end the connection.
    pub(super) fn close(&mut self, conn: ConnId, reason: CloseReason) {
        let Some(slot) = self.table.find(conn).filter(|slot| !slot.is_closing()) else {
            return;
        };
        let deadline = self.closing.wait(self.now, conn);
        slot.link.end = Some(Box::new(End::new(Some(reason), deadline)));
        // One that is held up is to be read from again, to see the end.
        self.again(conn);
        self.touch(conn);
        if let Some(first) = self.closing.refuse(conn, reason) {
            // The word to it may be of this very turn.
            self.write(first);
            self.lose(first);
        }
    }

    /// Cuts off the connections whose time to close is up.
    pub(super) fn cut_off(&mut self) {
        while let Some(conn) = self.closing.take_due(self.now) {
            let Some(end) = self
                .table
                .find(conn)
                .and_then(|slot| slot.link.end.as_mut())
            else {
                continue;
            };
            if end.try_extend() {
                self.closing.wait(self.now, conn);
            } else {
                self.lose(conn);
            }
        }
    }

    /// Drops a connection; the hub is told as soon as it may be.
    fn lose(&mut self, conn: ConnId) {
        if self.table.remove(conn).is_some() {
            self.load.less();
            self.notices.gone.push_back(conn);
        }
    }

    /// A word for the hub that comes before anything else: of a fan-out that was skipped, then of
    /// an outbox that is overfull.
    pub(super) fn next_urgent(&mut self) -> Option<Input<'static>> {
        while let Some((conn, place)) = self.notices.blocked.pop_front() {
            let Some(slot) = self.table.find(conn) else {
                continue;
            };
            if slot.fanouts.tell() {
                // The outbox may be below half by now; that is seen when it is written.
                self.touch(conn);
            }
            return Some(Input::Blocked { conn, place });
        }
        while let Some(conn) = self.notices.overfull.pop_front() {
            if let Some(slot) = self.table.find(conn) {
                slot.answers = Answers::OverfullTold;
                return Some(Input::Overfull { conn });
            }
        }
        None
    }

    /// A connection that has ended.
    pub(super) fn next_gone(&mut self) -> Option<Input<'static>> {
        let conn = self.notices.gone.pop_front()?;
        Some(Input::Disconnected { conn })
    }

    /// How many flagged connections there are to be told of that have room.
    pub(super) fn drained(&self) -> usize {
        self.notices.drained.len()
    }

    /// How many connections there are to be told of that have room for an answer.
    pub(super) fn credits(&self) -> usize {
        self.notices.credits.len()
    }

    /// A flagged connection that has room, if it still has.
    pub(super) fn next_drained(&mut self) -> Option<Input<'static>> {
        let conn = self.notices.drained.pop_front()?;
        let half = self.outbox_bytes / 2;
        let slot = self.table.find(conn)?;
        if slot.fanouts != Fanouts::RoomNoticed {
            return None;
        }
        if slot.link.outbox.bytes() >= half {
            slot.fanouts = Fanouts::AwaitingRoom;
            return None;
        }
        slot.fanouts = Fanouts::RoomTold;
        Some(Input::Drained { conn })
    }

    /// A connection that has room for one more answer, if it still has.
    pub(super) fn next_credit(&mut self) -> Option<Input<'static>> {
        let conn = self.notices.credits.pop_front()?;
        let half = self.outbox_bytes / 2;
        let slot = self.table.find(conn)?;
        if slot.answers != Answers::RoomNoticed {
            return None;
        }
        if slot.link.outbox.bytes() >= half {
            slot.answers = Answers::AwaitingRoom;
            return None;
        }
        slot.answers = Answers::Flowing;
        Some(Input::Credit { conn })
    }
}
