//! Files and folders for nobody but their owner, which are never seen half written.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use fs4::FileExt;

/// Makes a folder and those above it, each for its owner alone; those that are there stay as they
/// are.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let mut maker = DirBuilder::new();
    maker.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
    maker.create(path)
}

/// Writes a file anew: it is the old one or the new one.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = Passing::beside(path, content)?;
    fs::rename(&new.0, path)
}

/// Writes a file that is not there yet: whoever finds it finds all of it.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`]: another program was faster, and its file stands.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = Passing::beside(path, content)?;
    match fs::hard_link(&new.0, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // A file system without links.
            let mut file = create_new(path)?;
            file.write_all(content).and_then(|()| file.sync_all())
        }
        linked => linked,
    }
}

/// Holds other programs up that ask for the same, until it is dropped. On a file system without
/// locks nobody is held up.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if let Err(error) = FileExt::lock(&file) {
        tracing::debug!(%error, "{} cannot be locked", path.display());
    }
    Ok(file)
}

/// A file under a name of this process, which goes when it is not needed any more.
struct Passing(PathBuf);

impl Passing {
    fn beside(path: &Path, content: &[u8]) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        let chance = chat_runtime::member_secret()?;
        name.push(format!(".{}.new", hex::encode(&chance.0[..8])));
        let new = Self(PathBuf::from(name));
        let mut file = create_new(&new.0)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(new)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // The new file is gone where it took another one's place.
        let _ = fs::remove_file(&self.0);
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_that_make_one_file_one_wins_and_all_find_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        let content = |n: u8| vec![n; 100_000];
        let made = std::thread::scope(|scope| {
            let makers = (0..8).map(|n| {
                let path = &path;
                scope.spawn(move || {
                    let made = create(path, &content(n));
                    let found = fs::read(path).unwrap();
                    assert_eq!(found, content(found[0]), "whole");
                    match made {
                        Ok(()) => assert_eq!(found[0], n),
                        Err(error) => assert_eq!(error.kind(), io::ErrorKind::AlreadyExists),
                    }
                    usize::from(found[0] == n)
                })
            });
            let makers: Vec<_> = makers.collect();
            makers
                .into_iter()
                .map(|made| made.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(made, 1);
        replace(&path, b"another").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"another");
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "nothing lies about");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_them() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        make_folder(&inner).unwrap();
        make_folder(&inner).unwrap();
        create(&inner.join("made"), b"x").unwrap();
        replace(&inner.join("replaced"), b"x").unwrap();
        for (name, mode) in [
            ("a", 0o700),
            ("a/b", 0o700),
            ("a/b/made", 0o600),
            ("a/b/replaced", 0o600),
        ] {
            let found = fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions();
            assert_eq!(found.mode() & 0o777, mode, "{name}");
        }
    }
}
