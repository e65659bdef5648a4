//! Joining a room: a person is asked for what turns out to be missing or wrong, until they answer
//! with nothing.

use chat_core::{
    client::{Command, CommandError, RoomKey},
    id::RoomId,
    password::Password,
    wire::{ErrorCode, client::RoomRef, record::CipherKind, server::RoomView},
};
use zeroize::Zeroizing;

use super::requests::{Joined, Reply, Request, the_room};
use crate::{
    rooms::{Joinable, Rooms},
    secrets::{CipherChoice, LoadedCipher, Secrets, cipher_name},
};

const NOT_ENCRYPTED: &str = "the room is not encrypted, although it has a password: \
    what is said there can be read by the server, and on the way to it";

/// A room that is being joined.
#[derive(Debug)]
pub(super) struct Join {
    place: Joinable,
    secrets: Secrets,
    /// Whether a person is there to be asked.
    person: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The command is under way; the client was in that room before.
    Joining { was_in: Option<RoomId> },
    /// The room is left again, since it is not what was asked for.
    LeavingAgain(CommandError),
    /// The person is asked, because of this error.
    Asking(Question, CommandError),
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    Password,
    /// Whether to enter a room that is not encrypted.
    PlainToo,
    Shift,
    KeyFile,
}

/// The end: the room, or why not.
pub(super) type End = Result<RoomView, CommandError>;

impl Join {
    /// Begins.
    pub(super) fn begin(
        place: Joinable,
        secrets: Secrets,
        person: bool,
        rooms: &Rooms,
        out: &mut Vec<Request>,
    ) -> Self {
        let mut join = Self {
            place,
            secrets,
            person,
            state: State::Joining { was_in: None },
        };
        join.send(rooms, out);
        join
    }

    /// Goes on. Some: the end.
    pub(super) fn handle(
        &mut self,
        reply: Reply,
        rooms: &Rooms,
        out: &mut Vec<Request>,
    ) -> Option<End> {
        match (reply, &self.state) {
            (Reply::Ended(result), State::Joining { was_in }) => {
                let was_in = *was_in;
                match the_room(result) {
                    Ok(view) => self.entered(view, was_in, out),
                    Err(error) => self.wrong(error, out),
                }
            }
            (Reply::Ended(_), State::LeavingAgain(error)) => {
                let error = error.clone();
                self.wrong(error, out)
            }
            (Reply::Answer(answer), State::Asking(question, error)) => {
                let (question, error) = (question.clone(), error.clone());
                match self.answered(question, answer, out) {
                    Answered::TryAgain => {
                        self.send(rooms, out);
                        None
                    }
                    Answered::AskAgain => None,
                    Answered::GiveUp => Some(Err(error)),
                }
            }
            _ => None,
        }
    }

    fn key(&self) -> Option<RoomKey> {
        self.secrets.cipher.clone().and_then(LoadedCipher::key)
    }

    fn send(&mut self, rooms: &Rooms, out: &mut Vec<Request>) {
        self.state = State::Joining {
            was_in: rooms.find(&self.place.into()),
        };
        out.push(Request::Command(Command::Join {
            room: match self.place {
                Joinable::Lobby => RoomRef::Lobby,
                Joinable::Group(number) => RoomRef::Number(number),
            },
            password: self.secrets.password.clone(),
            key: self.key(),
            unsealed_too: self.secrets.cipher == Some(LoadedCipher::None),
        }));
    }

    fn entered(
        &mut self,
        view: RoomView,
        was_in: Option<RoomId>,
        out: &mut Vec<Request>,
    ) -> Option<End> {
        if let Some(error) = self.secrets.mismatch(&view) {
            if was_in.is_some() {
                return self.wrong(error, out);
            }
            out.push(Request::Command(Command::Leave { room: view.room }));
            self.state = State::LeavingAgain(error);
            return None;
        }
        out.push(Request::Joined(Joined {
            place: self.place,
            key: self.key(),
            was_in: was_in == Some(view.room),
            view: view.clone(),
        }));
        Some(Ok(view))
    }

    /// Asks for what is missing or wrong, if a person can say it.
    fn wrong(&mut self, error: CommandError, out: &mut Vec<Request>) -> Option<End> {
        match self.question(&error, out) {
            Some(question) if self.person => {
                self.ask(question, error, out);
                None
            }
            _ => Some(Err(error)),
        }
    }

    fn question(&self, error: &CommandError, out: &mut Vec<Request>) -> Option<Question> {
        match error {
            CommandError::WrongPassword => {
                if self.person {
                    out.push(Request::Notice("wrong password".to_owned()));
                }
                Some(Question::Password)
            }
            CommandError::Refused(failure) if failure.code == ErrorCode::PasswordRequired => {
                Some(Question::Password)
            }
            CommandError::KeyMissing {
                announced: CipherKind::RoomPassword,
            } => Some(Question::Password),
            CommandError::NotSealed { .. } => Some(Question::PlainToo),
            CommandError::KeyMissing {
                announced: CipherKind::Caesar,
            } if self.secrets.cipher.is_none() => Some(Question::Shift),
            CommandError::KeyMissing {
                announced: CipherKind::StaticKey,
            } if self.secrets.cipher.is_none() => Some(Question::KeyFile),
            _ => None,
        }
    }

    fn ask(&mut self, question: Question, error: CommandError, out: &mut Vec<Request>) {
        let request = match &question {
            Question::Password => Request::AskHidden("password: ".to_owned()),
            Question::PlainToo => {
                out.push(Request::Notice(NOT_ENCRYPTED.to_owned()));
                Request::Ask("enter it all the same? [y/N] ".to_owned())
            }
            Question::Shift => Request::Ask(format!(
                "the room's cipher is {}; its shift (Enter to give up): ",
                cipher_name(CipherKind::Caesar)
            )),
            Question::KeyFile => Request::Ask(format!(
                "the room's cipher is {}; the file of its key (Enter to give up): ",
                cipher_name(CipherKind::StaticKey)
            )),
        };
        out.push(request);
        self.state = State::Asking(question, error);
    }

    fn answered(
        &mut self,
        question: Question,
        answer: Option<String>,
        out: &mut Vec<Request>,
    ) -> Answered {
        let Some(answer) = answer.map(Zeroizing::new) else {
            return Answered::GiveUp;
        };
        let wrong = match question {
            Question::Password if answer.is_empty() => return Answered::GiveUp,
            Question::Password => {
                self.secrets.password = Some(Password::new(answer.as_str()));
                return Answered::TryAgain;
            }
            Question::PlainToo if matches!(answer.as_str(), "y" | "Y" | "yes") => {
                self.secrets.cipher = Some(LoadedCipher::None);
                return Answered::TryAgain;
            }
            Question::PlainToo => return Answered::GiveUp,
            Question::Shift | Question::KeyFile if answer.is_empty() => return Answered::GiveUp,
            Question::Shift => match answer.parse() {
                Ok(shift) => {
                    self.secrets.cipher = Some(LoadedCipher::Key(RoomKey::Caesar(shift)));
                    return Answered::TryAgain;
                }
                Err(_) => "a shift is a whole number".to_owned(),
            },
            Question::KeyFile => match CipherChoice::KeyFile(answer.as_str().into()).load() {
                Ok(cipher) => {
                    self.secrets.cipher = Some(cipher);
                    return Answered::TryAgain;
                }
                Err(failure) => failure.to_string(),
            },
        };
        out.push(Request::Notice(wrong));
        if let State::Asking(question, error) = &self.state {
            let (question, error) = (question.clone(), error.clone());
            self.ask(question, error, out);
        }
        Answered::AskAgain
    }
}

/// The consequence of an answer.
enum Answered {
    TryAgain,
    AskAgain,
    GiveUp,
}

#[cfg(test)]
mod tests {
    use chat_core::client::Outcome;

    use super::*;
    use crate::rooms::tests::view;

    fn begin(person: bool, secrets: Secrets) -> (Join, Vec<Request>) {
        let mut out = Vec::new();
        let rooms = Rooms::default();
        let join = Join::begin(Joinable::Group(4), secrets, person, &rooms, &mut out);
        (join, out)
    }

    fn step(join: &mut Join, reply: Reply) -> (Option<End>, Vec<Request>) {
        let mut out = Vec::new();
        let end = join.handle(reply, &Rooms::default(), &mut out);
        (end, out)
    }

    fn password_of(out: &[Request]) -> Option<&Password> {
        match out {
            [Request::Command(Command::Join { password, .. })] => password.as_ref(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_person_is_asked_until_the_password_is_right() {
        let (mut join, out) = begin(true, Secrets::default());
        assert_eq!(password_of(&out), None);
        let wrong = || Reply::Ended(Err(CommandError::WrongPassword));
        let (end, out) = step(&mut join, wrong());
        assert_eq!(end, None);
        let asked = Request::AskHidden("password: ".into());
        assert_eq!(
            out,
            [Request::Notice("wrong password".into()), asked.clone()]
        );
        let (_, out) = step(&mut join, Reply::Answer(Some("guess".into())));
        assert_eq!(password_of(&out), Some(&Password::new("guess")));
        step(&mut join, wrong());
        step(&mut join, Reply::Answer(Some("sesame".into())));
        let room = view(Some(4));
        let (end, out) = step(&mut join, Reply::Ended(Ok(Outcome::Room(room.clone()))));
        assert_eq!(end, Some(Ok(room)));
        assert!(matches!(&out[..], [Request::Joined(joined)] if !joined.was_in));
    }

    #[test]
    fn an_answer_of_nothing_gives_up() {
        for nothing in [None, Some(String::new())] {
            let (mut join, _) = begin(true, Secrets::default());
            step(&mut join, Reply::Ended(Err(CommandError::WrongPassword)));
            let (end, out) = step(&mut join, Reply::Answer(nothing));
            assert_eq!(end, Some(Err(CommandError::WrongPassword)));
            assert_eq!(out, []);
        }
    }

    #[test]
    fn a_script_is_not_asked() {
        let (mut join, _) = begin(false, Secrets::default());
        let (end, out) = step(&mut join, Reply::Ended(Err(CommandError::WrongPassword)));
        assert_eq!(end, Some(Err(CommandError::WrongPassword)));
        assert_eq!(out, []);
    }

    #[test]
    fn a_shift_is_asked_for_until_it_is_a_number() {
        let (mut join, _) = begin(true, Secrets::default());
        let error = CommandError::KeyMissing {
            announced: CipherKind::Caesar,
        };
        step(&mut join, Reply::Ended(Err(error)));
        let (end, out) = step(&mut join, Reply::Answer(Some("three".into())));
        assert_eq!(end, None);
        assert!(matches!(&out[..], [Request::Notice(_), Request::Ask(_)]));
        let (_, out) = step(&mut join, Reply::Answer(Some("3".into())));
        let [Request::Command(Command::Join { key, .. })] = &out[..] else {
            panic!("{out:?}")
        };
        assert_eq!(key, &Some(RoomKey::Caesar(3)));
    }

    #[test]
    fn a_room_that_is_not_plain_is_left_again() {
        let plain = Secrets {
            cipher: Some(LoadedCipher::None),
            ..Secrets::default()
        };
        let (mut join, _) = begin(false, plain);
        let mut room = view(Some(4));
        room.cipher = CipherKind::Caesar;
        let id = room.room;
        let (end, out) = step(&mut join, Reply::Ended(Ok(Outcome::Room(room))));
        assert_eq!(end, None);
        assert_eq!(out, [Request::Command(Command::Leave { room: id })]);
        let (end, _) = step(&mut join, Reply::Ended(Err(CommandError::NotInRoom)));
        let announced = CipherKind::Caesar;
        assert_eq!(end, Some(Err(CommandError::CipherMismatch { announced })));
    }
}
