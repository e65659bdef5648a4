//! The command line: options, their help, and which of them exclude each other.

use std::path::PathBuf;

use chat_core::hub::NamePolicy;
use chat_runtime::ServerBuilder;
use chat_terminal::{CipherChoice, Format, LobbyCipher};
use chat_transport_port::Plaintext;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::{address::ListenAddress, exit::EXIT_CODES, link::Link, quantity, web::TrustedProxy};

/// A chat server and a chat client for the terminal.
#[derive(Debug, Parser)]
#[command(name = "chat-cli", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// Threads at most.
pub(crate) const MOST_WORKERS: u16 = ServerBuilder::MOST_WORKERS as u16;

/// The task that the program is started for.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Run a server.
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Talk.
    #[command(after_help = CHAT_HELP)]
    Chat(ChatArgs),
    /// Invite somebody to a server that runs on this machine, as its operator.
    #[command(after_help = INVITE_HELP)]
    Invite(InviteArgs),
    /// Look after what a server keeps on disk, beside it or without it.
    #[command(after_help = LOG_HELP)]
    Log(LogArgs),
}

/// `chat-cli serve`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// Listen here, for all that speak to a chat: ADDRESS:PORT, an address or a port (0 is chosen
    /// by the system), or unix:PATH for a socket on this machine. May be repeated; port 7037 of all
    /// addresses (IPv6 and IPv4) unless given. At / there is a page for browsers, at /ws the
    /// WebSocket.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<ListenAddress>,
    /// Have the page in this folder instead of /, and the WebSocket there too: for a proxy that
    /// passes the path on as it is.
    #[arg(long, value_name = "PATH")]
    pub(crate) base_path: Option<String>,
    /// Believe the reverse proxy at this address, or those of this network, about whom they speak
    /// for (X-Forwarded-For and its like, and PROXY version 1); `unix` is what comes through Unix
    /// sockets. May be repeated.
    #[arg(long, value_name = "CIDR")]
    pub(crate) trusted_proxy: Vec<TrustedProxy>,
    /// To whom to speak without encryption: `never`, `loopback` (this machine), `private` (networks
    /// of one's own, too) or `any`; private unless given. From elsewhere browsers are sent to
    /// https, and others are told.
    #[arg(long, value_name = "POLICY")]
    pub(crate) plaintext: Option<Plaintext>,
    /// The certificate of this file (PEM), and those behind it that vouch for it; a file that
    /// changes is taken within 10 s. Without it one of this server's own, kept with its data.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Have a certificate for this name automatically (ACME), and a fresh one in time. Implies
    /// --name. Listens on the ports 443 and 80 as well: the authority, Let's Encrypt unless told
    /// otherwise, looks there whether the name is this machine's. May be repeated.
    #[arg(long, value_name = "NAME", conflicts_with = "tls_cert")]
    pub(crate) domain: Vec<String>,
    /// The directory of another authority.
    #[arg(long, value_name = "URL", requires = "domain")]
    pub(crate) acme_directory: Option<String>,
    /// Authorities that vouch for that authority's own server (PEM), instead of those of the web.
    #[arg(long, value_name = "FILE", requires = "acme_directory")]
    pub(crate) acme_ca: Option<PathBuf>,
    /// Take at most this many clients at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_clients: Option<u32>,
    /// Run on this many threads, each with its share of the clients; the number of cores unless
    /// given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_WORKERS)))]
    pub(crate) workers: Option<u16>,
    /// Have no lobby: clients join or create groups.
    #[arg(long)]
    pub(crate) no_lobby: bool,
    /// The cipher that the lobby asks of its clients; none unless given. Caesar is insecure. A
    /// lobby that is kept in the folder has its cipher for good, and to ask for another one is an
    /// error.
    #[arg(long, value_name = "CIPHER", conflicts_with = "no_lobby")]
    pub(crate) lobby_cipher: Option<LobbyCipher>,
    /// For how long a name is kept for a member that is not there: `lease`, unless given, for the
    /// grace period; `held`, as long as its memberships last, if it will come back with its
    /// identity.
    #[arg(long, value_name = "POLICY")]
    pub(crate) names: Option<Names>,
    /// Whether people may come in without keys, as `nc` and the smallest bots do. [yes, no]
    #[arg(long, value_name = "YES", value_parser = yes_or_no)]
    pub(crate) guests: Option<bool>,
    /// Take in newcomers by invitation only: chat-cli invite makes invitations. Who is known comes
    /// in without one, and nobody without keys.
    #[arg(long, conflicts_with_all = ["memory", "guests"])]
    pub(crate) invite_only: bool,
    /// A host name by which clients know this server. May be repeated. Clients that have dialled
    /// another name are refused then, so that what they say here is never what they said to
    /// somebody else; those that have dialled an address of this machine are not.
    #[arg(long, value_name = "HOST")]
    pub(crate) name: Vec<String>,
    /// Take in clients that have dialled any name, whatever names the configuration has; so it is
    /// where none are given.
    #[arg(long, value_name = "any", value_parser = ["any"], conflicts_with = "name")]
    pub(crate) audience: Option<String>,
    /// Keep at least the last N records of each room, and delete the others; otherwise all are
    /// kept, or 10,000 with --memory. Like all that delete, it is as near as a room's state allows:
    /// that is noted every few hundred records, and what came after stays.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) history: Option<u32>,
    /// Keep each room's records for this long, and delete them then: a number and s, m, h, d or w.
    #[arg(long, value_name = "TIME", conflicts_with = "memory", value_parser = quantity::seconds)]
    pub(crate) room_age: Option<u64>,
    /// Keep about so many bytes of each room's records, the newest, and delete the others. K, M, G
    /// and T may follow.
    #[arg(long, value_name = "SIZE", conflicts_with = "memory", value_parser = quantity::bytes)]
    pub(crate) room_bytes: Option<u64>,
    /// Keep so many records of all rooms together: beyond that the oldest are deleted, in whichever
    /// room.
    #[arg(long, value_name = "N", conflicts_with = "memory", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_records: Option<u64>,
    /// Keep records of any room for this long, and delete them then; of this and --room-age the
    /// shorter counts.
    #[arg(long, value_name = "TIME", conflicts_with = "memory", value_parser = quantity::seconds)]
    pub(crate) max_age: Option<u64>,
    /// Keep about so many bytes in all, 2M at least, and refuse what is new beyond that: nothing is
    /// deleted for it. A tenth, at least 1M, is reserved for names and for what makes room.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) max_bytes: Option<u64>,
    /// Keep groups and what was said in this folder, which is made when it is missing. Without it,
    /// in a folder of this program among the user's data; it is printed at the start.
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    pub(crate) data: Option<PathBuf>,
    /// Keep everything in memory: what was said ends with the server.
    #[arg(long)]
    pub(crate) memory: bool,
    /// Read the configuration from this TOML file. Options given here come before it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the configuration in force, every limit with its value, and exit. It can be read back
    /// with --config.
    #[arg(long)]
    pub(crate) print_config: bool,
    /// How the operator's lines look.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<Format>,
    /// Say only where the server is, what is wrong with it, and its end; not what happens in it.
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Have what is said in the operator's lines, also where they go to a file or another program,
    /// which then keep what was taken back. At a terminal it is there anyway.
    #[arg(long)]
    pub(crate) show_text: bool,
}

/// `chat-cli invite`.
#[derive(Clone, Debug, Args)]
pub(crate) struct InviteArgs {
    /// How many newcomers may come in by it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) uses: u32,
    /// For how long: a number and s, m, h, d or w.
    #[arg(long = "for", value_name = "TIME", default_value = "7d", value_parser = quantity::seconds)]
    pub(crate) lasts: u64,
    /// Lead to this group, by its number or its name: newcomers are in it at once. It may not have
    /// a password or be sealed.
    #[arg(long, value_name = "ROOM")]
    pub(crate) room: Option<String>,
    /// Take an invitation back. The beginning of its id will do.
    #[arg(long, value_name = "ID", conflicts_with_all = ["uses", "lasts", "room", "list"])]
    pub(crate) revoke: Option<String>,
    /// List the invitations.
    #[arg(long, conflicts_with_all = ["uses", "lasts", "room"])]
    pub(crate) list: bool,
    /// The folder of the server's data, if it was given one.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How it is told.
    #[arg(long, default_value = "text")]
    pub(crate) format: Format,
}

/// `chat-cli log`.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    pub(crate) task: LogTask,
}

/// A task for a folder of `serve --data`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LogTask {
    /// Check that everything is as it was written. Each damage is a line; with any, the exit code
    /// is 1.
    Verify {
        /// The server's folder.
        dir: PathBuf,
    },
    /// Write all that is kept to standard output, one JSON object a line. What is encrypted stays
    /// encrypted.
    Export {
        /// The server's folder.
        dir: PathBuf,
    },
    /// Write a copy to a new file. The server's secret, server.secret, is not in it: keep a copy of
    /// that apart.
    Backup {
        /// The server's folder.
        dir: PathBuf,
        /// The copy.
        file: PathBuf,
    },
}

/// `chat-cli chat`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ChatArgs {
    /// The server: HOST:PORT or HOST (the port is 7037 unless given), over TLS unless it is this
    /// machine; tls://HOST:PORT or tcp://HOST:PORT (without encryption); unix:PATH; a WebSocket,
    /// wss://HOST:PORT/ws or ws://HOST:PORT/ws; or a link to its page, https://HOST:PORT/. What
    /// stands behind a # is the server's key and an invitation (in quotes, for the shell).
    #[arg(value_name = "URL")]
    pub(crate) url: Option<Link>,
    /// Connect without encryption.
    #[arg(long)]
    pub(crate) no_tls: bool,
    /// Take no certificate but those that an authority in this file vouches for (PEM), for the
    /// host's name. Without it any is taken, and the server's own key says which one it is.
    #[arg(long, value_name = "FILE", conflicts_with = "no_tls")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// The name to be known by: another one is another person at this server, the same one the same
    /// person. Without it, the name that was held last at this address.
    #[arg(long, value_name = "N")]
    pub(crate) nick: Option<String>,
    /// A label beside the name, for example a group of students.
    #[arg(long, value_name = "L")]
    pub(crate) label: Option<String>,
    /// Join this group instead of the lobby.
    #[arg(long, value_name = "NUMBER", conflicts_with = "create", value_parser = parse_number)]
    pub(crate) room: Option<u32>,
    /// Create a group and join it instead of the lobby.
    #[arg(long)]
    pub(crate) create: bool,
    /// The new group's name.
    #[arg(long, requires = "create")]
    pub(crate) name: Option<String>,
    /// The new group's topic.
    #[arg(long, value_name = "T", requires = "create")]
    pub(crate) topic: Option<String>,
    /// The group's password: the file's content without its last line break.
    #[arg(long, value_name = "F")]
    pub(crate) password_file: Option<PathBuf>,
    /// With --create: the group's cipher. Otherwise: the key to what the room announces. Without
    /// it, a group with a password is encrypted under that, and one without is not encrypted.
    /// [none, caesar:SHIFT, key-file:FILE]
    #[arg(long, value_name = "CIPHER")]
    pub(crate) cipher: Option<CipherChoice>,
    /// Be the member of this file, whatever the name; it is made when it is missing. Without it
    /// each server and name has one in the folder `identities` of the user's data.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Come in without keys, as nobody who was there before or will be again: nothing is kept, and
    /// private conversations and rooms with a password are for others.
    #[arg(long, conflicts_with = "identity")]
    pub(crate) guest: bool,
    /// Lines of a file or a pipe may be commands, such as /join 3. Without this a line that begins
    /// with a slash ends the program before it is sent; at a terminal and with --format json lines
    /// may be commands.
    #[arg(long)]
    pub(crate) commands: bool,
    /// How what happens is told.
    #[arg(long, default_value = "text")]
    pub(crate) format: Format,
}

/// For how long a name is kept for a member that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Names {
    /// For the grace period.
    #[default]
    Lease,
    /// As long as its memberships last, for a kept identity.
    Held,
}

impl From<Names> for NamePolicy {
    fn from(names: Names) -> Self {
        match names {
            Names::Lease => Self::Lease,
            Names::Held => Self::Held,
        }
    }
}

fn yes_or_no(text: &str) -> Result<bool, &'static str> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no"),
    }
}

fn parse_number(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .map_err(|_| "a group has a number, from 0; /rooms lists them")
}

const AFTER_HELP: &str = const_format::formatcp!(
    "\
Examples:
  chat-cli serve
  chat-cli chat localhost --nick Adina
  chat-cli chat localhost --nick Berl --create --name Chess

{EXIT_CODES}"
);

const SERVE_HELP: &str = const_format::formatcp!(
    "\
Examples:
  chat-cli serve
  chat-cli serve --listen 127.0.0.1 --max-clients 20
  chat-cli serve --no-lobby --listen 0.0.0.0:7037 --listen [::1]:0
  chat-cli serve --listen unix:/run/chat/socket --trusted-proxy unix --base-path /chat/
  chat-cli serve --plaintext never --tls-cert fullchain.pem --tls-key privkey.pem
  chat-cli serve --data /srv/chat --max-age 365d --max-bytes 10G --room-bytes 100M
  chat-cli serve --memory
  chat-cli serve --print-config > chat.toml && chat-cli serve --config chat.toml

Standard output says first where the server is: `page URL` for browsers, at a terminal a QR code \
for phones, how a terminal client connects, how to stop, `data DIR`; and `listening tcp ADDR` or \
`listening unix PATH` for each listener. Then comes what happens on the server. Ctrl-C and SIGTERM \
tell everybody that the server stops, and end it. SIGHUP, also that of a terminal which is \
closed, tells everybody to come back and ends it too, for a supervisor to start it again; where \
it is ignored at the start, as nohup has it, it stays ignored. A second Ctrl-C ends it at once.

{EXIT_CODES}"
);

const INVITE_HELP: &str = const_format::formatcp!(
    "\
Examples:
  chat-cli invite
  chat-cli invite --uses 20 --for 2w --room 3
  chat-cli invite --list
  chat-cli invite --revoke 3fa9

It asks the server that runs on this machine with the same data folder, as the user that runs it or \
as root. The links are printed once: the server keeps no more than a hash of what is in them.

{EXIT_CODES}"
);

const LOG_HELP: &str = const_format::formatcp!(
    "\
Examples:
  chat-cli log verify /srv/chat
  chat-cli log export /srv/chat > chat.jsonl
  chat-cli log backup /srv/chat chat-monday.db

To restore a copy, put it into an empty folder as log.db, with server.secret beside it.

{EXIT_CODES}"
);

const CHAT_HELP: &str = const_format::formatcp!(
    "\
Examples:
  chat-cli chat
  chat-cli chat localhost --nick Adina --label \"group 2\"
  chat-cli chat tcp://[::1]:7037 --nick Berl --create --password-file secret.txt
  chat-cli chat localhost --nick Cora --room 0 --password-file secret.txt
  chat-cli chat wss://chat.example.org/ws --nick Ezra
  openssl rand -hex 32 > key && chat-cli chat localhost --nick Dov --create --cipher key-file:key
  echo \"backup done\" | chat-cli chat localhost --nick robot --room 3
  printf '/join 3\\nhello\\n' | chat-cli chat localhost --nick robot --commands

What is missing is asked for when standard input is a terminal, and is an error (2) when it is not.
Each line of input is a message or, at a terminal, with --commands or with --format json, a \
command such as /help; two slashes begin a message with one. If one of a file or a pipe comes to \
nothing, standard error says why, the others are done all the same, and the exit code is 1. But \
the first one with a slash where no commands are expected is the last one that is read: what was \
before it is sent, standard error says how many lines are not, and the exit code is 2.

{EXIT_CODES}"
);

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn options_that_exclude_each_other_are_refused() {
        for line in [
            "chat-cli",
            "chat-cli serve --max-clients 0",
            "chat-cli serve --history 0",
            "chat-cli serve --listen nowhere",
            "chat-cli serve --listen unix:",
            "chat-cli serve --trusted-proxy somebody",
            "chat-cli serve --tcp 1",
            "chat-cli serve --ws 1",
            "chat-cli chat gopher://localhost",
            "chat-cli chat localhost#k=1",
            "chat-cli serve --invite-only --memory",
            "chat-cli serve --invite-only --guests yes",
            "chat-cli invite --uses 0",
            "chat-cli invite --for never",
            "chat-cli invite --list --uses 2",
            "chat-cli invite --revoke 1 --list",
            "chat-cli serve --plaintext sometimes",
            "chat-cli serve --tls-cert cert.pem",
            "chat-cli serve --tls-key key.pem",
            "chat-cli serve --domain chat.example.org --tls-cert cert.pem --tls-key key.pem",
            "chat-cli serve --acme-directory https://localhost/dir",
            "chat-cli serve --no-lobby --lobby-cipher none",
            "chat-cli serve --log-format xml",
            "chat-cli chat --room 1 --create",
            "chat-cli chat --tls-ca ca.pem --no-tls",
            "chat-cli chat --room -1",
            "chat-cli chat --name x",
            "chat-cli chat --topic x",
            "chat-cli chat --cipher rot13",
            "chat-cli chat localhost:99999",
            "chat-cli serve --data /x --memory",
            "chat-cli serve --memory --max-age 1d",
            "chat-cli serve --max-bytes 0",
            "chat-cli serve --room-bytes much",
            "chat-cli serve --max-age 30",
            "chat-cli serve --room-age 0d",
            "chat-cli serve --max-records 0",
            "chat-cli log",
            "chat-cli log verify",
            "chat-cli log backup /x",
            "chat-cli dance",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn listeners_are_gathered() {
        let Task::Serve(args) = parse("chat-cli serve --listen 1 --listen [::1]:2")
            .unwrap()
            .task
        else {
            panic!("not serve")
        };
        let listen = ["1".parse().unwrap(), "[::1]:2".parse().unwrap()];
        assert_eq!(args.listen, listen);
    }
}
