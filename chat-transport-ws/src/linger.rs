//! The end of a connection whose peer is still talking: what is left is written, and what comes is
//! read and thrown away for a moment. Closing with bytes unread would make the system cut the
//! connection off, and the peer might never see why.

use std::{future::poll_fn, io::IoSlice};

use chat_runtime::{Connection, Interest};
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    time::{Duration, timeout},
};

/// How long it may take.
const AT_MOST: Duration = Duration::from_secs(2);

/// Those that may be under way; beyond that connections are cut off.
static PLACES: Semaphore = Semaphore::const_new(256);

pub(crate) fn begin(runtime: &Handle, stream: impl Connection, rest: Vec<u8>) {
    if let Ok(place) = PLACES.try_acquire() {
        runtime.spawn(async move {
            // However it ends, it is the end.
            let _ = timeout(AT_MOST, finish(stream, rest)).await;
            drop(place);
        });
    }
}

async fn finish(mut stream: impl Connection, rest: Vec<u8>) -> std::io::Result<()> {
    let mut rest = rest.as_slice();
    while !rest.is_empty() {
        poll_fn(|cx| stream.poll_ready(cx, Interest::Write)).await?;
        match stream.try_write_vectored(&[IoSlice::new(rest)]) {
            Ok(written) => rest = &rest[written..],
            Err(error) if again(&error) => {}
            Err(error) => return Err(error),
        }
    }
    poll_fn(|cx| stream.poll_flush(cx)).await?;
    poll_fn(|cx| stream.poll_close(cx, None)).await?;
    let mut buffer = [0; 1_024];
    loop {
        poll_fn(|cx| stream.poll_ready(cx, Interest::Read)).await?;
        match stream.try_read(&mut buffer) {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => {}
            Err(error) if again(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn again(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted)
}
