//! Pages and news of a log, and what is taken in of them.

use super::*;

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
fn a_page_without_what_comes_next_is_gone_on_from_or_shows_what_was_trimmed() {
    let nothing = |oldest, head| Page {
        oldest,
        records: Vec::new(),
        ..page(2, head)
    };
    for (oldest, head, paged) in [
        // The next records are there, and were not given.
        (1, 5, Paged::Onward),
        (3, 5, Paged::Onward),
        // They are not.
        (4, 5, Paged::Lost { epoch: false }),
        // Nothing follows that could be missed.
        (4, 2, Paged::Onward),
    ] {
        let mut world = World::new(false);
        assert_eq!(world.read(page(0, 2)), Paged::Live);
        world.pipe.look_again();
        let (token, _) = world.asked();
        assert_eq!(
            world.answer(token, nothing(oldest, head)),
            paged,
            "{oldest}"
        );
        let is_current = !world.pipe.is_behind();
        assert_eq!(is_current, head == 2, "{oldest}");
    }
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
