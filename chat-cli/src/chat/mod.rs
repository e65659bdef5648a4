//! `chat-cli chat`: what is missing is asked for, then the client connects, enters a room, and talks.

mod arrivals;
mod commands;
mod connect;
mod enter;
mod input;
mod json;
mod line_editor;
mod menu;
mod names;
mod rooms;
mod said;
mod screen;
mod slash;
mod talk;
mod terminal;
mod text;
mod voice;

use chat_core::{
    client::{CommandError, Ended},
    wire::{CloseReason, server::Welcome},
};

use crate::{
    address::ServerAddress,
    command_line::{ChatArgs, Format},
    exit::Failure,
    identity::{Identity, no_randomness},
    kept_keys::KeptKeys,
    signals::Signals,
    visible::visible,
};
use connect::{Connected, connect};
use enter::{Group, Secrets};
use input::{Answer, Input};
use names::Names;
use slash::Place;
use talk::{Me, Stop, Talk};
use terminal::TerminalAsFound;
use voice::Voice;

/// Talks until the input, the person or the server ends it.
pub(crate) fn run(args: ChatArgs) -> Result<(), Failure> {
    let found = TerminalAsFound::remember();
    let names = Names::default();
    let (input, screen) = Input::start(names.clone())?;
    let mut voice = Voice::new(screen, args.format);
    // One thread: what the client tells and the ends of commands come in the order in which they happened.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Fault(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        let ended = chat(args, input, names, &mut voice).await;
        voice.flush().await;
        voice
            .output_error()
            .map_or(ended, |error| Err(Failure::output(error)))
    });
    drop(found);
    // A thread may still be waiting for a line that nobody will type.
    runtime.shutdown_background();
    ended
}

async fn chat(
    args: ChatArgs,
    mut input: Input,
    names: Names,
    voice: &mut Voice,
) -> Result<(), Failure> {
    #[cfg(unix)]
    input
        .follow_job_control()
        .map_err(|error| Failure::Fault(format!("cannot listen to signals: {error}")))?;
    let mut signals = Signals::new()
        .map_err(|error| Failure::Fault(format!("cannot listen to signals: {error}")))?;
    let secrets = Secrets::load(args.password_file.as_deref(), args.cipher.as_ref())?;
    let asked_name = args.nick.is_none();
    let asked = tokio::select! {
        asked = ask_for_what_is_missing(args, &input, voice) => asked?,
        _ = signals.next() => None,
    };
    let Some((args, address, nick)) = asked else {
        return Ok(());
    };
    let identity = match &args.identity {
        Some(path) => Identity::from_file(path)?,
        None => Identity::passing()?,
    };
    let (host, port) = address.host_and_port();
    let keys = args.identity.as_deref();
    let keys = keys
        .map(|path| KeptKeys::beside(path, host, port))
        .transpose()?;

    let mut config = chat_runtime::client_config(nick).map_err(no_randomness)?;
    config.secret = identity.at(&address);
    config.kept = identity.is_kept();
    // A person is asked for another one, and what they wrote meanwhile is not lost.
    config.waits_for_name = true;
    config.label = args.label.clone().unwrap_or_default();
    config.agent = concat!("chat-cli/", env!("CARGO_PKG_VERSION")).to_owned();
    let Some(connected) = connect(&address, config, keys, &input, &mut signals, voice).await?
    else {
        return Ok(());
    };
    let Connected {
        client,
        events,
        welcome,
    } = connected;

    let me = Me {
        member: welcome.member,
        nick: welcome.nick.clone(),
        label: welcome.label.clone(),
    };
    let mut talk = Talk::new(client, events, input, signals, voice, names, me);
    talk.commands = args.commands || args.format == Format::Json || talk.input.is_person();
    let stop = match enter(&mut talk, &args, &welcome, secrets, asked_name).await {
        Ok(()) => {
            if talk.input.is_person() {
                talk.voice.hint();
            }
            commands::talk(&mut talk).await.err().unwrap_or(Stop::Quit)
        }
        Err(stop) => stop,
    };
    let left = matches!(stop, Stop::Quit);
    let ended = match stop {
        Stop::Ended(ended) => why(ended),
        Stop::Quit => talk.leave(identity.is_kept()).await,
        Stop::Failed(failure) => talk.leave(identity.is_kept()).await.and(Err(failure)),
    };
    talk.tell_the_rest().await;
    if ended.is_ok() && left && talk.menu {
        talk.voice.notice("You have disconnected from the server.");
    }
    if !talk.all_read && !talk.input.is_person() {
        let rest = talk.unread + talk.input.rest().await;
        if rest > 0 {
            talk.voice.rest_not_sent(rest);
        }
    }
    // A person has seen it; a script has to be told.
    match talk.voice.failures() {
        failures if failures > 0 && !talk.input.is_person() => ended.and(Err(Failure::Fault(
            format!("lines of input that came to nothing: {failures}"),
        ))),
        _ => ended,
    }
}

/// Address and name. None: the person does not want to say.
async fn ask_for_what_is_missing(
    mut args: ChatArgs,
    input: &Input,
    voice: &mut Voice,
) -> Result<Option<(ChatArgs, ServerAddress, String)>, Failure> {
    let missing = |what: &str| {
        Failure::Usage(format!(
            "{what} is missing, and there is nobody to ask: standard input is no terminal"
        ))
    };
    let address = match args.url.take() {
        Some(address) => address,
        None if !input.is_person() => return Err(missing("the server's URL")),
        None => loop {
            match input.line("server (Enter for localhost): ").await {
                Answer::Line(line) | Answer::TakenBack(line) if line.trim().is_empty() => {
                    break ServerAddress::localhost();
                }
                Answer::Line(line) | Answer::TakenBack(line) => match line.parse() {
                    Ok(address) => break address,
                    Err(error) => voice.notice(&visible(&format!("{error}"))),
                },
                Answer::Unreadable(why) => voice.notice(why),
                Answer::End | Answer::Interrupted => return Ok(None),
            }
        },
    };
    let nick = match args.nick.take() {
        Some(nick) => nick,
        None if !input.is_person() => return Err(missing("--nick")),
        None => loop {
            match input.line("nick: ").await {
                Answer::Line(line) | Answer::TakenBack(line) if line.trim().is_empty() => {
                    voice.notice("a nick cannot be empty")
                }
                Answer::Line(line) | Answer::TakenBack(line) => break line.trim().to_owned(),
                Answer::Unreadable(why) => voice.notice(why),
                Answer::End | Answer::Interrupted => return Ok(None),
            }
        },
    };
    Ok(Some((args, address, nick)))
}

/// Enters what the command line says, or what the person chooses. The menu is for a person who was asked for a name, or who
/// has no lobby to go to; whoever gives everything on the command line gets what it says: the lobby.
async fn enter(
    talk: &mut Talk<'_>,
    args: &ChatArgs,
    welcome: &Welcome,
    secrets: Secrets,
    asked_name: bool,
) -> Result<(), Stop> {
    let entered = if args.create {
        let group = Group {
            name: args.name.clone(),
            topic: args.topic.clone().unwrap_or_default(),
            secrets,
        };
        enter::create(talk, group).await?
    } else if let Some(number) = args.room {
        enter::join(talk, &Place::Group(number), secrets).await?
    } else if talk.input.is_person() && (asked_name || !welcome.lobby) {
        return menu::choose(talk, welcome.lobby, secrets.cipher.as_ref()).await;
    } else if !welcome.lobby {
        return Err(Stop::Failed(Failure::Refused(
            "the server has no lobby; use --room or --create".to_owned(),
        )));
    } else {
        enter::join(talk, &Place::Lobby, secrets).await?
    };
    match entered {
        Ok(_) => Ok(()),
        Err(CommandError::Ended) => talk.until(std::future::pending()).await,
        Err(error) => Err(Stop::Failed(Failure::Refused(text::command_error(&error)))),
    }
}

/// What the end of a client that had been welcomed means for this program's end.
fn why(ended: Ended) -> Result<(), Failure> {
    match ended {
        Ended::Asked | Ended::Closed(CloseReason::Stopped | CloseReason::Bye) => Ok(()),
        Ended::Closed(
            reason @ (CloseReason::Protocol
            | CloseReason::FrameTooLarge
            | CloseReason::HandshakeTimeout),
        ) => Err(Failure::Fault(format!(
            "the server ended the connection: {reason}"
        ))),
        Ended::Closed(reason) => Err(Failure::Refused(connect::closed(reason, ""))),
        Ended::CannotConnect => Err(Failure::CannotConnect("the server is gone".to_owned())),
        Ended::ProtocolError(text) => Err(Failure::Fault(format!(
            "the server does not keep to the protocol: {}",
            visible(&text)
        ))),
    }
}
