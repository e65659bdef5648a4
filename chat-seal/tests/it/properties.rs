//! Laws of all inputs.

use chat_core::id::SessionId;
use chat_core::{
    keys::chain::Entry,
    wire::{read_shape, write_shape},
};
use chat_seal::{
    Chain, Head, KeyRecord, Relation,
    chain::Followed,
    key_record::Gift,
    mailbox::{Answer, LinkSecret, Request},
    message::{Content, Context, open, seal},
    signed::SignedRecord,
};
use proptest::{prelude::*, sample::Index};

use crate::harness::{ORIGIN, Person, Room, context, device, rng};

/// A chain of these steps: a device more, or one less.
fn chain_of(steps: &[(bool, Index)]) -> Person {
    let mut ada = Person::new(1);
    let mut seed = 0;
    for (add, which) in steps {
        let live: Vec<_> = ada.chain.devices().map(|(id, _)| id).collect();
        if (*add && live.len() < 16) || live.is_empty() {
            seed += 1;
            ada.add(device(seed));
        } else {
            let id = live[which.index(live.len())];
            let entry = ada.chain.revoke(&ada.account, id, crate::harness::NOW);
            ada.chain.append(&entry).unwrap();
        }
    }
    ada
}

fn steps() -> impl Strategy<Value = Vec<(bool, Index)>> {
    proptest::collection::vec(any::<(bool, Index)>(), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_chain_is_what_its_entries_say(steps in steps(), cut: Index, again: Index) {
        let ada = chain_of(&steps);
        let entries = ada.chain.entries();
        let whole = Chain::verify(entries).unwrap();
        prop_assert_eq!(whole.projection(), ada.chain.projection());
        // However it is cut, it is followed to the same end.
        let cut = 1 + cut.index(entries.len());
        let mut part = Chain::verify(&entries[..cut]).unwrap();
        let shown = part.head();
        prop_assert_eq!(whole.missing(shown), &entries[cut..]);
        let expected = if cut == entries.len() { Relation::Same } else { Relation::Behind };
        prop_assert_eq!(whole.relation(shown), expected);
        let from = again.index(cut + 1);
        if from < entries.len() {
            part.follow(&entries[from..]).unwrap();
            prop_assert_eq!(part.head(), whole.head());
            prop_assert_eq!(part.projection(), whole.projection());
        }
        let behind = part.clone().follow(&entries[..1]).unwrap();
        prop_assert!(matches!(behind, Followed::Same | Followed::Behind));
        prop_assert_eq!(whole.relation(Head::NONE), Relation::Behind);
    }

    #[test]
    fn two_branches_are_a_fork_seen_from_both(
        common in steps(),
        one in any::<u64>(),
        other in any::<u64>(),
    ) {
        prop_assume!(one != other);
        let [mut a, mut b] = [&common, &common].map(|steps| chain_of(steps));
        prop_assume!(a.chain.devices().count() < 16);
        let from = a.chain.head().counter + 1;
        a.add(device(100 + one % 1_000));
        b.add(device(2_000 + other % 1_000));
        let heads = (a.chain.head(), b.chain.head());
        prop_assert_eq!(a.chain.relation(heads.1), Relation::Fork);
        let seen = |chain: &mut Chain, other: &Chain| match chain.follow(other.entries()).unwrap() {
            Followed::Fork(fork) => fork.from,
            followed => panic!("{followed:?}"),
        };
        prop_assert_eq!(seen(&mut a.chain, &b.chain), from);
        prop_assert_eq!(seen(&mut b.chain, &a.chain), from);
        prop_assert_eq!((a.chain.head(), b.chain.head()), heads);
    }

    #[test]
    fn every_message_is_read_where_it_belongs_and_nowhere_else(
        content: Vec<u8>,
        nick in "\\PC{0,20}",
        txn: u64,
        session: u64,
        kind: u16,
        seed: u64,
        flip: Index,
    ) {
        let ada = Person::new(1);
        let room = Room::new(&[&ada]);
        let key = room.keys.in_force(&room.control).unwrap();
        let here = Context { txn, session: SessionId(session), kind, ..context(&ada, 0) };
        let said = Content { control: room.control.head().seen(), nick: &nick, content: &content };
        let sealed = seal(&mut rng(seed), key, ada.author(), &here, &said).unwrap();
        let opened = open(&room.keys, &ada.chain, &here, &sealed, 3).unwrap();
        prop_assert_eq!(&*opened.content, &content);
        prop_assert_eq!(&opened.nick, &nick);
        let elsewhere = Context { txn: txn ^ 1, ..here };
        prop_assert!(open(&room.keys, &ada.chain, &elsewhere, &sealed, 3).is_err());
        let mut data = sealed.data.to_vec();
        let bit = flip.index(data.len() * 8);
        data[bit / 8] ^= 1 << (bit % 8);
        let changed = chat_core::wire::record::Sealed { data: data.into(), ..sealed };
        prop_assert!(open(&room.keys, &ada.chain, &here, &changed, 3).is_err());
    }

    /// Whatever somebody sends: an error, never a panic, and never a chain or a key.
    #[test]
    fn nothing_is_made_of_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let ada = Person::new(1);
        let room = Room::new(&[&ada]);
        let chains = crate::harness::chains([&ada]);
        if let Ok(entry) = read_shape::<Entry>(&bytes) {
            prop_assert!(Chain::verify(std::slice::from_ref(&entry)).is_err());
            prop_assert!(ada.chain.check(&entry).is_err());
            prop_assert!(ada.chain.clone().follow(&[entry]).is_err());
        }
        if let Ok(record) = read_shape::<KeyRecord>(&bytes) {
            prop_assert!(record.verify(&ada.chain).is_err());
        }
        if let Ok(record) = read_shape::<SignedRecord>(&bytes) {
            prop_assert!(room.control.check(&record, &chains).is_err());
        }
        if let Ok(gift) = read_shape::<Gift>(&bytes) {
            prop_assert!(gift.open(&ada.chain, &ada.devices[0].reader()).is_err());
        }
        let secret = LinkSecret::from_bytes(&[1; 20]);
        let request = Request::new(&secret, &device(1).device(""));
        if let Ok(request) = read_shape::<Request>(&bytes) {
            prop_assert!(request.open(&secret).is_err());
        }
        if let Ok(answer) = read_shape::<Answer>(&bytes) {
            prop_assert!(answer.open(&secret, &request, &device(1)).is_err());
        }
        // The bodies, too, are bytes of strangers until their signature is looked at.
        let body = crate::harness::opaque(&bytes);
        let signature = room.records[0].signature;
        let record = KeyRecord { body: body.clone(), signature };
        prop_assert!(record.verify(&ada.chain).is_err());
        let signed = SignedRecord { body, signature };
        prop_assert!(room.control.check(&signed, &chains).is_err());
        let data = bytes.into();
        let key = room.keys.in_force(&room.control).unwrap().id();
        let sealed = chat_core::wire::record::Sealed { key, data };
        let opened = open(&room.keys, &ada.chain, &context(&ada, 1), &sealed, 3);
        prop_assert!(opened.is_err());
    }

    /// A later version appends fields; this one reads what it knows, and the signature holds.
    #[test]
    fn shapes_grow(more in proptest::collection::vec(any::<u8>(), 1..20)) {
        let ada = Person::new(1);
        let entry = ada.chain.revoke(&ada.account, ada.devices[0].id(), crate::harness::NOW);
        let grown = crate::harness::signed_anew(&entry, &ada.account, |body| body.extend(&more));
        prop_assert!(ada.chain.check(&grown).is_ok());
        let room = Room::new(&[&ada]);
        let mut record = write_shape(&room.records[0]);
        record.extend(&more);
        let read: KeyRecord = read_shape(&record).unwrap();
        prop_assert_eq!(&read, &room.records[0]);
        prop_assert_eq!(read.verify(&ada.chain).unwrap().body().origin, ORIGIN);
    }

    #[test]
    fn letters_are_read_as_they_are_written(bytes: [u8; 20]) {
        let letters = LinkSecret::from_bytes(&bytes).letters();
        let read = LinkSecret::from_letters(&letters).unwrap();
        prop_assert_eq!(read.letters(), letters);
    }
}
