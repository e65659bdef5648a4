//! How much is read from one connection before others have their turn.

use chat_core::{hub::Framing, wire::Form};

use super::*;
use crate::Transport;

/// The bytes that came of the first before anything of the second was read, and how often.
fn before(told: &[Told], first: ConnId, second: ConnId) -> (usize, usize) {
    let turn = told
        .iter()
        .take_while(|told| !matches!(told, Told::Received(conn, _) if *conn == second));
    let read = turn.filter_map(|told| match told {
        Told::Received(conn, bytes) if *conn == first => Some(*bytes),
        _ => None,
    });
    read.fold((0, 0), |(bytes, reads), read| (bytes + read, reads + 1))
}

#[tokio::test(start_paused = true)]
async fn who_sends_without_end_is_read_a_bounded_amount_of() {
    let rig = Rig::start().await;
    let (flood, mut far_flood) = rig.connect(10_000_000).await;
    let (calm, mut far_calm) = rig.connect(100).await;
    far_flood.write(&vec![b'x'; 1_000_000]);
    far_calm.write(b"and I?");
    rig.idle().await;
    let told = rig.told();
    let (bytes, _) = before(&told, flood, calm);
    assert!((1..=2 * 65_536 + 5).contains(&bytes), "{bytes} bytes");
    // In the end, everything is read.
    let never = ConnId {
        slot: u32::MAX,
        generation: 0,
    };
    assert_eq!(before(&told, flood, never).0, 1_000_000);
    assert_eq!(before(&told, calm, never).0, 6);
}

#[tokio::test(start_paused = true)]
async fn who_sends_many_short_messages_is_read_a_bounded_number_of() {
    let rig = Rig::start().await;
    let (mut transport, connector) = memory::listener();
    let connector = connector.speaking(Framing::Message, Form::Postcard);
    let mut far_flood = Far(connector.open().await.unwrap());
    rig.orders
        .send(Order::Add(transport.accept().await.unwrap()))
        .await
        .unwrap();
    rig.idle().await;
    let [Told::Connected(flood)] = rig.told()[..] else {
        panic!("connected");
    };
    let (calm, mut far_calm) = rig.connect(100).await;
    for _ in 0..1_000 {
        far_flood.write(b"x");
    }
    far_calm.write(b"and I?");
    rig.idle().await;
    let told = rig.told();
    let (_, reads) = before(&told, flood, calm);
    assert!((1..=64).contains(&reads), "{reads} messages");
}

/// The first append to each of so many rooms, of so many bytes.
fn appends(rooms: u16, bytes: usize) -> Vec<Output> {
    let entries = || vec![Bytes::from(vec![b'x'; bytes])];
    let partition = |room: u16| {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&room.to_be_bytes());
        Partition::Room(RoomId(id))
    };
    let append = |room| Output::Append {
        partition: partition(room),
        expected: Place {
            epoch: EPOCH,
            seq: 0,
        },
        entries: entries(),
        note: Bytes::new(),
    };
    (0..rooms).map(append).collect()
}

/// The answers of so many appends are waited for, and a connection has something to say.
async fn waits_for(rooms: u16, bytes: usize) -> (Rig, ConnId, Far) {
    let mut rig = Rig::start().await;
    let (conn, mut far) = rig.connect(100).await;
    rig.log.hold();
    rig.say(appends(rooms, bytes)).await;
    far.write(b"and I?");
    rig.idle().await;
    (rig, conn, far)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_while_the_log_has_more_to_do_than_it_should() {
    for (rooms, bytes) in [(1_024, 1), (16, 1_024 * 1_024)] {
        let (rig, conn, _far) = waits_for(rooms, bytes).await;
        assert_eq!(rig.told(), [], "{rooms} appends of {bytes} bytes");
        rig.log.release_all();
        rig.idle().await;
        let told = rig.told();
        assert!(told.contains(&Told::Received(conn, 6)), "{told:?}");
        assert_eq!(told.len(), usize::from(rooms) + 1);
    }
    for (rooms, bytes) in [(1_023, 1), (15, 1_024 * 1_024)] {
        let (rig, conn, _far) = waits_for(rooms, bytes).await;
        assert_eq!(rig.told(), [Told::Received(conn, 6)]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_an_append_to_a_room_waits_until_all_that_came_is_read() {
    let rig = Rig::start().await;
    let (first, mut far_first) = rig.connect(100).await;
    let (second, mut far_second) = rig.connect(100).await;
    let read = [Told::Received(first, 5), Told::Received(second, 6)];
    let room = Told::Committed(Partition::Room(RoomId([0; 16])));
    rig.answer(read[0], appends(1, 1));
    far_first.write(b"first");
    far_second.write(b"second");
    rig.idle().await;
    assert_eq!(rig.told(), [read[0], read[1], room]);
    // A name is waited for, and has nothing to share a batch with.
    rig.answer(read[0], vec![append()]);
    far_first.write(b"first");
    far_second.write(b"second");
    rig.idle().await;
    assert_eq!(rig.told(), [read[0], Told::Committed(DIRECTORY), read[1]]);
}

/// Connections of one network that flood the machine, which takes a millisecond for each of their
/// messages.
pub(super) async fn flood(rig: &Rig, connections: usize) -> Vec<(ConnId, Far)> {
    let (mut transport, connector) = memory::listener();
    let connector = connector.seen_as([192, 0, 2, 1].into());
    let mut all = Vec::new();
    for _ in 0..connections {
        let far = Far(connector.open().await.unwrap());
        rig.add_boxed(transport.accept().await.unwrap()).await;
        let [Told::Connected(conn)] = rig.told()[..] else {
            panic!("connected");
        };
        all.push((conn, far));
    }
    rig.script().takes = Duration::from_millis(1);
    all
}

#[tokio::test(start_paused = true)]
async fn a_network_that_has_taken_more_than_its_share_comes_after_others() {
    let rig = Rig::start().await;
    let mut flood = flood(&rig, 20).await;
    let (calm, mut far_calm) = rig.connect(100).await;
    for round in 0..2 {
        for (_, far) in &mut flood {
            far.write(b"x");
        }
        far_calm.write(b"and I?");
        rig.idle().await;
        let told = rig.told();
        let place = told
            .iter()
            .position(|told| *told == Told::Received(calm, 6));
        // At first the network has not taken so much.
        let expected = if round == 0 { 3 } else { 0 };
        assert_eq!(place, Some(expected), "{told:?}");
        assert_eq!(told.len(), 21, "all is read in the end");
    }
}
