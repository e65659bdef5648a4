//! The operator's lines: gathered by a thread of their own, and written at most every 50 ms, at once after a quiet time. The server
//! never waits for it: what is not read in time is left out, and counted. Errors that repeat are one line and a count.

use std::{
    io::Write,
    mem,
    time::{SystemTime, UNIX_EPOCH},
};

use chat_core::{hub::Event, time::Wall, wire::ErrorCode};
use chat_log_disk::{DiskEvent, Events as DiskEvents};
use chat_runtime::ServerEvents;
use futures_util::{FutureExt, future::OptionFuture};
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep, sleep_until},
};

use super::{
    greeting::{self, Greeting},
    lines,
    repeats::{Kind, Repeated, Repeats},
    trace::{Trace, Traced},
};
use crate::{command_line::Format, exit::written, storage, visible::visible};

/// From one write to the next.
const PACE: Duration = Duration::from_millis(50);

/// Bytes of lines after which they are written, though there are more.
const WRITE_BYTES: usize = 256 << 10;

/// Notices that wait; there are a few in the life of a server.
const NOTICES: usize = 16;

/// Errors of one kind that have a line of their own within 10 s: those of the server itself, of which one says it all; and
/// those that are each somebody else's.
const OF_THE_SERVER: u32 = 1;
const OF_CLIENTS: u32 = 20;

/// What the program itself has to say to the operator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    /// It was told to end.
    Ending { restarting: bool },
}

/// Where notices are said.
#[derive(Clone, Debug)]
pub(super) struct Notices(mpsc::Sender<(Wall, Notice)>);

impl Notices {
    pub(super) fn new() -> (Self, mpsc::Receiver<(Wall, Notice)>) {
        let (sender, receiver) = mpsc::channel(NOTICES);
        (Self(sender), receiver)
    }

    /// Without waiting.
    pub(super) fn say(&self, notice: Notice) {
        // The operator's thread takes it, or has ended and so has nothing more to say.
        let _ = self.0.try_send((now(), notice));
    }
}

/// Where the operator's lines come from.
pub(super) struct Sources {
    pub(super) events: ServerEvents,
    pub(super) notices: mpsc::Receiver<(Wall, Notice)>,
    pub(super) disk: Option<DiskEvents>,
    pub(super) traced: mpsc::Receiver<Traced>,
    pub(super) trace: Trace,
}

enum Input {
    Event(Wall, Event),
    /// The server has ended, and nothing more comes.
    Ended,
    Notice(Wall, Notice),
    Disk(DiskEvent),
    Traced(Traced),
    /// A count is to be said.
    Due,
}

impl Sources {
    async fn next(&mut self, due: Option<Instant>) -> Input {
        let disk = async {
            match &mut self.disk {
                Some(disk) => disk.next().await,
                None => None,
            }
        };
        let due = OptionFuture::from(due.map(sleep_until));
        tokio::select! {
            biased;
            Some((at, notice)) = self.notices.recv() => Input::Notice(at, notice),
            Some(event) = disk => Input::Disk(event),
            Some(traced) = self.traced.recv() => Input::Traced(traced),
            Some(()) = due => Input::Due,
            event = self.events.next_timed() => match event {
                Some((at, event)) => Input::Event(at, event),
                None => Input::Ended,
            },
        }
    }
}

pub(super) struct Operator<Out, Err> {
    pub(super) format: Format,
    /// Only what is wrong is told, and the server's beginning and end.
    pub(super) quiet: bool,
    zone: TimeZone,
    out: Out,
    err: Err,
    /// To be written to `out`.
    lines: Vec<u8>,
    /// To be written to `err`.
    traced: Vec<u8>,
    /// Lines that could not be written were told of.
    unwritten: bool,
    repeats: Repeats,
    missed: u64,
}

impl<Out: Write, Err: Write> Operator<Out, Err> {
    /// Writes to `out`, and what the libraries say to `err`.
    pub(super) fn new(format: Format, quiet: bool, out: Out, err: Err) -> Self {
        Self {
            format,
            quiet,
            zone: TimeZone::system(),
            out,
            err,
            lines: Vec::new(),
            traced: Vec::new(),
            unwritten: false,
            repeats: Repeats::default(),
            missed: 0,
        }
    }

    /// Runs until the server has ended. A reader that goes away does not end the server, and one that does not read holds up
    /// nothing but this.
    pub(super) async fn run(mut self, greeting: Greeting, mut sources: Sources) {
        self.greet(&greeting);
        self.write();
        let mut running = true;
        while running {
            let first = sources.next(self.repeats.due()).await;
            running = self.take(first, &sources);
            while running && self.lines.len() < WRITE_BYTES {
                let due = self.repeats.due();
                let Some(next) = sources.next(due).now_or_never() else {
                    break;
                };
                running = self.take(next, &sources);
            }
            if !running {
                break;
            }
            self.write();
            // Nothing is listened to meanwhile, and so nothing wakes this thread.
            sleep(PACE).await;
        }
        for repeated in self.repeats.take_all() {
            self.repeated(repeated);
        }
        self.write();
    }

    /// Makes lines of something; says whether there may be more.
    fn take(&mut self, input: Input, sources: &Sources) -> bool {
        self.left_out(sources.events.missed() + sources.trace.missed());
        match input {
            Input::Ended => return false,
            Input::Event(at, event) => self.event(at, &event),
            Input::Notice(at, notice) => self.notice(at, notice),
            Input::Disk(event) => self.disk(&event),
            Input::Traced(traced) => self.traced(traced),
            Input::Due => {
                for repeated in self.repeats.take_due(Instant::now()) {
                    self.repeated(repeated);
                }
            }
        }
        true
    }

    fn write(&mut self) {
        if !self.lines.is_empty() {
            let wrote = self.out.write_all(&self.lines);
            let failure = written(wrote.and_then(|()| self.out.flush())).err();
            self.lines.clear();
            let told = mem::replace(&mut self.unwritten, failure.is_some());
            if let Some(failure) = failure.filter(|_| !told) {
                let line = format!("chat-cli: warning: {failure}; these lines are lost\n");
                self.traced.extend(line.as_bytes());
            }
        }
        if !self.traced.is_empty() {
            let _ = self.err.write_all(&self.traced);
            self.traced.clear();
        }
    }

    fn greet(&mut self, greeting: &Greeting) {
        match self.format {
            Format::Text => {
                for line in greeting.text(greeting::terminal()) {
                    self.push(&line);
                }
            }
            Format::Json => {
                for fields in greeting.json() {
                    self.push(&lines::json_of(fields, now()));
                }
            }
        }
    }

    fn event(&mut self, at: Wall, event: &Event) {
        if self.quiet && !matches!(event, Event::LogTrouble { .. } | Event::Closed) {
            return;
        }
        if let Some(kind) = kind(event)
            && !self.admits(kind, &lines::text(event), at)
        {
            return;
        }
        let line = match self.format {
            Format::Text => lines::stamped(&lines::text(event), at, &self.zone),
            Format::Json => lines::json(event, at),
        };
        self.push(&line);
    }

    fn notice(&mut self, at: Wall, notice: Notice) {
        let Notice::Ending { restarting } = notice;
        let reason = if restarting { "restarting" } else { "stopped" };
        self.say(at, &format!("ending: {reason}"), || {
            vec![("event", "ending".into()), ("reason", reason.into())]
        });
    }

    fn disk(&mut self, event: &DiskEvent) {
        let Some((words, trouble)) = storage::words(event) else {
            return;
        };
        let (error, name) = if trouble {
            ("error: ", "log trouble")
        } else {
            ("", "log")
        };
        let (at, text) = (now(), format!("{error}the log: {}", visible(&words)));
        if self.admits(kind_of_disk(event), &text, at) {
            self.say(at, &text, || {
                vec![("event", name.into()), ("detail", words.as_str().into())]
            });
        }
    }

    fn traced(&mut self, Traced { origin, line }: Traced) {
        let kind = Kind {
            name: origin.to_owned(),
            allowance: OF_THE_SERVER,
        };
        if self.admits(kind, line.trim_end(), now()) {
            self.traced.extend(line.as_bytes());
        }
    }

    fn repeated(&mut self, repeated: Repeated) {
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
        self.say(now(), &text, || {
            vec![
                ("event", "repeated".into()),
                ("times", times.into()),
                ("over", over.into()),
                ("last", format!("{:.3}", lines::timestamp(last)).into()),
                ("like", like.as_str().into()),
            ]
        });
    }

    fn left_out(&mut self, missed: u64) {
        let count = missed - mem::replace(&mut self.missed, missed);
        if count > 0 {
            let text = format!("{count} lines left out, because they were not read in time");
            self.say(now(), &text, || {
                vec![("event", "left out".into()), ("lines", count.into())]
            });
        }
    }

    fn admits(&mut self, kind: Kind, like: &str, at: Wall) -> bool {
        self.repeats.admits(kind, like, at, Instant::now())
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

/// The system's clock.
fn now() -> Wall {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    Wall::default() + since_1970.unwrap_or_default()
}

/// What kind of error an event is, if it is one.
fn kind(event: &Event) -> Option<Kind> {
    let (name, allowance) = match event {
        Event::Refused { code, .. } => {
            let own = matches!(code, ErrorCode::Unavailable | ErrorCode::Busy);
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

fn kind_of_disk(event: &DiskEvent) -> Kind {
    let (name, allowance) = match event {
        DiskEvent::CannotWrite { .. } => ("cannot write", OF_THE_SERVER),
        DiskEvent::Recovered => ("recovered", OF_THE_SERVER),
        DiskEvent::CheckpointFailed { .. } => ("checkpoint", OF_THE_SERVER),
        DiskEvent::Damaged(_) => ("damaged", OF_CLIENTS),
        DiskEvent::CannotRead { .. } => ("cannot read", OF_CLIENTS),
        DiskEvent::AppendFailed { .. } => ("append failed", OF_CLIENTS),
        _ => ("of the log", OF_CLIENTS),
    };
    Kind {
        name: format!("disk: {name}"),
        allowance,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use chat_core::{
        limits::{Limits, Rate},
        wire::client::RoomRef,
    };
    use chat_runtime::{Client, Command, RoomId, Server, client_config, memory};

    use super::*;

    /// What was written, and when.
    #[derive(Clone, Debug, Default)]
    struct Written(Arc<Mutex<Vec<(Instant, String)>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            self.0.lock().unwrap().push((Instant::now(), text));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn lines(&self) -> Vec<String> {
            let written = self.0.lock().unwrap();
            let lines = written.iter().flat_map(|(_, text)| text.lines());
            lines.map(str::to_owned).collect()
        }
    }

    fn operator(format: Format, quiet: bool) -> (Operator<Written, Written>, Written) {
        let out = Written::default();
        let operator = Operator::new(format, quiet, out.clone(), Written::default());
        (operator, out)
    }

    fn sources(server: &Server) -> (Sources, Notices) {
        let (trace, (notices, received)) = (Trace::default(), Notices::new());
        let sources = Sources {
            events: server.events(),
            notices: received,
            disk: None,
            traced: trace.to_operator(),
            trace,
        };
        (sources, notices)
    }

    fn refused(nick: usize, code: ErrorCode) -> Event {
        Event::Refused {
            nick: nick.to_string(),
            kind: "message".to_owned(),
            code,
            text: "the server cannot write at present".to_owned(),
        }
    }

    /// 10,000 messages, one a millisecond, and all their lines in no more than one write in 50 ms.
    async fn lines_are_gathered(format: Format) {
        let (transport, connector) = memory::listener();
        let fast = Rate {
            burst: 1_000_000,
            per_second: 1_000_000,
        };
        let mut limits = Limits::default();
        (limits.send_rate, limits.request_rate) = (fast, fast);
        let server = Server::builder().limits(limits).listen(transport);
        let server = server.start().unwrap();
        let (operator, out) = operator(format, false);
        let (sources, _notices) = sources(&server);
        let lines = tokio::spawn(operator.run(Greeting::default(), sources));
        let (client, events) = Client::connect(connector, client_config("Ada").unwrap());
        drop(events);
        client.join(RoomRef::Lobby).await.unwrap();
        for n in 0..10_000 {
            sleep(Duration::from_millis(1)).await;
            drop(client.command(Command::Send {
                room: RoomId::LOBBY,
                action: false,
                text: format!("word {n}."),
            }));
        }
        client.close().await;
        server.stop().await;
        lines.await.unwrap();
        let said = out.lines();
        let words = said.iter().filter(|line| line.contains("word ")).count();
        assert_eq!(words, 10_000);
        assert!(said.last().unwrap().contains("ended"));
        let written = out.0.lock().unwrap();
        for pair in written.windows(2) {
            // The greeting is written before anything has happened.
            let first = pair[0].1.contains("stops the server");
            assert!(first || pair[1].0 - pair[0].0 >= PACE, "{pair:?}");
        }
        assert!(written.len() <= 10_000 / 50 + 20, "{}", written.len());
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_gathered_for_people() {
        lines_are_gathered(Format::Text).await;
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_gathered_for_programs() {
        lines_are_gathered(Format::Json).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_one_line_and_a_count() {
        for (format, line, count) in [
            (
                Format::Text,
                "refused: message by 0: unavailable: the server cannot write at present",
                "repeated 3199 times, the last at ",
            ),
            (Format::Json, "\"nick\":\"0\"", "\"times\":3199"),
        ] {
            let (mut operator, out) = operator(format, false);
            for nick in 0..3_200 {
                operator.event(Wall(nick as u64), &refused(nick, ErrorCode::Unavailable));
            }
            assert!(operator.repeats.due().is_some());
            tokio::time::advance(Duration::from_secs(10)).await;
            let due = operator.repeats.take_due(Instant::now());
            for repeated in due {
                operator.repeated(repeated);
            }
            operator.write();
            let lines = out.lines();
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(
                lines[0].contains(line) && lines[1].contains(count),
                "{lines:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_many_did_wrong_is_told_of_each_up_to_a_number() {
        let (mut operator, out) = operator(Format::Text, false);
        for nick in 0..100 {
            operator.event(Wall(0), &refused(nick, ErrorCode::Banned));
            operator.event(Wall(0), &refused(nick, ErrorCode::Muted));
        }
        operator.write();
        assert_eq!(out.lines().len(), 2 * OF_CLIENTS as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_quiet_says_what_is_wrong() {
        let (mut operator, out) = operator(Format::Text, true);
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
            operator.event(Wall(0), &event);
        }
        operator.notice(Wall(0), Notice::Ending { restarting: false });
        operator.write();
        let what: Vec<String> = out
            .lines()
            .iter()
            .map(|line| line[20..].to_owned())
            .collect();
        assert_eq!(
            what,
            ["error: the log: it is damaged", "ended", "ending: stopped"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_libraries_say_is_gathered_too() {
        let err = Written::default();
        let mut operator = Operator::new(Format::Text, false, Written::default(), err.clone());
        for n in 0..1_000 {
            operator.traced(Traced {
                origin: "here",
                line: format!("chat-cli: warning: {n}\n"),
            });
        }
        operator.write();
        assert_eq!(err.lines(), ["chat-cli: warning: 0"]);
    }
}
