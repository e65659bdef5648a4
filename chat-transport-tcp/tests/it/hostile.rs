//! Peers that mean no good, over real sockets: what one of them does costs the others little.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use chat_runtime::{
    Server,
    chat_core::{
        id::{RoomId, Secret, SessionId},
        limits::{Limits, Rate},
        wire::{
            ClientMessage, Decoder, Form, SERVER_FRAME_BYTES, ServerMessage,
            client::{GuestHello, History, HistoryFrom, Join, Op, Ping, Request, RoomRef, Send},
            record::Content,
        },
    },
};
use chat_transport_tcp::TcpTransport;

/// Longer than anything here takes: a test that hangs shall fail.
const TOO_LONG: Duration = Duration::from_secs(30);

fn serve(limits: Limits) -> (Server, u16) {
    let transport = TcpTransport::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = transport.local_addr().unwrap().port();
    let server = Server::builder()
        .limits(limits)
        .workers(1)
        .listen(transport);
    (server.start().unwrap(), port)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(TOO_LONG)).unwrap();
    stream
}

fn frame(message: &ClientMessage) -> Vec<u8> {
    Form::Postcard.encode(message).prefixed().to_vec()
}

fn hello(nick: &str) -> Vec<u8> {
    let mut secret = [0; 32];
    secret[..nick.len()].copy_from_slice(nick.as_bytes());
    frame(&ClientMessage::GuestHello(GuestHello {
        nick: nick.to_owned(),
        label: String::new(),
        agent: String::new(),
        secret: Some(Secret(secret)),
        session: SessionId(1),
        resume: Vec::new(),
    }))
}

/// Reads until one of the messages is what is looked for.
fn until(stream: &mut TcpStream, mut wanted: impl FnMut(ServerMessage) -> bool) {
    let mut decoder = Decoder::new(SERVER_FRAME_BYTES);
    let mut buffer = [0; 4_096];
    loop {
        let bytes = stream.read(&mut buffer).expect("something comes");
        assert!(bytes > 0, "the server closed it");
        let mut found = false;
        let look = |body: &[u8]| found |= wanted(Form::Postcard.decode(body).unwrap());
        decoder.feed(&buffer[..bytes], look).unwrap();
        if found {
            return;
        }
    }
}

/// A peer sends what is allowed, as fast as the server takes it. Another's ping is answered
/// before many more bytes are read.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_is_read_in_turn_with_others() {
    let fast = Rate {
        burst: 1_000_000_000,
        per_second: 1_000_000_000,
    };
    let mut limits = Limits::default();
    (limits.send_rate, limits.request_rate) = (fast, fast);
    limits.written_per_member.burst = u32::MAX;
    limits.written_per_address.burst = u32::MAX;
    let (server, port) = serve(limits);
    let sent = Arc::new(AtomicU64::new(0));
    let enough = Arc::new(AtomicBool::new(false));
    let flood = {
        let (sent, enough) = (Arc::clone(&sent), Arc::clone(&enough));
        thread::spawn(move || -> io::Result<()> {
            let mut stream = connect(port);
            stream.write_all(&hello("flood"))?;
            let many = frame(&ClientMessage::Pong(Ping { nonce: 1 })).repeat(10_000);
            while !enough.load(Ordering::Relaxed) {
                stream.write_all(&many)?;
                sent.fetch_add(many.len() as u64, Ordering::Relaxed);
            }
            Ok(())
        })
    };
    let calm = thread::spawn(move || {
        let mut stream = connect(port);
        stream.write_all(&hello("calm")).unwrap();
        until(&mut stream, |message| {
            matches!(message, ServerMessage::Welcome(_))
        });
        let mut most = 0;
        for nonce in 0..50 {
            // The flood is under way.
            let before = sent.load(Ordering::Relaxed);
            while sent.load(Ordering::Relaxed) < before + (1 << 20) {
                thread::yield_now();
            }
            let before = sent.load(Ordering::Relaxed);
            let ping = frame(&ClientMessage::Ping(Ping { nonce }));
            stream.write_all(&ping).unwrap();
            until(
                &mut stream,
                |message| matches!(message, ServerMessage::Pong(pong) if pong.nonce == nonce),
            );
            most = most.max(sent.load(Ordering::Relaxed) - before);
        }
        most
    });
    let most = tokio::task::spawn_blocking(|| calm.join().unwrap())
        .await
        .unwrap();
    enough.store(true, Ordering::Relaxed);
    flood.join().unwrap().expect("it was not cut off");
    // As much as fits into the system's buffers, and a few turns.
    assert!(most < 8 << 20, "{most} bytes of the flood came first");
    server.stop().await;
}

fn request(id: u64, op: Op) -> Vec<u8> {
    frame(&ClientMessage::Request(Request { id, txn: id, op }))
}

/// Fifty pages are thirteen megabytes, more than the socket and the outbox hold together.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_asks_for_fifty_pages_at_once_has_them_all() {
    let mut limits = Limits::default();
    (limits.request_rate.burst, limits.send_rate.burst) = (100, 100);
    let (server, port) = serve(limits);
    let reading = tokio::task::spawn_blocking(move || {
        let room = RoomId::LOBBY;
        let mut stream = connect(port);
        stream.write_all(&hello("reader")).unwrap();
        until(&mut stream, |message| {
            matches!(message, ServerMessage::Welcome(_))
        });
        let (lobby, proof) = (RoomRef::Lobby, None);
        let mut said = request(1, Op::Join(Join { room: lobby, proof }));
        for id in 2..50 {
            let (action, content) = (false, Content::plain("x".repeat(10_000)));
            let send = Send {
                room,
                action,
                content,
            };
            said.extend(request(id, Op::Send(send)));
        }
        stream.write_all(&said).unwrap();
        until(
            &mut stream,
            |message| matches!(message, ServerMessage::Ok(done) if done.id == 49),
        );
        let (from, limit) = (HistoryFrom::Latest, 0);
        let history = |id| request(id, Op::History(History { room, from, limit }));
        let asked: Vec<u8> = (100..150).flat_map(history).collect();
        stream.write_all(&asked).unwrap();
        let mut expected = 100..150;
        until(&mut stream, |message| {
            match message {
                ServerMessage::Ok(done) => assert_eq!(Some(done.id), expected.next()),
                ServerMessage::Records(_) => {}
                other => panic!("{other:?}"),
            }
            expected.is_empty()
        });
    });
    reading.await.unwrap();
    server.stop().await;
}

/// Connections that are turned away and do not close are closed, when there are many of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn those_turned_away_do_not_take_all_files() {
    let mut limits = Limits::default();
    limits.connections_per_address = 1;
    limits.closing = 10 * TOO_LONG;
    let (_server, port) = serve(limits);
    let turned_away = tokio::task::spawn_blocking(move || {
        let _inside = connect(port);
        let all: Vec<TcpStream> = (0..400).map(|_| connect(port)).collect();
        for mut stream in &all[..400 - 256] {
            // Ends with the end, or with its being cut off.
            let mut said = Vec::new();
            match stream.read_to_end(&mut said) {
                Ok(_) => assert!(!said.is_empty(), "it was told why"),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
            }
        }
        all
    });
    turned_away.await.unwrap();
}
