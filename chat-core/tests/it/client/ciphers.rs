//! Keys that came out of band: given, missing, wrong.

use chat_core::{
    cipher::{Key, OpenError},
    client::{
        ClientEvent, Command, CommandError, Create, EnteredHow, Outcome, RoomCipher, RoomKey,
    },
    id::{KeyId, RoomId},
    wire::{
        ErrorCode, ServerMessage,
        client::{Op, RoomRef},
        record::{CipherKind, Content, Message, Record, RecordBody},
        server::{Answer, Records, RoomView},
    },
};

use super::script::*;

fn key(byte: u8) -> Key {
    Key([byte; 32])
}

fn caesar(seq: u64) -> RoomView {
    RoomView {
        cipher: CipherKind::Caesar,
        ..view(ROOM, seq)
    }
}

fn sealed(seq: u64) -> RoomView {
    RoomView {
        cipher: CipherKind::StaticKey,
        key: Some(key(1).static_id()),
        ..view(ROOM, seq)
    }
}

fn join(key: Option<RoomKey>) -> Command {
    Command::Join {
        room: RoomRef::Id(ROOM),
        password: None,
        key,
        unsealed_too: false,
    }
}

fn shifted(seq: u64, text: &str) -> Record {
    record(
        seq,
        OTHER,
        RecordBody::Message(Message {
            content: Content::caesar(text),
        }),
    )
}

#[test]
fn a_shift_closes_and_opens() {
    let mut script = Script::in_rooms(&[]);
    script.command(join(Some(RoomKey::Caesar(3))));
    let id = script.request().id;
    script.ok(id, Answer::Join(caesar(10)));
    assert_eq!(
        script.event(),
        ClientEvent::Entered {
            view: caesar(10),
            how: EnteredHow::Command
        }
    );
    assert!(script.finished().1.is_ok());
    script.command(send("Hello, Zoë!"));
    assert_eq!(text_of(&script.request()), "Khoor, Crë!");
    script.records(vec![shifted(11, "Khoor, Crë!"), said(12, "plain")]);
    assert!(
        matches!(script.event(), ClientEvent::Record { text: Some(Ok(text)), .. } if text == "Hello, Zoë!")
    );
    assert!(matches!(
        script.event(),
        ClientEvent::Record {
            text: Some(Err(OpenError::WrongForm)),
            ..
        }
    ));
}

#[test]
fn a_key_that_does_not_do_leaves_the_room_as_it_was_before() {
    let wrong_id = Some(RoomKey::Static(key(2)));
    for (view, key, error) in [
        (
            caesar(10),
            None,
            CommandError::KeyMissing {
                announced: CipherKind::Caesar,
            },
        ),
        (
            caesar(10),
            Some(RoomKey::Static(key(1))),
            CommandError::CipherMismatch {
                announced: CipherKind::Caesar,
            },
        ),
        (
            sealed(10),
            wrong_id,
            CommandError::CipherMismatch {
                announced: CipherKind::StaticKey,
            },
        ),
        (
            sealed(10),
            Some(RoomKey::Caesar(3)),
            CommandError::CipherMismatch {
                announced: CipherKind::StaticKey,
            },
        ),
        (
            sealed(10),
            None,
            CommandError::KeyMissing {
                announced: CipherKind::StaticKey,
            },
        ),
        (
            view(ROOM, 10),
            Some(RoomKey::Caesar(3)),
            CommandError::CipherMismatch {
                announced: CipherKind::None,
            },
        ),
    ] {
        // Not a member before: it leaves again, and the application hears of nothing in between.
        let mut script = Script::in_rooms(&[]);
        script.command(join(key.clone()));
        let id = script.request().id;
        script.ok(id, Answer::Join(view.clone()));
        let leave = script.request();
        assert!(matches!(&leave.op, Op::Leave(leave) if leave.room == ROOM));
        assert_eq!(leave.txn, 2, "the number after the join's");
        script.records(vec![said(11, "a")]);
        assert!(script.events.is_empty());
        script.ok(leave.id, Answer::Leave(committed(12)));
        assert_eq!(script.failed(), error);
        assert!(script.events.is_empty() && script.reconnect().is_empty());

        // A member before: it stays.
        let mut script = Script::in_rooms(std::slice::from_ref(&view));
        script.command(join(key));
        let id = script.request().id;
        script.ok(id, Answer::Join(view));
        assert_eq!(script.failed(), error);
        assert!(script.sent.is_empty());
        assert_eq!(script.reconnect().len(), 1);
    }
}

#[test]
fn a_room_that_is_being_left_again_is_left_after_a_lost_connection_too() {
    let mut script = Script::in_rooms(&[]);
    script.command(join(None));
    let id = script.request().id;
    script.ok(id, Answer::Join(caesar(10)));
    let before = script.request();
    assert!(script.reconnect().is_empty());
    script.say(ServerMessage::Welcome(welcome(script.me(), vec![ROOM])));
    script.events.clear();
    script.entered(false, caesar(10));
    assert!(script.events.is_empty());
    let after = script.request();
    assert_eq!((before.op, before.txn), (after.op, after.txn));
    script.refuse(after.id, ErrorCode::NotMember, None);
    assert_eq!(
        script.failed(),
        CommandError::KeyMissing {
            announced: CipherKind::Caesar
        }
    );
}

#[test]
fn a_room_is_joined_anew_only_after_it_is_left_again() {
    let mut script = Script::in_rooms(&[]);
    // The room was asked for by its number, and cannot be read.
    script.command(Command::Join {
        room: RoomRef::Number(5),
        password: None,
        key: None,
        unsealed_too: false,
    });
    let id = script.request().id;
    script.ok(id, Answer::Join(caesar(10)));
    let leave = script.request();
    // The same room by its id, with the key, and by its number.
    script.command(join(Some(RoomKey::Caesar(3))));
    script.command(Command::Join {
        room: RoomRef::Number(5),
        password: None,
        key: Some(RoomKey::Caesar(3)),
        unsealed_too: false,
    });
    assert!(script.sent.is_empty());
    script.reconnect();
    script.say(ServerMessage::Welcome(welcome(script.me(), vec![ROOM])));
    script.entered(false, caesar(10));
    let again = script.request();
    assert_eq!((leave.op, leave.txn), (again.op, again.txn));
    assert!(script.sent.is_empty());
    script.ok(again.id, Answer::Leave(committed(12)));
    let joins = script.requests();
    assert!(
        matches!(&joins[..], [one, other]
            if matches!((&one.op, &other.op), (Op::Join(one), Op::Join(other))
                if one.room == RoomRef::Id(ROOM) && other.room == RoomRef::Number(5))),
        "{joins:?}"
    );
}

#[test]
fn a_key_can_be_given_for_a_room_one_is_in_already() {
    let lobby = RoomView {
        room: RoomId::LOBBY,
        number: None,
        cipher: CipherKind::StaticKey,
        ..view(ROOM, 10)
    };
    let mut script = Script::in_rooms(std::slice::from_ref(&lobby));
    let say = || Command::Send {
        room: RoomId::LOBBY,
        action: false,
        text: "x".to_owned(),
    };
    script.command(say());
    assert_eq!(
        script.failed(),
        CommandError::KeyMissing {
            announced: CipherKind::StaticKey
        }
    );
    // The lobby announces no key: any will do.
    let key = Some(RoomKey::Static(key(3)));
    script.command(Command::Join {
        room: RoomRef::Lobby,
        password: None,
        key,
        unsealed_too: false,
    });
    let id = script.request().id;
    script.ok(id, Answer::Join(lobby.clone()));
    assert_eq!(script.finished().1, Ok(Outcome::Room(lobby)));
    script.command(say());
    assert!(
        matches!(script.request().op, Op::Send(send) if matches!(send.content, Content::Sealed(_)))
    );
}

#[test]
fn without_a_shift_what_was_said_is_shown_as_closed() {
    let mut script = Script::in_rooms(&[caesar(10)]);
    script.records(vec![shifted(11, "Khoor")]);
    let closed = Some(Err(OpenError::NoKey(KeyId([0; 16]))));
    assert!(matches!(script.event(), ClientEvent::Record { text, .. } if text == closed));
}

#[test]
fn what_one_member_seals_another_opens_and_only_with_the_key() {
    let mut author = Script::in_rooms(&[]);
    author.command(join(Some(RoomKey::Static(key(1)))));
    let id = author.request().id;
    author.ok(id, Answer::Join(sealed(10)));
    author.command(send("secret"));
    let request = author.request();
    let Op::Send(sent) = &request.op else {
        panic!("a send")
    };
    let body = RecordBody::Message(Message {
        content: sent.content.clone(),
    });
    let record = Record {
        session: author.client.session(),
        txn: request.txn,
        ..record(11, author.me(), body)
    };

    let mut reader = Script::with(author.form, chat_core::wire::Framing::Stream, [8; 32]);
    reader.enter(&[]);
    reader.command(join(Some(RoomKey::Static(key(1)))));
    let id = reader.request().id;
    reader.ok(id, Answer::Join(sealed(10)));
    reader.events.clear();
    reader.say(ServerMessage::Records(Records {
        room: ROOM,
        epoch: EPOCH,
        records: vec![record.clone()],
    }));
    assert!(
        matches!(reader.event(), ClientEvent::Record { text: Some(Ok(text)), .. } if text == "secret")
    );

    let mut stranger = Script::in_rooms(&[sealed(10)]);
    stranger.records(vec![record]);
    let closed = Some(Err(OpenError::NoKey(key(1).static_id())));
    assert!(matches!(stranger.event(), ClientEvent::Record { text, .. } if text == closed));
}

#[test]
fn keys_of_an_earlier_life_open_what_they_opened_then() {
    let mut before = Script::in_rooms(&[]);
    assert_eq!(before.client.keys(ROOM), None, "it is not in there");
    before.command(join(Some(RoomKey::Static(key(1)))));
    let id = before.request().id;
    before.ok(id, Answer::Join(sealed(10)));
    let kept = before.client.keys(ROOM).expect("it has a key");
    before.command(send("secret"));
    let request = before.request();
    let Op::Send(sent) = &request.op else {
        panic!("a send")
    };
    let content = sent.content.clone();
    let said = Record {
        session: before.client.session(),
        txn: request.txn,
        ..record(11, before.me(), RecordBody::Message(Message { content }))
    };

    // Without them, with some that are spoiled, and with those of another key, the room stays
    // closed.
    let mut after = Script::in_rooms(&[sealed(10)]);
    assert_eq!(after.client.keys(ROOM), None, "there is nothing to keep");
    for spoiled in [
        &[][..],
        &[2; 53],
        &kept[..20],
        &[kept.as_slice(), &[0]].concat(),
    ] {
        assert!(!after.client.restore_keys(ROOM, spoiled));
    }
    let mut other = kept.clone();
    other[6] ^= 1;
    assert!(!after.client.restore_keys(ROOM, &other));
    assert!(!after.client.restore_keys(RoomId::LOBBY, &kept));
    after.command(send("x"));
    assert!(matches!(
        after.failed(),
        CommandError::KeyMissing { .. } | CommandError::CipherMismatch { .. }
    ));

    assert!(after.client.restore_keys(ROOM, &kept));
    after.records(vec![said]);
    assert!(
        matches!(after.event(), ClientEvent::Record { text: Some(Ok(text)), .. } if text == "secret")
    );
    after.command(send("x"));
    assert!(
        matches!(after.request().op, Op::Send(send) if matches!(send.content, Content::Sealed(_)))
    );
    assert!(
        after
            .client
            .keys(ROOM)
            .is_some_and(|again| again.starts_with(&kept[..5]))
    );

    // A shift is kept like a key.
    let mut before = Script::in_rooms(&[]);
    before.command(join(Some(RoomKey::Caesar(-3))));
    let id = before.request().id;
    before.ok(id, Answer::Join(caesar(10)));
    let kept = before.client.keys(ROOM).expect("it has a shift");
    let mut after = Script::in_rooms(&[caesar(10)]);
    assert!(after.client.restore_keys(ROOM, &kept));
    assert_eq!(after.client.keys(ROOM), Some(kept));
}

#[test]
fn a_sealed_message_is_sealed_once() {
    let mut script = Script::in_rooms(&[]);
    script.command(join(Some(RoomKey::Static(key(1)))));
    let id = script.request().id;
    script.ok(id, Answer::Join(sealed(10)));
    script.command(send("secret"));
    let before = script.request();
    script.reconnect();
    script.resume(&[sealed(10)]);
    let after = script.request();
    assert_eq!((before.op, before.txn), (after.op, after.txn));
}

#[test]
fn a_new_room_has_the_cipher_of_its_key() {
    for (cipher, kind, id) in [
        (RoomCipher::None, CipherKind::None, None),
        (
            RoomCipher::Key(RoomKey::Caesar(3)),
            CipherKind::Caesar,
            None,
        ),
        (
            RoomCipher::Key(RoomKey::Static(key(1))),
            CipherKind::StaticKey,
            Some(key(1).static_id()),
        ),
    ] {
        let mut script = Script::in_rooms(&[]);
        script.command(Command::Create(Create {
            cipher,
            ..Create::default()
        }));
        let request = script.request();
        assert!(
            matches!(&request.op, Op::Create(create) if create.cipher == kind && create.key == id)
        );
        script.ok(
            request.id,
            Answer::Create(RoomView {
                cipher: kind,
                key: id,
                ..view(ROOM, 1)
            }),
        );
        script.command(send("x"));
        assert!(
            matches!(script.request().op, Op::Send(_)),
            "its maker can speak in it"
        );
    }
    let mut script = Script::in_rooms(&[]);
    script.command(Command::Create(Create {
        cipher: RoomCipher::RoomPassword,
        ..Create::default()
    }));
    assert_eq!(
        script.failed(),
        CommandError::KeyMissing {
            announced: CipherKind::RoomPassword
        }
    );
}

/// A room that is entered again later is judged anew.
#[test]
fn keys_of_a_room_that_was_left_are_gone() {
    let mut script = Script::in_rooms(&[]);
    script.command(join(Some(RoomKey::Static(key(1)))));
    let id = script.request().id;
    script.ok(id, Answer::Join(sealed(10)));
    assert!(script.client.keys(ROOM).is_some());
    script.command(Command::Leave { room: ROOM });
    let id = script.request().id;
    script.ok(id, Answer::Leave(committed(11)));
    assert_eq!(script.client.keys(ROOM), None);
    script.command(join(None));
    let id = script.request().id;
    script.events.clear();
    script.ok(id, Answer::Join(view(ROOM, 12)));
    assert!(
        matches!(script.event(), ClientEvent::Entered { .. }),
        "another room may be there by now"
    );
}
