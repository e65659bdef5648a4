//! Chains of devices, entry by entry.

use chat_core::{
    keys::{DeviceKeys, chain::Entry},
    time::Wall,
};
use chat_seal::{
    Chain, Relation, Seen,
    chain::{
        AuthorError, CHANGES_PER_DAY, ChainError, Change, DEVICES, RECOVERIES, begin, complete,
    },
    keys::{AccountKey, DeviceKey, RecoveryKey},
};

use crate::harness::{NOW, Person, device, minute, other_head, rng, signed_anew};

#[test]
fn devices_come_and_go() {
    let mut ada = Person::new(1);
    ada.add(device(1));
    ada.add(device(2));
    ada.revoke(1);
    let chain = Chain::verify(ada.chain.entries()).unwrap();
    assert_eq!(chain.member(), ada.id());
    assert_eq!(chain.head(), ada.chain.head());
    assert_eq!(chain.head().counter, 4);
    let has: Vec<bool> = ada.devices.iter().map(|it| chain.has(it.id())).collect();
    assert_eq!(has, [true, false, true]);
    // Keys are wrapped for two devices and the recovery.
    let readers = chain.projection().readers;
    assert_eq!(readers.len(), 3);
    assert!(readers.is_sorted_by_key(|(id, _)| *id));
    assert!(readers.iter().any(|(_, dh)| *dh == ada.recovery.dh()));
}

/// The core makes the first entry of the same seeds by itself.
#[test]
fn a_chain_begins_as_the_core_has_it() {
    let keys = DeviceKeys::generate(&mut rng(1), "laptop", NOW);
    // The core draws the recovery last.
    let rng = &mut rng(1);
    let account = AccountKey::generate(rng);
    let device = DeviceKey::generate(rng);
    let recovery = RecoveryKey::generate(rng);
    let chain = begin(&account, &recovery, &device, "laptop", NOW).unwrap();
    assert_eq!(chain.member(), keys.member());
    let long = "x".repeat(65);
    let begun = begin(&account, &recovery, &device, &long, NOW);
    assert_eq!(begun.unwrap_err(), ChainError::Malformed);
}

#[test]
fn an_entry_is_the_next_one_or_none() {
    let mut ada = Person::new(1);
    ada.add(device(1));
    let [first, second] = ada.chain.entries() else {
        panic!("two entries")
    };
    let refused = |entries: &[Entry]| Chain::verify(entries).unwrap_err();
    assert_eq!(refused(&[]), ChainError::Empty);
    assert_eq!(refused(std::slice::from_ref(second)), ChainError::NotFirst);
    let twice = [first.clone(), second.clone(), second.clone()];
    assert_eq!(refused(&twice), ChainError::WrongCounter(2));
    assert_eq!(
        refused(&[first.clone(), first.clone()]),
        ChainError::WrongCounter(1)
    );
    // Left out: a revoke, by whoever wants the device to go on.
    let mut longer = Person::new(1);
    longer.add(device(1));
    longer.revoke(1);
    longer.add(device(2));
    let mut entries = longer.chain.entries().to_vec();
    entries.remove(2);
    assert_eq!(refused(&entries), ChainError::WrongCounter(4));
    // The entry of another history.
    let mut other = Person::new(1);
    other.add(device(3));
    let after = other
        .chain
        .revoke(&other.account, other.devices[1].id(), NOW);
    assert_eq!(ada.chain.append(&after), Err(ChainError::WrongPrev));
}

#[test]
fn an_entry_with_one_bit_changed_is_none() {
    let mut ada = Person::new(1);
    ada.add(device(1));
    ada.revoke(1);
    let recovery = RecoveryKey::generate(&mut rng(8));
    let account = AccountKey::generate(&mut rng(9));
    let keep = vec![ada.devices[0].id()];
    let entry = ada
        .chain
        .recover(&ada.recovery, &account, &recovery, keep, NOW);
    ada.chain.append(&entry).unwrap();
    let entries = ada.chain.entries();
    for changed in 0..entries.len() {
        let entry = &entries[changed];
        let possession = entry.possession.map_or(0, |_| 64);
        for at in 0..entry.body.len() + 64 + possession {
            let mut other = entries.to_vec();
            let entry = &mut other[changed];
            let (body, end) = (entry.body.len(), entry.body.len() + 64);
            if at < body {
                let mut bytes = entry.body.to_vec();
                bytes[at] ^= 1;
                entry.body = bytes.into();
            } else if at < end {
                entry.signature.0[at - body] ^= 1;
            } else if let Some(possession) = &mut entry.possession {
                possession.0[at - end] ^= 1;
            }
            assert!(Chain::verify(&other).is_err(), "entry {changed}, byte {at}");
        }
    }
}

#[test]
fn only_the_account_changes_devices() {
    let (ada, eve) = (Person::new(1), Person::new(2));
    let phone = device(1);
    let by =
        |account: &AccountKey| complete(ada.chain.add(account, phone.device("phone"), NOW), &phone);
    assert_eq!(
        ada.chain.check(&by(&eve.account)),
        Err(ChainError::NotSigned)
    );
    assert_eq!(ada.chain.check(&by(&ada.account)), Ok(()));
    let id = ada.devices[0].id();
    let revoke = ada.chain.revoke(&eve.account, id, NOW);
    assert_eq!(ada.chain.check(&revoke), Err(ChainError::NotSigned));
    // The account cannot change the recovery, nor can the recovery of somebody else.
    let new = || {
        (
            AccountKey::generate(&mut rng(5)),
            RecoveryKey::generate(&mut rng(6)),
        )
    };
    let (account, recovery) = new();
    let as_recovery = RecoveryKey::from_seed(&[7; 16]);
    for thief in [&eve.recovery, &as_recovery] {
        let entry = ada.chain.recover(thief, &account, &recovery, vec![], NOW);
        assert_eq!(ada.chain.check(&entry), Err(ChainError::NotSigned));
        let entry = signed_anew(&entry, &ada.account, |_| {});
        assert_eq!(ada.chain.check(&entry), Err(ChainError::NotSigned));
    }
}

#[test]
fn a_device_proves_that_it_has_its_keys() {
    let (ada, eve) = (Person::new(1), Person::new(2));
    let phone = device(1);
    let half = ada.chain.add(&ada.account, phone.device("phone"), NOW);
    assert_eq!(ada.chain.check(&half), Err(ChainError::NoPossession));
    let forged = complete(half.clone(), &device(2));
    assert_eq!(ada.chain.check(&forged), Err(ChainError::NoPossession));
    // The proof of another place: the phone is Ada's and Eve would like it to be hers.
    let hers = eve.chain.add(&eve.account, phone.device("phone"), NOW);
    let moved = Entry {
        possession: complete(half, &phone).possession,
        ..hers
    };
    assert_eq!(eve.chain.check(&moved), Err(ChainError::NoPossession));
    let mut first = ada.chain.entries()[0].clone();
    first.possession = None;
    assert_eq!(
        Chain::verify(&[first]).unwrap_err(),
        ChainError::NoPossession
    );
}

#[test]
fn keys_of_small_order_come_in_nowhere() {
    let ada = Person::new(1);
    let mut weak = device(1).device("phone");
    weak.dh.0 = [0; 32];
    let entry = complete(ada.chain.add(&ada.account, weak, NOW), &device(1));
    assert_eq!(ada.chain.check(&entry), Err(ChainError::WeakKey));
    // The neutral element would sign everything.
    let mut weak = device(1).device("phone");
    weak.sign.0 = [0; 32];
    weak.sign.0[0] = 1;
    let mut entry = ada.chain.add(&ada.account, weak, NOW);
    let mut signature = [0; 64];
    signature[0] = 1;
    entry.possession = Some(chat_core::keys::Signature(signature));
    assert_eq!(ada.chain.check(&entry), Err(ChainError::NoPossession));
}

#[test]
fn a_device_that_was_revoked_never_comes_back() {
    let mut ada = Person::new(1);
    ada.add(device(1));
    let again = ada.adding(&device(1));
    assert_eq!(ada.chain.check(&again), Err(ChainError::DeviceThere));
    ada.revoke(1);
    let again = ada.adding(&device(1));
    assert_eq!(ada.chain.check(&again), Err(ChainError::DeviceRevoked));
    let id = device(1).id();
    let revoke = ada.chain.revoke(&ada.account, id, NOW);
    assert_eq!(ada.chain.check(&revoke), Err(ChainError::DeviceRevoked));
    let revoke = ada.chain.revoke(&ada.account, device(2).id(), NOW);
    assert_eq!(ada.chain.check(&revoke), Err(ChainError::NoDevice));
}

#[test]
fn a_member_has_sixteen_devices_and_sixty_four_changes_a_day() {
    let mut ada = Person::new(1);
    for seed in 1..DEVICES as u64 {
        ada.add(device(seed));
    }
    let one_more = ada.adding(&device(99));
    assert_eq!(ada.chain.check(&one_more), Err(ChainError::TooManyDevices));
    ada.revoke(1);
    let mut next = 100;
    while ada.chain.head().counter < CHANGES_PER_DAY as u64 {
        ada.add(device(next));
        let last = ada.devices.len() - 1;
        if ada.chain.head().counter < CHANGES_PER_DAY as u64 {
            ada.revoke(last);
        }
        next += 1;
    }
    let revoke = |time: Wall| ada.chain.revoke(&ada.account, ada.devices[0].id(), time);
    let check = |time| ada.chain.check(&revoke(time));
    assert_eq!(check(NOW), Err(ChainError::TooManyChangesToday));
    assert_eq!(
        check(minute(24 * 60 - 1)),
        Err(ChainError::TooManyChangesToday)
    );
    assert_eq!(check(minute(24 * 60)), Ok(()));
    // The recovery is not kept out by what a thief of the account has done.
    let (account, recovery) = (
        AccountKey::generate(&mut rng(5)),
        RecoveryKey::generate(&mut rng(6)),
    );
    let entry = ada
        .chain
        .recover(&ada.recovery, &account, &recovery, vec![], NOW);
    assert_eq!(ada.chain.check(&entry), Ok(()));
}

#[test]
fn times_do_not_go_back_and_not_ahead() {
    let mut ada = Person::new(1);
    let entry = complete(
        ada.chain
            .add(&ada.account, device(1).device(""), minute(60)),
        &device(1),
    );
    ada.chain.append(&entry).unwrap();
    // A clock that is behind is no hindrance: the entry takes the time of the one before.
    let entry = ada.chain.revoke(&ada.account, device(1).id(), minute(0));
    assert_eq!(ada.chain.check(&entry), Ok(()));
    assert_eq!(entry.read().unwrap().time, minute(60));
    assert_eq!(ada.chain.admit(&entry, minute(50)), Ok(()));
    assert_eq!(ada.chain.admit(&entry, minute(49)), Err(ChainError::Future));
    let at = 36; // counter, prev with its mark, and then the time
    let earlier = signed_anew(&entry, &ada.account, |body| body[at - 1] -= 1);
    assert_eq!(ada.chain.check(&earlier), Err(ChainError::OutOfOrder));
}

#[test]
fn the_recovery_undoes_what_a_thief_did() {
    let mut ada = Person::new(1);
    ada.add(device(1));
    // The thief has the account: it throws the phone out and brings a device of its own in.
    ada.revoke(1);
    let thief = device(66);
    ada.add(device(66));
    let (account, recovery) = (
        AccountKey::generate(&mut rng(5)),
        RecoveryKey::generate(&mut rng(6)),
    );
    let lost = ada.chain.recover(
        &ada.recovery,
        &account,
        &recovery,
        vec![device(1).id()],
        NOW,
    );
    assert_eq!(ada.chain.check(&lost), Err(ChainError::DeviceRevoked));
    let keep = vec![ada.devices[0].id()];
    let entry = ada
        .chain
        .recover(&ada.recovery, &account, &recovery, keep, NOW);
    ada.chain.append(&entry).unwrap();
    assert!(ada.chain.has(ada.devices[0].id()));
    assert!(!ada.chain.has(thief.id()));
    assert_eq!(*ada.chain.account(), account.public());
    assert_eq!(*ada.chain.recovery(), recovery.public());
    // The stolen account and the words of before are worth nothing any more.
    let entry = ada.adding(&device(67));
    assert_eq!(ada.chain.check(&entry), Err(ChainError::NotSigned));
    let entry = ada
        .chain
        .recover(&ada.recovery, &account, &recovery, vec![], NOW);
    assert_eq!(ada.chain.check(&entry), Err(ChainError::NotSigned));
    ada.account = account;
    ada.recovery = recovery;
    ada.add(device(68));
    let none = ada.chain.recover(
        &ada.recovery,
        &ada.account,
        &ada.recovery,
        vec![device(9).id()],
        NOW,
    );
    assert_eq!(ada.chain.check(&none), Err(ChainError::NoDevice));
    for _ in 1..RECOVERIES {
        let entry = ada
            .chain
            .recover(&ada.recovery, &ada.account, &ada.recovery, vec![], NOW);
        ada.chain.append(&entry).unwrap();
    }
    let entry = ada
        .chain
        .recover(&ada.recovery, &ada.account, &ada.recovery, vec![], NOW);
    assert_eq!(ada.chain.check(&entry), Err(ChainError::TooManyChanges));
}

#[test]
fn heads_are_compared_without_an_alarm_for_what_is_behind() {
    let mut ada = Person::new(1);
    let heads = [ada.chain.head(), {
        ada.add(device(1));
        ada.chain.head()
    }];
    ada.add(device(2));
    let newest = ada.chain.head();
    assert_eq!(ada.chain.relation(newest), Relation::Same);
    for (lacking, head) in [(2, heads[0]), (1, heads[1]), (3, chat_seal::Head::NONE)] {
        assert_eq!(ada.chain.relation(head), Relation::Behind);
        assert_eq!(ada.chain.missing(head).len(), lacking);
    }
    assert_eq!(ada.chain.missing(newest), []);
    assert_eq!(ada.chain.relation(other_head()), Relation::Fork);
    assert_eq!(ada.chain.missing(other_head()), []);
    let ahead = chat_seal::Head {
        counter: 9,
        ..other_head()
    };
    assert_eq!(ada.chain.relation(ahead), Relation::Ahead);
}

#[test]
fn an_author_is_a_device_of_that_moment() {
    let mut ada = Person::new(1);
    let before = ada.chain.head().seen();
    ada.add(device(1));
    let with = ada.chain.head().seen();
    ada.revoke(1);
    let after = ada.chain.head().seen();
    let phone = device(1).id();
    let author = |seen: Seen| ada.chain.author(phone, seen).map(|known| known.revoked);
    assert_eq!(author(before), Err(AuthorError::NoDevice));
    assert_eq!(author(with), Ok(Some(3)));
    assert_eq!(author(after), Err(AuthorError::Revoked));
    assert_eq!(author(other_head().seen()), Err(AuthorError::Fork));
    assert_eq!(
        author(Seen {
            counter: 4,
            ..after
        }),
        Err(AuthorError::Behind)
    );
    assert_eq!(
        ada.chain.author(device(9).id(), after),
        Err(AuthorError::NoDevice)
    );
}

#[test]
fn a_change_of_a_later_version_stops_the_chain() {
    let ada = Person::new(1);
    let entry = ada.chain.revoke(&ada.account, ada.devices[0].id(), NOW);
    assert!(matches!(Change::of(&entry), Ok(Change::Revoke(_))));
    let kind = entry.body.len() - 18; // behind it: the length of the body, the id
    let later = signed_anew(&entry, &ada.account, |body| {
        assert_eq!(body[kind], 3);
        body[kind] = 77;
    });
    assert_eq!(ada.chain.check(&later), Err(ChainError::UnknownChange));
    let cut = signed_anew(&entry, &ada.account, |body| body.truncate(kind + 5));
    assert_eq!(ada.chain.check(&cut), Err(ChainError::Malformed));
    let again = signed_anew(&entry, &ada.account, |body| body[kind] = 1);
    assert_eq!(ada.chain.check(&again), Err(ChainError::Malformed));
}
