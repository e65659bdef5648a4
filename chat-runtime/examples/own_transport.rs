//! A transport of one's own, over anything that is `AsyncRead` and `AsyncWrite` (here tokio's
//! in-memory pipe): it reads ahead in `poll_ready` and writes behind in `poll_flush`. What knows
//! when it is ready needs neither: `chat-transport-tcp`.

use std::io::ErrorKind::{BrokenPipe, ConnectionRefused, WouldBlock};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use chat_runtime::chat_core::wire::{CloseReason, client::RoomRef};
use chat_runtime::{Client, Connection, Connector, Interest, Server, Transport, client_config};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc::{Receiver, Sender, channel};

struct Piped {
    stream: DuplexStream,
    ahead: Option<Vec<u8>>,
    behind: Vec<u8>,
}

impl Connection for Piped {
    fn poll_ready(&mut self, cx: &mut Context<'_>, what: Interest) -> Poll<io::Result<()>> {
        if what == Interest::Write {
            return self.poll_flush(cx);
        }
        if self.ahead.is_none() {
            let mut buffer = [0; 4_096];
            let mut read = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            self.ahead = Some(read.filled().to_vec());
        }
        Poll::Ready(Ok(()))
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut ahead = self.ahead.take().ok_or(WouldBlock)?;
        let read = buffer.len().min(ahead.len());
        buffer[..read].copy_from_slice(&ahead[..read]);
        ahead.drain(..read);
        self.ahead = Some(ahead).filter(|ahead| !ahead.is_empty());
        Ok(Some(read).filter(|read| *read > 0))
    }

    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.behind.is_empty() {
            return Err(WouldBlock.into());
        }
        self.behind.extend_from_slice(&pieces[0]);
        Ok(pieces[0].len())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.behind.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.behind))?;
            self.behind.drain(..written);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context, _: Option<CloseReason>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

struct Pipes(Receiver<Piped>);
struct Plumber(Sender<Piped>);

#[async_trait]
impl Transport for Pipes {
    async fn accept(&mut self) -> io::Result<Box<dyn Connection>> {
        Ok(Box::new(self.0.recv().await.ok_or(BrokenPipe)?))
    }
}

#[async_trait]
impl Connector for Plumber {
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        let (near, far) = duplex(1_024);
        let piped = |stream| Piped {
            stream,
            ahead: None,
            behind: vec![],
        };
        self.0.send(piped(far)).await.or(Err(ConnectionRefused))?;
        Ok(Box::new(piped(near)))
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (sender, receiver) = channel(16);
    let server = Server::builder().listen(Pipes(receiver)).start()?;
    let (client, _events) = Client::connect(Plumber(sender), client_config("adina")?);
    let lobby = client.join(RoomRef::Lobby).await?;
    client.send(lobby.room, "hello through a pipe").await?;
    server.stop().await;
    Ok(())
}
