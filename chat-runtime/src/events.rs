//! Events of a server, on their way from the workers to the watchers.
//!
//! A worker that tells of something wakes a watcher at most once in [`GATHERING`], however much
//! happens: a watcher that has caught up rests by a timer of its own, and only then asks to be
//! woken.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

use chat_core::{hub::Event, time::Wall};
use tokio::time::{Duration, Instant, sleep_until};

/// Events that wait for a watcher, and their bytes; beyond that the oldest are dropped and counted.
const EVENTS: usize = 4_096;
const BYTES: usize = 8 << 20;

/// For so long a watcher that has caught up rests, and what happens meanwhile is gathered.
const GATHERING: Duration = Duration::from_millis(50);

/// Where workers tell what happens. The watchers' events end when the last worker has dropped it.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    watchers: Mutex<Vec<Arc<Queue>>>,
    /// How many there are, so that telling nobody costs nothing.
    count: AtomicUsize,
}

/// Events that wait for one watcher.
#[derive(Debug, Default)]
struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<(Wall, Event)>,
    bytes: usize,
    missed: u64,
    ended: bool,
    /// There while the watcher asks to be woken by the next event.
    watcher: Option<Waker>,
}

impl Publisher {
    /// A watcher hears everything from here on.
    pub(crate) fn watch(self: &Arc<Self>) -> ServerEvents {
        let queue = Arc::new(Queue::default());
        let mut watchers = self.lock();
        watchers.push(Arc::clone(&queue));
        self.count.store(watchers.len(), Ordering::Relaxed);
        ServerEvents::of(queue, Arc::downgrade(self))
    }

    /// Tells all watchers of an event.
    pub(crate) fn publish(&self, at: Wall, event: Event) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let watchers = self.lock();
        if let Some((last, others)) = watchers.split_last() {
            for other in others {
                other.push(at, event.clone());
            }
            last.push(at, event);
        }
    }

    fn forget(&self, queue: &Arc<Queue>) {
        let mut watchers = self.lock();
        watchers.retain(|each| !Arc::ptr_eq(each, queue));
        self.count.store(watchers.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Queue>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        for watcher in self.lock().iter() {
            watcher.end();
        }
    }
}

impl Queue {
    fn push(&self, at: Wall, event: Event) {
        let mut waiting = self.lock();
        waiting.bytes += bytes(&event);
        waiting.events.push_back((at, event));
        while (waiting.events.len() > EVENTS || waiting.bytes > BYTES)
            && let Some((_, dropped)) = waiting.events.pop_front()
        {
            waiting.bytes -= bytes(&dropped);
            waiting.missed += 1;
        }
        wake(waiting);
    }

    fn end(&self) {
        let mut waiting = self.lock();
        waiting.ended = true;
        wake(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the watcher once the lock is given back.
fn wake(mut waiting: MutexGuard<'_, Waiting>) {
    let watcher = waiting.watcher.take();
    drop(waiting);
    if let Some(watcher) = watcher {
        watcher.wake();
    }
}

/// The memory of an event, roughly. Only texts can be long.
fn bytes(event: &Event) -> usize {
    let said = match event {
        Event::Message { content, .. } => content.size(),
        _ => 0,
    };
    size_of::<(Wall, Event)>() + said
}

/// The events of a server.
///
/// Events within 50 ms are handed over together: the first event after a quiet time comes at
/// once, later ones when the watcher has rested. So watching costs the server next to nothing,
/// however much happens.
#[derive(Debug)]
pub struct ServerEvents {
    publisher: Weak<Publisher>,
    queue: Arc<Queue>,
    /// Taken from the queue.
    taken: VecDeque<(Wall, Event)>,
    missed: u64,
    ended: bool,
    /// When something was found in the queue last.
    found: Option<Instant>,
}

impl ServerEvents {
    /// None but the end.
    pub(crate) fn ended() -> Self {
        let queue = Arc::new(Queue::default());
        queue.end();
        Self::of(queue, Weak::new())
    }

    fn of(queue: Arc<Queue>, publisher: Weak<Publisher>) -> Self {
        Self {
            publisher,
            queue,
            taken: VecDeque::new(),
            missed: 0,
            ended: false,
            found: None,
        }
    }

    /// The next event; none when the server has ended. May be cancelled: nothing is lost by that.
    pub async fn next(&mut self) -> Option<Event> {
        self.next_timed().await.map(|(_, event)| event)
    }

    /// The next event, and when it happened by the system's clock; none when the server has ended.
    /// May be cancelled.
    pub async fn next_timed(&mut self) -> Option<(Wall, Event)> {
        loop {
            if let Some(event) = self.taken.pop_front() {
                return Some(event);
            }
            if self.take() {
                continue;
            }
            if self.ended {
                return None;
            }
            match self.found {
                Some(found) if found.elapsed() < GATHERING => sleep_until(found + GATHERING).await,
                _ => self.wait().await,
            }
        }
    }

    /// How many events were dropped so far because they were not read in time. They would have come
    /// before those that are read from here on.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Takes all that waits; says whether that is anything.
    fn take(&mut self) -> bool {
        let mut waiting = self.queue.lock();
        mem::swap(&mut waiting.events, &mut self.taken);
        waiting.bytes = 0;
        self.missed = waiting.missed;
        self.ended = waiting.ended;
        drop(waiting);
        if self.taken.is_empty() {
            return false;
        }
        self.found = Some(Instant::now());
        true
    }

    /// Waits until there is something to be taken.
    async fn wait(&self) {
        poll_fn(|cx| {
            let mut waiting = self.queue.lock();
            if waiting.ended || !waiting.events.is_empty() {
                return Poll::Ready(());
            }
            waiting.watcher = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for ServerEvents {
    fn drop(&mut self) {
        if let Some(publisher) = self.publisher.upgrade() {
            publisher.forget(&self.queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Wake},
    };

    use chat_core::{hub::RoomLabel, id::ConnId, wire::record::Content};

    use super::*;

    #[derive(Debug, Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Wakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn event(slot: u32) -> Event {
        Event::Disconnected {
            conn: ConnId {
                slot,
                generation: 0,
            },
        }
    }

    fn said(bytes: usize) -> Event {
        Event::Message {
            room: RoomLabel::Lobby,
            nick: String::new(),
            label: String::new(),
            content: Content::plain("x".repeat(bytes)),
        }
    }

    /// Reads until there is nothing more; says how much it was.
    fn read_all(events: &mut ServerEvents, wakes: &Arc<Wakes>) -> usize {
        let waker = Waker::from(Arc::clone(wakes));
        let mut count = 0;
        while pin!(events.next())
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            count += 1;
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_is_woken_once_however_much_happens() {
        let publisher = Arc::new(Publisher::default());
        let mut events = publisher.watch();
        let wakes = Arc::new(Wakes::default());
        assert_eq!(read_all(&mut events, &wakes), 0);
        for slot in 0..1_000 {
            publisher.publish(Wall(0), event(slot));
        }
        assert_eq!(wakes.count(), 1, "the first after a quiet time");
        assert_eq!(read_all(&mut events, &wakes), 1_000);
        for slot in 0..1_000 {
            publisher.publish(Wall(0), event(slot));
            assert_eq!(wakes.count(), 1, "it rests");
        }
        tokio::time::advance(GATHERING).await;
        assert_eq!(read_all(&mut events, &wakes), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_event_after_a_quiet_time_comes_at_once() {
        let publisher = Arc::new(Publisher::default());
        let mut events = publisher.watch();
        for (slot, rests) in [(0, false), (1, true), (2, false)] {
            let told = Instant::now();
            let (next, ()) = tokio::join!(events.next_timed(), async {
                publisher.publish(Wall(7), event(slot));
            });
            assert_eq!(next, Some((Wall(7), event(slot))));
            assert_eq!(told.elapsed() >= GATHERING, rests, "{:?}", told.elapsed());
            assert_eq!(told.elapsed().is_zero(), !rests);
            if slot == 1 {
                tokio::time::advance(2 * GATHERING).await;
            }
        }
        drop(publisher);
        assert_eq!(events.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_read_in_time_is_counted() {
        let publisher = Arc::new(Publisher::default());
        let (mut all, mut long) = (publisher.watch(), publisher.watch());
        for slot in 0..EVENTS as u32 + 3 {
            publisher.publish(Wall(0), event(slot));
        }
        assert_eq!(all.next().await, Some(event(3)));
        assert_eq!(all.missed(), 3);
        drop(all);
        for _ in 0..20 {
            publisher.publish(Wall(0), said(1 << 20));
        }
        let wakes = Arc::new(Wakes::default());
        let kept = read_all(&mut long, &wakes);
        assert!((1..9).contains(&kept), "{kept}");
        assert_eq!(long.missed() as usize, EVENTS + 3 + 20 - kept);
    }

    #[test]
    fn a_watcher_that_is_gone_is_forgotten() {
        let publisher = Arc::new(Publisher::default());
        drop(publisher.watch());
        publisher.publish(Wall(0), event(1));
        assert!(publisher.lock().is_empty());
    }
}
