//! Certificates and their keys: read, checked, and made.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

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

    /// From when to when its first certificate is valid; none if that cannot be read.
    pub fn validity(&self) -> Option<(SystemTime, SystemTime)> {
        validity(self.certified.cert.first()?)
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
        let (key, mut params) = key_for(names)?;
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

/// A new key, and the request for a certificate of it (PKCS #10).
#[derive(Debug)]
pub struct CertificateRequest {
    /// The key, in PEM: secret.
    pub key: String,
    /// The request, in DER.
    pub der: Vec<u8>,
}

impl CertificateRequest {
    /// A new key (P-256) and a request for these names.
    ///
    /// # Errors
    /// The system gives no randomness, or a name is none.
    pub fn new(names: &[String]) -> Result<Self, CertificateError> {
        let (pair, params) = key_for(names)?;
        let request = params.serialize_request(&pair).map_err(not_made)?;
        let mut key = String::new();
        block(&mut key, "PRIVATE KEY", &pair.serialize_der());
        let der = request.der().to_vec();
        Ok(Self { key, der })
    }
}

fn not_made(error: rcgen::Error) -> CertificateError {
    CertificateError::NotMade(error.to_string())
}

/// A new key (P-256), and a certificate for these names as it begins: of nobody by name.
fn key_for(
    names: &[String],
) -> Result<(rcgen::KeyPair, rcgen::CertificateParams), CertificateError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(not_made)?;
    let mut params = rcgen::CertificateParams::new(names.to_vec()).map_err(not_made)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok((key, params))
}

/// The fields of a certificate (RFC 5280 §4.1) before its validity: version, serial number,
/// algorithm, issuer.
fn validity(certificate: &[u8]) -> Option<(SystemTime, SystemTime)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate, Some(SEQUENCE))?;
    let (_, mut fields, _) = element(certificate, Some(SEQUENCE))?;
    if let Some((_, _, rest)) = element(fields, Some(VERSION)) {
        fields = rest;
    }
    for _ in 0..3 {
        (_, _, fields) = element(fields, None)?;
    }
    let (_, both, _) = element(fields, Some(SEQUENCE))?;
    let (from, text, rest) = element(both, None)?;
    let (until, last, _) = element(rest, None)?;
    Some((time(from, text)?, time(until, last)?))
}

/// The first element of DER: its tag, its content, and what is behind it.
fn element(der: &[u8], tag: Option<u8>) -> Option<(u8, &[u8], &[u8])> {
    let (&[found, short], mut rest) = der.split_first_chunk()?;
    if tag.is_some_and(|tag| tag != found) {
        return None;
    }
    let mut length = usize::from(short);
    if short & 0x80 != 0 {
        let (bytes, behind) = rest.split_at_checked(usize::from(short & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        length = bytes
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = behind;
    }
    let (content, behind) = rest.split_at_checked(length)?;
    Some((found, content, behind))
}

/// A `UTCTime` (of 1950 to 2049) or a `GeneralizedTime`, as certificates have them: with seconds,
/// and in UTC.
fn time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    const UTC: u8 = 0x17;
    const GENERALIZED: u8 = 0x18;
    let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (tag, text.len()) {
        (UTC, 12) => {
            let year: u64 = text[..2].parse().ok()?;
            (
                if year < 50 {
                    2_000 + year
                } else {
                    1_900 + year
                },
                &text[2..],
            )
        }
        (GENERALIZED, 14) => (text[..4].parse().ok()?, &text[4..]),
        _ => return None,
    };
    let part = |at: usize| rest[at..at + 2].parse::<u64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    if year < 1_970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970, with years that begin in March.
    let shifted = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + of_year - 719_468;
    let seconds = days * 86_400 + part(4)? * 3_600 + part(6)? * 60 + part(8)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_certificates_are_read() {
        let seconds = |tag, text: &str| {
            let since = time(tag, text.as_bytes())?.duration_since(UNIX_EPOCH);
            since.ok().map(|since| since.as_secs())
        };
        for (tag, text, expected) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "000229235959Z", Some(951_868_799)),
            (0x17, "491231235959Z", Some(2_524_607_999)),
            (0x18, "20500101000000Z", Some(2_524_608_000)),
            (0x18, "99991231235959Z", Some(253_402_300_799)),
            (0x17, "20500101000000Z", None),
            (0x18, "20501301000000Z", None),
            (0x18, "2050010100000Z", None),
            (0x17, "7001010000+0Z", None),
        ] {
            assert_eq!(seconds(tag, text), expected, "{text}");
        }
    }

    #[test]
    fn a_certificate_says_how_long_it_is_valid() {
        let own = SelfSigned::new(&["localhost".to_owned()]).unwrap();
        let (from, until) = own.chain().unwrap().validity().unwrap();
        let now = SystemTime::now();
        assert!(from < now && now < until);
        assert_eq!(validity(b"no certificate"), None);
        let whole = own.chain().unwrap();
        let der = whole.certificates().next().unwrap();
        for end in 0..der.len().min(200) {
            assert_eq!(validity(&der[..end]), None);
        }
    }

    #[test]
    fn a_request_is_of_its_key() {
        let request = CertificateRequest::new(&["chat.example.org".to_owned()]).unwrap();
        assert!(request.key.starts_with("-----BEGIN PRIVATE KEY-----"));
        let name = b"chat.example.org";
        assert!(request.der.windows(name.len()).any(|part| part == name));
        assert!(CertificateRequest::new(&["\u{e9}".to_owned()]).is_err());
    }
}
