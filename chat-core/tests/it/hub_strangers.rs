//! The limits of strangers: they may not bring crowds that nobody knows, make groups without end,
//! be remembered for nothing, keep the server busy with one name.

use std::{net::IpAddr, time::Duration};

use crate::harness::*;
use chat_core::{
    hub::{AddressLimits, Framing},
    id::ConnId,
    limits::SlowRate,
    wire::{
        ErrorCode, Form,
        client::{self, Op, Peer, RoomRef},
        record::CipherKind,
    },
};

const SLOW: SlowRate = SlowRate {
    burst: 2,
    every: Duration::from_secs(5),
};

fn from(w: &mut World, address: &str) -> ConnId {
    let address: IpAddr = address.parse().unwrap();
    w.connect_as(Form::Postcard, Framing::Message, Some(address))
}

/// Whether somebody of this name is let in; if not, what the refusal says.
fn come(w: &mut World, address: &str, nick: &str) -> Result<(), (ErrorCode, Option<u32>)> {
    let conn = from(w, address);
    let came = w.greet(conn, hello(nick));
    came.map(drop)
        .map_err(|failure| (failure.code, failure.retry_after))
}

#[test]
fn newcomers_are_counted_by_address() {
    let mut w = World::with(|config| config.limits.newcomers_per_address = SLOW);
    let too_many = Err((ErrorCode::RateLimited, Some(5_000)));
    assert_eq!(come(&mut w, "192.0.2.1", "ann"), Ok(()));
    assert_eq!(come(&mut w, "192.0.2.1", "ben"), Ok(()));
    assert_eq!(come(&mut w, "192.0.2.1", "cy"), too_many);
    assert_eq!(come(&mut w, "192.0.2.1", "ann"), Ok(()), "known");
    assert_eq!(come(&mut w, "192.0.2.2", "cy"), Ok(()), "from elsewhere");
    for nick in ["dan", "eve", "fay"] {
        w.welcome(nick); // from within the program
    }
    w.pass(5 * SECOND);
    assert_eq!(come(&mut w, "192.0.2.1", "gus"), Ok(()));
    assert_eq!(come(&mut w, "192.0.2.1", "hal"), too_many);
}

#[test]
fn hubs_of_one_process_count_together() {
    let counts = AddressLimits::default();
    let hub = || {
        World::with(|config| {
            config.limits.newcomers_per_address = SLOW;
            config.address_limits = counts.clone();
        })
    };
    let (mut one, mut other) = (hub(), hub());
    assert_eq!(come(&mut one, "192.0.2.1", "ann"), Ok(()));
    assert_eq!(come(&mut other, "192.0.2.1", "ben"), Ok(()));
    for w in [&mut one, &mut other] {
        let refused = come(w, "192.0.2.1", "cy").unwrap_err();
        assert_eq!(refused.0, ErrorCode::RateLimited);
    }
}

#[test]
fn groups_are_counted_by_address() {
    let mut w = World::with(|config| config.limits.groups_per_address = SLOW);
    let conn = from(&mut w, "192.0.2.1");
    w.greet(conn, hello("ann")).unwrap();
    let create = Op::Create(client::Create {
        name: None,
        topic: String::new(),
        cipher: CipherKind::None,
        key: None,
        history: Default::default(),
        presence: Default::default(),
        password: None,
    });
    for txn in 1..=2 {
        w.request(conn, txn, create.clone()).unwrap();
    }
    let refused = w.request(conn, 3, create.clone()).unwrap_err();
    let said = (refused.code, refused.retry_after);
    assert_eq!(said, (ErrorCode::RateLimited, Some(5_000)));
    assert!(
        w.request(conn, 2, create.clone()).is_ok(),
        "a repeat makes none"
    );
    w.pass(5 * SECOND);
    w.request(conn, 4, create).unwrap();
}

/// A member that keeps its secret is remembered for as long as there is something to remember.
#[test]
fn who_is_in_no_room_is_soon_forgotten() {
    for in_lobby in [true, false] {
        let mut w = World::new();
        let kept = || Hello {
            kept: true,
            ..hello("ann")
        };
        let conn = w.connect();
        w.greet(conn, kept()).unwrap();
        if in_lobby {
            w.join(conn, RoomRef::Lobby).unwrap();
        }
        w.disconnect(conn);
        w.pass(30 * SECOND + 3_600 * SECOND + SECOND);
        let ben = w.welcome("ben");
        let to = Peer::Member(member("ann"));
        let direct = w.request(ben, 1, Op::Direct(client::Direct { to }));
        assert_eq!(direct.is_ok(), in_lobby, "{direct:?}");
    }
}

#[test]
fn a_long_name_is_nobodys() {
    let mut w = World::new();
    let ann = w.welcome("ann");
    w.welcome("\u{fb01}nn"); // begins with a ligature, and is called finn
    let direct = |nick: String| {
        Op::Direct(client::Direct {
            to: Peer::Nick(nick),
        })
    };
    assert!(w.request(ann, 1, direct("FINN".to_owned())).is_ok());
    let long = "\u{fdfa}".repeat(21_000);
    assert_eq!(
        w.refusal(ann, 2, direct(long.clone())),
        ErrorCode::UnknownMember
    );
    let failure = w.request(
        ann,
        3,
        Op::Nick(client::Nick {
            nick: long,
            label: String::new(),
        }),
    );
    let failure = failure.unwrap_err();
    assert_eq!(failure.code, ErrorCode::NickInvalid);
    // The name was not even made short: that would have taken long.
    assert_eq!(failure.text, "too long: 63000 bytes, and 512 at most");
}
