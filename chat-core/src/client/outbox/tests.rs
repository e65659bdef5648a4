//! The outbox alone: it is asked what is next, and told what came of it.

use super::*;
use crate::{
    id::{CredentialId, KeyId, MemberId, MessageId, Place, SessionId},
    limits::Limits,
    password::Password,
    time::Wall,
    wire::{
        ErrorCode,
        client::{self, Peer, RoomRef},
        record::{Content, PasswordRecord, WrappedKey},
        server::Committed,
    },
};

const ROOM: RoomId = RoomId([5; 16]);
const OTHER_ROOM: RoomId = RoomId([6; 16]);
const EPOCH: u64 = 11;
const MINUTE: Duration = Duration::from_secs(60);

/// An outbox, the time, and the rooms as they stand.
struct Desk {
    outbox: Outbox,
    now: Now,
    reach: Reach,
    tickets: u64,
    /// Commands that have ended.
    ended: Vec<(Ticket, Result<Outcome, CommandError>)>,
    /// Everything else that the outbox wanted.
    wanted: Vec<Effect>,
}

impl Desk {
    fn new() -> Self {
        let now = Now {
            monotonic: Monotonic(7),
            wall: Wall(1_700_000_000_000),
        };
        let mut outbox = Outbox::default();
        outbox.welcome(&Limits::default().wire(), now.monotonic);
        Self {
            outbox,
            now,
            reach: Reach::Inside { epoch: EPOCH },
            tickets: 0,
            ended: Vec::new(),
            wanted: Vec::new(),
        }
    }

    fn command(&mut self, command: Command) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let lane = match &command {
            Command::Join { room, .. } => Lane::of(room),
            command => command.room_needed().map_or(Lane::Directory, Lane::Room),
        };
        self.outbox.add(ticket, lane, command);
        ticket
    }

    fn say(&mut self, text: &str) -> Ticket {
        self.command(Command::Send {
            room: ROOM,
            action: false,
            text: text.to_owned(),
        })
    }

    fn done(&mut self, effects: impl IntoIterator<Item = Effect>) {
        for effect in effects {
            match effect {
                Effect::Finished { ticket, outcome } => self.ended.push((ticket, outcome)),
                other => self.wanted.push(other),
            }
        }
    }

    /// Sends all that may go.
    fn post(&mut self) -> Vec<Request> {
        let mut sent = Vec::new();
        loop {
            let reach = self.reach;
            let mut job = match self.outbox.next(self.now, |_| reach) {
                Next::Go(job) => job,
                Next::End(effect) => {
                    self.done([effect]);
                    continue;
                }
                Next::Nothing => return sent,
            };
            let made = job.op().cloned();
            if made.is_none() && !begins(&job) {
                self.outbox.number(&mut job);
            }
            let op = made.unwrap_or_else(|| make(&job));
            let request = self.outbox.made(&mut job, op);
            let epoch = match self.reach {
                Reach::Inside { epoch } => job.room().map(|_| epoch),
                Reach::NotYet | Reach::Outside => None,
            };
            self.outbox.sent(self.now, request.id, job, epoch);
            sent.push(request);
        }
    }

    fn answer(&mut self, request: &Request) {
        let answer = match &request.op {
            Op::Send(_) => Answer::Send(committed()),
            Op::Topic(_) => Answer::Topic(committed()),
            Op::Leave(_) => Answer::Leave(committed()),
            other => panic!("not among the commands: {other:?}"),
        };
        let id = request.id;
        let answered = self.outbox.answered(Done { id, answer });
        let (job, _) = answered.expect("of its kind").expect("it was asked");
        let effect = self.outbox.finish(job, Ok(Outcome::Committed(committed())));
        self.done([effect]);
    }

    fn refuse(&mut self, request: &Request, code: ErrorCode) {
        let failure = failure(request.id, code);
        let effects = self.outbox.refused(self.now.monotonic, failure, |_| false);
        self.done(effects);
    }

    fn lose_connection(&mut self) {
        let effects = self.outbox.cut_off();
        self.done(effects);
    }

    fn pass(&mut self, time: Duration) {
        self.now.monotonic = self.now.monotonic + time;
        self.now.wall = self.now.wall + time;
    }

    fn timeout(&mut self) {
        let effects = self.outbox.timeout(self.now);
        self.done(effects);
    }

    fn ended(&mut self) -> Vec<(Ticket, Result<Outcome, CommandError>)> {
        core::mem::take(&mut self.ended)
    }
}

/// Whether the request is the first half of a password exchange.
fn begins(job: &Job) -> bool {
    job.command().password().is_some() && job.ask == Ask::Begin
}

fn make(job: &Job) -> Op {
    match job.command() {
        Command::Send { room, action, text } => Op::Send(client::Send {
            room: *room,
            action: *action,
            content: Content::plain(text.as_str()),
        }),
        Command::SetPassword { room, .. } if begins(job) => Op::Register(client::Register {
            room: Some(*room),
            request: bytes::Bytes::from_static(&[1; 32]),
        }),
        Command::SetPassword { room, .. } => Op::Password(client::SetPassword {
            room: *room,
            expected: KeyId([1; 16]),
            password: PasswordRecord {
                credential: CredentialId([1; 16]),
                upload: bytes::Bytes::from_static(&[1; 192]),
                key: WrappedKey {
                    id: KeyId([2; 16]),
                    wrapped: bytes::Bytes::from_static(&[1; 72]),
                },
            },
            earlier: Vec::new(),
        }),
        Command::Join { room, .. } if begins(job) => Op::Login(client::Login {
            room: *room,
            ke1: bytes::Bytes::from_static(&[1; 96]),
        }),
        Command::Join {
            room,
            password: Some(_),
            ..
        } => Op::Join(client::Join {
            room: *room,
            proof: Some(client::Proof {
                credential: CredentialId([1; 16]),
                ke3: bytes::Bytes::from_static(&[1; 64]),
            }),
        }),
        Command::Create(_) => Op::Create(client::Create {
            name: None,
            topic: String::new(),
            cipher: Default::default(),
            key: None,
            history: Default::default(),
            presence: Default::default(),
            password: None,
        }),
        _ => job.plain(100).expect("a plain one"),
    }
}

fn committed() -> Committed {
    Committed {
        place: Place {
            epoch: EPOCH,
            seq: 9,
        },
    }
}

fn failure(id: u64, code: ErrorCode) -> Failure {
    Failure {
        id,
        code,
        temporary: code.is_temporary(),
        retry_after: None,
        text: String::new(),
    }
}

fn topic(room: RoomId) -> Command {
    Command::Topic {
        room,
        topic: "t".to_owned(),
    }
}

fn join(password: Option<&str>) -> Command {
    Command::Join {
        room: RoomRef::Number(3),
        password: password.map(Password::new),
        key: None,
        unsealed_too: false,
    }
}

fn txns(requests: &[Request]) -> Vec<u64> {
    requests.iter().map(|request| request.txn).collect()
}

const UNKNOWN: Result<Outcome, CommandError> = Err(CommandError::Unknown);

#[test]
fn one_counter_numbers_what_changes_something_in_all_lanes() {
    let mut desk = Desk::new();
    desk.say("a");
    desk.command(topic(OTHER_ROOM));
    desk.command(Command::Members { room: ROOM });
    desk.say("b");
    let sent = desk.post();
    assert_eq!(txns(&sent), [1, 2, 0, 3]);
    assert!(sent.is_sorted_by(|one, next| one.id < next.id));
}

#[test]
fn what_was_unanswered_goes_first_again_under_its_number_and_as_it_was() {
    let mut desk = Desk::new();
    for text in ["a", "b", "c"] {
        desk.say(text);
    }
    let before = desk.post();
    desk.answer(&before[1]);
    desk.say("d");
    desk.lose_connection();
    let after = desk.post();
    assert_eq!(txns(&after), [1, 3, 4]);
    assert_eq!((&after[0].op, &after[1].op), (&before[0].op, &before[2].op));
    assert!(
        after[0].id > before[2].id,
        "an answer of before is nobody's"
    );
}

/// The server has written the first one, says that it cannot, and remembers 64.
#[test]
fn a_doubt_keeps_its_place_in_the_window_of_its_lane() {
    let mut desk = Desk::new();
    for n in 0..130 {
        desk.say(&n.to_string());
    }
    let mut sent = Vec::new();
    while sent.len() < 64 {
        sent.extend(desk.post());
        desk.pass(Duration::from_secs(1));
    }
    assert_eq!(sent.len(), 64);
    desk.refuse(&sent[0], ErrorCode::Unavailable);
    sent[1..].iter().for_each(|request| desk.answer(request));
    desk.pass(MINUTE);
    let again = desk.post();
    assert_eq!(txns(&again), [1], "one more, and it would be forgotten");
    desk.answer(&again[0]);
    assert!(!desk.post().is_empty());
}

#[test]
fn a_name_that_is_asked_for_under_another_number_leaves_no_place_taken() {
    let mut desk = Desk::new();
    desk.command(Command::Nick {
        nick: "Bela".to_owned(),
        label: String::new(),
    });
    for number in 1..100 {
        assert_eq!(txns(&desk.post()), [number]);
        desk.lose_connection();
        desk.pass(Duration::from_secs(1));
    }
}

#[test]
fn what_was_not_done_gives_up_its_place_in_the_window() {
    let mut desk = Desk::new();
    for n in 0..130 {
        desk.say(&n.to_string());
    }
    let first = desk.post();
    desk.refuse(&first[0], ErrorCode::Busy);
    first[1..].iter().for_each(|request| desk.answer(request));
    desk.pass(MINUTE);
    assert!(desk.post().len() > 1);
}

#[test]
fn a_lane_waits_while_a_room_is_awaited_and_no_longer() {
    let mut desk = Desk::new();
    desk.say("a");
    desk.reach = Reach::NotYet;
    assert!(desk.post().is_empty());
    desk.reach = Reach::Inside { epoch: EPOCH };
    assert_eq!(desk.post().len(), 1);
}

#[test]
fn in_another_life_of_the_log_or_out_of_the_room_a_doubt_stays_one() {
    for reach in [Reach::Inside { epoch: EPOCH + 1 }, Reach::Outside] {
        let mut desk = Desk::new();
        let said = desk.say("a");
        let leave = desk.command(Command::Leave { room: ROOM });
        assert_eq!(desk.post().len(), 2);
        desk.lose_connection();
        desk.reach = reach;
        let again = desk.post();
        assert_eq!(desk.ended(), [(said, UNKNOWN)]);
        assert!(
            matches!(
                &again[..],
                [Request {
                    op: Op::Leave(_),
                    ..
                }]
            ),
            "{leave:?}"
        );
    }
}

#[test]
fn a_doubt_is_over_after_fifty_minutes_to_the_moment() {
    let mut desk = Desk::new();
    let first = desk.say("a");
    desk.post();
    desk.pass(MINUTE);
    let second = desk.command(join(None));
    desk.post();
    desk.lose_connection();
    let never_sent = desk.say("b");
    let ends = desk.outbox.deadline().expect("a doubt ends");
    assert_eq!(ends - desk.now.monotonic, 49 * MINUTE);
    desk.pass(49 * MINUTE - Duration::from_millis(1));
    desk.timeout();
    assert!(desk.ended().is_empty());
    desk.pass(Duration::from_millis(1));
    desk.timeout();
    assert_eq!(desk.ended(), [(first, UNKNOWN)]);
    desk.pass(MINUTE);
    desk.timeout();
    assert_eq!(desk.ended(), [(second, UNKNOWN)]);
    assert_eq!(desk.outbox.deadline(), None);
    let sent = desk.post();
    assert_eq!(
        sent.len(),
        1,
        "what was never sent is in no doubt: {never_sent:?}"
    );
}

#[test]
fn a_machine_that_slept_does_not_send_again_before_it_has_looked_at_the_clock() {
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    desk.post();
    desk.lose_connection();
    desk.now.wall = desk.now.wall + 50 * MINUTE;
    assert!(desk.post().is_empty());
    assert_eq!(desk.ended(), [(ticket, UNKNOWN)]);
}

#[test]
fn an_answer_that_is_only_late_is_no_doubt() {
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    let sent = desk.post();
    desk.pass(90 * MINUTE);
    desk.timeout();
    assert!(desk.post().is_empty() && desk.ended().is_empty());
    desk.answer(&sent[0]);
    assert!(matches!(desk.ended()[..], [(ended, Ok(_))] if ended == ticket));
}

#[test]
fn sending_again_does_not_prolong_a_doubt() {
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    for _ in 0..5 {
        assert_eq!(desk.post().len(), 1);
        desk.pass(9 * MINUTE);
        desk.lose_connection();
    }
    desk.pass(5 * MINUTE);
    assert!(desk.post().is_empty());
    assert_eq!(desk.ended(), [(ticket, UNKNOWN)]);
}

#[test]
fn after_a_doubt_a_refusal_decides_nothing_but_for_what_can_be_done_twice() {
    for (doubt, code) in [(true, None), (false, Some(ErrorCode::Unavailable))] {
        let mut desk = Desk::new();
        let said = desk.say("a");
        let joined = desk.command(join(None));
        let sent = desk.post();
        if let Some(code) = code {
            sent.iter().for_each(|request| desk.refuse(request, code));
        }
        if doubt {
            desk.lose_connection();
        }
        desk.pass(MINUTE);
        for request in desk.post() {
            desk.refuse(&request, ErrorCode::Banned);
        }
        let ended = desk.ended();
        assert_eq!(ended[0], (said, UNKNOWN));
        assert!(
            matches!(&ended[1], (of, Err(CommandError::Refused(_))) if *of == joined),
            "{ended:?}"
        );
    }
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    let sent = desk.post();
    desk.refuse(&sent[0], ErrorCode::Busy);
    desk.pass(MINUTE);
    let again = desk.post();
    assert_eq!(txns(&again), txns(&sent));
    desk.refuse(&again[0], ErrorCode::Muted);
    assert!(
        matches!(&desk.ended()[..], [(of, Err(CommandError::Refused(_)))] if *of == ticket),
        "busy is no doubt"
    );
}

#[test]
fn a_session_that_goes_on_elsewhere_is_given_up_and_what_was_not_done_is_sent_in_another() {
    let mut desk = Desk::new();
    let first = desk.say("a");
    let second = desk.say("b");
    let sent = desk.post();
    let third = desk.command(Command::Members { room: ROOM });
    desk.refuse(&sent[0], ErrorCode::TxnReused);
    assert_eq!(desk.wanted, [Effect::SessionInUse]);
    let effects = desk.outbox.renew();
    desk.done(effects);
    assert_eq!(desk.ended(), [(second, UNKNOWN)], "it may have been done");
    let again = desk.post();
    assert_eq!(txns(&again), [1, 0], "{first:?} {third:?}");
    desk.refuse(&again[0], ErrorCode::TxnReused);
    let ended = desk.ended();
    assert!(
        matches!(&ended[..], [(of, Err(CommandError::Refused(_)))] if *of == first),
        "once is enough: {ended:?}"
    );
}

#[test]
fn a_number_that_another_request_has_leaves_a_doubt_one() {
    let mut desk = Desk::new();
    let ticket = desk.say("a");
    desk.post();
    desk.lose_connection();
    let again = desk.post();
    desk.refuse(&again[0], ErrorCode::TxnReused);
    assert_eq!(
        (desk.ended(), desk.wanted.len()),
        (vec![(ticket, UNKNOWN)], 0)
    );
}

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

#[test]
fn the_end_of_it_all_tells_what_was_sent_from_what_was_not() {
    let mut desk = Desk::new();
    let said = desk.say("a");
    let read = desk.command(Command::Members { room: ROOM });
    desk.post();
    let unsent = desk.say("b");
    let effects = desk.outbox.finish_all(&CommandError::Ended);
    desk.done(effects);
    let ended = Err(CommandError::Ended);
    let all = [(said, UNKNOWN), (read, ended.clone()), (unsent, ended)];
    assert_eq!(desk.ended(), all);
    assert_eq!((desk.outbox.unfinished, desk.outbox.deadline()), (0, None));
}

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
    let mut numbers = txns(&again);
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3], "the redact goes alone");

    for spoiled in [&[][..], &bytes[1..], &bytes[..bytes.len() - 1]] {
        assert!(Restored::from_bytes(spoiled).is_none());
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(Restored::from_bytes(&longer).is_none());
}

#[test]
fn a_saved_window_goes_on_and_holds_no_place_for_what_was_not_saved() {
    let mut desk = Desk::new();
    desk.command(Command::Create(crate::client::command::Create::default()));
    for n in 0..130 {
        desk.say(&n.to_string());
    }
    let mut sent = desk.post();
    desk.pass(MINUTE);
    sent.extend(desk.post());
    assert_eq!(sent.len(), 65, "the create is in a lane of its own");
    // The first is in doubt, and all others were done since.
    let said: Vec<_> = sent
        .iter()
        .filter(|it| matches!(it.op, Op::Send(_)))
        .collect();
    desk.refuse(said[0], ErrorCode::Unavailable);
    said[1..].iter().for_each(|request| desk.answer(request));
    let bytes = desk.outbox.to_bytes(SessionId(99));
    let mut next = Desk::new();
    let restored = Restored::from_bytes(&bytes).expect("an outbox");
    let tickets = &mut next.tickets;
    next.outbox.restore(next.now, restored, || {
        *tickets += 1;
        Ticket(*tickets)
    });
    let again = next.post();
    assert_eq!(
        txns(&again),
        [said[0].txn],
        "one more, and it would be forgotten"
    );
    next.answer(&again[0]);
    assert!(!next.post().is_empty());
    assert!(
        next.outbox.lanes.get(&Lane::Directory).is_none(),
        "nobody waits for the create"
    );
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
