//! Snapshots in parts, as they are read and written.

use super::*;

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
