//! From an address and a name to a welcome, or to the reason why there is none.

use chat_core::{
    client::{ClientConfig, ClientEvent, Ended},
    wire::{CloseReason, ErrorCode, server::Welcome},
};
use chat_runtime::{Client, Events};
use futures_util::future::LocalBoxFuture;

use super::{
    input::{Answer, Input},
    text,
    voice::Voice,
};
use crate::{
    address::ServerAddress, exit::Failure, kept_keys::KeptKeys, signals::Signals, visible::visible,
};

/// A client that was welcomed.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) events: Events,
    pub(crate) welcome: Welcome,
}

/// Connects, and asks a person for another name until one is taken. Nothing else is tried twice. None: the person, or a
/// signal, wants to end instead.
pub(crate) async fn connect(
    address: &ServerAddress,
    config: ClientConfig,
    keys: Option<KeptKeys>,
    input: &Input,
    signals: &mut Signals,
    voice: &mut Voice,
) -> Result<Option<Connected>, Failure> {
    let label = config.label.clone();
    let mut builder = Client::builder(address.connector(), config);
    if let Some(keys) = keys {
        builder = builder.keys(keys);
    }
    let (client, mut events) = builder.connect();
    let mut said = None;
    let mut name: Option<LocalBoxFuture<'_, Answer>> = None;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = signals.next() => return Ok(None),
            answer = async { name.as_mut().expect("it is asked for").await }, if name.is_some() => {
                name = None;
                match answer {
                    Answer::Line(nick) | Answer::TakenBack(nick) => client.retry_as(nick.trim(), label.as_str()),
                    Answer::Unreadable(_) => client.retry_as("", label.as_str()),
                    Answer::End | Answer::Interrupted => return Ok(None),
                }
                continue;
            }
        };
        match event {
            Some(ClientEvent::Welcomed { welcome, .. }) => {
                voice.welcomed(&welcome, false);
                return Ok(Some(Connected {
                    client,
                    events,
                    welcome,
                }));
            }
            Some(ClientEvent::HelloRefused(failure)) => {
                let about_name =
                    matches!(failure.code, ErrorCode::NickInvalid | ErrorCode::NickTaken);
                if !input.is_person() || !about_name {
                    return Err(Failure::Refused(text::refusal(&failure)));
                }
                voice.hello_refused(&failure);
                name = Some(Box::pin(input.line("nick: ")));
            }
            Some(ClientEvent::Closing(closing)) => said = Some(closing),
            Some(ClientEvent::Ended(ended)) => {
                let text = said.map(|closing| closing.text).unwrap_or_default();
                return match ended {
                    Ended::CannotConnect => Err(Failure::CannotConnect(format!(
                        "{address}: {}",
                        reason(&client)
                    ))),
                    Ended::ProtocolError(text) => Err(Failure::CannotConnect(format!(
                        "{address}: it is not a chat server: {}",
                        visible(&text)
                    ))),
                    Ended::Closed(reason) => Err(Failure::Refused(closed(reason, &text))),
                    Ended::Asked => Ok(None),
                };
            }
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

/// Why the server does not want this client, in words.
pub(crate) fn closed(reason: CloseReason, text: &str) -> String {
    let words = match reason {
        CloseReason::Full => "the server has as many clients as it may",
        CloseReason::TooManyConnections => {
            "the server has as many clients from this address as it may"
        }
        CloseReason::Version => "the server speaks another version of the protocol",
        CloseReason::Stopped => "the server is closing",
        CloseReason::Restarting => "the server is restarting",
        CloseReason::TooManyAttempts => "too many attempts",
        CloseReason::Replaced => "the same identity has connected elsewhere",
        CloseReason::HandshakeTimeout => "the server waited too long for this client",
        _ => "",
    };
    match (words, text) {
        ("", "") => reason.to_string(),
        ("", text) => format!("{reason}: {}", visible(text)),
        (words, _) => format!("{words} ({reason})"),
    }
}

fn reason(client: &Client) -> String {
    match client.trouble() {
        Some(error) => visible(&error.to_string()),
        None => "the connection ended before the server said anything".to_owned(),
    }
}
