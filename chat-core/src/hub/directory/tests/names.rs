//! Names: taken, kept, freed, and whose they are when hubs do not agree.

use super::*;

#[test]
fn who_comes_back_writes_nothing() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    assert_eq!(world.story(0), ["in 1"]);
    let head = world.head();
    for _ in 0..3 {
        world.departs(0, 1, Departure::Broken);
        world.pass(Duration::from_secs(29));
        assert!(world.is_here(0, 1));
        world.hello(0, 1, "Ada");
        assert_eq!(world.story(0), ["again 1"]);
    }
    assert_eq!(world.head(), head);
    world.departs(0, 1, Departure::Broken);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.story(0), ["gone 1"]);
    assert_eq!(world.head(), head + 1);
}

#[test]
fn names_of_one_call_are_freed_in_one_entry() {
    let mut world = World::new(1);
    for who in 1..=9 {
        world.hello(0, who, &format!("m{who}"));
    }
    let head = world.head();
    world.does(0, |registry, turn, _| {
        for who in 1..=5 {
            registry.departed(turn, member(who), true, Departure::Bye);
        }
    });
    assert_eq!(world.head(), head + 1);
    for who in 6..=9 {
        world.departs(0, who, Departure::Broken);
    }
    world.pass(Duration::from_secs(31));
    assert_eq!(world.head(), head + 2);
    assert_eq!(world.sites[0].registry.whereabouts(), 0);
}

#[test]
fn nobody_is_told_gone_before_the_name_is_free() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Broken);
    world.full = true;
    world.pass(Duration::from_secs(60));
    assert!(world.is_here(0, 1));
    assert_eq!(world.story(0), ["in 1"]);
    world.full = false;
    world.pass(Duration::from_secs(60));
    assert!(!world.is_here(0, 1));
    assert_eq!(world.story(0), ["gone 1"]);
    assert_eq!(world.holder(0, "ada"), None);
}

#[test]
fn who_returns_while_the_name_is_being_freed_takes_it_again() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Broken);
    world.full = true;
    world.pass(Duration::from_secs(60));
    world.hello(0, 1, "Ada");
    assert_eq!(world.story(0), ["in 1", "out 1 unavailable"]);
    world.full = false;
    world.hello(0, 1, "Ada");
    world.pass(Duration::from_secs(60));
    assert_eq!(world.story(0), ["gone 1", "in 1"]);
    assert_eq!(world.holder(0, "ada"), Some(member(1)));
}

#[test]
fn who_takes_another_name_while_time_runs_out_keeps_it() {
    let mut world = World::new(1);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Broken);
    world.pass(Duration::from_secs(29));
    world.slow = Some(Vec::new());
    world.hello(0, 1, "Eve");
    world.pass(Duration::from_secs(2));
    world.catch_up();
    assert_eq!(world.story(0), ["in 1", "again 1"]);
    assert_eq!(world.holder(0, "eve"), Some(member(1)));
    assert!(world.is_here(0, 1));
}

#[test]
fn a_name_is_refused_by_a_hub_that_has_read() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.hello(1, 2, "ada");
    assert_eq!(world.story(1), ["out 2 nick_taken"]);
    assert!(world.is_here(1, 1));
    // The name is free, and the other hub has not heard of it.
    world.quiet = true;
    world.departs(0, 1, Departure::Bye);
    assert_eq!(world.holder(1, "ada"), Some(member(1)));
    world.hello(1, 2, "ada");
    assert_eq!(world.story(1), ["in 2"]);
    // And the other way round: it is not given away either.
    world.hello(0, 3, "ADA");
    let story = ["in 1", "leave lobby 1", "gone 1", "out 3 nick_taken"];
    assert_eq!(world.story(0), story);
}

#[test]
fn a_hub_whose_clock_is_behind_keeps_whom_it_has() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    // The new hub hears nothing of the other one, at which the member was, before that comes.
    world.quiet = true;
    world.departs(0, 1, Departure::Broken);
    world.sites.truncate(1);
    world.words.clear();
    let new = world.begin(3, vec![1]);
    world.words.clear();
    world.sites[new].bench.now.wall.0 -= 3_600_000;
    world.hello(new, 1, "Ada");
    world.quiet = false;
    world.does(new, |_, _, _| {});
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story(new), ["again 1"]);
    assert_eq!(world.holder(0, "ada"), Some(member(1)));
    assert!(world.is_here(0, 1) && world.is_here(new, 1));
}

#[test]
fn who_has_a_name_by_another_hub_keeps_it_although_no_word_of_that_has_come() {
    // The hub that is to free the name, and one of another hub of which nothing was heard since.
    for full in [false, true] {
        let mut world = World::new(2);
        world.hello(0, 1, "Ada");
        world.departs(0, 1, Departure::Broken);
        world.pass(Duration::from_secs(29));
        world.quiet = true;
        if full {
            // The name is being freed just then.
            world.full = true;
            world.pass(Duration::from_secs(1));
            world.full = false;
        }
        world.hello(1, 1, "Eve");
        world.news(0);
        world.pass(Duration::from_secs(29));
        assert_eq!(world.holder(0, "eve"), Some(member(1)));
        assert_eq!(world.story(0), ["in 1"]);
        world.quiet = false;
        world.does(0, |_, _, _| {});
        world.pass(Duration::from_secs(100));
        assert_eq!(world.holder(0, "eve"), Some(member(1)));
        assert_eq!(world.story(1), ["again 1"]);
    }
}

#[test]
fn the_hub_that_was_to_free_a_name_frees_it_if_nothing_comes_of_another_one() {
    for who in 1..=8 {
        let mut world = World::new(3);
        world.hello(0, who, "Ada");
        world.departs(0, who, Departure::Broken);
        world.pass(Duration::from_secs(29));
        world.quiet = true;
        world.hello(1, who, "Eve");
        world.news(0);
        world.news(2);
        // The other hub is gone before it says anything.
        world.words.clear();
        world.quiet = false;
        let gone = world.sites.remove(1);
        for at in 0..2 {
            world.does(at, |registry, turn, _| registry.lost(turn, gone.node));
        }
        world.pass(Duration::from_secs(31));
        assert_eq!(world.holder(0, "eve"), None, "{who}");
    }
}

#[test]
fn who_lost_its_name_to_a_hub_that_did_not_know_is_not_kept_for() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.quiet = true;
    world.departs(0, 1, Departure::Broken);
    world.hello(1, 1, "Ada");
    world.words.clear();
    // The first hub heard nothing of that.
    world.pass(Duration::from_secs(31));
    assert!(!world.is_here(0, 1), "it freed the name");
    world.quiet = false;
    world.news(1);
    assert!(world.story(1).contains(&"close 1 resync".to_owned()));
    world.departs(1, 1, Departure::Broken);
    assert!(!world.is_here(0, 1) && !world.is_here(1, 1));
    world.hello(1, 1, "Ada");
    world.departs(1, 1, Departure::Broken);
    assert!(world.is_here(0, 1) && world.is_here(1, 1), "it has a name");
}

#[test]
fn a_connection_that_is_gone_takes_no_name() {
    let mut world = World::new(1);
    world.hello(0, 3, "Cleo");
    world.story(0);
    world.sites[0].around.awaits.extend([conn(1), conn(2)]);
    let Site {
        registry,
        bench,
        around,
        ..
    } = &mut world.sites[0];
    let mut turn = bench.turn();
    // The first append is on its way while the others wait for it.
    registry.hello(&mut turn, around, hello(1, "Ada"));
    registry.hello(&mut turn, around, hello(2, "Bob"));
    let rename = Op::Nick(client::Nick {
        nick: "Dora".to_owned(),
        label: String::new(),
    });
    registry.request(&mut turn, around, asked(3, rename));
    around.awaits.remove(&conn(2));
    around.is_in.remove(&conn(3));
    world.drive(0);
    assert_eq!(world.story(0), ["in 1"]);
    let holders = ["ada", "bob", "cleo", "dora"].map(|nick| world.holder(0, nick));
    assert_eq!(holders, [Some(member(1)), None, Some(member(3)), None]);
}

#[test]
fn who_is_new_is_refused_only_after_a_look() {
    let mut world = World::new(2);
    world.sites[1]
        .bench
        .config
        .limits
        .newcomers_per_address
        .burst = 1;
    world.hello(1, 1, "Ada");
    world.quiet = true;
    world.hello(0, 2, "Bob");
    world.story(1);
    world.hello(1, 2, "Bob");
    world.hello(1, 3, "Cleo");
    assert_eq!(world.story(1), ["again 2", "out 3 rate_limited"]);
}
