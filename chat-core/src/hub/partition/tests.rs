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

#[test]
fn news_that_overtake_the_first_read_are_read() {
    let mut world = World::new(false);
    let (token, _) = world.asked();
    // Read when the log was empty, and given only after news of its first record.
    world.news(page(0, 1));
    assert_eq!(world.answer(token, page(0, 0)), Paged::Onward);
    assert_eq!(world.read(page(0, 1)), Paged::Live);
    assert_eq!((world.pipe.state.0, world.pipe.place.seq), (1, 1));
}

#[test]
fn what_is_read_is_at_least_what_was_heard_of() {
    let shown = |world: &mut World, token, page: Page| {
        let mut page = Ok(page);
        let shown = world.bench.common.questions.shown(token, &mut page);
        (matches!(shown, Shown::Again(_)), page)
    };
    // Before the first read.
    let mut world = World::new(false);
    let (first, _) = world.asked();
    world.news(page(0, 3));
    world.news(page(0, 2));
    assert_eq!(world.answer(first, page(0, 0)), Paged::Onward);
    let (token, _) = world.asked();
    for behind in 0..u64::from(STALE_READS) {
        assert!(shown(&mut world, token, page(0, behind)).0, "it is behind");
    }
    let read = shown(&mut world, token, page(0, 3));
    assert_eq!(world.answer(token, read.1.unwrap()), Paged::Live);
    // Of its own append, and of news with a gap.
    world.pipe.propose(1);
    world.append();
    let head = Place { epoch: 1, seq: 4 };
    world.pipe.committed(head, &mut Vec::new());
    world.news(page(5, 6));
    let (token, query) = world.asked();
    assert_eq!(query.from, ReadFrom::After(4));
    for _ in 0..STALE_READS {
        assert!(shown(&mut world, token, page(4, 5)).0, "it is behind");
    }
    let why = shown(&mut world, token, page(4, 5)).1;
    assert_eq!(why, Err(ReadFailed::Unavailable));
    assert!(world.fails(token, ReadFailed::Unavailable).is_err());
    // Another life of the log ends where it ends.
    let (token, _) = world.asked();
    let mut other = page(0, 1);
    other.head.epoch = 2;
    assert!(!shown(&mut world, token, other.clone()).0);
    assert_eq!(world.answer(token, other), Paged::Lost { epoch: true });
}

#[test]
fn a_log_that_never_fits_together_is_not_read_without_a_pause() {
    let mut world = World::new(false);
    // The first records are neither there nor trimmed for a snapshot.
    let hole = || Page {
        oldest: 3,
        ..page(2, 5)
    };
    assert_eq!(world.read(hole()), Paged::Lost { epoch: false });
    assert_eq!(world.read(hole()), Paged::LostAgain);
    assert_eq!(world.read(hole()), Paged::LostAgain);
    assert_eq!(world.read(page(0, 5)), Paged::Live);
    let other = |mut page: Page| {
        page.head.epoch += 1;
        page
    };
    world.pipe.look_again();
    assert_eq!(world.read(other(page(5, 5))), Paged::Lost { epoch: true });
}

#[test]
fn news_of_another_epoch_are_looked_at_before_they_are_believed() {
    let mut world = World::live(false);
    let late = Page {
        head: Place { epoch: 9, seq: 3 },
        ..page(0, 3)
    };
    assert!(world.news(late).is_empty());
    assert_eq!(world.read(page(0, 1)), Paged::Onward);
    assert_eq!(world.pipe.place, Place { epoch: 1, seq: 1 });
}

/// Reads the state of a log whose snapshot has as many parts as bytes, up to its part `next`.
fn assembling(base: Seq, head: Seq, oldest: Seq, next: u32) -> World {
    let mut world = World::new(false);
    let state = whole(&Count(base));
    let id = SnapshotId {
        base: Place {
            epoch: 1,
            seq: base,
        },
        writer: 7,
    };
    let parts = state.len() as u32;
    let mut page = page(base, head);
    (page.oldest, page.snapshot) = (oldest, Some(Manifest { id, parts }));
    assert_eq!(world.read(page), Paged::Onward);
    for index in 0..next {
        let end = world.part(state.slice(index as usize..index as usize + 1));
        let last = index + 1 == parts;
        assert_eq!(end, if last { Paged::Live } else { Paged::Onward });
    }
    world
}

#[test]
fn a_state_is_put_together_from_parts_and_the_records_after_them() {
    let parts = whole(&Count(5)).len() as u32;
    assert!(parts > 1);
    let world = assembling(5, 7, 6, parts);
    assert_eq!((world.pipe.state.0, world.pipe.place.seq), (7, 7));
    // News that come meanwhile are not lost.
    let mut world = assembling(5, 7, 6, 1);
    world.news(page(7, 8));
    for index in 1..parts as usize {
        let part = whole(&Count(5)).slice(index..index + 1);
        assert_eq!(world.part(part), Paged::Onward);
    }
    assert_eq!(world.read(page(7, 8)), Paged::Live);
    assert_eq!((world.pipe.state.0, world.pipe.place.seq), (8, 8));
}

#[test]
fn a_snapshot_that_is_superseded_while_it_is_read_is_left_for_the_newer_one() {
    let mut world = assembling(5, 7, 6, 1);
    let (token, index) = world.ask_for_part();
    assert_eq!(index, 1);
    let end = world.fails(token, ReadFailed::Superseded);
    assert_eq!(end, Ok(Paged::Onward));
    let (token, query) = world.asked();
    assert_eq!(query.from, ReadFrom::State);
    assert_eq!(world.answer(token, page(0, 9)), Paged::Live);
}

#[test]
fn a_damaged_part_is_no_loss_while_all_records_are_kept() {
    let damaged = ReadFailed::Damaged { seq: None };
    let mut world = assembling(5, 7, 1, 1);
    let (token, _) = world.ask_for_part();
    assert_eq!(world.fails(token, damaged), Ok(Paged::Onward));
    let (token, query) = world.asked();
    assert_eq!(query.from, ReadFrom::After(0));
    assert_eq!(world.answer(token, page(0, 7)), Paged::Live);
    assert_eq!(world.pipe.state, Count(7));
    // Otherwise it is, and is read again later, from the beginning.
    let mut world = assembling(5, 7, 6, 1);
    let (token, _) = world.ask_for_part();
    assert_eq!(world.fails(token, damaged), Err(Vec::new()));
    assert_eq!(world.asked().1.from, ReadFrom::State);
    // One that cannot be read at present is asked for again.
    let mut world = assembling(5, 7, 6, 1);
    let (token, _) = world.ask_for_part();
    let unavailable = ReadFailed::Unavailable;
    assert_eq!(world.fails(token, unavailable), Err(Vec::new()));
    assert_eq!(world.ask_for_part().1, 1);
}

#[test]
fn a_snapshot_is_written_part_by_part() {
    let mut world = World::new(false);
    world.bench.config.log.part_bytes = 1;
    assert_eq!(world.read(page(0, 60)), Paged::Live);
    let state = whole(&Count(60));
    let mut written = Vec::new();
    assert!(world.pipe.snapshot(&mut world.bench.turn(), true));
    let manifest = loop {
        let next = world.bench.out.pop().expect("it goes on");
        match next {
            Output::Part {
                id, index, bytes, ..
            } => {
                assert_eq!(written.len(), index as usize);
                assert_eq!(id.base, world.pipe.place);
                written.extend(&bytes[..]);
                assert!(!world.pipe.is_idle());
                // An answer to something else is none.
                let mut turn = world.bench.turn();
                world.pipe.kept(&mut turn, id, index + 1, Ok(()));
                assert!(turn.out.is_empty());
                world.pipe.kept(&mut turn, id, index, Ok(()));
            }
            Output::Manifest { manifest, .. } => break manifest,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(written, state);
    assert_eq!(manifest.parts as usize, state.len());
    assert!(world.pipe.is_idle());
    // One of which a part is not kept is given up.
    world.news(page(60, 61));
    assert!(world.pipe.snapshot(&mut world.bench.turn(), true));
    let Some(Output::Part { id, index, .. }) = world.bench.out.pop() else {
        panic!("it is time for the next");
    };
    let mut turn = world.bench.turn();
    world.pipe.kept(&mut turn, id, index, Err(LogUnavailable));
    assert!(turn.out.is_empty() && world.pipe.is_idle());
}

#[test]
fn a_batch_is_no_larger_than_the_log_takes() {
    let mut world = World::live(true);
    world.bench.config.log.append_bytes = 4;
    // So many entries each.
    for count in [2, 2, 5, 1, 3] {
        world.pipe.propose(count);
    }
    let mut next = || {
        let (outputs, too_large, _) = world.advance();
        let entries = match &outputs[..] {
            [Output::Append { entries, .. }] => entries.len(),
            [] => 0,
            other => panic!("{other:?}"),
        };
        if entries > 0 {
            let seq = world.pipe.place.seq + entries as u64;
            world
                .pipe
                .committed(Place { epoch: 1, seq }, &mut Vec::new());
        }
        (entries, too_large)
    };
    assert_eq!(next(), (4, Some(5)));
    assert_eq!(next(), (4, None));
    world.pipe.propose(9);
    let (outputs, too_large, _) = world.advance();
    assert_eq!((outputs.len(), too_large), (0, Some(9)));
}

#[test]
fn a_mismatch_is_read_unless_news_have_told_why() {
    let mut world = World::live(false);
    world.pipe.propose(1);
    assert_eq!(world.append().0.seq, 0);
    world
        .pipe
        .refused(&mut world.bench.turn(), AppendRefused::Mismatch);
    assert_eq!(world.read(page(0, 1)), Paged::Onward);
    assert_eq!(world.append().0.seq, 1);
    world.news(page(1, 2));
    world
        .pipe
        .refused(&mut world.bench.turn(), AppendRefused::Mismatch);
    assert_eq!(world.append().0.seq, 2);
}

#[test]
fn an_unknown_outcome_is_read_before_anything_is_appended() {
    for written in [false, true] {
        let mut world = World::live(false);
        world.pipe.propose(1);
        world.append();
        world.pipe.unknown();
        let (token, query) = world.asked();
        assert_eq!(query.from, ReadFrom::After(0));
        let mut page = page(0, u64::from(written));
        page.records
            .iter_mut()
            .for_each(|record| *record = "1".into());
        let mut taken = Vec::new();
        let piece = Piece::Page(page);
        let paged = world.pipe.take(Answer::To(token), piece, &mut taken);
        assert_eq!(paged, Ok(Paged::Onward));
        if written {
            assert!(taken[0].mine && taken[0].proposal == Some(1));
            assert!(world.pipe.is_idle());
        } else {
            assert!(taken.is_empty());
            assert_eq!(world.append(), (Place { epoch: 1, seq: 0 }, 1));
        }
    }
}

#[test]
fn a_refusal_is_certain_after_a_look_that_began_later() {
    // Alone, what is known is all there is.
    let mut world = World::live(true);
    world.pipe.propose(0);
    assert_eq!(world.advance().2, 1);
    // A read that reaches the head.
    let mut world = World::live(false);
    world.pipe.propose(0);
    let (token, _) = world.asked();
    assert_eq!(world.answer(token, page(0, 0)), Paged::Onward);
    assert_eq!(world.advance().2, 1);
    // One that began before does not show what was appended since.
    let mut world = World::live(false);
    world.pipe.look_again();
    let (token, _) = world.asked();
    world.pipe.propose(0);
    assert_eq!(world.answer(token, page(0, 0)), Paged::Onward);
    let (token, _) = world.asked();
    assert_eq!(world.answer(token, page(0, 0)), Paged::Onward);
    assert_eq!(world.advance().2, 1);
    // An append of what came with it is a look, too; and nothing overtakes it.
    let mut world = World::live(false);
    for count in [1, 0, 2] {
        world.pipe.propose(count);
    }
    assert_eq!(world.append().1, 1);
    world
        .pipe
        .committed(Place { epoch: 1, seq: 1 }, &mut Vec::new());
    let (outputs, _, refused) = world.advance();
    assert_eq!(refused, 1);
    assert!(matches!(&outputs[..], [Output::Append { entries, .. }] if entries.len() == 2));
}

#[test]
fn a_log_in_trouble_is_asked_again_later_each_time() {
    let mut world = World::live(true);
    let timer = Timer::Retry(Partition::Room(RoomId::LOBBY));
    for seconds in [1, 2, 4, 8, 8] {
        world.pipe.propose(1);
        world.append();
        let why = AppendRefused::Unavailable;
        assert_eq!(world.pipe.refused(&mut world.bench.turn(), why), [1]);
        let at = world.bench.now.monotonic + Duration::from_secs(seconds);
        let timers = &mut world.bench.common.timers;
        assert_eq!(timers.next(), Some(at));
        assert_eq!(timers.pop(at), Some(timer));
        world.pipe.retried();
    }
}

#[test]
fn two_proposals_that_are_a_byte_too_much_together_go_one_after_the_other() {
    let mut world = World::live(true);
    world.bench.config.log.append_bytes = 4;
    world.pipe.propose(3);
    world.pipe.propose(2);
    assert_eq!(world.append().1, 3);
}

#[test]
fn only_the_answer_to_the_last_read_is_taken() {
    let mut world = World::live(false);
    world.pipe.look_again();
    let (token, _) = world.asked();
    let other = ReadToken(token.0 + 1);
    assert_eq!(world.answer(other, page(0, 1)), Paged::Onward);
    assert_eq!(world.pipe.state, Count(0));
    assert_eq!(world.answer(token, page(0, 1)), Paged::Onward);
    assert_eq!(world.pipe.state, Count(1));
}

#[test]
fn records_of_others_behind_an_own_append_are_read() {
    let mut world = World::live(false);
    world.pipe.propose(1);
    world.append();
    let head = Place { epoch: 1, seq: 2 };
    world.pipe.committed(head, &mut Vec::new());
    assert_eq!(world.asked().1.from, ReadFrom::After(1));
}
