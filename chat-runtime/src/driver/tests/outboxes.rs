//! Full outboxes: what is skipped, in which order that is told, and when there is room again.

use super::*;

/// The log's answer is there before the machine has said all; the outbox overflows after that.
#[tokio::test(start_paused = true)]
async fn what_was_skipped_is_told_before_any_answer() {
    let mut rig = Rig::start().await;
    let (conn, _far) = rig.connect(1).await;
    rig.say(vec![
        append(),
        fan_out(&[conn], 1, OUTBOX + 1),
        fan_out(&[conn], 2, 10),
    ])
    .await;
    assert_eq!(
        rig.told(),
        [
            Told::Blocked(conn, Some(1)),
            Told::Blocked(conn, Some(2)),
            Told::Committed(DIRECTORY),
            Told::Drained(conn),
        ]
    );
}

/// The same of an answer that was waited for.
#[tokio::test(start_paused = true)]
async fn what_was_skipped_is_told_before_an_answer_that_was_waited_for() {
    let mut rig = Rig::start().await;
    let (conn, _far) = rig.connect(1).await;
    let (room, other) = (Partition::Room(ROOM), Partition::Room(RoomId([8; 16])));
    rig.log.hold();
    for partition in [room, other] {
        let mut append = append();
        if let Output::Append { partition: of, .. } = &mut append {
            *of = partition;
        }
        rig.say(vec![append]).await;
    }
    assert_eq!(rig.log.held(2).await, [room, other]);
    // Whichever answer is first, it is the first that overflows the outbox.
    for partition in [room, other] {
        let skipped = vec![fan_out(&[conn], 1, OUTBOX + 1), fan_out(&[conn], 2, 10)];
        rig.answer(Told::Committed(partition), skipped);
    }
    rig.log.release_all();
    rig.idle().await;
    let told = rig.told();
    let [Told::Committed(_), one, two, Told::Committed(_), drained] = told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        [one, two, drained],
        [
            Told::Blocked(conn, Some(1)),
            Told::Blocked(conn, Some(2)),
            Told::Drained(conn),
        ]
    );
}

/// Two have room again at the same time; what the machine says to the first overflows a third.
#[tokio::test(start_paused = true)]
async fn what_was_skipped_is_told_before_who_has_room_again() {
    let mut rig = Rig::start().await;
    let (one, _far_one) = rig.connect(100).await;
    let (two, _far_two) = rig.connect(100).await;
    let (full, _far_full) = rig.connect(1).await;
    rig.answer(
        Told::Drained(one),
        vec![fan_out(&[full], 1, OUTBOX + 1), fan_out(&[full], 2, 10)],
    );
    rig.say(vec![
        Output::Block { conn: one },
        Output::Block { conn: two },
    ])
    .await;
    assert_eq!(
        rig.told(),
        [
            Told::Drained(one),
            Told::Blocked(full, Some(1)),
            Told::Blocked(full, Some(2)),
            Told::Drained(two),
            Told::Drained(full),
        ]
    );
}

/// All goes through at once, and still the hub does not hear of room before it hears of the want.
#[tokio::test(start_paused = true)]
async fn a_connection_is_not_drained_before_it_was_blocked() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(100_000).await;
    rig.say(vec![
        fan_out(&[conn], 1, OUTBOX + 1),
        send(conn, 4 * OUTBOX),
        send(conn, 4 * OUTBOX),
        fan_out(&[conn], 2, 10),
    ])
    .await;
    assert_eq!(
        rig.told(),
        [
            Told::Blocked(conn, Some(1)),
            Told::Blocked(conn, Some(2)),
            Told::Drained(conn),
        ]
    );
    assert_eq!(far.read(100_000), Some(8 * OUTBOX));
}

/// Skipped fan-outs are told one by one, and the flag stays until the hub takes it away, which it
/// cannot while it does not know all that was skipped.
#[tokio::test(start_paused = true)]
async fn a_flag_is_taken_away_when_all_is_told() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(1).await;
    rig.say(vec![
        fan_out(&[conn], 1, OUTBOX + 1),
        Output::Resume { conn },
        fan_out(&[conn], 2, 10),
    ])
    .await;
    let skipped = [
        Told::Blocked(conn, Some(1)),
        Told::Blocked(conn, Some(2)),
        Told::Drained(conn),
    ];
    assert_eq!(rig.told(), skipped);
    // The hub is not told again of what it knows to be skipped.
    rig.say(vec![fan_out(&[conn], 3, 10)]).await;
    assert_eq!((rig.told(), far.read(9)), (vec![], Some(0)));
    rig.say(vec![Output::Resume { conn }, fan_out(&[conn], 4, 10)])
        .await;
    assert_eq!((rig.told(), far.read(9)), (vec![], Some(1)));
}

/// An outbox over its limit is not read for; below half of it, the hub is told and reading goes on,
/// though the peer says nothing more.
#[tokio::test(start_paused = true)]
async fn below_half_a_connection_is_heard_and_told_of() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(100).await;
    rig.say(vec![
        Output::Block { conn },
        send(conn, OUTBOX + 200),
        Output::Credit { conn },
    ])
    .await;
    far.write(b"are you there?");
    rig.idle().await;
    assert_eq!(rig.told(), []);
    // 100 bytes are in the pipe; half of the limit still waits after these.
    for taken in 1..=6 {
        assert_eq!(far.read(100), Some(100));
        rig.idle().await;
        assert_eq!(rig.told(), [], "{taken} of 12");
    }
    assert_eq!(far.read(1), Some(1));
    rig.idle().await;
    let mut told = rig.told();
    told.sort_by_key(|told| format!("{told:?}"));
    assert_eq!(
        told,
        [
            Told::Credit(conn),
            Told::Drained(conn),
            Told::Received(conn, 14),
        ]
    );
}

/// After each answer to a flagged connection, its room is told anew.
#[tokio::test(start_paused = true)]
async fn room_is_told_once_for_each_answer() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(100).await;
    rig.say(vec![Output::Block { conn }]).await;
    assert_eq!(rig.told(), [Told::Drained(conn)]);
    rig.say(vec![send(conn, 50)]).await;
    assert_eq!(rig.told(), [Told::Drained(conn)]);
    rig.say(vec![send(conn, OUTBOX)]).await;
    assert_eq!(rig.told(), []);
    while far.read(100) != Some(0) {
        rig.idle().await;
    }
    assert_eq!(rig.told(), [Told::Drained(conn)]);
}

/// Room that is gone again before the hub could be told of it is not told before it is there.
#[tokio::test(start_paused = true)]
async fn room_that_is_gone_again_is_not_told() {
    let mut rig = Rig::start().await;
    let (one, _far_one) = rig.connect(100).await;
    let (two, mut far_two) = rig.connect(100).await;
    let (three, mut far_three) = rig.connect(100).await;
    let answers = vec![send(two, OUTBOX), send(three, OUTBOX)];
    rig.answer(Told::Drained(one), answers);
    rig.say(vec![
        Output::Block { conn: one },
        Output::Block { conn: two },
        Output::Credit { conn: three },
    ])
    .await;
    assert_eq!(rig.told(), [Told::Drained(one)]);
    for (far, told) in [
        (&mut far_two, Told::Drained(two)),
        (&mut far_three, Told::Credit(three)),
    ] {
        while far.read(100) != Some(0) {
            rig.idle().await;
        }
        assert_eq!(rig.told(), [told]);
    }
}

/// Frames that may wait count as much as those that are written.
#[tokio::test(start_paused = true)]
async fn frames_that_are_kept_back_count() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(10).await;
    rig.say(vec![send(conn, 10)]).await;
    for seq in 1..=10 {
        rig.say(vec![patient(&[conn], seq, 100)]).await;
    }
    // They fill the outbox to the last byte, and nothing of them is written yet.
    assert_eq!(rig.told(), []);
    rig.say(vec![patient(&[conn], 11, 100)]).await;
    assert_eq!(rig.told(), [Told::Blocked(conn, Some(11))]);
    let mut all = 0;
    while let Some(read @ 1..) = far.read(10) {
        all += read;
        rig.idle().await;
    }
    assert_eq!(all, 10 + 10 * 100);
    assert_eq!(rig.told(), [Told::Drained(conn)]);
}

/// A frame that may wait is written within a second, and before whatever comes after it.
#[tokio::test(start_paused = true)]
async fn frames_that_are_kept_back_come_within_a_second_and_in_order() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(1_000).await;
    rig.say(vec![send(conn, 10)]).await;
    assert_eq!(far.read(1_000), Some(10));
    rig.say(vec![patient(&[conn], 1, 20)]).await;
    sleep(Duration::from_millis(900)).await;
    assert_eq!(far.read(1_000), Some(0));
    sleep(Duration::from_millis(110)).await;
    assert_eq!(far.read(1_000), Some(20));
    rig.say(vec![patient(&[conn], 2, 30)]).await;
    rig.say(vec![fan_out(&[conn], 3, 40)]).await;
    assert_eq!(far.read(34), Some(34));
    assert_eq!(far.read(1_000), Some(36));
}

/// Four times the limit is too much: the hub hears that before anything but what was skipped, and
/// nothing more is put into the outbox until then.
#[tokio::test(start_paused = true)]
async fn an_outbox_that_is_overfull_is_told_after_what_was_skipped() {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(100).await;
    rig.answer(Told::Overfull(conn), vec![send(conn, 30), close(conn)]);
    rig.say(vec![
        append(),
        send(conn, 4 * OUTBOX + 200),
        fan_out(&[conn], 1, 10),
        send(conn, 10),
        send(conn, 20),
    ])
    .await;
    assert_eq!(
        rig.told(),
        [
            Told::Blocked(conn, Some(1)),
            Told::Overfull(conn),
            Told::Committed(DIRECTORY),
        ]
    );
    // The frame that was begun, and the words that close.
    let mut all = 0;
    while let Some(read @ 1..) = far.read(100) {
        all += read;
        rig.idle().await;
    }
    assert_eq!(all, 4 * OUTBOX + 200 + 30);
}
