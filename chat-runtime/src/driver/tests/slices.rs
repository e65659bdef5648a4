//! The time that one turn takes: of each kind of work no more than a slice, and the rest in the
//! next turns, between which the runtime looks at sockets and timers.

use chat_core::{hub::Framing, wire::Form};

use super::*;
use crate::Transport;

/// The words that fit into a slice, if the machine takes so long for each.
const FIT: usize = 3;
const TAKES: Duration = Duration::from_micros(100);

/// So many words come in as many turns as they need, and in no more.
fn assert_sliced(turns: &[Vec<Told>], words: usize) {
    let lengths: Vec<usize> = turns.iter().map(Vec::len).collect();
    let mut expected = vec![FIT; words / FIT];
    expected.extend((!words.is_multiple_of(FIT)).then_some(words % FIT));
    assert_eq!(lengths, expected, "{turns:?}");
}

/// Twenty connections of which the machine asks something, each of them at once.
async fn asks_of_twenty(ask: impl Fn(ConnId) -> Output) -> Vec<Vec<Told>> {
    let mut rig = Rig::start().await;
    let (mut fars, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let (conn, far) = rig.connect(100).await;
        fars.push(far);
        asked.push(ask(conn));
    }
    rig.script().takes = TAKES;
    rig.say(asked).await;
    rig.told_in_turns()
}

#[tokio::test(start_paused = true)]
async fn room_for_what_was_skipped_is_told_for_a_slice_of_a_turn() {
    let turns = asks_of_twenty(|conn| Output::Block { conn }).await;
    let drained = |told: &Told| matches!(told, Told::Drained(_));
    assert!(turns.iter().flatten().all(drained), "{turns:?}");
    assert_sliced(&turns, 20);
}

#[tokio::test(start_paused = true)]
async fn room_for_answers_is_told_for_a_slice_of_a_turn() {
    let turns = asks_of_twenty(|conn| Output::Credit { conn }).await;
    let credit = |told: &Told| matches!(told, Told::Credit(_));
    assert!(turns.iter().flatten().all(credit), "{turns:?}");
    assert_sliced(&turns, 20);
}

#[tokio::test(start_paused = true)]
async fn timers_that_are_due_are_run_for_a_slice_of_a_turn() {
    let mut rig = Rig::start().await;
    rig.script().takes = TAKES;
    rig.script().timeouts = 20;
    rig.say(vec![]).await;
    assert_sliced(&rig.told_in_turns(), 20);
    // Those that take no time are bounded by their number.
    rig.script().takes = Duration::ZERO;
    rig.script().timeouts = 20;
    rig.say(vec![]).await;
    assert_eq!(rig.told().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn connections_of_a_network_that_has_taken_its_share_have_a_slice_of_a_turn() {
    let rig = Rig::start().await;
    let mut flood = reading::flood(&rig, 20).await;
    let mut floods = async || {
        for (_, far) in &mut flood {
            far.write(b"x");
        }
        rig.idle().await;
        rig.told_in_turns()
    };
    // A millisecond for each is more than a slice, and spends the network's share.
    let turns = floods().await;
    assert_eq!(turns.iter().map(Vec::len).sum::<usize>(), 20);
    assert!(turns[1..].iter().all(|turn| turn.len() == 1), "{turns:?}");
    rig.script().takes = TAKES;
    assert_sliced(&floods().await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_takes_a_slice_is_the_last_of_its_connection_in_a_turn() {
    let rig = Rig::start().await;
    let (mut transport, connector) = memory::listener();
    let connector = connector.speaking(Framing::Message, Form::Postcard);
    let mut far = Far(connector.open().await.unwrap());
    rig.add_boxed(transport.accept().await.unwrap()).await;
    let [Told::Connected(talker)] = rig.told()[..] else {
        panic!("connected");
    };
    let (other, mut far_other) = rig.connect(100).await;
    let (word, question) = (Told::Received(talker, 1), Told::Received(other, 6));
    rig.script().takes = 3 * TAKES;
    for _ in 0..3 {
        far.write(b"x");
    }
    far_other.write(b"and I?");
    rig.idle().await;
    let turns = rig.told_in_turns();
    assert_eq!(turns, [vec![word, question], vec![word], vec![word]]);
    rig.script().takes = 3 * TAKES - Duration::from_nanos(1);
    for _ in 0..3 {
        far.write(b"x");
    }
    rig.idle().await;
    assert_eq!(rig.told_in_turns(), [[word; 3]]);
}
