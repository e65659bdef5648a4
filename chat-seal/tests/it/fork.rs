//! Two branches of one chain, and how that ends.

use chat_seal::{
    Chain,
    chain::{ChainError, Change, Followed, Fork},
    keys::{AccountKey, RecoveryKey, Signer},
};

use crate::harness::{NOW, Person, device, rng};

fn forked(followed: Followed) -> Box<Fork> {
    match followed {
        Followed::Fork(fork) => fork,
        other => panic!("no fork: {other:?}"),
    }
}

/// Two devices that do not know of each other: one chain with a phone more, one with a phone less.
fn branches() -> (Person, Person) {
    let (mut a, mut b) = (Person::new(1), Person::new(1));
    for person in [&mut a, &mut b] {
        person.add(device(1));
    }
    a.add(device(2));
    b.revoke(1);
    (a, b)
}

#[test]
fn a_chain_is_followed_however_much_of_it_is_shown() {
    let mut ada = Person::new(1);
    let mut peer = ada.chain.clone();
    ada.add(device(1));
    ada.add(device(2));
    let all = ada.chain.entries().to_vec();
    assert!(matches!(peer.follow(&[]), Ok(Followed::Same)));
    let gap = peer.follow(&all[2..]).unwrap_err();
    assert_eq!(gap, ChainError::WrongCounter(3));
    assert!(matches!(
        peer.follow(&all[..2]),
        Ok(Followed::Advanced { from: 2 })
    ));
    assert!(matches!(
        peer.follow(&all),
        Ok(Followed::Advanced { from: 3 })
    ));
    assert!(matches!(peer.follow(&all[1..]), Ok(Followed::Same)));
    assert!(matches!(peer.follow(&all[..1]), Ok(Followed::Behind)));
    assert_eq!(peer.head(), ada.chain.head());
    let other = Person::new(2);
    let stranger = peer.follow(other.chain.entries()).unwrap_err();
    assert_eq!(stranger, ChainError::OtherMember);
}

#[test]
fn entries_that_nobody_signed_are_no_fork() {
    let (ada, eve) = (Person::new(1), Person::new(2));
    let mut chain = ada.chain.clone();
    let forged = chain.revoke(&eve.account, ada.devices[0].id(), NOW);
    assert_eq!(chain.follow(&[forged]).unwrap_err(), ChainError::NotSigned);
    let (a, b) = branches();
    let (mut chain, head) = (a.chain.clone(), a.chain.head());
    let mut forged = b.chain.entries().to_vec();
    forged[2].signature.0[0] ^= 1;
    assert_eq!(chain.follow(&forged).unwrap_err(), ChainError::NotSigned);
    assert_eq!(chain.head(), head);
}

#[test]
fn a_heal_ends_a_fork_and_revocations_of_both_branches_stand() {
    let (a, b) = branches();
    let mut healed = a.chain.clone();
    let fork = forked(healed.follow(b.chain.entries()).unwrap());
    assert_eq!((fork.from, fork.other.head()), (3, b.chain.head()));
    assert_eq!(healed.head(), a.chain.head(), "a fork changes nothing");
    let heal = healed
        .heal(&fork, Signer::Account(&a.account), NOW)
        .unwrap();
    let Ok(Change::Heal(said)) = Change::of(&heal) else {
        panic!("it heals")
    };
    assert_eq!(said.revoked, [device(1).id()]);
    healed.append(&heal).unwrap();
    assert!(!healed.has(device(1).id()));
    assert!(healed.has(device(2).id()));
    // Those who knew the other branch go over, and those who knew this one go on.
    let mut peer = b.chain.clone();
    let followed = peer.follow(healed.entries()).unwrap();
    let Followed::Switched { from: 3, lost } = followed else {
        panic!("{followed:?}")
    };
    assert_eq!((lost, peer.head()), (vec![], healed.head()));
    let mut peer = a.chain.clone();
    assert!(matches!(
        peer.follow(healed.entries()),
        Ok(Followed::Advanced { from: 4 })
    ));
    // A server that shows the branch which was given up is to be handed the other one.
    assert!(matches!(
        peer.follow(b.chain.entries()),
        Ok(Followed::GivenUp { from: 3 })
    ));
    let again = healed.add(&a.account, device(1).device(""), NOW);
    let again = chat_seal::chain::complete(again, &device(1));
    assert_eq!(healed.check(&again), Err(ChainError::DeviceRevoked));
}

#[test]
fn a_heal_that_does_not_know_of_a_revocation_does_not_undo_it() {
    let (a, mut b) = branches();
    let mut healed = a.chain.clone();
    let fork = forked(healed.follow(b.chain.entries()).unwrap());
    let heal = healed
        .heal(&fork, Signer::Recovery(&a.recovery), NOW)
        .unwrap();
    healed.append(&heal).unwrap();
    b.revoke(0);
    let mut peer = b.chain.clone();
    let followed = peer.follow(healed.entries()).unwrap();
    let Followed::Switched { lost, .. } = followed else {
        panic!("{followed:?}")
    };
    assert_eq!(lost, [a.devices[0].id()]);
    let laptop = a.devices[0].id();
    assert!(healed.has(laptop));
    assert!(!peer.has(laptop));
    // A client keeps the entries, and beside them what they do not say.
    let mut kept = Chain::verify(peer.entries()).unwrap();
    assert!(kept.has(laptop));
    kept.bar(&lost);
    assert!(!kept.has(laptop));
    // The chain goes on, and its last entry is given up once more: by a recovery.
    let mut person = Person::new(1);
    person.chain = healed;
    person.add(device(7));
    let account = AccountKey::generate(&mut rng(5));
    let recovery = RecoveryKey::generate(&mut rng(6));
    let keep = vec![laptop];
    let recover = (person.chain).recover(&person.recovery, &account, &recovery, keep, NOW);
    let mut recovered = person.chain.clone();
    recovered.append(&recover).unwrap();
    person.add(device(8));
    kept.follow(person.chain.entries()).unwrap();
    let followed = kept.follow(recovered.entries()).unwrap();
    assert!(
        matches!(followed, Followed::Switched { from: 6, .. }),
        "{followed:?}"
    );
    assert!(recovered.has(laptop) && !kept.has(laptop));
}

#[test]
fn a_device_that_only_the_other_branch_had_is_barred_by_its_revocation() {
    let (a, mut b) = branches();
    b.add(device(5));
    b.revoke(2);
    let mut healed = a.chain.clone();
    let fork = forked(healed.follow(b.chain.entries()).unwrap());
    let heal = healed
        .heal(&fork, Signer::Account(&a.account), NOW)
        .unwrap();
    healed.append(&heal).unwrap();
    let entry = healed.add(&a.account, device(5).device(""), NOW);
    let entry = chat_seal::chain::complete(entry, &device(5));
    assert_eq!(healed.check(&entry), Err(ChainError::DeviceRevoked));
    assert!(Chain::verify(healed.entries()).is_ok());
}

#[test]
fn a_recovery_stands_against_the_thief_of_an_account() {
    // The thief adds a device and the server shows that to peers; Ada, elsewhere, recovers.
    let (mut thief, mut ada) = (Person::new(1), Person::new(1));
    thief.add(device(66));
    let account = AccountKey::generate(&mut rng(5));
    let recovery = RecoveryKey::generate(&mut rng(6));
    let keep = vec![ada.devices[0].id()];
    let entry = ada
        .chain
        .recover(&ada.recovery, &account, &recovery, keep, NOW);
    ada.chain.append(&entry).unwrap();
    let mut peer = thief.chain.clone();
    let followed = peer.follow(ada.chain.entries()).unwrap();
    assert!(
        matches!(followed, Followed::Switched { from: 2, .. }),
        "{followed:?}"
    );
    assert!(!peer.has(device(66).id()));
    // The thief's branch wins nobody over any more, whatever it says.
    let fork = forked_anyway(&mut ada.chain.clone(), &thief.chain);
    assert!(fork.is_none());
    let other = Fork {
        from: 2,
        other: ada.chain.clone(),
    };
    let heal = thief
        .chain
        .heal(&other, Signer::Account(&thief.account), NOW)
        .unwrap();
    thief.chain.append(&heal).unwrap();
    let followed = ada.chain.follow(thief.chain.entries()).unwrap();
    assert!(
        matches!(followed, Followed::GivenUp { from: 2 }),
        "{followed:?}"
    );
    assert!(!ada.chain.has(device(66).id()));
}

fn forked_anyway(chain: &mut Chain, other: &Chain) -> Option<Box<Fork>> {
    match chain.follow(other.entries()).unwrap() {
        Followed::Fork(fork) => Some(fork),
        _ => None,
    }
}

#[test]
fn two_recoveries_stay_a_fork() {
    let (mut a, mut b) = (Person::new(1), Person::new(1));
    for (person, seed) in [(&mut a, 5), (&mut b, 6)] {
        let account = AccountKey::generate(&mut rng(seed));
        let recovery = RecoveryKey::generate(&mut rng(10 + seed));
        let entry = person
            .chain
            .recover(&person.recovery, &account, &recovery, vec![], NOW);
        person.chain.append(&entry).unwrap();
        (person.account, person.recovery) = (account, recovery);
    }
    let fork = forked(a.chain.follow(b.chain.entries()).unwrap());
    let heal = a
        .chain
        .heal(&fork, Signer::Account(&a.account), NOW)
        .unwrap();
    a.chain.append(&heal).unwrap();
    forked(b.chain.follow(a.chain.entries()).unwrap());
}

#[test]
fn a_heal_says_what_may_be() {
    let (a, b) = branches();
    let mut chain = a.chain.clone();
    let mut fork = forked(chain.follow(b.chain.entries()).unwrap());
    let eve = Person::new(2);
    let heal = chain
        .heal(&fork, Signer::Account(&eve.account), NOW)
        .unwrap();
    assert_eq!(chain.check(&heal), Err(ChainError::NotSigned));
    for from in [1, 4] {
        fork.from = from;
        let heal = chain.heal(&fork, Signer::Account(&a.account), NOW).unwrap();
        assert_eq!(
            chain.check(&heal),
            Err(ChainError::Malformed),
            "from {from}"
        );
    }
}
