//! The menu for a person who did not say on the command line where to go.

use chat_core::{
    client::{Command, CommandError, Create, Outcome},
    password::Password,
    wire::{ErrorCode, server::RoomInfo},
};
use zeroize::Zeroizing;

use super::{
    io::Group,
    join::Join,
    new_password::NewPassword,
    requests::{Reply, Request, the_room},
};
use crate::{
    report::{command_error, refusal},
    rooms::{Joinable, Rooms},
    secrets::{LoadedCipher, Secrets},
    visible::visible,
};

/// The end of a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// The person is in a room.
    Room,
    /// The person wants to go.
    Exit,
}

/// The menu.
#[derive(Debug)]
pub(super) struct Menu {
    /// Whether there is a lobby.
    lobby: bool,
    /// The key to whatever is entered, if one was given.
    cipher: Option<LoadedCipher>,
    state: State,
}

#[derive(Debug)]
enum State {
    Choosing,
    Listing,
    Number(Vec<RoomInfo>),
    /// The usual question, asked before the server has to refuse.
    Password(Vec<RoomInfo>, u32),
    JoiningGroup(Vec<RoomInfo>, u32, Join),
    JoiningLobby(Join),
    Name,
    NewPassword(Option<String>, NewPassword),
    Creating(Option<Password>),
    /// The name was not to be had.
    OtherName(Option<Password>),
}

impl Menu {
    /// Begins.
    pub(super) fn begin(lobby: bool, cipher: Option<LoadedCipher>, out: &mut Vec<Request>) -> Self {
        let mut menu = Self {
            lobby,
            cipher,
            state: State::Choosing,
        };
        menu.choose(out);
        menu
    }

    /// Goes on. Some: the end.
    pub(super) fn handle(
        &mut self,
        reply: Reply,
        rooms: &Rooms,
        out: &mut Vec<Request>,
    ) -> Option<Chosen> {
        let state = std::mem::replace(&mut self.state, State::Choosing);
        match (state, reply) {
            (State::Choosing, Reply::Answer(choice)) => return self.chosen(choice, rooms, out),
            (State::Listing, Reply::Ended(result)) => return self.listed(result, out),
            (State::Number(groups), Reply::Answer(number)) => {
                self.number(groups, number, rooms, out);
            }
            (State::Password(groups, number), Reply::Answer(password)) => match password {
                Some(password) => {
                    let password = Zeroizing::new(password);
                    let password = Some(Password::new(password.as_str()));
                    self.join(groups, number, password, rooms, out);
                }
                None => self.ask_number(groups, out),
            },
            (State::JoiningGroup(groups, number, mut join), reply) => {
                match join.handle(reply, rooms, out) {
                    None => self.state = State::JoiningGroup(groups, number, join),
                    Some(Ok(_)) => {
                        out.push(Request::Greet(number));
                        return Some(Chosen::Room);
                    }
                    Some(Err(error)) => {
                        out.push(Request::Notice(command_error(&error)));
                        self.ask_number(groups, out);
                    }
                }
            }
            (State::JoiningLobby(mut join), reply) => match join.handle(reply, rooms, out) {
                None => self.state = State::JoiningLobby(join),
                Some(Ok(_)) => return Some(Chosen::Room),
                Some(Err(error)) => self.came_to_nothing(&error, out),
            },
            (state, reply) => return self.make(state, reply, out),
        }
        None
    }

    fn choose(&mut self, out: &mut Vec<Request>) {
        let lobby = self.lobby.then_some("  4  enter the lobby");
        let choices = [
            "What would you like to do?",
            "  1  join a group",
            "  2  create a group",
            "  3  exit",
        ];
        let lines = choices.into_iter().chain(lobby);
        out.extend(lines.map(|line| Request::Notice(line.to_owned())));
        out.push(Request::Ask("choice: ".to_owned()));
        self.state = State::Choosing;
    }

    fn chosen(
        &mut self,
        choice: Option<String>,
        rooms: &Rooms,
        out: &mut Vec<Request>,
    ) -> Option<Chosen> {
        let Some(choice) = choice else {
            return Some(Chosen::Exit);
        };
        match choice.to_lowercase().as_str() {
            "1" | "join" => {
                out.push(Request::Command(Command::List));
                self.state = State::Listing;
            }
            "2" | "create" => self.ask_name(State::Name, out),
            "3" | "exit" | "quit" => return Some(Chosen::Exit),
            "4" | "lobby" if self.lobby => {
                let secrets = self.secrets(None);
                let join = Join::begin(Joinable::Lobby, secrets, true, rooms, out);
                self.state = State::JoiningLobby(join);
            }
            "" => {
                let words = "An empty line is not one of the choices.";
                out.push(Request::Notice(words.to_owned()));
                self.choose(out);
            }
            _ => {
                let words = format!("`{}` is not one of the choices.", visible(&choice));
                out.push(Request::Notice(words));
                self.choose(out);
            }
        }
        None
    }

    /// Without any group there is nothing to choose from, so the person may go.
    fn listed(
        &mut self,
        result: Result<Outcome, CommandError>,
        out: &mut Vec<Request>,
    ) -> Option<Chosen> {
        match result {
            Ok(Outcome::Rooms(groups)) if groups.is_empty() => {
                let words =
                    "There are no groups yet. Come back when somebody has created one. Good-bye!";
                out.push(Request::Notice(words.to_owned()));
                return Some(Chosen::Exit);
            }
            Ok(Outcome::Rooms(groups)) => {
                out.push(Request::Rooms(groups.clone()));
                self.ask_number(groups, out);
            }
            // The core ends the command with a list and nothing else.
            Ok(_) => self.choose(out),
            Err(error) => self.came_to_nothing(&error, out),
        }
        None
    }

    fn ask_number(&mut self, groups: Vec<RoomInfo>, out: &mut Vec<Request>) {
        out.push(Request::Ask("group number: ".to_owned()));
        self.state = State::Number(groups);
    }

    fn number(
        &mut self,
        groups: Vec<RoomInfo>,
        answer: Option<String>,
        rooms: &Rooms,
        out: &mut Vec<Request>,
    ) {
        let Some(answer) = answer.filter(|answer| !answer.is_empty()) else {
            return self.choose(out);
        };
        let Ok(number) = answer.parse() else {
            let words = format!("`{}` is not a number.", visible(&answer));
            out.push(Request::Notice(words));
            return self.ask_number(groups, out);
        };
        let protected = |group: &RoomInfo| group.number == number && group.protected;
        if groups.iter().any(protected) {
            out.push(Request::AskHidden("password: ".to_owned()));
            self.state = State::Password(groups, number);
        } else {
            self.join(groups, number, None, rooms, out);
        }
    }

    fn join(
        &mut self,
        groups: Vec<RoomInfo>,
        number: u32,
        password: Option<Password>,
        rooms: &Rooms,
        out: &mut Vec<Request>,
    ) {
        let secrets = self.secrets(password);
        let join = Join::begin(Joinable::Group(number), secrets, true, rooms, out);
        self.state = State::JoiningGroup(groups, number, join);
    }

    fn secrets(&self, password: Option<Password>) -> Secrets {
        Secrets {
            password,
            cipher: self.cipher.clone(),
        }
    }

    /// The way to a new group.
    fn make(&mut self, state: State, reply: Reply, out: &mut Vec<Request>) -> Option<Chosen> {
        match (state, reply) {
            (State::Name, Reply::Answer(Some(name))) => {
                let question = "password (Enter for none): ";
                let new = NewPassword::begin(question, out);
                self.state = State::NewPassword(some_name(name), new);
            }
            (State::NewPassword(name, mut new), Reply::Answer(answer)) => {
                match new.answer(answer, out) {
                    None => self.state = State::NewPassword(name, new),
                    Some(password) => self.create(name, password, out),
                }
            }
            (State::OtherName(password), Reply::Answer(Some(name))) => {
                self.create(some_name(name), password, out);
            }
            (State::Creating(password), Reply::Ended(result)) => match the_room(result) {
                Ok(view) => {
                    if let Some(number) = view.number {
                        let words = format!("Chat {number} has been created.");
                        out.push(Request::Notice(words));
                    }
                    return Some(Chosen::Room);
                }
                Err(CommandError::Refused(failure))
                    if matches!(failure.code, ErrorCode::NameTaken | ErrorCode::NameInvalid) =>
                {
                    out.push(Request::Notice(refusal(&failure)));
                    self.ask_name(State::OtherName(password), out);
                }
                Err(error) => self.came_to_nothing(&error, out),
            },
            // There shall be no group.
            _ => self.choose(out),
        }
        None
    }

    fn ask_name(&mut self, state: State, out: &mut Vec<Request>) {
        let question = "name of the group (Enter for none): ";
        out.push(Request::Ask(question.to_owned()));
        self.state = state;
    }

    fn create(&mut self, name: Option<String>, password: Option<Password>, out: &mut Vec<Request>) {
        let group = Group {
            name,
            topic: String::new(),
            secrets: self.secrets(password.clone()),
        };
        out.push(Request::Command(Command::Create(creation(group))));
        self.state = State::Creating(password);
    }

    /// Nothing came of a choice, and the person is told why.
    fn came_to_nothing(&mut self, error: &CommandError, out: &mut Vec<Request>) {
        out.push(Request::Notice(command_error(error)));
        self.choose(out);
    }
}

/// The command that makes a group.
pub(super) fn creation(group: Group) -> Create {
    Create {
        name: group.name,
        topic: group.topic,
        cipher: group.secrets.room_cipher(),
        password: group.secrets.password,
        ..Create::default()
    }
}

fn some_name(name: String) -> Option<String> {
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::tests::view;

    fn answer(menu: &mut Menu, text: &str) -> (Option<Chosen>, Vec<Request>) {
        step(menu, Reply::Answer(Some(text.to_owned())))
    }

    fn step(menu: &mut Menu, reply: Reply) -> (Option<Chosen>, Vec<Request>) {
        let mut out = Vec::new();
        let end = menu.handle(reply, &Rooms::default(), &mut out);
        (end, out)
    }

    fn asked(out: &[Request]) -> &str {
        match out.last() {
            Some(Request::Ask(question) | Request::AskHidden(question)) => question,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_group_is_made_with_a_password_typed_twice() {
        let mut out = Vec::new();
        let mut menu = Menu::begin(false, None, &mut out);
        assert_eq!((out.len(), asked(&out)), (5, "choice: "));
        answer(&mut menu, "2");
        let (_, out) = answer(&mut menu, "Chess");
        assert_eq!(asked(&out), "password (Enter for none): ");
        answer(&mut menu, "sesame");
        let (_, out) = answer(&mut menu, "sesame");
        let [Request::Command(Command::Create(create))] = &out[..] else {
            panic!("{out:?}")
        };
        assert_eq!(create.name.as_deref(), Some("Chess"));
        assert_eq!(create.password, Some(Password::new("sesame")));
        let (end, out) = step(&mut menu, Reply::Ended(Ok(Outcome::Room(view(Some(0))))));
        assert_eq!(end, Some(Chosen::Room));
        assert_eq!(out, [Request::Notice("Chat 0 has been created.".into())]);
    }

    #[test]
    fn a_question_that_is_given_up_leads_back() {
        let mut menu = Menu::begin(true, None, &mut Vec::new());
        answer(&mut menu, "2");
        let (end, out) = step(&mut menu, Reply::Answer(None));
        assert_eq!((end, asked(&out)), (None, "choice: "));
        let (end, _) = step(&mut menu, Reply::Answer(None));
        assert_eq!(end, Some(Chosen::Exit));
    }

    #[test]
    fn without_groups_one_is_let_go() {
        let mut menu = Menu::begin(true, None, &mut Vec::new());
        answer(&mut menu, "1");
        let (end, _) = step(&mut menu, Reply::Ended(Ok(Outcome::Rooms(Vec::new()))));
        assert_eq!(end, Some(Chosen::Exit));
    }
}
