//! The conversation as a state machine.
//!
//! [`ChatSession`] leads the phases of a conversation. Each is a machine with a state of its own
//! that knows nothing of the phases beside it:
//!
//! - `connecting`: from the first connection to the welcome, with another name if one is refused.
//! - `conversation`: the rooms, events in them, and commands that are under way (`jobs`). `said`:
//!   messages that can be named; `arrivals`: records that wait for the last lines before them.
//! - `join`, `new_password`, `menu`: dialogs, which are questions, answers and commands until a
//!   room is entered or a password is known.
//! - `leaving`: from the wish to end to the end. Messages are confirmed, rooms are left, the ends
//!   of commands are told.
//!
//! `slash` reads lines, `lines` does what they say.

mod arrivals;
mod chat_session;
mod connecting;
mod conversation;
mod dialogs;
mod io;
mod jobs;
mod join;
mod leaving;
mod lines;
mod menu;
mod new_password;
mod requests;
mod said;
mod slash;
mod turn;

pub use self::{
    chat_session::ChatSession,
    io::{Destination, Effect, End, Group, Input, Options, ReadKind},
};
