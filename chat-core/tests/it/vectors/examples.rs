//! One message of every kind and one value of every choice, as this library has them.

use bytes::Bytes;
use chat_core::{
    id::{
        CredentialId, DeviceId, KeyId, MemberId, MessageId, Place, RequestHash, RoomId, RoomOrigin,
        Secret, SessionId,
    },
    keys::{Nonce, PublicKey, Signature},
    limits::{Limits, Rate, WireLimits},
    roles::Role,
    time::Wall,
    wire::{
        ClientMessage, CloseReason, ErrorCode, Opaque, Record, ServerMessage, Unknown,
        client::{self, HistoryFrom, Op, Peer, RoomRef},
        record::{
            self, CipherKind, Content, HistoryPolicy, LeftReason, Person, PresenceMode, RecordBody,
            RoomKind, Standing, WrappedKey,
        },
        server::{self, Answer, Durability, PresenceUpdate, RemovedReason},
    },
};

const ROOM: RoomId = RoomId([0x11; 16]);
const MAYA: MemberId = MemberId([0x22; 16]);
const BOB: MemberId = MemberId([0x33; 16]);
const SESSION: SessionId = SessionId(1 << 40);
const MESSAGE: MessageId = MessageId {
    member: BOB,
    session: SessionId(7),
    txn: 300,
};
const ORIGIN: RoomOrigin = RoomOrigin([0x66; 16]);
const KEY: KeyId = KeyId([0x44; 16]);
const CREDENTIAL: CredentialId = CredentialId([0x55; 16]);
const PLACE: Place = Place {
    epoch: 300,
    seq: 70_000,
};
/// The largest number there is.
const MOST: u64 = (1 << 53) - 1;

pub(crate) fn client() -> Vec<ClientMessage> {
    use ClientMessage as M;
    let resume = client::Resume {
        room: ROOM,
        place: PLACE,
    };
    let resume = vec![
        resume,
        client::Resume {
            room: RoomId::LOBBY,
            place: Place {
                epoch: MOST,
                seq: 0,
            },
        },
    ];
    let open = client::Open {
        versions: client::Versions { min: 1, max: 2 },
        nonce: Nonce([0x11; 32]),
        capabilities: vec!["edits".to_owned()],
    };
    let guest = client::GuestHello {
        nick: "Zoë".to_owned(),
        label: "group 3".to_owned(),
        agent: "demo/1".to_owned(),
        secret: Some(Secret(std::array::from_fn(|i| i as u8))),
        session: SESSION,
        resume,
    };
    let least = client::GuestHello {
        nick: "a".to_owned(),
        label: String::new(),
        agent: String::new(),
        secret: None,
        session: SessionId(1),
        resume: vec![],
    };
    let hello = client::Hello {
        signed: Bytes::from_static(b"see keys.json"),
        signature: Signature([0x22; 64]),
    };
    let mut all = vec![
        M::Open(open),
        M::Hello(hello),
        M::GuestHello(guest),
        M::GuestHello(least),
        M::Ping(client::Ping { nonce: 0 }),
        M::Ping(client::Ping { nonce: MOST }),
        M::Pong(client::Ping { nonce: 128 }),
        M::Bye(client::Empty {}),
        M::Closed(client::Empty {}),
    ];
    let reads = |op: &Op| {
        matches!(
            op,
            Op::List(_)
                | Op::Register(_)
                | Op::Login(_)
                | Op::Members(_)
                | Op::History(_)
                | Op::Unknown(_)
        )
    };
    all.extend((1..).zip(ops()).map(|(id, op)| {
        M::Request(client::Request {
            id,
            txn: if reads(&op) { 0 } else { id + 200 },
            op,
        })
    }));
    all.push(M::Request(client::Request {
        id: MOST,
        txn: MOST,
        op: Op::Leave(client::InRoom { room: ROOM }),
    }));
    all
}

fn ops() -> Vec<Op> {
    let target = || Peer::Nick("Bob".to_owned());
    let member = Peer::Member(BOB);
    let room = ROOM;
    let reason = String::new();
    let create = client::Create {
        name: Some("Tea room".to_owned()),
        topic: "Darjeeling".to_owned(),
        cipher: CipherKind::RoomPassword,
        key: None,
        history: HistoryPolicy::SinceJoined,
        presence: PresenceMode::Count,
        password: Some(password()),
    };
    let plain = client::Create {
        name: None,
        cipher: CipherKind::None,
        history: HistoryPolicy::All,
        presence: PresenceMode::Full,
        password: None,
        ..create.clone()
    };
    let caesar = client::Create {
        cipher: CipherKind::Caesar,
        presence: PresenceMode::Off,
        ..plain.clone()
    };
    let keyed = client::Create {
        cipher: CipherKind::StaticKey,
        key: Some(KEY),
        ..plain.clone()
    };
    let proof = client::Proof {
        credential: CREDENTIAL,
        ke3: vec![3; 64].into(),
    };
    vec![
        Op::List(client::List {
            after: None,
            limit: 0,
        }),
        Op::List(client::List {
            after: Some(u32::MAX),
            limit: u16::MAX,
        }),
        Op::Nick(client::Nick {
            nick: "Zoë".to_owned(),
            label: String::new(),
        }),
        Op::Register(client::Register {
            room: None,
            request: vec![1; 32].into(),
        }),
        Op::Register(client::Register {
            room: Some(ROOM),
            request: vec![1; 32].into(),
        }),
        Op::Create(create),
        Op::Create(plain),
        Op::Create(caesar),
        Op::Create(keyed),
        Op::Login(client::Login {
            room: RoomRef::Number(0),
            ke1: vec![2; 96].into(),
        }),
        Op::Join(client::Join {
            room: RoomRef::Lobby,
            proof: None,
        }),
        Op::Join(client::Join {
            room: RoomRef::Number(300),
            proof: Some(proof),
        }),
        Op::Join(client::Join {
            room: RoomRef::Id(ROOM),
            proof: None,
        }),
        Op::Leave(client::InRoom { room }),
        Op::Direct(client::Direct { to: target() }),
        Op::Direct(client::Direct { to: member.clone() }),
        Op::Send(client::Send {
            room,
            action: false,
            content: Content::plain("Hello,\nZoë! \u{1f980}"),
        }),
        Op::Send(client::Send {
            room,
            action: true,
            content: Content::caesar("Khoor, Crë!"),
        }),
        Op::Send(client::Send {
            room,
            action: false,
            content: sealed(),
        }),
        Op::Members(client::Members {
            room,
            after: None,
            limit: 100,
        }),
        Op::Members(client::Members {
            room,
            after: Some(BOB),
            limit: 1,
        }),
        Op::History(client::History {
            room,
            from: HistoryFrom::Latest,
            limit: 100,
        }),
        Op::History(client::History {
            room,
            from: HistoryFrom::Before(70_000),
            limit: 100,
        }),
        Op::History(client::History {
            room,
            from: HistoryFrom::After(MOST),
            limit: 100,
        }),
        Op::History(client::History {
            room,
            from: HistoryFrom::Around(Wall(1_700_000_000_000)),
            limit: 20,
        }),
        Op::Topic(client::SetTopic {
            room,
            topic: "Assam".to_owned(),
        }),
        Op::Role(client::SetRole {
            room,
            target: target(),
            role: Role::Member,
        }),
        Op::Role(client::SetRole {
            room,
            target: target(),
            role: Role::Moderator,
        }),
        Op::Role(client::SetRole {
            room,
            target: member.clone(),
            role: Role::Owner,
        }),
        Op::Kick(client::Remove {
            room,
            target: target(),
            reason: "noise".to_owned(),
        }),
        Op::Ban(client::Remove {
            room,
            target: member.clone(),
            reason,
        }),
        Op::Unban(client::OnPeer {
            room,
            target: member.clone(),
        }),
        Op::Mute(client::Mute {
            room,
            target: target(),
            seconds: Some(600),
        }),
        Op::Mute(client::Mute {
            room,
            target: target(),
            seconds: None,
        }),
        Op::Unmute(client::OnPeer {
            room,
            target: member,
        }),
        Op::Password(client::SetPassword {
            room,
            expected: KEY,
            password: password(),
            earlier: vec![wrapped()],
        }),
        Op::Block(client::Block {
            room,
            blocked: true,
        }),
        Op::Redact(client::Redact {
            room,
            target: MESSAGE,
            seq: 70_000,
        }),
        Op::Unknown(Unknown {
            kind: 999,
            body: vec![1, 2, 3].into(),
        }),
    ]
}

pub(crate) fn server() -> Vec<ServerMessage> {
    use ServerMessage as M;
    let welcome = |durability| {
        M::Welcome(server::Welcome {
            version: 1,
            capabilities: vec!["edits".to_owned()],
            agent: "chat-core/0.1.0".to_owned(),
            member: MAYA,
            nick: "Zoë".to_owned(),
            label: String::new(),
            limits: limits(),
            ping_interval: 30_000,
            durability,
            time: Wall(1_700_000_000_000),
            lobby: true,
            rooms: vec![RoomId::LOBBY, ROOM],
            proof: (durability == Durability::Disk).then_some(Signature([0x22; 64])),
            any_audience: durability == Durability::Memory,
        })
    };
    let challenge = M::Challenge(server::Challenged {
        version: 1,
        nonce: Nonce([0x11; 32]),
        key: PublicKey([0x33; 32]),
        signature: Signature([0x22; 64]),
        time: Wall(1_700_000_000_000),
        capabilities: vec!["edits".to_owned()],
    });
    let mut all: Vec<M> = [Durability::Memory, Durability::Disk, Durability::Replicated]
        .map(welcome)
        .into();
    all.push(challenge);
    all.extend(
        (1..)
            .zip(answers())
            .map(|(id, answer)| M::Ok(server::Done { id, answer })),
    );
    all.extend((0..).zip(ErrorCode::ALL).map(|(id, code)| {
        let retry_after = code.is_temporary().then_some(1_500);
        M::Error(server::Failure {
            id,
            code: *code,
            temporary: code.is_temporary(),
            retry_after,
            text: "why".to_owned(),
        })
    }));
    all.extend([true, false].map(|resumed| {
        M::Entered(server::Entered {
            resumed,
            view: view(),
        })
    }));
    all.push(M::Records(server::Records {
        room: ROOM,
        epoch: 300,
        records: records().into_iter().take(3).collect(),
    }));
    let changes = server::PresenceChanges {
        here: vec![person(MAYA, "Zoë")],
        gone: vec![],
        renamed: vec![server::Renamed {
            from: "Bob".to_owned(),
            to: person(BOB, "Robert"),
        }],
    };
    let updates = [
        PresenceUpdate::Full(server::People {
            people: vec![person(MAYA, "Zoë"), person(BOB, "Bob")],
        }),
        PresenceUpdate::Changes(changes),
        PresenceUpdate::Count(server::Count { count: 501 }),
        PresenceUpdate::Unknown(Unknown {
            kind: 999,
            body: vec![1, 2, 3].into(),
        }),
    ];
    all.extend(updates.map(|update| M::Presence(server::Presence { room: ROOM, update })));
    let later = RemovedReason::Other(999);
    all.extend(RemovedReason::ALL.iter().chain([&later]).map(|reason| {
        M::Removed(server::Removed {
            room: ROOM,
            reason: *reason,
        })
    }));
    all.push(M::Ping(client::Ping { nonce: 5 }));
    all.push(M::Named(server::Named {
        nick: "Zoë".to_owned(),
        label: "gr. 2".to_owned(),
    }));
    all.push(M::Pong(client::Ping { nonce: MOST }));
    all.extend(CloseReason::ALL.iter().map(|reason| {
        let retry_after = reason.reconnect().then_some(500);
        M::Closing(server::Closing {
            reason: *reason,
            reconnect: reason.reconnect(),
            retry_after,
            text: "why".to_owned(),
        })
    }));
    all
}

fn answers() -> Vec<Answer> {
    let committed = server::Committed { place: PLACE };
    let group = server::RoomInfo {
        room: ROOM,
        number: 0,
        name: Some("Tea room".to_owned()),
        topic: String::new(),
        cipher: CipherKind::RoomPassword,
        protected: true,
        members: 2,
    };
    let unnamed = server::RoomInfo {
        name: None,
        number: 1,
        cipher: CipherKind::None,
        protected: false,
        ..group.clone()
    };
    let bob = server::MemberInfo {
        member: BOB,
        nick: "Bob".to_owned(),
        label: String::new(),
        role: Role::Moderator,
        standing: Standing::Member,
        here: true,
        muted: false,
    };
    let lobby = server::RoomView {
        kind: RoomKind::Lobby,
        number: None,
        name: None,
        cipher: CipherKind::None,
        key: None,
        credential: None,
        keys: vec![],
        ..view()
    };
    let private = server::RoomView {
        kind: RoomKind::Private,
        standing: Standing::Invited,
        peer: Some(person(BOB, "Bob")),
        peer_standing: Some(Standing::Member),
        ..lobby.clone()
    };
    vec![
        Answer::List(server::Rooms {
            rooms: vec![group, unnamed],
            more: true,
        }),
        Answer::Nick(server::Named {
            nick: "Zoë".to_owned(),
            label: "group 3".to_owned(),
        }),
        Answer::Register(server::Registered {
            credential: CREDENTIAL,
            response: vec![4; 64].into(),
        }),
        Answer::Create(view()),
        Answer::Login(server::Challenge {
            credential: CREDENTIAL,
            ke2: vec![5; 320].into(),
        }),
        Answer::Join(lobby),
        Answer::Leave(committed),
        Answer::Direct(private),
        Answer::Send(committed),
        Answer::Members(server::MemberPage {
            members: vec![bob],
            more: false,
        }),
        Answer::History(server::HistoryPage {
            epoch: 300,
            records: records().into_iter().take(2).collect(),
            oldest: 1,
            newest: MOST,
        }),
        Answer::Topic(committed),
        Answer::Role(committed),
        Answer::Kick(committed),
        Answer::Ban(committed),
        Answer::Unban(committed),
        Answer::Mute(committed),
        Answer::Unmute(committed),
        Answer::Password(committed),
        Answer::Block(committed),
        Answer::Redact(committed),
        Answer::Unknown(Unknown {
            kind: 999,
            body: vec![1, 2, 3].into(),
        }),
    ]
}

pub(crate) fn records() -> Vec<Record> {
    let (target, nick) = (BOB, "Bob".to_owned());
    let removal = record::Removal {
        target,
        nick: nick.clone(),
        reason: "noise".to_owned(),
    };
    let on = record::Target {
        target,
        nick: nick.clone(),
    };
    let created = |kind, members| {
        RecordBody::Created(record::Created {
            kind,
            origin: ORIGIN,
            cipher: CipherKind::None,
            history: HistoryPolicy::All,
            presence: PresenceMode::Full,
            topic: String::new(),
            number: None,
            name: None,
            key: None,
            password: None,
            members,
        })
    };
    let message = |content| RecordBody::Message(record::Message { content });
    let bodies = vec![
        RecordBody::Created(record::Created {
            kind: RoomKind::Group,
            origin: ORIGIN,
            cipher: CipherKind::RoomPassword,
            history: HistoryPolicy::SinceJoined,
            presence: PresenceMode::Count,
            topic: "Darjeeling".to_owned(),
            number: Some(300),
            name: Some("Tea room".to_owned()),
            key: None,
            password: Some(password()),
            members: vec![],
        }),
        RecordBody::Joined(record::Joined {}),
        message(Content::plain("Hello, Zoë!")),
        created(RoomKind::Lobby, vec![]),
        created(
            RoomKind::Private,
            vec![person(MAYA, "Zoë"), person(BOB, "Bob")],
        ),
        RecordBody::Left(record::Left {
            reason: LeftReason::Asked,
        }),
        RecordBody::Left(record::Left {
            reason: LeftReason::Expired,
        }),
        message(Content::caesar("Khoor, Crë!")),
        message(sealed()),
        RecordBody::Action(record::Message {
            content: Content::plain("waves"),
        }),
        RecordBody::Topic(record::Topic {
            topic: "Assam".to_owned(),
        }),
        RecordBody::Role(record::RoleChange {
            target,
            nick: nick.clone(),
            role: Role::Owner,
        }),
        RecordBody::Kicked(removal.clone()),
        RecordBody::Banned(removal),
        RecordBody::Unbanned(on.clone()),
        RecordBody::Muted(record::Muted {
            target,
            nick: nick.clone(),
            seconds: Some(600),
        }),
        RecordBody::Muted(record::Muted {
            target,
            nick,
            seconds: None,
        }),
        RecordBody::Unmuted(on),
        RecordBody::Password(record::PasswordChange {
            password: password(),
            earlier: vec![wrapped(), wrapped()],
        }),
        RecordBody::Blocked(record::Blocked { blocked: true }),
        RecordBody::Redacted(record::Redacted { seq: 70_000 }),
        RecordBody::Blank(record::Blank { redacted: 21 }),
        RecordBody::Closed(record::Closed {
            reason: "moved".to_owned(),
        }),
        RecordBody::Reopened(record::Reopened {}),
        message(Content::Unknown(Unknown {
            kind: 999,
            body: vec![1, 2, 3].into(),
        })),
        RecordBody::Unknown(Unknown {
            kind: 999,
            body: vec![1, 2, 3].into(),
        }),
    ];
    let record = |(seq, body)| Record {
        seq,
        time: Wall(1_700_000_000_000),
        member: MAYA,
        device: None,
        session: SESSION,
        txn: seq,
        hash: RequestHash(0x0102_0304),
        nick: "Zoë".to_owned(),
        label: "group 3".to_owned(),
        target: matches!(body, RecordBody::Redacted(_)).then_some(MESSAGE),
        blobs: vec![],
        signature: None,
        body,
    };
    let mut all: Vec<Record> = (1..).zip(bodies).map(record).collect();
    let server = RecordBody::Joined(record::Joined {});
    all.push(Record::by_server(MOST, Wall(0), server));
    // Fields that later versions and applications will write.
    all.push(Record {
        device: Some(DeviceId([0x77; 16])),
        target: Some(MESSAGE),
        blobs: vec![Opaque(vec![1; 32].into()), Opaque(vec![].into())],
        signature: Some(Opaque(vec![2; 64].into())),
        body: RecordBody::Unknown(Unknown {
            kind: 0x8001,
            body: vec![1, 2, 3].into(),
        }),
        ..all[0].clone()
    });
    all
}

fn view() -> server::RoomView {
    server::RoomView {
        room: ROOM,
        kind: RoomKind::Group,
        origin: ORIGIN,
        place: PLACE,
        standing: Standing::Member,
        since: 69_999,
        role: Role::Owner,
        members: 2,
        said: 41,
        cipher: CipherKind::RoomPassword,
        history: HistoryPolicy::SinceJoined,
        presence: PresenceMode::Off,
        topic: "Darjeeling".to_owned(),
        number: Some(0),
        name: Some("Tea room".to_owned()),
        peer: None,
        key: Some(KEY),
        credential: Some(CREDENTIAL),
        keys: vec![wrapped()],
        peer_standing: None,
    }
}

/// Each number another, so that none can be taken for its neighbour.
fn limits() -> WireLimits {
    WireLimits {
        label_bytes: 65,
        name_bytes: 66,
        requests: 257,
        send_rate: Rate {
            burst: 101,
            per_second: 51,
        },
        ..Limits::default().wire()
    }
}

fn person(member: MemberId, nick: &str) -> Person {
    Person {
        member,
        nick: nick.to_owned(),
        label: String::new(),
    }
}

fn password() -> record::PasswordRecord {
    record::PasswordRecord {
        credential: CREDENTIAL,
        upload: vec![6; 192].into(),
        key: wrapped(),
    }
}

fn wrapped() -> WrappedKey {
    WrappedKey {
        id: KEY,
        wrapped: vec![7; 72].into(),
    }
}

fn sealed() -> Content {
    Content::Sealed(record::Sealed {
        key: KEY,
        data: vec![8; 41].into(),
    })
}
