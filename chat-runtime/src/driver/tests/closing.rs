//! Connections that are being closed: how long that may take, whatever the peer does.

use tokio::time::{Instant, timeout};

use super::*;

/// Talks, and reads so many bytes, every 100 ms until the connection is gone; says how long that
/// took.
async fn talk_until_gone(rig: &Rig, far: &mut Far, conn: ConnId, reads: usize) -> Duration {
    let begun = Instant::now();
    let gone = async {
        while !rig.told().contains(&Told::Disconnected(conn)) {
            // The other end may be gone by now.
            let _ = far.0.try_write_vectored(&[IoSlice::new(b"but listen")]);
            far.read(reads);
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(10 * CLOSING, gone).await.expect("it ends");
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_closing_is_not_prolonged_by_talk() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(100).await;
    rig.say(vec![send(conn, OUTBOX)]).await;
    rig.say(vec![close(conn)]).await;
    let took = talk_until_gone(&rig, &mut far, conn, 0).await;
    assert!(
        took.abs_diff(CLOSING) <= Duration::from_millis(200),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_closing_is_prolonged_by_reading_but_once() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(100).await;
    rig.say(vec![send(conn, OUTBOX)]).await;
    rig.say(vec![close(conn)]).await;
    let took = talk_until_gone(&rig, &mut far, conn, 1).await;
    let twice = 2 * CLOSING;
    assert!(
        took.abs_diff(twice) <= Duration::from_millis(200),
        "{took:?}"
    );
}

/// Words that come meanwhile are read, so that the peer's end is seen, and ignored.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_the_end_and_leaves_is_gone_at_once() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(100).await;
    rig.say(vec![send(conn, 150), close(conn)]).await;
    far.write(b"but");
    assert_eq!(far.read(100), Some(100));
    rig.idle().await;
    assert_eq!(far.read(100), Some(50));
    rig.idle().await;
    assert_eq!(far.read(100), None);
    assert_eq!(rig.told(), []);
    drop(far);
    rig.idle().await;
    assert_eq!(rig.told(), [Told::Disconnected(conn)]);
}
