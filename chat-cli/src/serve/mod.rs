//! `chat-cli serve`.

use crate::{command_line::ServeArgs, config::ServerConfig, exit::Failure};
use std::io::{self, Write};

pub(crate) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let config = ServerConfig::load(args)?;
    if args.print_config {
        let _ = io::stdout().write_all(config.to_toml()?.as_bytes());
        return Ok(());
    }
    crate::open_files::raise_limit();
    let _ = crate::signals::Signals::new();
    Ok(())
}
