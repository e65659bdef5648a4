//! The directory of a real server on disk: of who is renamed again and again, nothing is left.

use chat_core::limits::{Limits, Rate};
use chat_log_disk::{Config, DiskLog, verify};
use chat_runtime::{Client, Command, Server, client_config, memory};
use futures_util::future::join_all;
use rusqlite::Connection;

const MEMBERS: usize = 10;
const RENAMES: usize = 1_000;

/// Bytes of the file's pages that are in use.
fn used(folder: &std::path::Path) -> u64 {
    let connection = Connection::open(folder.join("log.db")).unwrap();
    let number = |pragma| {
        connection
            .pragma_query_value(None, pragma, |row| row.get::<_, u64>(0))
            .unwrap()
    };
    (number("page_count") - number("freelist_count")) * number("page_size")
}

/// Records of the directory that are stored.
fn stored(folder: &std::path::Path) -> u64 {
    const SQL: &str = "SELECT count(*) FROM records
        WHERE partition = (SELECT id FROM partitions WHERE name = x'000000')";
    let connection = Connection::open(folder.join("log.db")).unwrap();
    connection.query_row(SQL, [], |row| row.get(0)).unwrap()
}

/// Ten members are renamed so often each, at once, by a server that begins and ends.
async fn renamed(folder: &std::path::Path, times: usize) {
    let fast = Rate {
        burst: 1_000_000,
        per_second: 1_000_000,
    };
    let mut limits = Limits::default();
    (limits.request_rate, limits.send_rate) = (fast, fast);
    limits.written_per_member.burst = u32::MAX;
    limits.written_per_address.burst = u32::MAX;
    let (log, _events) = DiskLog::open(folder, Config::default()).unwrap();
    let (transport, connector) = memory::listener();
    let server = Server::builder().limits(limits).log(log).listen(transport);
    let server = server.start().unwrap();
    let members = (0..MEMBERS).map(async |member| {
        let config = client_config(format!("m{member}")).unwrap();
        let (client, events) = Client::connect(connector.clone(), config);
        drop(events);
        client.ready().await.unwrap();
        for time in 0..times {
            let nick = format!("m{member}.{time}");
            let label = String::new();
            let done = client.command(Command::Nick { nick, label });
            done.await.unwrap();
        }
        client.close().await;
    });
    join_all(members).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_names_of_ten_members_leave_what_ten_members_need() {
    let folder = tempfile::tempdir().unwrap();
    renamed(folder.path(), RENAMES).await;
    // At the next start what has not been deleted yet is.
    renamed(folder.path(), 1).await;
    // Those beyond the snapshot that may stay, and those since then.
    let stored = stored(folder.path());
    assert!((1..2_000).contains(&stored), "{stored} records");
    let used = used(folder.path());
    assert!(used < 1 << 20, "{used} bytes");
    let verified = verify(folder.path(), |damage| panic!("{damage}")).unwrap();
    assert!(verified.is_sound());
}
