//! Calls of the log: each question of the machine is answered, once.

use chat_core::{
    id::PartitionKind,
    log::{Query, ReadFrom, SnapshotId},
};

use super::*;

#[tokio::test(start_paused = true)]
async fn each_question_to_the_log_is_answered_once() {
    let mut rig = Rig::start().await;
    rig.say(vec![append()]).await;
    assert_eq!(rig.told(), [Told::Committed(DIRECTORY)]);
    let at = Place {
        epoch: EPOCH,
        seq: 1,
    };
    let (partition, token) = (DIRECTORY, ReadToken(7));
    let id = SnapshotId {
        base: at,
        writer: 9,
    };
    let query = Query {
        from: ReadFrom::After(0),
        records: 10,
        bytes: 1_000,
    };
    for (asked, told) in [
        (
            Output::Read {
                token,
                partition,
                query,
            },
            Told::Page(token),
        ),
        (
            Output::Part {
                partition,
                id,
                index: 3,
                bytes: Bytes::from_static(b"part"),
            },
            Told::Kept(3),
        ),
        (
            Output::ReadPart {
                token,
                partition,
                id,
                index: 0,
            },
            Told::Part(token),
        ),
        (
            Output::Heads {
                token,
                kind: PartitionKind::Room,
                after: None,
                limit: 10,
            },
            Told::Heads(token),
        ),
        (
            Output::Notes {
                token,
                partitions: vec![partition],
            },
            Told::Heads(token),
        ),
        (
            Output::Redact {
                partition,
                at,
                replacement: Bytes::from_static(b"blank."),
            },
            Told::Redacted(at),
        ),
    ] {
        let words = format!("{asked:?}");
        rig.say(vec![asked]).await;
        assert_eq!(rig.told(), [told], "{words}");
    }
}
