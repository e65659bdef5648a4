//! The wire by properties: any message in either form, any bytes, in any pieces.

use core::fmt::Debug;

use crate::vectors::examples;
use chat_core::{
    id::{CredentialId, KeyId, MemberId, Place, RoomId, Secret},
    roles::Role,
    time::Wall,
    wire::{
        ClientMessage, Decoder, Form, Frame, FrameTooLarge, Record, SERVER_FRAME_BYTES,
        ServerMessage, Tagged, Unknown,
        client::{self, HistoryFrom, Op, Peer, RoomRef},
        record::{
            self, CipherKind, Content, HistoryPolicy, PasswordRecord, Person, PresenceMode,
            RecordBody, WrappedKey,
        },
        server::{self, Answer, PresenceUpdate},
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

proptest! {
    #[test]
    fn what_a_client_says_survives_both_forms(message in client_message()) {
        survives(&message)?;
    }

    #[test]
    fn what_a_server_says_survives_both_forms(message in server_message()) {
        survives(&message)?;
    }

    #[test]
    fn records_survive_storing(record in record()) {
        prop_assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
    }

    /// A newer peer's fields stand behind those that are known.
    #[test]
    fn what_follows_a_message_is_ignored(message in client_message(), more in vec(any::<u8>(), 0..20)) {
        let body = [&Form::Postcard.encode(&message).body()[..], &more].concat();
        prop_assert_eq!(Form::Postcard.decode::<ClientMessage>(&body), Ok(message));
    }

    #[test]
    fn any_bytes_are_refused_or_mean_something(bytes in vec(any::<u8>(), 0..300)) {
        anything(&bytes)?;
    }

    /// Good messages with a byte changed, taken out or doubled come closer to the edges than any bytes do.
    #[test]
    fn damaged_messages_are_refused_or_mean_something(
        message in client_message(),
        other in server_message(),
        json in any::<bool>(),
        at in any::<prop::sample::Index>(),
        damage in 0..3,
        with in any::<u8>(),
    ) {
        let form = if json { Form::Json } else { Form::Postcard };
        for body in [form.encode(&message).body(), form.encode(&other).body()] {
            let mut bytes = body.to_vec();
            let at = at.index(bytes.len());
            match damage {
                0 => bytes[at] = with,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, with),
            }
            anything(&bytes)?;
        }
    }

    #[test]
    fn any_splitting_equals_none(
        bodies in vec(vec(any::<u8>(), 0..40), 0..8),
        tail in vec(any::<u8>(), 0..3),
        cuts in vec(1usize..12, 1..20),
    ) {
        let mut stream: Vec<u8> = bodies.iter().flat_map(|body| Frame::from_body(body).prefixed().to_vec()).collect();
        stream.extend(tail);
        prop_assert_eq!(split(&stream, &cuts, 40), (bodies, None));
    }

    #[test]
    fn any_splitting_of_any_bytes_equals_none(stream in vec(prop_oneof![3 => Just(0), 1 => any::<u8>()], 0..200), cuts in vec(1usize..12, 1..20), limit in 0u32..300) {
        prop_assert_eq!(split(&stream, &cuts, limit), split(&stream, &[stream.len() + 1], limit));
    }

    /// As soon as the length is there, and so before there is anything to allocate for.
    #[test]
    fn a_frame_too_long_is_refused_by_its_length_alone(limit in 0..u32::MAX, more in 1..u32::MAX, cut in 0usize..4) {
        let announced = limit.saturating_add(more);
        let length = announced.to_be_bytes();
        let mut decoder = Decoder::new(limit);
        decoder.feed(&length[..cut], |_| {}).unwrap();
        let refused = decoder.feed(&length[cut..], |_| panic!("there is no body"));
        prop_assert_eq!(refused, Err(FrameTooLarge { announced, allowed: limit }));
    }
}

#[test]
fn every_example_survives_both_forms() {
    let survives = |outcome: Result<(), TestCaseError>| outcome.unwrap();
    examples::client()
        .iter()
        .for_each(|message| survives(self::survives(message)));
    examples::server()
        .iter()
        .for_each(|message| survives(self::survives(message)));
}

#[test]
fn json_that_nests_without_end_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":[", "]}]")] {
        for depth in [100, 127, 128, 129, 1_000, 100_000] {
            let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let request =
                format!(r#"{{"type":"request","id":1,"kind":"teleport","body":{value}}}"#);
            let outcome = Form::Json.decode::<ClientMessage>(request.as_bytes());
            assert!(outcome.is_err() || depth <= 127, "{open} {depth}");
            let unclosed = format!(r#"{{"type":"ping","nonce":{}"#, open.repeat(depth));
            assert!(
                Form::Json
                    .decode::<ClientMessage>(unclosed.as_bytes())
                    .is_err()
            );
        }
    }
}

#[test]
fn numbers_that_are_too_large_are_refused() {
    let nines = "9".repeat(10_000);
    for number in [
        "9007199254740992",
        "18446744073709551615",
        "18446744073709551616",
        "1e5",
        "1e400",
        "-0",
        "-1",
        "0.5",
        &nines,
    ] {
        let ping = format!(r#"{{"type":"ping","nonce":{number}}}"#);
        assert!(
            Form::Json.decode::<ClientMessage>(ping.as_bytes()).is_err(),
            "{number}"
        );
    }
    let most = br#"{"type":"ping","nonce":9007199254740991}"#;
    assert!(Form::Json.decode::<ClientMessage>(most).is_ok());
}

/// In both forms, and from one to the other.
fn survives<T: Tagged + Debug + PartialEq>(message: &T) -> Result<(), TestCaseError> {
    for form in [Form::Postcard, Form::Json] {
        let frame = form.encode(message);
        let read: T = form
            .decode(&frame.body())
            .map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&read, message);
        prop_assert_eq!(form.encode(&read), frame);
        let mut decoder = Decoder::new(SERVER_FRAME_BYTES);
        let mut bodies = Vec::new();
        decoder
            .feed(form.encode(message).prefixed(), |body| {
                bodies.push(body.to_vec())
            })
            .unwrap();
        prop_assert_eq!(&bodies[..], [form.encode(message).body().to_vec()]);
    }
    Ok(())
}

/// What can be read is written and read again as the same.
fn anything(bytes: &[u8]) -> Result<(), TestCaseError> {
    fn stable<T: Tagged + Debug + PartialEq>(
        form: Form,
        bytes: &[u8],
    ) -> Result<(), TestCaseError> {
        let Ok(message) = form.decode::<T>(bytes) else {
            return Ok(());
        };
        prop_assert_eq!(form.decode::<T>(&form.encode(&message).body()), Ok(message));
        Ok(())
    }
    for form in [Form::Postcard, Form::Json] {
        stable::<ClientMessage>(form, bytes)?;
        stable::<ServerMessage>(form, bytes)?;
    }
    if let Ok(record) = Record::from_bytes(bytes) {
        prop_assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
    }
    Ok(())
}

fn split(stream: &[u8], cuts: &[usize], limit: u32) -> (Vec<Vec<u8>>, Option<FrameTooLarge>) {
    let (mut decoder, mut bodies, mut rest) = (Decoder::new(limit), Vec::new(), stream);
    for cut in cuts.iter().cycle() {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        if let Err(e) = decoder.feed(piece, |body| bodies.push(body.to_vec())) {
            return (bodies, Some(e));
        }
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    (bodies, None)
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    use ClientMessage as M;
    let resume = (room(), place()).prop_map(|(room, place)| client::Resume { room, place });
    let hello = (
        (any::<u16>(), any::<u16>(), vec(text(), 0..3), text()),
        (
            text(),
            text(),
            any::<[u8; 32]>(),
            any::<bool>(),
            vec(resume, 0..4),
        ),
    )
        .prop_map(
            |((min, max, capabilities, agent), (nick, label, secret, kept, resume))| {
                client::Hello {
                    versions: client::Versions { min, max },
                    capabilities,
                    agent,
                    nick,
                    label,
                    secret: Secret(secret),
                    kept,
                    resume,
                }
            },
        );
    let request =
        (number(), number(), op()).prop_map(|(id, txn, op)| client::Request { id, txn, op });
    prop_oneof![
        1 => hello.prop_map(M::Hello),
        8 => request.prop_map(M::Request),
        1 => number().prop_map(|nonce| M::Ping(client::Ping { nonce })),
        1 => number().prop_map(|nonce| M::Pong(client::Ping { nonce })),
        1 => Just(M::Bye(client::Empty {})),
        1 => Just(M::Closed(client::Empty {})),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let room_ref = || {
        prop_oneof![
            Just(RoomRef::Lobby),
            any::<u32>().prop_map(RoomRef::Number),
            room().prop_map(RoomRef::Id)
        ]
    };
    let peer = || prop_oneof![text().prop_map(Peer::Nick), member().prop_map(Peer::Member)];
    let proof = (any::<[u8; 16]>(), bytes()).prop_map(|(id, ke3)| client::Proof {
        credential: CredentialId(id),
        ke3,
    });
    let from = prop_oneof![
        Just(HistoryFrom::Latest),
        number().prop_map(HistoryFrom::Before),
        number().prop_map(HistoryFrom::After)
    ];
    let create = (
        (
            option::of(text()),
            text(),
            cipher(),
            option::of(any::<[u8; 16]>()),
        ),
        (history(), presence(), option::of(password())),
    );
    prop_oneof![
        (option::of(any::<u32>()), any::<u16>())
            .prop_map(|(after, limit)| Op::List(client::List { after, limit })),
        (text(), text()).prop_map(|(nick, label)| Op::Nick(client::Nick { nick, label })),
        (option::of(room()), bytes())
            .prop_map(|(room, request)| Op::Register(client::Register { room, request })),
        create.prop_map(
            |((name, topic, cipher, key), (history, presence, password))| {
                Op::Create(client::Create {
                    name,
                    topic,
                    cipher,
                    key: key.map(KeyId),
                    history,
                    presence,
                    password,
                })
            }
        ),
        (room_ref(), bytes()).prop_map(|(room, ke1)| Op::Login(client::Login { room, ke1 })),
        (room_ref(), option::of(proof))
            .prop_map(|(room, proof)| Op::Join(client::Join { room, proof })),
        room().prop_map(|room| Op::Leave(client::InRoom { room })),
        peer().prop_map(|to| Op::Direct(client::Direct { to })),
        (room(), any::<bool>(), content()).prop_map(|(room, action, content)| Op::Send(
            client::Send {
                room,
                action,
                content
            }
        )),
        (room(), option::of(member()), any::<u16>())
            .prop_map(|(room, after, limit)| Op::Members(client::Members { room, after, limit })),
        (room(), from, any::<u16>()).prop_map(|(room, from, limit)| Op::History(client::History {
            room,
            from,
            limit
        })),
        (room(), text()).prop_map(|(room, topic)| Op::Topic(client::SetTopic { room, topic })),
        (room(), peer(), select(Role::ALL))
            .prop_map(|(room, target, role)| Op::Role(client::SetRole { room, target, role })),
        (room(), peer(), text()).prop_map(|(room, target, reason)| Op::Kick(client::Remove {
            room,
            target,
            reason
        })),
        (room(), peer(), text()).prop_map(|(room, target, reason)| Op::Ban(client::Remove {
            room,
            target,
            reason
        })),
        (room(), peer()).prop_map(|(room, target)| Op::Unban(client::OnPeer { room, target })),
        (room(), peer(), option::of(any::<u32>())).prop_map(|(room, target, seconds)| Op::Mute(
            client::Mute {
                room,
                target,
                seconds
            }
        )),
        (room(), peer()).prop_map(|(room, target)| Op::Unmute(client::OnPeer { room, target })),
        (room(), any::<[u8; 16]>(), password(), vec(wrapped(), 0..3)).prop_map(
            |(room, expected, password, earlier)| {
                Op::Password(client::SetPassword {
                    room,
                    expected: KeyId(expected),
                    password,
                    earlier,
                })
            }
        ),
        (room(), any::<bool>())
            .prop_map(|(room, blocked)| Op::Block(client::Block { room, blocked })),
        (room(), number()).prop_map(|(room, seq)| Op::Redact(client::Redact { room, seq })),
        (21u16.., bytes()).prop_map(|(kind, body)| Op::Unknown(Unknown { kind, body })),
    ]
}

/// The examples have every kind; here what they carry varies.
fn server_message() -> impl Strategy<Value = ServerMessage> {
    use ServerMessage as M;
    let person = || {
        (member(), text(), text()).prop_map(|(member, nick, label)| Person {
            member,
            nick,
            label,
        })
    };
    let renamed = (text(), person()).prop_map(|(from, to)| server::Renamed { from, to });
    let changes = (vec(person(), 0..3), vec(person(), 0..3), vec(renamed, 0..3)).prop_map(
        |(here, gone, renamed)| server::PresenceChanges {
            here,
            gone,
            renamed,
        },
    );
    let update = prop_oneof![
        vec(person(), 0..4).prop_map(PresenceUpdate::Full),
        changes.prop_map(PresenceUpdate::Changes),
        any::<u32>().prop_map(PresenceUpdate::Count),
    ];
    let page = (number(), vec(record(), 0..4), number(), number()).prop_map(
        |(epoch, records, oldest, newest)| {
            Answer::History(server::HistoryPage {
                epoch,
                records,
                oldest,
                newest,
            })
        },
    );
    let unknown =
        (21u16.., bytes()).prop_map(|(kind, body)| Answer::Unknown(Unknown { kind, body }));
    let named =
        (text(), text()).prop_map(|(nick, label)| Answer::Nick(server::Named { nick, label }));
    let said = place().prop_map(|place| Answer::Send(server::Committed { place }));
    let done = (number(), prop_oneof![page, unknown, named, said])
        .prop_map(|(id, answer)| M::Ok(server::Done { id, answer }));
    let records = (room(), number(), vec(record(), 0..5)).prop_map(|(room, epoch, records)| {
        M::Records(server::Records {
            room,
            epoch,
            records,
        })
    });
    prop_oneof![
        3 => select(examples::server()),
        3 => done,
        3 => records,
        1 => (room(), update).prop_map(|(room, update)| M::Presence(server::Presence { room, update })),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let said = content().prop_map(|content| RecordBody::Message(record::Message { content }));
    let unknown =
        (15u16.., bytes()).prop_map(|(kind, body)| RecordBody::Unknown(Unknown { kind, body }));
    let examples = select(examples::records()).prop_map(|record| record.body);
    let body = prop_oneof![said, unknown, examples];
    (number(), number(), member(), text(), text(), number(), body).prop_map(
        |(seq, time, member, nick, label, txn, body)| Record {
            seq,
            time: Wall(time),
            member,
            nick,
            label,
            txn,
            body,
        },
    )
}

fn content() -> impl Strategy<Value = Content> {
    let sealed = (any::<[u8; 16]>(), bytes()).prop_map(|(key, data)| {
        Content::Sealed(record::Sealed {
            key: KeyId(key),
            data,
        })
    });
    prop_oneof![
        text().prop_map(Content::Plain),
        text().prop_map(Content::Caesar),
        sealed
    ]
}

fn password() -> impl Strategy<Value = PasswordRecord> {
    (any::<[u8; 16]>(), bytes(), wrapped()).prop_map(|(id, upload, key)| PasswordRecord {
        credential: CredentialId(id),
        upload,
        key,
    })
}

fn wrapped() -> impl Strategy<Value = WrappedKey> {
    (any::<[u8; 16]>(), bytes()).prop_map(|(id, wrapped)| WrappedKey {
        id: KeyId(id),
        wrapped,
    })
}

fn cipher() -> impl Strategy<Value = CipherKind> {
    select(vec![
        CipherKind::None,
        CipherKind::Caesar,
        CipherKind::StaticKey,
        CipherKind::RoomPassword,
    ])
}

fn history() -> impl Strategy<Value = HistoryPolicy> {
    select(vec![HistoryPolicy::All, HistoryPolicy::SinceJoined])
}

fn presence() -> impl Strategy<Value = PresenceMode> {
    select(vec![
        PresenceMode::Full,
        PresenceMode::Count,
        PresenceMode::Off,
    ])
}

fn place() -> impl Strategy<Value = Place> {
    (number(), number()).prop_map(|(epoch, seq)| Place { epoch, seq })
}

fn room() -> impl Strategy<Value = RoomId> {
    any::<[u8; 16]>().prop_map(RoomId)
}

fn member() -> impl Strategy<Value = MemberId> {
    any::<[u8; 16]>().prop_map(MemberId)
}

/// Any number that the protocol can carry, often one at an edge.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..1u64 << 53,
        select(vec![
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            u64::from(u32::MAX),
            (1 << 53) - 1
        ])
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z]{0,12}"]
}

fn bytes() -> impl Strategy<Value = bytes::Bytes> {
    vec(any::<u8>(), 0..80).prop_map(Into::into)
}
