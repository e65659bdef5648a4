//! What fits into one frame, in the form it is written in: JSON may take six bytes where postcard takes one.

use bytes::Bytes;
use serde::Serialize;

use crate::wire::{Form, Record, SERVER_FRAME_BYTES};

/// Bytes of the groups or members in one page. With what is around them they are far from what a client must accept.
const LIST_BYTES: usize = SERVER_FRAME_BYTES as usize / 2;

/// Leaves as many of the entries of a page as fit into a frame. True if that was not all of them.
pub(super) fn cut<T: Serialize>(form: Form, entries: &mut Vec<T>) -> bool {
    let all = entries.len();
    entries.truncate(fitting(
        LIST_BYTES,
        entries.iter().map(|entry| form.bytes_in_list(entry)),
    ));
    entries.len() < all
}

/// How many records, each with its stored form, fit into so many bytes, from the first on; one always does.
pub(super) fn records_fitting<'a>(
    form: Form,
    bytes: usize,
    records: impl Iterator<Item = (&'a Record, &'a Bytes)> + Clone,
) -> usize {
    match form {
        Form::Postcard => fitting(bytes, records.map(|(_, stored)| stored.len())),
        #[cfg(feature = "json")]
        Form::Json => {
            // Mostly there is so much room that nothing need be measured.
            let most = records.clone().map(|(_, stored)| most_in_json(stored));
            if most.sum::<usize>() <= bytes {
                return records.count();
            }
            fitting(bytes, records.map(|(record, _)| form.bytes_in_list(record)))
        }
    }
}

/// What a record takes in JSON at most: a control character is six bytes there, and the names of all fields are less than these.
#[cfg(feature = "json")]
fn most_in_json(stored: &Bytes) -> usize {
    6 * stored.len() + 512
}

fn fitting(bytes: usize, sizes: impl Iterator<Item = usize>) -> usize {
    let mut sum = 0;
    sizes
        .enumerate()
        .take_while(|(index, size)| {
            sum += size;
            *index == 0 || sum <= bytes
        })
        .count()
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use super::*;
    use crate::{
        id::{CredentialId, KeyId, MemberId},
        time::Wall,
        wire::record::{
            Content, Created, Message, PasswordChange, PasswordRecord, Person, RecordBody,
            RoomKind, Sealed, WrappedKey,
        },
    };

    #[test]
    fn no_record_is_longer_in_json_than_is_reckoned_with() {
        let key = || WrappedKey {
            id: KeyId([255; 16]),
            wrapped: vec![255; 72].into(),
        };
        let password = PasswordRecord {
            credential: CredentialId([255; 16]),
            upload: vec![255; 192].into(),
            key: key(),
        };
        let said = |content| RecordBody::Message(Message { content });
        let person = || Person {
            member: MemberId([255; 16]),
            nick: "\"".to_owned(),
            label: String::new(),
        };
        let bodies = [
            said(Content::Plain("\u{1}".repeat(1_000))),
            said(Content::Plain(String::new())),
            said(Content::Sealed(Sealed {
                key: KeyId([0; 16]),
                data: vec![0; 41].into(),
            })),
            RecordBody::Password(PasswordChange {
                password: password.clone(),
                earlier: (0..16).map(|_| key()).collect(),
            }),
            RecordBody::Created(Created {
                kind: RoomKind::Private,
                topic: "\\".repeat(100),
                cipher: crate::wire::record::CipherKind::RoomPassword,
                key: Some(KeyId([0; 16])),
                history: crate::wire::record::HistoryPolicy::SinceJoined,
                presence: Default::default(),
                password: Some(password),
                members: vec![person(), person()],
            }),
        ];
        for body in bodies {
            let record = Record {
                seq: (1 << 53) - 1,
                time: Wall((1 << 53) - 1),
                member: MemberId([255; 16]),
                nick: "\"".repeat(64),
                label: String::new(),
                txn: (1 << 53) - 1,
                body,
            };
            let is = Form::Json.bytes_in_list(&record);
            assert!(is <= most_in_json(&record.to_bytes()), "{is}: {record:?}");
        }
    }

    #[test]
    fn one_always_fits() {
        assert_eq!(fitting(10, [].into_iter()), 0);
        assert_eq!(fitting(10, [11, 1].into_iter()), 1);
        assert_eq!(fitting(10, [5, 5, 1].into_iter()), 2);
        let mut entries = vec!["x".repeat(LIST_BYTES / 2), "y".repeat(LIST_BYTES / 2)];
        assert!(cut(Form::Json, &mut entries));
        assert_eq!(entries.len(), 1);
        assert!(!cut(Form::Postcard, &mut entries));
    }
}
