//! Reports as lines for people.

use chat_core::{
    client::{CommandError, EnteredHow, Outcome, Text},
    time::Wall,
    wire::{
        record::{Record, RecordBody, RoomKind},
        server::{HistoryPage, RoomView},
    },
};
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};

use super::{
    records::{self, Paint, Seen},
    reporter::{CommandOrigin, Lines, Report, Reporter},
    times, words,
};
use crate::{
    commands,
    rooms::{RoomTitle, room_name},
    visible::{person, visible},
};

/// Tells everything in words, for people. Times are those of the system's zone; a line of another
/// day than the one before is preceded by its day.
#[derive(Debug)]
pub struct TextReporter {
    zone: TimeZone,
    /// The day of the last line that had a time.
    day: Date,
    paint: Paint,
}

impl TextReporter {
    /// With the colours of a terminal, or without.
    pub fn new(colours: bool) -> Self {
        Self {
            zone: TimeZone::system(),
            day: Zoned::now().date(),
            paint: Paint { colours },
        }
    }

    /// The client is in a room.
    fn entered(&self, view: &RoomView, how: EnteredHow, lines: &mut dyn Lines) {
        let name = room_name(&view.into());
        match how {
            EnteredHow::Resumed => {}
            EnteredHow::Afresh => {
                self.aside(
                    &format!("{name}: what was said meanwhile may be missing here"),
                    lines,
                );
            }
            EnteredHow::New if view.kind != RoomKind::Private => {
                self.aside(&format!("still a member of {name}"), lines);
            }
            _ => words::entered(view).iter().for_each(|line| lines.say(line)),
        }
    }

    /// A line that is nobody's words.
    fn aside(&self, line: &str, lines: &mut dyn Lines) {
        lines.say(&self.paint.aside(line));
    }

    /// A line with a time follows: if that is of another day, its day comes before it.
    fn turn_to(&mut self, time: Wall, lines: &mut dyn Lines) {
        if let Some(day) = times::day(time, &self.zone)
            && day != self.day
        {
            self.day = day;
            self.aside(&times::day_line(day), lines);
        }
    }

    /// A line about what happens now, and has no time of its own.
    fn aside_now(&mut self, line: &str, lines: &mut dyn Lines) {
        let now = Timestamp::now().as_millisecond();
        let now = Wall(now.try_into().unwrap_or_default());
        self.turn_to(now, lines);
        let time = times::time(now, &self.zone);
        self.aside(&format!("{time} {line}"), lines);
    }

    /// A record, as it comes.
    fn record(&mut self, seen: Seen<'_>, lines: &mut dyn Lines) {
        if let Some(line) = records::record(seen, &self.zone, self.paint) {
            self.turn_to(seen.record.time, lines);
            lines.say(&line);
        }
    }

    /// One record of the past.
    fn past(
        &mut self,
        room: &RoomTitle,
        record: &Record,
        text: Option<&Text>,
        lines: &mut dyn Lines,
    ) {
        let seen = Seen {
            record,
            text,
            room,
            mine: false,
            current: true,
        };
        if let Some(line) = records::record(seen, &self.zone, self.paint) {
            self.turn_to(record.time, lines);
            self.aside(&line, lines);
        }
    }

    /// A page of the past, as far as its records are `wanted`.
    fn page(
        &mut self,
        room: &RoomTitle,
        page: &HistoryPage,
        texts: &[Option<Text>],
        wanted: impl Fn(&RecordBody) -> bool,
        lines: &mut dyn Lines,
    ) {
        for (index, record) in page.records.iter().enumerate() {
            if wanted(&record.body) {
                let text = texts.get(index).and_then(Option::as_ref);
                self.past(room, record, text, lines);
            }
        }
    }

    fn failed(
        &self,
        origin: &CommandOrigin,
        error: &CommandError,
        reason: &str,
        lines: &mut dyn Lines,
    ) {
        lines.note(&words::failed(origin, error, reason));
    }

    /// Events of rooms.
    fn in_rooms(&mut self, report: &Report, lines: &mut dyn Lines) {
        match report {
            Report::Created(room) => lines.say(&format!("{} created", room_name(room))),
            Report::Entered { view, how } => self.entered(view, *how, lines),
            Report::Back { view, .. } => {
                let name = room_name(&view.into());
                let line = format!(
                    "joined {name} again: the server has been started anew, or had forgotten this client"
                );
                self.aside(&line, lines);
            }
            Report::Removed {
                room,
                reason,
                asked,
            } => lines.say(&words::removed(room, *reason, *asked)),
            Report::Silent(room) => {
                let name = room_name(room);
                let line =
                    format!("the server cannot read {name} at present: what is asked there waits");
                self.aside(&line, lines);
            }
            Report::Record {
                room,
                record,
                text,
                mine,
                current,
            } => {
                let seen = Seen {
                    record,
                    text: text.as_ref(),
                    room,
                    mine: *mine,
                    current: *current,
                };
                self.record(seen, lines);
            }
            Report::Presence {
                room,
                update,
                current,
                me,
            } if room.kind != RoomKind::Private => {
                for line in records::presence(update, *me) {
                    let line = if *current {
                        line
                    } else {
                        format!("[{}] {line}", room_name(room))
                    };
                    self.aside_now(&line, lines);
                }
            }
            // Their words tell it.
            _ => {}
        }
    }
}

impl Reporter for TextReporter {
    fn report(&mut self, report: &Report, lines: &mut dyn Lines) {
        match report {
            Report::Welcomed { again: true, .. } => self.aside("connected again", lines),
            Report::Welcomed { welcome, .. } => {
                let name = person(&welcome.nick, &welcome.label);
                lines.note(&format!("connected as {name}"));
            }
            Report::HelloRefused(failure) => lines.note(&words::refusal(failure)),
            Report::Closing(closing) => lines.say(&words::closing(closing)),
            Report::Disconnected { retry_in: None } => self.aside("not connected", lines),
            Report::Disconnected {
                retry_in: Some(wait),
            } => {
                let seconds = wait.as_secs_f64();
                let line = format!("not connected; trying again in {seconds:.1} s");
                self.aside(&line, lines);
            }
            Report::TextPending(text) => {
                self.aside(&format!("pending: {}", visible(text)), lines);
            }
            Report::StillPending { messages, failure } => {
                self.aside(&words::still_pending(*messages, failure.as_ref()), lines);
            }
            Report::Named(named)
            | Report::Done {
                outcome: Outcome::Named(named),
                ..
            } => {
                let name = person(&named.nick, &named.label);
                self.aside_now(&format!("you are now {name}"), lines);
            }
            Report::Failed { origin, error } => {
                self.failed(origin, error, &words::command_error(error), lines);
            }
            Report::Abandoned { origin, error } => {
                self.failed(origin, error, words::ENDED_FIRST, lines);
            }
            Report::TakenBackBefore(seq) => {
                self.aside(&format!("record {seq} was taken back before"), lines);
            }
            Report::NotUnderstood { why, .. } => lines.note(&visible(why)),
            Report::Rooms(groups) => words::rooms(groups).iter().for_each(|line| lines.say(line)),
            Report::Members {
                members,
                only_here: true,
                ..
            } => lines.say(&words::online(members)),
            Report::Members { members, .. } => {
                words::members(members)
                    .iter()
                    .for_each(|line| lines.say(line));
            }
            Report::LastLines { room, page, texts } => {
                let said = |body: &RecordBody| {
                    matches!(body, RecordBody::Message(_) | RecordBody::Action(_))
                };
                self.page(room, page, texts, said, lines);
            }
            Report::History { room, page, texts } => {
                self.page(room, page, texts, |_| true, lines);
                self.aside(&words::page(page), lines);
            }
            Report::WaitsBeforeEnd(messages) => {
                lines.note(&self.paint.aside(&words::waits_before_end(*messages)));
            }
            Report::RestNotSent(count) => lines.note(&words::rest_not_sent(*count)),
            Report::Hint => self.aside("/help lists the commands", lines),
            Report::Help => commands::help().iter().for_each(|line| lines.say(line)),
            Report::Notice(words) => lines.say(words),
            report => self.in_rooms(report, lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_core::{
        id::MemberId,
        wire::record::{Content, Message},
    };

    use super::*;
    use crate::rooms::tests::view;

    #[derive(Default)]
    struct Kept(Vec<String>);

    impl Lines for Kept {
        fn say(&mut self, line: &str) {
            self.0.push(line.to_owned());
        }

        fn note(&mut self, line: &str) {
            self.say(line);
        }
    }

    #[test]
    fn what_is_of_another_day_says_of_which() {
        let (mut reporter, mut shown) = (TextReporter::new(false), Kept::default());
        reporter.zone = TimeZone::UTC;
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
        let room = (&view(None)).into();
        reporter.report(&Report::LastLines { room, page, texts }, &mut shown);
        reporter.aside_now("Berl is here", &mut shown);
        let shown = shown.0;
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
