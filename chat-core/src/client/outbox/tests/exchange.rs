//! Password exchanges, and rooms that are left again.

use super::*;

#[test]
fn an_exchange_goes_on_alone_and_begins_anew_after_a_lost_connection() {
    let mut desk = Desk::new();
    let first = desk.command(join(Some("swordfish")));
    let second = desk.command(Command::Join {
        room: RoomRef::Number(4),
        password: Some(Password::new("codfish")),
        key: None,
        unsealed_too: false,
    });
    let login = desk.post();
    assert!(matches!(
        &login[..],
        [Request {
            op: Op::Login(_),
            txn: 0,
            ..
        }]
    ));
    let job = desk
        .outbox
        .unanswered
        .remove(&login[0].id)
        .expect("it was asked");
    desk.outbox.work(job);
    assert!(desk.post().is_empty(), "the driver works");
    desk.outbox.worked(first, None);
    let joins = desk.post();
    assert!(matches!(
        &joins[..],
        [Request {
            op: Op::Join(_),
            txn: 1,
            ..
        }]
    ));
    desk.lose_connection();
    assert_eq!(
        desk.wanted,
        [Effect::Restart(first)],
        "{second:?} had not begun"
    );
    let logins = desk.post();
    assert!(matches!(
        &logins[..],
        [Request {
            op: Op::Login(_),
            ..
        }]
    ));
}

#[test]
fn a_wrong_password_is_the_end_whatever_the_server_says_to_the_join_that_tells_of_it() {
    for code in [
        ErrorCode::Unavailable,
        ErrorCode::Banned,
        ErrorCode::WrongPassword,
    ] {
        let mut desk = Desk::new();
        let ticket = desk.command(join(Some("codfish")));
        let login = desk.post();
        let job = desk
            .outbox
            .unanswered
            .remove(&login[0].id)
            .expect("it was asked");
        desk.outbox.work(job);
        desk.outbox
            .worked(ticket, Some(CommandError::WrongPassword));
        let joins = desk.post();
        desk.refuse(&joins[0], code);
        assert_eq!(desk.ended(), [(ticket, Err(CommandError::WrongPassword))]);
    }
}

#[test]
fn the_key_of_a_password_that_was_refused_for_good_is_given_up_and_one_in_doubt_is_not() {
    for (doubt, abandoned) in [(false, true), (true, false)] {
        let mut desk = Desk::new();
        let ticket = desk.command(Command::SetPassword {
            room: ROOM,
            password: Password::new("new"),
        });
        let registers = desk.post();
        let job = desk.outbox.unanswered.remove(&registers[0].id);
        desk.outbox.work(job.expect("it was asked"));
        desk.outbox.worked(ticket, None);
        let mut proposals = desk.post();
        assert!(matches!(
            &proposals[..],
            [Request {
                op: Op::Password(_),
                ..
            }]
        ));
        if doubt {
            desk.lose_connection();
            proposals = desk.post();
        }
        desk.refuse(&proposals[0], ErrorCode::Forbidden);
        let abandon = Effect::Abandon { ticket, room: ROOM };
        assert_eq!(desk.wanted.contains(&abandon), abandoned);
        let unknown = desk.ended() == [(ticket, UNKNOWN)];
        assert_eq!(unknown, doubt);
    }
}

#[test]
fn a_room_that_was_joined_by_mistake_is_left_before_all_else() {
    let mut desk = Desk::new();
    let ticket = desk.command(Command::Join {
        room: RoomRef::Id(ROOM),
        password: None,
        key: None,
        unsealed_too: false,
    });
    let joins = desk.post();
    let job = desk
        .outbox
        .unanswered
        .remove(&joins[0].id)
        .expect("it was asked");
    desk.say("waits");
    let number = desk.command(join(None));
    let wrong = CommandError::KeyRolledBack;
    desk.outbox.undo(job, ROOM, wrong.clone());
    assert!(desk.outbox.is_undoing(ROOM));
    let leaves = desk.post();
    assert!(matches!(
        &leaves[..],
        [Request {
            op: Op::Leave(_),
            txn: 2,
            ..
        }]
    ));
    desk.answer(&leaves[0]);
    assert_eq!(desk.ended(), [(ticket, Err(wrong))]);
    assert!(!desk.outbox.is_undoing(ROOM));
    assert_eq!(desk.post().len(), 2, "{number:?} goes too");
}

/// A change of the password, as it was proposed.
fn proposed(desk: &mut Desk) -> (Ticket, Vec<Request>) {
    let ticket = desk.command(Command::SetPassword {
        room: ROOM,
        password: Password::new("new"),
    });
    let registers = desk.post();
    let job = desk.outbox.unanswered.remove(&registers[0].id);
    desk.outbox.work(job.expect("it was asked"));
    desk.outbox.worked(ticket, None);
    (ticket, desk.post())
}

#[test]
fn a_change_in_doubt_of_which_the_server_knows_nothing_begins_anew_a_few_times() {
    let mut desk = Desk::new();
    let (ticket, _) = proposed(&mut desk);
    for _ in 0..3 {
        desk.lose_connection();
        let again = desk.post();
        // The registration died with the connection, so that the change was not done.
        desk.refuse(&again[0], ErrorCode::BadRequest);
        assert_eq!(core::mem::take(&mut desk.wanted), [Effect::Restart(ticket)]);
        let registers = desk.post();
        assert!(matches!(registers[0].op, Op::Register(_)));
        let job = desk.outbox.unanswered.remove(&registers[0].id);
        desk.outbox.work(job.expect("it was asked"));
        desk.outbox.worked(ticket, None);
        assert!(matches!(desk.post()[0].op, Op::Password(_)));
    }
    desk.lose_connection();
    let again = desk.post();
    desk.refuse(&again[0], ErrorCode::BadRequest);
    assert_eq!(desk.ended().len(), 1, "that is enough");
}

#[test]
fn a_change_that_the_server_takes_for_no_request_was_not_done() {
    let mut desk = Desk::new();
    let (ticket, proposals) = proposed(&mut desk);
    desk.refuse(&proposals[0], ErrorCode::BadRequest);
    assert!(!desk.wanted.contains(&Effect::Restart(ticket)));
    let ended = desk.ended();
    assert!(matches!(&ended[..], [(one, Err(CommandError::Refused(_)))] if *one == ticket));
}
