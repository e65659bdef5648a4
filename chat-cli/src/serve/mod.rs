//! `chat-cli serve`: listeners, the server behind them, what its operator reads, and its end.

#[cfg(unix)]
mod admin;
#[cfg(feature = "acme")]
mod domains;
mod greeting;
mod operator;
mod trace;

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    thread,
    time::Duration,
};

use chat_core::{hub::Audience, keys::Fingerprint};
use chat_runtime::{Server, ServerHandle, StartError};
use chat_terminal::operator::{Greeting, Notice, Operator};
use chat_transport_port::{Place, PortTransport};
use tokio::{runtime, sync::oneshot, task::JoinHandle, time::timeout};

use crate::{
    address::port_of,
    command_line::ServeArgs,
    config::ServerConfig,
    exit::{Failure, written},
    open_files,
    signals::{Signals, Wish},
    storage::Storage,
};
pub(crate) use greeting::terminal;
use operator::{Console, Notices, Sources};
pub(crate) use trace::Trace;

/// How long the end waits for the operator's last lines to be written; longer only if nobody reads
/// them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs a server until it is told to end, or prints its configuration. `trace` is what the
/// libraries say.
pub(crate) fn run(args: &ServeArgs, trace: &Trace) -> Result<(), Failure> {
    let mut config = ServerConfig::load(args)?;
    if args.print_config {
        config.settle()?;
        return written(io::stdout().write_all(config.to_toml()?.as_bytes()));
    }
    open_files::raise_limit();
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Fault(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(serve(config, trace));
    runtime.shutdown_background();
    ended
}

async fn serve(config: ServerConfig, trace: &Trace) -> Result<(), Failure> {
    let mut signals = Signals::new()
        .map_err(|error| Failure::Fault(format!("cannot listen to signals: {error}")))?;
    let keys = config.data.keys_folder();
    let port = config
        .web
        .options(&config.trusted_proxies, &config.limits)
        .plaintext(config.plaintext);
    let port = match config.audience() {
        Audience::Names(names) => port.hosts(names),
        _ => port,
    };
    #[cfg(feature = "acme")]
    let acme = domains::acme(&config.tls, keys.as_deref())?;
    #[cfg(feature = "acme")]
    let port = match &acme {
        None => port,
        Some(acme) => {
            let challenges = acme.challenges();
            port.in_the_clear(move |request| challenges.answer(request))
        }
    };
    let mut server = Server::builder()
        .agent(concat!("chat-cli/", env!("CARGO_PKG_VERSION")))
        .limits(config.limits.clone())
        .reserved(config.names.reserved().map_err(Failure::Usage)?)
        .names(config.names.policy.into())
        .guests(config.guests)
        .invite_only(config.invite_only)
        .audience(config.audience())
        .workers(config.workers.into());
    let (mut transports, mut listening) = (Vec::new(), Vec::new());
    for address in &config.listen {
        let fault =
            |error: io::Error| Failure::Fault(format!("cannot listen on {address}: {error}"));
        let transport = PortTransport::bind(&address.0, port.clone()).map_err(fault)?;
        listening.push(transport.place().map_err(fault)?);
        transports.push(transport);
    }
    #[cfg(feature = "acme")]
    if acme.is_some() {
        let bound = domains::more_ports(&port, &listening);
        listening.extend(bound.iter().filter_map(|transport| transport.place().ok()));
        transports.extend(bound);
    }
    let storage = Storage::open(&config.data, config.history).await?;
    #[cfg(feature = "acme")]
    let had = acme.as_ref().and_then(chat_acme::Acme::kept);
    #[cfg(not(feature = "acme"))]
    let had = None;
    let tls = config.tls.open(keys.as_deref(), had)?;
    for transport in transports {
        server = server.listen(transport.tls(tls.clone()));
    }
    server = server.lobby(config.lobby(storage.lobby)?).log(storage.log);
    let key = (storage.secret.as_ref()).map(|secret| secret.key().public().fingerprint());
    if let Some(secret) = storage.secret {
        server = server.secret(secret);
    }
    let server = server.start().map_err(|error| match error {
        StartError::Limits(_) => Failure::Usage(error.to_string()),
        _ => Failure::Fault(error.to_string()),
    })?;

    #[cfg(feature = "acme")]
    if let Some(acme) = acme {
        tokio::spawn(acme.run(tls.clone()));
    }

    let (notices, received) = Notices::new();
    let sources = Sources {
        events: server.events(),
        notices: received,
        disk: storage.events,
        traced: trace.to_operator(),
        trace: trace.clone(),
    };
    let network = greeting::on_the_network();
    let scheme = greeting::Schemes {
        plaintext: config.plaintext,
        vouched: !tls.chain().is_self_signed(),
    };
    let mut greeting = greeting::greeting(&listening, &config.web, scheme, &network);
    #[cfg(unix)]
    let orders = storage.folder.as_deref().and_then(|folder| {
        let links = links(&config, &greeting, &listening, key);
        take_orders(folder, server.handle(), links)
    });
    greeting::name_key(&mut greeting, key);
    greeting.data = storage.folder;
    let texts = config.show_text || io::stdout().is_terminal();
    let operator = Operator::new(config.log_format, config.quiet).texts(texts);
    let console = Console::new(operator, io::stdout(), io::stderr());
    let lines = on_a_thread(console, greeting, sources)
        .map_err(|error| Failure::Fault(format!("cannot start: {error}")))?;

    let restarting = tokio::select! {
        wish = signals.next() => wish == Wish::Restart,
        () = server.ended() => return Err(Failure::Fault("the server has ended by itself".to_owned())),
    };
    notices.say(Notice::Ending { restarting });
    tokio::select! {
        () = server.shutdown(restarting) => {}
        () = second_interrupt(&mut signals) => {
            return Err(Failure::Fault("ended at once, without waiting for everybody".to_owned()));
        }
    }
    drop(server);
    #[cfg(unix)]
    if let Some(orders) = orders {
        orders.abort();
        // Its end is that it was aborted.
        let _ = orders.await;
    }
    let _ = timeout(PATIENCE, lines).await;
    Ok(())
}

/// Takes orders of the operator from here on, if there can be a socket for them.
#[cfg(unix)]
fn take_orders(folder: &Path, server: ServerHandle, links: admin::Links) -> Option<JoinHandle<()>> {
    let socket = admin::AdminSocket::bind(folder).inspect_err(|error| {
        let path = folder.join(crate::admin::SOCKET);
        tracing::warn!(
            "no orders of the operator come in by {}: {error}",
            path.display()
        );
    });
    Some(tokio::spawn(socket.ok()?.run(server, links)))
}

/// The beginning of links for others: the server's first name, or else where it is found.
#[cfg(unix)]
fn links(
    config: &ServerConfig,
    greeting: &Greeting,
    listening: &[Place],
    key: Option<Fingerprint>,
) -> admin::Links {
    let tcp = listening.iter().find_map(port_of);
    if let (Some(host), Some(port)) = (config.names_of_host().next(), tcp) {
        let folder = config.web.folder();
        let of_web = listening.iter().any(|place| port_of(place) == Some(443));
        let at = match of_web && !config.tls.domains.is_empty() {
            true => host.to_owned(),
            false => format!("{host}:{port}"),
        };
        return admin::Links {
            page: folder.map(|folder| format!("https://{at}{folder}")),
            client: Some(format!("tls://{host}:{port}")),
            key,
        };
    }
    let page = (greeting.for_others.as_ref()).or(greeting.pages.first());
    let client = greeting.client.as_ref().map(|client| match tcp {
        Some(_) => format!("tls://{client}"),
        None => client.clone(),
    });
    admin::Links {
        page: page.cloned(),
        client,
        key,
    }
}

/// Writes the operator's lines on a thread of their own. Whoever does not read them holds up that,
/// but not the end. The receiver hears when the last line is written.
fn on_a_thread(
    console: Console<io::Stdout, io::Stderr>,
    greeting: Greeting,
    sources: Sources,
) -> io::Result<oneshot::Receiver<()>> {
    // Its timers are its own, too: to set one wakes no other thread.
    let own = runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let (done, lines) = oneshot::channel();
    let thread = thread::Builder::new().name("chat-operator".to_owned());
    thread.spawn(move || {
        own.block_on(console.run(greeting, sources));
        // The server may not have waited for it.
        let _ = done.send(());
    })?;
    Ok(lines)
}

/// SIGHUP while ending changes nothing.
async fn second_interrupt(signals: &mut Signals) {
    while signals.next().await != Wish::Stop {}
}
