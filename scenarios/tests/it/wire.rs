//! To whom the server speaks what, by the program itself: peers of every reach, in a network
//! namespace of its own; the outcome is `wire.txt`.

use std::{
    fmt::Write as _,
    fs,
    future::poll_fn,
    io::{ErrorKind, IoSlice},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use chat_core::wire::{ClientMessage, Form, PREFIX, ServerMessage, client::Ping};
use chat_runtime::{Connection, Interest};
use chat_transport_tcp::TcpConnection;
use chat_transport_tls::{ALPN_CHAT, ClientTls, Trust};
use scenarios::{Program, skipped};
use tokio::{net::TcpSocket, time::timeout};

/// Where the table is written, by the process in the namespace.
const TABLE: &str = "CHAT_WIRE_TABLE";

const MODES: [&str; 4] = ["never", "loopback", "private", "any"];

/// The peers: what they are, their own address, and the server's that they connect to.
const PEERS: [(&str, Ipv4Addr, Ipv4Addr, bool); 5] = [
    (
        "loopback",
        Ipv4Addr::new(127, 0, 0, 2),
        Ipv4Addr::new(127, 0, 0, 1),
        false,
    ),
    (
        "private",
        Ipv4Addr::new(192, 168, 77, 2),
        Ipv4Addr::new(192, 168, 77, 1),
        false,
    ),
    (
        "public",
        Ipv4Addr::new(203, 0, 113, 2),
        Ipv4Addr::new(203, 0, 113, 1),
        false,
    ),
    (
        "link-local",
        Ipv4Addr::new(169, 254, 77, 2),
        Ipv4Addr::new(169, 254, 77, 1),
        false,
    ),
    // A private one, at a listener of IPv6.
    (
        "mapped",
        Ipv4Addr::new(192, 168, 77, 2),
        Ipv4Addr::new(192, 168, 77, 1),
        true,
    ),
];

const SPEECHES: [&str; 7] = ["frames", "lines", "TLS", "http", "https", "ws", "wss"];

#[test]
fn the_table_is_as_it_was() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("wire.txt");
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("wire.txt");
    let namespace = Command::new("unshare")
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .output();
    if !namespace.is_ok_and(|made| made.status.success()) {
        return skipped("a network namespace needs root, unshare and ip");
    }
    let inside = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe().unwrap())
        .args(["wire::inside", "--exact", "--ignored", "--nocapture"])
        .env(TABLE, &written)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    let wrong = String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success(), "{said}\n{wrong}");
    let written = fs::read_to_string(written).unwrap();
    if std::env::var_os("RECORD").is_some() {
        fs::write(&table, &written).unwrap();
    }
    assert_eq!(written, fs::read_to_string(&table).unwrap());
}

#[test]
#[ignore = "runs in a network namespace, started by the other test"]
fn inside() {
    let Some(table) = std::env::var_os(TABLE).map(PathBuf::from) else {
        return;
    };
    ip(&["link", "set", "lo", "up"]);
    for (_, own, server, mapped) in PEERS {
        for address in [own, server] {
            if !(mapped || address.is_loopback()) {
                ip(&["address", "add", &format!("{address}/32"), "dev", "lo"]);
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut all =
        String::from("# By scenarios/tests/it/wire.rs, with RECORD=1; an answer in each case.\n");
    let mut line = |cells: &[&str]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<13}")).collect();
        writeln!(all, "{}", cells.concat().trim_end()).unwrap();
    };
    line(&[&["plaintext", "peer"], &SPEECHES[..]].concat());
    for mode in MODES {
        let more = ["--plaintext", mode, "--listen", "[::]:7038"];
        let (_server, _) = Program::server_at("0.0.0.0:7037", &more);
        for (peer, own, server, mapped) in PEERS {
            let port = if mapped { 7_038 } else { 7_037 };
            let outcomes = SPEECHES.map(|speech| {
                let asked = asked(speech, (own, 0).into(), (server, port).into());
                runtime.block_on(async {
                    let outcome = timeout(Duration::from_secs(60), asked).await;
                    outcome.unwrap_or_else(|_| panic!("{mode} {peer} {speech}: no answer"))
                })
            });
            let outcomes: Vec<&str> = outcomes.iter().map(String::as_str).collect();
            line(&[&[mode, peer], &outcomes[..]].concat());
        }
    }
    fs::write(table, all).unwrap();
}

fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {done:?}");
}

/// The answer to one who speaks so.
async fn asked(speech: &str, own: SocketAddr, server: SocketAddr) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(own).unwrap();
    let stream = TcpConnection::new(socket.connect(server).await.unwrap(), server);
    if !["TLS", "https", "wss"].contains(&speech) {
        return said(stream, speech).await;
    }
    let tls = ClientTls::new(Trust::AnyCertificate, None).unwrap();
    let stream = tls.open(stream, "localhost", ALPN_CHAT).await.unwrap();
    said(stream, speech).await
}

async fn said(mut stream: impl Connection, speech: &str) -> String {
    let ping = ClientMessage::Ping(Ping { nonce: 1 });
    let form = if speech == "lines" {
        Form::Json
    } else {
        Form::Postcard
    };
    let said = match speech {
        "frames" | "TLS" => form.encode(&ping).prefixed().to_vec(),
        "lines" => [&form.encode(&ping).body()[..], b"\n"].concat(),
        "http" | "https" => b"GET / HTTP/1.1\r\nHost: chat.example.org\r\nConnection: close\r\n\r\n".to_vec(),
        _ => b"GET /ws HTTP/1.1\r\nHost: chat.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat.v1.json\r\n\r\n"
            .to_vec(),
    };
    stream.try_write_vectored(&[IoSlice::new(&said)]).unwrap();
    poll_fn(|cx| stream.poll_flush(cx)).await.unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 1_024]);
    loop {
        poll_fn(|cx| stream.poll_ready(cx, Interest::Read))
            .await
            .unwrap();
        match stream.try_read(&mut buffer) {
            Ok(read) => answer.extend_from_slice(&buffer[..read.expect("an answer comes first")]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        let whole = match speech {
            "frames" | "TLS" => answer
                .split_at_checked(PREFIX)
                .filter(|(length, body)| {
                    u32::from_be_bytes((*length).try_into().unwrap()) as usize <= body.len()
                })
                .map(|(_, body)| message(form, body)),
            "lines" => answer.strip_suffix(b"\n").map(|body| message(form, body)),
            _ => answer
                .windows(2)
                .any(|pair| pair == b"\r\n")
                .then(|| String::from_utf8_lossy(&answer[9..12]).into_owned()),
        };
        if let Some(outcome) = whole {
            return outcome;
        }
    }
}

fn message(form: Form, body: &[u8]) -> String {
    match form.decode(body).unwrap() {
        ServerMessage::Pong(_) => "pong".to_owned(),
        ServerMessage::Closing(closing) => closing.reason.to_string(),
        other => panic!("{other:?}"),
    }
}
