//! The operator's orders to a running server, through a socket in its data folder.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chat_core::{
    invite::{InviteId, InviteRoom, KeptInvite, NewInvite},
    keys::Fingerprint,
    link::Fragment,
    time::Wall,
};
use chat_runtime::{Clock, OrderError, ServerHandle, SystemClock};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};

use crate::admin::{Answer, Invitation, LINE_BYTES, Order, Outcome, Request, SOCKET};

/// Commands that are heard at once; more wait.
const COMMANDS: usize = 16;

/// Bytes behind a line that is too long which are read and thrown away.
const DISCARDED: u64 = 1 << 20;

/// How long to wait if the system takes no connection, as when it has no descriptors left.
const REST: Duration = Duration::from_millis(200);

/// Links to the server without what stands behind their `#`.
#[derive(Clone, Debug)]
pub(super) struct Links {
    pub(super) page: Option<String>,
    pub(super) client: Option<String>,
    pub(super) key: Option<Fingerprint>,
}

/// The socket. Its file goes when this does.
pub(super) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file: another server's is left alone.
    file: (u64, u64),
}

/// The party that speaks for the operator.
struct Desk {
    server: ServerHandle,
    links: Links,
    clock: SystemClock,
}

impl AdminSocket {
    /// Makes the socket, for this user alone. The folder is this server's, so a socket that is
    /// there already is one that an earlier server has left.
    pub(super) fn bind(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "it is no socket",
                ));
            }
            _ => {}
        }
        // Nobody finds it before its mode is right.
        let part = folder.join(format!("{SOCKET}.{}", std::process::id()));
        let _ = fs::remove_file(&part);
        let listener = UnixListener::bind(&part)?;
        let ready = fs::set_permissions(&part, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::symlink_metadata(&part))
            .and_then(|found| fs::rename(&part, &path).map(|()| (found.dev(), found.ino())));
        if ready.is_err() {
            let _ = fs::remove_file(&part);
        }
        let file = ready?;
        Ok(Self {
            listener,
            path,
            file,
        })
    }

    /// Does what the operator orders, until this is dropped.
    pub(super) async fn run(self, server: ServerHandle, links: Links) {
        let desk = Arc::new(Desk {
            server,
            links,
            clock: SystemClock::new(),
        });
        let places = Arc::new(Semaphore::new(COMMANDS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let desk = Arc::clone(&desk);
                    tokio::spawn(async move {
                        let _place = place;
                        // A command that goes away is no fault of the server.
                        let _ = desk.hear(stream).await;
                    });
                }
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether the process at the other end is of the user that runs the server, or root.
fn may_order(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| is_trusted(peer.uid(), own))
}

fn is_trusted(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

impl Desk {
    async fn hear(&self, mut stream: UnixStream) -> io::Result<()> {
        if !may_order(&stream) {
            return Ok(());
        }
        let (reads, mut writes) = stream.split();
        let mut reads = BufReader::new(reads);
        loop {
            let mut line = String::new();
            let read = (&mut reads).take(LINE_BYTES).read_line(&mut line).await?;
            if read == 0 {
                return Ok(());
            }
            let whole = line.ends_with('\n');
            let answer = match serde_json::from_str::<Request>(&line) {
                Ok(request) => Answer {
                    id: request.id,
                    outcome: self.done(request.order).await,
                },
                Err(error) => Answer {
                    id: id_of(&line),
                    outcome: refused("unknown_request", error),
                },
            };
            let mut bytes = serde_json::to_vec(&answer)?;
            bytes.push(b'\n');
            writes.write_all(&bytes).await?;
            if !whole {
                // The rest of a line that is too long is no order. Unread, it would take the answer
                // along when the connection ends.
                let mut rest = reads.take(DISCARDED);
                tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
                return Ok(());
            }
        }
    }

    async fn done(&self, order: Order) -> Outcome {
        let done = match order {
            Order::Invite {
                uses,
                seconds,
                room,
            } => self.invite(uses, seconds, room).await,
            Order::Revoke { invitation } => self.revoke(&invitation).await,
            Order::Invitations {} => self.invitations().await,
        };
        done.unwrap_or_else(|error| match error {
            OrderError::Refused(refusal) => refused(refusal.code, refusal.text),
            error => refused("unavailable", error),
        })
    }

    async fn invite(
        &self,
        uses: u32,
        seconds: u64,
        room: Option<String>,
    ) -> Result<Outcome, OrderError> {
        let room = room.map(|room| match room.parse() {
            Ok(number) => InviteRoom::Number(number),
            Err(_) => InviteRoom::Name(room),
        });
        let lasts = Duration::from_secs(seconds);
        let made = self.server.invite(NewInvite { uses, lasts, room }).await?;
        let invitation = made.secret.id().to_string();
        let fragment = Fragment {
            key: self.links.key,
            invite: Some(made.secret),
        };
        let link = |base: &Option<String>| base.as_ref().map(|base| format!("{base}{fragment}"));
        Ok(Outcome::Invited {
            invitation,
            uses,
            seconds,
            page: link(&self.links.page),
            client: link(&self.links.client),
        })
    }

    async fn revoke(&self, start: &str) -> Result<Outcome, OrderError> {
        let invites = self.server.invites().await?;
        let id = match found(&invites, start) {
            Ok(id) => id,
            Err(text) => return Ok(refused("bad_request", text)),
        };
        self.server.revoke(id).await?;
        let invitation = id.to_string();
        Ok(Outcome::Revoked { invitation })
    }

    async fn invitations(&self) -> Result<Outcome, OrderError> {
        let mut invites = self.server.invites().await?;
        invites.sort_by_key(|invite| invite.ends);
        let now = self.clock.now().wall;
        let invitations = invites.iter().map(|invite| listed(invite, now)).collect();
        Ok(Outcome::Invitations { invitations })
    }
}

fn refused(code: impl ToString, text: impl ToString) -> Outcome {
    Outcome::Refused {
        code: code.to_string(),
        text: text.to_string(),
    }
}

/// The id of an order that is not understood, so that whoever waits for its outcome finds it.
fn id_of(line: &str) -> u64 {
    let value = serde_json::from_str::<serde_json::Value>(line).ok();
    value.and_then(|value| value["id"].as_u64()).unwrap_or(0)
}

fn listed(invite: &KeptInvite, now: Wall) -> Invitation {
    Invitation {
        invitation: invite.id.to_string(),
        uses: invite.uses,
        used: invite.used,
        seconds: (invite.ends > now).then(|| (invite.ends - now).as_secs()),
        room: invite.number,
    }
}

/// The one invitation whose id begins so.
fn found(invites: &[KeptInvite], start: &str) -> Result<InviteId, &'static str> {
    let start = start.to_ascii_lowercase();
    let begins =
        |invite: &&KeptInvite| !start.is_empty() && invite.id.to_string().starts_with(&start);
    let mut ids = invites.iter().filter(begins).map(|invite| invite.id);
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err("there is no such invitation; --list shows all"),
        (Some(_), Some(_)) => Err("the ids of several invitations begin so: say more of it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_found_by_the_beginning_of_its_id() {
        let invite = |last| KeptInvite {
            id: InviteId([0xab, 0xcd, last, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            uses: 1,
            used: 0,
            ends: Wall(5_000),
            room: None,
            number: None,
        };
        let invites = [invite(0x12), invite(0x13)];
        assert_eq!(found(&invites, "ABCD13"), Ok(invites[1].id));
        for none in ["", "abcd", "abcd1", "ffff"] {
            assert!(found(&invites, none).is_err(), "{none}");
        }
        assert_eq!(listed(&invites[0], Wall(2_000)).seconds, Some(3));
        assert_eq!(listed(&invites[0], Wall(5_000)).seconds, None);
    }

    #[test]
    fn the_servers_own_user_and_root_give_orders() {
        assert!(is_trusted(1_000, 1_000) && is_trusted(0, 1_000));
        assert!(!is_trusted(1_001, 1_000) && !is_trusted(1_000, 0));
    }

    #[tokio::test]
    async fn a_socket_that_was_left_is_replaced_and_another_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOCKET);
        // Dropped without a word, as by a process that is killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = AdminSocket::bind(folder.path()).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).await.unwrap();
        // A socket that took its place stays when the first one goes.
        let second = AdminSocket::bind(folder.path()).unwrap();
        drop(first);
        UnixStream::connect(&path).await.unwrap();
        drop(second);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(&path, "mine").unwrap();
        assert!(AdminSocket::bind(folder.path()).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
}
