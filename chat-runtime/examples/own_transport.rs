//! A transport of one's own, over anything that is `AsyncRead` and `AsyncWrite`: here tokio's in-memory pipe. It reads ahead in
//! `poll_ready` and writes behind in `poll_flush`. Sockets that know when they are ready need neither: see `chat-transport-tcp`.

use std::{
    io::{self, ErrorKind, IoSlice},
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use chat_runtime::{
    Client, Connection, Connector, Interest, Server, Transport,
    chat_core::{
        hub::Framing,
        wire::{CloseReason, Form, client::RoomRef},
    },
    client_config,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    sync::mpsc,
};

struct Piped {
    stream: DuplexStream,
    ahead: Vec<u8>,
    ended: bool,
    behind: Vec<u8>,
}

impl Connection for Piped {
    fn poll_ready(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        if interest == Interest::Write {
            return self.poll_flush(cx);
        }
        if self.ahead.is_empty() && !self.ended {
            let mut buffer = [0; 4_096];
            let mut read = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            self.ahead.extend_from_slice(read.filled());
            self.ended = self.ahead.is_empty();
        }
        Poll::Ready(Ok(()))
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.ahead.is_empty() {
            return if self.ended { Ok(None) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let read = buffer.len().min(self.ahead.len());
        buffer[..read].copy_from_slice(&self.ahead[..read]);
        self.ahead.drain(..read);
        Ok(Some(read))
    }

    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.behind.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let first = pieces.first().map_or(&[][..], |piece| piece);
        self.behind.extend_from_slice(first);
        Ok(first.len())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.behind.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.behind))?;
            self.behind.drain(..written);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _reason: Option<CloseReason>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn framing(&self) -> Framing {
        Framing::Stream
    }

    fn form(&self) -> Form {
        Form::Postcard
    }

    fn address(&self) -> Option<IpAddr> {
        None
    }
}

struct Pipes(mpsc::Receiver<DuplexStream>);
struct Plumber(mpsc::Sender<DuplexStream>);

fn boxed(stream: DuplexStream) -> Box<dyn Connection> {
    Box::new(Piped { stream, ahead: vec![], ended: false, behind: vec![] })
}

#[async_trait]
impl Transport for Pipes {
    async fn accept(&mut self) -> io::Result<Box<dyn Connection>> {
        self.0.recv().await.map(boxed).ok_or_else(|| ErrorKind::BrokenPipe.into())
    }
}

#[async_trait]
impl Connector for Plumber {
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        let (near, far) = duplex(1_024);
        self.0.send(far).await.map_err(|_| ErrorKind::ConnectionRefused)?;
        Ok(boxed(near))
    }
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (sender, receiver) = mpsc::channel(16);
    let server = Server::builder().listen(Pipes(receiver)).start()?;
    let (client, _events) = Client::connect(Plumber(sender), client_config("adina")?);
    let lobby = client.join(RoomRef::Lobby).await?;
    client.send(lobby.room, "hello through a pipe").await?;
    client.close().await;
    server.shutdown(false).await;
    Ok(())
}
