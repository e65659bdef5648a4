//! A client of few words: the wire's messages as they are, over any connection.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io::IoSlice,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
};

use chat_runtime::{
    Connection, Interest,
    chat_core::{
        hub::Framing,
        id::{RoomId, Secret, SessionId},
        wire::{
            ClientMessage, Decoder, Frame, Record, SERVER_FRAME_BYTES, ServerMessage,
            client::{
                Empty, GuestHello, History, HistoryFrom, Join, List, Members, Op, Ping, Request,
                RoomRef, Send,
            },
            record::{Content, RecordBody},
            server::Closing,
        },
    },
};

pub(crate) struct Peer {
    connection: Box<dyn Connection>,
    decoder: Decoder,
    inbox: VecDeque<ServerMessage>,
    buffer: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(connection: impl Connection) -> Self {
        let connection = Box::new(connection);
        Self {
            connection,
            decoder: Decoder::new(SERVER_FRAME_BYTES),
            inbox: VecDeque::new(),
            buffer: vec![0; 1 << 20],
        }
    }

    /// Says hello as this nick, and is welcomed.
    pub(crate) async fn hello(connection: impl Connection, nick: &str) -> Self {
        let mut peer = Self::new(connection);
        peer.say_hello(nick).await;
        let welcome = peer.next().await;
        assert!(
            matches!(welcome, Some(ServerMessage::Welcome(_))),
            "{welcome:?}"
        );
        peer
    }

    pub(crate) async fn say_hello(&mut self, nick: &str) {
        let mut secret = [0; 32];
        secret[..nick.len()].copy_from_slice(nick.as_bytes());
        let guest = GuestHello {
            nick: nick.into(),
            label: String::new(),
            agent: "peer".into(),
            secret: Some(Secret(secret)),
            session: new_session(),
            resume: vec![],
        };
        self.send(&ClientMessage::GuestHello(guest)).await;
    }

    /// The same, and joins the lobby.
    pub(crate) async fn enter(connection: impl Connection, nick: &str) -> Self {
        let mut peer = Self::hello(connection, nick).await;
        peer.request(
            1,
            1,
            Op::Join(Join {
                room: RoomRef::Lobby,
                proof: None,
            }),
        )
        .await;
        let joined = peer.next().await;
        assert!(matches!(joined, Some(ServerMessage::Ok(_))), "{joined:?}");
        peer
    }

    pub(crate) async fn request(&mut self, id: u64, txn: u64, op: Op) {
        self.send(&ClientMessage::Request(Request { id, txn, op }))
            .await;
    }

    /// Says something in the lobby; the request's id is its `txn`.
    pub(crate) async fn say(&mut self, txn: u64, text: &str) {
        let content = Content::plain(text);
        self.request(
            txn,
            txn,
            Op::Send(Send {
                room: RoomId::LOBBY,
                action: false,
                content,
            }),
        )
        .await;
    }

    /// Asks for the newest records of the lobby.
    pub(crate) async fn ask_history(&mut self, id: u64) {
        self.request(
            id,
            0,
            Op::History(History {
                room: RoomId::LOBBY,
                from: HistoryFrom::Latest,
                limit: 100,
            }),
        )
        .await;
    }

    /// Asks who is in the lobby.
    pub(crate) async fn ask_members(&mut self, id: u64) {
        let (room, after, limit) = (RoomId::LOBBY, None, 0);
        let members = Members { room, after, limit };
        self.request(id, 0, Op::Members(members)).await;
    }

    /// Asks which rooms there are.
    pub(crate) async fn ask_rooms(&mut self, id: u64) {
        let (after, limit) = (None, 0);
        self.request(id, 0, Op::List(List { after, limit })).await;
    }

    /// Joins the lobby, where it is already.
    pub(crate) async fn join_again(&mut self, id: u64) {
        let (room, proof) = (RoomRef::Lobby, None);
        self.request(id, 1, Op::Join(Join { room, proof })).await;
    }

    pub(crate) async fn ping(&mut self, nonce: u64) {
        self.send(&ClientMessage::Ping(Ping { nonce })).await;
    }

    pub(crate) async fn send(&mut self, message: &ClientMessage) {
        self.send_frame(&self.connection.form().encode(message))
            .await;
    }

    pub(crate) async fn send_frame(&mut self, frame: &Frame) {
        self.send_bytes(&frame.in_framing(self.connection.framing()))
            .await;
    }

    pub(crate) async fn send_bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            poll_fn(|cx| self.connection.poll_ready(cx, Interest::Write))
                .await
                .expect("the server is there");
            match self.connection.try_write_vectored(&[IoSlice::new(bytes)]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
    }

    /// The next message; none at the end, whichever way it comes.
    pub(crate) async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            if let Some(message) = self.inbox.pop_front() {
                return Some(message);
            }
            poll_fn(|cx| self.connection.poll_ready(cx, Interest::Read))
                .await
                .ok()?;
            let read = match self.connection.try_read(&mut self.buffer) {
                Ok(read) => read?,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(_) => return None,
            };
            let form = self.connection.form();
            let mut take = |body: &[u8]| {
                self.inbox
                    .push_back(form.decode(body).expect("the server speaks the protocol"))
            };
            match self.connection.framing() {
                Framing::Stream | Framing::Lines => self
                    .decoder
                    .feed(&self.buffer[..read], take)
                    .expect("the server keeps to the limits"),
                Framing::Message => take(&self.buffer[..read]),
            }
        }
    }

    /// Whether something comes before `other` is done.
    pub(crate) async fn hears_before(&mut self, other: impl Future<Output = ()>) -> bool {
        let mut other = pin!(other);
        let mut next = pin!(self.next());
        poll_fn(|cx| {
            if next.as_mut().poll(cx).is_ready() {
                return std::task::Poll::Ready(true);
            }
            other.as_mut().poll(cx).map(|()| false)
        })
        .await
    }

    /// The next record of the lobby.
    pub(crate) async fn records(&mut self) -> Vec<Record> {
        loop {
            match self.next().await.expect("the connection lives") {
                ServerMessage::Records(records) => return records.records,
                ServerMessage::Closing(closing) => panic!("{closing:?}"),
                _ => {}
            }
        }
    }

    /// Reads until this text is said in the lobby; gives all records on the way.
    pub(crate) async fn until(&mut self, last: &str) -> Vec<Record> {
        let mut records: Vec<Record> = vec![];
        while records
            .last()
            .is_none_or(|record| text(record) != Some(last))
        {
            records.extend(self.records().await);
        }
        records
    }

    /// Reads until the server says the end.
    pub(crate) async fn closing(&mut self) -> Closing {
        loop {
            if let ServerMessage::Closing(closing) =
                self.next().await.expect("a word before the end")
            {
                return closing;
            }
        }
    }

    /// Confirms the end, and sees it.
    pub(crate) async fn confirm(mut self) {
        self.send(&ClientMessage::Closed(Empty {})).await;
        while self.next().await.is_some() {}
    }
}

/// Each connection counts its requests from 1.
fn new_session() -> SessionId {
    static SESSIONS: AtomicU64 = AtomicU64::new(1);
    SessionId(SESSIONS.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn text(record: &Record) -> Option<&str> {
    match &record.body {
        RecordBody::Message(message) => match &message.content {
            Content::Plain(text) => Some(&text.text),
            _ => None,
        },
        _ => None,
    }
}

/// Records come in order and without holes.
pub(crate) fn assert_whole(records: &[Record]) {
    for pair in records.windows(2) {
        assert_eq!(pair[0].seq + 1, pair[1].seq);
    }
}
