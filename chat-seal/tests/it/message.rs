//! Messages, and those who would like to be their author, their place or their reader.

use chat_core::{
    id::{MemberId, MessageId, RoomOrigin, SessionId},
    wire::record::Sealed,
};
use chat_seal::{
    Author, Relation,
    chain::AuthorError,
    message::{
        BLOB_BYTES, Content, Context, MessageError, PADDING, REMEMBERED, Repeat, Replays, TooLong,
        open, seal,
    },
};

use crate::harness::{
    NOW, ORIGIN, Person, Room, context, device, flipped, opaque, other_head, other_key, rng,
};

#[test]
fn what_is_said_is_read() {
    let (ada, berl) = (Person::new(1), Person::new(2));
    let room = Room::new(&[&ada, &berl]);
    let said = room.say(&ada, 1, "the Sicilian, as always?");
    let opened = room.open(&ada.chain, &said, 3).unwrap();
    assert_eq!(*opened.content, b"the Sicilian, as always?");
    assert_eq!(opened.nick, "ada");
    assert!(!opened.revoked);
    assert_eq!(room.control.has_seen(opened.control), Relation::Same);
    // Berl's own keys open it, too.
    let keys = room
        .keys_of(&berl.devices[0], &crate::harness::chains([&ada, &berl]))
        .unwrap();
    assert_eq!(open(&keys, &ada.chain, &said.1, &said.0, 3), Ok(opened));
}

#[test]
fn lengths_are_hidden_in_steps_of_64() {
    let ada = Person::new(1);
    let room = Room::new(&[&ada]);
    let mut lengths = Vec::new();
    for length in 0..200 {
        let text = "\0".repeat(length);
        let said = room.say(&ada, 1, &text);
        let opened = room.open(&ada.chain, &said, 3).unwrap();
        assert_eq!(opened.content.len(), length);
        lengths.push(said.0.data.len());
    }
    lengths.dedup();
    assert!(
        lengths.iter().all(|it| (it - 40) % PADDING == 0),
        "{lengths:?}"
    );
    assert_eq!(lengths.len(), 4);
}

#[test]
fn a_message_with_one_bit_changed_stays_closed() {
    let ada = Person::new(1);
    let room = Room::new(&[&ada]);
    let (sealed, context) = room.say(&ada, 1, "hello");
    for data in flipped(&sealed.data) {
        let data = data.into();
        let other = Sealed { data, ..sealed };
        let opened = open(&room.keys, &ada.chain, &context, &other, 3);
        assert_eq!(opened, Err(MessageError::Altered));
    }
    for length in 0..40 {
        let data = sealed.data.slice(..length);
        let other = Sealed { data, ..sealed };
        let opened = open(&room.keys, &ada.chain, &context, &other, 3);
        assert_eq!(opened, Err(MessageError::Malformed));
    }
    let unknown = Sealed {
        key: other_key(),
        ..sealed
    };
    let opened = open(&room.keys, &ada.chain, &context, &unknown, 3);
    assert_eq!(opened, Err(MessageError::NoKey(other_key())));
}

#[test]
fn a_message_opens_at_its_own_place_alone() {
    let mut ada = Person::new(1);
    ada.add(device(1));
    let room = Room::new(&[&ada]);
    let target = MessageId {
        member: ada.id(),
        session: SessionId(1),
        txn: 1,
    };
    let blobs = [opaque(b"a"), opaque(b"bc")];
    let of = |about| Context {
        target: about,
        blobs: &blobs,
        ..context(&ada, 7)
    };
    let here = of(Some(target));
    let content = Content {
        control: room.control.head().seen(),
        nick: "",
        content: b"here",
    };
    let key = room.keys.in_force(&room.control).unwrap();
    let sealed = seal(&mut rng(1), key, ada.author(), &here, &content).unwrap();
    let at = |context: &Context<'_>| open(&room.keys, &ada.chain, context, &sealed, 3).map(drop);
    assert_eq!(at(&here), Ok(()));
    let target_with = |change: fn(&mut MessageId)| {
        let mut target = target;
        change(&mut target);
        of(Some(target))
    };
    // "a", "bc" and "ab", "c" are not the same.
    let [cut, fewer] = [vec![opaque(b"ab"), opaque(b"c")], vec![opaque(b"a")]];
    for elsewhere in [
        Context {
            origin: RoomOrigin([1; 16]),
            ..here
        },
        Context {
            device: ada.devices[1].id(),
            ..here
        },
        Context {
            session: SessionId(6),
            ..here
        },
        Context { txn: 8, ..here },
        Context { kind: 5, ..here },
        Context { blobs: &[], ..here },
        Context {
            blobs: &cut,
            ..here
        },
        Context {
            blobs: &fewer,
            ..here
        },
        of(None),
        target_with(|it| it.member.0[0] ^= 1),
        target_with(|it| it.session = SessionId(2)),
        target_with(|it| it.txn = 2),
    ] {
        assert_eq!(at(&elsewhere), Err(MessageError::Altered), "{elsewhere:?}");
    }
    let member = Context {
        member: MemberId([1; 16]),
        ..here
    };
    assert_eq!(at(&member), Err(MessageError::OtherMember));
}

#[test]
fn nobody_speaks_in_the_name_of_another() {
    // Berl has the key, and works with the server.
    let (mut ada, berl) = (Person::new(1), Person::new(2));
    ada.add(device(1));
    let room = Room::new(&[&ada, &berl]);
    let key = room.keys.in_force(&room.control).unwrap();
    let content = Content {
        control: room.control.head().seen(),
        nick: "ada",
        content: b"I owe Berl money",
    };
    let forge = |author: Author<'_>| {
        let context = context(&ada, 1);
        let sealed = seal(&mut rng(1), key, author, &context, &content).unwrap();
        open(&room.keys, &ada.chain, &context, &sealed, 3)
    };
    let as_ada = Author {
        device: &berl.devices[0],
        chain: &ada.chain,
    };
    assert_eq!(forge(as_ada), Err(MessageError::NotSigned));
    let fork = forge(berl.author());
    assert_eq!(fork, Err(MessageError::Author(AuthorError::Fork)));
    // Another device of Ada's: each speaks for itself.
    let other_device = Author {
        device: &ada.devices[1],
        chain: &ada.chain,
    };
    assert_eq!(forge(other_device), Err(MessageError::NotSigned));
    assert!(forge(ada.author()).is_ok());
}

#[test]
fn a_message_under_an_old_key_is_refused_where_a_new_one_is_in_force() {
    let (ada, berl) = (Person::new(1), Person::new(2));
    let mut room = Room::new(&[&ada, &berl]);
    let said = room.say(&berl, 1, "before");
    room.rotate_without(&ada, &[&ada], vec![berl.id()]);
    assert_eq!(room.seq, 3);
    // The message came before the key did, or the server says that it came after.
    assert!(room.open(&berl.chain, &said, 2).is_ok());
    assert_eq!(
        room.open(&berl.chain, &said, 4),
        Err(MessageError::StaleKey)
    );
    let said = room.say(&ada, 1, "after");
    assert!(room.open(&ada.chain, &said, 4).is_ok());
}

#[test]
fn a_key_record_that_a_lost_tail_took_makes_no_message_late() {
    let (ada, berl) = (Person::new(1), Person::new(2));
    let mut room = Room::new(&[&ada, &berl]);
    let said = room.say(&berl, 1, "before");
    room.rotate(&ada, &[&ada, &berl]);
    // The log ends with its second record; Berl's message is sent again, the same bytes.
    assert_eq!(room.seq, 3);
    assert_eq!(
        room.open(&berl.chain, &said, 4),
        Err(MessageError::StaleKey)
    );
    room.keys.lose_after(2);
    assert!(room.open(&berl.chain, &said, 4).is_ok());
    // The key record is handed in behind it, and counts from there on.
    let verified = room.records[1].verify(&ada.chain).unwrap();
    let reader = ada.devices[0].reader();
    room.keys
        .accept(&verified, &room.control, &reader, 4)
        .unwrap();
    assert!(room.open(&berl.chain, &said, 3).is_ok());
    assert_eq!(
        room.open(&berl.chain, &said, 5),
        Err(MessageError::StaleKey)
    );
    assert_eq!(room.keys.in_force(&room.control).unwrap().epoch(), 2);
}

#[test]
fn a_revoked_device_is_heard_up_to_the_border_and_no_further() {
    let (mut ada, berl) = (Person::new(1), Person::new(2));
    ada.add(device(1));
    let mut room = Room::new(&[&ada, &berl]);
    let stolen = Author {
        device: &ada.devices[1],
        chain: &ada.chain.clone(),
    };
    let context = Context {
        device: stolen.device.id(),
        ..context(&ada, 1)
    };
    let content = Content {
        control: room.control.head().seen(),
        nick: "ada",
        content: b"send money",
    };
    let key = room.keys.in_force(&room.control).unwrap();
    let said = (
        seal(&mut rng(1), key, stolen, &context, &content).unwrap(),
        context,
    );
    assert!(!room.open(&ada.chain, &said, 3).unwrap().revoked);
    let entry = ada.chain.revoke(&ada.account, ada.devices[1].id(), NOW);
    ada.chain.append(&entry).unwrap();
    // Nobody knows whether it was said before: with a mark.
    assert!(room.open(&ada.chain, &said, 3).unwrap().revoked);
    // A chain that is not known far enough says nothing of it.
    let late = Author {
        device: &ada.devices[1],
        chain: &ada.chain,
    };
    let key = room.keys.in_force(&room.control).unwrap();
    let by_late = (
        seal(&mut rng(1), key, late, &context, &content).unwrap(),
        context,
    );
    let refused = room.open(&ada.chain, &by_late, 3);
    assert_eq!(refused, Err(MessageError::Author(AuthorError::Revoked)));
    room.rotate(&berl, &[&ada, &berl]);
    assert_eq!(room.seq, 3);
    assert!(room.open(&ada.chain, &said, 2).unwrap().revoked);
    // The thief has the new key as well, by somebody's mistake, and the chain of before.
    let key = room.keys.in_force(&room.control).unwrap();
    let before = stolen;
    let said = (
        seal(&mut rng(1), key, before, &context, &content).unwrap(),
        context,
    );
    let refused = room.open(&ada.chain, &said, 4);
    assert_eq!(refused, Err(MessageError::Author(AuthorError::Revoked)));
}

#[test]
fn an_author_whose_chain_goes_on_is_waited_for() {
    let (mut ada, berl) = (Person::new(1), Person::new(2));
    let known = ada.chain.clone();
    ada.add(device(1));
    let room = Room::new(&[&ada, &berl]);
    let said = room.say(&ada, 1, "from a chain that is longer");
    let refused = room.open(&known, &said, 3);
    assert_eq!(refused, Err(MessageError::Author(AuthorError::Behind)));
    assert!(room.open(&ada.chain, &said, 3).is_ok());
}

#[test]
fn what_an_author_has_seen_of_the_room_is_said() {
    let ada = Person::new(1);
    let mut room = Room::new(&[&ada]);
    let key = room.keys.in_force(&room.control).unwrap();
    let see = |control| {
        let (context, content) = (
            context(&ada, 1),
            Content {
                control,
                nick: "",
                content: b"",
            },
        );
        let sealed = seal(&mut rng(1), key, ada.author(), &context, &content).unwrap();
        let opened = open(&room.keys, &ada.chain, &context, &sealed, 3).unwrap();
        room.control.has_seen(opened.control)
    };
    assert_eq!(see(other_head().seen()), Relation::Fork);
    let head = room.control.head().seen();
    assert_eq!(see(head), Relation::Same);
    let mut ahead = head;
    ahead.counter += 1;
    assert_eq!(see(ahead), Relation::Ahead);
    room.rotate(&ada, &[&ada]);
    assert_eq!(room.control.has_seen(head), Relation::Behind);
}

#[test]
fn the_same_message_is_shown_once() {
    let ada = Person::new(1);
    let mut replays = Replays::default();
    let note = |replays: &mut Replays, txn, at| replays.note(&context(&ada, txn), at);
    assert_eq!(note(&mut replays, 1, 5), Repeat::New);
    assert_eq!(note(&mut replays, 2, 6), Repeat::New);
    assert_eq!(note(&mut replays, 1, 5), Repeat::Same);
    assert_eq!(note(&mut replays, 1, 9), Repeat::Replayed { first: 5 });
    let other_session = Context {
        session: SessionId(6),
        ..context(&ada, 1)
    };
    assert_eq!(replays.note(&other_session, 7), Repeat::New);
    // The log has lost its tail, and the message was sent again.
    replays.lose_after(5);
    assert_eq!(note(&mut replays, 2, 7), Repeat::New);
    assert_eq!(note(&mut replays, 1, 7), Repeat::Replayed { first: 5 });
}

#[test]
fn replays_are_remembered_up_to_a_number() {
    let ada = Person::new(1);
    let mut replays = Replays::default();
    for txn in 0..=REMEMBERED as u64 {
        assert_eq!(replays.note(&context(&ada, txn), txn), Repeat::New);
    }
    // The one that stood first is forgotten, the next one is not.
    assert_eq!(
        replays.note(&context(&ada, 1), 0),
        Repeat::Replayed { first: 1 }
    );
    assert_eq!(replays.note(&context(&ada, 0), 0), Repeat::New);
}

#[test]
fn what_is_too_long_is_not_sealed() {
    let ada = Person::new(1);
    let room = Room::new(&[&ada]);
    let key = room.keys.in_force(&room.control).unwrap();
    let seal = |nick: &str, blobs: &[_]| {
        let context = Context {
            blobs,
            ..context(&ada, 1)
        };
        let content = Content {
            control: room.control.head().seen(),
            nick,
            content: b"",
        };
        seal(&mut rng(1), key, ada.author(), &context, &content).map(drop)
    };
    let (fits, long) = ("n".repeat(255), "n".repeat(256));
    assert_eq!(seal(&fits, &[]), Ok(()));
    assert_eq!(seal(&long, &[]), Err(TooLong));
    assert_eq!(seal("", &[opaque(&[0; BLOB_BYTES - 2])]), Ok(()));
    assert_eq!(seal("", &[opaque(&[0; BLOB_BYTES - 1])]), Err(TooLong));
}

#[test]
fn a_message_says_where_it_was_sealed_whatever_is_said_of_it() {
    let (ada, berl) = (Person::new(1), Person::new(2));
    let room = Room::new(&[&ada, &berl]);
    let (sealed, context) = room.say(&ada, 1, "for this room");
    assert_eq!(context.origin, ORIGIN);
    let opened = open(&room.keys, &berl.chain, &context, &sealed, 3);
    assert_eq!(opened, Err(MessageError::OtherMember));
}
