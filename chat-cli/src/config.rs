//! The server's configuration: a TOML file, over it the command line, and the whole of it printed.

use std::fs;

use chat_core::{
    hub::Audience,
    limits::Limits,
    nick::{RESERVED, Reserved},
};
use chat_terminal::{CipherKind, Format, LobbyCipher};
use chat_transport_port::Plaintext;
use serde::{Deserialize, Serialize};

use crate::{
    address::ListenAddress,
    command_line::{MOST_WORKERS, Names, ServeArgs},
    exit::Failure,
    storage::DataConfig,
    tls::TlsConfig,
    web::{TrustedProxy, WebConfig},
};

/// Everything that can be configured. The names are those of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ServerConfig {
    /// Where to listen.
    pub(crate) listen: Vec<ListenAddress>,
    /// Our own reverse proxies.
    pub(crate) trusted_proxies: Vec<TrustedProxy>,
    /// Host names by which clients know this server; none: any.
    pub(crate) hosts: Vec<String>,
    /// Whether people may come in without keys.
    pub(crate) guests: bool,
    /// Whether newcomers come in by invitation only.
    pub(crate) invite_only: bool,
    /// To whom to speak without encryption.
    #[serde(with = "plaintext")]
    pub(crate) plaintext: Plaintext,
    /// Threads that the clients are shared among.
    pub(crate) workers: u16,
    /// Whether there is a lobby.
    pub(crate) lobby: bool,
    /// The lobby's cipher; none: that of the lobby that is kept, or plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lobby_cipher: Option<LobbyCipher>,
    /// Records kept of each room; none: all, or as many as a log in memory keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<u32>,
    /// How the operator's lines look.
    pub(crate) log_format: Format,
    /// Whether they say only what is wrong, and the server's beginning and end.
    pub(crate) quiet: bool,
    /// Whether they have what is said, also where they are not written to a terminal.
    pub(crate) show_text: bool,
    /// Where records are kept.
    pub(crate) data: DataConfig,
    /// The certificate.
    pub(crate) tls: TlsConfig,
    /// How WebSockets are let in.
    pub(crate) web: WebConfig,
    /// The names that people may have.
    pub(crate) names: NamesConfig,
    /// Every limit.
    pub(crate) limits: Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::default()],
            trusted_proxies: Vec::new(),
            hosts: Vec::new(),
            guests: true,
            invite_only: false,
            plaintext: Plaintext::default(),
            workers: cores(),
            lobby: true,
            lobby_cipher: None,
            history: None,
            log_format: Format::default(),
            quiet: false,
            show_text: false,
            data: DataConfig::default(),
            tls: TlsConfig::default(),
            web: WebConfig::default(),
            names: NamesConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// The names that people may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NamesConfig {
    /// For how long a name is kept for a member that is not there.
    pub(crate) policy: Names,
    /// Nicks that nobody may take, however they are spelled.
    pub(crate) reserved: Vec<String>,
}

impl Default for NamesConfig {
    fn default() -> Self {
        let reserved = RESERVED.map(str::to_owned).to_vec();
        let policy = Names::default();
        Self { policy, reserved }
    }
}

impl NamesConfig {
    pub(crate) fn reserved(&self) -> Result<Reserved, String> {
        Reserved::new(&self.reserved).map_err(|error| format!("`names.reserved`: {error}"))
    }
}

/// The cores that this process may use.
fn cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    u16::try_from(cores).unwrap_or(u16::MAX).min(MOST_WORKERS)
}

impl ServerConfig {
    /// The configuration of the file, or else the defaults, and over it that of the command line.
    pub(crate) fn load(args: &ServeArgs) -> Result<Self, Failure> {
        let mut config = match &args.config {
            None => Self::default(),
            Some(path) => {
                let shown = path.display();
                let text = fs::read_to_string(path)
                    .map_err(|error| Failure::Usage(format!("cannot read {shown}: {error}")))?;
                Self::parse(&text).map_err(|error| Failure::Usage(format!("{shown}: {error}")))?
            }
        };
        config.override_with(args);
        config.check().map_err(Failure::Usage)?;
        Ok(config)
    }

    /// As a file that [`load`](Self::load) reads back.
    pub(crate) fn to_toml(&self) -> Result<String, Failure> {
        let text = toml::to_string(self)
            .map_err(|error| Failure::Fault(format!("cannot write the configuration: {error}")))?;
        Ok(format!("{HEADER}\n{text}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut unknown = Vec::new();
        let document = toml::Deserializer::parse(text).map_err(|error| error.to_string())?;
        let config = serde_ignored::deserialize(document, |path| unknown.push(path.to_string()));
        let config: Self =
            config.map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        match unknown.first() {
            None => Ok(config),
            Some(key) => Err(format!(
                "unknown key `{key}`; --print-config lists all of them"
            )),
        }
    }

    /// The names by which clients know this server.
    pub(crate) fn audience(&self) -> Audience {
        let names: Vec<String> = self.names_of_host().map(str::to_lowercase).collect();
        match names.is_empty() {
            true => Audience::Any,
            false => Audience::Names(names),
        }
    }

    /// The host names that it was given, those with automatic certificates first.
    pub(crate) fn names_of_host(&self) -> impl Iterator<Item = &str> {
        self.tls
            .domains
            .iter()
            .chain(&self.hosts)
            .map(String::as_str)
    }

    fn override_with(&mut self, args: &ServeArgs) {
        if !args.name.is_empty() || args.audience.is_some() {
            self.hosts.clone_from(&args.name);
        }
        self.guests = args.guests.unwrap_or(self.guests);
        self.invite_only |= args.invite_only;
        if !args.listen.is_empty() {
            self.listen.clone_from(&args.listen);
        }
        if !args.trusted_proxy.is_empty() {
            self.trusted_proxies.clone_from(&args.trusted_proxy);
        }
        self.plaintext = args.plaintext.unwrap_or(self.plaintext);
        if args.tls_cert.is_some() {
            self.tls.cert.clone_from(&args.tls_cert);
            self.tls.key.clone_from(&args.tls_key);
        }
        if !args.domain.is_empty() {
            self.tls.domains.clone_from(&args.domain);
            (self.tls.cert, self.tls.key) = (None, None);
        }
        if args.acme_ca.is_some() {
            self.tls.acme_ca.clone_from(&args.acme_ca);
        }
        if args.acme_directory.is_some() {
            self.tls.acme_directory.clone_from(&args.acme_directory);
        }
        if let Some(path) = &args.base_path {
            self.web.base_path.clone_from(path);
        }
        if let Some(clients) = args.max_clients {
            self.limits.connections = clients;
        }
        if let Some(workers) = args.workers {
            self.workers = workers;
        }
        if args.no_lobby {
            self.lobby = false;
            self.lobby_cipher = None;
        }
        if let Some(cipher) = args.lobby_cipher {
            self.lobby_cipher = Some(cipher);
            self.lobby = true;
        }
        if let Some(policy) = args.names {
            self.names.policy = policy;
        }
        if args.history.is_some() {
            self.history = args.history;
        }
        if args.memory {
            self.data.memory = true;
            self.data.folder = None;
        }
        if args.data.is_some() {
            self.data.folder.clone_from(&args.data);
            self.data.memory = false;
        }
        for (value, given) in [
            (&mut self.data.room_age, args.room_age),
            (&mut self.data.room_bytes, args.room_bytes),
            (&mut self.data.max_records, args.max_records),
            (&mut self.data.max_age, args.max_age),
            (&mut self.data.max_bytes, args.max_bytes),
        ] {
            *value = given.or(*value);
        }
        if let Some(format) = args.log_format {
            self.log_format = format;
        }
        self.quiet |= args.quiet;
        self.show_text |= args.show_text;
    }

    fn check(&self) -> Result<(), String> {
        if self.listen.is_empty() {
            return Err("`listen`: there must be at least one listener".to_owned());
        }
        if let Some(cipher) = self.lobby_cipher.filter(|_| !self.lobby) {
            let cipher = cipher.name();
            return Err(format!(
                "`lobby_cipher` is {cipher}, and `lobby` is false, so that there is none to have it: say one of them"
            ));
        }
        if self.invite_only && self.data.memory {
            return Err(
                "`invite_only` is true, and `data.memory` too: invitations are made through the data folder, and kept there"
                    .to_owned(),
            );
        }
        self.tls.check()?;
        self.web.check()?;
        self.names.reserved()?;
        if !(1..=MOST_WORKERS).contains(&self.workers) {
            return Err(format!("`workers`: must be from 1 to {MOST_WORKERS}"));
        }
        if self.history == Some(0) {
            return Err("`history`: must be at least 1".to_owned());
        }
        self.data.check()?;
        self.limits.check().map_err(|error| error.to_string())
    }
}

impl ServerConfig {
    /// The lobby's cipher, or no lobby. `stored` is that of the lobby which is kept.
    ///
    /// # Errors
    /// Another one is asked for.
    pub(crate) fn lobby(&self, stored: Option<CipherKind>) -> Result<Option<CipherKind>, Failure> {
        if !self.lobby {
            return Ok(None);
        }
        let asked = self.lobby_cipher.map(CipherKind::from);
        match (asked, stored) {
            (Some(asked), Some(stored)) if asked != stored => {
                let name = |cipher| LobbyCipher::of(cipher).map_or("another", LobbyCipher::name);
                let (asked, stored) = (name(asked), name(stored));
                Err(Failure::Usage(format!(
                    "`lobby_cipher` is {asked}, but the lobby that is kept in the data folder has {stored}, for good: \
                     leave it out, or choose another folder with --data DIR"
                )))
            }
            _ => Ok(Some(stored.or(asked).unwrap_or_default())),
        }
    }

    /// Says what is decided elsewhere: the folder by the platform, and the lobby's cipher by what
    /// is kept there.
    pub(crate) fn settle(&mut self) -> Result<(), Failure> {
        self.data.settle();
        if self.lobby {
            let cipher = self.lobby(self.data.stored_lobby()?)?;
            self.lobby_cipher = cipher.and_then(LobbyCipher::of);
        }
        Ok(())
    }
}

/// A policy by its name.
mod plaintext {
    use chat_transport_port::Plaintext;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        policy: &Plaintext,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(policy.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Plaintext, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

const HEADER: &str = "\
# The configuration of `chat-cli serve`. What is left out has its default.
# Times are in seconds, sizes in bytes; a rate is `burst` at once, then so many per second
# (or, for guesses, one every so many seconds). No limit is switched off by 0.
# `listen`: addresses, or unix:PATH. `trusted_proxies`: the addresses or networks of reverse proxies that are believed about whom they speak
# for (X-Forwarded-For and its like, and PROXY version 1); `unix` for what comes through Unix sockets.
# `plaintext`: to whom to speak without encryption: never, loopback (this machine), private (networks of one's own, too) or any.
# `guests`: whether people may come in without keys. `invite_only`: newcomers need an invitation, which chat-cli invite makes.
# [tls]: the files of a certificate (`cert`) and its `key`, looked at every 10 s; left out: one of the server's own, kept with its data.
# Or `domains`: names for which certificates are had and renewed automatically, from the authority of `acme_directory` (left out: Let's Encrypt).
# `lobby_cipher`: none, caesar or static-key; left out: that of the lobby that is kept, or none.
# `history`: records kept of each room; left out: all (10,000 in memory).
# [data]: a `folder`, or `memory` alone. Each room's records go when they are older than `room_age` or more than `room_bytes`; the
# oldest of all rooms when older than `max_age`, or when all are more than `max_records`. Left out: never. The newest that a room's
# state needs stay in any case. When all takes `max_bytes` (2097152 at least; in memory, too), nothing goes, and what is new is refused.
# [names]: nicks and labels that are `reserved` are nobody's, whatever their case and spelling. `policy`: lease (a name is free when its
# member was away for `limits.grace`) or held (while its memberships last, if the member keeps its identity).
# [web]: the page for browsers is in the folder `base_path`, unless `page` is false, and the WebSocket is `ws` there. With `any_server` the
# page asks for a server's address and may connect to any. Browsers may connect from pages of these `origins` (none: those of the same
# host and port, whatever the host is called; name your own, and no other will do; `*`: all).
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read_back() {
        let mut config = ServerConfig::default();
        config.listen.push("127.0.0.1:0".parse().unwrap());
        config.listen.push("unix:/run/chat".parse().unwrap());
        config.trusted_proxies = ["10.0.0.0/8", "::1", "unix"]
            .map(|proxy| proxy.parse().unwrap())
            .to_vec();
        config.web =
            toml::from_str("base_path = '/chat/'\norigins = ['https://a.example', '*']").unwrap();
        config.plaintext = Plaintext::Loopback;
        config.tls = toml::from_str("cert = 'cert.pem'\nkey = '/etc/key.pem'").unwrap();
        config.history = Some(7);
        config.names.reserved = vec!["office".to_owned()];
        config.names.policy = Names::Held;
        config.data =
            toml::from_str("folder = '/srv/chat'\nroom_age = 3600\nroom_bytes = 1000\nmax_records = 10\nmax_age = 86400\nmax_bytes = 10000000").unwrap();
        config.lobby_cipher = Some(LobbyCipher::StaticKey);
        config.limits.grace = std::time::Duration::from_millis(1_500);
        config.limits.send_rate.burst = 7;
        assert_eq!(ServerConfig::parse(&config.to_toml().unwrap()), Ok(config));
    }

    #[test]
    fn every_limit_is_printed() {
        let printed: toml::Table = ServerConfig::default().to_toml().unwrap().parse().unwrap();
        let serde_json::Value::Object(limits) = serde_json::to_value(Limits::default()).unwrap()
        else {
            panic!("no object")
        };
        for name in limits.keys() {
            assert!(printed["limits"].get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_file() {
        let config = ServerConfig::parse("\u{feff}listen = [\"1\"]").unwrap();
        assert_eq!(config.listen, ["1".parse().unwrap()]);
    }

    #[test]
    fn an_unknown_key_is_named() {
        for (text, key) in [
            ("colour = 1", "colour"),
            ("[limits]\nconections = 1", "conections"),
            (
                "[limits.send_rate]\nburst = 1\nper_second = 1\nper_minute = 1",
                "limits.send_rate.per_minute",
            ),
            ("[limit]\nconnections = 1", "limit"),
        ] {
            let error = ServerConfig::parse(text).unwrap_err();
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_named() {
        let fault = |text: &str| {
            ServerConfig::parse(text)
                .and_then(|config| config.check())
                .unwrap_err()
        };
        for (text, named) in [
            ("listen = []", "listen"),
            ("plaintext = \"often\"", "often"),
            ("[tls]\ncert = \"x\"", "tls.key"),
            ("[tls]\nkey = \"x\"", "tls.cert"),
            ("[web]\nbase_path = \"chat\"", "web.base_path"),
            ("[web]\nbase_path = \"/chat\"", "web.base_path"),
            ("[names]\nreserved = [\"\"]", "names.reserved"),
            ("[web]\norigins = [\"example.org\"]", "example.org"),
            ("trusted_proxies = [\"me\"]", "me"),
            ("listen = [\"nowhere\"]", "nowhere"),
            ("history = 0", "history"),
            ("[data]\nmax_age = 0", "data.max_age"),
            ("[data]\nmax_bytes = 0", "data.max_bytes"),
            (
                "[data]\nmemory = true\nmax_bytes = 2097151",
                "data.max_bytes",
            ),
            ("[data]\nroom_age = 0", "data.room_age"),
            ("[data]\nroom_bytes = 0", "data.room_bytes"),
            ("[data]\nmax_records = 0", "data.max_records"),
            ("[data]\nmemory = true\nmax_records = 1", "data.max_records"),
            (
                "[data]\nmemory = true\nfolder = \"/srv/chat\"",
                "`data.folder` is /srv/chat, and `data.memory` is true",
            ),
            (
                "lobby = false\nlobby_cipher = \"caesar\"",
                "`lobby_cipher` is caesar",
            ),
            ("[web]\npage = false\nany_server = true", "web.any_server"),
            ("[web]\norigins = [\"https://a@b.example\"]", "a@b.example"),
            (
                "[web]\norigins = [\"https://b\u{fc}cher.example\"]",
                "b\u{fc}cher.example",
            ),
            (
                "[web]\norigins = [\"https://b.example:0x\"]",
                "b.example:0x",
            ),
            ("lobby_cipher = \"rot13\"", "rot13"),
            ("[limits]\nconnections = 0", "connections"),
            ("[limits]\nconnections = -1", "connections"),
            ("[limits]\ngrace = -1.0", "grace"),
            ("listen = ", "listen"),
        ] {
            let error = fault(text);
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn the_command_line_takes_back_what_it_contradicts() {
        let file = "lobby_cipher = \"caesar\"\n[data]\nfolder = \"/srv/chat\"";
        let mut config = ServerConfig::parse(file).unwrap();
        config.override_with(&ServeArgs {
            memory: true,
            no_lobby: true,
            ..ServeArgs::default()
        });
        assert_eq!(config.check(), Ok(()));
        assert_eq!((config.data.folder, config.lobby_cipher), (None, None));
    }

    #[test]
    fn the_command_line_comes_before_the_file() {
        let mut config =
            ServerConfig::parse("history = 5\nlobby = false\n[limits]\nconnections = 3").unwrap();
        let args = ServeArgs {
            listen: vec!["1".parse().unwrap()],
            trusted_proxy: vec!["::1".parse().unwrap()],
            base_path: Some("/chat/".to_owned()),
            max_clients: Some(2),
            lobby_cipher: Some(LobbyCipher::Caesar),
            ..ServeArgs::default()
        };
        config.override_with(&args);
        assert_eq!(
            (config.history, config.limits.connections, config.lobby),
            (Some(5), 2, true)
        );
        assert_eq!(config.listen, args.listen);
        assert_eq!(config.trusted_proxies, args.trusted_proxy);
        assert_eq!(config.web.path(), "/chat/ws");
    }
}
