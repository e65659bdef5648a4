//! How members come in with keys, and guests without.

use std::net::IpAddr;

use crate::harness::*;
use chat_core::{
    hub::{Arrival, Audience, Framing},
    id::{ConnId, MemberId, Secret},
    keys::{Nonce, SignedHash, Transcript},
    wire::{
        ClientMessage, CloseReason, ErrorCode, Fixed, Form, ServerMessage,
        client::{self, Entrance, GuestHello, Hello as Signed, Op, Open, Peer, RoomRef, Versions},
        record::CipherKind,
        server::Challenged,
    },
};

const LOCAL: &str = "192.0.2.1";

/// A connection to an address of the server, over a channel with this binding.
fn arrive(w: &mut World, channel: Option<[u8; 32]>) -> ConnId {
    w.arrive(Arrival {
        local: Some(LOCAL.parse::<IpAddr>().unwrap()),
        channel,
        ..Arrival::new(Framing::Message, Form::Postcard)
    })
}

fn open_with(w: &mut World, conn: ConnId, nonce: u8) -> (Open, Challenged) {
    let open = Open {
        versions: Versions { min: 1, max: 1 },
        nonce: Nonce([nonce; 32]),
        capabilities: Vec::new(),
    };
    w.say(conn, &ClientMessage::Open(open.clone()));
    let challenge = w.take(conn, |message| match message {
        ServerMessage::Challenge(challenge) => Some(challenge.clone()),
        _ => None,
    });
    (open, challenge.expect("open is answered"))
}

fn entrance(nick: &str) -> Entrance {
    Entrance {
        audience: format!("tcp://{LOCAL}:7037"),
        ..hello(nick).entrance()
    }
}

/// The code of the refusal, or none if the member is in.
fn says(w: &mut World, conn: ConnId, message: ClientMessage) -> Option<ErrorCode> {
    w.say(conn, &message);
    let answer = w.take(conn, |message| match message {
        ServerMessage::Welcome(_) => Some(None),
        ServerMessage::Error(failure) => Some(Some(failure.code)),
        _ => None,
    });
    answer.expect("it is answered")
}

#[test]
fn a_server_proves_its_key_and_a_member_its_own() {
    let mut w = World::new();
    let conn = arrive(&mut w, None);
    let (open, challenge) = open_with(&mut w, conn, 1);
    let transcript = Transcript {
        server: challenge.key,
        of_client: open.nonce,
        of_server: challenge.nonce,
    };
    assert!(transcript.is_challenge(&challenge.signature));
    let keys = keys(&secret("ada"));
    let signed = keys.hello(&open, &challenge, entrance("ada")).unwrap();
    w.say(conn, &ClientMessage::Hello(signed.clone()));
    let welcome = w.take(conn, |message| match message {
        ServerMessage::Welcome(welcome) => Some(welcome.clone()),
        _ => None,
    });
    let welcome = welcome.expect("she is in");
    assert_eq!(welcome.member, keys.member());
    let hash = SignedHash::of(&signed.signed);
    assert!(transcript.is_welcome(&hash, &welcome.proof.unwrap()));
    assert!(!transcript.is_welcome(&SignedHash::default(), &welcome.proof.unwrap()));
    // The next connection is challenged anew, by the same key.
    let again = arrive(&mut w, None);
    let (_, next) = open_with(&mut w, again, 1);
    assert_eq!(next.key, challenge.key);
    assert_ne!(next.nonce, challenge.nonce);
    // A hello that was signed for the one is no use on the other.
    let replayed = says(&mut w, again, ClientMessage::Hello(signed));
    assert_eq!(replayed, Some(ErrorCode::NotAuthentic));
}

#[test]
fn a_hello_is_signed_by_the_device_of_the_chain_that_it_brings() {
    let mut w = World::new();
    let conn = arrive(&mut w, None);
    let (open, challenge) = open_with(&mut w, conn, 1);
    let [ada, eve] = ["ada", "eve"].map(|nick| keys(&secret(nick)));
    let hers = ada.hello(&open, &challenge, entrance("ada")).unwrap();
    let others = eve.hello(&open, &challenge, entrance("ada")).unwrap();
    for forged in [
        // Eve signs what names Ada's chain.
        Signed {
            signature: others.signature,
            ..hers.clone()
        },
        Signed {
            signed: others.signed.clone(),
            ..hers.clone()
        },
    ] {
        let refused = says(&mut w, conn, ClientMessage::Hello(forged));
        assert_eq!(refused, Some(ErrorCode::NotAuthentic));
    }
    assert_eq!(says(&mut w, conn, ClientMessage::Hello(hers)), None);
}

#[test]
fn a_hello_for_another_server_is_no_use_here() {
    let named = || {
        World::with(|config| {
            config.audience = Audience::Names(vec!["chat.example.org".to_owned()]);
        })
    };
    let mut w = named();
    let tells = |w: &mut World, audience: &str| {
        let conn = arrive(w, None);
        let (open, challenge) = open_with(w, conn, 1);
        let entrance = Entrance {
            audience: audience.to_owned(),
            ..entrance("ada")
        };
        let hello = keys(&secret("ada")).hello(&open, &challenge, entrance);
        let told = says(w, conn, ClientMessage::Hello(hello.unwrap()));
        w.disconnect(conn);
        told
    };
    for right in [
        "tls://chat.example.org:7037",
        "wss://Chat.Example.ORG.:443/ws",
        "tcp://chat.example.org",
        &format!("tcp://{LOCAL}:7037"),
        &format!("tcp://[::ffff:{LOCAL}]:7037"),
        "unix:///run/chat.sock",
    ] {
        assert_eq!(tells(&mut w, right), None, "{right}");
    }
    for wrong in [
        "",
        "chat.example.org",
        "tls://evil.example:7037",
        "tls://chat.example.org.evil.example:7037",
        "tls://192.0.2.2:7037",
        "tls://localhost:7037",
    ] {
        let refused = Some(ErrorCode::WrongAudience);
        assert_eq!(tells(&mut w, wrong), refused, "{wrong}");
    }
    // Where no names are given, all are taken, and clients are told.
    let mut any = World::new();
    assert_eq!(tells(&mut any, "tls://evil.example:7037"), None);
}

#[test]
fn a_channel_that_ends_elsewhere_is_noticed() {
    let mut w = World::new();
    for (mine, theirs, refused) in [
        (Some([1; 32]), Some([1; 32]), None),
        (Some([1; 32]), Some([2; 32]), Some(ErrorCode::Relayed)),
        // A proxy ends the encryption.
        (None, Some([2; 32]), None),
        // A browser has no binding.
        (Some([1; 32]), None, None),
    ] {
        let conn = arrive(&mut w, mine);
        let (open, challenge) = open_with(&mut w, conn, 1);
        let entrance = Entrance {
            channel: theirs.map(Fixed),
            ..entrance("ada")
        };
        let keys = keys(&secret("ada"));
        let hello = keys.hello(&open, &challenge, entrance).unwrap();
        let told = says(&mut w, conn, ClientMessage::Hello(hello));
        assert_eq!(told, refused, "{mine:?} {theirs:?}");
        w.disconnect(conn);
    }
}

#[test]
fn a_handshake_has_one_order() {
    let guest = hello("ada").guest();
    let open = |nonce| {
        ClientMessage::Open(Open {
            versions: Versions { min: 1, max: 1 },
            nonce: Nonce([nonce; 32]),
            capabilities: Vec::new(),
        })
    };
    let signed = ClientMessage::Hello(Signed {
        signed: vec![].into(),
        signature: chat_core::keys::Signature([0; 64]),
    });
    for said in [
        vec![signed.clone()],
        vec![open(1), open(2)],
        vec![open(1), signed],
        vec![guest.clone(), open(1)],
        vec![guest.clone(), guest.clone()],
    ] {
        let mut w = World::new();
        let conn = w.connect();
        for message in &said {
            w.say(conn, message);
        }
        assert_eq!(
            w.lines[&conn].closed,
            Some(CloseReason::Protocol),
            "{said:?}"
        );
    }
}

#[test]
fn guests_are_there_for_a_session() {
    let mut w = World::new();
    let first = w.connect();
    let guest = |secret: Option<u8>| {
        ClientMessage::GuestHello(GuestHello {
            nick: "ann".to_owned(),
            label: String::new(),
            agent: String::new(),
            secret: secret.map(|seed| Secret([seed; 32])),
            session: chat_core::id::SessionId(1),
            resume: Vec::new(),
        })
    };
    assert_eq!(says(&mut w, first, guest(Some(1))), None);
    let other = w.connect();
    let taken = Some(ErrorCode::NickTaken);
    assert_eq!(says(&mut w, other, guest(Some(2))), taken);
    assert_eq!(says(&mut w, other, guest(None)), taken);
    // The same guest comes back over another connection.
    assert_eq!(says(&mut w, other, guest(Some(1))), None);
    assert_eq!(
        w.lines[&first].closed, None,
        "the end waits for its confirmation"
    );
    let secret = Secret([1; 32]);
    assert!(MemberId::guest(&secret).is_guest());
    assert!(!member("ada").is_guest());
}

#[test]
fn what_needs_keys_is_refused_to_guests() {
    let mut w = World::new();
    let ada = w.in_lobby("ada");
    let conn = w.connect();
    assert_eq!(says(&mut w, conn, hello("guest").guest()), None);
    w.join(conn, RoomRef::Lobby)
        .expect("the lobby is open to guests");
    let direct = |nick: &str| {
        Op::Direct(client::Direct {
            to: Peer::Nick(nick.to_owned()),
        })
    };
    let create = |cipher, key| {
        Op::Create(client::Create {
            name: None,
            topic: String::new(),
            cipher,
            key,
            history: Default::default(),
            presence: Default::default(),
            password: None,
        })
    };
    let key = Some(chat_core::id::KeyId([1; 16]));
    for op in [
        direct("ada"),
        create(CipherKind::StaticKey, key),
        Op::Register(client::Register {
            request: vec![0; 32].into(),
            room: None,
        }),
        Op::Login(client::Login {
            room: RoomRef::Lobby,
            ke1: vec![0; 96].into(),
        }),
    ] {
        assert_eq!(w.refusal(conn, 7, op), ErrorCode::NeedsKeys);
    }
    assert_eq!(w.refusal(ada, 7, direct("guest")), ErrorCode::NeedsKeys);
    let sealed = w
        .request(ada, 8, create(CipherKind::StaticKey, key))
        .unwrap();
    let chat_core::wire::server::Answer::Create(view) = sealed else {
        panic!("{sealed:?}")
    };
    let join = Op::Join(client::Join {
        room: RoomRef::Id(view.room),
        proof: None,
    });
    assert_eq!(w.refusal(conn, 9, join), ErrorCode::NeedsKeys);
    // A request that needs none is done.
    assert!(w.request(conn, 10, create(CipherKind::None, None)).is_ok());
}

#[test]
fn a_server_may_have_no_guests() {
    let mut w = World::with(|config| config.guests = false);
    let conn = w.connect();
    assert_eq!(
        says(&mut w, conn, hello("ann").guest()),
        Some(ErrorCode::NeedsKeys)
    );
    w.greet(conn, hello("ann")).expect("with keys");
}
