//! Safety numbers.

use chat_seal::{
    SafetyNumber,
    keys::{AccountKey, RecoveryKey},
};

use crate::harness::{NOW, Person, device, rng};

#[test]
fn a_safety_number_is_the_same_for_both_and_nobody_else() {
    let (mut ada, berl, cleo) = (Person::new(1), Person::new(2), Person::new(3));
    let number = SafetyNumber::of(&ada.chain, &berl.chain);
    assert_eq!(number, SafetyNumber::of(&berl.chain, &ada.chain));
    assert_ne!(number, SafetyNumber::of(&ada.chain, &cleo.chain));
    let text = number.to_string();
    assert_eq!(text.len(), 60 + 11);
    assert!(text.split(' ').all(|group| group.len() == 5));
    let groups = number.groups().map(|group| format!("{group:05}"));
    assert_eq!(groups.collect::<Vec<_>>().join(" "), text);
    // A new device is no other person; another account is to be compared anew.
    ada.add(device(1));
    assert_eq!(number, SafetyNumber::of(&ada.chain, &berl.chain));
    let (account, recovery) = (
        AccountKey::generate(&mut rng(5)),
        RecoveryKey::generate(&mut rng(6)),
    );
    let entry = ada
        .chain
        .recover(&ada.recovery, &account, &recovery, vec![], NOW);
    ada.chain.append(&entry).unwrap();
    assert_ne!(number, SafetyNumber::of(&ada.chain, &berl.chain));
}
