//! The examples, as processes: a server, a bot, and somebody who talks to it.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use chat_runtime::{
    Client,
    chat_core::{client::ClientEvent, wire::client::RoomRef},
    client_config,
};
use chat_transport_tcp::TcpConnector;

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let path: PathBuf = test
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples")
        .join(name);
    let path = path.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is missing: `cargo test` builds it, `cargo test --test` does not",
        path.display()
    );
    Command::new(path)
}

#[tokio::test]
async fn a_bot_of_fifteen_lines_answers_on_a_server_of_ten() {
    let mut server = example("server")
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let _server = Process(server);
    let address: SocketAddr = line
        .trim()
        .strip_prefix("listening tcp ")
        .unwrap()
        .parse()
        .unwrap();

    let (client, mut events) = Client::connect(
        TcpConnector::new("127.0.0.1", address.port()),
        client_config("adina").unwrap(),
    );
    let lobby = client.join(RoomRef::Lobby).await.unwrap();
    let _bot = Process(
        example("bot")
            .arg("127.0.0.1")
            .arg(address.port().to_string())
            .spawn()
            .unwrap(),
    );
    let mut said = false;
    loop {
        match events.next().await.expect("the client runs") {
            ClientEvent::Record {
                text: Some(Ok(text)),
                ..
            } if text == "adina said: hello" => break,
            ClientEvent::Record {
                record, text: None, ..
            } if record.nick == "echo" && !said => {
                said = true;
                client.send(lobby.room, "hello").await.unwrap();
            }
            _ => {}
        }
    }
}
