//! Runs a conversation: hands it what happens, and does what it says.

use std::{future::Future, mem, pin::Pin, time::Instant};

use chat_core::client::{ClientEvent, CommandError, Ended, Outcome};
use chat_keyring::{Acquaintance, Identities};
use chat_runtime::{Client, Events};
use chat_terminal::{
    ChatSession, Effect, End, Input, Options, Report, Reporter, key_words,
    screen::{Answer, Asked, LineReader, Screen},
    visible,
};
use futures_util::{
    StreamExt,
    future::{LocalBoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use tokio::time::sleep_until;

use crate::signals::Signals;

/// A command that is under way, with its number.
type Pending = LocalBoxFuture<'static, (u64, Result<Outcome, CommandError>)>;

/// The things that a conversation runs on.
pub(super) struct Drive {
    client: Client,
    events: Option<Events>,
    lines: LineReader,
    signals: Signals,
    commands: FuturesUnordered<Pending>,
    /// The line that is awaited.
    asked: Option<Asked>,
    /// Until all that was typed is read.
    idle: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// Lines that were taken and not looked at.
    unread: u64,
    /// The files in which the member is found by its nick.
    identities: Option<Identities>,
    acquaintance: Acquaintance,
    /// The person knows whether the server was met before.
    introduced: bool,
}

impl Drive {
    pub(super) fn new(
        client: Client,
        events: Events,
        lines: LineReader,
        signals: Signals,
        identities: Option<Identities>,
        acquaintance: Acquaintance,
    ) -> Self {
        Self {
            client,
            events: Some(events),
            lines,
            signals,
            commands: FuturesUnordered::new(),
            asked: None,
            idle: None,
            unread: 0,
            identities,
            acquaintance,
            introduced: false,
        }
    }

    /// Runs until the conversation is over.
    pub(super) async fn run(
        &mut self,
        options: Options,
        reporter: &mut dyn Reporter,
        screen: &mut Screen,
    ) -> End {
        let mut session = ChatSession::new(options);
        let mut effects = Vec::new();
        let mut broken = false;
        loop {
            let input = self.next(session.poll_timeout()).await;
            self.acquaint(&input, reporter, screen);
            session.handle_input(Instant::now(), input, &mut effects);
            if let Some(end) = self
                .perform(&mut session, &mut effects, reporter, screen)
                .await
            {
                return end;
            }
            if screen.is_broken() {
                if !mem::replace(&mut broken, true) {
                    // A window that was closed says SIGHUP as well.
                    self.signals.came();
                }
                session.handle_input(Instant::now(), Input::OutputLost, &mut effects);
                if let Some(end) = self
                    .perform(&mut session, &mut effects, reporter, screen)
                    .await
                {
                    return end;
                }
            }
        }
    }

    /// Keeps what the member is called, and says once which server a new one is.
    fn acquaint(&mut self, input: &Input, reporter: &mut dyn Reporter, screen: &mut Screen) {
        let Some(nick) = named(input) else {
            return;
        };
        if let Some(identities) = &self.identities {
            identities.held(nick);
        }
        let introduced = mem::replace(&mut self.introduced, true);
        if let (Some(key), false) = (self.acquaintance.met(), introduced) {
            let words = format!("a new server; its key: {}", key_words(&key));
            reporter.report(&Report::Notice(words), screen);
        }
    }

    /// Why there is no connection.
    pub(super) fn trouble(&self) -> String {
        match self.client.trouble() {
            Some(error) => visible(&error.to_string()),
            None => "the connection ended before the server said anything".to_owned(),
        }
    }

    /// The next thing that happens. Events come first: the answer to a join comes after the event
    /// of having entered.
    async fn next(&mut self, timeout: Option<Instant>) -> Input {
        let event = OptionFuture::from(self.events.as_mut().map(Events::next));
        let timeout = OptionFuture::from(timeout.map(|at| sleep_until(at.into())));
        let answer = OptionFuture::from(self.asked.as_mut());
        let idle = OptionFuture::from(self.idle.as_mut());
        tokio::select! {
            biased;
            Some(event) = event => match event {
                Some(event) => Input::Client(event),
                None => {
                    self.events = None;
                    Input::Client(ClientEvent::Ended(Ended::Asked))
                }
            },
            Some((number, result)) = self.commands.next() => Input::CommandEnded { number, result },
            _ = self.signals.next() => Input::Stop,
            Some(()) = timeout => Input::Timeout,
            Some(answer) = answer => {
                self.asked = None;
                if answer == Answer::Interrupted
                    || answer == Answer::End && self.lines.is_person()
                {
                    // The key is the same wish as the signal, and so is the end of the terminal.
                    self.signals.came();
                }
                Input::Answer(answer)
            }
            Some(()) = idle => {
                self.idle = None;
                Input::Idle
            }
        }
    }

    /// Does all that the conversation says. Some: it is over.
    async fn perform(
        &mut self,
        session: &mut ChatSession,
        effects: &mut Vec<Effect>,
        reporter: &mut dyn Reporter,
        screen: &mut Screen,
    ) -> Option<End> {
        while !effects.is_empty() {
            self.lines.set_tidy(session.is_tidy());
            for effect in mem::take(effects) {
                match effect {
                    Effect::Report(report) => reporter.report(&report, screen),
                    Effect::Command { number, command } => {
                        let pending = self.client.command(command);
                        let pending = async move { (number, pending.await) };
                        self.commands.push(Box::pin(pending));
                    }
                    Effect::RetryAs { nick, label } => self.client.retry_as(nick, label),
                    Effect::Read { prompt, kind } => {
                        self.asked = Some(self.lines.read(&prompt, kind));
                    }
                    Effect::StopReading => {
                        let line = self.asked.take().and_then(Asked::withdraw);
                        self.unread += u64::from(line.is_some_and(|line| line.is_something()));
                    }
                    Effect::AwaitIdle => self.idle = Some(Box::pin(screen.idle())),
                    Effect::Close => drop(self.client.close()),
                    Effect::Abort => self.client.abort(),
                    Effect::CountUnread => {
                        let lines = self.unread + self.lines.rest().await;
                        session.handle_input(Instant::now(), Input::Unread(lines), effects);
                    }
                    Effect::End(end) => return Some(end),
                }
            }
        }
        None
    }
}

/// The nick that the member has from now on.
fn named(input: &Input) -> Option<&str> {
    match input {
        Input::Client(ClientEvent::Welcomed { welcome, .. }) => Some(&welcome.nick),
        Input::CommandEnded {
            result: Ok(Outcome::Named(named)),
            ..
        } => Some(&named.nick),
        _ => None,
    }
}
