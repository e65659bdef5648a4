//! A bot that repeats what is said in the lobby.
//! `cargo run -p chat-transport-tcp --example bot -- localhost 7037`
#![allow(clippy::print_stderr, reason = "it says what was not sent")]

use chat_runtime::{Client, ClientEvent, RoomRef, client_config};
use chat_transport_tcp::TcpConnector;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| "localhost".to_owned());
    let port = args
        .next()
        .map_or(Ok(chat_transport_tcp::DEFAULT_PORT), |port| port.parse())?;
    let (bot, mut events) = Client::connect(TcpConnector::new(host, port), client_config("echo")?);
    let me = bot.ready().await?.member;
    let lobby = bot.join(RoomRef::Lobby).await?.room;
    while let Some(event) = events.next().await {
        match event {
            ClientEvent::Record {
                record,
                text: Some(Ok(text)),
                ..
            } if record.member != me => {
                let answer = format!("{} said: {text}", record.nick);
                if let Err(why) = bot.send(lobby, answer).await {
                    eprintln!("not sent: {why}");
                }
            }
            // The bot was put out, or a server that keeps nothing was started anew.
            ClientEvent::Removed { .. } => drop(bot.join(RoomRef::Lobby).await?),
            _ => {}
        }
    }
    Err(bot.ended().await.into())
}
