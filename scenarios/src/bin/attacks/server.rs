//! The server that is attacked: a process of its own, which keeps what it keeps in a folder.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Where the server of the honest listens, in a network namespace of its own; and another one.
pub(crate) const HERE: &str = "10.0.0.1:7037";
pub(crate) const ELSEWHERE: &str = "10.0.0.2:7037";

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(binary: &Path, address: &str, more: &[&str]) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let kept = if more.contains(&"--memory") {
            Vec::new()
        } else {
            vec!["--data".into(), folder.path().join("data")]
        };
        let child = Command::new(binary)
            .args(["serve", "--quiet", "--listen", address])
            .args(more)
            .args(kept)
            .env("HOME", folder.path())
            .env("XDG_DATA_HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let address = address.parse().expect("an address");
        let server = Self {
            child,
            folder,
            address,
        };
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(server.address()).is_err() {
            if Instant::now() > end {
                return Err("the server does not listen".to_owned());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Megabytes of memory that it has now (`VmRSS`), or had at most (`VmHWM`).
    pub(crate) fn memory(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let found = status.lines().find_map(|row| row.strip_prefix(line));
        let kilobytes =
            found.and_then(|row| row.trim_matches([':', '\t', ' ', 'k', 'B']).parse().ok());
        kilobytes.unwrap_or(0_u64) / 1_024
    }

    /// Bytes of what it keeps.
    pub(crate) fn kept(&self) -> u64 {
        bytes(&self.folder.path().join("data"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bytes(folder: &PathBuf) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
