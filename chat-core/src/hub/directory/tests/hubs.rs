//! What hubs tell each other of their members, and what is done when one is lost.

use super::{
    words::{At, Here, Members},
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
    world.pass(Duration::from_secs(2));
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
fn of_two_hubs_that_let_somebody_in_one_is_right() {
    let mut world = World::new(2);
    world.quiet = true;
    world.hello(0, 1, "Ada");
    world.hello(1, 1, "Ada");
    assert_eq!(world.story(0), ["in 1"]);
    assert_eq!(world.story(1), ["again 1"]);
    world.quiet = false;
    world.does(0, |_, _, _| {});
    assert_eq!(world.story(0), ["close 1 replaced"]);
    assert_eq!(world.story(1), [""; 0]);
    world.departs(0, 1, Departure::Replaced);
    // And who goes to and fro is where it was last.
    world.hello(0, 1, "Ada");
    assert_eq!(world.story(1), ["close 1 replaced"]);
    world.departs(1, 1, Departure::Replaced);
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story(0), ["again 1"]);
    assert!(world.is_here(0, 1) && world.is_here(1, 1));
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
fn a_hub_that_a_member_has_left_has_no_say_in_where_it_is() {
    for late in ["here", "away", "gone"] {
        let mut world = World::new(3);
        // Of several members, one at least is the duty of the hub that is looked at.
        let all = 1..=8;
        for who in all.clone() {
            world.hello(1, who, &format!("m{who}"));
            world.hello(2, who, &format!("m{who}"));
            world.departs(1, who, Departure::Replaced);
        }
        let members: Vec<MemberId> = all.clone().map(member).collect();
        let at = |member| At {
            member,
            session: SessionId(1),
            count: 1,
        };
        let word = match late {
            "here" => Word::Here(Here {
                members: members.into_iter().map(at).collect(),
            }),
            "away" => Word::Away(Members { members }),
            _ => Word::Gone(Members { members }),
        };
        world.hears(0, 2, &word);
        assert!(all.clone().all(|who| world.is_here(0, who)), "{late}");
        let head = world.head();
        world.does(0, |registry, turn, _| registry.lost(turn, 2));
        world.pass(Duration::from_secs(100));
        assert!(all.clone().all(|who| world.is_here(0, who)), "{late}");
        assert_eq!(world.head(), head, "{late}");
    }
}
