//! The queue of events between a client's driver and its application: as long as the application
//! lets it become, and the driver stops reading before it is too long.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use chat_core::client::ClientEvent;
use futures_util::Stream;

/// The events of a client for its application. Dropping them says that nobody wants to know.
///
/// See [`Client`](super::Client) for why it should be read. It is also a [`Stream`].
#[derive(Debug)]
pub struct Events(Arc<Mutex<Queue>>);

impl Events {
    /// The next event, in order; none after [`ClientEvent::Ended`]. May be cancelled: nothing is
    /// lost by that.
    ///
    /// How commands end is told by their futures, not here.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same, for those who write futures by hand.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        let mut queue = lock(&self.0);
        if let Some(event) = queue.events.pop_front() {
            if queue.events.len() <= queue.wake_writer_at {
                queue.wake_writer();
            }
            return Poll::Ready(Some(event));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        queue.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Stream for Events {
    type Item = ClientEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        self.get_mut().poll_next(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.unread = true;
        queue.events.clear();
        queue.wake_writer();
    }
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct EventQueue(Arc<Mutex<Queue>>);

impl EventQueue {
    /// Adds an event. It has room for all: whether to cause more is asked with
    /// [`poll_room`](Self::poll_room).
    pub(super) fn push(&self, event: ClientEvent) {
        let mut queue = lock(&self.0);
        if !queue.unread {
            queue.events.push_back(event);
            if let Some(reader) = queue.reader.take() {
                reader.wake();
            }
        }
    }

    /// Ready while fewer than `bound` events wait. If not, wakes when half of them are read.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>, bound: usize) -> Poll<()> {
        let mut queue = lock(&self.0);
        if queue.events.len() < bound {
            return Poll::Ready(());
        }
        queue.wake_writer_at = bound / 2;
        queue.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.ended = true;
        if let Some(reader) = queue.reader.take() {
            reader.wake();
        }
    }
}

pub(super) fn pair() -> (Events, EventQueue) {
    let queue = Arc::default();
    (Events(Arc::clone(&queue)), EventQueue(queue))
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<ClientEvent>,
    /// The driver is gone.
    ended: bool,
    /// The application is gone.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    wake_writer_at: usize,
}

impl Queue {
    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        task::Wake,
        time::Duration,
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn event(ms: u64) -> ClientEvent {
        ClientEvent::Disconnected {
            retry_in: Some(Duration::from_millis(ms)),
        }
    }

    #[test]
    fn the_writer_is_woken_when_half_is_read() {
        let (mut events, queue) = pair();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        (0..4).for_each(|ms| queue.push(event(ms)));
        assert!(queue.poll_room(&mut cx, 5).is_ready() && queue.poll_room(&mut cx, 4).is_pending());
        assert_eq!(events.poll_next(&mut cx), Poll::Ready(Some(event(0))));
        assert!(!woken.0.load(Ordering::SeqCst));
        assert_eq!(events.poll_next(&mut cx), Poll::Ready(Some(event(1))));
        assert!(woken.0.load(Ordering::SeqCst) && queue.poll_room(&mut cx, 4).is_ready());
    }

    #[test]
    fn events_are_kept_when_the_client_ends_and_thrown_away_when_nobody_reads() {
        let (mut events, queue) = pair();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(events.poll_next(&mut cx).is_pending());
        queue.push(event(7));
        drop(queue);
        assert_eq!(events.poll_next(&mut cx), Poll::Ready(Some(event(7))));
        assert_eq!(events.poll_next(&mut cx), Poll::Ready(None));

        let (events, queue) = pair();
        queue.push(event(1));
        drop(events);
        queue.push(event(2));
        assert!(queue.poll_room(&mut cx, 1).is_ready());
    }
}
