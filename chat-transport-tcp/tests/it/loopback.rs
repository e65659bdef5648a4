//! Servers and clients over the loopback interface.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
};

use chat_runtime::{
    Client, Connector, Events, Interest, Server, Transport,
    chat_core::{
        client::{ClientEvent, Command, Ended},
        hub::Event,
        limits::{Limits, Rate},
        wire::{CloseReason, client::RoomRef},
    },
    client_config,
};
use chat_transport_tcp::{TcpConnector, TcpTransport};

fn wide() -> Limits {
    let mut limits = Limits::default();
    let rate = Rate {
        burst: 1_000_000,
        per_second: 1_000_000,
    };
    (limits.send_rate, limits.request_rate) = (rate, rate);
    limits.written_per_member.burst = u32::MAX;
    limits.written_per_address.burst = u32::MAX;
    limits
}

fn bind(address: &str) -> (TcpTransport, u16) {
    let transport = TcpTransport::bind(address.parse().unwrap()).unwrap();
    let port = transport.local_addr().unwrap().port();
    (transport, port)
}

async fn enter(host: &str, port: u16, nick: &str) -> (Client, Events) {
    let (client, events) =
        Client::connect(TcpConnector::new(host, port), client_config(nick).unwrap());
    client.join(RoomRef::Lobby).await.unwrap();
    (client, events)
}

async fn hears(events: &mut Events, what: &str) {
    loop {
        match events.next().await.expect("the client runs") {
            ClientEvent::Record {
                text: Some(Ok(text)),
                ..
            } if text == what => return,
            _ => {}
        }
    }
}

/// Whether this machine has IPv6 at all.
fn has_ipv6() -> bool {
    let has = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    assert!(
        has || std::env::var_os("CHAT_REQUIRE_ALL").is_none(),
        "IPv6 is required here"
    );
    has
}

async fn talk(address: &str, hosts: [&str; 2]) {
    let (transport, port) = bind(address);
    let server = Server::builder().listen(transport).start().unwrap();
    let (adina, mut adina_hears) = enter(hosts[0], port, "adina").await;
    let (bela, mut bela_hears) = enter(hosts[1], port, "bela").await;
    let lobby = adina.join(RoomRef::Lobby).await.unwrap().room;
    adina.send(lobby, "hello").await.unwrap();
    hears(&mut bela_hears, "hello").await;
    bela.send(lobby, "hello yourself").await.unwrap();
    hears(&mut adina_hears, "hello yourself").await;
    server.stop().await;
    assert_eq!(adina.ended().await, Ended::Closed(CloseReason::Stopped));
    assert_eq!(bela.ended().await, Ended::Closed(CloseReason::Stopped));
}

#[tokio::test]
async fn ipv4() {
    talk("127.0.0.1:0", ["127.0.0.1", "localhost"]).await;
}

#[tokio::test]
async fn ipv6() {
    if has_ipv6() {
        talk("[::1]:0", ["::1", "[::1]"]).await;
    }
}

#[tokio::test]
async fn both() {
    if has_ipv6() {
        talk("[::]:0", ["127.0.0.1", "::1"]).await;
    }
}

#[tokio::test]
async fn an_ipv4_peer_of_a_dual_stack_listener_has_its_ipv4_address() {
    if !has_ipv6() {
        return;
    }
    let (mut transport, port) = bind("[::]:0");
    let connector = TcpConnector::new("127.0.0.1", port);
    let (near, far) = tokio::try_join!(connector.connect(), transport.accept()).unwrap();
    assert_eq!(far.address(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    assert_eq!(near.address(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
}

#[tokio::test]
async fn several_listeners_of_one_server() {
    let ((one, first), (other, second)) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let _server = Server::builder().listen(one).listen(other).start().unwrap();
    let (adina, _events) = enter("127.0.0.1", first, "adina").await;
    let (_bela, mut hears_bela) = enter("127.0.0.1", second, "bela").await;
    adina
        .send(adina.join(RoomRef::Lobby).await.unwrap().room, "across")
        .await
        .unwrap();
    hears(&mut hears_bela, "across").await;
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let (transport, _) = bind("127.0.0.1:0");
    let again = TcpTransport::bind(transport.local_addr().unwrap());
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn nobody_there_and_no_such_host_are_errors() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let refused = TcpConnector::new("127.0.0.1", free)
        .connect()
        .await
        .err()
        .unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert!(TcpConnector::new("", 1).connect().await.is_err());
    assert!(
        TcpConnector::new("no such host", 1)
            .connect()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_connection_that_breaks_is_noticed() {
    let (transport, port) = bind("127.0.0.1:0");
    let server = Server::builder().listen(transport).start().unwrap();
    let mut events = server.events();
    let mut raw = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    raw.write_all(&[0, 0]).unwrap();
    while !matches!(events.next().await.unwrap(), Event::Connected { address, .. } if address == Some(Ipv4Addr::LOCALHOST.into()))
    {
    }
    socket2::SockRef::from(&raw)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(raw);
    while !matches!(events.next().await.unwrap(), Event::Disconnected { .. }) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_does_not_read_misses_nothing() {
    let (transport, port) = bind("127.0.0.1:0");
    let _server = Server::builder()
        .limits(wide())
        .listen(transport)
        .start()
        .unwrap();
    let (_sleeper, mut wakes) = enter("127.0.0.1", port, "sleeper").await;
    let (writer, mut echo) = enter("127.0.0.1", port, "writer").await;
    let lobby = writer.join(RoomRef::Lobby).await.unwrap().room;
    // More than the sockets, the client and the outbox hold together.
    let filler = "x".repeat(15_000);
    for n in 0..2_000 {
        drop(writer.command(Command::Send {
            room: lobby,
            action: false,
            text: format!("{n} {filler}"),
        }));
    }
    hears(&mut echo, &format!("1999 {filler}")).await;
    let mut next = 0;
    while next < 2_000 {
        if let ClientEvent::Record {
            text: Some(Ok(text)),
            ..
        } = wakes.next().await.expect("the client runs")
        {
            assert!(text.starts_with(&format!("{next} ")));
            next += 1;
        }
    }
}

#[tokio::test]
async fn the_end_is_said_after_everything_else() {
    let (mut transport, port) = bind("127.0.0.1:0");
    let connector = TcpConnector::new("127.0.0.1", port);
    let (mut near, mut far) = tokio::try_join!(connector.connect(), transport.accept()).unwrap();
    std::future::poll_fn(|cx| near.poll_ready(cx, Interest::Write))
        .await
        .unwrap();
    assert_eq!(
        near.try_write_vectored(&[io::IoSlice::new(b"la"), io::IoSlice::new(b"st")])
            .unwrap(),
        4
    );
    std::future::poll_fn(|cx| near.poll_close(cx, None))
        .await
        .unwrap();
    let (mut seen, mut buffer) = (vec![], [0; 3]);
    loop {
        std::future::poll_fn(|cx| far.poll_ready(cx, Interest::Read))
            .await
            .unwrap();
        match far.try_read(&mut buffer) {
            Ok(Some(read)) => seen.extend_from_slice(&buffer[..read]),
            Ok(None) => break,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    assert_eq!(seen, b"last");
}
