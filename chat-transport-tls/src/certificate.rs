//! Certificates and their keys: read, checked, and made.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};

use crate::provider;

/// A chain of certificates, the server's or client's own first, with its key.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(crate) certified: Arc<CertifiedKey>,
    self_signed: bool,
}

/// A certificate that was made here, as text to be kept.
#[derive(Debug)]
pub struct SelfSigned {
    /// The key and the certificate, in PEM: secret.
    pub pem: String,
}

/// A certificate or a key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The text has no certificate in it.
    #[error("there is no certificate in it (PEM)")]
    NoCertificate,
    /// The text has no key in it.
    #[error("there is no private key in it (PEM)")]
    NoKey,
    /// They are there and of no use: malformed, of a kind that is not known, or not of one another.
    #[error("{0}")]
    Unusable(String),
    /// None could be made.
    #[error("no certificate can be made: {0}")]
    NotMade(String),
}

impl Chain {
    /// Of texts in PEM; both may be the same one.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let unusable = |error: Error| CertificateError::Unusable(error.to_string());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| CertificateError::Unusable(error.to_string()))?;
        let Some(first) = chain.first().cloned() else {
            return Err(CertificateError::NoCertificate);
        };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
        let alone = chain.len() == 1;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(unusable)?;
        Ok(Self {
            certified: Arc::new(certified),
            self_signed: alone && is_self_signed(&first),
        })
    }

    /// Whether it vouches for itself alone, so that no browser takes it without asking.
    pub fn is_self_signed(&self) -> bool {
        self.self_signed
    }

    /// The certificates, in DER.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.certified.cert.iter().map(AsRef::as_ref)
    }
}

impl SelfSigned {
    /// A new key (P-256) and its certificate for these names and addresses.
    ///
    /// # Errors
    /// The system gives no randomness, or a name is none.
    pub fn new(names: &[String]) -> Result<Self, CertificateError> {
        let not_made = |error: rcgen::Error| CertificateError::NotMade(error.to_string());
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(not_made)?;
        let mut params = rcgen::CertificateParams::new(names.to_vec()).map_err(not_made)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = "a chat's own certificate";
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).map_err(not_made)?;
        let mut pem = String::new();
        block(&mut pem, "PRIVATE KEY", &key.serialize_der());
        block(&mut pem, "CERTIFICATE", certificate.der());
        Ok(Self { pem })
    }

    /// As a chain.
    ///
    /// # Errors
    /// Not expected.
    pub fn chain(&self) -> Result<Chain, CertificateError> {
        Chain::from_pem(self.pem.as_bytes(), self.pem.as_bytes())
    }
}

/// Appends a block of PEM (RFC 7468).
fn block(pem: &mut String, label: &str, der: &[u8]) {
    pem.push_str(&format!("-----BEGIN {label}-----\n"));
    let text = STANDARD.encode(der);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
}

/// Whether a certificate is signed by its own key: it then is an issuer that is known if it is the
/// only root there is.
fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    let mut itself = RootCertStore::empty();
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
        return true;
    };
    if itself.add(certificate.clone().into_owned()).is_err() {
        return true;
    }
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms.all;
    let now = UnixTime::now();
    let verified =
        verify_server_cert_signed_by_trust_anchor(&parsed, &itself, &[], now, algorithms);
    !matches!(
        verified,
        Err(Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer
        ))
    )
}
