//! From the first connection to the welcome, or to the reason why there is none.

use chat_core::{
    client::{ClientEvent, Ended},
    wire::{ErrorCode, server::Welcome},
};

use super::{
    io::{Effect, End, Input, ReadKind},
    turn::Turn,
};
use crate::{
    failure::Failure,
    key_words::distrust,
    report::{Report, closed, refusal},
    screen::Answer,
    visible::visible,
};

/// A client that was not welcomed yet. A person is asked for another name until one is taken;
/// nothing else is tried twice.
#[derive(Debug)]
pub(super) struct Connecting {
    person: bool,
    label: String,
    /// The server's last words.
    closing: String,
}

/// The end of it.
#[derive(Debug)]
pub(super) enum Connected {
    Welcomed(Box<Welcome>),
    No(End),
}

impl Connecting {
    pub(super) fn new(person: bool, label: String) -> Self {
        Self {
            person,
            label,
            closing: String::new(),
        }
    }

    pub(super) fn handle(&mut self, input: Input, turn: &mut Turn<'_>) -> Option<Connected> {
        match input {
            Input::Client(event) => return self.event(event, turn),
            Input::Answer(answer) => {
                let nick = match answer {
                    Answer::Line(nick) | Answer::TakenBack(nick) => nick.trim().to_owned(),
                    Answer::Unreadable(_) => String::new(),
                    Answer::End | Answer::Interrupted => return Some(Connected::No(End::Well)),
                };
                let label = self.label.clone();
                turn.push(Effect::RetryAs { nick, label });
            }
            Input::Stop => return Some(Connected::No(End::Well)),
            _ => {}
        }
        None
    }

    fn event(&mut self, event: ClientEvent, turn: &mut Turn<'_>) -> Option<Connected> {
        match event {
            ClientEvent::Welcomed { welcome, .. } => {
                let again = false;
                turn.tell(Report::Welcomed {
                    welcome: welcome.clone(),
                    again,
                });
                return Some(Connected::Welcomed(Box::new(welcome)));
            }
            ClientEvent::HelloRefused(failure) => {
                let about_name =
                    matches!(failure.code, ErrorCode::NickInvalid | ErrorCode::NickTaken);
                if !self.person || !about_name {
                    let failure = Failure::Refused(refusal(&failure));
                    return Some(Connected::No(End::Failed(failure)));
                }
                turn.tell(Report::HelloRefused(failure));
                turn.read("nick: ", ReadKind::Answer);
            }
            ClientEvent::Closing(closing) => self.closing = closing.text,
            ClientEvent::Ended(ended) => return Some(Connected::No(self.ended(ended))),
            _ => {}
        }
        None
    }

    fn ended(&self, ended: Ended) -> End {
        match ended {
            Ended::CannotConnect => End::NoServer(None),
            Ended::ProtocolError(text) => {
                let words = format!("it is not a chat server: {}", visible(&text));
                End::NoServer(Some(words))
            }
            Ended::Closed(reason) => End::Failed(Failure::Refused(closed(reason, &self.closing))),
            Ended::Asked => End::Well,
            ended @ (Ended::WrongServer { .. } | Ended::Distrusted) => {
                End::Failed(Failure::Refused(distrust(&ended)))
            }
        }
    }
}
