//! The budget of one frame, in the form it is written in: JSON may take six bytes where postcard
//! takes one.

use std::ops::Range;

use bytes::Bytes;
use serde::Serialize;

use super::effects::{HistoryRead, Wanted};
#[cfg(feature = "json")]
use crate::wire::{
    ServerMessage,
    server::{Done, HistoryPage},
};
use crate::{
    id::Seq,
    wire::{BodyError, Form, Frame, Record, SERVER_FRAME_BYTES, history_frame, server::Answer},
};

/// Bytes of the groups or members in one page. With what is around them they are far from what a
/// client must accept.
const LIST_BYTES: usize = SERVER_FRAME_BYTES as usize / 2;

/// Leaves as many entries in a list as fit into a frame.
pub(super) fn fit(form: Form, answer: &mut Answer) {
    match answer {
        Answer::List(page) => page.more |= cut(form, &mut page.rooms),
        Answer::Members(page) => page.more |= cut(form, &mut page.members),
        _ => {}
    }
}

/// The answer to a `history`: as many of these records as fit into so many bytes, those that are
/// wanted most. In postcard the stored bytes are copied, with all that a later hub wrote in them.
///
/// # Errors
/// One of them cannot be decoded.
pub(super) fn history_of(
    form: Form,
    bytes: usize,
    id: u64,
    page: HistoryRead,
) -> Result<Frame, BodyError> {
    let stored = page.records.iter();
    let decoded: Vec<(Record, &Bytes)> = stored
        .map(|bytes| Ok((Record::from_bytes(bytes)?, bytes)))
        .collect::<Result<_, BodyError>>()?;
    let both = decoded.iter().map(|(record, stored)| (record, *stored));
    let all = decoded.len();
    let range = match page.wanted {
        Wanted::Oldest => 0..records_fitting(form, bytes, both),
        Wanted::Newest => all - records_fitting(form, bytes, both.rev())..all,
        Wanted::Around(seq) => {
            let at = place(page.first, seq, all);
            records_around(form, bytes, at, both)
        }
    };
    let (epoch, oldest, newest) = (page.epoch, page.oldest, page.newest);
    Ok(match form {
        Form::Postcard => {
            let stored = page.records[range].iter();
            history_frame(id, epoch, (oldest, newest), stored)
        }
        #[cfg(feature = "json")]
        Form::Json => {
            let mut decoded = decoded;
            let records = decoded.drain(range).map(|(record, _)| record).collect();
            let answer = Answer::History(HistoryPage {
                epoch,
                oldest,
                newest,
                records,
            });
            form.encode(&ServerMessage::Ok(Done { id, answer }))
        }
    })
}

/// Where the first record not before `seq` is among `count` of them from `first` on.
fn place(first: Seq, seq: Seq, count: usize) -> usize {
    usize::try_from(seq.saturating_sub(first)).map_or(count, |at| at.min(count))
}

/// Leaves as many of the entries of a page as fit into a frame. True if that was not all of them.
fn cut<T: Serialize>(form: Form, entries: &mut Vec<T>) -> bool {
    let all = entries.len();
    let sizes = entries.iter().map(|entry| form.bytes_in_list(entry));
    let (fit, _) = how_many_fit(LIST_BYTES, sizes);
    entries.truncate(fit.max(1));
    entries.len() < all
}

/// How many of these records, each with its stored form, fit into so many bytes, from the first on;
/// one always does.
pub(super) fn records_fitting<'a>(
    form: Form,
    bytes: usize,
    records: impl Iterator<Item = (&'a Record, &'a Bytes)> + Clone,
) -> usize {
    let one = records.clone().take(1).count();
    reckon(form, bytes, records).0.max(one)
}

/// Which of these records fit into so many bytes: what stands before place `at` as far as half of
/// them reach, and with what is left the record there, in any case, and what follows. Where nothing
/// follows, all of it is for what stands before.
fn records_around<'a>(
    form: Form,
    bytes: usize,
    at: usize,
    records: impl DoubleEndedIterator<Item = (&'a Record, &'a Bytes)> + ExactSizeIterator + Clone,
) -> Range<usize> {
    let after = records.len() - at;
    if after == 0 {
        return at - records_fitting(form, bytes, records.rev())..at;
    }
    let (before, used) = reckon(form, bytes / 2, records.clone().rev().skip(after));
    at - before..at + records_fitting(form, bytes - used, records.skip(at))
}

/// How many of these records fit into so many bytes, from the first on, and how many bytes to
/// reckon for them.
fn reckon<'a>(
    form: Form,
    bytes: usize,
    records: impl Iterator<Item = (&'a Record, &'a Bytes)> + Clone,
) -> (usize, usize) {
    match form {
        Form::Postcard => how_many_fit(bytes, records.map(|(_, stored)| stored.len())),
        #[cfg(feature = "json")]
        Form::Json => {
            // Mostly there is so much room that nothing need be measured.
            let all = records
                .clone()
                .map(|(_, stored)| most_in_json(stored))
                .sum();
            if all <= bytes {
                return (records.count(), all);
            }
            how_many_fit(bytes, records.map(|(record, _)| form.bytes_in_list(record)))
        }
    }
}

/// The most bytes of a record in JSON: a control character is six bytes there, and the names of all
/// fields are less than these.
#[cfg(feature = "json")]
fn most_in_json(stored: &Bytes) -> usize {
    6 * stored.len() + 512
}

fn how_many_fit(bytes: usize, sizes: impl Iterator<Item = usize>) -> (usize, usize) {
    let (mut count, mut used) = (0, 0);
    for size in sizes {
        if used + size > bytes {
            break;
        }
        count += 1;
        used += size;
    }
    (count, used)
}

#[cfg(test)]
#[cfg(feature = "json")]
mod tests {
    use super::*;
    use crate::{
        id::{CredentialId, KeyId, MemberId, RequestHash, RoomOrigin, SessionId},
        time::Wall,
        wire::record::{
            Content, Created, HistoryPolicy, Message, PasswordChange, PasswordRecord, Person,
            RecordBody, RoomKind, Sealed, WrappedKey,
        },
    };

    fn record(seq: u64, body: RecordBody) -> Record {
        Record {
            member: MemberId([255; 16]),
            session: SessionId((1 << 53) - 1),
            txn: (1 << 53) - 1,
            hash: RequestHash(u32::MAX),
            nick: "\"".repeat(64),
            ..Record::by_server(seq, Wall((1 << 53) - 1), body)
        }
    }

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
            said(Content::plain("\u{1}".repeat(1_000))),
            said(Content::plain(String::new())),
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
                origin: RoomOrigin([255; 16]),
                cipher: crate::wire::record::CipherKind::RoomPassword,
                history: HistoryPolicy::SinceJoined,
                presence: Default::default(),
                topic: "\\".repeat(100),
                number: Some(u32::MAX),
                name: Some("\"".repeat(10)),
                key: Some(KeyId([0; 16])),
                password: Some(password),
                members: vec![person(), person()],
            }),
        ];
        for body in bodies {
            let record = record((1 << 53) - 1, body);
            let is = Form::Json.bytes_in_list(&record);
            assert!(is <= most_in_json(&record.to_bytes()), "{is}: {record:?}");
        }
    }

    fn said(seq: u64, bytes: usize) -> (Record, Bytes) {
        let content = Content::plain("x".repeat(bytes));
        let record = record(seq, RecordBody::Message(Message { content }));
        let stored = record.to_bytes();
        (record, stored)
    }

    #[test]
    fn one_always_fits() {
        let of = |bytes: usize, lengths: &[usize]| {
            let records: Vec<_> = lengths.iter().map(|length| said(1, *length)).collect();
            let both = records.iter().map(|(record, stored)| (record, stored));
            [Form::Postcard, Form::Json].map(|form| records_fitting(form, bytes, both.clone()))
        };
        assert_eq!(of(1_000, &[]), [0, 0]);
        assert_eq!(of(1_000, &[2_000, 1]), [1, 1]);
        assert_eq!(of(25_000, &[10_000; 3]), [2, 2]);
        let mut entries = vec!["x".repeat(LIST_BYTES / 2), "y".repeat(LIST_BYTES / 2)];
        assert!(cut(Form::Json, &mut entries));
        assert_eq!(entries.len(), 1);
        assert!(!cut(Form::Postcard, &mut entries));
    }

    #[test]
    fn what_is_asked_for_is_there_whatever_is_around_it() {
        let records: Vec<_> = (0..9).map(|seq| said(seq, 10_000)).collect();
        let both = records.iter().map(|(record, stored)| (record, stored));
        for form in [Form::Postcard, Form::Json] {
            let around = |bytes, at| records_around(form, bytes, at, both.clone());
            assert_eq!(around(1_000_000, 4), 0..9);
            assert_eq!(around(60_000, 4), 2..7);
            assert_eq!(around(10, 4), 4..5);
            assert_eq!(around(60_000, 0), 0..5);
            assert_eq!(around(60_000, 9), 4..9);
            assert_eq!(around(10, 9), 8..9);
        }
    }

    #[test]
    fn a_history_has_what_is_wanted_most() {
        let of = |wanted| {
            let page = HistoryRead {
                epoch: 1,
                oldest: 1,
                newest: 9,
                first: 3,
                records: (3..9).map(|seq| said(seq, 10_000).1).collect(),
                wanted,
            };
            let frame = history_of(Form::Postcard, 25_000, 1, page).unwrap();
            let told: ServerMessage = Form::Postcard.decode(&frame.body()).unwrap();
            let ServerMessage::Ok(Done {
                answer: Answer::History(page),
                ..
            }) = told
            else {
                panic!("{told:?}");
            };
            page.records
                .iter()
                .map(|record| record.seq)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Wanted::Oldest), [3, 4]);
        assert_eq!(of(Wanted::Newest), [7, 8]);
        assert_eq!(of(Wanted::Around(5)), [4, 5]);
        assert_eq!(of(Wanted::Around(9)), [7, 8]);
    }
}
