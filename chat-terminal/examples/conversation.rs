//! A conversation with a server in memory: lines go in, text comes out.
//!
//! `cargo run -p chat-terminal --example conversation` has two people talk in the lobby of a server
//! that lives in this process. Both are driven by the same loop, which does every effect.

use std::{collections::VecDeque, mem, time::Instant};

use chat_runtime::{Client, Server, client_config, memory};
use chat_terminal::{
    ChatSession, Effect, End, Input, Lines, Options, Reporter, TextReporter, screen::Answer,
};

/// The page of one of them.
struct Page(&'static str);

#[allow(clippy::print_stdout, reason = "an example")]
impl Lines for Page {
    fn say(&mut self, line: &str) {
        println!("{:>6} | {line}", self.0);
    }

    fn note(&mut self, line: &str) {
        self.say(line);
    }
}

/// Talks until the script is at its end and all that it said is confirmed.
async fn talk(
    name: &'static str,
    connector: memory::MemoryConnector,
    script: &[&str],
) -> std::io::Result<End> {
    let (client, mut events) = Client::connect(connector, client_config(name)?);
    let mut session = ChatSession::new(Options {
        commands: true,
        last_lines: true,
        ..Options::default()
    });
    let (mut page, mut reporter) = (Page(name), TextReporter::new(false));
    let mut script: VecDeque<&str> = script.iter().copied().collect();
    // Inputs besides events of the client: ends of commands, and lines.
    let (inputs, mut happened) = tokio::sync::mpsc::unbounded_channel();
    let mut effects = Vec::new();
    loop {
        let input = tokio::select! {
            // Events come first: the answer to a join follows the event of having entered.
            biased;
            Some(event) = events.next() => Input::Client(event),
            Some(input) = happened.recv() => input,
            () = due(session.poll_timeout()) => Input::Timeout,
        };
        session.handle_input(Instant::now(), input, &mut effects);
        for effect in mem::take(&mut effects) {
            match effect {
                Effect::Report(report) => reporter.report(&report, &mut page),
                Effect::Command { number, command } => {
                    let (pending, inputs) = (client.command(command), inputs.clone());
                    tokio::spawn(async move {
                        let result = pending.await;
                        let _ = inputs.send(Input::CommandEnded { number, result });
                    });
                }
                Effect::Read { .. } => {
                    let line = script.pop_front().map(str::to_owned);
                    let answer = line.map_or(Answer::End, Answer::Line);
                    let _ = inputs.send(Input::Answer(answer));
                }
                Effect::RetryAs { nick, label } => client.retry_as(nick, label),
                Effect::Close => drop(client.close()),
                Effect::Abort => client.abort(),
                Effect::CountUnread => {
                    let rest = script.len().try_into().unwrap_or(u64::MAX);
                    let _ = inputs.send(Input::Unread(rest));
                }
                Effect::AwaitIdle => drop(inputs.send(Input::Idle)),
                // The line that was asked for is there already.
                Effect::StopReading => {}
                Effect::End(end) => return Ok(end),
            }
        }
    }
}

/// Waits until then.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (transport, connector) = memory::listener();
    let server = Server::builder().listen(transport).start()?;
    let ada = ["/nick Adina", "hello", "/me waves"];
    let berl = ["good morning", "/topic chess"];
    let ended = talk("Ada", connector.clone(), &ada).await?;
    assert_eq!(ended, End::Well);
    // A member who comes later sees the last lines. The lobby belongs to nobody, so its topic
    // stays, and a line that comes to nothing is told at the end.
    let ended = talk("Berl", connector, &berl).await?;
    assert!(matches!(ended, End::Failed(_)), "{ended:?}");
    server.stop().await;
    Ok(())
}
