//! A log as JSON lines, for anybody to read.

use std::{io::Write, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use chat_core::{id::Partition, wire::Record};
use serde_json::{Map, Value, json};

use crate::{error::ToolError, folder::Folder, page::Stored, schema, verify};

/// The counts of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Records, one line each.
    pub records: u64,
    /// Lines that say that a record is missing or not what was written.
    pub damaged: u64,
}

/// Writes each record of the log of a folder as one line of JSON: partition by partition, each in
/// its order.
///
/// - `{"room": id, "record": {…}}`: a room's record, in the JSON form of the protocol; ciphertext
///   stays ciphertext;
/// - `{"directory": seq, "entry": bytes}`: an entry of the directory, as it is stored, with
///   `"shard"` if that is not 0;
/// - `{"room": id, "seq": n, "entry": bytes}`: a record that this program cannot decode, as it is
///   stored.
///
/// Bytes and ids are base64. Each line has `"at"`, when it was appended, in milliseconds since
/// 1970, and `"note"`, what was noted with it, if anything was; a redacted one has
/// `"redacted": true`; one that is not what was written has `"damaged"` with what is wrong. Of
/// those that are missing in one place there is one line, with the first one's place, the number of
/// the last one (`"to"`) and that. Works beside a running server, on the log as it was when this
/// began.
///
/// # Errors
/// There is no log, it cannot be read, or `out` cannot be written.
pub fn export(dir: impl AsRef<Path>, out: &mut impl Write) -> Result<Exported, ToolError> {
    let connection = schema::open_for_tool(&Folder::new(dir.as_ref()))?;
    let transaction = connection.unchecked_transaction()?;
    let mut exported = Exported::default();
    for mut part in verify::parts(&transaction)? {
        if !part.sound {
            part = part.as_found(&transaction)?;
        }
        let partition = part.partition;
        verify::walk(&transaction, &part, |record| {
            let (mut line, fault) = match record {
                Ok((stored, fault)) => {
                    exported.records += 1;
                    (line(partition, &stored), fault)
                }
                Err((first, last)) => {
                    let mut line = placed(partition, first);
                    line.insert("to".to_owned(), last.into());
                    (line, Some(verify::missing(first, last)))
                }
            };
            if let Some(fault) = fault {
                exported.damaged += 1;
                line.insert("damaged".to_owned(), fault.to_string().into());
            }
            serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
            Ok::<_, ToolError>(())
        })?;
    }
    out.flush()?;
    Ok(exported)
}

fn line(partition: Partition, stored: &Stored) -> Map<String, Value> {
    let mut line = match (partition, Record::from_bytes(&stored.body)) {
        (Partition::Room(room), Ok(record)) => {
            let mut line = Map::new();
            line.insert("room".to_owned(), json!(room));
            line.insert("record".to_owned(), json!(record));
            line
        }
        _ => {
            let mut line = placed(partition, stored.seq);
            line.insert("entry".to_owned(), STANDARD.encode(&stored.body).into());
            line
        }
    };
    line.insert("at".to_owned(), stored.at.into());
    if let Some(note) = stored.note.as_ref().filter(|note| !note.is_empty()) {
        line.insert("note".to_owned(), STANDARD.encode(note).into());
    }
    if stored.is_redacted() {
        line.insert("redacted".to_owned(), true.into());
    }
    line
}

/// Where a record is, when it cannot say so itself.
fn placed(partition: Partition, seq: u64) -> Map<String, Value> {
    let mut line = Map::new();
    match partition {
        Partition::Directory(shard) => {
            line.insert("directory".to_owned(), seq.into());
            if shard != 0 {
                line.insert("shard".to_owned(), shard.into());
            }
        }
        Partition::Room(room) => {
            line.insert("room".to_owned(), json!(room));
            line.insert("seq".to_owned(), seq.into());
        }
        other => {
            let name = STANDARD.encode(other.to_bytes());
            line.insert("partition".to_owned(), name.into());
            line.insert("seq".to_owned(), seq.into());
        }
    }
    line
}
