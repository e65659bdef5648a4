//! The conversation as a state machine.
//!
//! [`ChatSession`] leads the phases of a conversation and puts machines together that know nothing
//! of each other:
//!
//! | machine | subject |
//! |---|---|
//! | `connecting` | from the first connection to the welcome, with another name if one is refused |
//! | `conversation` | the rooms, what happens in them, and commands that are under way (`jobs`) |
//! | `join`, `new_password`, `menu` | dialogs: questions, answers and commands until a room is entered or a password is known |
//! | `leaving` | from the wish to end to the end: what was said is confirmed, rooms are left, the ends of commands are told |
//! | `said`, `arrivals` | messages that can be named; records that wait for the last lines before them |
//!
//! `slash` reads lines, `lines` does what they say.

mod arrivals;
mod chat_session;
mod connecting;
mod conversation;
mod dialog;
mod io;
mod jobs;
mod join;
mod leaving;
mod lines;
mod menu;
mod new_password;
mod said;
mod slash;
mod turn;

pub use self::{
    chat_session::ChatSession,
    io::{Destination, Effect, End, Group, Input, Options, ReadKind},
};
