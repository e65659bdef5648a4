//! `chat-cli chat`.
mod slash;
use crate::{command_line::ChatArgs, exit::Failure};
pub(crate) fn run(_args: ChatArgs) -> Result<(), Failure> {
    Ok(())
}
