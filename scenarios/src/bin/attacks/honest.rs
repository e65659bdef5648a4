//! The honest: two members who talk to each other, one who comes and goes, and their fate.

use std::{
    cell::RefCell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use chat_core::{
    id::RoomId,
    wire::{
        ServerMessage,
        record::{Content, RecordBody},
    },
};
use tokio::{
    sync::{mpsc, watch},
    time::{interval, sleep, timeout},
};

use crate::member::{Member, message};

/// Between two messages; the server allows 50 a second.
const PACE: Duration = Duration::from_millis(25);
/// Between two arrivals of the one who comes and goes.
const ARRIVALS: Duration = Duration::from_millis(700);
/// How long an arrival needs for its own part of the handshake.
const OWN_PART: Duration = Duration::from_millis(200);
/// After that an arrival counts as refused, and a message as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// The course of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Those who will attack come in, as others do.
    Prepare,
    Quiet,
    Attack,
    /// All that is on its way arrives.
    After,
}

/// All that the honest have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Times from sending to hearing, by message.
    pub(crate) quiet: Vec<Duration>,
    pub(crate) attacked: Vec<Duration>,
    /// Connections that the server ended.
    pub(crate) closed: u32,
    /// Messages and arrivals that it refused, and their words.
    pub(crate) refused: u32,
    pub(crate) words: Vec<String>,
    /// Messages that never came.
    pub(crate) lost: u32,
    /// The longest arrival.
    pub(crate) arrival: Duration,
}

impl Seen {
    fn refused(&mut self, words: String) {
        self.refused += 1;
        if self.words.len() < 3 {
            self.words.push(words);
        }
    }
}

type Shared = Rc<RefCell<Seen>>;

fn address(host: u8) -> IpAddr {
    [10, 9, 0, host].into()
}

/// Begins on a thread of its own. Says when they are in.
pub(crate) fn begin(
    server: SocketAddr,
    phases: watch::Receiver<Phase>,
    ready: mpsc::Sender<()>,
) -> JoinHandle<Seen> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let seen = Shared::default();
        runtime.block_on(live(server, phases, ready, &seen));
        seen.take()
    })
}

async fn live(
    server: SocketAddr,
    phases: watch::Receiver<Phase>,
    ready: mpsc::Sender<()>,
    seen: &Shared,
) {
    let enter = |host: u8, nick: &'static str| async move {
        let member = Member::enter(address(host), server, nick, Duration::ZERO).await;
        let mut member = member.expect("the honest come in before the attack");
        member.join_lobby().await.expect("there is a lobby");
        member
    };
    let (adina, berl) = (enter(1, "Adina").await, enter(2, "Berl").await);
    // Known from before.
    drop(enter(3, "Cora").await);
    ready.send(()).await.expect("the row waits");
    let sent = Rc::default();
    let talking = talk(adina, phases.clone(), &sent, seen);
    let hearing = hear(berl, phases.clone(), &sent, seen);
    tokio::join!(talking, hearing, come_and_go(server, phases, seen));
}

/// When each message was sent, and in which phase.
type Sent = Rc<RefCell<Vec<(Phase, Instant)>>>;

async fn talk(mut adina: Member, mut phases: watch::Receiver<Phase>, sent: &Sent, seen: &Shared) {
    let now = phases.clone();
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = phases.wait_for(|phase| *phase == Phase::After) => {
                // Refusals are told by the answers.
                let answers = async {
                    loop {
                        match adina.hear().await {
                            Ok(ServerMessage::Error(failure)) => seen.borrow_mut().refused(failure.text),
                            Ok(_) => {}
                            Err(_) => return,
                        }
                    }
                };
                let _ = timeout(Duration::from_secs(1), answers).await;
                return;
            }
            _ = pace.tick() => {
                let phase = *now.borrow();
                if phase < Phase::Quiet {
                    continue;
                }
                let number = sent.borrow().len();
                sent.borrow_mut().push((phase, Instant::now()));
                if adina.ask(message(RoomId::LOBBY, number.to_string())).await.is_err() {
                    seen.borrow_mut().closed += 1;
                    return;
                }
            }
            heard = adina.hear() => match heard {
                Ok(ServerMessage::Error(failure)) => seen.borrow_mut().refused(failure.text),
                Ok(_) => {}
                Err(_) => {
                    seen.borrow_mut().closed += 1;
                    return;
                }
            },
        }
    }
}

async fn hear(mut berl: Member, mut phases: watch::Receiver<Phase>, sent: &Sent, seen: &Shared) {
    let mut next = 0;
    loop {
        let is_over = *phases.borrow_and_update() == Phase::After;
        if is_over && next == sent.borrow().len() {
            return;
        }
        let heard = tokio::select! {
            heard = berl.hear() => heard,
            _ = phases.changed(), if !is_over => continue,
            () = sleep(PATIENCE), if is_over => break,
        };
        let Ok(message) = heard else {
            seen.borrow_mut().closed += 1;
            break;
        };
        let ServerMessage::Records(records) = message else {
            continue;
        };
        for record in records.records {
            let RecordBody::Message(said) = &record.body else {
                continue;
            };
            let Content::Plain(text) = &said.content else {
                continue;
            };
            let number = text.text.parse::<usize>();
            if record.nick == "Adina"
                && let Ok(number) = number
                && number >= next
            {
                // Those between were refused, or are lost.
                seen.borrow_mut().lost += u32::try_from(number - next).unwrap_or(u32::MAX);
                let (phase, when) = sent.borrow()[number];
                let mut seen = seen.borrow_mut();
                let times = match phase {
                    Phase::Quiet => &mut seen.quiet,
                    _ => &mut seen.attacked,
                };
                times.push(when.elapsed());
                next = number + 1;
            }
        }
    }
    let lost = sent.borrow().len() - next;
    seen.borrow_mut().lost += u32::try_from(lost).unwrap_or(u32::MAX);
}

async fn come_and_go(server: SocketAddr, mut phases: watch::Receiver<Phase>, seen: &Shared) {
    let mut arrivals = interval(ARRIVALS);
    arrivals.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = phases.wait_for(|phase| *phase == Phase::After) => return,
            _ = arrivals.tick() => {}
        }
        if *phases.borrow() < Phase::Quiet {
            continue;
        }
        let begun = Instant::now();
        let arrival = Member::enter(address(3), server, "Cora", OWN_PART);
        match timeout(PATIENCE, arrival).await {
            Ok(Ok(cora)) => drop(cora),
            Ok(Err(trouble)) => seen.borrow_mut().refused(format!("arrival: {trouble:?}")),
            Err(_) => seen.borrow_mut().refused("arrival: no answer".to_owned()),
        }
        let mut seen = seen.borrow_mut();
        seen.arrival = seen.arrival.max(begun.elapsed());
    }
}
