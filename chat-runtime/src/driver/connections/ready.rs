//! Which connections are to be looked at: a queue that wakers push to and the driver takes from.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use chat_core::id::ConnId;
use futures_util::task::AtomicWaker;

/// The queue, shared with every connection's signal.
#[derive(Debug, Default)]
pub(super) struct Ready {
    queue: Mutex<Vec<Arc<Signal>>>,
    driver: AtomicWaker,
}

impl Ready {
    /// A signal for one connection. Its wake-ups make it appear in the queue.
    pub(super) fn signal(self: &Arc<Self>, conn: ConnId) -> Arc<Signal> {
        Arc::new(Signal {
            conn,
            queued: AtomicBool::new(false),
            ready: Arc::clone(self),
        })
    }

    /// Wakes this when something is pushed. Said before [`take`](Self::take).
    pub(super) fn register(&self, driver: &Waker) {
        self.driver.register(driver);
    }

    /// Moves all of the queue to the end of `to`. `empty` is memory to go on with.
    pub(super) fn take(&self, to: &mut VecDeque<Waiting>, empty: &mut Vec<Arc<Signal>>) {
        mem::swap(&mut *self.lock(), empty);
        to.extend(empty.drain(..).map(Waiting::Signal));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Signal>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to be looked at.
#[derive(Debug)]
pub(super) enum Waiting {
    /// One that woke.
    Signal(Arc<Signal>),
    /// One that is watched, and something happened.
    Slot(ConnId),
}

impl Waiting {
    pub(super) fn conn(&self) -> ConnId {
        match self {
            Self::Signal(signal) => signal.conn,
            Self::Slot(conn) => *conn,
        }
    }
}

/// One connection's waker.
#[derive(Debug)]
pub(super) struct Signal {
    conn: ConnId,
    /// Whether it is in the queue, or taken from it and not yet looked at.
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Signal {
    /// The connection will be looked at now; whatever happens from here on queues it again.
    pub(super) fn begin(&self) -> ConnId {
        self.queued.swap(false, Ordering::AcqRel);
        self.conn
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.lock().push(Arc::clone(self));
            self.ready.driver.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(Mutex<u32>);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    #[test]
    fn a_connection_is_queued_once_and_again_after_it_was_looked_at() {
        let (ready, count) = (Arc::new(Ready::default()), Arc::new(Count::default()));
        let signal = ready.signal(ConnId {
            slot: 3,
            generation: 7,
        });
        let waker = Waker::from(Arc::clone(&signal));
        let (mut queue, mut empty) = (VecDeque::new(), Vec::new());
        ready.register(&Waker::from(Arc::clone(&count)));
        waker.wake_by_ref();
        waker.wake_by_ref();
        ready.take(&mut queue, &mut empty);
        waker.wake_by_ref();
        ready.take(&mut queue, &mut empty);
        assert_eq!((queue.len(), *count.0.lock().unwrap()), (1, 1));
        let Some(Waiting::Signal(first)) = queue.pop_front() else {
            panic!("it woke");
        };
        assert_eq!(
            first.begin(),
            ConnId {
                slot: 3,
                generation: 7
            }
        );
        waker.wake_by_ref();
        ready.take(&mut queue, &mut empty);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn wakers_of_other_threads_are_never_lost() {
        let ready = Arc::new(Ready::default());
        let signals: Vec<_> = (0..8)
            .map(|slot| {
                ready.signal(ConnId {
                    slot,
                    generation: 0,
                })
            })
            .collect();
        let done = Arc::new(Mutex::new([0_u32; 8]));
        std::thread::scope(|scope| {
            for signal in &signals {
                let done = Arc::clone(&done);
                scope.spawn(move || {
                    for round in 1..=1_000 {
                        done.lock().unwrap()[signal.conn.slot as usize] = round;
                        signal.wake_by_ref();
                    }
                });
            }
            let (mut queue, mut empty, mut seen) = (VecDeque::new(), Vec::new(), [0; 8]);
            while seen != [1_000; 8] {
                ready.take(&mut queue, &mut empty);
                for waiting in queue.drain(..) {
                    let Waiting::Signal(signal) = waiting else {
                        panic!("they all wake");
                    };
                    let slot = signal.begin().slot as usize;
                    seen[slot] = done.lock().unwrap()[slot];
                }
                std::thread::yield_now();
            }
        });
    }
}
