//! The signed records of rooms.

use chat_core::{
    id::{MemberId, RoomOrigin},
    keys::{Domain, SigningKey},
    roles::Role,
    wire::{
        Fixed,
        record::{CipherKind, RoomKind},
        write_shape,
    },
};
use chat_seal::{
    Control, Relation, RoomKey,
    chain::AuthorError,
    signed::{
        Chains, ControlError, Created, KeyStep, READERS, Shown, SignedBody, SignedRecord, Step,
    },
};

use crate::harness::{
    NOW, ORIGIN, Person, chains, created, device, flipped, opaque, other_head, other_key, room_key,
};

struct House {
    people: [Person; 4],
    chains: Chains,
}

impl House {
    /// Ada, who makes the room; Berl, who reads from the beginning; Cleo and Dora, who do not.
    fn new() -> Self {
        let people = [1, 2, 3, 4].map(Person::new);
        let chains = chains(&people);
        Self { people, chains }
    }

    fn id(&self, person: usize) -> MemberId {
        self.people[person].id()
    }

    fn begin(&self, created: Created) -> Control {
        let first = SignedRecord::create(self.people[0].author(), ORIGIN, created, NOW);
        Control::verify(ORIGIN, &[first], &self.chains).unwrap()
    }

    fn room(&self) -> Control {
        self.begin(created(vec![self.id(1)]))
    }

    fn sign(&self, control: &Control, by: usize, step: &Step) -> SignedRecord {
        control.sign(self.people[by].author(), step, NOW)
    }

    fn check(&self, control: &Control, by: usize, step: &Step) -> Result<(), ControlError> {
        control.check(&self.sign(control, by, step), &self.chains)
    }

    fn take(&self, control: &mut Control, by: usize, step: &Step) {
        let record = self.sign(control, by, step);
        control.append(&record, &self.chains).unwrap();
    }
}

fn key_step(epoch: u64, without: Vec<MemberId>) -> Step {
    Step::Key(KeyStep {
        epoch,
        key: other_key(),
        record: Fixed([1; 32]),
        without,
    })
}

/// The same record with another body, signed by its author's device.
fn signed_anew(
    record: &SignedRecord,
    by: &Person,
    change: impl FnOnce(&mut SignedBody),
) -> SignedRecord {
    let mut body = record.read().unwrap();
    change(&mut body);
    let body = write_shape(&body);
    let key = SigningKey::from_seed(&by.devices[0].seeds().0);
    SignedRecord {
        signature: key.sign(Domain::RoomControl, &[&body]),
        body: opaque(&body),
    }
}

#[test]
fn readers_come_by_signed_records_and_go() {
    let house = House::new();
    let mut room = house.room();
    let [ada, berl, cleo, dora] = [0, 1, 2, 3].map(|it| house.id(it));
    assert_eq!(room.unsigned_reader([ada, berl]), None);
    assert_eq!(room.unsigned_reader([ada, cleo, dora]), Some(cleo));
    house.take(&mut room, 0, &Step::Invited(cleo));
    house.take(&mut room, 0, &Step::Role(cleo, Role::Moderator));
    house.take(&mut room, 2, &Step::Invited(dora));
    house.take(&mut room, 3, &key_step(1, vec![]));
    let roles: Vec<Role> = room.readers().map(|(_, role)| role).collect();
    assert_eq!(roles.len(), 4);
    house.take(&mut room, 1, &Step::Left(None));
    assert_eq!(room.unsigned_reader([ada, berl, cleo]), Some(berl));
    // Of what was known when the key came into force.
    assert!(room.could_read(berl, 1) && !room.may_read(berl));
    let again = Control::verify(ORIGIN, room.records(), &house.chains).unwrap();
    assert_eq!(again.head(), room.head());
    assert!(again.readers().eq(room.readers()));
}

#[test]
fn roles_say_who_may_sign_what() {
    let house = House::new();
    let room = house.room();
    let [_, berl, cleo, dora] = [0, 1, 2, 3].map(|it| house.id(it));
    let check = |by, step: Step| house.check(&room, by, &step);
    assert_eq!(check(1, Step::Invited(cleo)), Err(ControlError::NotAllowed));
    let role = |member| Step::Role(member, Role::Owner);
    assert_eq!(check(1, role(berl)), Err(ControlError::NotAllowed));
    assert_eq!(check(0, role(cleo)), Err(ControlError::NoSuchReader(cleo)));
    assert_eq!(check(0, role(berl)), Ok(()));
    for step in [Step::Invited(dora), key_step(1, vec![]), Step::Left(None)] {
        assert_eq!(check(2, step), Err(ControlError::NoReader(cleo)));
    }
    let there = Err(ControlError::ReaderThere(berl));
    assert_eq!(check(0, Step::Invited(berl)), there);
    let begun = Step::Created(created(vec![]));
    assert_eq!(check(0, begun), Err(ControlError::NotFirst));
}

#[test]
fn nobody_is_invited_to_a_private_conversation() {
    let house = House::new();
    let kind = RoomKind::Private;
    let room = house.begin(Created {
        kind,
        ..created(vec![house.id(1)])
    });
    let step = Step::Invited(house.id(2));
    assert_eq!(house.check(&room, 0, &step), Err(ControlError::Private));
    // Nor does one begin with more than two, or with oneself.
    for readers in [vec![], vec![0], vec![1, 2], vec![1, 0], vec![1, 1]] {
        let readers = readers.into_iter().map(|it| house.id(it)).collect();
        let begun = Created {
            kind,
            ..created(readers)
        };
        let first = SignedRecord::create(house.people[0].author(), ORIGIN, begun, NOW);
        let begun = Control::verify(ORIGIN, &[first], &house.chains);
        assert_eq!(begun.unwrap_err(), ControlError::Private);
    }
}

#[test]
fn a_password_lets_in_whoever_knows_the_key() {
    let house = House::new();
    let cipher = CipherKind::RoomPassword;
    let mut room = house.begin(Created {
        cipher,
        ..created(vec![])
    });
    let (cleo, id) = (&house.people[2], house.id(2));
    let device = cleo.devices[0].id();
    let (key, other) = (room_key(1), room_key(2));
    let proof = key.admission(id, device);
    assert!(
        !room.admit(id, device, &proof, &key),
        "no record names the key"
    );
    let step = |epoch, key: &RoomKey, without| {
        Step::Key(KeyStep {
            epoch,
            key: key.id(),
            record: Fixed([1; 32]),
            without,
        })
    };
    house.take(&mut room, 0, &step(1, &key, vec![]));
    assert_eq!(room.unsigned_reader([id]), Some(id));
    assert!(
        !room.admit(house.id(3), device, &proof, &key),
        "the proof of another"
    );
    let elsewhere = RoomKey::from_bytes(RoomOrigin([1; 16]), 1, key.bytes());
    let moved = elsewhere.admission(id, device);
    assert!(
        !room.admit(id, device, &moved, &elsewhere),
        "the key of another room"
    );
    assert!(room.admit(id, device, &proof, &key));
    assert_eq!(room.unsigned_reader([id]), None);
    // As a reader, Cleo may give the room a new key; and is out when the server says so.
    house.take(&mut room, 2, &step(2, &other, vec![]));
    assert!(room.could_read(id, 2));
    let mut kicked = room.clone();
    kicked.remove(id);
    assert_eq!(kicked.unsigned_reader([id]), Some(id));
    house.take(&mut room, 0, &step(3, &room_key(3), vec![id]));
    assert_eq!(room.unsigned_reader([id]), Some(id));
    // A room of devices admits nobody by a proof.
    let mut room = house.room();
    house.take(&mut room, 0, &step(1, &key, vec![]));
    assert!(!room.admit(id, device, &proof, &key));
}

#[test]
fn the_last_owner_names_the_next_one() {
    let house = House::new();
    let mut room = house.room();
    let [ada, berl, cleo, _] = [0, 1, 2, 3].map(|it| house.id(it));
    let alone = Step::Left(None);
    assert_eq!(house.check(&room, 0, &alone), Err(ControlError::NoOwner));
    let forged = Step::Left(Some(cleo));
    let none = Err(ControlError::NoSuchReader(cleo));
    assert_eq!(house.check(&room, 0, &forged), none);
    let down = Step::Role(ada, Role::Member);
    assert_eq!(house.check(&room, 0, &down), Err(ControlError::NoOwner));
    // A member that is none names nobody.
    let mut other = room.clone();
    house.take(&mut other, 1, &Step::Left(Some(ada)));
    house.take(&mut room, 0, &Step::Left(Some(berl)));
    assert_eq!(room.readers().collect::<Vec<_>>(), [(berl, Role::Owner)]);
    house.take(&mut room, 1, &Step::Left(None));
    assert_eq!(room.readers().count(), 0);
}

#[test]
fn what_the_server_takes_away_stays_away() {
    let house = House::new();
    let mut room = house.room();
    let berl = house.id(1);
    room.remove(berl);
    assert!(!room.may_read(berl));
    assert!(room.removed().eq([berl]));
    let said = house.check(&room, 1, &key_step(1, vec![]));
    assert_eq!(said, Err(ControlError::NoReader(berl)));
    // A client that has not seen the removal learns of it by the next key.
    let mut other = house.room();
    let record = house.sign(&room, 0, &key_step(1, vec![berl]));
    for room in [&mut room, &mut other] {
        room.append(&record, &house.chains).unwrap();
        assert!(!room.may_read(berl));
        assert_eq!(room.removed().count(), 0);
    }
    house.take(&mut room, 0, &Step::Invited(berl));
    assert!(room.may_read(berl));
}

#[test]
fn an_owner_that_expired_keeps_nobody_from_leaving() {
    let house = House::new();
    let mut room = house.room();
    room.remove(house.id(0));
    house.take(&mut room, 1, &key_step(1, vec![house.id(0)]));
    house.take(&mut room, 1, &Step::Left(None));
}

#[test]
fn keys_come_one_after_the_other() {
    let house = House::new();
    let mut room = house.room();
    let wrong = |epoch| Err(ControlError::WrongEpoch(epoch));
    assert_eq!(house.check(&room, 0, &key_step(2, vec![])), wrong(2));
    house.take(&mut room, 1, &key_step(1, vec![]));
    for epoch in [0, 1, 3] {
        assert_eq!(
            house.check(&room, 0, &key_step(epoch, vec![])),
            wrong(epoch)
        );
    }
    house.take(&mut room, 0, &key_step(2, vec![]));
    assert_eq!(room.key().map(|key| key.epoch), Some(2));
    assert!(room.key_of(0).is_none() && room.key_of(3).is_none());
    assert_eq!(room.key_of(1).map(|key| key.epoch), Some(1));
}

#[test]
fn a_record_with_one_bit_changed_is_none() {
    let house = House::new();
    let room = house.room();
    let record = house.sign(&room, 0, &Step::Invited(house.id(2)));
    for body in flipped(&record.body.0) {
        let body = opaque(&body);
        let other = SignedRecord { body, ..record };
        assert!(room.check(&other, &house.chains).is_err());
    }
    for at in 0..64 {
        let mut other = record.clone();
        other.signature.0[at] ^= 1;
        let refused = room.check(&other, &house.chains);
        assert_eq!(refused, Err(ControlError::NotSigned));
    }
}

#[test]
fn a_record_belongs_to_its_place() {
    let house = House::new();
    let mut room = house.room();
    let record = house.sign(&room, 0, &Step::Invited(house.id(2)));
    let anew = |change: fn(&mut SignedBody)| {
        let record = signed_anew(&record, &house.people[0], change);
        room.check(&record, &house.chains)
    };
    assert_eq!(anew(|_| {}), Ok(()));
    let room_of = |it: &mut SignedBody| it.origin = RoomOrigin([1; 16]);
    assert_eq!(anew(room_of), Err(ControlError::WrongRoom));
    assert_eq!(
        anew(|it| it.counter = 3),
        Err(ControlError::WrongCounter(3))
    );
    let prev = |it: &mut SignedBody| it.prev = Some(Fixed([1; 32]));
    assert_eq!(anew(prev), Err(ControlError::WrongPrev));
    assert_eq!(anew(|it| it.prev = None), Err(ControlError::WrongPrev));
    assert_eq!(anew(|it| it.kind = 77), Err(ControlError::UnknownStep));
    let cut = |it: &mut SignedBody| it.step = opaque(&[]);
    assert_eq!(anew(cut), Err(ControlError::Malformed));
    let author = |it: &mut SignedBody| it.author = MemberId([5; 16]);
    let nobody = ControlError::NoChain(MemberId([5; 16]));
    assert_eq!(anew(author), Err(nobody));
    let ghost = |it: &mut SignedBody| it.device.0[0] ^= 1;
    assert_eq!(
        anew(ghost),
        Err(ControlError::Author(AuthorError::NoDevice))
    );
    let chain = |it: &mut SignedBody| it.chain = other_head().seen();
    assert_eq!(anew(chain), Err(ControlError::Author(AuthorError::Fork)));
    room.append(&record, &house.chains).unwrap();
    let twice = room.check(&record, &house.chains);
    assert_eq!(twice, Err(ControlError::WrongCounter(2)));
    let first = &room.records()[..1];
    let elsewhere = Control::verify(RoomOrigin([1; 16]), first, &house.chains);
    assert_eq!(elsewhere.unwrap_err(), ControlError::WrongRoom);
    let second = Control::verify(ORIGIN, &room.records()[1..], &house.chains);
    assert_eq!(second.unwrap_err(), ControlError::NotFirst);
    let none = Control::verify(ORIGIN, &[], &house.chains);
    assert_eq!(none.unwrap_err(), ControlError::NotFirst);
}

#[test]
fn a_device_that_was_revoked_signs_nothing() {
    let mut house = House::new();
    house.people[0].add(device(1));
    house.people[0].revoke(0);
    house.chains = chains(&house.people);
    let first = SignedRecord::create(house.people[0].author(), ORIGIN, created(vec![]), NOW);
    let begun = Control::verify(ORIGIN, &[first], &house.chains);
    let revoked = ControlError::Author(AuthorError::Revoked);
    assert_eq!(begun.unwrap_err(), revoked);
}

#[test]
fn what_a_server_shows_is_followed_to_the_fork() {
    let house = House::new();
    let mut room = house.room();
    let mut peer = room.clone();
    let branch = house.sign(&room, 0, &Step::Invited(house.id(3)));
    house.take(&mut room, 0, &Step::Invited(house.id(2)));
    house.take(&mut room, 0, &key_step(1, vec![]));
    let all = room.records().to_vec();
    let follow = |peer: &mut Control, records: &[_]| peer.follow(records, &house.chains);
    assert_eq!(follow(&mut peer, &[]), Ok(Shown::Same));
    let gap = follow(&mut peer, &all[2..]);
    assert_eq!(gap, Err(ControlError::WrongCounter(3)));
    assert_eq!(follow(&mut peer, &all), Ok(Shown::Advanced { from: 2 }));
    assert_eq!(follow(&mut peer, &all[1..]), Ok(Shown::Same));
    // An earlier state, as of before Cleo was invited: handed in, and no alarm.
    assert_eq!(follow(&mut peer, &all[..1]), Ok(Shown::Behind));
    let shown = house.room().head();
    assert_eq!(peer.relation(shown), Relation::Behind);
    assert_eq!(peer.missing(shown), &all[1..]);
    // Another record of the same number, signed by a reader.
    assert_eq!(
        follow(&mut peer, std::slice::from_ref(&branch)),
        Ok(Shown::Fork { from: 2 })
    );
    assert_eq!(peer.head(), room.head());
    // The same of somebody who is no reader, or not signed: that says nothing.
    let stranger = signed_anew(&branch, &house.people[3], |body| {
        body.author = house.id(3);
        body.device = house.people[3].devices[0].id();
        body.chain = house.people[3].author().seen();
    });
    let refused = follow(&mut peer, &[stranger]);
    assert_eq!(refused, Err(ControlError::NoReader(house.id(3))));
    let mut forged = branch.clone();
    forged.signature.0[0] ^= 1;
    assert_eq!(follow(&mut peer, &[forged]), Err(ControlError::NotSigned));
    let elsewhere = signed_anew(&branch, &house.people[0], |body| body.origin.0[0] ^= 1);
    assert_eq!(
        follow(&mut peer, &[elsewhere]),
        Err(ControlError::WrongRoom)
    );
    let between = [all[1].clone(), all[1].clone()];
    assert_eq!(
        follow(&mut peer, &between),
        Err(ControlError::WrongCounter(2))
    );
}

#[test]
fn a_room_has_so_many_readers() {
    let house = House::new();
    let readers = |count: usize| {
        let id = |n: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(n as u64 + 1).to_be_bytes());
            MemberId(id)
        };
        created((0..count).map(id).collect())
    };
    let room = house.begin(readers(READERS - 1));
    let step = Step::Invited(house.id(2));
    assert_eq!(house.check(&room, 0, &step), Err(ControlError::TooMany));
    let room = house.begin(readers(READERS - 2));
    assert_eq!(house.check(&room, 0, &step), Ok(()));
    let author = house.people[0].author();
    let first = SignedRecord::create(author, ORIGIN, readers(READERS), NOW);
    let begun = Control::verify(ORIGIN, &[first], &house.chains);
    assert_eq!(begun.unwrap_err(), ControlError::TooMany);
}
