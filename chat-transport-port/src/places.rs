//! Connections that do not speak the chat's protocol yet: how many there may be, and which of them
//! is given up for the sake of the next.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::AbortHandle,
    time::{Duration, Instant},
};

/// The measure of a connection that is slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    /// Time that no byte is asked for.
    pub(crate) patience: Duration,
    /// Bytes, read or written, that each further second takes.
    pub(crate) bytes_per_second: u32,
}

/// All connections that do not speak the chat's protocol yet.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    measure: Measure,
    taken: Vec<Place>,
    by_network: BTreeMap<Option<IpAddr>, usize>,
}

#[derive(Debug)]
struct Place {
    progress: Arc<Progress>,
    task: AbortHandle,
    network: Option<IpAddr>,
}

impl Places {
    pub(crate) fn new(most: usize, measure: Measure) -> Self {
        Self {
            most,
            measure,
            taken: Vec::new(),
            by_network: BTreeMap::new(),
        }
    }

    /// When the next connection may come: none if there is a place; otherwise when the first one is
    /// given up for it, which may be past.
    pub(crate) fn wait_until(&mut self) -> Option<Instant> {
        self.first_to_end().map(|(end, _)| end)
    }

    /// Takes a place for a connection, that of the one to be given up first if there is no other.
    pub(crate) fn take(
        &mut self,
        progress: Arc<Progress>,
        task: AbortHandle,
        address: Option<IpAddr>,
    ) {
        if let Some((_, first)) = self.first_to_end() {
            let first = self.taken.swap_remove(first);
            first.task.abort();
            leave(&mut self.by_network, first.network);
        }
        let network = address.map(network);
        *self.by_network.entry(network).or_default() += 1;
        self.taken.push(Place {
            progress,
            task,
            network,
        });
    }

    /// Whether all places are taken, and one network has several of them.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowd().is_some()
    }

    /// Whether a connection from this address may come at once, because a crowd gives way to it: it
    /// has more places, even when it has given up one.
    pub(crate) fn gives_way_to(&self, address: Option<IpAddr>) -> bool {
        let own = self.by_network.get(&address.map(network)).copied();
        self.crowd()
            .is_some_and(|(_, places)| places > own.unwrap_or(0) + 1)
    }

    /// The network that has the most places, and how many, if all are taken.
    fn crowd(&self) -> Option<(Option<IpAddr>, usize)> {
        if self.taken.len() < self.most {
            return None;
        }
        let largest = self.by_network.iter().max_by_key(|(_, places)| **places);
        let (network, places) = largest?;
        (*places > 1).then_some((*network, *places))
    }

    /// The place that the next connection has to take, and from when on; none if one is free. The
    /// network that has the most gives up one of its own.
    fn first_to_end(&mut self) -> Option<(Instant, usize)> {
        if self.taken.len() < self.most {
            return None;
        }
        let by_network = &mut self.by_network;
        self.taken.retain(|place| {
            let stays = !place.task.is_finished();
            if !stays {
                leave(by_network, place.network);
            }
            stays
        });
        if self.taken.len() < self.most {
            return None;
        }
        let crowd = self.crowd();
        let of_it = |place: &Place| crowd.is_none_or(|(crowd, _)| place.network == crowd);
        let ends = |place: &Place| place.progress.may_end_at(self.measure);
        let candidates = self.taken.iter().zip(0..).filter(|(place, _)| of_it(place));
        candidates.map(|(place, at)| (ends(place), at)).min()
    }
}

fn leave(by_network: &mut BTreeMap<Option<IpAddr>, usize>, network: Option<IpAddr>) {
    if let Some(places) = by_network.get_mut(&network) {
        *places -= 1;
        if *places == 0 {
            by_network.remove(&network);
        }
    }
}

/// The addresses of one subscriber: an IPv4 address, or a /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// How far a connection is.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<Stage>);

#[derive(Debug)]
struct Stage {
    doing: Doing,
    since: Instant,
    /// Read and written since then.
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// A request is read, or has not begun.
    Asking,
    /// Something other than a WebSocket is being written.
    Answering,
    /// All that was asked for is written.
    Idle,
}

impl Progress {
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Stage::now(Doing::Asking))))
    }

    /// There is an answer to be written, after which the connection may ask for more.
    pub(crate) fn answering(&self) {
        *self.lock() = Stage::now(Doing::Answering);
    }

    fn read(&self, bytes: usize) {
        let mut stage = self.lock();
        if bytes > 0 && stage.doing == Doing::Idle {
            *stage = Stage::now(Doing::Asking);
        }
        stage.bytes += bytes as u64;
    }

    fn written(&self, bytes: usize) {
        self.lock().bytes += bytes as u64;
    }

    fn flushed(&self) {
        let mut stage = self.lock();
        if stage.doing == Doing::Answering && stage.bytes > 0 {
            *stage = Stage::now(Doing::Idle);
        }
    }

    /// From when on it is given up, if its place is wanted: an idle one at once, any other when it
    /// is slow.
    fn may_end_at(&self, measure: Measure) -> Instant {
        let stage = self.lock();
        match stage.doing {
            Doing::Idle => stage.since,
            Doing::Asking | Doing::Answering => {
                let seconds = stage.bytes / u64::from(measure.bytes_per_second);
                stage.since + measure.patience + Duration::from_secs(seconds)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    fn now(doing: Doing) -> Self {
        Self {
            doing,
            since: Instant::now(),
            bytes: 0,
        }
    }
}

/// A stream whose progress is noted.
#[derive(Debug)]
pub(crate) struct Noted<S> {
    pub(crate) stream: S,
    progress: Arc<Progress>,
}

impl<S> Noted<S> {
    pub(crate) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress }
    }

    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.progress.written(bytes);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.progress.read(buffer.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.note_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.progress.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{task::JoinSet, time::advance};

    use super::*;

    const MEASURE: Measure = Measure {
        patience: Duration::from_secs(3),
        bytes_per_second: 500,
    };

    #[tokio::test(start_paused = true)]
    async fn the_idle_go_first_and_the_slow_when_they_are() {
        let (mut places, mut tasks) = (Places::new(3, MEASURE), JoinSet::new());
        let begun = Instant::now();
        let mut hosts = 0;
        let mut address = || {
            hosts += 1;
            Some(IpAddr::from([192, 0, 2, hosts]))
        };
        let mut take = |places: &mut Places| {
            let progress = Progress::begin();
            let task = tasks.spawn(std::future::pending::<()>());
            places.take(Arc::clone(&progress), task.clone(), address());
            (progress, task)
        };
        let (fast, fast_task) = take(&mut places);
        let (_silent, silent_task) = take(&mut places);
        assert_eq!(places.wait_until(), None);
        let (browser, browser_task) = take(&mut places);
        // All are taken, and none is slow yet.
        fast.read(2_000);
        assert_eq!(places.wait_until(), Some(begun + MEASURE.patience));
        browser.read(200);
        browser.answering();
        browser.flushed();
        advance(Duration::from_secs(1)).await;
        assert_eq!(places.wait_until(), Some(begun + MEASURE.patience));
        browser.written(10_000);
        browser.flushed();
        let idle_since = Instant::now();
        assert_eq!(places.wait_until(), Some(idle_since));
        let (_next, next_task) = take(&mut places);
        tokio::task::yield_now().await;
        assert!(browser_task.is_finished() && !silent_task.is_finished());
        advance(Duration::from_secs(2)).await;
        assert_eq!(places.wait_until(), Some(Instant::now()));
        let (_last, _) = take(&mut places);
        tokio::task::yield_now().await;
        assert!(silent_task.is_finished() && !next_task.is_finished());
        // Two thousand bytes are four seconds.
        next_task.abort();
        tokio::task::yield_now().await;
        assert_eq!(places.wait_until(), None);
        assert!(!fast_task.is_finished());
        assert_eq!(fast.may_end_at(MEASURE), begun + Duration::from_secs(3 + 4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_one_that_asks_again_is_not_idle() {
        let browser = Progress::begin();
        browser.answering();
        browser.written(1);
        browser.flushed();
        advance(Duration::from_secs(9)).await;
        browser.read(0);
        assert!(browser.may_end_at(MEASURE) < Instant::now());
        browser.read(1);
        let slow = Instant::now() + MEASURE.patience;
        assert_eq!(browser.may_end_at(MEASURE), slow);
    }

    #[tokio::test(start_paused = true)]
    async fn whichever_network_has_the_most_gives_up_its_own() {
        let (mut places, mut tasks) = (Places::new(8, MEASURE), JoinSet::new());
        let address = |net: u8| Some(IpAddr::from([192, 0, 2, net]));
        let mut take = |places: &mut Places, net: u8| {
            let task = tasks.spawn(std::future::pending::<()>());
            places.take(Progress::begin(), task.clone(), address(net));
            task
        };
        let crowds: Vec<_> = [1, 1, 2, 2, 2, 3, 3, 3]
            .map(|net| take(&mut places, net))
            .into();
        assert!(places.gives_way_to(address(4)) && !places.gives_way_to(address(1)));
        let fourth = take(&mut places, 4);
        tokio::task::yield_now().await;
        let ended = |tasks: &[AbortHandle]| tasks.iter().filter(|task| task.is_finished()).count();
        assert_eq!((ended(&crowds[..2]), ended(&crowds[2..])), (0, 1));
        // Three networks have two and one has three; a second one of the fourth's would leave
        // another with as few.
        assert!(places.gives_way_to(address(4)));
        take(&mut places, 4);
        assert!(!places.gives_way_to(address(4)) && !fourth.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_one_address_gives_up_its_own_places() {
        let (mut places, mut tasks) = (Places::new(8, MEASURE), JoinSet::new());
        let mut take = |places: &mut Places, address: &str| {
            let task = tasks.spawn(std::future::pending::<()>());
            let address = Some(address.parse().unwrap());
            places.take(Progress::begin(), task.clone(), address);
            task
        };
        let honest = take(&mut places, "192.0.2.1");
        advance(Duration::from_secs(9)).await;
        let crowd: Vec<_> = (0..7)
            .map(|host| take(&mut places, &format!("2001:db8::{host}")))
            .collect();
        // All places are taken, and the only slow one is the honest one's.
        let slow = Instant::now() + MEASURE.patience;
        assert_eq!(places.wait_until(), Some(slow));
        let (of_crowd, of_others) = ("2001:db8::ffff", "198.51.100.1");
        assert!(places.is_crowded());
        assert!(places.gives_way_to(of_others.parse().ok()));
        assert!(!places.gives_way_to(of_crowd.parse().ok()));
        let other = take(&mut places, of_others);
        tokio::task::yield_now().await;
        assert!(crowd[0].is_finished() && !honest.is_finished() && !other.is_finished());
        assert!(crowd[1..].iter().all(|task| !task.is_finished()));
        // When no network has more than one, the slow go first, whosesoever they are.
        crowd[1..6].iter().for_each(AbortHandle::abort);
        tokio::task::yield_now().await;
        assert_eq!(places.wait_until(), None);
        for host in 1..6 {
            take(&mut places, &format!("192.0.2.10{host}"));
        }
        assert!(!places.is_crowded());
        assert!(places.wait_until() < Some(Instant::now()));
        take(&mut places, of_crowd);
        tokio::task::yield_now().await;
        assert!(honest.is_finished() && !other.is_finished() && !crowd[6].is_finished());
    }
}
