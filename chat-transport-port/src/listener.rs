//! Where connections come from: a TCP address or a Unix socket.

use std::{
    fmt, io,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
};

use chat_transport_tcp::TcpTransport;

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpTransport),
    #[cfg(unix)]
    Unix(unix::Listener),
}

/// Where a port listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a TCP address.
    Tcp(SocketAddr),
    /// At a Unix socket of this path.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listener {
    pub(crate) fn bind(place: &Place) -> io::Result<Self> {
        match place {
            Place::Tcp(address) => TcpTransport::bind(*address).map(Self::Tcp),
            #[cfg(unix)]
            Place::Unix(path) => unix::Listener::bind(path).map(Self::Unix),
            #[cfg(not(unix))]
            Place::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Where it listens, with the real port.
    pub(crate) fn place(&self) -> io::Result<Place> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Place::Tcp),
            #[cfg(unix)]
            Self::Unix(listener) => Ok(Place::Unix(listener.path.clone())),
        }
    }

    /// The next socket, which does not block; no address: it is a Unix socket, which is read and
    /// written in the same way. May be cancelled: nothing is lost by that.
    pub(crate) async fn accept(&mut self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, peer) = listener.accept_socket().await?;
                Ok((socket, Some(peer)))
            }
            #[cfg(unix)]
            Self::Unix(listener) => Ok((listener.accept().await?, None)),
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::{
        fs, io,
        net::TcpStream,
        os::{
            fd::OwnedFd,
            unix::{fs::FileTypeExt, net::UnixStream},
        },
        path::{Path, PathBuf},
    };

    use tokio::net::UnixListener;

    /// Its socket file ends with it.
    #[derive(Debug)]
    pub(crate) struct Listener {
        socket: UnixListener,
        pub(super) path: PathBuf,
    }

    impl Listener {
        /// A file that a server left behind which is gone is replaced.
        pub(super) fn bind(path: &Path) -> io::Result<Self> {
            let socket = match UnixListener::bind(path) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
                    fs::remove_file(path)?;
                    UnixListener::bind(path)
                }
                bound => bound,
            }?;
            let path = path.to_owned();
            Ok(Self { socket, path })
        }

        pub(super) async fn accept(&mut self) -> io::Result<TcpStream> {
            let (stream, _) = self.socket.accept().await?;
            Ok(OwnedFd::from(stream.into_std()?).into())
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            // The file may be gone already, and nothing depends on it.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Whether it is a socket that nobody listens at.
    fn is_left_behind(path: &Path) -> bool {
        let socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        socket && UnixStream::connect(path).is_err_and(refused)
    }
}
