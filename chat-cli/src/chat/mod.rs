//! `chat-cli chat`: what is missing is asked for, then a client, the terminal and a conversation
//! are put together.

mod drive;

use chat_keyring::{Acquaintance, Identities, Identity, KeyringError, Keys, KnownServers};
use chat_runtime::Client;
use chat_terminal::{
    Destination, End, Format, Group, Names, Options, ReadKind, Report, Reporter, Secrets,
    key_words,
    screen::{Answer, LineReader, Screen, TerminalAsFound},
    visible,
};

use crate::{
    address::ServerAddress,
    command_line::ChatArgs,
    exit::{Failure, no_randomness},
    link::Link,
    signals::Signals,
    storage::default_folder,
    tls::authorities,
};
use drive::Drive;

/// Talks until the input, the person or the server ends it.
pub(crate) fn run(args: ChatArgs) -> Result<(), Failure> {
    let found = TerminalAsFound::remember();
    let names = Names::default();
    let (lines, mut screen) = LineReader::start(names.clone())
        .map_err(|error| Failure::Fault(format!("cannot use the terminal: {error}")))?;
    // One thread: what the client tells and the ends of commands come in the order in which they
    // happened.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Fault(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        let ended = chat(args, lines, names, &mut screen).await;
        screen.flush().await;
        screen
            .error()
            .map_or(ended, |error| Err(Failure::output(error)))
    });
    drop(found);
    // A thread may still be waiting for a line that nobody will type.
    runtime.shutdown_background();
    ended
}

async fn chat(
    args: ChatArgs,
    mut lines: LineReader,
    names: Names,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let deaf = |error| Failure::Fault(format!("cannot listen to signals: {error}"));
    #[cfg(unix)]
    lines.follow_job_control().map_err(deaf)?;
    let mut signals = Signals::new().map_err(deaf)?;
    let secrets = Secrets::load(args.password_file.as_deref(), args.cipher.as_ref())?;
    let destination = destination(&args, secrets);
    let mut reporter = args.format.reporter(screen.has_colours());
    let asked = tokio::select! {
        asked = ask_for_what_is_missing(&args, &lines, reporter.as_mut(), screen) => asked?,
        _ = signals.next() => None,
    };
    let Some(Asked {
        link,
        nick,
        identities,
    }) = asked
    else {
        return Ok(());
    };
    let address = link.address.clone();
    let identity = match &args.identity {
        Some(path) => Identity::from_file(path).map_err(failure)?,
        None if args.guest => Identity::guest().map_err(failure)?,
        None => match identities.clone() {
            Some(all) => Identity::Kept {
                nick: nick.clone(),
                all,
            },
            None => Identity::passing().map_err(failure)?,
        },
    };
    let kept = identity.is_kept();
    let (client, events, acquaintance) = connect(&args, link, nick, identity)?;
    let options = Options {
        person: lines.is_person(),
        commands: args.commands || args.format == Format::Json || lines.is_person(),
        last_lines: args.format == Format::Text,
        kept,
        label: args.label.unwrap_or_default(),
        destination,
        names,
    };
    let mut drive = Drive::new(
        client,
        events,
        lines,
        signals,
        identities,
        acquaintance.clone(),
    );
    let end = drive.run(options, reporter.as_mut(), screen).await;
    match end {
        End::Well => Ok(()),
        End::Failed(end) => Err(acquaintance.refusal().cloned().map_or(end, failure)),
        End::NoServer(words) => {
            let words = words.unwrap_or_else(|| drive.trouble());
            Err(Failure::CannotConnect(format!("{address}: {words}")))
        }
    }
}

/// Where the command line leads. The menu is for a person who is asked for a name; whoever gives
/// everything on the command line gets what it says: the lobby.
fn destination(args: &ChatArgs, secrets: Secrets) -> Destination {
    if args.create {
        Destination::Create(Group {
            name: args.name.clone(),
            topic: args.topic.clone().unwrap_or_default(),
            secrets,
        })
    } else if let Some(number) = args.room {
        Destination::Room(number, secrets)
    } else if args.nick.is_none() {
        Destination::Menu(secrets)
    } else {
        Destination::Lobby(secrets)
    }
}

fn connect(
    args: &ChatArgs,
    link: Link,
    nick: String,
    identity: Identity,
) -> Result<(Client, chat_runtime::Events, Acquaintance), Failure> {
    let mut config = chat_runtime::client_config(nick).map_err(no_randomness)?;
    // Which they are is said when the server has shown its key.
    config.credentials = None;
    // A person is asked for another one, and what they wrote meanwhile is not lost.
    config.waits_for_name = true;
    config.label = args.label.clone().unwrap_or_default();
    config.agent = concat!("chat-cli/", env!("CARGO_PKG_VERSION")).to_owned();
    let Link { address, fragment } = link;
    config.pin = fragment.key;
    config.invite = fragment.invite;
    let (host, port) = address.host_and_port();
    let data = default_folder().filter(|_| !address.is_loopback());
    let servers = data.map(|data| KnownServers::within(&data, host, port));
    let keys = Keys::new(identity, servers.transpose().map_err(failure)?);
    let acquaintance = keys.acquaintance();
    let trust = args.tls_ca.as_deref().map(authorities).transpose()?;
    let (client, events) = Client::builder(address.connector(args.no_tls, trust)?, config)
        .keys(keys)
        .connect();
    Ok((client, events, acquaintance))
}

/// Words for a person, about keys that are of no use.
fn failure(error: KeyringError) -> Failure {
    match error {
        KeyringError::ServerChanged {
            server,
            now,
            before,
            list,
        } => Failure::Refused(format!(
            "{server} has another key than before: somebody may be in between, or the server was \
             set up anew. Its key is now \"{now}\"; it was \"{before}\". If whoever runs it tells you \
             the new words, take the line of {server} out of {list} and come again.",
            now = key_words(&now),
            before = key_words(&before),
            list = list.display()
        )),
        KeyringError::NoRandomness(_) => Failure::Fault(error.to_string()),
        _ => Failure::Usage(error.to_string()),
    }
}

/// The members that the person has been at this address; none where none can be kept, which is
/// said.
fn identities(host: &str, port: u16) -> Option<Identities> {
    let Some(data) = default_folder() else {
        tracing::warn!("there is no home folder: who you are ends with this conversation");
        return None;
    };
    let kept = Identities::within(&data, host, port);
    kept.inspect_err(|error| {
        let folder = data.display();
        tracing::warn!(
            "nothing can be kept in {folder} ({error}): who you are ends with this conversation"
        );
    })
    .ok()
}

/// The beginning of a conversation.
struct Asked {
    link: Link,
    nick: String,
    /// The members that the person has been at this address; none if it is to be no such member.
    identities: Option<Identities>,
}

/// Where to go, and a name. None: the person does not want to say.
async fn ask_for_what_is_missing(
    args: &ChatArgs,
    lines: &LineReader,
    reporter: &mut dyn Reporter,
    screen: &mut Screen,
) -> Result<Option<Asked>, Failure> {
    let missing = |what: &str| {
        Failure::Usage(format!(
            "{what} is missing, and there is nobody to ask: standard input is no terminal"
        ))
    };
    let mut notice = |words: &str| reporter.report(&Report::Notice(words.to_owned()), screen);
    let link = match &args.url {
        Some(link) => link.clone(),
        None if !lines.is_person() => return Err(missing("the server's URL")),
        None => loop {
            let question = "server (Enter for localhost): ";
            match lines.read(question, ReadKind::Answer).await {
                Answer::Line(line) | Answer::TakenBack(line) if line.trim().is_empty() => {
                    break ServerAddress::localhost().into();
                }
                Answer::Line(line) | Answer::TakenBack(line) => match line.parse() {
                    Ok(link) => break link,
                    Err(error) => notice(&visible(&format!("{error}"))),
                },
                Answer::Unreadable(why) => notice(why),
                Answer::End | Answer::Interrupted => return Ok(None),
            }
        },
    };
    let (host, port) = link.address.host_and_port();
    let identities = match args.guest || args.identity.is_some() {
        true => None,
        false => identities(host, port),
    };
    let last = identities.as_ref().and_then(Identities::last);
    let nick = match args.nick.clone().or(last) {
        Some(nick) => nick,
        None if !lines.is_person() => return Err(missing("--nick")),
        None => loop {
            match lines.read("nick: ", ReadKind::Answer).await {
                Answer::Line(line) | Answer::TakenBack(line) if line.trim().is_empty() => {
                    notice("a nick cannot be empty");
                }
                Answer::Line(line) | Answer::TakenBack(line) => break line.trim().to_owned(),
                Answer::Unreadable(why) => notice(why),
                Answer::End | Answer::Interrupted => return Ok(None),
            }
        },
    };
    Ok(Some(Asked {
        link,
        nick,
        identities,
    }))
}
