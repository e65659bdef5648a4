//! A client's side: whom it trusts, what it shows, and how it connects.

use std::{fmt, io, sync::Arc};

use async_trait::async_trait;
use chat_runtime::{Connection, Connector};
use chat_transport_tcp::{TcpConnection, TcpConnector};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, UnbufferedClientConnection, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    sign::SingleCertAndKey,
};
use tokio::time::{Duration, timeout};

use crate::{
    ALPN_CHAT, CertificateError, Chain, TlsConnection, VERSIONS, connection::Session,
    exporter::Remember, provider,
};

/// How long connecting may take in all.
const IN_ALL: Duration = Duration::from_secs(10);

/// Which certificates of servers a client takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Trust {
    /// Those that an authority of the web vouches for, for the host's name.
    WebRoots,
    /// Those that one of these vouches for, for the host's name: certificates in DER, of
    /// authorities of one's own.
    Roots(Vec<Vec<u8>>),
    /// Any: listeners on the way read nothing, and a server in the middle is not noticed here. For
    /// clients to whom the server proves its key above TLS, bound to this connection by its
    /// [`channel_binding`](Connection::channel_binding), or that want no more than that.
    AnyCertificate,
}

impl Trust {
    /// Authorities of one's own, from a text in PEM.
    ///
    /// # Errors
    /// There is none in it, or one is malformed.
    pub fn roots_from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let unusable = |error: &dyn fmt::Display| CertificateError::Unusable(error.to_string());
        let mut roots = Vec::new();
        for root in CertificateDer::pem_slice_iter(pem) {
            roots.push(root.map_err(|error| unusable(&error))?.to_vec());
        }
        if roots.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        store(&roots).map_err(|error| unusable(&error))?;
        Ok(Self::Roots(roots))
    }
}

fn store(roots: &[Vec<u8>]) -> Result<RootCertStore, rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.clone()))?;
    }
    Ok(store)
}

/// The TLS of a client.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// With a certificate of its own to show where a server asks for one, or without.
    ///
    /// # Errors
    /// A root is malformed; `rustls` has none of the algorithms, which is not expected.
    pub fn new(trust: Trust, own: Option<&Chain>) -> io::Result<Self> {
        let provider = provider();
        let roots = match trust {
            Trust::AnyCertificate => None,
            Trust::WebRoots => Some(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
            Trust::Roots(roots) => Some(store(&roots).map_err(io::Error::other)?),
        };
        let verifier: Arc<dyn ServerCertVerifier> = match roots {
            None => Arc::new(Any(Arc::clone(&provider))),
            Some(roots) => {
                let (roots, provider) = (Arc::new(roots), Arc::clone(&provider));
                let builder = WebPkiServerVerifier::builder_with_provider(roots, provider);
                builder.build().map_err(io::Error::other)?
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match own {
            None => config.with_no_client_auth(),
            Some(own) => {
                let own = SingleCertAndKey::from(Arc::clone(&own.certified));
                config.with_client_cert_resolver(Arc::new(own))
            }
        };
        config.key_log = Arc::new(Remember);
        config.resumption = Resumption::disabled();
        let config = Arc::new(config);
        Ok(Self { config })
    }

    /// Shakes hands on a connection to this host (a name or an address, without brackets), for this
    /// protocol. It may take as long as the server pleases.
    ///
    /// # Errors
    /// The host is neither; the server speaks no TLS 1.3; its certificate is not taken; the
    /// connection's.
    pub async fn open<S: Connection>(
        &self,
        stream: S,
        host: &str,
        protocol: &[u8],
    ) -> io::Result<TlsConnection<S>> {
        // An interface is this machine's business.
        let host = host.split('%').next().unwrap_or(host).to_owned();
        let name = ServerName::try_from(host)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (config, protocols) = (Arc::clone(&self.config), vec![protocol.to_vec()]);
        let session = UnbufferedClientConnection::new_with_alpn(config, name, protocols)
            .map_err(io::Error::other)?;
        let mut connection = TlsConnection::new(stream, Session::Client(session));
        connection.shake_hands().await?;
        Ok(connection)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

/// Takes any certificate whose key the server has.
#[derive(Debug)]
struct Any(Arc<CryptoProvider>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Connects to a host and port over TLS, for frames.
#[derive(Clone, Debug)]
pub struct TlsConnector {
    tcp: TcpConnector,
    tls: ClientTls,
}

impl TlsConnector {
    /// To this host and port, with this TLS.
    pub fn new(tcp: TcpConnector, tls: ClientTls) -> Self {
        Self { tcp, tls }
    }

    /// Connects, and gives the connection as it is.
    ///
    /// # Errors
    /// The system's, and those of [`ClientTls::open`]; `TimedOut` after 10 s.
    pub async fn open(&self) -> io::Result<TlsConnection<TcpConnection>> {
        let connect = async {
            let (stream, peer) = self.tcp.open().await?;
            let stream = TcpConnection::new(stream, peer);
            self.tls.open(stream, self.tcp.host(), ALPN_CHAT).await
        };
        timeout(IN_ALL, connect)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
    }
}

#[async_trait]
impl Connector for TlsConnector {
    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        Ok(Box::new(self.open().await?))
    }
}
