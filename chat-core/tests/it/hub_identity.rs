//! Connections whose other end is known otherwise than by what it says: the accounts of an
//! application around the chat.

use crate::harness::*;
use chat_core::{
    client::{
        Client, ClientConfig, ClientInput, ClientOutput, ClientOutputs, Credentials, Dialled,
    },
    hub::{Framing, Identity, Input},
    id::{ConnId, RoomId, SessionId},
    wire::{
        ErrorCode, Form, ServerMessage,
        client::{self, Op, RoomRef},
        server::Answer,
    },
};

fn connect(w: &mut World, identity: &Identity) -> ConnId {
    let conn = w.connect();
    let identity = identity.clone();
    w.input(Input::Identified { conn, identity });
    w.drive();
    conn
}

fn rename(nick: &str, label: &str) -> Op {
    Op::Nick(client::Nick {
        nick: nick.to_owned(),
        label: label.to_owned(),
    })
}

#[test]
fn an_account_is_the_same_member_whatever_the_hello_says() {
    let mut w = World::new();
    let account = Identity::new("user 17", "Adina").label("gr. 2");
    let phone = connect(&mut w, &account);
    let welcome = w.greet(phone, hello("berl")).unwrap();
    assert_eq!(welcome.member, account.member());
    assert_eq!(
        (welcome.nick.as_str(), welcome.label.as_str()),
        ("Adina", "gr. 2")
    );
    // Nobody is kept from the name that was said.
    assert_eq!(greet_new(&mut w, "berl").nick, "berl");
    // From another device, with another secret, it is a second session.
    let desk = connect(&mut w, &account);
    let second = Hello {
        session: SessionId(2),
        ..hello("cora")
    };
    assert_eq!(w.greet(desk, second).unwrap().member, account.member());
    w.join(desk, RoomRef::Lobby).unwrap();
    let entered = w.take(phone, |message| match message {
        ServerMessage::Entered(entered) => Some(entered.view.room),
        _ => None,
    });
    assert_eq!(entered, Some(RoomId::LOBBY));
}

#[test]
fn what_is_imposed_cannot_be_changed() {
    let mut w = World::new();
    let free = connect(&mut w, &Identity::new("1", "Adina"));
    w.greet(free, hello("x")).unwrap();
    assert_eq!(w.refusal(free, 1, rename("Berl", "")), ErrorCode::Forbidden);
    // The label is hers, as it was not imposed.
    let named = w.request(free, 1, rename("Adina", "gr. 3")).unwrap();
    assert!(matches!(named, Answer::Nick(named) if named.label == "gr. 3"));
    let bound = connect(&mut w, &Identity::new("2", "Cora").label("staff"));
    w.greet(bound, hello("y")).unwrap();
    assert_eq!(
        w.refusal(bound, 1, rename("Cora", "boss")),
        ErrorCode::Forbidden
    );
}

#[test]
fn an_account_whose_name_cannot_be_is_refused() {
    let mut w = World::new();
    w.welcome("adina");
    for (nick, code) in [
        ("two words", ErrorCode::NickInvalid),
        ("Adina", ErrorCode::NickTaken),
    ] {
        let conn = connect(&mut w, &Identity::new("7", nick));
        assert_eq!(w.greet(conn, hello("fine")).unwrap_err().code, code);
    }
}

#[test]
fn the_client_takes_the_member_that_it_is_told() {
    let mut w = World::new();
    let account = Identity::new("user 17", "Adina");
    let conn = connect(&mut w, &account);
    let mut config = ClientConfig::new("x", Credentials::Guest(secret("x")), [0; 32]);
    config.imposed = true;
    let mut client = Client::new(config);
    let (now, mut out) = (w.now, ClientOutputs::new());
    client.start(now, &mut out);
    let dialled = Dialled::new(Framing::Message, Form::Postcard);
    client.handle_input(now, ClientInput::Connected(dialled), &mut out);
    assert_ne!(client.me().member, account.member());
    while let Some(output) = out.pop() {
        if let ClientOutput::Send(frame) = output {
            w.bytes(conn, &frame.body());
        }
        while let Some(message) = w.take(conn, |message| Some(message.clone())) {
            let frame = Form::Postcard.encode(&message);
            client.handle_input(now, ClientInput::Received(&frame.body()), &mut out);
        }
    }
    assert_eq!(client.me().member, account.member());
    assert_eq!(client.me().nick, "Adina");
}

fn greet_new(w: &mut World, nick: &str) -> chat_core::wire::server::Welcome {
    let conn = w.connect();
    w.greet(conn, hello(nick)).unwrap()
}
