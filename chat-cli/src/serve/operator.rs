//! Runs the operator: reads what happens, on a thread of its own, and writes its lines at most
//! every 50 ms, at once after a quiet time. The server never waits for it: what is not read in time
//! is left out, and counted.

use std::{
    io::Write,
    mem,
    time::{SystemTime, UNIX_EPOCH},
};

use chat_core::{hub::Event, time::Wall};
use chat_log_disk::{DiskEvent, Events as DiskEvents};
use chat_runtime::ServerEvents;
use chat_terminal::operator::{ErrorKind, Greeting, Notice, Operator};
use futures_util::{FutureExt, future::OptionFuture};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep, sleep_until},
};

use super::{
    greeting,
    trace::{Trace, Traced},
};
use crate::{exit::written, storage};

/// From one write to the next.
const PACE: Duration = Duration::from_millis(50);

/// Bytes of lines after which they are written, though there are more.
const WRITE_BYTES: usize = 256 << 10;

/// Notices that wait; there are a few in the life of a server.
const NOTICES: usize = 16;

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
    async fn next(&mut self, due: Option<std::time::Instant>) -> Input {
        let disk = async {
            match &mut self.disk {
                Some(disk) => disk.next().await,
                None => None,
            }
        };
        let due = OptionFuture::from(due.map(|due| sleep_until(due.into())));
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

/// Writes the operator's lines to `out`, and what the libraries say to `err`.
pub(super) struct Console<Out, Err> {
    operator: Operator,
    out: Out,
    err: Err,
    /// To be written to `err`.
    traced: Vec<u8>,
    /// Lines that could not be written were told of.
    unwritten: bool,
}

impl<Out: Write, Err: Write> Console<Out, Err> {
    pub(super) fn new(operator: Operator, out: Out, err: Err) -> Self {
        Self {
            operator,
            out,
            err,
            traced: Vec::new(),
            unwritten: false,
        }
    }

    /// Runs until the server has ended. A reader that goes away does not end the server, and one
    /// that does not read holds up nothing but this.
    pub(super) async fn run(mut self, greeting: Greeting, mut sources: Sources) {
        let terminal = greeting::terminal();
        self.operator.greet(&greeting, terminal, now());
        self.write();
        let mut running = true;
        while running {
            let first = sources.next(self.operator.poll_timeout()).await;
            running = self.take(first, &sources);
            while running && self.operator.waiting() < WRITE_BYTES {
                let due = self.operator.poll_timeout();
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
        self.operator.finish(now());
        self.write();
    }

    /// Makes lines of something; says whether there may be more.
    fn take(&mut self, input: Input, sources: &Sources) -> bool {
        let (at, instant) = (now(), Instant::now().into_std());
        let missed = sources.events.missed() + sources.trace.missed();
        self.operator.left_out(at, missed);
        match input {
            Input::Ended => return false,
            Input::Event(at, event) => self.operator.event(at, &event, instant),
            Input::Notice(at, notice) => self.operator.notice(at, notice),
            Input::Disk(event) => {
                if let Some((words, trouble)) = storage::words(&event) {
                    let kind = kind_of_disk(&event);
                    self.operator.log(at, &words, trouble, kind, instant);
                }
            }
            Input::Traced(Traced { origin, line }) => {
                if self.operator.admits(at, origin, &line, instant) {
                    self.traced.extend(line.as_bytes());
                }
            }
            Input::Due => self.operator.handle_timeout(at, instant),
        }
        true
    }

    fn write(&mut self) {
        let lines = self.operator.take_lines();
        if !lines.is_empty() {
            let wrote = self.out.write_all(&lines);
            let failure = written(wrote.and_then(|()| self.out.flush())).err();
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
}

/// The system's clock.
fn now() -> Wall {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    Wall::default() + since_1970.unwrap_or_default()
}

fn kind_of_disk(event: &DiskEvent) -> ErrorKind {
    match event {
        DiskEvent::CannotWrite { .. } => ErrorKind::OfTheServer("disk: cannot write"),
        DiskEvent::Recovered => ErrorKind::OfTheServer("disk: recovered"),
        DiskEvent::CheckpointFailed { .. } => ErrorKind::OfTheServer("disk: checkpoint"),
        DiskEvent::Damaged(_) => ErrorKind::OfClients("disk: damaged"),
        DiskEvent::CannotRead { .. } => ErrorKind::OfClients("disk: cannot read"),
        DiskEvent::AppendFailed { .. } => ErrorKind::OfClients("disk: append failed"),
        _ => ErrorKind::OfClients("disk: of the log"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use chat_core::limits::{Limits, Rate};
    use chat_runtime::{Client, Command, RoomId, RoomRef, Server, client_config, memory};
    use chat_terminal::Format;

    use super::*;

    /// Lines that were written, and when.
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

    fn console(format: Format) -> (Console<Written, Written>, Written) {
        let out = Written::default();
        let operator = Operator::new(format, false);
        let console = Console::new(operator, out.clone(), Written::default());
        (console, out)
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

    /// 10,000 messages, one a millisecond, and all their lines in no more than one write in 50 ms.
    async fn lines_are_gathered(format: Format) {
        let (transport, connector) = memory::listener();
        let fast = Rate {
            burst: 1_000_000,
            per_second: 1_000_000,
        };
        let mut limits = Limits::default();
        (limits.send_rate, limits.request_rate) = (fast, fast);
        limits.written_per_member.burst = u32::MAX;
        limits.written_per_address.burst = u32::MAX;
        let server = Server::builder().limits(limits).listen(transport);
        let server = server.start().unwrap();
        let (console, out) = console(format);
        let (sources, _notices) = sources(&server);
        let lines = tokio::spawn(console.run(Greeting::default(), sources));
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
    async fn what_the_libraries_say_is_gathered_too() {
        let (transport, _connector) = memory::listener();
        let server = Server::builder().listen(transport).start().unwrap();
        let (sources, _notices) = sources(&server);
        let err = Written::default();
        let operator = Operator::new(Format::Text, false);
        let mut console = Console::new(operator, Written::default(), err.clone());
        for n in 0..1_000 {
            let line = format!("chat-cli: warning: {n}\n");
            let traced = Traced {
                origin: "here",
                line,
            };
            console.take(Input::Traced(traced), &sources);
        }
        console.write();
        assert_eq!(err.lines(), ["chat-cli: warning: 0"]);
    }
}
