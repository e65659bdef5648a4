#![doc = include_str!("../README.md")]

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use chat_keyring::private_files;
use chat_transport_tcp::{TcpConnection, TcpConnector};
use chat_transport_tls::{ALPN_HTTP, CertificateRequest, Chain, ClientTls, ServerTls, Trust};
use chat_transport_ws::Streamed;
use http::{Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType,
    HttpClient, Identifier, LetsEncrypt, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

/// In the data folder: the certificate with its key, and the account at the authority.
const CERTIFICATE: &str = "acme-certificate.pem";
const ACCOUNT: &str = "acme-account.json";

/// Begins the first line of the certificate's file, which names what it is for.
const NAMES: &str = "# ";

/// Where an authority asks.
const ASKED: &str = "/.well-known/acme-challenge/";

/// Time for one request to the authority, and bytes of its answer.
const REQUEST: Duration = Duration::from_secs(60);
const ANSWER: usize = 1 << 20;

/// How long an authority may take to look, and to make a certificate.
const LOOKING: Duration = Duration::from_secs(120);

/// A try that failed is followed by another one after the first of these, then after twice the
/// time, at most after the second.
const SOON: Duration = Duration::from_secs(60);
const LATE: Duration = Duration::from_secs(6 * 3_600);

/// How often a certificate is looked at that is fresh: the machine may have slept.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// The words that an authority has given, by what it asks for.
#[derive(Clone, Debug, Default)]
pub struct Challenges(Arc<Mutex<BTreeMap<String, String>>>);

impl Challenges {
    /// The answer to an authority's question; none to any other request.
    pub fn answer(&self, request: &Parts) -> Option<Response<Bytes>> {
        let token = request.uri.path().strip_prefix(ASKED)?;
        Some(Response::new(Bytes::from(self.words().get(token)?.clone())))
    }

    fn put(&self, token: String, word: String) {
        self.words().insert(token, word);
    }

    fn clear(&self) {
        self.words().clear();
    }

    fn words(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The certificates of some names.
#[derive(Debug)]
pub struct Acme {
    domains: Vec<String>,
    directory: String,
    http: Http,
    folder: PathBuf,
    challenges: Challenges,
}

/// The account, as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptAccount {
    directory: String,
    credentials: AccountCredentials,
}

impl Acme {
    /// For these names, of the authority whose directory is at this URL: without one, Let's
    /// Encrypt's. `trust` says which authorities vouch for that one's own server. Certificate and
    /// account are kept in the folder.
    ///
    /// # Errors
    /// There is no TLS.
    pub fn new(
        domains: &[String],
        directory: Option<String>,
        trust: Trust,
        folder: &Path,
    ) -> io::Result<Self> {
        let default = || LetsEncrypt::Production.url().to_owned();
        Ok(Self {
            domains: domains.iter().map(|name| name.to_lowercase()).collect(),
            directory: directory.unwrap_or_else(default),
            http: Http {
                tls: ClientTls::new(trust, None)?,
            },
            folder: folder.to_owned(),
            challenges: Challenges::default(),
        })
    }

    /// The words that the authority asks for, to be answered on port 80.
    pub fn challenges(&self) -> Challenges {
        self.challenges.clone()
    }

    /// The certificate that is kept, if it is for these names and not over.
    pub fn kept(&self) -> Option<Chain> {
        let text = fs::read_to_string(self.folder.join(CERTIFICATE)).ok()?;
        if text.lines().next()? != self.names() {
            return None;
        }
        let chain = Chain::from_pem(text.as_bytes(), text.as_bytes()).ok()?;
        let (_, until) = chain.validity()?;
        (SystemTime::now() < until).then_some(chain)
    }

    fn names(&self) -> String {
        format!("{NAMES}{}", self.domains.join(" "))
    }

    /// Has certificates, and puts each in the place of the one before, for good.
    pub async fn run(self, tls: ServerTls) {
        let this = Arc::new(self);
        let names = this.domains.join(", ");
        let (kept, have) = (Arc::clone(&this), || {
            let this = Arc::clone(&this);
            async move {
                let had = this.have().await;
                this.challenges.clear();
                had
            }
        });
        let put = |chain| {
            tls.replace(chain);
        };
        renew(&names, SystemTime::now, || kept.kept(), have, put).await;
    }

    /// Has a new certificate, which is kept if it can be.
    async fn have(&self) -> Result<Chain, String> {
        let said = |error: instant_acme::Error| error.to_string();
        let account = self.account().await?;
        let names: Vec<_> = self.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account
            .new_order(&NewOrder::new(&names))
            .await
            .map_err(said)?;
        self.show(&mut order).await?;
        let patience = RetryPolicy::default().timeout(LOOKING);
        let status = order.poll_ready(&patience).await.map_err(said)?;
        if status != OrderStatus::Ready {
            return Err(why_not(&mut order).await);
        }
        let request = CertificateRequest::new(&self.domains).map_err(|error| error.to_string())?;
        order.finalize_csr(&request.der).await.map_err(said)?;
        let chain = order.poll_certificate(&patience).await.map_err(said)?;
        let text = format!("{}\n{}{chain}", self.names(), request.key);
        let made = Chain::from_pem(text.as_bytes(), text.as_bytes());
        let made = made.map_err(|error| format!("the certificate is of no use: {error}"))?;
        if let Err(why) = self.keep(CERTIFICATE, text.as_bytes()) {
            tracing::warn!(
                "the certificate for {} is not kept: {why}",
                self.domains.join(", ")
            );
        }
        Ok(made)
    }

    /// Shows what the authority asks for, and has it look.
    async fn show(&self, order: &mut Order) -> Result<(), String> {
        let said = |error: instant_acme::Error| error.to_string();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(said)?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let challenge = authorization.challenge(ChallengeType::Http01);
            let mut challenge = challenge.ok_or("the authority does not ask over HTTP")?;
            let word = challenge.key_authorization().as_str().to_owned();
            self.challenges.put(challenge.token.clone(), word);
            challenge.set_ready().await.map_err(said)?;
        }
        Ok(())
    }

    /// The account at this authority that is kept, or a new one.
    async fn account(&self) -> Result<Account, String> {
        let said = |error: instant_acme::Error| error.to_string();
        let builder = Account::builder_with_http(Box::new(self.http.clone()));
        let kept = fs::read(self.folder.join(ACCOUNT)).ok();
        let kept = kept.and_then(|text| serde_json::from_slice::<KeptAccount>(&text).ok());
        if let Some(kept) = kept.filter(|kept| kept.directory == self.directory) {
            return builder
                .from_credentials(kept.credentials)
                .await
                .map_err(said);
        }
        let terms = NewAccount {
            contact: &[],
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let directory = self.directory.clone();
        let made = builder.create(&terms, directory.clone(), None).await;
        let (account, credentials) = made.map_err(said)?;
        let kept = KeptAccount {
            directory,
            credentials,
        };
        let text = serde_json::to_vec(&kept).map_err(|error| error.to_string())?;
        self.keep(ACCOUNT, &text)?;
        Ok(account)
    }

    fn keep(&self, name: &str, text: &[u8]) -> Result<(), String> {
        let path = self.folder.join(name);
        private_files::replace(&path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

/// Has a certificate whenever the newest one is not fresh, for good. One that is not fresh when it
/// comes, as where the clock is wrong, is no reason to ask for the next one at once: authorities
/// give few.
async fn renew<F: Future<Output = Result<Chain, String>>>(
    names: &str,
    now: impl Fn() -> SystemTime,
    kept: impl Fn() -> Option<Chain>,
    have: impl Fn() -> F,
    mut put: impl FnMut(Chain),
) {
    let (mut pause, mut told) = (SOON, None);
    // The file may be of an earlier one, where the newest cannot be kept.
    let mut newest: Option<Chain> = None;
    loop {
        let chains = [kept(), newest.clone()].into_iter().flatten();
        let fresh = chains.filter_map(|chain| fresh_for(&chain, now()));
        if let Some(left) = fresh.max() {
            (pause, told) = (SOON, None);
            sleep(left.min(LOOK_EVERY)).await;
            continue;
        }
        let why = match have().await {
            Ok(chain) => {
                let is_fresh = fresh_for(&chain, now()).is_some();
                put(chain.clone());
                newest = Some(chain);
                if is_fresh {
                    continue;
                }
                "the one that was given is nearly over, as this machine's clock has it".to_owned()
            }
            Err(why) => why,
        };
        if told.as_ref() != Some(&why) {
            tracing::warn!("no certificate for {names}: {why}; it is tried again");
        }
        told = Some(why);
        sleep(pause).await;
        pause = (pause * 2).min(LATE);
    }
}

/// How long until only a third of a certificate's time is left; none if that is so already.
fn fresh_for(chain: &Chain, now: SystemTime) -> Option<Duration> {
    let (from, until) = chain.validity()?;
    let all = until.duration_since(from).unwrap_or_default();
    let left = until.duration_since(now).ok()?;
    left.checked_sub(all / 3).filter(|fresh| !fresh.is_zero())
}

/// The authority's words about names that it does not take for this server's.
async fn why_not(order: &mut Order) -> String {
    let mut words = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let errors = state.challenges.iter().filter_map(|one| one.error.as_ref());
        words.extend(errors.map(ToString::to_string));
    }
    match words.is_empty() {
        true => "the authority does not say why".to_owned(),
        false => words.join("; "),
    }
}

/// Requests to the authority, each on a connection of its own.
#[derive(Clone, Debug)]
struct Http {
    tls: ClientTls,
}

/// A request that came to nothing.
fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> instant_acme::Error {
    instant_acme::Error::Other(error.into())
}

impl Http {
    async fn ask(
        self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, instant_acme::Error> {
        let in_time = timeout(REQUEST, self.exchange(request)).await;
        in_time.unwrap_or_else(|_| Err(failed("the authority did not answer in time")))
    }

    async fn exchange(
        self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, instant_acme::Error> {
        let uri = request.uri().clone();
        let https = uri.scheme_str() == Some("https");
        let authority = uri.authority().filter(|_| https);
        let authority = authority.ok_or_else(|| failed(format!("{uri} is no https address")))?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let tcp = TcpConnector::new(host.to_owned(), authority.port_u16().unwrap_or(443));
        let (stream, peer) = tcp.open().await.map_err(failed)?;
        let stream = TcpConnection::new(stream, peer);
        let stream = self
            .tls
            .open(stream, host, ALPN_HTTP)
            .await
            .map_err(failed)?;
        let stream = TokioIo::new(Streamed::new(stream));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(failed)?;
        let connection = tokio::spawn(connection);
        let name = header::HeaderValue::try_from(authority.as_str()).map_err(failed)?;
        request.headers_mut().insert(header::HOST, name);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().map_err(failed)?;
        let answer = sender.send_request(request).await.map_err(failed)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.map_err(failed)?;
        connection.abort();
        Ok(Response::from_parts(head, Full::new(body.to_bytes())).into())
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use chat_transport_tls::SelfSigned;

    use super::*;

    fn asked(path: &str) -> Parts {
        let (parts, ()) = Request::get(path).body(()).unwrap().into_parts();
        parts
    }

    #[test]
    fn a_word_is_told_as_long_as_it_is_asked_for() {
        let challenges = Challenges::default();
        let path = format!("{ASKED}token");
        assert!(challenges.answer(&asked(&path)).is_none());
        challenges.put("token".to_owned(), "token.thumbprint".to_owned());
        let answer = challenges.answer(&asked(&path)).unwrap();
        assert_eq!(answer.body(), "token.thumbprint");
        for other in ["/", ASKED, &format!("{ASKED}token/"), "/token"] {
            assert!(challenges.answer(&asked(other)).is_none(), "{other}");
        }
        challenges.clear();
        assert!(challenges.answer(&asked(&path)).is_none());
    }

    #[test]
    fn a_certificate_is_kept_for_its_names_and_renewed_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let acme = |names: &[&str]| {
            let domains: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            Acme::new(&domains, None, Trust::WebRoots, folder.path()).unwrap()
        };
        let one = acme(&["Chat.example.org"]);
        assert!(one.kept().is_none());
        let made = SelfSigned::new(&["chat.example.org".to_owned()]).unwrap();
        let text = format!("{}\n{}", one.names(), made.pem);
        one.keep(CERTIFICATE, text.as_bytes()).unwrap();
        let chain = one.kept().unwrap();
        assert!(acme(&["chat.example.org"]).kept().is_some());
        assert!(
            acme(&["chat.example.org", "www.example.org"])
                .kept()
                .is_none()
        );
        let (from, until) = chain.validity().unwrap();
        let third = until.duration_since(from).unwrap() / 3;
        let second = Duration::from_secs(1);
        assert_eq!(fresh_for(&chain, until - third - second), Some(second));
        assert_eq!(fresh_for(&chain, until - third), None);
        assert_eq!(fresh_for(&chain, until + third), None);
    }

    fn made() -> Chain {
        let made = SelfSigned::new(&["chat.example.org".to_owned()]).unwrap();
        made.chain().unwrap()
    }

    /// Certificates that are asked for in a day of this clock, each answered by that one.
    async fn asked_for_in_a_day(now: SystemTime, answer: Result<Chain, String>) -> usize {
        let asked = Cell::new(0);
        let have = async || {
            asked.set(asked.get() + 1);
            assert!(asked.get() < 100, "authorities give few");
            answer.clone()
        };
        let all = renew("chat.example.org", || now, || None, have, drop);
        assert!(timeout(Duration::from_secs(24 * 3_600), all).await.is_err());
        asked.get()
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_to_nothing_is_tried_again_slowly() {
        let (from, until) = made().validity().unwrap();
        let refused = asked_for_in_a_day(from, Err("no".to_owned())).await;
        assert!((9..=14).contains(&refused), "{refused}");
        for wrong in [until, until + LATE] {
            assert_eq!(asked_for_in_a_day(wrong, Ok(made())).await, refused);
        }
        // Nor is one that cannot be kept asked for again.
        assert_eq!(asked_for_in_a_day(from, Ok(made())).await, 1);
    }

    #[tokio::test]
    async fn a_certificate_that_is_kept_and_fresh_is_enough() {
        let have = async || panic!("there is one");
        let now = made().validity().unwrap().0;
        let all = renew("", || now, || Some(made()), have, drop);
        assert!(timeout(Duration::ZERO, all).await.is_err());
    }
}
