//! `chat-cli log`: checks, writes out and copies what a server keeps on disk.

use std::io::{self, BufWriter, Write};

use chat_log_disk::{ToolError, backup, export, verify};

use crate::{
    command_line::LogTask,
    exit::{Failure, written},
};

pub(crate) fn run(task: &LogTask) -> Result<(), Failure> {
    match task {
        LogTask::Verify { dir } => {
            let mut out = io::stdout().lock();
            let mut wrote = Ok(());
            let mut say = |line: &str| {
                if wrote.is_ok() {
                    wrote = writeln!(out, "{line}");
                }
            };
            let verified = verify(dir, |damage| say(&format!("damaged: {damage}")));
            let verified = verified.map_err(fault)?;
            for line in &verified.database {
                say(&format!("damaged: the database: {line}"));
            }
            say(&format!(
                "{} rooms and directory, {} records ({} redacted), {} bytes, {} snapshots",
                verified.partitions,
                verified.records,
                verified.redacted,
                verified.bytes,
                verified.snapshots
            ));
            if verified.is_sound() {
                say("sound");
                written(wrote)
            } else {
                Err(Failure::Fault(format!("{} is damaged", dir.display())))
            }
        }
        LogTask::Export { dir } => match export(dir, &mut BufWriter::new(io::stdout().lock())) {
            Ok(exported) if exported.damaged == 0 => Ok(()),
            Ok(exported) => Err(Failure::Fault(format!(
                "{} records of {} are damaged or missing; their lines say so",
                exported.damaged,
                dir.display()
            ))),
            Err(ToolError::Io(error)) => written(Err(error)),
            Err(error) => Err(fault(error)),
        },
        LogTask::Backup { dir, file } => backup(dir, file).map_err(fault),
    }
}

fn fault(error: ToolError) -> Failure {
    Failure::Fault(error.to_string())
}
