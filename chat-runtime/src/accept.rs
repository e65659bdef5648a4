//! The loop that takes in a transport's connections.

use std::sync::Arc;

use tokio::time::{Duration, Instant, sleep};

use crate::{Transport, shared::Workers};

/// The pause after an error, which is seldom about one connection: most often the process has run
/// out of files.
const PAUSE: Duration = Duration::from_millis(100);

/// Errors are logged at most this often.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Runs until the workers are gone or the task is aborted. Waits while they are behind.
pub(crate) async fn run(mut transport: Box<dyn Transport>, workers: Arc<Workers>) {
    let mut silent_until = Instant::now();
    let mut suppressed = 0_u64;
    loop {
        match transport.accept().await {
            Ok(connection) => {
                if workers.add(connection).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if Instant::now() >= silent_until {
                    tracing::warn!(%error, suppressed, "cannot accept a connection");
                    silent_until = Instant::now() + LOG_EVERY;
                    suppressed = 0;
                } else {
                    suppressed += 1;
                }
                sleep(PAUSE).await;
            }
        }
    }
}
