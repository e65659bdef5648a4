//! A conversation at a terminal, without a socket.
//!
//! The heart is [`ChatSession`], a state machine: events of a client, lines of input and signals go
//! in, typed effects come out. It has no connection, timer or thread, so a test has a whole
//! conversation in microseconds. What it has to tell is a [`Report`]; a [`Reporter`] makes
//! lines of it: [`TextReporter`] for people, [`JsonReporter`] for programs.
//!
//! ```
//! use chat_terminal::{ChatSession, Effect, Input, Lines, Options, Reporter, TextReporter};
//!
//! /// Keeps what is said.
//! #[derive(Default)]
//! struct Page(Vec<String>);
//!
//! impl Lines for Page {
//!     fn say(&mut self, line: &str) {
//!         self.0.push(line.to_owned());
//!     }
//!     fn note(&mut self, line: &str) {
//!         self.say(line);
//!     }
//! }
//!
//! let mut session = ChatSession::new(Options::default());
//! let (mut page, mut reporter) = (Page::default(), TextReporter::new(false));
//! let mut effects = Vec::new();
//! session.handle_input(std::time::Instant::now(), Input::Stop, &mut effects);
//! for effect in effects {
//!     match effect {
//!         Effect::Report(report) => reporter.report(&report, &mut page),
//!         Effect::End(ended) => println!("ended: {ended:?}"),
//!         // The client's duties: start a command, whose end is an input; connect under another
//!         // name; take leave; end at once.
//!         Effect::Command { number, command } => println!("{number}: {command:?}"),
//!         Effect::RetryAs { nick, label } => println!("{nick} ({label})"),
//!         Effect::Close | Effect::Abort => println!("leaving"),
//!         // The reader's: read a line, which is an input; or do not; or count what is left.
//!         Effect::Read { prompt, kind } => println!("{prompt}{kind:?}"),
//!         Effect::StopReading | Effect::AwaitIdle | Effect::CountUnread => println!("reading"),
//!     }
//! }
//! ```
//!
//! `examples/conversation.rs` does all effects, with a server in memory.
//!
//! # The run loop
//! 1. Wait for whatever comes first, in this order: an event of the client, the end of a command, a
//!    signal, [`ChatSession::poll_timeout`], a line.
//! 2. Hand it in: [`ChatSession::handle_input`].
//! 3. Do every [`Effect`], in their order. The last one is [`Effect::End`].
//! 4. If nothing can be shown any more, say so: [`Input::OutputLost`].
//!
//! The order of 1 matters: the answer to a join comes after the event of having entered.
//!
//! # What else is here
//! - [`commands`]: the slash commands, one table of names, arguments, help and roles. A test holds
//!   the page's list to it.
//! - [`screen`]: the terminal, with a line editor that shows what happens above the line that is
//!   typed; or a file or a pipe in its place.
//! - [`operator`]: the lines for a server's operator.
//! - [`Secrets`], [`CipherChoice`]: passwords and keys in files.
//! - [`key_words()`]: a server's key in words that two people can compare aloud.
//! - [`visible()`], [`json_line`]: texts of others, so that they do a terminal no harm.
#![forbid(unsafe_code)]

mod byte_order_mark;
pub mod commands;
mod completion;
mod failure;
mod format;
pub mod json_line;
mod key_words;
pub mod operator;
mod report;
mod rooms;
pub mod screen;
mod secrets;
mod session;
mod visible;

/// The kinds of ciphers, for those who configure a lobby.
pub use chat_core::wire::record::CipherKind;

pub use self::{
    byte_order_mark::stripped,
    completion::{Completion, Names},
    failure::Failure,
    format::Format,
    key_words::key_words,
    report::{CommandOrigin, JsonReporter, Lines, Report, Reporter, TextReporter},
    rooms::{Place, RoomTitle},
    secrets::{CipherChoice, LoadedCipher, LobbyCipher, Secrets, read_password},
    session::{ChatSession, Destination, Effect, End, Group, Input, Options, ReadKind},
    visible::{person, visible},
};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
