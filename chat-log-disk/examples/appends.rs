//! How many appends are acknowledged in a second, beside what the same disk does for bare SQLite
//! and for a bare file.
//!
//! `cargo run --release -p chat-log-disk --example appends [FOLDER]`
#![allow(clippy::print_stdout, reason = "prints a table")]

use std::{
    env, fs,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use chat_core::{
    id::{Partition, Place, RoomId},
    log::{Appended, Query, ReadFrom},
};
use chat_log_disk::{Config, DiskLog};
use chat_runtime::Log;
use rusqlite::Connection;

const BODY: usize = 200;
const TIME: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let parent = env::args().nth(1).map_or_else(env::temp_dir, Into::into);
    println!(
        "Appends of one record of {BODY} bytes, each appender in a room of its own, {TIME:?} each.\n"
    );
    println!(
        "| appenders | log, appends/s | p50 ms | p99 ms | bare SQLite, rows/s | bare fsync, rows/s | log : SQLite | log : fsync |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for appenders in [1, 100, 1_000] {
        let dir = tempfile::tempdir_in(&parent).expect("a folder to work in");
        let (log, mut waits) = ours(dir.path(), appenders).await;
        waits.sort_unstable();
        let at = |per_mille: usize| waits[(waits.len() - 1) * per_mille / 1_000] as f64 / 1e3;
        let (sqlite, fsync) = (
            bare_sqlite(dir.path(), appenders),
            bare_fsync(dir.path(), appenders),
        );
        println!(
            "| {appenders} | {log:.0} | {:.2} | {:.2} | {sqlite:.0} | {fsync:.0} | {:.2} | {:.2} |",
            at(500),
            at(990),
            log / sqlite,
            log / fsync
        );
    }
}

/// Appends acknowledged in a second, and how long each took, in microseconds.
async fn ours(dir: &Path, appenders: u32) -> (f64, Vec<u32>) {
    let log = Arc::new(
        DiskLog::open(dir.join("log"), Config::default())
            .expect("a log")
            .0,
    );
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let began = Instant::now();
    let tasks = (0..appenders).map(|n| {
        let (log, stop, count) = (Arc::clone(&log), Arc::clone(&stop), Arc::clone(&count));
        tokio::spawn(async move {
            let room = Partition::Room(RoomId(u128::from(n).to_le_bytes()));
            let query = Query {
                from: ReadFrom::State,
                records: 1,
                bytes: 1,
            };
            let mut head: Place = log.read(room, query).await.expect("a page").head;
            let (body, mut waits) = (Bytes::from(vec![b'x'; BODY]), Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                match log
                    .append(room, head, vec![body.clone()], Bytes::new())
                    .await
                {
                    Appended::Committed(now) => head = now,
                    other => panic!("{other:?}"),
                }
                waits.push(asked.elapsed().as_micros() as u32);
                count.fetch_add(1, Ordering::Relaxed);
            }
            waits
        })
    });
    let tasks: Vec<_> = tasks.collect();
    tokio::time::sleep(TIME).await;
    let rate = count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.expect("an appender"));
    }
    (rate, waits)
}

/// Rows inserted in a second by one thread, in transactions of so many rows.
fn bare_sqlite(dir: &Path, batch: u32) -> f64 {
    let connection = Connection::open(dir.join("bare.db")).expect("a database");
    let prepare = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        CREATE TABLE records (id INTEGER PRIMARY KEY, partition INTEGER, seq INTEGER, body BLOB, UNIQUE (partition, seq));";
    connection.execute_batch(prepare).expect("a table");
    let (began, mut rows, body) = (Instant::now(), 0_u64, vec![b'x'; BODY]);
    while began.elapsed() < TIME {
        let transaction = connection.unchecked_transaction().expect("a transaction");
        {
            let sql = "INSERT INTO records (partition, seq, body) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(sql).expect("a statement");
            for partition in 0..batch {
                insert.execute((partition, rows, &body)).expect("a row");
                rows += 1;
            }
        }
        transaction.commit().expect("a commit");
    }
    rows as f64 / began.elapsed().as_secs_f64()
}

/// Rows written to a file in a second, so many for each fsync.
fn bare_fsync(dir: &Path, batch: u32) -> f64 {
    let mut file = fs::File::create(dir.join("bare")).expect("a file");
    let (began, mut rows, body) = (Instant::now(), 0_u64, vec![b'x'; BODY * batch as usize]);
    while began.elapsed() < TIME {
        file.write_all(&body).expect("written");
        file.sync_data().expect("synced");
        rows += u64::from(batch);
    }
    rows as f64 / began.elapsed().as_secs_f64()
}
