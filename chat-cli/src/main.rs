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
mod open_files;
mod serve;
mod signals;
mod web;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use command_line::{CommandLine, Task};

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(tracing::Level::WARN)
        .with_target(false)
        .init();
    let ended = match command_line.task {
        Task::Serve(args) => serve::run(&args),
        Task::Chat(args) => chat::run(args),
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
