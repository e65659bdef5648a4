//! The client's side of a Unix socket.

use std::{io, path::PathBuf};

use async_trait::async_trait;
use chat_runtime::{Connection, Connector};

/// Connects to a Unix socket on this machine. Where there are none, it says so.
#[derive(Clone, Debug)]
pub struct UnixConnector {
    path: PathBuf,
}

impl UnixConnector {
    /// To the socket of this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

#[async_trait]
impl Connector for UnixConnector {
    #[cfg(unix)]
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        use std::os::fd::OwnedFd;
        let stream = tokio::net::UnixStream::connect(&self.path).await?;
        let socket = OwnedFd::from(stream.into_std()?).into();
        let connection = chat_transport_tcp::TcpConnection::of_socket(socket, None);
        Ok(Box::new(connection))
    }

    #[cfg(not(unix))]
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn audience(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}
