//! The library as a Rust developer embeds it: a server in ten lines, a bot in fifteen, all in one
//! process, and a client of the command line among them. `examples/` of `chat-runtime` and
//! `chat-transport-tcp` hold them as programs.

use chat_runtime::{
    Client, Server,
    chat_core::{client::ClientEvent, wire::client::RoomRef},
    client_config, memory,
};
use chat_transport_tcp::{TcpConnector, TcpTransport};
use scenarios::{Program, untimed};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A server over TCP, and for its own process.
fn ten_lines() -> Result<(Server, std::net::SocketAddr, memory::MemoryConnector), Error> {
    let tcp = TcpTransport::bind("127.0.0.1:0".parse()?)?;
    let address = tcp.local_addr()?;
    let (inside, connector) = memory::listener();
    let server = Server::builder().listen(tcp).listen(inside).start()?;
    Ok((server, address, connector))
}

/// A bot that repeats what it hears, until it is told to go.
async fn fifteen_lines(connector: impl chat_runtime::Connector) -> Result<(), Error> {
    let config = client_config("echo")?;
    let (bot, mut events) = Client::connect(connector, config);
    let me = bot.ready().await?.member;
    let lobby = bot.join(RoomRef::Lobby).await?.room;
    while let Some(event) = events.next().await {
        if let ClientEvent::Record {
            record,
            text: Some(text),
            ..
        } = event
            && record.member != me
        {
            let text = text?;
            bot.send(lobby, format!("{} said: {text}", record.nick))
                .await?;
            if text == "good-bye" {
                break;
            }
        }
    }
    bot.close().await;
    Ok(())
}

#[tokio::test]
async fn a_server_and_a_bot_in_one_process_with_people_from_outside() -> Result<(), Error> {
    let (server, address, inside) = ten_lines()?;
    let outside = TcpConnector::new(address.ip().to_string(), address.port());
    let (watcher, mut events) = Client::connect(outside, client_config("watcher")?);
    watcher.join(RoomRef::Lobby).await?;
    let bot = tokio::spawn(fifteen_lines(inside));
    while let Some(event) = events.next().await {
        if matches!(&event, ClientEvent::Record { record, .. } if record.nick == "echo") {
            break;
        }
    }
    let person = tokio::task::spawn_blocking(move || {
        let mut person = Program::in_lobby(&address.to_string(), "Adina", &[]);
        person.say("hello");
        let answer = person.until("echo: ");
        person.say("good-bye");
        person.until("echo left");
        (untimed(&answer).to_owned(), person.finish().code)
    });
    assert_eq!(
        person.await?,
        ("echo: Adina said: hello".to_owned(), Some(0))
    );
    bot.await??;
    server.stop().await;
    Ok(())
}
