//! A server's side: its certificate, and connections that are met with it.

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
};

use chat_runtime::Connection;
use rustls::{
    ServerConfig,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, UnbufferedServerConnection},
    sign::CertifiedKey,
};

use crate::{
    ALPN_CHAT, ALPN_HTTP, Chain, TlsConnection, VERSIONS, connection::Session, exporter::Remember,
    provider,
};

/// The TLS of a server; clones have the same certificate.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
}

/// The certificate in force.
#[derive(Debug)]
struct Current(RwLock<Chain>);

impl Current {
    fn chain(&self) -> Chain {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.chain().certified)
    }
}

impl ServerTls {
    /// With this certificate, whatever name a client asks for. Clients show none.
    ///
    /// # Errors
    /// `rustls` has none of the algorithms; not expected.
    pub fn new(chain: Chain) -> io::Result<Self> {
        let current = Arc::new(Current(RwLock::new(chain)));
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(io::Error::other)?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::clone(&current) as Arc<_>);
        config.alpn_protocols = vec![ALPN_HTTP.to_vec(), ALPN_CHAT.to_vec()];
        config.key_log = Arc::new(Remember);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let config = Arc::new(config);
        Ok(Self { config, current })
    }

    /// Has connections from here on met with another certificate. Those that there are go on.
    pub fn replace(&self, chain: Chain) {
        *self
            .current
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = chain;
    }

    /// The certificate in force.
    pub fn chain(&self) -> Chain {
        self.current.chain()
    }

    /// Begins TLS on a connection that a client has opened.
    ///
    /// # Errors
    /// Not expected.
    pub fn begin<S: Connection>(&self, stream: S) -> io::Result<TlsConnection<S>> {
        let session =
            UnbufferedServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        Ok(TlsConnection::new(stream, Session::Server(session)))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
