//! A client that speaks frames, for members who keep to the protocol and for those who do not.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
};

use chat_core::{
    id::{RoomId, Secret, SessionId},
    keys::{DeviceKeys, Nonce},
    wire::{
        CloseReason, Decoder, Form, SERVER_FRAME_BYTES, ServerMessage,
        client::{
            ClientMessage, Entrance, GuestHello, HistoryFrom, Join, Op, Open, Ping, Request,
            RoomRef, Send, Versions,
        },
        record::Content,
        server::{Answer, Failure},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// Why something was not got.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server said why.
    Refused(Failure),
    /// The server ended the connection, with or without words.
    Closed(Option<CloseReason>),
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        Self::Closed(None)
    }
}

/// One connection.
pub(crate) struct Member {
    stream: TcpStream,
    decoder: Decoder,
    messages: VecDeque<ServerMessage>,
    buffer: Vec<u8>,
    asked: u64,
}

/// A socket from this address.
pub(crate) async fn dial(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The keys of a person, always the same.
pub(crate) fn secret(nick: &str) -> Secret {
    let mut secret = [7; 32];
    secret[..nick.len().min(32)].copy_from_slice(&nick.as_bytes()[..nick.len().min(32)]);
    Secret(secret)
}

impl Member {
    /// Connects and says nothing.
    pub(crate) async fn connect(from: IpAddr, to: SocketAddr) -> Result<Self, Trouble> {
        Ok(Self {
            stream: dial(from, to).await?,
            decoder: Decoder::new(SERVER_FRAME_BYTES),
            messages: VecDeque::new(),
            buffer: vec![0; 16_384],
            asked: 0,
        })
    }

    /// Comes in with keys that are those of the nick, and says nothing for `wait` before.
    pub(crate) async fn enter(
        from: IpAddr,
        to: SocketAddr,
        nick: &str,
        wait: std::time::Duration,
    ) -> Result<Self, Trouble> {
        let mut member = Self::connect(from, to).await?;
        let keys = DeviceKeys::from_secret(&secret(nick));
        tokio::time::sleep(wait).await;
        member.hello(&keys, nick, to).await?;
        Ok(member)
    }

    async fn hello(
        &mut self,
        keys: &DeviceKeys,
        nick: &str,
        to: SocketAddr,
    ) -> Result<(), Trouble> {
        let open = Open {
            versions: Versions { min: 1, max: 1 },
            nonce: Nonce([1; 32]),
            capabilities: Vec::new(),
        };
        self.say(&ClientMessage::Open(open.clone())).await?;
        let challenge = match self.hear().await? {
            ServerMessage::Challenge(challenge) => challenge,
            ServerMessage::Closing(closing) => return Err(Trouble::Closed(Some(closing.reason))),
            _ => return Err(Trouble::Closed(None)),
        };
        let entrance = Entrance {
            agent: "attacks".to_owned(),
            nick: nick.to_owned(),
            label: String::new(),
            session: SessionId(1),
            kept: true,
            resume: Vec::new(),
            audience: format!("tcp://{to}"),
            channel: None,
            entries: Vec::new(),
            invite: None,
        };
        let hello = keys.hello(&open, &challenge, entrance);
        let hello = hello.ok_or(Trouble::Closed(None))?;
        self.say(&ClientMessage::Hello(hello)).await?;
        self.welcome().await
    }

    /// Comes in without keys.
    pub(crate) async fn guest(from: IpAddr, to: SocketAddr, nick: &str) -> Result<Self, Trouble> {
        let mut member = Self::connect(from, to).await?;
        let guest = GuestHello {
            nick: nick.to_owned(),
            label: String::new(),
            agent: "attacks".to_owned(),
            secret: Some(secret(nick)),
            session: SessionId(1),
            resume: Vec::new(),
        };
        member.say(&ClientMessage::GuestHello(guest)).await?;
        member.welcome().await?;
        Ok(member)
    }

    async fn welcome(&mut self) -> Result<(), Trouble> {
        loop {
            match self.hear().await? {
                ServerMessage::Welcome(_) => return Ok(()),
                ServerMessage::Error(failure) => return Err(Trouble::Refused(failure)),
                ServerMessage::Closing(closing) => {
                    return Err(Trouble::Closed(Some(closing.reason)));
                }
                _ => {}
            }
        }
    }

    pub(crate) async fn say(&mut self, message: &ClientMessage) -> io::Result<()> {
        let frame = Form::Postcard.encode(message);
        self.stream.write_all(frame.prefixed()).await
    }

    pub(crate) async fn ping(&mut self) -> io::Result<()> {
        self.say(&ClientMessage::Ping(Ping { nonce: 1 })).await
    }

    /// Asks for something; the number that its answer will have.
    pub(crate) async fn ask(&mut self, op: Op) -> io::Result<u64> {
        self.asked += 1;
        let id = self.asked;
        let request = Request { id, txn: id, op };
        self.say(&ClientMessage::Request(request)).await?;
        Ok(id)
    }

    /// Asks for something and waits for the answer.
    pub(crate) async fn answer(&mut self, op: Op) -> Result<Answer, Trouble> {
        let id = self.ask(op).await?;
        loop {
            match self.hear().await? {
                ServerMessage::Ok(done) if done.id == id => return Ok(done.answer),
                ServerMessage::Error(failure) if failure.id == id => {
                    return Err(Trouble::Refused(failure));
                }
                ServerMessage::Closing(closing) => {
                    return Err(Trouble::Closed(Some(closing.reason)));
                }
                _ => {}
            }
        }
    }

    pub(crate) async fn join_lobby(&mut self) -> Result<Answer, Trouble> {
        let (room, proof) = (RoomRef::Lobby, None);
        self.answer(Op::Join(Join { room, proof })).await
    }

    /// The next message. May be given up and asked for again.
    pub(crate) async fn hear(&mut self) -> Result<ServerMessage, Trouble> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(message);
            }
            let read = self.stream.read(&mut self.buffer).await?;
            if read == 0 {
                return Err(Trouble::Closed(None));
            }
            let messages = &mut self.messages;
            self.decoder
                .feed(&self.buffer[..read], |body| {
                    messages.extend(Form::Postcard.decode(body).ok());
                })
                .map_err(|_| Trouble::Closed(None))?;
        }
    }

    /// Hears all there is until the connection ends.
    pub(crate) async fn listen(&mut self) -> Trouble {
        loop {
            match self.hear().await {
                Ok(ServerMessage::Closing(closing)) => {
                    return Trouble::Closed(Some(closing.reason));
                }
                Ok(_) => {}
                Err(trouble) => return trouble,
            }
        }
    }
}

/// A message in a room.
pub(crate) fn message(room: RoomId, text: String) -> Op {
    Op::Send(Send {
        room,
        content: Content::plain(text),
        action: false,
    })
}

/// The newest page of a room.
pub(crate) fn page(room: RoomId) -> Op {
    Op::History(chat_core::wire::client::History {
        room,
        from: HistoryFrom::Latest,
        limit: 0,
    })
}
