//! A server's certificate: one that files have, looked at again and again; or one of its own, made
//! at the first start and kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use chat_keyring::private_files;
use chat_transport_tls::{CertificateError, Chain, SelfSigned, ServerTls, Trust};
use serde::{Deserialize, Serialize};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use crate::exit::Failure;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The file, beside the log, of a certificate that was made here, with its key.
const OWN: &str = "certificate.pem";

/// `[tls]` of the configuration: both files, or names, or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TlsConfig {
    /// The file of the certificate and those that vouch for it; none: one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cert: Option<PathBuf>,
    /// The file of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    /// Names for which certificates are had automatically.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) domains: Vec<String>,
    /// The directory of the authority that gives them; none: Let's Encrypt's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acme_directory: Option<String>,
    /// The file of the authorities that vouch for that authority's own server; none: those of the
    /// web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acme_ca: Option<PathBuf>,
}

/// The files of a certificate.
#[derive(Clone, Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// The contents of both files.
type Texts = (Vec<u8>, Vec<u8>);

impl TlsConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.domains.is_empty() && self.cert.is_some() {
            return Err("`tls.cert` and `tls.domains` are both given: say one of them".to_owned());
        }
        if cfg!(not(feature = "acme")) && !self.domains.is_empty() {
            return Err(
                "`tls.domains`: this program was built without automatic certificates".to_owned(),
            );
        }
        match (&self.cert, &self.key) {
            (Some(_), None) => Err("`tls.cert` is given and `tls.key` is not: say both".to_owned()),
            (None, Some(_)) => Err("`tls.key` is given and `tls.cert` is not: say both".to_owned()),
            _ => Ok(()),
        }
    }

    /// The TLS of a server. `folder` is where one's own certificate is kept, if there is one;
    /// without it, it ends with the process. `had` is one that an authority gave. Files that are
    /// named are followed, on the current runtime.
    pub(crate) fn open(
        &self,
        folder: Option<&Path>,
        had: Option<Chain>,
    ) -> Result<ServerTls, Failure> {
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else {
            let chain = had.map_or_else(|| own(folder), Ok)?;
            return ServerTls::new(chain).map_err(no_tls);
        };
        let (cert, key) = (cert.clone(), key.clone());
        let files = Files { cert, key };
        let texts = files.read().map_err(Failure::Usage)?;
        let chain = files.chain(&texts).map_err(Failure::Usage)?;
        let tls = ServerTls::new(chain).map_err(no_tls)?;
        tokio::spawn(follow(files, texts, tls.clone()));
        Ok(tls)
    }
}

pub(crate) fn no_tls(error: io::Error) -> Failure {
    Failure::Fault(format!("there is no TLS: {error}"))
}

impl Files {
    fn read(&self) -> Result<Texts, String> {
        let read = |path: &Path| {
            fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        Ok((read(&self.cert)?, read(&self.key)?))
    }

    fn chain(&self, (cert, key): &Texts) -> Result<Chain, String> {
        Chain::from_pem(cert, key).map_err(|error| {
            let file = match error {
                CertificateError::NoKey => &self.key,
                _ => &self.cert,
            };
            format!("{}: {error}", file.display())
        })
    }
}

/// Has each new content of the files be the certificate from there on. One that is of no use, as
/// while only one of the two is written, is told and waited out.
async fn follow(files: Files, mut known: Texts, tls: ServerTls) {
    let mut told = None;
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let reader = files.clone();
        let Ok(read) = spawn_blocking(move || reader.read()).await else {
            continue;
        };
        let fault = match read {
            Ok(texts) if texts == known => None,
            Ok(texts) => match files.chain(&texts) {
                Ok(chain) => {
                    tls.replace(chain);
                    known = texts;
                    None
                }
                Err(fault) => Some(fault),
            },
            Err(fault) => Some(fault),
        };
        if let Some(fault) = fault.as_ref().filter(|_| told != fault) {
            tracing::warn!("the certificate stays as it was: {fault}");
        }
        told = fault;
    }
}

/// The certificate of one's own that is kept in the folder; a new one if there is none.
fn own(folder: Option<&Path>) -> Result<Chain, Failure> {
    let not_made = |error: CertificateError| Failure::Fault(error.to_string());
    let make = || SelfSigned::new(&["localhost".to_owned()]).map_err(not_made);
    let Some(folder) = folder else {
        return make()?.chain().map_err(not_made);
    };
    let path = folder.join(OWN);
    let fault = |error: &dyn std::fmt::Display| {
        Failure::Fault(format!("certificate {}: {error}", path.display()))
    };
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = make()?;
            keep(&path, made.pem.as_bytes()).map_err(|error| fault(&error))?
        }
        Err(error) => return Err(fault(&error)),
    };
    Chain::from_pem(&text, &text).map_err(|error| fault(&error))
}

/// Another process may have been faster: what is there in the end is what counts.
fn keep(path: &Path, text: &[u8]) -> io::Result<Vec<u8>> {
    match private_files::create(path, text) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read(path),
    }
}

/// The authorities in a file (PEM), whose certificates alone are taken.
pub(crate) fn authorities(path: &Path) -> Result<Trust, Failure> {
    let fault =
        |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", path.display()));
    let pem = fs::read(path).map_err(|error| fault(&error))?;
    Trust::roots_from_pem(&pem).map_err(|error| fault(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_ones_own_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = own(Some(folder)).unwrap();
        let again = own(Some(folder)).unwrap();
        assert!(first.certificates().eq(again.certificates()));
        assert!(first.is_self_signed());
        assert!(!own(None).unwrap().certificates().eq(first.certificates()));
        // Nothing else is left there, and nobody else reads it.
        let files: Vec<_> = fs::read_dir(folder).unwrap().collect();
        assert_eq!(files.len(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.join(OWN)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(folder.join(OWN), "nothing").unwrap();
        let error = own(Some(folder)).unwrap_err().to_string();
        assert!(error.contains(OWN), "{error}");
    }

    #[test]
    fn of_two_at_once_the_first_counts() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let path = folder.join(OWN);
        assert_eq!(keep(&path, b"one").unwrap(), b"one");
        assert_eq!(keep(&path, b"other").unwrap(), b"one");
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_change_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("both.pem");
        let made = |name: &str| SelfSigned::new(&[name.to_owned()]).unwrap().pem;
        fs::write(&path, made("one.example.org")).unwrap();
        let config = TlsConfig {
            cert: Some(path.clone()),
            key: Some(path.clone()),
            ..TlsConfig::default()
        };
        let tls = config.open(None, None).unwrap();
        let is = |pem: &str| {
            let chain = Chain::from_pem(pem.as_bytes(), pem.as_bytes()).unwrap();
            tls.chain().certificates().eq(chain.certificates())
        };
        let first = fs::read_to_string(&path).unwrap();
        assert!(is(&first));
        // Half of it is none.
        let second = made("two.example.org");
        for (text, expected) in [(&second[..100], &first), (&second, &second)] {
            fs::write(&path, text).unwrap();
            for _ in 0..100 {
                tokio::time::sleep(LOOK_EVERY).await;
                if is(&second) {
                    break;
                }
            }
            assert!(is(expected));
        }
        let missing = TlsConfig {
            cert: Some(folder.path().join("nowhere")),
            key: Some(path),
            ..TlsConfig::default()
        };
        assert!(missing.open(None, None).is_err());
    }
}
