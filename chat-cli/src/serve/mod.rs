//! `chat-cli serve`: listeners, the server behind them, what its operator reads, and its end.

mod lines;
mod operator;

use std::{
    io::{self, Write},
    time::Duration,
};

use chat_core::wire::record::CipherKind;
use chat_runtime::{Server, StartError};
use chat_transport_tcp::TcpTransport;
use chat_transport_ws::WsTransport;
use tokio::{sync::mpsc, task::spawn_blocking, time::timeout};

use crate::{
    command_line::{LobbyCipher, ServeArgs},
    config::ServerConfig,
    exit::Failure,
    open_files,
    signals::{Signals, Wish},
    storage::Storage,
};
use operator::{Notice, Operator};

/// How long the end waits for the operator's last lines to be written; longer only if nobody reads them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs a server until it is told to end, or prints its configuration.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let mut config = ServerConfig::load(args)?;
    if args.print_config {
        config.data.settle();
        // A reader that has seen enough is no fault.
        let _ = io::stdout().write_all(config.to_toml()?.as_bytes());
        return Ok(());
    }
    open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Fault(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(serve(config));
    // Whoever does not read standard output holds up a thread, but not the end.
    runtime.shutdown_background();
    ended
}

async fn serve(config: ServerConfig) -> Result<(), Failure> {
    let mut signals = Signals::new()
        .map_err(|error| Failure::Fault(format!("cannot listen to signals: {error}")))?;
    let web = config.web.options(&config.limits);
    let mut server = Server::builder()
        .agent(concat!("chat-cli/", env!("CARGO_PKG_VERSION")))
        .limits(config.limits)
        .reserved(config.names.reserved().map_err(Failure::Usage)?)
        .workers(config.workers.into())
        .lobby(config.lobby.then_some(match config.lobby_cipher {
            LobbyCipher::None => CipherKind::None,
            LobbyCipher::Caesar => CipherKind::Caesar,
            LobbyCipher::StaticKey => CipherKind::StaticKey,
        }));
    let (mut listening, mut pages) = (Vec::new(), Vec::new());
    for address in &config.tcp {
        let fault =
            |error: io::Error| Failure::Fault(format!("cannot listen on tcp {address}: {error}"));
        let transport = TcpTransport::bind(address.0).map_err(fault)?;
        listening.push(("tcp", transport.local_addr().map_err(fault)?));
        server = server.listen(transport);
    }
    for address in &config.ws {
        let fault =
            |error: io::Error| Failure::Fault(format!("cannot listen on ws {address}: {error}"));
        let transport = WsTransport::bind(address.0, web.clone()).map_err(fault)?;
        let address = transport.local_addr().map_err(fault)?;
        listening.push(("ws", address));
        pages.extend(config.web.page_at(address));
        server = server.listen(transport);
    }
    let storage = Storage::open(&config.data, config.history).await?;
    server = server.log(storage.log);
    if let Some(secret) = storage.secret {
        server = server.secret(secret);
    }
    let server = server.start().map_err(|error| match error {
        StartError::Limits(_) => Failure::Usage(error.to_string()),
        _ => Failure::Fault(error.to_string()),
    })?;

    let (notices, received) = mpsc::unbounded_channel();
    let operator = Operator::new(config.log_format, listening, pages);
    if let Some(mut disk) = storage.events {
        let notices = notices.clone();
        tokio::spawn(async move {
            while let Some(event) = disk.next().await {
                if let Some(notice) = Notice::of(&event) {
                    // The operator's lines have ended, and this does soon.
                    let _ = notices.send(notice);
                }
            }
        });
    }
    let events = server.events();
    let lines = spawn_blocking(move || operator.run(events, received));

    let restarting = tokio::select! {
        wish = signals.next() => wish == Wish::Restart,
        () = server.ended() => return Err(Failure::Fault("the server has ended by itself".to_owned())),
    };
    // The receiver lives as long as the server does.
    let _ = notices.send(Notice::Ending { restarting });
    tokio::select! {
        () = server.shutdown(restarting) => {}
        () = second_interrupt(&mut signals) => {
            return Err(Failure::Fault("ended at once, without waiting for everybody".to_owned()));
        }
    }
    drop(server);
    drop(notices);
    let _ = timeout(PATIENCE, lines).await;
    Ok(())
}

/// SIGHUP while ending changes nothing.
async fn second_interrupt(signals: &mut Signals) {
    while signals.next().await != Wish::Stop {}
}
