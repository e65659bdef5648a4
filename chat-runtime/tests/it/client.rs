//! The client's driver with the real machine, hub and server.

use std::{
    io::{self, IoSlice},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use chat_runtime::{
    Client, Connection, Connector, Events, Interest, NotReady, Server,
    chat_core::{
        client::{
            ClientConfig, ClientEvent, Command, CommandError, Create, Ended, Outcome, RoomCipher,
        },
        hub::{Event, Framing},
        id::{RoomId, Seq},
        limits::{Limits, Rate},
        password::{Password, Stretch},
        wire::{
            CloseReason, ErrorCode, Form,
            client::{HistoryFrom, RoomRef},
        },
    },
    client_config,
    memory::{self, MemoryConnector},
};

fn start() -> (Server, MemoryConnector) {
    let mut limits = Limits::default();
    let rate = Rate {
        burst: 1_000_000,
        per_second: 1_000_000,
    };
    (limits.send_rate, limits.request_rate) = (rate, rate);
    limits.written_per_member.burst = u32::MAX;
    limits.written_per_address.burst = u32::MAX;
    let (transport, connector) = memory::listener();
    (
        Server::builder()
            .limits(limits)
            .listen(transport)
            .start()
            .unwrap(),
        connector,
    )
}

fn config(nick: &str) -> ClientConfig {
    let mut config = client_config(nick).unwrap();
    config.stretch = Stretch::cheap();
    config
}

async fn enter(connector: &MemoryConnector, nick: &str) -> (Client, Events) {
    let (client, events) = Client::connect(connector.clone(), config(nick));
    client.join(RoomRef::Lobby).await.unwrap();
    (client, events)
}

/// The texts until (and with) `last`, of which none may be missing.
async fn said_until(events: &mut Events, last: &str) -> Vec<String> {
    let (mut said, mut seq): (Vec<String>, Option<Seq>) = (vec![], None);
    while said.last().is_none_or(|text| text != last) {
        match events.next().await.expect("the client runs") {
            ClientEvent::Record { record, text, .. } => {
                assert!(seq.is_none_or(|seq| seq + 1 == record.seq));
                seq = Some(record.seq);
                said.extend(text.map(|text| text.unwrap()));
            }
            ClientEvent::Ended(why) => panic!("{why:?}"),
            _ => {}
        }
    }
    said
}

#[tokio::test]
async fn commands_are_done_in_the_order_of_the_calls_awaited_or_not() {
    let (_server, connector) = start();
    let (client, mut events) = Client::connect(connector.clone(), config("adina"));
    drop(client.command(Command::Join {
        room: RoomRef::Lobby,
        password: None,
        key: None,
        unsealed_too: false,
    }));
    for n in 0..50 {
        drop(client.command(Command::Send {
            room: RoomId::LOBBY,
            action: false,
            text: n.to_string(),
        }));
    }
    client.send(RoomId::LOBBY, "the last").await.unwrap();
    let said = said_until(&mut events, "the last").await;
    assert_eq!(
        said[..50],
        (0..50).map(|n| n.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_with_a_password() {
    let (_server, connector) = start();
    let (owner, _owner_events) = Client::connect(connector.clone(), config("owner"));
    let create = Create {
        topic: "secrets".into(),
        cipher: RoomCipher::RoomPassword,
        password: Some(Password::new("sesame")),
        ..Create::default()
    };
    let room = owner.create(create).await.unwrap();
    let number = RoomRef::Number(room.number.unwrap());
    owner.send(room.room, "before you came").await.unwrap();

    let (guest, mut guest_events) = Client::connect(connector, config("guest"));
    let wrong = guest
        .join_with(number, Some(Password::new("open up")), None)
        .await;
    assert_eq!(wrong, Err(CommandError::WrongPassword));
    assert_eq!(guest.list().await.unwrap()[0].topic, "secrets");
    guest
        .join_with(number, Some(Password::new("sesame")), None)
        .await
        .unwrap();
    let history = guest
        .history(room.room, HistoryFrom::Latest, 10)
        .await
        .unwrap();
    assert!(history.texts.contains(&Some(Ok("before you came".into()))));
    assert_eq!(guest.members(room.room).await.unwrap().len(), 2);
    owner.topic(room.room, "more secrets").await.unwrap();
    owner.act(room.room, "whispers").await.unwrap();
    said_until(&mut guest_events, "whispers").await;
    guest.leave(room.room).await.unwrap();
    assert_eq!(
        guest.rename("somebody", "else").await.unwrap().nick,
        "somebody"
    );
}

#[tokio::test]
async fn a_nick_that_is_taken_may_be_chosen_again() {
    let (_server, connector) = start();
    let _first = enter(&connector, "adina").await;
    let (second, mut events) = Client::connect(connector, config("adina"));
    let failure = loop {
        if let ClientEvent::HelloRefused(failure) = events.next().await.unwrap() {
            break failure;
        }
    };
    assert_eq!(failure.code, ErrorCode::NickTaken);
    second.retry_as("bela", "");
    second.join(RoomRef::Lobby).await.unwrap();
}

#[tokio::test]
async fn unread_events_wait_in_the_server_and_commands_are_done_all_the_same() {
    let (_server, connector) = start();
    let (sleeper, mut events) = enter(&connector, "sleeper").await;
    let (writer, mut echo) = enter(&connector, "writer").await;
    // More than what fits into the queue, the connection and the outbox.
    let filler = "x".repeat(1_000);
    let mut all = vec![];
    for n in 0..4_000 {
        let text = format!("{n} {filler}");
        drop(writer.command(Command::Send {
            room: RoomId::LOBBY,
            action: false,
            text: text.clone(),
        }));
        all.push(text);
    }
    said_until(&mut echo, all.last().unwrap()).await;
    sleeper.send(RoomId::LOBBY, "in my sleep").await.unwrap();
    all.push("in my sleep".into());
    assert_eq!(said_until(&mut events, "in my sleep").await, all);
}

#[tokio::test]
async fn who_wants_no_events_drops_them() {
    let (_server, connector) = start();
    let (client, events) = enter(&connector, "adina").await;
    drop(events);
    for n in 0..2_000 {
        client.send(RoomId::LOBBY, n.to_string()).await.unwrap();
    }
}

#[tokio::test]
async fn the_last_handle_takes_the_client_with_it() {
    let (server, connector) = start();
    let mut watch = server.events();
    let (client, mut events) = enter(&connector, "adina").await;
    drop(client);
    while !matches!(watch.next().await.unwrap(), Event::Gone { nick, .. } if nick == "adina") {}
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    assert!(matches!(last, Some(ClientEvent::Ended(_))), "{last:?}");
}

#[tokio::test]
async fn what_is_asked_of_a_client_that_has_ended_ends_at_once() {
    let (_server, connector) = start();
    let (client, _events) = enter(&connector, "adina").await;
    assert_eq!(client.close().await, Ended::Asked);
    assert_eq!(
        client.send(RoomId::LOBBY, "too late").await,
        Err(CommandError::Ended)
    );
    assert_eq!(client.clone().close().await, Ended::Asked);
}

#[tokio::test]
async fn a_server_that_stops_ends_its_clients() {
    let (server, connector) = start();
    let (client, mut events) = enter(&connector, "adina").await;
    server.stop().await;
    assert_eq!(client.ended().await, Ended::Closed(CloseReason::Stopped));
    loop {
        if let ClientEvent::Closing(closing) = events.next().await.expect("a word before the end") {
            break assert_eq!(closing.reason, CloseReason::Stopped);
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_tried_twice() {
    let (transport, connector) = memory::listener();
    drop(transport);
    let (client, mut events) = Client::connect(connector, config("adina"));
    assert_eq!(client.ended().await, Ended::CannotConnect);
    assert!(matches!(
        events.next().await,
        Some(ClientEvent::Disconnected { retry_in: None } | ClientEvent::Ended(_))
    ));
}

/// Connections that break after so many bytes were read, each one later than the last.
struct Brittle(MemoryConnector, Arc<AtomicU32>);

struct Breaking {
    inner: memory::MemoryConnection,
    left: u32,
}

#[async_trait]
impl Connector for Brittle {
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        let nth = self.1.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Breaking {
            inner: self.0.open().await?,
            left: 500 + nth * 400,
        }))
    }
}

impl Connection for Breaking {
    fn poll_ready(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        self.inner.poll_ready(cx, interest)
    }
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.left == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let most = buffer.len().min(self.left as usize);
        let read = self.inner.try_read(&mut buffer[..most])?;
        self.left -= read.unwrap_or(0) as u32;
        Ok(read)
    }
    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.try_write_vectored(pieces)
    }
    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        reason: Option<CloseReason>,
    ) -> Poll<io::Result<()>> {
        self.inner.poll_close(cx, reason)
    }
    fn framing(&self) -> Framing {
        self.inner.framing()
    }
    fn form(&self) -> Form {
        self.inner.form()
    }
    fn address(&self) -> Option<IpAddr> {
        self.inner.address()
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_breaks_again_and_again_loses_and_doubles_nothing() {
    let (_server, connector) = start();
    let (listener, mut heard) = enter(&connector, "listener").await;
    let made = Arc::new(AtomicU32::new(0));
    let (client, mut events) =
        Client::connect(Brittle(connector, Arc::clone(&made)), config("brittle"));
    client.join(RoomRef::Lobby).await.unwrap();
    let mut all = vec![];
    for n in 0..200 {
        drop(client.command(Command::Send {
            room: RoomId::LOBBY,
            action: false,
            text: n.to_string(),
        }));
        all.push(n.to_string());
        if n % 10 == 0 {
            listener
                .send(RoomId::LOBBY, format!("heard {n}"))
                .await
                .unwrap();
        }
    }
    assert!(matches!(
        client
            .command(Command::Send {
                room: RoomId::LOBBY,
                action: false,
                text: "199.5".into()
            })
            .await,
        Ok(Outcome::Committed(_))
    ));
    all.push("199.5".into());
    let of_client = |said: Vec<String>| {
        said.into_iter()
            .filter(|text| !text.starts_with("heard"))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_client(said_until(&mut heard, "199.5").await), all);
    assert_eq!(of_client(said_until(&mut events, "199.5").await), all);
    assert!(made.load(Ordering::SeqCst) > 3, "it never broke");
}

#[tokio::test]
async fn a_client_whose_name_is_taken_learns_it_from_its_commands() {
    let (_server, connector) = start();
    let _first = enter(&connector, "adina").await;
    let (second, mut events) = Client::connect(connector, config("adina"));
    let refused = |end: Result<_, CommandError>| match end {
        Err(CommandError::HelloRefused(failure)) => assert_eq!(failure.code, ErrorCode::NickTaken),
        other => panic!("{other:?}"),
    };
    // Commands that wait for the welcome, and commands that are asked later.
    refused(second.join(RoomRef::Lobby).await.map(drop));
    refused(second.list().await.map(drop));
    match second.ready().await {
        Err(NotReady::Refused(failure)) => assert_eq!(failure.code, ErrorCode::NickTaken),
        other => panic!("{other:?}"),
    }
    second.retry_as("bela", "");
    assert_eq!(second.ready().await.unwrap().nick, "bela");
    second.join(RoomRef::Lobby).await.unwrap();
    while !matches!(events.next().await, Some(ClientEvent::Entered { .. })) {}
}

#[tokio::test]
async fn commands_may_wait_for_another_name() {
    let (_server, connector) = start();
    let _first = enter(&connector, "adina").await;
    let mut config = config("adina");
    config.waits_for_name = true;
    let (second, mut events) = Client::connect(connector, config);
    let join = second.command(Command::Join {
        room: RoomRef::Lobby,
        password: None,
        key: None,
        unsealed_too: false,
    });
    while !matches!(events.next().await, Some(ClientEvent::HelloRefused(_))) {}
    second.retry_as("bela", "");
    join.await.unwrap();
}

#[tokio::test]
async fn why_there_is_no_connection_is_told() {
    struct Broken;
    #[async_trait]
    impl Connector for Broken {
        async fn connect(&self) -> io::Result<Box<dyn Connection>> {
            Err(io::Error::other("the cable is out"))
        }
    }
    let (client, events) = Client::connect(Broken, config("adina"));
    let error = client.ready().await.unwrap_err();
    assert_eq!(error.to_string(), "cannot connect");
    let cause = std::error::Error::source(&error).expect("a cause");
    assert_eq!(cause.to_string(), "the cable is out");
    assert_eq!(client.trouble().unwrap().to_string(), "the cable is out");
    // The events are a stream, too.
    let told: Vec<_> = futures_util::StreamExt::collect(events).await;
    assert_eq!(told, [ClientEvent::Ended(Ended::CannotConnect)]);
}
