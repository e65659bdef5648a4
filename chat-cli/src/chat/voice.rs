//! Tells what happens, as text for people or as JSON for programs.

use std::io;

use chat_core::{
    client::{CommandError, EnteredHow, Invitation, Outcome, Text},
    id::{MemberId, Seq},
    time::Wall,
    wire::{
        CloseReason,
        record::{Record, RecordBody, RoomKind},
        server::{
            Closing, Failure, HistoryPage, MemberInfo, PresenceUpdate, RemovedReason, RoomInfo,
            RoomView, Welcome,
        },
    },
};
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};
use serde_json::Value;

use super::{
    json,
    rooms::room_name,
    screen::Screen,
    slash::HELP,
    text::{self, Paint, Seen},
};
use crate::{
    command_line::Format,
    json_line,
    visible::{person, visible},
};

/// Where and how things are told.
#[derive(Debug)]
pub(crate) struct Voice {
    screen: Screen,
    format: Format,
    zone: TimeZone,
    /// The day of the last line that had a time.
    day: Date,
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
    /// The line that said so is off the screen.
    pub(crate) taken_back: bool,
}

impl Doing {
    /// A command that sends no text.
    pub(crate) fn of(line: u64, command: &'static str) -> Self {
        Self {
            line,
            command,
            text: None,
            taken_back: false,
        }
    }
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
            day: Zoned::now().date(),
            paint,
            failures: 0,
        }
    }

    /// Whether nothing is shown any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.screen.is_broken()
    }

    /// Why standard output cannot be written, if its reader has not just gone.
    pub(crate) fn output_error(&self) -> Option<&io::Error> {
        self.screen.error()
    }

    /// How many lines of input came to nothing, or nobody knows.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    /// Waits until all that was typed is read, where somebody types. Not to be called unless lines
    /// are asked for.
    pub(crate) fn idle(&self) -> impl Future<Output = ()> + use<> {
        self.screen.idle()
    }

    /// Waits until everything is shown.
    pub(crate) async fn flush(&mut self) {
        self.screen.flush().await;
    }

    /// The client is in, for the first time or again.
    pub(crate) fn welcomed(&mut self, welcome: &Welcome, again: bool) {
        match self.format {
            Format::Json => self.json(&json::welcome(welcome, again)),
            Format::Text if again => self.screen.say(&self.paint.aside("connected again")),
            Format::Text => {
                self.screen.note(&format!(
                    "connected as {}",
                    person(&welcome.nick, &welcome.label)
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

    /// Somebody was invited to a private conversation, or has answered. In text what is said tells it.
    pub(crate) fn invitation(&mut self, view: &RoomView, mine: bool, what: Invitation) {
        if self.format == Format::Json {
            self.json(&json::invitation(view, mine, what));
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
            RemovedReason::Closed => format!("{name} was closed"),
            _ => format!("{name} is no longer there"),
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
                    self.turn_to(seen.record.time);
                    self.screen.say(&line);
                }
            }
        }
    }

    /// A line with a time follows: if that is of another day, its day comes before it.
    fn turn_to(&mut self, time: Wall) {
        if let Some(day) = text::day(time, &self.zone)
            && day != self.day
        {
            self.day = day;
            self.screen.say(&self.paint.aside(&text::day_line(day)));
        }
    }

    /// A line about what happens now, and has no time of its own.
    fn aside_now(&mut self, line: &str) {
        let now = Timestamp::now().as_millisecond();
        let now = Wall(now.try_into().unwrap_or_default());
        self.turn_to(now);
        let time = text::time(now, &self.zone);
        self.screen
            .say(&self.paint.aside(&format!("{time} {line}")));
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
            self.aside_now(&line);
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
                visible(&closing.text)
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
                self.aside_now(&format!(
                    "you are now {}",
                    person(&named.nick, &named.label)
                ));
            }
            (Format::Text, _) => {}
        }
    }

    /// A command has failed, or nobody knows.
    pub(crate) fn failed(&mut self, doing: &Doing, error: &CommandError) {
        self.failed_because(doing, error, text::command_error(error));
    }

    /// The program ends before a command has.
    pub(crate) fn abandoned(&mut self, doing: &Doing, error: &CommandError) {
        let reason = "the program was ended first".to_owned();
        self.failed_because(doing, error, reason);
    }

    /// The record was taken back before, and no record tells it a second time.
    pub(crate) fn taken_back_before(&mut self, seq: Seq) {
        if self.format == Format::Text {
            let line = format!("record {seq} was taken back before");
            self.screen.say(&self.paint.aside(&line));
        }
    }

    fn failed_because(&mut self, doing: &Doing, error: &CommandError, reason: String) {
        self.failures += 1;
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
            Format::Text => self.screen.note(&visible(why)),
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

    /// Words that are not confirmed yet, and are nowhere on the screen.
    pub(crate) fn words_pending(&mut self, text: &str) {
        if self.format == Format::Text {
            let line = format!("pending: {}", visible(text));
            self.screen.say(&self.paint.aside(&line));
        }
    }

    /// A wish to end came while messages are not confirmed.
    pub(crate) fn waits_before_end(&mut self, messages: usize) {
        let what = match messages {
            1 => "1 message is".to_owned(),
            more => format!("{more} messages are"),
        };
        self.aside(&format!(
            "{what} not confirmed yet; Ctrl-C once more ends at once"
        ));
    }

    /// Lines of a file or a pipe were not sent.
    pub(crate) fn rest_not_sent(&mut self, lines: u64) {
        self.failures += lines;
        let lines = match lines {
            1 => "1 line".to_owned(),
            more => format!("{more} lines"),
        };
        self.screen.note(&format!("{lines} not sent"));
    }

    /// For a person who has just come in.
    pub(crate) fn hint(&mut self) {
        if self.format == Format::Text {
            self.screen
                .say(&self.paint.aside("/help lists the commands"));
        }
    }

    /// What is no part of the conversation, in words.
    fn aside(&mut self, words: &str) {
        match self.format {
            Format::Json => self.json(&json::notice(words)),
            Format::Text => self.screen.note(&self.paint.aside(words)),
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
                    format!(": {}", visible(&failure.text))
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
            self.turn_to(record.time);
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

    /// Anything else, in words. They are this program's own, or made visible.
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
    let visible = visible(text);
    if visible.chars().count() <= SHOWN {
        return format!(" (\"{visible}\")");
    }
    format!(
        " (\"{}…\")",
        visible.chars().take(SHOWN).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use chat_core::wire::record::{Content, Message};

    use super::{super::rooms::tests::view, *};

    #[test]
    fn what_is_of_another_day_says_of_which() {
        let (screen, shown) = Screen::kept();
        let mut voice = Voice::new(screen, Format::Text);
        voice.zone = TimeZone::UTC;
        let record = |seq, ms| {
            let body = RecordBody::Message(Message {
                content: Content::plain(""),
            });
            Record {
                member: MemberId([1; 16]),
                nick: "Ada".into(),
                txn: seq,
                ..Record::by_server(seq, Wall(ms), body)
            }
        };
        const HOUR: u64 = 3_600_000;
        let page = HistoryPage {
            records: vec![record(1, 0), record(2, HOUR), record(3, 25 * HOUR)],
            oldest: 1,
            newest: 3,
            epoch: 1,
        };
        let texts = vec![Some(Ok("hello".to_owned())); 3];
        voice.last_lines(&view(None), &page, &texts);
        voice.aside_now("Berl is here");
        let shown = shown.lock().unwrap();
        assert_eq!(
            shown[..5],
            [
                "-- Thursday, 1970-01-01 --",
                "00:00 Ada: hello",
                "01:00 Ada: hello",
                "-- Friday, 1970-01-02 --",
                "01:00 Ada: hello",
            ]
        );
        // Whatever today is.
        assert!(shown[5].starts_with("-- ") && shown[6].ends_with("Berl is here"));
        assert_eq!(shown.len(), 7);
    }
}
