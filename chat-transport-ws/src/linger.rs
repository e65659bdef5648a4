//! The end of a connection whose peer is still talking: what is left is written, and what comes is
//! read and thrown away for a moment. Closing with bytes unread would make the system cut the
//! connection off, and the peer might never see why.

use std::{future::poll_fn, io::IoSlice};

use chat_runtime::{Connection, Interest};
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    time::{Duration, sleep, timeout},
};

/// How long it may take.
const AT_MOST: Duration = Duration::from_secs(2);

/// Bytes that are read in one go, and the pause before the next one: a peer that floods is not
/// worth more.
const READ: usize = 4_096;
const READS: usize = 8;
const PAUSE: Duration = Duration::from_millis(50);

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
    let mut buffer = [0; READ];
    loop {
        for _ in 0..READS {
            poll_fn(|cx| stream.poll_ready(cx, Interest::Read)).await?;
            match stream.try_read(&mut buffer) {
                Ok(None) => return Ok(()),
                Ok(Some(_)) => {}
                Err(error) if again(&error) => {}
                Err(error) => return Err(error),
            }
        }
        sleep(PAUSE).await;
    }
}

fn again(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

    use super::*;
    use crate::piped::Piped;

    const PIPE: usize = 65_536;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_floods_is_read_slowly_until_its_time_is_up() {
        let (stream, mut peer) = duplex(PIPE);
        begin(&Handle::current(), Piped::new(stream), b"why".to_vec());
        let mut told = [0; 3];
        peer.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"why");
        let mut taken = 0;
        while let Ok(written) = peer.write(&[0; 1_024]).await {
            taken += written;
        }
        let rounds = usize::try_from(AT_MOST.as_millis() / PAUSE.as_millis()).unwrap() + 1;
        assert!(taken <= rounds * READS * READ + PIPE, "{taken}");
        assert!(taken > PIPE + READS * READ, "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_was_writing_is_told_why_and_ends() {
        let (stream, peer) = duplex(PIPE);
        begin(&Handle::current(), Piped::new(stream), b"why".to_vec());
        let (mut reading, mut writing) = split(peer);
        // More than the pipe holds: it would never be written if nothing were read.
        writing.write_all(&[0; 4 * PIPE]).await.unwrap();
        let mut told = Vec::new();
        reading.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, b"why");
    }
}
