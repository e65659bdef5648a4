mod life;
mod redaction;
mod requests;

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
            } => rooms.kept(&mut turn, ROOM, (id, index, done)),
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
        let mut asked = self.asked(who, txn, op);
        asked.origin.conn = conn(slot);
        let id = asked.origin.id;
        self.does(|rooms, turn, people| rooms.request(turn, people, ROOM, asked));
        id
    }

    /// A request that nothing was done about yet.
    fn asked(&mut self, who: u8, txn: u64, op: Op) -> Box<Asked> {
        let id = self.next_id;
        self.next_id += 1;
        Box::new(Asked {
            origin: Origin {
                conn: conn(who.into()),
                id,
                kind: 0,
                bytes: 1,
                paced: false,
            },
            member: member(who),
            session: SessionId(1),
            address: None,
            since: crate::time::Monotonic(0),
            request: Request { id, txn, op },
            checked: Ok(()),
            login: None,
        })
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
