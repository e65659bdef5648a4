//! The machine that makes the operator's lines: events in, lines out.

use std::{mem, time::Instant};

use chat_core::{hub::Event, log::Storage, time::Wall, wire::ErrorCode};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{
    greeting::Greeting,
    lines,
    repeats::{Kind, Repeated, Repeats},
};
use crate::{format::Format, visible::visible};

/// Errors of one kind that have a line of their own within 10 s: those of the server itself, of
/// which one says it all; and those that are each somebody else's.
const OF_THE_SERVER: u32 = 1;
const OF_CLIENTS: u32 = 20;

/// A word of the program itself to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The program was told to end.
    Ending {
        /// Whether it is to be started again.
        restarting: bool,
    },
}

/// A kind of errors, of which many are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The server's own: one line within 10 s says it all.
    OfTheServer(&'static str),
    /// Each somebody else's: up to 20 lines within 10 s.
    OfClients(&'static str),
}

/// The operator's lines.
#[derive(Debug)]
pub struct Operator {
    format: Format,
    /// Only what is wrong is told, and the server's beginning and end.
    quiet: bool,
    /// The words that are said are told, and not only that they are.
    texts: bool,
    zone: TimeZone,
    lines: Vec<u8>,
    repeats: Repeats,
    missed: u64,
    /// As it was told last; each worker of a server says it.
    storage: Storage,
}

impl Operator {
    /// Lines for people or for programs. `quiet`: only faults, and the server's beginning and end.
    pub fn new(format: Format, quiet: bool) -> Self {
        Self {
            format,
            quiet,
            texts: true,
            zone: TimeZone::system(),
            lines: Vec::new(),
            repeats: Repeats::default(),
            missed: 0,
            storage: Storage::Free,
        }
    }

    /// Whether the words that are said are told, as they are unless this says otherwise: lines that
    /// are kept keep what was taken back.
    #[must_use]
    pub fn texts(mut self, told: bool) -> Self {
        self.texts = told;
        self
    }

    /// Bytes of lines that wait to be written.
    pub fn waiting(&self) -> usize {
        self.lines.len()
    }

    /// The lines that wait to be written, each with its line break.
    pub fn take_lines(&mut self) -> Vec<u8> {
        mem::take(&mut self.lines)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.repeats.due()
    }

    /// Says how often errors were repeated, as far as that is due.
    pub fn handle_timeout(&mut self, at: Wall, now: Instant) {
        for repeated in self.repeats.take_due(now) {
            self.repeated(at, repeated);
        }
    }

    /// The end: says how often errors were repeated.
    pub fn finish(&mut self, at: Wall) {
        for repeated in self.repeats.take_all() {
            self.repeated(at, repeated);
        }
    }

    /// The first lines. `terminal`: the columns of the terminal that shows them, if one does.
    pub fn greet(&mut self, greeting: &Greeting, terminal: Option<usize>, at: Wall) {
        let lines = match self.format {
            Format::Text => greeting.text(terminal),
            Format::Json => greeting.json(at),
        };
        lines.iter().for_each(|line| self.push(line));
    }

    /// An event of the server.
    pub fn event(&mut self, at: Wall, event: &Event, now: Instant) {
        let is_fault = matches!(
            event,
            Event::LogTrouble { .. } | Event::Storage(_) | Event::Closed
        );
        if self.quiet && !is_fault {
            return;
        }
        if let Event::Storage(storage) = event
            && mem::replace(&mut self.storage, *storage) == *storage
        {
            return;
        }
        if let Some(kind) = kind(event)
            && !self.repeats.admits(kind, &lines::text(event), at, now)
        {
            return;
        }
        let wordless = (!self.texts).then(|| lines::wordless(event)).flatten();
        let event = wordless.as_ref().unwrap_or(event);
        let line = match self.format {
            Format::Text => lines::stamped(&lines::text(event), at, &self.zone),
            Format::Json => lines::json(event, at),
        };
        self.push(&line);
    }

    /// Something that the program itself has to say.
    pub fn notice(&mut self, at: Wall, notice: Notice) {
        let Notice::Ending { restarting } = notice;
        let reason = if restarting { "restarting" } else { "stopped" };
        self.say(at, &format!("ending: {reason}"), || {
            vec![("event", "ending".into()), ("reason", reason.into())]
        });
    }

    /// Words of the log; `trouble`: whether something is wrong with it.
    pub fn log(&mut self, at: Wall, words: &str, trouble: bool, kind: ErrorKind, now: Instant) {
        let (error, name) = if trouble {
            ("error: ", "log trouble")
        } else {
            ("", "log")
        };
        let text = format!("{error}the log: {}", visible(words));
        if self.repeats.admits(kind.into(), &text, at, now) {
            self.say(at, &text, || {
                vec![("event", name.into()), ("detail", words.into())]
            });
        }
    }

    /// Whether a line of a library, which comes from there in the code, is to be written. Otherwise
    /// it is counted.
    pub fn admits(&mut self, at: Wall, origin: &'static str, line: &str, now: Instant) -> bool {
        let kind = ErrorKind::OfTheServer(origin);
        self.repeats.admits(kind.into(), line.trim_end(), at, now)
    }

    /// So many events were left out since the beginning.
    pub fn left_out(&mut self, at: Wall, missed: u64) {
        let count = missed - mem::replace(&mut self.missed, missed);
        if count > 0 {
            let text = format!("{count} lines left out, because they were not read in time");
            self.say(at, &text, || {
                vec![("event", "left out".into()), ("lines", count.into())]
            });
        }
    }

    fn repeated(&mut self, at: Wall, repeated: Repeated) {
        let Repeated {
            like,
            times,
            last,
            over,
        } = repeated;
        let until = if over {
            let last = lines::timestamp(last).to_zoned(self.zone.clone());
            format!("the last at {}", last.strftime("%T"))
        } else {
            "and still".to_owned()
        };
        let text = format!("repeated {times} times, {until}: {like}");
        self.say(at, &text, || {
            vec![
                ("event", "repeated".into()),
                ("times", times.into()),
                ("over", over.into()),
                ("last", format!("{:.3}", lines::timestamp(last)).into()),
                ("like", like.as_str().into()),
            ]
        });
    }

    fn say(&mut self, at: Wall, text: &str, fields: impl FnOnce() -> Vec<(&'static str, Value)>) {
        let line = match self.format {
            Format::Text => lines::stamped(text, at, &self.zone),
            Format::Json => lines::json_of(fields(), at),
        };
        self.push(&line);
    }

    fn push(&mut self, line: &str) {
        self.lines.extend(line.as_bytes());
        self.lines.push(b'\n');
    }
}

impl From<ErrorKind> for Kind {
    fn from(kind: ErrorKind) -> Self {
        let (name, allowance) = match kind {
            ErrorKind::OfTheServer(name) => (name, OF_THE_SERVER),
            ErrorKind::OfClients(name) => (name, OF_CLIENTS),
        };
        Self {
            name: name.to_owned(),
            allowance,
        }
    }
}

/// The kind of error that an event is, if it is one.
fn kind(event: &Event) -> Option<Kind> {
    let (name, allowance) = match event {
        Event::Refused { code, .. } => {
            let own = matches!(
                code,
                ErrorCode::Unavailable | ErrorCode::Busy | ErrorCode::StorageFull
            );
            let allowance = if own { OF_THE_SERVER } else { OF_CLIENTS };
            (format!("refused: {code}"), allowance)
        }
        Event::Closing { reason, .. } => (format!("closing: {reason}"), OF_CLIENTS),
        Event::WrongPassword { .. } => ("wrong password".to_owned(), OF_CLIENTS),
        Event::LogTrouble { .. } => ("log trouble".to_owned(), OF_CLIENTS),
        _ => return None,
    };
    Some(Kind { name, allowance })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(operator: &mut Operator) -> Vec<String> {
        let text = String::from_utf8(operator.take_lines()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn refused(nick: usize, code: ErrorCode) -> Event {
        Event::Refused {
            nick: nick.to_string(),
            kind: "message".to_owned(),
            code,
            text: "the server cannot write at present".to_owned(),
        }
    }

    #[test]
    fn a_full_disk_is_one_line_and_a_count() {
        for (format, line, count) in [
            (
                Format::Text,
                "refused: message by 0: unavailable: the server cannot write at present",
                "repeated 3199 times, the last at ",
            ),
            (Format::Json, "\"nick\":\"0\"", "\"times\":3199"),
        ] {
            let (mut operator, now) = (Operator::new(format, false), Instant::now());
            for nick in 0..3_200 {
                let event = refused(nick, ErrorCode::Unavailable);
                operator.event(Wall(nick as u64), &event, now);
            }
            let due = now + Duration::from_secs(10);
            assert_eq!(operator.poll_timeout(), Some(due));
            operator.handle_timeout(Wall(0), due);
            let lines = written(&mut operator);
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(
                lines[0].contains(line) && lines[1].contains(count),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn what_many_did_wrong_is_told_of_each_up_to_a_number() {
        let (mut operator, now) = (Operator::new(Format::Text, false), Instant::now());
        for nick in 0..100 {
            operator.event(Wall(0), &refused(nick, ErrorCode::Banned), now);
            operator.event(Wall(0), &refused(nick, ErrorCode::Muted), now);
        }
        assert_eq!(written(&mut operator).len(), 2 * OF_CLIENTS as usize);
    }

    #[test]
    fn one_that_is_quiet_says_what_is_wrong() {
        let (mut operator, now) = (Operator::new(Format::Text, true), Instant::now());
        let detail = "it is damaged".to_owned();
        for event in [
            refused(1, ErrorCode::Banned),
            Event::Gone {
                member: chat_core::id::MemberId([0; 16]),
                nick: String::new(),
            },
            Event::LogTrouble { detail },
            Event::Closed,
        ] {
            operator.event(Wall(0), &event, now);
        }
        operator.notice(Wall(0), Notice::Ending { restarting: false });
        let lines = written(&mut operator);
        let what: Vec<&str> = lines.iter().map(|line| &line[20..]).collect();
        assert_eq!(
            what,
            ["error: the log: it is damaged", "ended", "ending: stopped"]
        );
    }

    #[test]
    fn each_turn_of_the_storage_is_one_line_whichever_worker_says_it() {
        for (format, words) in [
            (
                Format::Text,
                [
                    "error: the log is full: what is new in rooms is refused until there is room",
                    "error: the log is full, its reserve too: newcomers are refused as well",
                    "the log has room again",
                ],
            ),
            (
                Format::Json,
                [
                    "\"event\":\"storage\",\"storage\":\"full\"",
                    "\"event\":\"storage\",\"storage\":\"exhausted\"",
                    "\"event\":\"storage\",\"storage\":\"free\"",
                ],
            ),
        ] {
            // One that is quiet says it as well.
            let (mut operator, now) = (Operator::new(format, true), Instant::now());
            for storage in [Storage::Full, Storage::Exhausted, Storage::Free] {
                for _worker in 0..3 {
                    operator.event(Wall(0), &Event::Storage(storage), now);
                }
            }
            let lines = written(&mut operator);
            assert_eq!(lines.len(), 3, "{lines:?}");
            for (line, words) in lines.iter().zip(words) {
                assert!(line.contains(words), "{line}");
            }
        }
    }

    #[test]
    fn what_was_left_out_is_counted_once() {
        let mut operator = Operator::new(Format::Json, false);
        operator.left_out(Wall(0), 3);
        operator.left_out(Wall(0), 3);
        operator.left_out(Wall(0), 4);
        let lines = written(&mut operator);
        assert!(lines[0].contains("\"lines\":3") && lines[1].contains("\"lines\":1"));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_library_that_repeats_itself_is_counted() {
        let (mut operator, now) = (Operator::new(Format::Text, false), Instant::now());
        let admitted = (0..1_000).filter(|_| operator.admits(Wall(0), "here", "warning\n", now));
        assert_eq!(admitted.count(), 1);
        operator.finish(Wall(0));
        assert!(written(&mut operator)[0].ends_with(": warning"));
    }
}
