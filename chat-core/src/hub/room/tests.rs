use std::collections::{BTreeSet, VecDeque};

use super::*;
use crate::{
    hub::{
        Input, Output,
        partition::Piece,
        timers::Timer,
        turn::{Reader, bench::Bench},
    },
    id::{RoomOrigin, SessionId},
    log::{AppendRefused, MemoryLog},
    state::{
        directory::names::DisplayName,
        room::judge::{self, Author},
    },
    wire::{
        ErrorCode,
        client::{self, History, HistoryFrom, InRoom, Join, Op, Request, RoomRef},
        record::{CipherKind, Content, Created, HistoryPolicy, Person, PresenceMode, RecordBody},
    },
};

const ROOM: RoomId = RoomId([9; 16]);

fn member(n: u8) -> MemberId {
    MemberId([n; 16])
}

fn conn(slot: u32) -> ConnId {
    ConnId {
        slot,
        generation: 0,
    }
}

/// Members who are known, and those of them who are here.
#[derive(Default)]
struct Folk {
    here: BTreeSet<MemberId>,
    ending: BTreeSet<MemberId>,
    name: Option<DisplayName>,
}

impl judge::People for Folk {
    fn nick(&self, _: MemberId) -> &str {
        "ada"
    }
    fn holder(&self, _: &str) -> Option<MemberId> {
        None
    }
    fn knows(&self, _: MemberId) -> bool {
        true
    }
    fn is_ending(&self, member: MemberId) -> bool {
        self.ending.contains(&member)
    }
    fn rooms_of(&self, _: MemberId) -> usize {
        0
    }
    fn invitations_of(&self, _: MemberId) -> usize {
        0
    }
}

impl People for Folk {
    fn name(&self, _: MemberId) -> Option<&DisplayName> {
        self.name.as_ref()
    }
    fn is_here(&self, member: MemberId) -> bool {
        self.here.contains(&member)
    }
}

/// Rooms alone, on a log in memory.
struct Scene {
    rooms: Rooms,
    folk: Folk,
    bench: Bench<(RoomId, Effect)>,
    log: MemoryLog,
    effects: Vec<Effect>,
    /// While true, appends wait.
    hold: bool,
    held: VecDeque<Output>,
    next_id: u64,
}

impl Scene {
    /// A group of member 1, which other hubs write to as well if it is `shared`.
    fn new(shared: bool) -> Self {
        let mut scene = Self {
            rooms: Rooms::default(),
            folk: Folk {
                name: Some(DisplayName::shown("ada", "")),
                ..Folk::default()
            },
            bench: Bench::new(),
            log: MemoryLog::new(1, 1_000),
            effects: Vec::new(),
            hold: false,
            held: VecDeque::new(),
            next_id: 1,
        };
        scene.bench.config.log.shared = shared;
        let created = created(RoomKind::Group, Vec::new());
        let author = author(1, 1);
        scene.does(|rooms, turn, people| {
            rooms.begin(turn, people, ROOM, (author, created), None);
        });
        scene.effects.clear();
        scene
    }

    fn does(
        &mut self,
        what: impl FnOnce(&mut Rooms, &mut Turn<'_>, &dyn super::super::views::People),
    ) {
        let mut turn = self.bench.turn();
        what(&mut self.rooms, &mut turn, &self.folk);
        self.drive();
    }

    /// Does what the log is asked for.
    fn drive(&mut self) {
        loop {
            let effects = self.bench.effects().into_iter();
            self.effects.extend(effects.map(|(_, effect)| effect));
            let Some(output) = self.bench.out.pop() else {
                break;
            };
            if self.hold && matches!(output, Output::Append { .. }) {
                self.held.push_back(output);
            } else {
                self.serve(output);
            }
        }
    }

    fn serve(&mut self, output: Output) {
        let Ok(Some(input)) = self.log.serve(output) else {
            return;
        };
        let mut turn = self.bench.turn();
        let (rooms, folk) = (&mut self.rooms, &self.folk);
        match input {
            Input::Committed { head, .. } => rooms.committed(&mut turn, folk, ROOM, head),
            Input::Refused { why, .. } => rooms.refused(&mut turn, folk, ROOM, why),
            Input::Page { token, page, .. } => {
                let piece = page.map(Piece::Page);
                rooms.page(&mut turn, folk, ROOM, (token, piece));
            }
            Input::Part { token, part, .. } => {
                let piece = part.map(Piece::Part);
                rooms.page(&mut turn, folk, ROOM, (Some(token), piece));
            }
            Input::Kept {
                id, index, done, ..
            } => rooms.kept(&mut turn, folk, ROOM, (id, index, done)),
            Input::Redacted { at, done, .. } => {
                rooms.redacted(&mut turn, ROOM, at.seq, done);
            }
            other => panic!("{other:?}"),
        }
    }

    fn release(&mut self) {
        self.hold = false;
        for output in std::mem::take(&mut self.held) {
            self.serve(output);
            self.drive();
        }
    }

    /// A request of a member on its connection of the same number.
    fn ask(&mut self, who: u8, txn: u64, op: Op) -> u64 {
        self.ask_on(who, who.into(), txn, op)
    }

    fn ask_on(&mut self, who: u8, slot: u32, txn: u64, op: Op) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let asked = Box::new(Asked {
            origin: Origin {
                conn: conn(slot),
                id,
                kind: 0,
                bytes: 1,
                paced: false,
            },
            member: member(who),
            session: SessionId(1),
            address: None,
            request: Request { id, txn, op },
            checked: Ok(()),
            login: None,
        });
        self.does(|rooms, turn, people| rooms.request(turn, people, ROOM, asked));
        id
    }

    /// The outcomes of requests since the last look, in order.
    fn story(&mut self) -> Vec<String> {
        let story = |effect| match effect {
            Effect::Tell { told, .. } => {
                let kinds = told.iter().map(|told| kind(&told.record.body));
                Some(format!("tell {}", kinds.collect::<Vec<_>>().join(",")))
            }
            Effect::Enter { answer, .. } => Some(match answer {
                Some(origin) => format!("in {}", origin.id),
                None => "in".to_owned(),
            }),
            Effect::Show { origin, .. } => Some(format!("show {}", origin.id)),
            Effect::Placed { origin, .. } => Some(format!("ok {}", origin.id)),
            Effect::Leave { answer, .. } => Some(match answer {
                Some(origin) => format!("out {}", origin.id),
                None => "out".to_owned(),
            }),
            Effect::LeaveAgain { origin, .. } => Some(format!("out again {}", origin.id)),
            Effect::Refuse { origin, refusal } => Some(format!("{} {}", refusal.code, origin.id)),
            Effect::Attach { resumed, .. } => Some(match resumed {
                Some(_) => "resumed".to_owned(),
                None => "afresh".to_owned(),
            }),
            Effect::Removed { reason, .. } => Some(format!("removed {reason}")),
            Effect::History { origin, page } => {
                Some(format!("history {} {}", origin.id, page.records.len()))
            }
            Effect::Suspend => Some("suspend".to_owned()),
            Effect::Reset { place } => Some(format!("reset {}", place.seq)),
            Effect::Unload => Some("unload".to_owned()),
            _ => None,
        };
        let effects = std::mem::take(&mut self.effects);
        effects.into_iter().filter_map(story).collect()
    }

    /// Another hub appends this, and this one is not told.
    fn elsewhere(&mut self, who: u8, body: RecordBody) {
        let head = self.log.head(Partition::Room(ROOM)).place;
        let now = self.bench.now.wall;
        let record = Record {
            member: member(who),
            session: SessionId(7),
            txn: 1,
            ..Record::by_server(head.seq + 1, now, body)
        };
        let entries = [record.to_bytes()];
        self.log.append(Partition::Room(ROOM), head, &entries, b"");
    }

    fn head(&self) -> Seq {
        self.log.head(Partition::Room(ROOM)).place.seq
    }
}

fn kind(body: &RecordBody) -> &'static str {
    use crate::wire::Tagged;
    RecordBody::name(body.kind()).unwrap_or("?")
}

fn author(who: u8, txn: u64) -> Author {
    Author {
        member: member(who),
        session: SessionId(1),
        txn,
        hash: Default::default(),
    }
}

fn created(kind: RoomKind, members: Vec<Person>) -> Created {
    Created {
        kind,
        origin: RoomOrigin([0; 16]),
        cipher: CipherKind::None,
        history: HistoryPolicy::All,
        presence: PresenceMode::Full,
        topic: String::new(),
        number: Some(0),
        name: None,
        key: None,
        password: None,
        members,
    }
}

fn join() -> Op {
    Op::Join(Join {
        room: RoomRef::Id(ROOM),
        proof: None,
    })
}

fn send(text: &str) -> Op {
    Op::Send(client::Send {
        room: ROOM,
        content: Content::plain(text),
        action: false,
    })
}

fn leave() -> Op {
    Op::Leave(InRoom { room: ROOM })
}

fn history() -> Op {
    Op::History(History {
        room: ROOM,
        from: HistoryFrom::Latest,
        limit: 0,
    })
}

fn joined() -> RecordBody {
    RecordBody::Joined(crate::wire::record::Joined {})
}

fn attach(who: u8, place: Option<Place>) -> Attach {
    Attach {
        conn: conn(who.into()),
        member: member(who),
        place,
    }
}

#[test]
fn a_view_counts_what_was_said_up_to_its_place() {
    let mut scene = Scene::new(false);
    scene.hold = true;
    scene.ask(1, 2, send("one"));
    // These make one append.
    scene.ask(2, 1, join());
    scene.ask(1, 3, send("two"));
    scene.ask(3, 1, join());
    scene.release();
    let view = |effect: &Effect| match effect {
        Effect::Enter { view, .. } => Some((view.place.seq, view.said)),
        _ => None,
    };
    let views: Vec<_> = scene.effects.iter().filter_map(view).collect();
    assert_eq!(views, [(3, 1), (5, 2)]);
}

#[test]
fn a_join_is_one_append_and_its_answer_comes_between_its_record_and_the_next() {
    let mut scene = Scene::new(false);
    let before = scene.head();
    scene.hold = true;
    scene.ask(2, 1, join());
    scene.ask(1, 2, send("hi"));
    scene.release();
    let story = scene.story();
    assert_eq!(story, ["tell joined", "in 1", "tell message", "ok 2"]);
    assert_eq!(scene.head(), before + 2);
}

#[test]
fn what_is_asked_behind_a_join_waits_for_it_also_if_it_is_refused() {
    let mut scene = Scene::new(false);
    scene.hold = true;
    let join = scene.ask(2, 1, join());
    let said = scene.ask(2, 2, send("hi"));
    let left = scene.ask(2, 3, leave());
    assert!(scene.story().is_empty());
    scene.release();
    let story = scene.story();
    let expected = [
        "tell joined".to_owned(),
        format!("in {join}"),
        "tell message".to_owned(),
        format!("ok {said}"),
        "tell left".to_owned(),
        format!("out {left}"),
    ];
    assert_eq!(story, expected);
    scene.bench.config.limits.members_per_room = 1;
    let refused = [scene.ask(2, 4, self::join()), scene.ask(2, 5, send("x"))];
    let story = scene.story();
    let expected = [
        format!("room_full {}", refused[0]),
        format!("not_member {}", refused[1]),
    ];
    assert_eq!(story, expected);
}

#[test]
fn a_hub_that_is_behind_reads_before_it_refuses() {
    let mut scene = Scene::new(true);
    scene.elsewhere(2, joined());
    let [sent, asked] = [scene.ask(2, 2, send("hi")), scene.ask(2, 0, history())];
    let story = scene.story();
    let expected = [
        "tell joined".to_owned(),
        "in".to_owned(),
        "tell message".to_owned(),
        format!("ok {sent}"),
        format!("history {asked} 3"),
    ];
    assert_eq!(story, expected);
    // A join is answered as done that was done elsewhere.
    scene.elsewhere(3, joined());
    let joined = scene.ask(3, 1, join());
    let story = scene.story();
    assert!(story.contains(&format!("show {joined}")), "{story:?}");
    // A true refusal comes after one read.
    let refused = scene.ask(4, 1, send("x"));
    assert_eq!(scene.story(), [format!("not_member {refused}")]);
}

#[test]
fn removed_is_not_told_while_a_join_is_under_way() {
    for refused in [false, true] {
        let mut scene = Scene::new(false);
        scene.hold = true;
        scene.ask_on(2, 20, 1, join());
        let owed = attach(2, None);
        scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
        assert!(scene.story().is_empty());
        if refused {
            scene.held.clear();
            let why = AppendRefused::Unavailable;
            scene.does(|rooms, turn, people| rooms.refused(turn, people, ROOM, why));
            let story = scene.story();
            assert_eq!(story, ["unavailable 1", "removed not_member"]);
        } else {
            scene.release();
            assert_eq!(scene.story(), ["tell joined", "in 1", "afresh"]);
        }
    }
}

#[test]
fn a_request_sent_again_while_the_first_is_under_way_is_answered_each() {
    let mut scene = Scene::new(false);
    scene.hold = true;
    let first = scene.ask_on(1, 1, 5, send("once"));
    let again = scene.ask_on(1, 2, 5, send("once"));
    scene.release();
    let story = scene.story();
    let expected = [
        "tell message".to_owned(),
        format!("ok {first}"),
        format!("ok {again}"),
    ];
    assert_eq!(story, expected);
    let other = scene.ask(1, 5, send("another"));
    assert_eq!(scene.story(), [format!("txn_reused {other}")]);
}

#[test]
fn a_place_that_is_ahead_of_this_hub_is_looked_for_before_it_is_given_up() {
    let mut scene = Scene::new(true);
    scene.elsewhere(2, joined());
    let place = Some(Place { epoch: 1, seq: 2 });
    let owed = attach(2, place);
    scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
    assert_eq!(scene.story(), ["tell joined", "in", "resumed"]);
    let owed = attach(2, Some(Place { epoch: 1, seq: 9 }));
    scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
    assert_eq!(scene.story(), ["afresh"]);
    let owed = attach(3, None);
    scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
    assert_eq!(scene.story(), ["removed not_member"]);
}

#[test]
fn a_lost_tail_begins_anew_with_what_is_left() {
    let mut scene = Scene::new(false);
    scene.ask(2, 1, join());
    scene.story();
    scene.log.lose_tail(Partition::Room(ROOM), 1, 2);
    let asked = scene.ask(1, 2, send("x"));
    let story = scene.story();
    // The request was judged in a life of the log that is over: its client asks once more.
    let expected = [
        "suspend".to_owned(),
        "reset 1".to_owned(),
        "in".to_owned(),
        format!("unavailable {asked}"),
    ];
    assert_eq!(story, expected);
    let again = scene.ask(1, 2, send("x"));
    assert_eq!(
        scene.story(),
        ["tell message".to_owned(), format!("ok {again}")]
    );
}

#[test]
fn a_log_that_loses_its_end_between_look_up_and_judgement_redacts_nothing() {
    let mut scene = Scene::new(false);
    scene.ask(1, 2, send("a secret"));
    let seq = scene.head();
    scene.story();
    let id = author(1, 2).id();
    let redact = Op::Redact(client::Redact {
        room: ROOM,
        target: id,
        seq,
    });
    // The message is found; what is judged after that is another life of the log.
    let page = scene.log.read(
        Partition::Room(ROOM),
        crate::log::Query {
            from: crate::log::ReadFrom::After(seq - 1),
            records: 1,
            bytes: 1,
        },
    );
    let mut turn = scene.bench.turn();
    let asked = Box::new(Asked {
        origin: Origin {
            conn: conn(1),
            id: 50,
            kind: 21,
            bytes: 1,
            paced: false,
        },
        member: member(1),
        session: SessionId(1),
        address: None,
        request: Request {
            id: 50,
            txn: 3,
            op: redact,
        },
        checked: Ok(()),
        login: None,
    });
    scene.rooms.request(&mut turn, &scene.folk, ROOM, asked);
    let read = scene.bench.out.pop();
    let Some(Output::Read { token, .. }) = read else {
        panic!("the message is looked up: {read:?}");
    };
    scene.log.lose_tail(Partition::Room(ROOM), seq - 1, 2);
    scene.does(|rooms, turn, people| rooms.look_again(turn, people, ROOM));
    scene.story();
    let piece = Ok(Piece::Page(page));
    scene.does(|rooms, turn, people| rooms.page(turn, people, ROOM, (Some(token), piece)));
    assert_eq!(scene.story(), ["unavailable 50"]);
    assert_eq!(scene.head(), seq - 1);
}

#[test]
fn what_is_redacted_is_taken_out_of_the_log() {
    let mut scene = Scene::new(false);
    scene.ask(1, 2, send("a secret"));
    let seq = scene.head();
    let redact = Op::Redact(client::Redact {
        room: ROOM,
        target: author(1, 2).id(),
        seq,
    });
    let asked = scene.ask(1, 3, redact);
    assert!(scene.story().contains(&format!("ok {asked}")));
    let query = crate::log::Query {
        from: crate::log::ReadFrom::After(0),
        records: 10,
        bytes: 1 << 20,
    };
    let page = scene.log.read(Partition::Room(ROOM), query);
    let kinds = page.records.iter().map(|bytes| {
        let record = Record::from_bytes(bytes).expect("a record");
        kind(&record.body)
    });
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds, ["created", "blank", "redacted"]);
}

#[test]
fn a_room_that_nobody_hears_is_put_away_with_a_snapshot() {
    let mut scene = Scene::new(false);
    let at = scene.bench.now.monotonic + core::time::Duration::from_secs(60);
    assert_eq!(scene.bench.common.timers.next(), Some(at));
    assert_eq!(scene.bench.common.timers.pop(at), Some(Timer::Unload(ROOM)));
    scene.does(|rooms, turn, people| rooms.due(turn, people, ROOM, RoomTimer::Unload));
    assert_eq!(scene.story(), ["unload"]);
    scene.does(|rooms, turn, _| rooms.forget(turn, ROOM));
    assert_eq!(scene.rooms.len(), 0);
    // The room comes back from its snapshot.
    let asked = scene.ask(1, 2, send("back"));
    assert!(scene.story().contains(&format!("ok {asked}")));
}

#[test]
fn changes_of_presence_are_told_together() {
    let mut scene = Scene::new(false);
    scene.folk.here.insert(member(2));
    scene.ask(2, 1, join());
    scene.does(|rooms, turn, _| rooms.heard(turn, ROOM, true));
    scene.effects.clear();
    scene.folk.here = BTreeSet::from([member(1)]);
    for who in [1, 2] {
        let who = member(who);
        scene.does(|rooms, turn, people| rooms.see(turn, people, who, &[ROOM]));
    }
    assert!(scene.effects.is_empty());
    scene.does(|rooms, turn, people| rooms.due(turn, people, ROOM, RoomTimer::Presence));
    let [Effect::Presence(PresenceUpdate::Changes(changes))] = &scene.effects[..] else {
        panic!("{:?}", scene.effects);
    };
    assert_eq!((changes.here.len(), changes.gone.len()), (1, 1));
}

#[test]
fn a_member_is_put_out_only_while_it_is_being_forgotten() {
    let mut scene = Scene::new(false);
    scene.ask(2, 1, join());
    scene.story();
    let gone = member(2);
    scene.does(|rooms, turn, people| rooms.expire(turn, people, ROOM, gone));
    assert!(scene.story().is_empty(), "it is back");
    scene.folk.ending.insert(gone);
    scene.does(|rooms, turn, people| rooms.expire(turn, people, ROOM, gone));
    assert_eq!(scene.story(), ["tell left", "out"]);
}

#[test]
fn an_answer_of_the_log_is_for_the_room_that_asked() {
    let mut scene = Scene::new(false);
    let before = scene.bench.common.questions.len();
    let token = scene.bench.common.questions.token(Reader::Room(ROOM));
    let questions = &mut scene.bench.common.questions;
    assert_eq!(questions.answered(token), Some(Reader::Room(ROOM)));
    assert_eq!(questions.answered(token), None);
    assert_eq!(scene.bench.common.questions.len(), before);
    assert_eq!(ErrorCode::RoomFull.name(), Some("room_full"));
}

#[test]
fn a_place_is_gone_on_from_if_it_is_of_this_log_and_of_this_membership() {
    let mut scene = Scene::new(false);
    scene.ask(2, 1, join());
    scene.ask(2, 2, leave());
    scene.ask(2, 3, join());
    scene.story();
    for (epoch, seq, goes_on) in [(1, 3, "afresh"), (1, 4, "resumed"), (9, 4, "afresh")] {
        let owed = attach(2, Some(Place { epoch, seq }));
        scene.does(|rooms, turn, people| rooms.attach(turn, people, ROOM, owed));
        assert_eq!(scene.story(), [goes_on]);
    }
}

#[test]
fn history_is_refused_only_after_a_look() {
    let mut scene = Scene::new(true);
    scene.elsewhere(2, joined());
    let id = scene.ask(2, 0, history());
    let story = scene.story();
    let shown = format!("history {id} ");
    assert!(
        story.iter().any(|line| line.starts_with(&shown)),
        "{story:?}"
    );
}

#[test]
fn a_history_of_another_life_of_the_log_has_the_room_read_anew() {
    let mut scene = Scene::new(false);
    scene.ask(1, 2, send("x"));
    scene.story();
    scene.log.lose_tail(Partition::Room(ROOM), 1, 2);
    scene.ask(1, 0, history());
    let story = scene.story();
    assert!(story.contains(&"suspend".to_owned()), "{story:?}");
    assert!(story.contains(&"reset 1".to_owned()), "{story:?}");
}
