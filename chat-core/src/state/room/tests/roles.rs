//! The table of rights: every role, every action, every target.

use crate::{
    id::MemberId,
    roles::Role,
    state::{
        Verdict,
        room::{
            Membership, Standing,
            judge::{Ask, Found},
        },
        testing::{World, asked, member, peer},
    },
    wire::{ErrorCode, record::RecordBody},
};

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Done,
    Already,
    Refused(ErrorCode),
}

use ErrorCode::{Forbidden, NotMember, UnknownMember};
use Outcome::{Already, Done, Refused};

/// One of each kind, so that each target is another than the author.
const OWNERS: [MemberId; 2] = [member(1), member(2)];
const MODERATORS: [MemberId; 2] = [member(3), member(4)];
const MEMBERS: [MemberId; 2] = [member(5), member(6)];
/// Known to the directory, and not in the room.
const OUTSIDE: MemberId = member(7);
const BANNED: MemberId = member(8);
/// Unknown to everybody.
const STRANGER: MemberId = member(99);

fn world() -> World {
    let mut world = World::group(&[
        OWNERS[0],
        OWNERS[1],
        MODERATORS[0],
        MODERATORS[1],
        MEMBERS[0],
        MEMBERS[1],
    ]);
    let owner = |txn| asked(OWNERS[0], txn);
    let grant = |member, role| Ask::Role {
        target: peer(member),
        role,
    };
    world.done(&owner(2), &grant(OWNERS[1], Role::Owner));
    world.done(&owner(3), &grant(MODERATORS[0], Role::Moderator));
    world.done(&owner(4), &grant(MODERATORS[1], Role::Moderator));
    let target = peer(BANNED);
    let reason = String::new();
    world.done(&owner(5), &Ask::Ban { target, reason });
    world
}

const AUTHORS: [(&str, MemberId); 4] = [
    ("owner", OWNERS[0]),
    ("moderator", MODERATORS[0]),
    ("member", MEMBERS[0]),
    ("outside", OUTSIDE),
];

const TARGETS: [(&str, MemberId); 6] = [
    ("owner", OWNERS[1]),
    ("moderator", MODERATORS[1]),
    ("member", MEMBERS[1]),
    ("outside", OUTSIDE),
    ("banned", BANNED),
    ("stranger", STRANGER),
];

const ACTIONS: [&str; 9] = [
    "kick",
    "ban",
    "unban",
    "mute",
    "unmute",
    "redact",
    "make member",
    "make moderator",
    "make owner",
];

fn ask(action: &str, target: MemberId) -> Ask {
    let reason = String::new();
    let grant = |role| Ask::Role {
        target: peer(target),
        role,
    };
    match action {
        "make member" => return grant(Role::Member),
        "make moderator" => return grant(Role::Moderator),
        "make owner" => return grant(Role::Owner),
        "redact" => {
            let found = Some(Found {
                seq: 1,
                redacted: None,
                epoch: 1,
            });
            let target = asked(target, 77).id();
            return Ask::Redact { target, found };
        }
        _ => {}
    }
    let target = peer(target);
    match action {
        "kick" => Ask::Kick { target, reason },
        "ban" => Ask::Ban { target, reason },
        "unban" => Ask::Unban { target },
        "mute" => Ask::Mute {
            target,
            seconds: None,
        },
        "unmute" => Ask::Unmute { target },
        other => panic!("no such action: {other}"),
    }
}

/// The table of the specification, read once more.
fn expected(author: &str, action: &str, target: &str) -> Outcome {
    if author == "outside" {
        return Refused(NotMember);
    }
    let is_in = matches!(target, "owner" | "moderator" | "member" | "self");
    match action {
        "redact" => return expected_of_redaction(author, target),
        "unban" => {
            return match (author, target) {
                ("member", _) => Refused(Forbidden),
                (_, "banned") => Done,
                _ => Refused(UnknownMember),
            };
        }
        "ban" => {
            return match (author, target) {
                ("member", _) | (_, "self" | "owner") => Refused(Forbidden),
                ("moderator", "moderator") => Refused(Forbidden),
                (_, "banned") => Already,
                _ => Done,
            };
        }
        _ => {}
    }
    if target == "stranger" {
        return Refused(UnknownMember);
    }
    if !is_in {
        return Refused(NotMember);
    }
    let is_above = match target {
        "member" => matches!(author, "moderator" | "owner"),
        "moderator" => author == "owner",
        _ => false,
    };
    match action {
        "kick" | "mute" if is_above => Done,
        // There are no mutes here.
        "unmute" if is_above => Already,
        "kick" | "mute" | "unmute" => Refused(Forbidden),
        _ if author != "owner" => Refused(Forbidden),
        // There is another owner, so that each may step down.
        "make owner" if target == "self" => Already,
        make if make.ends_with(target) => Already,
        _ => Done,
    }
}

fn expected_of_redaction(author: &str, target: &str) -> Outcome {
    match (author, target) {
        (_, "self") | ("owner", _) => Done,
        ("moderator", "owner") | ("member", _) => Refused(Forbidden),
        _ => Done,
    }
}

fn outcome(world: &World, author: MemberId, ask: &Ask) -> Outcome {
    match world.judge(&asked(author, 1_000), ask) {
        Verdict::Accept(_) => Done,
        Verdict::Already => Already,
        Verdict::Refuse(refusal) => Refused(refusal.code),
        other => panic!("{ask:?}: {other:?}"),
    }
}

#[test]
fn every_role_may_do_to_every_target_what_the_specification_says() {
    let world = world();
    for (author_is, author) in AUTHORS {
        for action in ACTIONS {
            for (target_is, target) in TARGETS.into_iter().chain([("self", author)]) {
                assert_eq!(
                    outcome(&world, author, &ask(action, target)),
                    expected(author_is, action, target_is),
                    "{author_is}: {action} {target_is}",
                );
            }
        }
    }
}

#[test]
fn topic_and_password_are_for_those_whom_the_specification_names() {
    let world = world();
    let topic = Ask::Topic("coffee".to_owned());
    let topics = AUTHORS.map(|(_, author)| outcome(&world, author, &topic));
    assert_eq!(topics, [Done, Done, Refused(Forbidden), Refused(NotMember)]);
}

#[test]
fn the_only_owner_cannot_step_down() {
    let mut world = World::group(&[member(1), member(2)]);
    let owner = asked(member(1), 9);
    let step_down = ask("make moderator", member(1));
    assert_eq!(world.refused(&owner, &step_down), Forbidden);
    world.done(&asked(member(1), 2), &ask("make owner", member(2)));
    world.done(&owner, &step_down);
    assert_eq!(
        world.room.membership(member(1)).unwrap().role,
        Role::Moderator
    );
}

#[test]
fn a_role_that_this_program_does_not_know_is_given_to_nobody_and_owns_nothing() {
    let mut world = world();
    let target = peer(MEMBERS[0]);
    let role = Role::Other(9);
    let grant = Ask::Role { target, role };
    let refusal = world.refused(&asked(OWNERS[0], 9), &grant);
    assert_eq!(refusal, Forbidden);
    // Another program did it: its holder may do nothing for that, and the owners may put it out.
    let change = crate::wire::record::RoleChange {
        target: MEMBERS[0],
        nick: String::new(),
        role,
    };
    world.append_body(&asked(OWNERS[0], 10), RecordBody::Role(change));
    let Membership { standing, .. } = world.room.membership(MEMBERS[0]).unwrap();
    assert_eq!(standing, Standing::Member);
    for action in ["kick", "mute", "ban"] {
        let by_other = outcome(&world, MEMBERS[0], &ask(action, MEMBERS[1]));
        assert_eq!(by_other, Refused(Forbidden), "{action}");
        let of_other = outcome(&world, OWNERS[0], &ask(action, MEMBERS[0]));
        assert_eq!(of_other, Done, "{action}");
    }
    // The last owner leaves: it is a moderator that takes over.
    world.done(&asked(OWNERS[1], 2), &Ask::Leave);
    world.done(&asked(OWNERS[0], 11), &Ask::Leave);
    assert!(world.room.is_owner(MODERATORS[0]));
}

#[test]
fn a_peer_is_found_by_nick_and_a_banned_one_by_what_it_was_called() {
    let mut world = world();
    let nick = |nick: &str| crate::wire::client::Peer::Nick(nick.to_owned());
    let owner = asked(OWNERS[0], 20);
    let target = nick("m5");
    let reason = String::new();
    world.done(&owner, &Ask::Kick { target, reason });
    assert_eq!(world.room.standing(member(5)), None);
    world.people.nicks.insert(BANNED, "other".to_owned());
    let target = nick("nobody");
    let refusal = world.refused(&asked(OWNERS[0], 21), &Ask::Unban { target });
    assert_eq!(refusal, UnknownMember);
    let target = nick("m8");
    world.done(&asked(OWNERS[0], 21), &Ask::Unban { target });
    assert!(!world.room.is_banned(BANNED));
}
