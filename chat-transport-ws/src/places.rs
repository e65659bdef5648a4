//! Connections that are not WebSockets yet: how many there may be, and which of them is given up
//! for the sake of the next.

use std::{
    io::{self, IoSlice},
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

/// All connections that are not WebSockets yet.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    measure: Measure,
    taken: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    progress: Arc<Progress>,
    task: AbortHandle,
}

impl Places {
    pub(crate) fn new(most: usize, measure: Measure) -> Self {
        let taken = Vec::new();
        Self {
            most,
            measure,
            taken,
        }
    }

    /// When the next connection may come: none if there is a place; otherwise when the first one is
    /// given up for it, which may be past.
    pub(crate) fn wait_until(&mut self) -> Option<Instant> {
        self.first_to_end().map(|(end, _)| end)
    }

    /// Takes a place for a connection, that of the one to be given up first if there is no other.
    pub(crate) fn take(&mut self, progress: Arc<Progress>, task: AbortHandle) {
        if let Some((_, first)) = self.first_to_end() {
            self.taken.swap_remove(first).task.abort();
        }
        self.taken.push(Place { progress, task });
    }

    /// The place that the next connection has to take, and from when on; none if one is free.
    fn first_to_end(&mut self) -> Option<(Instant, usize)> {
        if self.taken.len() < self.most {
            return None;
        }
        self.taken.retain(|place| !place.task.is_finished());
        if self.taken.len() < self.most {
            return None;
        }
        let ends = |place: &Place| place.progress.may_end_at(self.measure);
        self.taken.iter().map(ends).zip(0..).min()
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
        let mut take = |places: &mut Places| {
            let progress = Progress::begin();
            let task = tasks.spawn(std::future::pending::<()>());
            places.take(Arc::clone(&progress), task.clone());
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
}
