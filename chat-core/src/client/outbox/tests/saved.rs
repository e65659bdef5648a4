//! The outbox of an earlier life.

use super::*;

#[test]
fn a_saved_outbox_goes_on_where_it_was() {
    let session = SessionId(99);
    let mut desk = Desk::new();
    desk.say("asked");
    let asked = desk.post();
    let redact = Command::Redact {
        room: ROOM,
        target: MessageId {
            member: MemberId([1; 16]),
            session,
            txn: 4,
        },
        seq: 7,
    };
    let direct = Command::Direct {
        to: Peer::Nick("Bela".to_owned()),
    };
    for command in [redact.clone(), direct.clone()] {
        desk.command(command);
    }
    desk.say("unsent");
    // Of no use to another life, or a secret.
    desk.command(Command::Members { room: ROOM });
    desk.command(join(Some("swordfish")));
    let bytes = desk.outbox.to_bytes(session);

    let mut next = Desk::new();
    next.now.wall = desk.now.wall + 20 * MINUTE;
    let restored = Restored::from_bytes(&bytes).expect("an outbox");
    assert_eq!(restored.session, session);
    let tickets = &mut next.tickets;
    let commands = next.outbox.restore(next.now, restored, || {
        *tickets += 1;
        Ticket(*tickets)
    });
    let commands: Vec<_> = commands.into_iter().map(|(_, command)| command).collect();
    let said = |text: &str| Command::Send {
        room: ROOM,
        action: false,
        text: text.to_owned(),
    };
    assert_eq!(commands, [said("asked"), redact, direct, said("unsent")]);
    let ends = next.outbox.deadline().expect("a doubt ends");
    assert_eq!(ends - next.now.monotonic, 30 * MINUTE);
    let again = next.post();
    assert_eq!((again[0].txn, &again[0].op), (1, &asked[0].op));
    assert_eq!(
        txns(&again),
        [1, 2],
        "the one in doubt, and the lane of no room"
    );
    next.answer(&again[0]);
    assert_eq!(txns(&next.post()), [3], "the redact goes alone");

    for spoiled in [&[][..], &bytes[1..], &bytes[..bytes.len() - 1]] {
        assert!(Restored::from_bytes(spoiled).is_none());
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(Restored::from_bytes(&longer).is_none());
}

#[test]
fn what_was_not_saved_holds_nothing_up() {
    let mut desk = Desk::new();
    desk.command(Command::Create(crate::client::command::Create::default()));
    desk.command(Command::Direct {
        to: Peer::Member(MemberId([1; 16])),
    });
    assert_eq!(desk.post().len(), 2);
    let bytes = desk.outbox.to_bytes(SessionId(99));
    let mut next = Desk::new();
    next.tickets = 1;
    let restored = Restored::from_bytes(&bytes).expect("an outbox");
    next.outbox.restore(next.now, restored, || Ticket(1));
    next.command(Command::Direct {
        to: Peer::Member(MemberId([2; 16])),
    });
    assert_eq!(txns(&next.post()), [2], "the one that was saved, alone");
}

#[test]
fn what_was_in_doubt_when_the_program_ended_follows_the_same_rules() {
    let bytes = {
        let mut desk = Desk::new();
        desk.say("a");
        desk.post();
        desk.outbox.to_bytes(SessionId(99))
    };
    for (later, reach, again) in [
        (49 * MINUTE, Reach::Inside { epoch: EPOCH }, 1),
        (49 * MINUTE, Reach::Inside { epoch: EPOCH + 1 }, 0),
        (49 * MINUTE, Reach::Outside, 0),
        (50 * MINUTE, Reach::Inside { epoch: EPOCH }, 0),
    ] {
        let mut next = Desk::new();
        next.now.wall = next.now.wall + later;
        next.reach = reach;
        let restored = Restored::from_bytes(&bytes).expect("an outbox");
        next.outbox.restore(next.now, restored, || Ticket(1));
        assert_eq!(next.post().len(), again, "{later:?} {reach:?}");
        assert_eq!(next.ended(), vec![(Ticket(1), UNKNOWN); 1 - again]);
    }
}

#[test]
fn each_change_is_saved_as_it_was_given() {
    let (member, target) = (MemberId([3; 16]), Peer::Nick("Bela".to_owned()));
    let message = MessageId {
        member,
        session: SessionId(4),
        txn: 5,
    };
    let changes = [
        Command::Leave { room: ROOM },
        Command::Direct { to: target.clone() },
        Command::Topic {
            room: ROOM,
            topic: "tea".to_owned(),
        },
        Command::Role {
            room: ROOM,
            target: target.clone(),
            role: crate::roles::Role::Moderator,
        },
        Command::Kick {
            room: ROOM,
            target: target.clone(),
            reason: "noise".to_owned(),
        },
        Command::Ban {
            room: ROOM,
            target: target.clone(),
            reason: "noise".to_owned(),
        },
        Command::Unban {
            room: ROOM,
            target: target.clone(),
        },
        Command::Mute {
            room: ROOM,
            target: target.clone(),
            seconds: Some(60),
        },
        Command::Unmute { room: ROOM, target },
        Command::Block {
            room: ROOM,
            blocked: true,
        },
        Command::Redact {
            room: ROOM,
            target: message,
            seq: 6,
        },
    ];
    for change in changes {
        let mut desk = Desk::new();
        // A name stands in the next `hello`, and a join may hold a password.
        desk.command(Command::Nick {
            nick: "Ada".to_owned(),
            label: String::new(),
        });
        desk.command(join(None));
        desk.command(change.clone());
        let bytes = desk.outbox.to_bytes(SessionId(99));
        let restored = Restored::from_bytes(&bytes).expect("an outbox");
        let mut next = Desk::new();
        let commands = next.outbox.restore(next.now, restored, || Ticket(1));
        assert_eq!(commands, [(Ticket(1), change)]);
    }
}
