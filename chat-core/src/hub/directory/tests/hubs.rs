//! Hubs tell each other of their members, and one of them is lost.

use super::{
    words::{At, Away, Here, Members},
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
fn of_two_hubs_that_let_somebody_in_one_is_right() {
    let (first, second) = (SessionId(1), SessionId(2));
    let mut world = World::new(2);
    world.quiet = true;
    world.hello_of(0, 1, "Ada", first);
    world.hello_of(1, 1, "Ada", second);
    assert_eq!(world.story(0), ["in 1"]);
    assert_eq!(world.story(1), ["again 1"]);
    world.quiet = false;
    world.does(0, |_, _, _| {});
    assert_eq!(world.story(0), ["close 1 replaced"]);
    assert_eq!(world.story(1), [""; 0]);
    world.departs(0, 1, Departure::Replaced);
    // And who goes to and fro is where it was last.
    world.hello_of(0, 1, "Ada", first);
    assert_eq!(world.story(1), ["close 1 replaced"]);
    world.departs(1, 1, Departure::Replaced);
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story(0), ["again 1"]);
    assert!(world.is_here(0, 1) && world.is_here(1, 1));
}

#[test]
fn a_program_that_is_at_two_hubs_comes_back() {
    let mut world = World::new(2);
    world.hello(1, 1, "Ada");
    world.departs(1, 1, Departure::Broken);
    world.hello(1, 1, "Ada");
    // The other hub begins anew, and is not heard to say so: of two lives it takes this for one.
    world.quiet = true;
    world.sites.remove(0);
    let new = world.begin(1, vec![2]);
    world.hello(new, 1, "Ada");
    assert_eq!(world.story(new), ["again 1"]);
    world.quiet = false;
    world.does(new, |_, _, _| {});
    assert_eq!(world.story(new), ["close 1 resync"]);
    world.departs(new, 1, Departure::Broken);
    world.story(0);
    world.hello(new, 1, "Ada");
    assert_eq!(world.story(new), ["again 1"]);
    assert_eq!(world.story(0), ["close 1 resync"]);
    world.departs(0, 1, Departure::Broken);
    world.pass(Duration::from_secs(100));
    assert_eq!(world.story(0), [""; 0]);
    assert!(world.is_here(0, 1) && world.is_here(new, 1));
}

#[test]
fn where_words_cross_one_hub_frees_the_name() {
    // A hub that begins lets somebody in before it is told that another one has; its clock is
    // right, or an hour behind.
    for behind in [0, 3_600_000] {
        let mut world = World::new(1);
        world.sites[0].bench.config.log.shared = true;
        world.sites[0].registry.alone = false;
        world.hello(0, 1, "Ada");
        world.quiet = true;
        let new = world.begin(7, vec![1]);
        world.pass(Duration::from_secs(1));
        world.sites[new].bench.now.wall.0 -= behind;
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
        let closed = world.story(new).contains(&"close 1 resync".to_owned());
        assert_eq!(closed, behind > 0);
        world.departs(new, 1, Departure::Broken);
        world.quiet = false;
        world.pass(Duration::from_secs(31));
        assert_eq!(world.holder(0, "ada"), None, "{behind}");
        assert!(!world.is_here(0, 1) && !world.is_here(new, 1), "{behind}");
    }
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
            stamp: 1,
        };
        let word = match late {
            "here" => Word::Here(Here {
                members: members.into_iter().map(at).collect(),
            }),
            "away" => Word::Away(Away {
                members: members.into_iter().map(|member| (member, 1)).collect(),
            }),
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
    world.pass(Duration::from_secs(64));
    assert_eq!(world.holder(1, "ada"), None);
}

#[test]
fn a_hub_at_which_a_member_is_objects_to_its_name_being_freed() {
    // A hub whose clock was ahead had the member before; a word of that comes late, and the hub is
    // gone.
    let mut world = World::new(2);
    let who = world.duty_of(1, 1);
    let newer = At {
        member: member(who),
        session: SessionId(1),
        stamp: u64::MAX / 2,
    };
    let newer = Word::Here(Here {
        members: vec![newer],
    });
    world.hears(1, 9, &newer);
    world.hello(0, who, "Ada");
    let head = world.head();
    world.does(1, |registry, turn, _| registry.lost(turn, 9));
    world.pass(Duration::from_secs(100));
    assert_eq!(world.holder(1, "ada"), Some(member(who)));
    assert_eq!(world.head(), head);
}
