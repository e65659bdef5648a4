//! Room keys: handed out, opened, refused.

use chat_core::{
    id::{CredentialId, KeyId, RoomOrigin},
    keys::{Domain, SigningKey},
    password::ExportKey,
    wire::{read_shape, write_shape},
};
use chat_seal::{
    KeyRecord, RoomKey, RoomKeys,
    chain::AuthorError,
    key_record::{
        Gift, KEY_AGE_MS, KEY_MESSAGES, KeyError, KeyRecordBody, PasswordKey, Reason,
        RecipientError, Rotation, WRAPS,
    },
    signed::Step,
};

use crate::harness::{
    NOW, ORIGIN, Person, Room, chains, device, flipped, opaque, place, rng, roll, room_key,
    rotation, step,
};

/// The same record with another body, signed by a device.
fn signed_anew(
    record: &KeyRecord,
    person: &Person,
    change: impl FnOnce(&mut KeyRecordBody),
) -> KeyRecord {
    let mut body = record.read().unwrap();
    change(&mut body);
    let body = write_shape(&body);
    let key = SigningKey::from_seed(&person.devices[0].seeds().0);
    KeyRecord {
        signature: key.sign(Domain::RoomKey, &[&body]),
        body: opaque(&body),
    }
}

#[test]
fn every_device_and_the_recovery_of_every_member_open_the_key() {
    let (mut ada, berl) = (Person::new(1), Person::new(2));
    ada.add(device(1));
    let key = room_key(1);
    let (record, _) = rotation(1, ada.author(), &key, None, &[&ada, &berl]);
    let verified = record.verify(&ada.chain).unwrap();
    let readers = [
        ada.devices[0].reader(),
        ada.devices[1].reader(),
        ada.recovery.reader(),
        berl.devices[0].reader(),
        berl.recovery.reader(),
    ];
    for reader in readers {
        let opened = verified.open(&reader).unwrap();
        assert_eq!(opened.bytes(), key.bytes());
        assert_eq!(opened.id(), key.id());
    }
    let stranger = Person::new(3);
    let opened = verified.open(&stranger.devices[0].reader());
    assert_eq!(opened.unwrap_err(), KeyError::NotForUs);
}

#[test]
fn a_record_with_one_bit_changed_is_none() {
    let ada = Person::new(1);
    let (record, _) = rotation(1, ada.author(), &room_key(1), None, &[&ada]);
    for body in flipped(&record.body.0) {
        let body = opaque(&body);
        let record = KeyRecord { body, ..record };
        assert!(record.verify(&ada.chain).is_err());
    }
    for at in 0..64 {
        let mut record = record.clone();
        record.signature.0[at] ^= 1;
        let refused = record.verify(&ada.chain).unwrap_err();
        assert_eq!(refused, KeyError::NotSigned);
    }
    let berl = Person::new(2);
    let refused = record.verify(&berl.chain).unwrap_err();
    assert_eq!(refused, KeyError::NotSigned);
}

#[test]
fn a_record_cannot_give_different_keys_to_different_readers() {
    // A reader that lies: two records of one epoch, and from each the wraps of one reader.
    let (ada, berl) = (Person::new(1), Person::new(2));
    let other_key = RoomKey::generate(&mut rng(999), ORIGIN, 1);
    let (mut record, _) = rotation(1, ada.author(), &room_key(1), None, &[&ada, &berl]);
    // Wrapped under the name of the key that the record commits to, by whoever writes the wraps.
    let (other, _) = rotation(2, ada.author(), &other_key, None, &[&ada, &berl]);
    let wraps = other.read().unwrap().to[1].wraps.clone();
    record = signed_anew(&record, &ada, |body| body.to[1].wraps = wraps);
    let verified = record.verify(&ada.chain).unwrap();
    assert!(verified.open(&ada.devices[0].reader()).is_ok());
    let opened = verified.open(&berl.devices[0].reader());
    assert_eq!(opened.unwrap_err(), KeyError::Altered);
    // The commitment of the other key with the wraps of this one: it is noticed by all.
    let record = signed_anew(&record, &ada, |body| {
        body.commitment.0[20] ^= 1; // behind the name, on which the wraps depend
    });
    let verified = record.verify(&ada.chain).unwrap();
    let opened = verified.open(&ada.devices[0].reader());
    assert_eq!(opened.unwrap_err(), KeyError::OtherKey);
}

#[test]
fn a_wrap_is_good_for_one_place() {
    let (ada, berl) = (Person::new(1), Person::new(2));
    let (record, _) = rotation(1, ada.author(), &room_key(1), None, &[&ada, &berl]);
    let open = |change: fn(&mut KeyRecordBody)| {
        let record = signed_anew(&record, &ada, change);
        let verified = record.verify(&ada.chain).unwrap();
        verified.open(&ada.devices[0].reader()).map(drop)
    };
    assert_eq!(open(|_| {}), Ok(()));
    let altered = Err(KeyError::Altered);
    assert_eq!(open(|body| body.origin = RoomOrigin([1; 16])), altered);
    assert_eq!(open(|body| body.epoch = 2), altered);
    assert_eq!(open(|body| body.commitment.0[0] ^= 1), altered);
    let swap = |body: &mut KeyRecordBody| {
        let other = body.to[1].wraps[0];
        let own = body.to[0].wraps.iter_mut();
        own.for_each(|wrap| (wrap.enc, wrap.sealed) = (other.enc, other.sealed));
    };
    assert_eq!(open(swap), altered);
    // The same wraps in the name of another author.
    let stolen = signed_anew(&record, &berl, |body| {
        body.author = berl.id();
        body.device = berl.devices[0].id();
        body.chain = berl.author().seen();
    });
    let verified = stolen.verify(&berl.chain).unwrap();
    let opened = verified.open(&ada.devices[0].reader());
    assert_eq!(opened.unwrap_err(), KeyError::Altered);
}

#[test]
fn the_newest_key_opens_all_before() {
    let (ada, berl, cleo) = (Person::new(1), Person::new(2), Person::new(3));
    let mut room = Room::new(&[&ada, &berl]);
    room.rotate(&berl, &[&ada, &berl]);
    let mut signed = room.control.clone();
    let invited = signed.sign(ada.author(), &Step::Invited(cleo.id()), NOW);
    let people = [&ada, &berl, &cleo];
    signed.append(&invited, &chains(people)).unwrap();
    room.control = signed;
    room.rotate(&ada, &people);
    let mut keys = RoomKeys::new(ORIGIN);
    let verified: Vec<_> = [&ada, &berl, &ada]
        .iter()
        .zip(&room.records)
        .map(|(by, record)| record.verify(&by.chain).unwrap())
        .collect();
    let reader = cleo.devices[0].reader();
    let accept = |keys: &mut RoomKeys, at: usize| {
        let accepted = keys.accept(&verified[at], &room.control, &reader, 2 + at as u64);
        accepted.map(drop)
    };
    for (at, expected) in [Err(KeyError::NotForUs), Err(KeyError::NotForUs), Ok(())]
        .into_iter()
        .enumerate()
    {
        assert_eq!(accept(&mut keys, at), expected);
    }
    let early = keys.accept_previous(&verified[1], &room.control);
    assert_eq!(early, Err(KeyError::NoPrevious));
    keys.accept_previous(&verified[2], &room.control).unwrap();
    keys.accept_previous(&verified[1], &room.control).unwrap();
    let ids: Vec<KeyId> = keys.keys().map(RoomKey::id).collect();
    assert_eq!(ids, [1, 2, 3].map(|epoch| room_key(epoch).id()));
    // The first key holds none.
    let first = keys.accept_previous(&verified[0], &room.control);
    assert_eq!(first, Err(KeyError::NoPrevious));
}

#[test]
fn a_room_without_history_hands_no_key_on() {
    let ada = Person::new(1);
    let to = [(ada.id(), ada.chain.projection())];
    let (before, key) = (room_key(1), room_key(2));
    let mut handed = Rotation {
        key: &key,
        before: Some(&before),
        history: false,
        reason: Reason::Age,
        as_of: place(1),
        to: &to,
        password: None,
    };
    let seal = |handed: &Rotation<'_>| {
        let record = KeyRecord::seal(&mut rng(1), ada.author(), handed).unwrap();
        record.verify(&ada.chain).unwrap()
    };
    let previous = seal(&handed).previous(&key);
    assert_eq!(previous.unwrap_err(), KeyError::NoPrevious);
    handed.history = true;
    let verified = seal(&handed);
    assert_eq!(verified.previous(&key).unwrap().bytes(), before.bytes());
    let previous = verified.previous(&before);
    assert_eq!(previous.unwrap_err(), KeyError::NoPrevious);
}

#[test]
fn keys_are_those_that_signed_records_name() {
    let (ada, berl) = (Person::new(1), Person::new(2));
    let mut room = Room::new(&[&ada, &berl]);
    room.rotate(&ada, &[&ada, &berl]);
    let reader = berl.devices[0].reader();
    let mut keys = RoomKeys::new(ORIGIN);
    assert_eq!(
        keys.in_force(&room.control).unwrap_err(),
        KeyError::NotInForce
    );
    // The old one alone: nothing is sealed under it.
    let verified = room.records[0].verify(&ada.chain).unwrap();
    keys.accept(&verified, &room.control, &reader, 2).unwrap();
    assert_eq!(
        keys.in_force(&room.control).unwrap_err(),
        KeyError::NotInForce
    );
    // Another record of the second epoch, by a reader, which no signed record names.
    let (record, _) = rotation(
        9,
        ada.author(),
        &room_key(2),
        Some(&room_key(1)),
        &[&ada, &berl],
    );
    let verified = record.verify(&ada.chain).unwrap();
    let accepted = keys.accept(&verified, &room.control, &reader, 3);
    assert_eq!(accepted.unwrap_err(), KeyError::NotNamed);
    // Another key of one's own.
    let other = RoomKey::generate(&mut rng(999), ORIGIN, 2);
    assert_eq!(keys.keep(other, &room.control), Err(KeyError::NotNamed));
    let elsewhere = RoomKey::from_bytes(RoomOrigin([1; 16]), 2, room_key(2).bytes());
    assert_eq!(
        keys.keep(elsewhere, &room.control),
        Err(KeyError::WrongRoom)
    );
    assert_eq!(keys.keep(room_key(2), &room.control), Ok(()));
    assert_eq!(keys.in_force(&room.control).unwrap().epoch(), 2);
}

#[test]
fn a_record_of_another_room_is_not_taken() {
    let (ada, berl) = (Person::new(1), Person::new(2));
    let room = Room::new(&[&ada, &berl]);
    let verified = room.records[0].verify(&ada.chain).unwrap();
    let mut keys = RoomKeys::new(RoomOrigin([1; 16]));
    let accepted = keys.accept(&verified, &room.control, &berl.devices[0].reader(), 2);
    assert_eq!(accepted.unwrap_err(), KeyError::WrongRoom);
}

#[test]
fn a_record_for_somebody_who_is_no_reader_is_not_taken() {
    let (ada, berl, ghost) = (Person::new(1), Person::new(2), Person::new(3));
    let mut room = Room::new(&[&ada, &berl]);
    let key = room_key(2);
    let before = room_key(1);
    let people = [&ada, &berl, &ghost];
    let (record, _) = rotation(9, ada.author(), &key, Some(&before), &people);
    let signed = room
        .control
        .sign(ada.author(), &step(&key, &record, vec![]), NOW);
    room.control.append(&signed, &chains(people)).unwrap();
    let verified = record.verify(&ada.chain).unwrap();
    let accepted = room
        .keys
        .accept(&verified, &room.control, &berl.devices[0].reader(), 3);
    assert_eq!(accepted.unwrap_err(), KeyError::NotNamed);
}

#[test]
fn behind_the_border_a_revoked_device_gives_no_keys() {
    let (mut ada, berl) = (Person::new(1), Person::new(2));
    ada.add(device(1));
    let mut room = Room::new(&[&ada, &berl]);
    let thief = chat_seal::Author {
        device: &ada.devices[1],
        chain: &ada.chain.clone(),
    };
    let key = room_key(2);
    let (record, named) = rotation(9, thief, &key, Some(&room_key(1)), &[&ada, &berl]);
    let signed = room.control.sign(thief, &named, NOW);
    room.control
        .append(&signed, &chains([&ada, &berl]))
        .unwrap();
    ada.revoke(1);
    let verified = record.verify(&ada.chain).unwrap();
    let reader = berl.devices[0].reader();
    // Before any record knows of it, it may have been in time.
    room.keys
        .accept(&verified, &room.control, &reader, 3)
        .unwrap();
    room.rotate(&ada, &[&ada, &berl]);
    assert_eq!(room.seq, 3);
    let accepted = room.keys.accept(&verified, &room.control, &reader, 4);
    assert_eq!(
        accepted.unwrap_err(),
        KeyError::Author(AuthorError::Revoked)
    );
    // By its own word it was revoked already.
    let late = chat_seal::Author {
        device: &ada.devices[1],
        chain: &ada.chain,
    };
    let (record, _) = rotation(9, late, &key, None, &[&ada, &berl]);
    let refused = record.verify(&ada.chain).unwrap_err();
    assert_eq!(refused, KeyError::Author(AuthorError::Revoked));
}

#[test]
fn a_reader_that_came_later_gets_a_gift() {
    let (ada, cleo, eve) = (Person::new(1), Person::new(3), Person::new(4));
    let mut room = Room::new(&[&ada]);
    let chains = chains([&ada, &cleo, &eve]);
    let invited = room
        .control
        .sign(ada.author(), &Step::Invited(cleo.id()), NOW);
    room.control.append(&invited, &chains).unwrap();
    let key = room.keys.in_force(&room.control).unwrap();
    let to = (cleo.id(), &cleo.chain.projection());
    let gift = Gift::seal(&mut rng(1), ada.author(), key, to).unwrap();
    assert_eq!(
        roll([&ada, &cleo]).judge_one(&gift.read().unwrap().to),
        Ok(())
    );
    for reader in [cleo.devices[0].reader(), cleo.recovery.reader()] {
        let mut keys = RoomKeys::new(ORIGIN);
        keys.accept_gift(&gift, &ada.chain, &room.control, &reader)
            .unwrap();
        assert_eq!(keys.in_force(&room.control).unwrap().id(), key.id());
    }
    let mut keys = RoomKeys::new(ORIGIN);
    let reader = cleo.devices[0].reader();
    for body in flipped(&gift.body.0) {
        let body = opaque(&body);
        let gift = Gift { body, ..gift };
        let accepted = keys.accept_gift(&gift, &ada.chain, &room.control, &reader);
        assert!(accepted.is_err());
    }
    // Of another key, or by somebody who has no say.
    let other = RoomKey::generate(&mut rng(999), ORIGIN, 1);
    let wrong = Gift::seal(&mut rng(1), ada.author(), &other, to).unwrap();
    let accepted = keys.accept_gift(&wrong, &ada.chain, &room.control, &reader);
    assert_eq!(accepted, Err(KeyError::NotNamed));
    let wrong = Gift::seal(&mut rng(1), eve.author(), key, to).unwrap();
    let accepted = keys.accept_gift(&wrong, &eve.chain, &room.control, &reader);
    assert_eq!(accepted, Err(KeyError::NotNamed));
    // A record is no gift, nor the other way round.
    let record = KeyRecord {
        body: gift.body.clone(),
        signature: gift.signature,
    };
    assert!(record.verify(&ada.chain).is_err());
}

#[test]
fn a_gift_of_a_revoked_device_is_none() {
    let (mut ada, cleo) = (Person::new(1), Person::new(3));
    let key = room_key(1);
    let to = (cleo.id(), &cleo.chain.projection());
    let gift = Gift::seal(&mut rng(1), ada.author(), &key, to).unwrap();
    let reader = cleo.devices[0].reader();
    assert!(gift.open(&ada.chain, &reader).is_ok());
    ada.revoke(0);
    let opened = gift.open(&ada.chain, &reader);
    assert_eq!(opened.unwrap_err(), KeyError::Author(AuthorError::Revoked));
}

#[test]
fn a_record_is_for_all_members_with_all_their_devices_and_for_nobody_else() {
    let (mut ada, berl, cleo) = (Person::new(1), Person::new(2), Person::new(3));
    ada.add(device(1));
    let (record, _) = rotation(1, ada.author(), &room_key(1), None, &[&ada, &berl]);
    let body = record.read().unwrap();
    let known = roll([&ada, &berl]);
    assert_eq!(known.judge(&body), Ok(()));
    let changed = |change: fn(&mut KeyRecordBody)| {
        let mut body = body.clone();
        change(&mut body);
        known.judge(&body)
    };
    let (a, b) = (ada.id(), berl.id());
    assert_eq!(
        changed(|it| drop(it.to.pop())),
        Err(RecipientError::Missing(b))
    );
    let twice = changed(|it| it.to.push(it.to[0].clone()));
    assert_eq!(twice, Err(RecipientError::Twice(a)));
    let stale = changed(|it| it.to[0].chain.counter -= 1);
    assert_eq!(stale, Err(RecipientError::StaleChain(a)));
    let stale = changed(|it| it.to[0].chain.head.0[0] ^= 1);
    assert_eq!(stale, Err(RecipientError::StaleChain(a)));
    let left_out = changed(|it| _ = it.to[0].wraps.remove(0));
    assert!(matches!(left_out, Err(RecipientError::NoWrap(it, _)) if it == a));
    let ghost = changed(|it| it.to[0].wraps[0].device.0[0] ^= 1);
    assert!(matches!(ghost, Err(RecipientError::NoDevice(it, _)) if it == a));
    let twice = changed(|it| {
        let wrap = it.to[0].wraps[0];
        it.to[0].wraps.push(wrap);
    });
    assert!(matches!(twice, Err(RecipientError::NoDevice(it, _)) if it == a));
    // Berl is out; Cleo has come; Ada has lost her phone.
    assert_eq!(roll([&ada]).judge(&body), Err(RecipientError::NoMember(b)));
    let mut with_cleo = roll([&ada, &berl, &cleo]);
    assert_eq!(
        with_cleo.judge(&body),
        Err(RecipientError::Missing(cleo.id()))
    );
    with_cleo.newcomers.insert(cleo.id());
    assert_eq!(with_cleo.judge(&body), Ok(()));
    ada.revoke(1);
    let stale = roll([&ada, &berl]);
    assert_eq!(stale.judge(&body), Err(RecipientError::StaleChain(a)));
    assert_eq!(stale.rotation(&body, 0, 0), Some(Reason::Readers));
    assert_eq!(
        known.rotation(&body, KEY_AGE_MS - 1, KEY_MESSAGES - 1),
        None
    );
    assert_eq!(known.rotation(&body, KEY_AGE_MS, 0), Some(Reason::Age));
    assert_eq!(known.rotation(&body, 0, KEY_MESSAGES), Some(Reason::Age));
}

#[test]
fn a_record_has_so_many_wraps() {
    let ada = Person::new(1);
    let projection = ada.chain.projection();
    let seal = |members: usize| {
        let to = vec![(ada.id(), projection.clone()); members];
        let key = room_key(1);
        let rotation = Rotation {
            key: &key,
            before: None,
            history: true,
            reason: Reason::Created,
            as_of: place(0),
            to: &to,
            password: None,
        };
        KeyRecord::seal(&mut rng(1), ada.author(), &rotation)
    };
    let full = seal(WRAPS / 2).unwrap();
    assert!(full.body.0.len() < 60_000, "{}", full.body.0.len());
    assert!(full.verify(&ada.chain).is_ok());
    assert_eq!(seal(WRAPS / 2 + 1).unwrap_err(), KeyError::TooManyWraps);
    let more = signed_anew(&full, &ada, |body| {
        let wrap = body.to[0].wraps[0];
        body.password = Some(wrap);
    });
    assert_eq!(more.verify(&ada.chain).unwrap_err(), KeyError::TooManyWraps);
}

#[test]
fn a_password_is_a_device() {
    let ada = Person::new(1);
    let (export, other) = (ExportKey::new([4; 64]), ExportKey::new([5; 64]));
    let credential = CredentialId([6; 16]);
    let (secret, sealed) = PasswordKey::generate(&mut rng(1), &export, credential);
    let public = secret.public();
    let key = room_key(1);
    // Ada has forgotten the password: she needs its public half alone.
    let handed = Rotation {
        key: &key,
        before: None,
        history: true,
        reason: Reason::Readers,
        as_of: place(1),
        to: &[],
        password: Some(public),
    };
    let record = KeyRecord::seal(&mut rng(2), ada.author(), &handed).unwrap();
    let verified = record.verify(&ada.chain).unwrap();
    let opened = PasswordKey::open(&export, credential, &public.1, &sealed).unwrap();
    assert_eq!(verified.open(&opened.reader()).unwrap().id(), key.id());
    // A large room's record is for the password alone; a room without one has none.
    let mut large = roll([&ada]);
    assert_eq!(large.judge(verified.body()), Err(RecipientError::Password));
    large.password = Some(credential);
    assert_eq!(large.judge(verified.body()), Ok(()));
    large.password = Some(CredentialId([7; 16]));
    assert_eq!(large.judge(verified.body()), Err(RecipientError::Password));
    let (for_devices, _) = rotation(1, ada.author(), &key, None, &[&ada]);
    let judged = large.judge(&for_devices.read().unwrap());
    assert_eq!(judged, Err(RecipientError::Password));
    let wrong = PasswordKey::open(&other, credential, &public.1, &sealed);
    assert_eq!(wrong.unwrap_err(), KeyError::Altered);
    let swapped = PasswordKey::open(&export, credential, &ada.recovery.dh(), &sealed);
    assert_eq!(swapped.unwrap_err(), KeyError::OtherKey);
    let wrong = PasswordKey::open(&export, CredentialId([7; 16]), &public.1, &sealed);
    assert_eq!(wrong.unwrap_err(), KeyError::Altered);
}

#[test]
fn whoever_knows_the_key_proves_it() {
    let (ada, berl) = (Person::new(1), Person::new(2));
    let key = room_key(1);
    let device = ada.devices[0].id();
    let proof = key.admission(ada.id(), device);
    assert!(key.admits(ada.id(), device, &proof));
    assert!(!key.admits(berl.id(), device, &proof));
    assert!(!key.admits(ada.id(), berl.devices[0].id(), &proof));
    assert!(!room_key(2).admits(ada.id(), device, &proof));
    let mut wrong = proof;
    wrong[31] ^= 1;
    assert!(!key.admits(ada.id(), device, &wrong));
}

#[test]
fn a_key_is_derived_for_its_room_and_epoch() {
    let key = room_key(1);
    let ids = [
        key.id(),
        RoomKey::from_bytes(ORIGIN, 2, key.bytes()).id(),
        RoomKey::from_bytes(RoomOrigin([1; 16]), 1, key.bytes()).id(),
    ];
    assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
}

#[test]
fn a_scheme_of_a_later_version_is_said_to_be_one() {
    let ada = Person::new(1);
    let (record, _) = rotation(1, ada.author(), &room_key(1), None, &[&ada]);
    let later = signed_anew(&record, &ada, |body| body.scheme = 2);
    assert_eq!(
        later.verify(&ada.chain).unwrap_err(),
        KeyError::UnknownScheme
    );
    let reasons = [
        Reason::Created,
        Reason::Readers,
        Reason::Age,
        Reason::Password,
    ];
    for (number, reason) in (0..).zip(reasons) {
        assert_eq!(Reason::from(number), reason);
        assert_eq!(u16::from(reason), number);
    }
    let bytes = write_shape(&Reason::Other(77));
    assert_eq!(read_shape(&bytes), Ok(Reason::Other(77)));
}
