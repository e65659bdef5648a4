//! Two devices that link, and a server between them.

use chat_core::keys::chain::Entry;
use chat_seal::{
    Chain,
    chain::ChainError,
    mailbox::{Answer, LinkError, LinkSecret, Pin, Request},
};

use crate::harness::{NOW, Person, device, flipped, opaque, rng};

fn secret() -> LinkSecret {
    LinkSecret::generate(&mut rng(50))
}

fn add(ada: &Person, request: &Request) -> Entry {
    let device = request.open(&secret()).unwrap();
    ada.chain.add(&ada.account, device, NOW)
}

fn answer(ada: &Person, request: &Request) -> Answer {
    let berl = Person::new(2);
    let pins = [Pin::of(&berl.chain, true)];
    let rng = &mut rng(51);
    let add = add(ada, request);
    let account = Some(&ada.account);
    Answer::new(rng, &secret(), request, &ada.chain, &add, &pins, account).unwrap()
}

#[test]
fn a_device_is_linked_by_what_it_shows() {
    let ada = Person::new(1);
    let phone = device(1);
    // The phone shows letters; the laptop reads them off.
    let shown = secret().letters();
    let read = LinkSecret::from_letters(&shown).unwrap();
    assert_eq!(read.mailbox(), secret().mailbox());
    let request = Request::new(&secret(), &phone.device("phone"));
    assert_eq!(request.open(&read).unwrap(), phone.device("phone"));
    let linked = answer(&ada, &request)
        .open(&secret(), &request, &phone)
        .unwrap();
    assert!(linked.chain.has(phone.id()));
    assert_eq!(linked.chain.head().counter, 2);
    assert_eq!(linked.pins.len(), 1);
    assert!(linked.pins[0].verified);
    let account = linked.account.unwrap();
    assert_eq!(account.public(), ada.account.public());
    // The last entry is good for everybody.
    assert!(Chain::verify(linked.chain.entries()).is_ok());
}

#[test]
fn a_device_may_be_linked_without_the_account() {
    let ada = Person::new(1);
    let phone = device(1);
    let request = Request::new(&secret(), &phone.device("phone"));
    let add = add(&ada, &request);
    let answer = Answer::new(
        &mut rng(51),
        &secret(),
        &request,
        &ada.chain,
        &add,
        &[],
        None,
    )
    .unwrap();
    let linked = answer.open(&secret(), &request, &phone).unwrap();
    assert!(linked.account.is_none());
    assert!(linked.chain.has(phone.id()));
}

#[test]
fn a_server_changes_nothing_of_it() {
    let ada = Person::new(1);
    let phone = device(1);
    let request = Request::new(&secret(), &phone.device("phone"));
    for device in flipped(&request.device.0) {
        let other = Request {
            device: opaque(&device),
            ..request
        };
        assert_eq!(other.open(&secret()), Err(LinkError::Altered));
    }
    let answer = answer(&ada, &request);
    let open = |answer: &Answer| answer.open(&secret(), &request, &phone).unwrap_err();
    for sealed in flipped(&answer.sealed.0) {
        let sealed = opaque(&sealed);
        assert_eq!(open(&Answer { sealed, ..answer }), LinkError::Altered);
    }
    for at in 0..32 {
        let mut other = answer.clone();
        other.enc.0[at] ^= 1;
        assert_eq!(open(&other), LinkError::Altered);
        let mut other = answer.clone();
        other.mac.0[at] ^= 1;
        assert_eq!(open(&other), LinkError::Altered);
    }
}

#[test]
fn a_server_that_answers_itself_is_noticed() {
    // The server sees the device's public key, and would like the device in a chain of its own.
    let eve = Person::new(4);
    let phone = device(1);
    let request = Request::new(&secret(), &phone.device("phone"));
    let guessed = LinkSecret::from_bytes(&[0; 20]);
    let as_guessed = Request::new(&guessed, &phone.device("phone"));
    assert_eq!(as_guessed.open(&secret()), Err(LinkError::Altered));
    let add = eve.chain.add(&eve.account, phone.device("phone"), NOW);
    let answer = Answer::new(
        &mut rng(1),
        &guessed,
        &as_guessed,
        &eve.chain,
        &add,
        &[],
        None,
    )
    .unwrap();
    let opened = answer.open(&secret(), &request, &phone);
    assert_eq!(opened.unwrap_err(), LinkError::Altered);
}

#[test]
fn an_answer_is_for_one_device_and_one_request() {
    let ada = Person::new(1);
    let (phone, tablet) = (device(1), device(2));
    let request = Request::new(&secret(), &phone.device("phone"));
    let other = Request::new(&secret(), &tablet.device("phone"));
    let answer = answer(&ada, &request);
    let opened = answer.open(&secret(), &other, &phone);
    assert_eq!(opened.unwrap_err(), LinkError::Altered);
    let opened = answer.open(&secret(), &request, &tablet);
    assert_eq!(opened.unwrap_err(), LinkError::Altered);
    // An answer by the secret, and wrong.
    let make = |add: &Entry, account| {
        let rng = &mut rng(1);
        Answer::new(rng, &secret(), &request, &ada.chain, add, &[], account)
            .unwrap()
            .open(&secret(), &request, &phone)
            .unwrap_err()
    };
    let wrong = ada.chain.add(&ada.account, tablet.device("tablet"), NOW);
    assert_eq!(make(&wrong, None), LinkError::OtherDevice);
    let revoke = ada.chain.revoke(&ada.account, ada.devices[0].id(), NOW);
    assert_eq!(make(&revoke, None), LinkError::OtherDevice);
    let berl = Person::new(2);
    let add = add(&ada, &request);
    assert_eq!(make(&add, Some(&berl.account)), LinkError::OtherAccount);
    let stale = berl.chain.add(&berl.account, phone.device("phone"), NOW);
    assert_eq!(make(&stale, None), LinkError::Chain(ChainError::WrongPrev));
}

#[test]
fn a_secret_is_thirty_two_letters() {
    let letters = secret().letters();
    assert_eq!(letters.len(), 32);
    let typed = format!("{} - {}", letters[..16].to_uppercase(), &letters[16..]);
    let read = LinkSecret::from_letters(&typed).unwrap();
    assert_eq!(*read.letters(), *letters);
    // RFC 4648, section 10, and by hand.
    let known = LinkSecret::from_bytes(b"foobafoobafoobafooba").letters();
    assert_eq!(*known, "mzxw6ytb".repeat(4));
    for none in [
        "",
        &letters[..31],
        &format!("{}a", *letters),
        &format!("{}1", &letters[..31]),
        &"é".repeat(16),
        &"a".repeat(40),
    ] {
        let read = LinkSecret::from_letters(none);
        assert_eq!(read.unwrap_err(), LinkError::NotLetters, "{none:?}");
    }
}

#[test]
fn what_is_too_much_for_a_mailbox_is_not_sent() {
    let ada = Person::new(1);
    let phone = device(1);
    let request = Request::new(&secret(), &phone.device("phone"));
    let add = add(&ada, &request);
    let pins = vec![Pin::of(&ada.chain, false); 800];
    let rng = &mut rng(1);
    let long = Answer::new(rng, &secret(), &request, &ada.chain, &add, &pins, None);
    assert_eq!(long.unwrap_err(), LinkError::TooLong);
    let mut weak = phone.device("phone");
    weak.dh.0 = [0; 32];
    let request = Request::new(&secret(), &weak);
    let weak = Answer::new(rng, &secret(), &request, &ada.chain, &add, &[], None);
    assert_eq!(weak.unwrap_err(), LinkError::WeakKey);
}
