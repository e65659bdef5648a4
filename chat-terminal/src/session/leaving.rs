//! From the wish to end, or the client's end, to the end of the conversation.

use std::collections::BTreeSet;

use chat_core::{
    client::{ClientEvent, Command, CommandError, Ended, Outcome},
    wire::CloseReason,
};

use super::{
    conversation::{Conversation, Stop},
    io::{Effect, End, Input},
    turn::Turn,
};
use crate::{
    failure::Failure,
    key_words::distrust,
    report::{Report, closed},
    visible::visible,
};

/// The facts that the end depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// Whether the member stays, so that its rooms are not left.
    pub(super) kept: bool,
    /// Whether the menu was shown: it says good-bye in its own words.
    pub(super) menu: bool,
    /// Whether a second wish to end has come.
    pub(super) impatient: bool,
    /// Lines that were refused, if those of a file or a pipe that were not taken are to be counted.
    pub(super) unread: Option<u64>,
}

/// A conversation that ends.
#[derive(Debug)]
pub(super) struct Leaving {
    step: Step,
    result: Result<(), Failure>,
    by_wish: bool,
    circumstances: Circumstances,
}

#[derive(Debug)]
enum Step {
    /// Messages are not confirmed yet.
    Unsaid,
    /// Rooms are left by these commands.
    Rooms(BTreeSet<u64>),
    /// The server's word is missing.
    Closing,
    /// All ends at once; so have these commands.
    Aborting(Vec<(u64, Result<Outcome, CommandError>)>),
    /// The client has ended. The ends of commands are still to be told.
    Rest,
    /// Lines that were not taken are counted.
    Counting,
    Over,
}

impl Leaving {
    /// Takes leave: waits for what was said, leaves the rooms, unless this member will come back,
    /// and the server. A second wish to stop is granted at once.
    pub(super) fn begin(
        stop: Stop,
        circumstances: Circumstances,
        talk: &mut Conversation,
        turn: &mut Turn<'_>,
    ) -> Self {
        let by_wish = matches!(stop, Stop::Quit);
        let (step, result) = match stop {
            Stop::Ended(ended) => (Step::Rest, why(ended)),
            Stop::Quit => (Step::Unsaid, Ok(())),
            Stop::Failed(failure) => (Step::Unsaid, Err(failure)),
        };
        let mut leaving = Self {
            step,
            result,
            by_wish,
            circumstances,
        };
        if matches!(leaving.step, Step::Unsaid) {
            if circumstances.impatient {
                leaving.abort(turn);
            } else if leaving.waits(talk) {
                turn.tell(Report::WaitsBeforeEnd(talk.jobs.unsaid()));
            }
        }
        leaving.proceed(talk, turn);
        leaving
    }

    pub(super) fn handle(&mut self, input: Input, talk: &mut Conversation, turn: &mut Turn<'_>) {
        match input {
            Input::CommandEnded { number, result } => {
                self.command_ended(number, result, talk, turn)
            }
            Input::Client(event) => self.event(event, talk, turn),
            Input::Timeout => talk.show_unseen(turn),
            Input::Stop => match self.step {
                Step::Unsaid | Step::Rooms(_) | Step::Closing => self.abort(turn),
                _ => {}
            },
            Input::Unread(lines) if matches!(self.step, Step::Counting) => {
                let lines = lines + self.circumstances.unread.unwrap_or(0);
                if lines > 0 {
                    talk.failures += lines;
                    turn.tell(Report::RestNotSent(lines));
                }
                self.conclude(talk, turn);
            }
            _ => {}
        }
        self.proceed(talk, turn);
    }

    /// Whether something that was said may still be confirmed. Without a connection nobody can be
    /// told anything.
    fn waits(&self, talk: &Conversation) -> bool {
        talk.is_connected() && talk.jobs.unsaid() > 0
    }

    fn event(&mut self, event: ClientEvent, talk: &mut Conversation, turn: &mut Turn<'_>) {
        let of_no_interest = matches!(
            event,
            ClientEvent::Record { .. }
                | ClientEvent::Presence { .. }
                | ClientEvent::Invitation { .. }
                | ClientEvent::Named(_)
                | ClientEvent::Removed { .. }
                | ClientEvent::HelloRefused(_)
        );
        match self.step {
            Step::Unsaid => {}
            Step::Rooms(_) | Step::Closing if !of_no_interest => {}
            _ => return,
        }
        match talk.event(event, turn) {
            Ok(()) => {}
            Err(Stop::Failed(failure)) if matches!(self.step, Step::Unsaid) => {
                self.result = Err(failure);
                self.close(turn);
            }
            Err(_) => self.step = Step::Rest,
        }
    }

    fn command_ended(
        &mut self,
        number: u64,
        result: Result<Outcome, CommandError>,
        talk: &mut Conversation,
        turn: &mut Turn<'_>,
    ) {
        match &mut self.step {
            // Whether a room could be left does not matter any more.
            Step::Rooms(left) => {
                if !left.remove(&number) {
                    talk.job_ended(number, result, turn);
                }
            }
            Step::Aborting(ends) => {
                if talk.jobs.contains(number) {
                    ends.push((number, result));
                }
            }
            _ => talk.job_ended(number, result, turn),
        }
    }

    fn proceed(&mut self, talk: &mut Conversation, turn: &mut Turn<'_>) {
        if matches!(self.step, Step::Unsaid) && !self.waits(talk) {
            self.leave_rooms(talk, turn);
        }
        if let Step::Rooms(left) = &self.step
            && (left.is_empty() || !talk.is_connected())
        {
            self.close(turn);
        }
        self.tell_ends(talk, turn);
        if matches!(self.step, Step::Rest) && talk.jobs.is_empty() {
            if self.result.is_ok() && self.by_wish && self.circumstances.menu {
                turn.notice("You have disconnected from the server.");
            }
            if self.circumstances.unread.is_some() {
                turn.push(Effect::CountUnread);
                self.step = Step::Counting;
            } else {
                self.conclude(talk, turn);
            }
        }
    }

    fn leave_rooms(&mut self, talk: &mut Conversation, turn: &mut Turn<'_>) {
        let rooms = if self.circumstances.kept || !talk.is_connected() {
            Vec::new()
        } else {
            talk.rooms.leavable()
        };
        let commands = rooms.into_iter().map(|room| {
            let number = talk.jobs.number();
            turn.command(number, Command::Leave { room });
            number
        });
        self.step = Step::Rooms(commands.collect());
    }

    fn close(&mut self, turn: &mut Turn<'_>) {
        turn.push(Effect::Close);
        self.step = Step::Closing;
    }

    fn abort(&mut self, turn: &mut Turn<'_>) {
        turn.push(Effect::Abort);
        let words = "ended at once, without taking leave";
        self.result = Err(Failure::Fault(words.to_owned()));
        self.step = Step::Aborting(Vec::new());
    }

    /// Of a client that was ended at once, says of each command what became of it, in their order.
    fn tell_ends(&mut self, talk: &mut Conversation, turn: &mut Turn<'_>) {
        let Step::Aborting(ends) = &mut self.step else {
            return;
        };
        if ends.len() < talk.jobs.len() {
            return;
        }
        let mut ends = std::mem::take(ends);
        ends.sort_by_key(|(number, _)| *number);
        for (number, result) in ends {
            match result {
                Err(error @ (CommandError::Unknown | CommandError::Ended)) => {
                    talk.abandoned(number, error, turn);
                }
                result => talk.job_ended(number, result, turn),
            }
        }
        // A command that follows one that was done has an end of its own.
        if talk.jobs.is_empty() {
            self.step = Step::Rest;
        }
    }

    /// A person has seen what came to nothing; a script has to be told.
    fn conclude(&mut self, talk: &Conversation, turn: &mut Turn<'_>) {
        self.step = Step::Over;
        let mut result = std::mem::replace(&mut self.result, Ok(()));
        if talk.failures > 0 && !talk.person && result.is_ok() {
            let failures = talk.failures;
            let words = format!("lines of input that came to nothing: {failures}");
            result = Err(Failure::Fault(words));
        }
        turn.push(Effect::End(End::from(result)));
    }
}

/// The end of the program, from the end of a client that had been welcomed.
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
        Ended::Closed(reason) => Err(Failure::Refused(closed(reason, ""))),
        ended @ (Ended::WrongServer { .. } | Ended::Distrusted) => {
            Err(Failure::Refused(distrust(&ended)))
        }
        Ended::CannotConnect => Err(Failure::CannotConnect("the server is gone".to_owned())),
        Ended::ProtocolError(text) => Err(Failure::Fault(format!(
            "the server does not keep to the protocol: {}",
            visible(&text)
        ))),
    }
}
