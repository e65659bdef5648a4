//! A small file system in memory, mounted for as long as it lives.

use std::{fs, io::Write, path::PathBuf, process::Command};

use scenarios::{Folder, skipped};

pub(crate) struct Small {
    dir: String,
    _folder: Folder,
}

impl Small {
    /// None, said aloud, where it may not be mounted.
    pub(crate) fn mount(size: &str) -> Option<Self> {
        let folder = Folder::new();
        let dir = folder.path("small");
        fs::create_dir(&dir).expect("a folder can be made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "small", &dir])
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self {
                dir,
                _folder: folder,
            }),
            other => {
                skipped(&format!("cannot mount a file system here: {other:?}"));
                None
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.filler()).expect("there is room for a name");
        let mut piece = vec![1; 65_536];
        while !piece.is_empty() {
            if file.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        PathBuf::from(self.path("filler"))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").args(["--lazy", &self.dir]).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
