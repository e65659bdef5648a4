//! A bot that repeats what is said in the lobby. `cargo run -p chat-transport-tcp --example bot -- localhost 7037`

use chat_runtime::{
    Client,
    chat_core::{client::ClientEvent, id::MemberId, wire::client::RoomRef},
    client_config,
};
use chat_transport_tcp::TcpConnector;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| "localhost".to_owned());
    let port = args
        .next()
        .map_or(Ok(chat_transport_tcp::DEFAULT_PORT), |port| port.parse())?;
    let config = client_config("echo")?;
    let me = MemberId::of(&config.secret);
    let (bot, mut events) = Client::connect(TcpConnector::new(host, port), config);
    let lobby = bot.join(RoomRef::Lobby).await?;
    while let Some(event) = events.next().await {
        if let ClientEvent::Record {
            record,
            text: Some(Ok(text)),
            ..
        } = event
            && record.member != me
        {
            bot.send(lobby.room, format!("{} said: {text}", record.nick))
                .await?;
        }
    }
    Ok(())
}
