//! Writes the operator's lines to standard output as they come. The server does not wait for it: what is not read in
//! time is left out, and counted.

use std::{
    io::{self, BufWriter, Write},
    net::SocketAddr,
};

use chat_core::{hub::Event, nick::harmless};
use chat_log_disk::DiskEvent;
use chat_runtime::ServerEvents;
use futures_util::FutureExt;
use jiff::{Timestamp, tz::TimeZone};
use tokio::{runtime::Handle, sync::mpsc};

use super::lines;
use crate::{command_line::Format, storage};

/// What the program itself has to say to the operator.
#[derive(Clone, Debug)]
pub(super) enum Notice {
    /// It was told to end.
    Ending { restarting: bool },
    /// Something about the log on disk.
    Log { text: String, trouble: bool },
}

impl Notice {
    /// What of the disk's events is worth a line.
    pub(super) fn of(event: &DiskEvent) -> Option<Self> {
        let (text, trouble) = storage::words(event)?;
        Some(Self::Log { text, trouble })
    }
}

pub(super) struct Operator {
    format: Format,
    zone: TimeZone,
    /// The kind of each listener, and where it is.
    listening: Vec<(&'static str, SocketAddr)>,
    /// Where the page for browsers is.
    pages: Vec<String>,
}

impl Operator {
    pub(super) fn new(
        format: Format,
        listening: Vec<(&'static str, SocketAddr)>,
        pages: Vec<String>,
    ) -> Self {
        Self {
            format,
            zone: TimeZone::system(),
            listening,
            pages,
        }
    }

    /// Runs on a thread of its own, until the server has ended. A reader that goes away does not end the server.
    pub(super) fn run(
        self,
        mut events: ServerEvents,
        mut notices: mpsc::UnboundedReceiver<Notice>,
    ) {
        let mut out = BufWriter::new(io::stdout().lock());
        for (transport, address) in &self.listening {
            let _ = writeln!(out, "{}", self.listening_line(transport, *address));
        }
        for url in &self.pages {
            let _ = writeln!(out, "{}", self.page_line(url));
        }
        let _ = out.flush();
        let mut missed = 0;
        Handle::current().block_on(async {
            loop {
                let event = match events.next().now_or_never() {
                    Some(event) => event,
                    None => {
                        let _ = out.flush();
                        tokio::select! {
                            biased;
                            Some(notice) = notices.recv() => {
                                let _ = writeln!(out, "{}", self.notice_line(notice));
                                continue;
                            }
                            event = events.next() => event,
                        }
                    }
                };
                if events.missed() > missed {
                    let _ = writeln!(out, "{}", self.missed_line(events.missed() - missed));
                    missed = events.missed();
                }
                let Some(event) = event else { break };
                let _ = writeln!(out, "{}", self.line(&event));
            }
        });
        let _ = out.flush();
    }

    fn line(&self, event: &Event) -> String {
        match self.format {
            Format::Text => lines::text_line(event, Timestamp::now(), &self.zone),
            Format::Json => lines::json(event, Timestamp::now()),
        }
    }

    fn listening_line(&self, transport: &str, address: SocketAddr) -> String {
        match self.format {
            Format::Text => format!("listening {transport} {address}"),
            Format::Json => lines::json_of(
                [
                    ("event", "listening".into()),
                    ("transport", transport.into()),
                    ("address", address.to_string().into()),
                ],
                Timestamp::now(),
            ),
        }
    }

    fn page_line(&self, url: &str) -> String {
        match self.format {
            Format::Text => format!("page {url}"),
            Format::Json => lines::json_of(
                [("event", "page".into()), ("url", url.into())],
                Timestamp::now(),
            ),
        }
    }

    fn notice_line(&self, notice: Notice) -> String {
        let reason = match notice {
            Notice::Ending { restarting: true } => "restarting",
            Notice::Ending { restarting: false } => "stopped",
            Notice::Log { text, trouble } => return self.log_line(&text, trouble),
        };
        match self.format {
            Format::Text => {
                lines::stamped(&format!("ending: {reason}"), Timestamp::now(), &self.zone)
            }
            Format::Json => lines::json_of(
                [("event", "ending".into()), ("reason", reason.into())],
                Timestamp::now(),
            ),
        }
    }

    fn log_line(&self, text: &str, trouble: bool) -> String {
        let (error, event) = if trouble {
            ("error: ", "log trouble")
        } else {
            ("", "log")
        };
        match self.format {
            Format::Text => lines::stamped(
                &format!("{error}the log: {}", harmless(text)),
                Timestamp::now(),
                &self.zone,
            ),
            Format::Json => lines::json_of(
                [("event", event.into()), ("detail", text.into())],
                Timestamp::now(),
            ),
        }
    }

    fn missed_line(&self, count: u64) -> String {
        match self.format {
            Format::Text => lines::stamped(
                &format!("{count} lines left out, because they were not read in time"),
                Timestamp::now(),
                &self.zone,
            ),
            Format::Json => lines::json_of(
                [("event", "left out".into()), ("lines", count.into())],
                Timestamp::now(),
            ),
        }
    }
}
