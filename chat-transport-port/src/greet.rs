//! The beginning of a connection: whom it is from, what it speaks, and whether it may do so here.

use std::{
    future::poll_fn,
    io::{self, ErrorKind, IoSlice},
    net::{SocketAddr, TcpStream as Socket},
    sync::Arc,
};

use chat_core::{
    hub::Framing,
    wire::{CloseReason, ServerMessage, server::Closing},
};
use chat_runtime::{Connection, Interest};
use chat_transport_tcp::TcpConnection;
use chat_transport_ws::Caller;
use tokio::{
    net::TcpStream,
    time::{Duration, Instant, sleep, timeout, timeout_at},
};

use crate::{
    http,
    options::PortOptions,
    places::Progress,
    plaintext::Reach,
    proxy_header::{self, Header},
};

/// How long the end of a connection may take that was refused in words.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often the rest of a proxy's header is looked for, of which a part has come.
const HEADER_REST: Duration = Duration::from_millis(20);

/// The language of a connection, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    /// The first byte of a record of its handshake.
    Tls,
    Http,
    Lines,
    Frames,
}

impl Speech {
    fn of(first: u8) -> Self {
        match first {
            0x16 => Self::Tls,
            b'{' => Self::Lines,
            byte if byte.is_ascii_alphabetic() => Self::Http,
            // The first byte of a length.
            _ => Self::Frames,
        }
    }
}

/// Where a connection is from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    caller: Caller,
    reach: Reach,
}

impl Origin {
    fn of(socket: &Socket, peer: Option<SocketAddr>, options: &PortOptions) -> Self {
        let mut caller = Caller::at(peer.map(|peer| peer.ip()), &options.ws);
        caller.proxy |= peer.is_none() && options.trusts_unix;
        let local = peer.and_then(|_| socket.local_addr().ok());
        let reach = Reach::of(caller.peer, local.map(|local| local.ip()));
        Self { caller, reach }
    }

    fn may_be_plain(&self, options: &PortOptions) -> bool {
        options.plaintext.allows(self.reach)
    }
}

/// The connection, if what it is can be said at once: its first byte is there, it speaks frames or
/// lines, and may do so. Otherwise the socket.
pub(crate) fn at_once(
    socket: Socket,
    peer: Option<SocketAddr>,
    options: &PortOptions,
) -> Result<TcpConnection, Socket> {
    let mut first = [0];
    let speech = match socket.peek(&mut first) {
        Ok(1) => Speech::of(first[0]),
        _ => return Err(socket),
    };
    let framing = match speech {
        Speech::Frames => Framing::Stream,
        Speech::Lines => Framing::Lines,
        Speech::Http | Speech::Tls => return Err(socket),
    };
    if Origin::of(&socket, peer, options).may_be_plain(options) {
        let peer = peer.map(|peer| peer.ip());
        Ok(bare(socket, peer, framing))
    } else {
        Err(socket)
    }
}

fn bare(socket: Socket, peer: Option<std::net::IpAddr>, framing: Framing) -> TcpConnection {
    let connection = TcpConnection::of_socket(socket, peer);
    if framing == Framing::Lines {
        connection.lines()
    } else {
        connection
    }
}

/// Finds out what a connection speaks, and shakes hands. None: it is over.
pub(crate) async fn greet(
    socket: Socket,
    peer: Option<SocketAddr>,
    progress: &Arc<Progress>,
    options: &PortOptions,
) -> Option<Box<dyn Connection>> {
    let deadline = Instant::now() + options.handshake;
    let mut origin = Origin::of(&socket, peer, options);
    let stream = TcpStream::from_std(socket).ok()?;
    let first = async {
        if origin.caller.proxy {
            read_header(&stream, &mut origin, options).await?;
        }
        let mut first = [0];
        let peeked = stream.peek(&mut first).await?;
        Ok::<_, io::Error>((peeked == 1).then_some(first[0]))
    };
    let first = timeout_at(deadline, first).await.ok()?.ok()??;
    let socket = stream.into_std().ok()?;
    let peer = origin.caller.peer;
    let connection = |framing| bare(socket, peer, framing);
    let framing = match Speech::of(first) {
        Speech::Tls => {
            let encrypted = encrypted(connection(Framing::Stream), origin, progress, options);
            return timeout_at(deadline, encrypted).await.ok()?;
        }
        Speech::Http => {
            let connection = connection(Framing::Stream);
            return browse(connection, origin, progress, options).await;
        }
        Speech::Frames => Framing::Stream,
        Speech::Lines => Framing::Lines,
    };
    let connection = connection(framing);
    if origin.may_be_plain(options) {
        return Some(Box::new(connection));
    }
    // However it ends, it is the end.
    let _ = timeout(FAREWELL, refuse(connection)).await;
    None
}

/// The WebSocket that HTTP on a connection leads to, if it does.
async fn browse<C: Connection + Unpin>(
    connection: C,
    origin: Origin,
    progress: &Arc<Progress>,
    options: &PortOptions,
) -> Option<Box<dyn Connection>> {
    let (caller, reach) = (origin.caller, origin.reach);
    let http = http::serve(connection, caller, reach, progress, options);
    // The future is large, and most connections are none of these.
    let connection = Box::pin(http).await?;
    Some(Box::new(connection))
}

/// Shakes hands over TLS, and finds out what the connection speaks inside.
#[cfg(feature = "tls")]
async fn encrypted(
    connection: TcpConnection,
    mut origin: Origin,
    progress: &Arc<Progress>,
    options: &PortOptions,
) -> Option<Box<dyn Connection>> {
    let mut connection = options.tls.as_ref()?.begin(connection).ok()?;
    let first = async {
        connection.shake_hands().await?;
        connection.first_byte().await
    };
    let first = match first.await {
        Ok(first) => first?,
        Err(error) => {
            tracing::debug!(peer = ?origin.caller.peer, %error, "no TLS");
            return None;
        }
    };
    origin.caller.encrypted = true;
    match Speech::of(first) {
        Speech::Tls => None,
        Speech::Http => browse(connection, origin, progress, options).await,
        Speech::Lines => Some(Box::new(connection.lines())),
        Speech::Frames => Some(Box::new(connection)),
    }
}

/// There is no TLS here.
#[cfg(not(feature = "tls"))]
async fn encrypted(
    _connection: TcpConnection,
    _origin: Origin,
    _progress: &Arc<Progress>,
    _options: &PortOptions,
) -> Option<Box<dyn Connection>> {
    None
}

/// Takes in the header of the PROXY protocol, if there is one.
async fn read_header(
    stream: &TcpStream,
    origin: &mut Origin,
    options: &PortOptions,
) -> io::Result<()> {
    let mut first = [0; proxy_header::LONGEST];
    loop {
        let peeked = stream.peek(&mut first).await?;
        match proxy_header::parse(&first[..peeked]) {
            Header::None => return Ok(()),
            Header::Malformed => return Err(ErrorKind::InvalidData.into()),
            Header::Begun if peeked == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            // The socket is readable all the time.
            Header::Begun => sleep(HEADER_REST).await,
            Header::Whole { bytes, client } => {
                // They were there when they were looked at.
                if stream.try_read(&mut first[..bytes])? < bytes {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                if let Some(client) = client {
                    origin.caller = Caller::at(Some(client), &options.ws);
                    origin.reach = Reach::of(Some(client), None);
                }
                return Ok(());
            }
        }
    }
}

/// Says in its own words that a connection has to be encrypted, and ends it.
async fn refuse(mut connection: TcpConnection) -> io::Result<()> {
    let reason = CloseReason::TlsRequired;
    let closing = ServerMessage::Closing(Closing {
        reason,
        reconnect: reason.reconnect(),
        retry_after: None,
        text: "this server is reached over TLS from here".to_owned(),
    });
    let frame = connection.form().encode(&closing);
    let bytes = frame.in_framing(connection.framing());
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        poll_fn(|cx| connection.poll_ready(cx, Interest::Write)).await?;
        match connection.try_write_vectored(&[IoSlice::new(rest)]) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    poll_fn(|cx| connection.poll_close(cx, Some(reason))).await?;
    // Bytes that are unread at the end would have the system cut the connection off, and the
    // words be lost.
    let mut unread = [0; 1_024];
    loop {
        poll_fn(|cx| connection.poll_ready(cx, Interest::Read)).await?;
        match connection.try_read(&mut unread) {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
