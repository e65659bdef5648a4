//! Keys alone.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{
    chain::{EntryError, member_of, verify_first},
    *,
};
use crate::{time::Wall, wire::writer};

fn keys(seed: u64) -> DeviceKeys {
    DeviceKeys::generate(
        &mut ChaCha20Rng::seed_from_u64(seed),
        "laptop",
        Wall(1_700_000_000_000),
    )
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let mut bytes = [0; N];
    assert_eq!(hex.len(), 2 * N);
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("hex");
    }
    bytes
}

/// RFC 8032, section 7.1, tests 1 to 3: the seed, the public key, the message, the signature.
const RFC_8032: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

#[test]
fn signatures_are_those_of_rfc_8032() {
    for [seed, public, message, signature] in RFC_8032 {
        let key = SigningKey::from_seed(&bytes(seed));
        assert_eq!(key.public(), PublicKey(bytes(public)));
        let message: Vec<u8> = (0..message.len() / 2)
            .map(|at| u8::from_str_radix(&message[2 * at..2 * at + 2], 16).expect("hex"))
            .collect();
        // Below the framing of domains, which the RFC does not know.
        assert_eq!(key.0.sign(&message).to_bytes(), bytes::<64>(signature));
    }
}

#[test]
fn a_signature_is_good_for_one_domain_one_body_and_one_key() {
    let (key, other) = (
        SigningKey::from_seed(&[1; 32]),
        SigningKey::from_seed(&[2; 32]),
    );
    let signature = key.sign(Domain::Enter, &[b"a", b"b"]);
    assert!(key.public().has_signed(Domain::Enter, &[b"ab"], &signature));
    assert!(
        !key.public()
            .has_signed(Domain::Welcome, &[b"ab"], &signature)
    );
    assert!(!key.public().has_signed(Domain::Enter, &[b"ac"], &signature));
    assert!(
        !other
            .public()
            .has_signed(Domain::Enter, &[b"ab"], &signature)
    );
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // The neutral element signs everything where verification is not strict.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    assert!(!PublicKey(neutral).has_signed(Domain::Enter, &[b"a"], &Signature(signature)));
}

#[test]
fn keys_that_are_kept_make_the_same_member() {
    let keys = keys(1);
    let again = DeviceKeys::from_bytes(&keys.to_bytes()).expect("they were just written");
    assert_eq!(
        (again.member(), again.first()),
        (keys.member(), keys.first())
    );
    assert!(!keys.member().is_guest());
    let bytes = keys.to_bytes();
    for at in 0..bytes.len() {
        let mut other = bytes.to_vec();
        other[at] ^= 1;
        // The seeds of the account and of the recovery are not needed to enter; what they sign is
        // checked when they do.
        if let Some(other) = DeviceKeys::from_bytes(&other) {
            assert_eq!(other.first(), keys.first(), "byte {at}");
        }
        assert_eq!(DeviceKeys::from_bytes(&bytes[..at]), None);
    }
}

#[test]
fn a_chain_begins_with_an_entry_of_its_own_keys() {
    let keys = keys(1);
    let first = keys.first();
    let founded = verify_first(first).expect("it was just made");
    assert_eq!(founded.member, member_of(&first.body));
    assert_eq!(founded.device.name, "laptop");
    for at in 0..first.body.len() {
        let mut body = first.body.to_vec();
        body[at] ^= 1;
        let entry = chain::Entry {
            body: body.into(),
            ..first.clone()
        };
        assert!(verify_first(&entry).is_err(), "byte {at}");
    }
    let other = super::tests::keys(2);
    for entry in [
        chain::Entry {
            possession: None,
            ..first.clone()
        },
        chain::Entry {
            possession: other.first().possession,
            ..first.clone()
        },
        chain::Entry {
            signature: other.first().signature,
            ..first.clone()
        },
    ] {
        assert_eq!(verify_first(&entry), Err(EntryError::NotSigned));
    }
    let long = chain::Entry {
        body: vec![0; chain::ENTRY_BYTES + 1].into(),
        ..first.clone()
    };
    assert_eq!(verify_first(&long), Err(EntryError::Malformed));
}

#[test]
fn an_entry_that_continues_a_chain_begins_none() {
    let keys = keys(1);
    let account = SigningKey::from_seed(&[3; 32]);
    let device = SigningKey::from_seed(&[4; 32]);
    let mut body = keys.first().read().expect("it was just written");
    let sign = |body: &chain::EntryBody| {
        let mut bytes = Vec::new();
        writer::extend(body, &mut bytes);
        chain::Entry {
            signature: account.sign(Domain::DeviceChain, &[&bytes]),
            possession: Some(device.sign(Domain::Possession, &[&bytes])),
            body: bytes.into(),
        }
    };
    let chain::ChainOp::Begin(begin) = &mut body.op else {
        panic!("a first entry begins")
    };
    (begin.account, begin.device.sign) = (account.public(), device.public());
    assert!(verify_first(&sign(&body)).is_ok());
    body.counter = 2;
    assert_eq!(verify_first(&sign(&body)), Err(EntryError::NotFirst));
    body.counter = 1;
    body.prev = Some(crate::wire::Fixed([1; 32]));
    assert_eq!(verify_first(&sign(&body)), Err(EntryError::NotFirst));
}

#[test]
fn a_guest_is_known_by_its_id() {
    let guest = crate::id::MemberId::guest(&crate::id::Secret([0; 32]));
    assert!(guest.is_guest());
    assert!((0..64).all(|seed| !keys(seed).member().is_guest()));
}

#[test]
fn a_device_has_a_name_of_64_bytes_at_most() {
    let name = "ä".repeat(40);
    let keys = DeviceKeys::generate(&mut ChaCha20Rng::seed_from_u64(1), &name, Wall(0));
    let founded = verify_first(keys.first()).expect("it was just made");
    assert_eq!(founded.device.name, "ä".repeat(32));
}

#[test]
fn a_fingerprint_is_read_as_it_is_written() {
    let fingerprint = PublicKey([7; 32]).fingerprint();
    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    for none in ["", "00", &"g".repeat(32), &"0".repeat(33), &"ä".repeat(16)] {
        assert_eq!(none.parse::<Fingerprint>(), Err(NoFingerprint));
    }
}
