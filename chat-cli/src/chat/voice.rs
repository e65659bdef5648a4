//! Tells what happens, as text for people or as JSON for programs.

use chat_core::{
    client::{CommandError, EnteredHow, Outcome, Text},
    id::MemberId,
    nick::harmless,
    wire::{
        CloseReason,
        record::{Record, RecordBody, RoomKind},
        server::{
            Closing, Failure, HistoryPage, MemberInfo, PresenceUpdate, RemovedReason, RoomInfo,
            RoomView, Welcome,
        },
    },
};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{
    json,
    rooms::room_name,
    screen::Screen,
    slash::HELP,
    text::{self, Paint, Seen},
};
use crate::{command_line::Format, json_line};

/// Where and how things are told.
#[derive(Debug)]
pub(crate) struct Voice {
    screen: Screen,
    format: Format,
    zone: TimeZone,
    paint: Paint,
    failures: u64,
}

/// A command whose end is told, and the line that it came from.
#[derive(Clone, Debug)]
pub(crate) struct Doing {
    pub(crate) line: u64,
    /// The slash command's name, or `send`.
    pub(crate) command: &'static str,
    /// What was to be sent.
    pub(crate) text: Option<String>,
}

impl Voice {
    pub(crate) fn new(screen: Screen, format: Format) -> Self {
        let paint = Paint {
            colours: screen.has_colours(),
        };
        Self {
            screen,
            format,
            zone: TimeZone::system(),
            paint,
            failures: 0,
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.screen.is_broken()
    }

    /// How many lines of input came to nothing, or nobody knows.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    /// Waits until everything is shown.
    pub(crate) fn flush(&mut self) {
        self.screen.flush();
    }

    /// The client is in, for the first time or again.
    pub(crate) fn welcomed(&mut self, welcome: &Welcome, again: bool) {
        match self.format {
            Format::Json => self.json(&json::welcome(welcome, again)),
            Format::Text if again => self.screen.say(&self.paint.aside("connected again")),
            Format::Text => {
                self.screen.note(&format!(
                    "connected as {}",
                    text::person(&welcome.nick, &welcome.label)
                ));
            }
        }
    }

    /// A name was refused.
    pub(crate) fn hello_refused(&mut self, failure: &Failure) {
        match self.format {
            Format::Json => self.json(&json::hello_refused(failure)),
            Format::Text => self.screen.note(&text::refusal(failure)),
        }
    }

    /// `room N created`.
    pub(crate) fn created(&mut self, view: &RoomView) {
        match self.format {
            Format::Json => self.json(&json::created(view)),
            Format::Text => self.screen.say(&format!("{} created", room_name(view))),
        }
    }

    /// The client is in a room.
    pub(crate) fn entered(&mut self, view: &RoomView, how: EnteredHow) {
        if self.format == Format::Json {
            return self.json(&json::entered(view, how));
        }
        match how {
            EnteredHow::Resumed => {}
            EnteredHow::Afresh => {
                let line = format!(
                    "{}: what was said meanwhile may be missing here",
                    room_name(view)
                );
                self.screen.say(&self.paint.aside(&line));
            }
            EnteredHow::New if view.kind != RoomKind::Private => {
                self.screen.say(
                    &self
                        .paint
                        .aside(&format!("still a member of {}", room_name(view))),
                );
            }
            _ => text::entered(view)
                .iter()
                .for_each(|line| self.screen.say(line)),
        }
    }

    /// The server does not know this client in a room any more, which is joined again. In text [`back`](Self::back) tells it.
    pub(crate) fn forgotten(&mut self, view: &RoomView, reason: RemovedReason) {
        if self.format == Format::Json {
            self.json(&json::removed(view, reason));
        }
    }

    /// The client is in that room again.
    pub(crate) fn back(&mut self, view: &RoomView, how: EnteredHow) {
        if self.format == Format::Json {
            return self.json(&json::entered(view, how));
        }
        let line = format!(
            "joined {} again: the server has been started anew, or had forgotten this client",
            room_name(view)
        );
        self.screen.say(&self.paint.aside(&line));
    }

    /// The client is not in a room any more; `asked`: by its own wish.
    pub(crate) fn removed(&mut self, view: &RoomView, reason: RemovedReason, asked: bool) {
        if self.format == Format::Json {
            return self.json(&json::removed(view, reason));
        }
        let name = room_name(view);
        self.screen.say(&match reason {
            _ if asked => format!("left {name}"),
            RemovedReason::NotMember => format!("you are no longer in {name}"),
            RemovedReason::Banned => format!("you are banned from {name}"),
            RemovedReason::Unknown => format!("{name} is no longer there"),
        });
    }

    /// The server has said nothing of a room since the client is in again.
    pub(crate) fn silent(&mut self, view: &RoomView) {
        match self.format {
            Format::Json => self.json(&json::silent(view)),
            Format::Text => {
                let line = format!(
                    "the server cannot read {} at present: what is asked there waits",
                    room_name(view)
                );
                self.screen.say(&self.paint.aside(&line));
            }
        }
    }

    /// Something happened in a room.
    pub(crate) fn record(&mut self, seen: Seen<'_>) {
        match self.format {
            Format::Json => self.json(&json::record(seen)),
            Format::Text => {
                if let Some(line) = text::record(seen, &self.zone, self.paint) {
                    self.screen.say(&line);
                }
            }
        }
    }

    /// Who is there.
    pub(crate) fn presence(
        &mut self,
        view: &RoomView,
        update: &PresenceUpdate,
        current: bool,
        me: MemberId,
    ) {
        if self.format == Format::Json {
            return self.json(&json::presence(view, update));
        }
        if view.kind == RoomKind::Private {
            return;
        }
        for line in text::presence(update, me) {
            let line = if current {
                line
            } else {
                format!("[{}] {line}", room_name(view))
            };
            self.screen.say(&self.paint.aside(&line));
        }
    }

    /// The server is about to end the connection.
    pub(crate) fn closing(&mut self, closing: &Closing) {
        if self.format == Format::Json {
            return self.json(&json::closing(closing));
        }
        self.screen.say(&match closing.reason {
            CloseReason::Stopped | CloseReason::Restarting => {
                format!("server is closing: {}", closing.reason)
            }
            reason if closing.text.is_empty() => format!("server ends the connection: {reason}"),
            reason => format!(
                "server ends the connection: {reason}: {}",
                harmless(&closing.text)
            ),
        });
    }

    /// There is no connection, for now.
    pub(crate) fn disconnected(&mut self, retry_in: Option<std::time::Duration>) {
        match (self.format, retry_in) {
            (Format::Json, _) => self.json(&json::disconnected(retry_in)),
            (Format::Text, Some(wait)) => {
                self.screen.say(&self.paint.aside(&format!(
                    "not connected; trying again in {:.1} s",
                    wait.as_secs_f64()
                )));
            }
            (Format::Text, None) => self.screen.say(&self.paint.aside("not connected")),
        }
    }

    /// A command has succeeded. In text most of them tell it by what happens in the room.
    pub(crate) fn done(&mut self, doing: &Doing, outcome: &Outcome) {
        match (self.format, outcome) {
            (Format::Json, _) => self.json(&json::done(doing.command, doing.line, outcome)),
            (Format::Text, Outcome::Named(named)) => {
                self.screen.say(&format!(
                    "you are now {}",
                    text::person(&named.nick, &named.label)
                ));
            }
            (Format::Text, _) => {}
        }
    }

    /// A command has failed, or nobody knows.
    pub(crate) fn failed(&mut self, doing: &Doing, error: &CommandError) {
        self.failures += 1;
        let reason = text::command_error(error);
        if self.format == Format::Json {
            return self.json(&json::failed(doing.command, doing.line, error, &reason));
        }
        let line = match &doing.text {
            Some(said) if *error == CommandError::Unknown => {
                format!("unknown whether sent: {reason}{}", quoted(said))
            }
            Some(said) => format!("not sent: {reason}{}", quoted(said)),
            None => format!("/{}: {reason}", doing.command),
        };
        self.screen.note(&line);
    }

    /// A line could not be understood, or nothing can be done with it.
    pub(crate) fn not_understood(&mut self, line: u64, why: &str) {
        self.failures += 1;
        match self.format {
            Format::Json => self.json(&json::not_understood(line, why)),
            Format::Text => self.screen.note(&harmless(why)),
        }
    }

    /// The groups of the server.
    pub(crate) fn rooms(&mut self, rooms: &[RoomInfo]) {
        match self.format {
            Format::Json => self.json(&json::rooms(rooms)),
            Format::Text => text::rooms(rooms)
                .iter()
                .for_each(|line| self.screen.say(line)),
        }
    }

    /// A room's members: those who are here in a line, or all of them.
    pub(crate) fn members(&mut self, view: &RoomView, members: &[MemberInfo], only_here: bool) {
        match self.format {
            Format::Json => self.json(&json::members(view, members)),
            Format::Text if only_here => self.screen.say(&text::online(members)),
            Format::Text => text::members(members)
                .iter()
                .for_each(|line| self.screen.say(line)),
        }
    }

    /// A message is on its way.
    pub(crate) fn pending(&mut self, doing: &Doing) {
        if self.format == Format::Json {
            self.json(&json::pending(doing.command, doing.line));
        }
    }

    /// Messages are not confirmed for longer than usual: there is no connection, or the server cannot take them.
    pub(crate) fn still_pending(&mut self, messages: usize, failure: Option<&Failure>) {
        match (self.format, failure) {
            (Format::Json, Some(failure)) => self.json(&json::delayed(failure)),
            (Format::Json, None) => {}
            (Format::Text, failure) => {
                let what = match messages {
                    0 => "what was asked".to_owned(),
                    1 => "1 message".to_owned(),
                    more => format!("{more} messages"),
                };
                let why = failure.map_or_else(String::new, |failure| {
                    format!(": {}", harmless(&failure.text))
                });
                let line = format!("pending: {what}{why}; tried again until it is done");
                self.screen.say(&self.paint.aside(&line));
            }
        }
    }

    /// Whether somebody who comes in is shown what was said last. A program asks for what it wants.
    pub(crate) fn shows_last_lines(&self) -> bool {
        self.format == Format::Text
    }

    /// What was said last, for somebody who has just come in.
    pub(crate) fn last_lines(
        &mut self,
        view: &RoomView,
        page: &HistoryPage,
        texts: &[Option<Text>],
    ) {
        for (index, record) in page.records.iter().enumerate() {
            if matches!(record.body, RecordBody::Message(_) | RecordBody::Action(_)) {
                self.past(view, record, texts.get(index).and_then(Option::as_ref));
            }
        }
    }

    /// One record of the past.
    fn past(&mut self, view: &RoomView, record: &Record, text: Option<&Text>) {
        let seen = Seen {
            record,
            text,
            view,
            mine: false,
            current: true,
        };
        if let Some(line) = text::record(seen, &self.zone, self.paint) {
            self.screen.say(&self.paint.aside(&line));
        }
    }

    /// What was said before.
    pub(crate) fn history(&mut self, view: &RoomView, page: &HistoryPage, texts: &[Option<Text>]) {
        if self.format == Format::Json {
            return self.json(&json::history(view, page, texts));
        }
        for (index, record) in page.records.iter().enumerate() {
            self.past(view, record, texts.get(index).and_then(Option::as_ref));
        }
        let more = match (page.records.first(), page.records.last()) {
            (Some(first), Some(last)) => format!(
                "so far what was said before: records {} to {} of {} to {}",
                first.seq, last.seq, page.oldest, page.newest
            ),
            _ => "nothing was said there".to_owned(),
        };
        self.screen.say(&self.paint.aside(&more));
    }

    /// The commands there are.
    pub(crate) fn help(&mut self) {
        let lines: Vec<String> = HELP
            .iter()
            .map(|(usage, what)| format!("{usage}: {what}"))
            .collect();
        match self.format {
            Format::Json => self.json(&json::notice(&lines.join("\n"))),
            Format::Text => lines.iter().for_each(|line| self.screen.say(line)),
        }
    }

    /// Anything else, in words. They are this program's own, or harmless.
    pub(crate) fn notice(&mut self, words: &str) {
        match self.format {
            Format::Json => self.json(&json::notice(words)),
            Format::Text => self.screen.say(words),
        }
    }

    fn json(&mut self, value: &Value) {
        self.screen.say(&json_line::to_string(value));
    }
}

/// The beginning of what was to be said, so that one can tell which it was.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let harmless = harmless(text);
    if harmless.chars().count() <= SHOWN {
        return format!(" (\"{harmless}\")");
    }
    format!(
        " (\"{}…\")",
        harmless.chars().take(SHOWN).collect::<String>()
    )
}
