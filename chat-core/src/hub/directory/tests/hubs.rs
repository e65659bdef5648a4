//! Hubs tell each other of their members, and one of them is lost.

use super::{
    words::{Members, Sessions},
    *,
};

#[test]
fn of_a_hub_that_is_lost_each_name_is_freed_by_one_other() {
    let mut world = World::new(3);
    let all = 1..=40;
    for who in all.clone() {
        world.hello(2, who, &format!("m{who}"));
    }
    let head = world.head();
    world.sites.truncate(2);
    for at in 0..2 {
        world.does(at, |registry, turn, _| registry.lost(turn, 3));
    }
    world.pass(Duration::from_secs(29));
    assert!(all.clone().all(|who| world.is_here(0, who)));
    assert_eq!(world.head(), head);
    world.pass(Duration::from_secs(4));
    assert_eq!(world.head(), head + 2, "one entry of each");
    for at in 0..2 {
        assert!(all.clone().all(|who| !world.is_here(at, who)));
        assert!((5..=35).contains(&world.story(at).len()));
    }
}

#[test]
fn who_says_good_bye_at_one_hub_is_gone_at_all() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    assert!(world.is_here(1, 1) && world.is_here(1, 2));
    world.departs(0, 1, Departure::Bye);
    assert!(!world.is_here(1, 1));
    // Also if the hub does not come to say so.
    world.quiet = true;
    world.departs(0, 2, Departure::Bye);
    world.words.clear();
    world.news(1);
    world.quiet = false;
    assert!(world.is_here(1, 2));
    world.does(1, |registry, turn, _| registry.lost(turn, 1));
    assert!(!world.is_here(1, 2));
}

#[test]
fn who_comes_in_elsewhere_keeps_the_name_when_a_hub_is_lost() {
    let mut world = World::new(2);
    world.hello(1, 1, "Ada");
    world.sites.truncate(1);
    world.does(0, |registry, turn, _| registry.lost(turn, 2));
    world.pass(Duration::from_secs(20));
    let head = world.head();
    world.hello(0, 1, "Ada");
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story(0), ["again 1"]);
    assert_eq!(world.head(), head);
}

#[test]
fn of_two_devices_at_two_hubs_the_last_one_to_go_frees_the_name() {
    for (first, last) in [(0, 1), (1, 0)] {
        for how in [Departure::Bye, Departure::Broken] {
            let mut world = World::new(3);
            world.hello_of(0, 1, "Ada", SessionId(1));
            world.hello_of(1, 1, "Ada", SessionId(2));
            let all = |world: &World, here| (0..3).all(|at| world.is_here(at, 1) == here);
            assert_eq!(world.story(0), ["in 1"]);
            assert_eq!(world.story(1), ["again 1"]);
            let head = world.head();
            world.departs(first, 1, how);
            world.pass(Duration::from_secs(100));
            assert!(all(&world, true), "{how:?}");
            assert_eq!(world.head(), head, "{how:?}");
            world.departs(last, 1, how);
            let (soon, wait) = match how {
                Departure::Bye => (true, 0),
                _ => (false, 31),
            };
            assert!(all(&world, !soon), "{how:?}");
            world.pass(Duration::from_secs(wait));
            assert!(all(&world, false), "{how:?}");
            assert_eq!(world.holder(2, "ada"), None);
            assert_eq!(world.head(), head + 1, "one hub has freed it: {how:?}");
        }
    }
}

#[test]
fn where_both_devices_go_at_once_the_name_is_freed_all_the_same() {
    let mut world = World::new(3);
    world.hello_of(0, 1, "Ada", SessionId(1));
    world.hello_of(1, 1, "Ada", SessionId(2));
    let head = world.head();
    world.quiet = true;
    world.departs(0, 1, Departure::Bye);
    world.departs(1, 1, Departure::Bye);
    assert_eq!(world.head(), head, "each takes the other for the last");
    world.quiet = false;
    world.does(0, |_, _, _| {});
    world.pass(Duration::from_secs(64));
    assert_eq!(world.holder(0, "ada"), None);
    assert!((0..3).all(|at| !world.is_here(at, 1)));
    assert_eq!(world.head(), head + 1);
}

#[test]
fn a_session_has_one_connection_and_its_newest_is_elsewhere() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Broken);
    world.hello(1, 1, "Ada");
    world.story(0);
    world.story(1);
    world.hello(0, 1, "Ada");
    assert_eq!(world.story(0), ["again 1"]);
    assert_eq!(world.story(1), ["close 1 of 1"]);
    world.departs(1, 1, Departure::Broken);
    world.pass(Duration::from_secs(100));
    assert!(world.is_here(0, 1) && world.is_here(1, 1));
    assert_eq!((world.story(0), world.story(1)), (vec![], vec![]));
}

#[test]
fn a_member_that_comes_in_while_another_hub_frees_its_name_keeps_it() {
    for heard in [false, true] {
        let mut world = World::new(2);
        world.hello(0, 1, "Ada");
        world.departs(0, 1, Departure::Broken);
        world.pass(Duration::from_secs(28));
        // Where the word that the name is being freed has not come, it is time for that.
        world.quiet = !heard;
        world.slow = Some(Vec::new());
        world.pass(Duration::from_secs(2));
        // The append that frees the name is on its way, and this hub has not read it.
        let waits = world.slow.take().expect("it is slow");
        assert_eq!(waits.len(), 1);
        world.hello(1, 1, "Ada");
        world.slow = Some(waits);
        world.catch_up();
        world.quiet = false;
        world.does(1, |_, _, _| {});
        assert_eq!(world.holder(0, "ada"), Some(member(1)), "{heard}");
        assert_eq!(world.holder(1, "ada"), Some(member(1)), "{heard}");
        assert!(!world.story(1).iter().any(|line| line.starts_with("close")));
    }
}

#[test]
fn where_words_cross_one_hub_frees_the_name() {
    // A hub that begins lets a member in before it is told that another one has.
    let mut world = World::new(1);
    world.sites[0].bench.config.log.shared = true;
    world.sites[0].registry.alone = false;
    world.hello(0, 1, "Ada");
    world.quiet = true;
    let new = world.begin(7, vec![1]);
    world.pass(Duration::from_secs(1));
    world.hello(new, 1, "Ada");
    let hears = |world: &mut World, at: usize, (from, word): (u64, Bytes)| {
        world.does(at, |registry, turn, _| registry.word(turn, from, &word));
    };
    // The other one tells when it is asked, and its connection to the program ends before it
    // hears of the new one.
    let (mut of_new, mut of_old) = (std::mem::take(&mut world.words), VecDeque::new());
    hears(&mut world, 0, of_new.pop_front().expect("it asks"));
    world.departs(0, 1, Departure::Broken);
    of_old.append(&mut world.words);
    of_new
        .into_iter()
        .for_each(|word| hears(&mut world, 0, word));
    of_old
        .into_iter()
        .for_each(|word| hears(&mut world, new, word));
    assert!(world.is_here(0, 1) && world.is_here(new, 1));
    world.quiet = false;
    world.departs(new, 1, Departure::Broken);
    world.pass(Duration::from_secs(31));
    assert_eq!(world.holder(0, "ada"), None);
    assert!(!world.is_here(0, 1) && !world.is_here(new, 1));
}

#[test]
fn a_hub_that_begins_hears_who_is_at_the_others() {
    let mut world = World::new(1);
    world.sites[0].bench.config.log.shared = true;
    world.sites[0].registry.alone = false;
    world.hello(0, 1, "Ada");
    world.hello(0, 2, "Bob");
    world.departs(0, 2, Departure::Broken);
    let new = world.begin(7, vec![1]);
    let head = world.head();
    world.pass(Duration::from_secs(29));
    assert!(world.is_here(new, 1) && world.is_here(new, 2));
    world.pass(Duration::from_secs(60));
    assert!(world.is_here(new, 1) && !world.is_here(new, 2));
    assert_eq!(world.head(), head + 1);
}

#[test]
fn each_hub_has_a_say_in_its_own_connections_alone() {
    for word in ["away", "gone", "lost"] {
        let mut world = World::new(3);
        // Of several members, one at least is the duty of the hub that is looked at.
        let all = 1..=8;
        for who in all.clone() {
            world.hello_of(1, who, &format!("m{who}"), SessionId(1));
            world.hello_of(2, who, &format!("m{who}"), SessionId(2));
        }
        let members: Vec<MemberId> = all.clone().map(member).collect();
        let head = world.head();
        match word {
            "away" => world.hears(0, 2, &Word::Away(Members { members })),
            "gone" => world.hears(0, 2, &Word::Gone(Members { members })),
            _ => world.does(0, |registry, turn, _| registry.lost(turn, 2)),
        }
        world.pass(Duration::from_secs(100));
        assert!(all.clone().all(|who| world.is_here(0, who)), "{word}");
        assert_eq!(world.head(), head, "{word}");
        // The other hub's last word is of its own, too.
        world.does(0, |registry, turn, _| registry.lost(turn, 3));
        world.pass(Duration::from_secs(29));
        assert!(all.clone().all(|who| world.is_here(0, who)), "{word}");
    }
}

#[test]
fn a_name_is_held_where_it_was_and_nobody_is_connected() {
    let mut world = World::new(3);
    for site in &mut world.sites {
        site.bench.config.names = crate::hub::NamePolicy::Held;
    }
    world.hello_of(0, 1, "Ada", SessionId(1));
    world.hello_of(1, 1, "Ada", SessionId(2));
    let head = world.head();
    let all = |world: &World, here| (0..3).all(|at| world.is_here(at, 1) == here);
    // That it is not at the first hub any more does not mean that it is gone.
    world.departs(0, 1, Departure::Broken);
    assert!(all(&world, true));
    world.departs(1, 1, Departure::Broken);
    assert!(all(&world, true));
    world.pass(Duration::from_secs(31));
    assert!(all(&world, false));
    assert_eq!(world.holder(0, "ada"), Some(member(1)));
    assert_eq!(world.head(), head);
}

#[test]
fn a_name_is_freed_although_a_late_word_says_that_another_hub_does_so() {
    let mut world = World::new(2);
    let who = world.duty_of(1, 1);
    world.hello(0, who, "Ada");
    world.pass(Duration::from_secs(1));
    let before = world.log.head(DIRECTORY).place.seq;
    // The word that the member is away is on its way while the name is freed, and the log loses
    // that.
    world.quiet = true;
    world.departs(0, who, Departure::Broken);
    let late = std::mem::take(&mut world.words);
    world.pass(Duration::from_secs(31));
    assert_eq!(world.holder(0, "ada"), None);
    world.words.clear();
    world.log.lose_tail(DIRECTORY, before, 2);
    world.quiet = false;
    for at in 0..2 {
        world.news(at);
    }
    for (from, word) in late {
        world.does(1, |registry, turn, _| registry.word(turn, from, &word));
    }
    world.pass(Duration::from_secs(66));
    assert_eq!(world.holder(1, "ada"), None);
}

#[test]
fn a_hub_at_which_a_member_is_objects_to_its_name_being_freed() {
    // A word of a hub that is gone comes late, and no other word has told where the member is.
    let mut world = World::new(2);
    let who = world.duty_of(1, 1);
    let sessions = vec![(member(who), SessionId(1))];
    world.hears(1, 9, &Word::Arrived(Sessions { sessions }));
    world.quiet = true;
    world.hello(0, who, "Ada");
    world.words.clear();
    world.news(1);
    world.quiet = false;
    let head = world.head();
    world.does(1, |registry, turn, _| registry.lost(turn, 9));
    world.pass(Duration::from_secs(100));
    assert_eq!(world.holder(1, "ada"), Some(member(who)));
    assert_eq!(world.head(), head);
}

#[test]
fn a_hub_that_a_member_has_left_has_no_say_in_where_it_is() {
    let mut world = World::new(3);
    let who = world.duty_of(1, 1);
    world.hello(1, who, "Ada");
    world.departs(1, who, Departure::Broken);
    // A word of before comes late.
    let members = vec![member(who)];
    world.hears(0, 3, &Word::Gone(Members { members }));
    assert!(world.is_here(0, who));
    world.pass(Duration::from_secs(29));
    assert!(world.is_here(0, who));
    world.pass(Duration::from_secs(2));
    assert!(!world.is_here(0, who));
}

#[test]
fn a_member_is_called_the_same_at_all_hubs() {
    let mut world = World::new(3);
    world.hello_of(0, 1, "Ada", SessionId(1));
    // Another device, which was told something else when it began.
    world.hello_of(1, 1, "Eve", SessionId(2));
    assert_eq!(world.story(1), ["again 1"]);
    assert_eq!(world.holder(1, "ada"), Some(member(1)));
    assert_eq!(world.holder(1, "eve"), None);
    world.story(0);
    let nick = client::Nick {
        nick: "Countess".to_owned(),
        label: String::new(),
    };
    world.ask(0, 1, Op::Nick(nick));
    assert_eq!(world.story(0), ["named 1 Countess here", "ok 1"]);
    assert_eq!(world.story(1), ["named 1 Countess elsewhere"]);
    // And while any hub has it, whichever it has left.
    world.departs(0, 1, Departure::Broken);
    world.hello_of(2, 1, "Ada", SessionId(3));
    assert_eq!(world.story(2), ["again 1"]);
    assert_eq!(world.holder(0, "countess"), Some(member(1)));
}

#[test]
fn a_hub_that_is_to_free_a_name_does_not_when_its_member_is_in_elsewhere() {
    let mut world = World::new(2);
    world.hello(0, 1, "Ada");
    world.departs(0, 1, Departure::Broken);
    world.pass(Duration::from_secs(20));
    let head = world.head();
    world.hello(1, 1, "Ada");
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story(1), ["again 1"]);
    assert_eq!(world.head(), head);
    assert!(world.is_here(0, 1) && world.is_here(1, 1));
}

#[test]
fn a_member_that_comes_in_while_its_name_is_freed_for_want_of_news_keeps_it() {
    let mut world = World::new(3);
    let who = world.duty_of(0, 1);
    world.hello(2, who, "Ada");
    world.sites.truncate(2);
    for at in 0..2 {
        world.does(at, |registry, turn, _| registry.lost(turn, 3));
    }
    world.pass(Duration::from_secs(29));
    // Of the member the hub that is to free its name hears too late.
    world.quiet = true;
    world.hello(1, who, "Ada");
    world.pass(Duration::from_secs(4));
    world.quiet = false;
    world.news(1);
    assert_eq!(world.holder(0, "ada"), Some(member(who)));
    assert_eq!(world.holder(1, "ada"), Some(member(who)));
    assert_eq!(world.story(1), [format!("again {who}")]);
}
