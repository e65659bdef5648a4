//! `chat-cli`: a chat server and a chat client for the terminal. All of the protocol is in the
//! library, and all words of a conversation are in `chat-terminal`; here are the command line, the
//! configuration, the wiring and the exit codes.

mod address;
mod admin;
mod chat;
mod command_line;
mod config;
mod exit;
mod invite;
mod link;
mod log_tools;
mod open_files;
mod quantity;
mod serve;
mod signals;
mod storage;
mod tls;
mod web;

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use command_line::{CommandLine, Task};
use exit::Failure;

fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => return explain(&error),
    };
    let trace = serve::Trace::default();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(trace.clone())
        .with_ansi(false)
        .event_format(Plain);
    // Words of the log on disk are among the operator's lines.
    let wanted = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("chat_log_disk", LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(lines.with_filter(wanted))
        .init();
    ended(match command_line.task {
        Task::Serve(args) => serve::run(&args, &trace),
        Task::Chat(args) => chat::run(args),
        Task::Invite(args) => invite::run(&args),
        Task::Log(args) => log_tools::run(&args.task),
    })
}

fn ended(ended: Result<(), Failure>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody may be reading; the exit code says it too.
            let _ = writeln!(io::stderr(), "chat-cli: {failure}");
            exit::code(&failure)
        }
    }
}

/// Help that was asked for, or what is wrong with the command line, in the way in which this
/// program says all that is wrong.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return ended(exit::written(error.print()));
    }
    let text = error.render().to_string();
    let text = text
        .strip_prefix("error: ")
        .map(|text| format!("chat-cli: {text}"));
    match text {
        Some(text) => drop(write!(io::stderr(), "{text}")),
        None => drop(error.print()),
    }
    exit::code(&Failure::Usage(String::new()))
}

/// Words of the libraries, as lines of this program.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            _ => "note",
        };
        write!(writer, "chat-cli: {level}: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
