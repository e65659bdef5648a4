mod appending;
mod reading;
mod snapshots;

use core::{ops::ControlFlow, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    super::questions::{STALE_READS, Shown},
    *,
};
use crate::{
    hub::{timers::Timer, turn::bench::Bench},
    id::RoomId,
    log::{LogUnavailable, Manifest, Page, Query, ReadFailed, ReadFrom, SnapshotId},
    state::{parts::whole, rows::Rows},
    wire::BodyError,
};

/// Counts entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Count(u64);

impl Fold for Count {
    type Entry = Seq;
    type Restored = Option<Self>;
    const FORM: u8 = 1;

    fn seq(entry: &Seq) -> Seq {
        *entry
    }
    fn encode(entry: &Seq) -> Bytes {
        entry.to_string().into()
    }
    fn decode(bytes: &[u8]) -> Result<Seq, BodyError> {
        let text = String::from_utf8_lossy(bytes);
        text.parse().map_err(|_| BodyError(text.into_owned()))
    }
    fn apply(&mut self, _: &Seq, _: &[u8]) {
        self.0 += 1;
    }
    fn note_behind<'a>(&self, ahead: impl Iterator<Item = (&'a Seq, &'a [u8])>) -> Bytes {
        (self.0 + ahead.count() as u64).to_string().into()
    }
    fn weight(&self) -> u64 {
        1
    }
    fn freeze(&mut self, rows: &mut Rows) {
        let _ = rows.push(0, self);
    }
    fn write(&mut self, _: &mut Rows) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn thaw(&mut self) {}
    fn restore(restored: &mut Option<Self>, _: u8, row: &[u8]) -> Result<(), BodyError> {
        *restored = Some(Self(row[0].into()));
        Ok(())
    }
    fn restored(rows: Option<Self>) -> Result<Self, BodyError> {
        rows.ok_or_else(|| BodyError("nothing".to_owned()))
    }
}

/// A pipeline and what it stands on.
struct World {
    pipe: Pipeline<Count, u64>,
    bench: Bench<()>,
}

type Done = Vec<Taken<Seq, u64>>;

impl World {
    fn new(alone: bool) -> Self {
        let partition = Partition::Room(RoomId::LOBBY);
        Self {
            pipe: Pipeline::new(partition, Reader::Room(RoomId::LOBBY), alone),
            bench: Bench::new(),
        }
    }

    fn live(alone: bool) -> Self {
        let mut world = Self::new(alone);
        assert_eq!(world.read(page(0, 0)), Paged::Live);
        world
    }

    /// Each proposal becomes as many entries as it says; 0 is refused.
    fn advance(&mut self) -> (Vec<Output>, Option<u64>, u32) {
        let mut refused = 0;
        let advanced =
            self.pipe
                .advance(&mut self.bench.turn(), |_, seq, count, fresh| match count {
                    0 if fresh => {
                        refused += 1;
                        Judged::Settled
                    }
                    0 => Judged::Doubt(0),
                    count => Judged::Entries((seq..seq + count).collect(), 0, count),
                });
        let too_large = match advanced {
            Advanced::TooLarge(proposal) => Some(proposal),
            Advanced::Done => None,
        };
        (self.bench.outputs(), too_large, refused)
    }

    fn asked(&mut self) -> (ReadToken, Query) {
        let (outputs, ..) = self.advance();
        match &outputs[..] {
            [Output::Read { token, query, .. }] => (*token, *query),
            other => panic!("a page is asked for: {other:?}"),
        }
    }

    fn read(&mut self, page: Page) -> Paged {
        let (token, _) = self.asked();
        self.answer(token, page)
    }

    fn answer(&mut self, token: ReadToken, page: Page) -> Paged {
        let piece = Piece::Page(page);
        let mut taken = Vec::new();
        let paged = self.pipe.take(Answer::To(token), piece, &mut taken);
        paged.expect("it can be decoded")
    }

    fn news(&mut self, page: Page) -> Done {
        let mut taken = Vec::new();
        let paged = self.pipe.take(Answer::News, Piece::Page(page), &mut taken);
        assert_eq!(paged, Ok(Paged::Onward));
        taken
    }

    fn append(&mut self) -> (Place, usize) {
        let (outputs, ..) = self.advance();
        match &outputs[..] {
            [
                Output::Append {
                    expected, entries, ..
                },
                ..,
            ] => (*expected, entries.len()),
            other => panic!("an append is asked for: {other:?}"),
        }
    }

    fn ask_for_part(&mut self) -> (ReadToken, u32) {
        let (outputs, ..) = self.advance();
        match &outputs[..] {
            [Output::ReadPart { token, index, .. }] => (*token, *index),
            other => panic!("a part is asked for: {other:?}"),
        }
    }

    fn part(&mut self, part: Bytes) -> Paged {
        let (token, _) = self.ask_for_part();
        let piece = Piece::Part(part);
        self.pipe
            .take(Answer::To(token), piece, &mut Vec::new())
            .expect("it can be decoded")
    }

    fn fails(&mut self, token: ReadToken, why: ReadFailed) -> Result<Paged, Vec<u64>> {
        let answer = Answer::To(token);
        self.pipe.unreadable(&mut self.bench.turn(), answer, why)
    }
}

/// The records after `after` of a log of `head` records.
fn page(after: Seq, head: Seq) -> Page {
    Page {
        head: Place {
            epoch: 1,
            seq: head,
        },
        oldest: 1,
        snapshot: None,
        first: after + 1,
        // Not written as this hub would write them.
        records: (after + 1..=head)
            .map(|seq| format!("0{seq}").into())
            .collect(),
    }
}
