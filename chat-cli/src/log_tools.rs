//! `chat-cli log`: checks, writes out and copies what a server keeps on disk.

use std::io::{self, BufWriter, ErrorKind, Write};

use chat_log_disk::{ToolError, backup, export, verify};

use crate::{command_line::LogTask, exit::Failure};

pub(crate) fn run(task: &LogTask) -> Result<(), Failure> {
    match task {
        LogTask::Verify { dir } => {
            let mut out = io::stdout().lock();
            let verified = verify(dir, |damage| {
                // Nobody may be reading; the exit code says it too.
                let _ = writeln!(out, "damaged: {damage}");
            });
            let verified = verified.map_err(fault)?;
            for line in &verified.database {
                let _ = writeln!(out, "damaged: the database: {line}");
            }
            let _ = writeln!(
                out,
                "{} rooms and directory, {} records ({} redacted), {} bytes, {} snapshots",
                verified.partitions,
                verified.records,
                verified.redacted,
                verified.bytes,
                verified.snapshots
            );
            if verified.is_sound() {
                let _ = writeln!(out, "sound");
                Ok(())
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
            // A reader that has seen enough is no fault.
            Err(ToolError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(fault(error)),
        },
        LogTask::Backup { dir, file } => backup(dir, file).map_err(fault),
    }
}

fn fault(error: ToolError) -> Failure {
    Failure::Fault(error.to_string())
}
