//! Every type that holds a secret, in one list: none can be copied, written down, shown or compared
//! by accident.

use chat_core::id::CredentialId;
use chat_core::password::ExportKey;
use chat_seal::{
    RoomKey, RoomKeys,
    key_record::PasswordKey,
    keys::{AccountKey, DeviceKey, RecoveryKey},
    mailbox::{LinkSecret, Linked},
};

use crate::harness::{ORIGIN, Person, rng, room_key};

/// Compiles only while a type does not implement a trait: if it does, `marked` is ambiguous.
macro_rules! lacks {
    ($($type:ty)*: $($trait:path)*) => {
        lacks!(@each [$($type)*] [$($trait)*]);
    };
    (@each [$($type:ty)*] $traits:tt) => { $( lacks!(@one $type, $traits); )* };
    (@one $type:ty, [$($trait:path)*]) => { $(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn marked() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Implements;
            impl<T: ?Sized + $trait> Ambiguous<Implements> for T {}
            let _ = <$type as Ambiguous<_>>::marked;
        };
    )* };
}

lacks! {
    AccountKey RecoveryKey DeviceKey LinkSecret RoomKey RoomKeys PasswordKey Linked:
    Clone PartialEq serde::Serialize std::fmt::Display
}

#[test]
fn no_key_is_printed() {
    let ada = Person::new(1);
    let key = room_key(1);
    let export = ExportKey::new([4; 64]);
    let (password, _) = PasswordKey::generate(&mut rng(1), &export, CredentialId([6; 16]));
    let link = LinkSecret::from_bytes(&[9; 20]);
    let printed = [
        format!("{:?}", ada.account),
        format!("{:?}", ada.recovery),
        format!("{:?}", ada.devices[0]),
        format!("{password:?}"),
        format!("{link:?}"),
    ];
    let silent = [
        "AccountKey",
        "RecoveryKey",
        "DeviceKey",
        "PasswordKey",
        "LinkSecret",
    ];
    for (printed, name) in printed.iter().zip(silent) {
        assert_eq!(*printed, format!("{name}(…)"));
    }
    assert_eq!(format!("{key:?}"), format!("RoomKey(1, {})", key.id()));
    let mut keys = RoomKeys::new(ORIGIN);
    let room = crate::harness::Room::new(&[&ada]);
    keys.keep(key, &room.control).unwrap();
    let digits = format!("{:?}", keys);
    let secret = format!("{:?}", room_key(1).bytes());
    assert!(!digits.contains(secret.trim_matches(['[', ']'])));
    let reader = format!("{:?}", ada.recovery.reader());
    assert!(
        reader.starts_with("Reader(") && reader.len() == 8 + 32,
        "{reader}"
    );
}

#[test]
fn keys_that_are_kept_are_the_same_keys() {
    let ada = Person::new(1);
    let account = AccountKey::from_seed(&ada.account.seed());
    assert_eq!(account.public(), ada.account.public());
    let recovery = RecoveryKey::from_seed(ada.recovery.seed());
    assert_eq!(recovery.public(), ada.recovery.public());
    assert_eq!(recovery.dh(), ada.recovery.dh());
    let (sign, dh) = ada.devices[0].seeds();
    assert_eq!(DeviceKey::from_seeds(&sign, &dh).id(), ada.devices[0].id());
    let key = room_key(3);
    assert_eq!(RoomKey::from_bytes(ORIGIN, 3, key.bytes()).id(), key.id());
}
