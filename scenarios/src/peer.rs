//! A peer that speaks bytes: what a client in another language would do, or nobody in their right
//! mind.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use chat_core::{
    id::{Secret, SessionId},
    keys::{DeviceKeys, Nonce},
    wire::{
        CloseReason, Decoder, Form, SERVER_FRAME_BYTES, ServerMessage,
        client::{ClientMessage, Entrance, GuestHello, Op, Open, Request, Versions},
        error::ErrorCode,
        server::{Answer, Closing, Welcome},
    },
};

use crate::LIMIT;

/// One connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    decoder: Decoder,
    /// Read and not yet asked for.
    messages: std::collections::VecDeque<ServerMessage>,
    requests: u64,
}

impl Peer {
    /// Connects and says nothing.
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(LIMIT)).expect("it can be set");
        stream
            .set_write_timeout(Some(LIMIT))
            .expect("it can be set");
        Self {
            stream,
            decoder: Decoder::new(SERVER_FRAME_BYTES),
            messages: [].into(),
            requests: 0,
        }
    }

    /// Connects and is welcomed, with keys.
    pub fn welcomed(address: &str, nick: &str) -> (Self, Welcome) {
        let mut peer = Self::connect(address);
        let guest = guest(nick);
        let open = Open {
            versions: Versions { min: 1, max: 1 },
            nonce: Nonce([1; 32]),
            capabilities: Vec::new(),
        };
        peer.say(&ClientMessage::Open(open.clone()));
        let challenge = match peer.hear() {
            Some(ServerMessage::Challenge(challenge)) => challenge,
            other => panic!("no challenge: {other:?}"),
        };
        let entrance = Entrance {
            agent: guest.agent,
            nick: guest.nick,
            label: guest.label,
            session: guest.session,
            kept: false,
            resume: guest.resume,
            audience: format!("tcp://{address}"),
            channel: None,
            entries: Vec::new(),
            invite: None,
        };
        let keys = DeviceKeys::from_secret(&guest.secret.expect("it has one"));
        let hello = keys.hello(&open, &challenge, entrance);
        peer.say(&ClientMessage::Hello(
            hello.expect("the server has its key"),
        ));
        let welcome = match peer.hear() {
            Some(ServerMessage::Welcome(welcome)) => welcome,
            other => panic!("not welcome: {other:?}"),
        };
        (peer, welcome)
    }

    /// Sends a message.
    pub fn say(&mut self, message: &ClientMessage) {
        let frame = Form::Postcard.encode(message);
        self.bytes(frame.prefixed());
    }

    /// Sends these bytes. The server may have had enough before it has read them all.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a request; its id.
    pub fn ask(&mut self, txn: u64, op: Op) -> u64 {
        self.requests += 1;
        let id = self.requests;
        self.say(&ClientMessage::Request(Request { id, txn, op }));
        id
    }

    /// Sends a request, and reads until it is answered.
    pub fn answer(&mut self, txn: u64, op: Op) -> Result<Answer, ErrorCode> {
        let id = self.ask(txn, op);
        loop {
            match self.hear() {
                Some(ServerMessage::Ok(done)) if done.id == id => return Ok(done.answer),
                Some(ServerMessage::Error(failure)) if failure.id == id => return Err(failure.code),
                Some(_) => {}
                None => panic!("the connection ended before the answer"),
            }
        }
    }

    /// The next message; none when the connection has ended.
    pub fn hear(&mut self) -> Option<ServerMessage> {
        let mut buffer = vec![0; 65_536];
        while self.messages.is_empty() {
            let read = match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing comes: {error}"),
            };
            let messages = &mut self.messages;
            self.decoder
                .feed(&buffer[..read], |body| {
                    messages.push_back(Form::Postcard.decode(body).expect("the server's message"));
                })
                .expect("a frame of the server");
        }
        self.messages.pop_front()
    }

    /// Reads until the server says that the connection ends, does not answer, and reads to the end.
    pub fn closing(&mut self) -> Closing {
        loop {
            match self.hear() {
                Some(ServerMessage::Closing(closing)) => return closing,
                Some(_) => {}
                None => panic!("the connection ended without a word"),
            }
        }
    }

    /// Reads to the end; the reason that the server gave for it.
    pub fn end(mut self) -> CloseReason {
        let reason = self.closing().reason;
        self.say(&ClientMessage::Closed(Default::default()));
        assert_eq!(self.hear(), None, "nothing comes after `closing`");
        reason
    }

    /// Sends no more, and reads to the end: the server has seen the end of the connection.
    pub fn leave(self) {
        // The server may be gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// How a guest comes in that nobody else is.
pub fn guest(nick: &str) -> GuestHello {
    let mut secret = [0; 32];
    for (byte, of_nick) in secret.iter_mut().zip(nick.bytes().cycle()) {
        *byte = of_nick;
    }
    GuestHello {
        nick: nick.to_owned(),
        label: String::new(),
        agent: "scenario".to_owned(),
        secret: Some(Secret(secret)),
        session: SessionId(1),
        resume: Vec::new(),
    }
}
