//! The phases of a conversation, and the machines that each of them consists of.

use std::time::Instant;

use chat_core::{
    client::{Command, CommandError, Outcome},
    id::RoomId,
    wire::server::Welcome,
};

use super::{
    connecting::{Connected, Connecting},
    conversation::{Conversation, Stop},
    dialogs::{Dialog, DialogEnd, Running},
    io::{Destination, Effect, Input, Options, ReadKind},
    join::Join,
    leaving::{Circumstances, Leaving},
    lines::{self, Next, Typed},
    menu::{Chosen, Menu},
    new_password::NewPassword,
    requests::{Reply, Request},
    slash::{self, Line, Slash},
    turn::Turn,
};
use crate::{
    failure::Failure,
    report::{CommandOrigin, Report, command_error},
    rooms::Joinable,
    screen::Answer,
    visible::visible,
};

/// Commands that may be unfinished before the next line is read.
const UNFINISHED: usize = 200;
/// The same where somebody types. What was pasted is read whatever the server does, so that Ctrl-C
/// is, and that it can be said what was not sent.
const UNFINISHED_OF_A_PERSON: usize = 10_000;

/// A conversation.
#[derive(Debug)]
pub struct ChatSession(State);

#[derive(Debug)]
enum State {
    Connecting(Connecting, Options),
    In(Box<Session>),
    Over,
}

impl ChatSession {
    /// A conversation of a client that has begun to connect, under a name that was given.
    pub fn new(options: Options) -> Self {
        let connecting = Connecting::new(options.person, options.label.clone());
        Self(State::Connecting(connecting, options))
    }

    /// Takes in what has happened. Effects are added to those that are there.
    pub fn handle_input(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        let turn = &mut Turn::new(now, effects);
        match &mut self.0 {
            State::Connecting(connecting, options) => match connecting.handle(input, turn) {
                None => {}
                Some(Connected::No(end)) => {
                    turn.push(Effect::End(end));
                    self.0 = State::Over;
                }
                Some(Connected::Welcomed(welcome)) => {
                    let options = std::mem::take(options);
                    let session = Session::begin(options, *welcome, turn);
                    self.0 = State::In(Box::new(session));
                }
            },
            State::In(session) => session.handle(input, turn),
            State::Over => {}
        }
    }

    /// When [`Input::Timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.0 {
            State::In(session) => session.talk.jobs.unseen_until(),
            State::Connecting(..) | State::Over => None,
        }
    }

    /// Whether what is said is seen again soon, as everybody sees it: then the line that was typed
    /// is taken off the screen. Otherwise it stays where it was typed until it can be sent.
    pub fn is_tidy(&self) -> bool {
        match &self.0 {
            State::In(session) => session.talk.is_tidy(),
            State::Connecting(..) | State::Over => true,
        }
    }
}

/// A conversation of a client that was welcomed.
#[derive(Debug)]
struct Session {
    talk: Conversation,
    /// Whether lines of input may be commands.
    commands: bool,
    kept: bool,
    /// Whether the menu was shown.
    menu: bool,
    /// Whether there is no more input, or none is wanted.
    all_read: bool,
    /// Lines that were refused.
    refused: u64,
    /// The question whose answer is awaited.
    asked: Option<(String, ReadKind)>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Into the first room.
    Entering(Running),
    /// The client has ended, and will say why.
    AwaitingEnd,
    Talking(Wait),
    /// A signal came while no line was edited: what a person had typed before, or pasted, is said
    /// all the same. Commands are not done any more.
    TypedAhead(Option<RoomId>),
    Leaving(Leaving),
}

/// The event that the next line waits for.
#[derive(Debug)]
enum Wait {
    /// Until few enough commands are unfinished.
    Pace,
    /// For the line itself. It is typed for this room.
    Line(Option<RoomId>),
    /// For the end of this command.
    Ended(u64),
    Dialog(Running),
    /// For the end of all commands: no line follows. With a failure if one was refused.
    Finish(Option<Failure>),
}

impl Session {
    fn begin(mut options: Options, welcome: Welcome, turn: &mut Turn<'_>) -> Self {
        let lobby = welcome.lobby;
        let destination = std::mem::take(&mut options.destination);
        let mut session = Self {
            talk: Conversation::new(&options, welcome),
            commands: options.commands,
            kept: options.kept,
            menu: false,
            all_read: false,
            refused: 0,
            asked: None,
            phase: Phase::AwaitingEnd,
        };
        let mut requests = Vec::new();
        let person = options.person;
        let rooms = &session.talk.rooms;
        let dialog = match destination {
            Destination::Create(group) => Some(Dialog::create(group, &mut requests)),
            Destination::Room(number, secrets) => {
                let place = Joinable::Group(number);
                let join = Join::begin(place, secrets, person, rooms, &mut requests);
                Some(Dialog::Join(join))
            }
            Destination::Menu(secrets) if person => Some(Dialog::Menu(Menu::begin(
                lobby,
                secrets.cipher,
                &mut requests,
            ))),
            Destination::Lobby(secrets) if person && !lobby => Some(Dialog::Menu(Menu::begin(
                lobby,
                secrets.cipher,
                &mut requests,
            ))),
            Destination::Lobby(secrets) | Destination::Menu(secrets) if lobby => {
                let join = Join::begin(Joinable::Lobby, secrets, person, rooms, &mut requests);
                Some(Dialog::Join(join))
            }
            Destination::Lobby(_) | Destination::Menu(_) => None,
        };
        match dialog {
            Some(dialog) => {
                session.menu = matches!(dialog, Dialog::Menu(_));
                let command = session.request(requests, turn);
                session.phase = Phase::Entering(Running { dialog, command });
            }
            None => {
                let words = "the server has no lobby; use --room or --create";
                let failure = Failure::Refused(words.to_owned());
                session.leave(Stop::Failed(failure), false, turn);
            }
        }
        session
    }

    fn handle(&mut self, input: Input, turn: &mut Turn<'_>) {
        if let Phase::Leaving(leaving) = &mut self.phase {
            return leaving.handle(input, &mut self.talk, turn);
        }
        let handled = match input {
            Input::Client(event) => self.talk.event(event, turn),
            Input::CommandEnded { number, result } => self.command_ended(number, result, turn),
            Input::Answer(answer) => self.answer(answer, turn),
            Input::Stop => Err(Stop::Quit),
            // A terminal that is gone is no second wish.
            Input::Idle | Input::OutputLost if matches!(self.phase, Phase::TypedAhead(_)) => {
                self.leave(Stop::Quit, false, turn);
                Ok(())
            }
            Input::OutputLost if self.waits_for_a_person() => Err(Stop::Quit),
            Input::Timeout => {
                self.talk.show_unseen(turn);
                Ok(())
            }
            Input::OutputLost | Input::Idle | Input::Unread(_) => Ok(()),
        };
        if let Err(stop) = handled {
            self.stop(stop, turn);
        }
        self.proceed(turn);
    }

    /// Whether an answer or a dialog is awaited, and not the end of commands.
    fn waits_for_a_person(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Talking(Wait::Pace | Wait::Ended(_) | Wait::Finish(_)) | Phase::Leaving(_)
        )
    }

    /// Goes on as far as nothing has to happen first.
    fn proceed(&mut self, turn: &mut Turn<'_>) {
        let Phase::Talking(wait) = &mut self.phase else {
            return;
        };
        if let Wait::Ended(number) = wait
            && !self.talk.jobs.contains(*number)
        {
            *wait = Wait::Pace;
        }
        let unfinished = if self.talk.person {
            UNFINISHED_OF_A_PERSON
        } else {
            UNFINISHED
        };
        match wait {
            Wait::Pace if self.talk.jobs.len() <= unfinished => {
                *wait = Wait::Line(self.talk.spoken_in());
                self.read_line(turn);
            }
            Wait::Finish(failure) if self.talk.jobs.is_empty() => {
                let stop = failure.take().map_or(Stop::Quit, Stop::Failed);
                self.leave(stop, false, turn);
            }
            _ => {}
        }
    }

    /// Asks for the next line of the conversation.
    fn read_line(&mut self, turn: &mut Turn<'_>) {
        let prompt = self.talk.prompt();
        self.ask(prompt, ReadKind::Line, turn);
    }

    fn ask(&mut self, prompt: String, kind: ReadKind, turn: &mut Turn<'_>) {
        turn.read(prompt.clone(), kind);
        self.asked = Some((prompt, kind));
    }

    fn stop_reading(&mut self, turn: &mut Turn<'_>) {
        if self.asked.take().is_some() {
            turn.push(Effect::StopReading);
        }
    }

    /// Ends the phase. At Ctrl-C what was typed before it is said first.
    fn stop(&mut self, stop: Stop, turn: &mut Turn<'_>) {
        match (&self.phase, &stop) {
            (Phase::Talking(wait), Stop::Quit) if self.talk.person && !self.all_read => {
                if !matches!(wait, Wait::Line(_)) {
                    self.stop_reading(turn);
                    self.read_line(turn);
                }
                self.phase = Phase::TypedAhead(self.talk.spoken_in());
                turn.push(Effect::AwaitIdle);
            }
            (Phase::TypedAhead(_), Stop::Quit) => self.leave(stop, true, turn),
            _ => self.leave(stop, false, turn),
        }
    }

    fn leave(&mut self, stop: Stop, impatient: bool, turn: &mut Turn<'_>) {
        self.stop_reading(turn);
        let counts = !self.all_read && !self.talk.person;
        let circumstances = Circumstances {
            kept: self.kept,
            menu: self.menu,
            impatient,
            unread: counts.then_some(self.refused),
        };
        let leaving = Leaving::begin(stop, circumstances, &mut self.talk, turn);
        self.phase = Phase::Leaving(leaving);
    }

    fn command_ended(
        &mut self,
        number: u64,
        result: Result<Outcome, CommandError>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Stop> {
        let of_dialog = match &mut self.phase {
            Phase::Entering(running) | Phase::Talking(Wait::Dialog(running)) => {
                running.command.take_if(|of_dialog| *of_dialog == number)
            }
            _ => None,
        };
        if of_dialog.is_none() {
            self.talk.job_ended(number, result, turn);
            return Ok(());
        }
        self.talk.creating = false;
        self.reply(Reply::Ended(result), turn)
    }

    fn answer(&mut self, answer: Answer, turn: &mut Turn<'_>) -> Result<(), Stop> {
        let Some((prompt, kind)) = self.asked.take() else {
            return Ok(());
        };
        match &self.phase {
            Phase::Talking(Wait::Line(spoken_in)) => {
                let spoken_in = *spoken_in;
                self.line(answer, spoken_in, turn)
            }
            Phase::TypedAhead(spoken_in) => {
                let spoken_in = *spoken_in;
                self.line_ahead(answer, spoken_in, turn)
            }
            _ => {
                let answer = match (answer, kind) {
                    (Answer::Line(line) | Answer::TakenBack(line), ReadKind::Hidden) => Some(line),
                    (Answer::Line(line) | Answer::TakenBack(line), _) => {
                        Some(line.trim().to_owned())
                    }
                    (Answer::Interrupted, _) => None,
                    (Answer::Unreadable(_), ReadKind::Hidden) | (Answer::End, _) => {
                        return Err(Stop::Quit);
                    }
                    (Answer::Unreadable(why), _) => {
                        turn.notice(why);
                        self.ask(prompt, kind, turn);
                        return Ok(());
                    }
                };
                self.reply(Reply::Answer(answer), turn)
            }
        }
    }

    /// A line of the conversation.
    fn line(
        &mut self,
        answer: Answer,
        spoken_in: Option<RoomId>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Stop> {
        self.phase = Phase::Talking(Wait::Pace);
        let (line, taken_back) = match answer {
            Answer::Line(line) => (line, false),
            Answer::TakenBack(line) => (line, true),
            Answer::Unreadable(why) => {
                self.talk.line += 1;
                self.talk.not_understood(format!("not sent: {why}"), turn);
                return Ok(());
            }
            Answer::End => {
                self.finish();
                return Ok(());
            }
            Answer::Interrupted => {
                self.all_read = true;
                return Err(Stop::Quit);
            }
        };
        self.talk.line += 1;
        let typed = Typed {
            taken_back,
            spoken_in,
        };
        match slash::parse(&line) {
            Ok(Line::Empty) => {}
            Ok(Line::Say(text)) => lines::say(&mut self.talk, text, false, typed, turn),
            _ if !self.commands => self.refuse(),
            Ok(Line::Command(slash)) => {
                if matches!(slash, Slash::Create(_) | Slash::Join(_) | Slash::Switch(_)) {
                    self.leave_place();
                }
                let next = lines::run(&mut self.talk, slash, typed, turn);
                self.next(next, turn);
            }
            Err(why) => {
                self.talk.not_understood(why, turn);
                self.leave_place();
            }
        }
        Ok(())
    }

    /// No line follows: everything is finished first.
    fn finish(&mut self) {
        self.all_read = true;
        self.phase = Phase::Talking(Wait::Finish(None));
    }

    /// A line of a file or a pipe begins with a slash, and nobody said that it may be a command:
    /// what was before it is finished, and that is the end.
    fn refuse(&mut self) {
        self.refused = 1;
        let line = self.talk.line;
        let failure = Failure::Usage(format!(
            "line {line} begins with a slash; begin it with two, or use --commands if lines may be commands"
        ));
        self.phase = Phase::Talking(Wait::Finish(Some(failure)));
    }

    /// The lines of a file or a pipe are written for the room that the last command names: if that
    /// comes to nothing, they are said nowhere.
    fn leave_place(&mut self) {
        if !self.talk.person {
            self.talk.rooms.switch_off();
        }
    }

    /// A line that was typed before the wish to end.
    fn line_ahead(
        &mut self,
        answer: Answer,
        spoken_in: Option<RoomId>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Stop> {
        let (line, taken_back) = match answer {
            Answer::Line(line) => (Some(line), false),
            Answer::TakenBack(line) => (Some(line), true),
            Answer::Unreadable(_) => (None, false),
            Answer::End => {
                self.leave(Stop::Quit, false, turn);
                return Ok(());
            }
            Answer::Interrupted => return Err(Stop::Quit),
        };
        if let Some(line) = line {
            self.talk.line += 1;
            let typed = Typed {
                taken_back,
                spoken_in,
            };
            match slash::parse(&line) {
                Ok(Line::Say(text)) => lines::say(&mut self.talk, text, false, typed, turn),
                Ok(Line::Command(Slash::Me(text))) => {
                    lines::say(&mut self.talk, text, true, typed, turn);
                }
                Ok(Line::Empty) => {}
                Ok(Line::Command(_)) | Err(_) => {
                    let why = format!("not done any more: {line}");
                    self.talk.not_understood(why, turn);
                }
            }
        }
        self.phase = Phase::TypedAhead(self.talk.spoken_in());
        self.read_line(turn);
        Ok(())
    }

    /// Goes on as a command says.
    fn next(&mut self, next: Next, turn: &mut Turn<'_>) {
        let mut requests = Vec::new();
        let (person, rooms) = (self.talk.person, &self.talk.rooms);
        let dialog = match next {
            Next::Line => return,
            Next::Ended(number) => {
                self.phase = Phase::Talking(Wait::Ended(number));
                return;
            }
            Next::Quit => return self.finish(),
            Next::Join(place, secrets) => {
                let join = Join::begin(place, secrets, person, rooms, &mut requests);
                Dialog::Join(join)
            }
            Next::Create(group) => Dialog::create(group, &mut requests),
            Next::Leave(room) => {
                requests.push(Request::Command(Command::Leave { room }));
                Dialog::Leave(room)
            }
            Next::Password(room) => {
                let question = "new password (Enter to leave it as it is): ";
                Dialog::Password(room, NewPassword::begin(question, &mut requests))
            }
        };
        let command = self.request(requests, turn);
        self.phase = Phase::Talking(Wait::Dialog(Running { dialog, command }));
    }

    /// Does what a dialog asks for; the number of its command, if there is one.
    fn request(&mut self, requests: Vec<Request>, turn: &mut Turn<'_>) -> Option<u64> {
        let mut number = None;
        for request in requests {
            match request {
                Request::Ask(question) => self.ask(question, ReadKind::Answer, turn),
                Request::AskHidden(question) => self.ask(question, ReadKind::Hidden, turn),
                Request::Notice(words) => turn.notice(words),
                Request::Rooms(groups) => turn.tell(Report::Rooms(groups)),
                Request::Greet(group) => {
                    let nick = visible(&self.talk.me.nick);
                    turn.notice(format!("Hi {nick}! welcome to group {group}!"));
                }
                Request::Joined(joined) => self.talk.joined(joined, turn),
                Request::Command(command) => {
                    match &command {
                        Command::Create(_) => self.talk.creating = true,
                        Command::Leave { room } => drop(self.talk.leaving.insert(*room)),
                        _ => {}
                    }
                    let next = self.talk.jobs.number();
                    turn.command(next, command);
                    number = Some(next);
                }
            }
        }
        number
    }

    /// Gives the dialog what it asked for.
    fn reply(&mut self, reply: Reply, turn: &mut Turn<'_>) -> Result<(), Stop> {
        let (Phase::Entering(running) | Phase::Talking(Wait::Dialog(running))) = &mut self.phase
        else {
            return Ok(());
        };
        let mut requests = Vec::new();
        let end = running
            .dialog
            .handle(reply, &self.talk.rooms, &mut requests);
        let command = self.request(requests, turn);
        let entering = match &mut self.phase {
            Phase::Entering(running) => {
                running.command = command;
                true
            }
            Phase::Talking(Wait::Dialog(running)) => {
                running.command = command;
                false
            }
            _ => return Ok(()),
        };
        match end {
            None => Ok(()),
            Some(end) if entering => self.entered(end, turn),
            Some(end) => {
                self.phase = Phase::Talking(Wait::Pace);
                self.dialog_ended(end, turn);
                Ok(())
            }
        }
    }

    /// The way into the first room has ended.
    fn entered(&mut self, end: DialogEnd, turn: &mut Turn<'_>) -> Result<(), Stop> {
        match end {
            DialogEnd::Entered(_, Err(CommandError::Ended)) => self.phase = Phase::AwaitingEnd,
            DialogEnd::Entered(_, Err(error)) => {
                let failure = Failure::Refused(command_error(&error));
                return Err(Stop::Failed(failure));
            }
            DialogEnd::Chosen(Chosen::Exit) => return Err(Stop::Quit),
            _ => {
                if self.talk.person {
                    turn.tell(Report::Hint);
                }
                self.phase = Phase::Talking(Wait::Pace);
            }
        }
        Ok(())
    }

    /// A dialog of the conversation has ended.
    fn dialog_ended(&mut self, end: DialogEnd, turn: &mut Turn<'_>) {
        match end {
            DialogEnd::Entered(command, Err(error)) => {
                let origin = CommandOrigin::of(self.talk.line, command);
                self.talk.failed(origin, error, turn);
            }
            DialogEnd::Entered(_, Ok(_)) | DialogEnd::Chosen(_) => {}
            DialogEnd::Left(room, result) => {
                let origin = CommandOrigin::of(self.talk.line, "leave");
                match result {
                    Ok(outcome) => turn.tell(Report::Done { origin, outcome }),
                    Err(error) => {
                        self.talk.leaving.remove(&room);
                        self.talk.failed(origin, error, turn);
                    }
                }
            }
            DialogEnd::Password(room, Some(password)) => {
                lines::set_password(&mut self.talk, room, password, turn);
            }
            DialogEnd::Password(_, None) => turn.notice("the password is as it was"),
        }
    }
}
