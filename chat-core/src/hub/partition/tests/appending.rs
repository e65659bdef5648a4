//! Appends, and what becomes of them.

use super::*;

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
fn two_proposals_that_are_a_byte_too_much_together_go_one_after_the_other() {
    let mut world = World::live(true);
    world.bench.config.log.append_bytes = 4;
    world.pipe.propose(3);
    world.pipe.propose(2);
    assert_eq!(world.append().1, 3);
}

#[test]
fn a_proposal_as_large_as_an_append_has_one_of_its_own() {
    let mut world = World::live(true);
    world.bench.config.log.append_bytes = 4;
    world.pipe.propose(3);
    world.pipe.propose(4);
    assert_eq!(world.append().1, 3);
    let head = Place { epoch: 1, seq: 3 };
    world.pipe.committed(head, &mut Vec::new());
    let (outputs, too_large, _) = world.advance();
    assert_eq!(too_large, None);
    assert!(matches!(&outputs[..], [Output::Append { entries, .. }] if entries.len() == 4));
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
    // One that writes again is in no trouble.
    world.pipe.propose(1);
    world.append();
    let head = Place { epoch: 1, seq: 1 };
    world.pipe.committed(head, &mut Vec::new());
    world.pipe.propose(1);
    world.append();
    let why = AppendRefused::Unavailable;
    world.pipe.refused(&mut world.bench.turn(), why);
    let at = world.bench.now.monotonic + Duration::from_secs(1);
    assert_eq!(world.bench.common.timers.next(), Some(at));
}
