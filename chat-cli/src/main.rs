//! `chat-cli`: a chat server and a chat client for the terminal. All of the protocol is in the library; here are the
//! command line, the configuration, the lines that people read and those that they write.

mod address;
mod chat;
mod cipher_choice;
mod command_line;
mod config;
mod exit;
mod identity;
mod json_line;
mod log_tools;
mod open_files;
mod serve;
mod signals;
mod storage;
mod web;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use command_line::{CommandLine, Task};

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false);
    // What the log on disk has to say is among the operator's lines.
    let wanted = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("chat_log_disk", LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(lines.with_filter(wanted))
        .init();
    let ended = match command_line.task {
        Task::Serve(args) => serve::run(&args),
        Task::Chat(args) => chat::run(args),
        Task::Log(args) => log_tools::run(&args.task),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody may be reading; the exit code says it too.
            let _ = writeln!(io::stderr(), "chat-cli: {failure}");
            failure.code()
        }
    }
}
