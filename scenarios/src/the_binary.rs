//! Where the program is, made anew if it is not of the present sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// The path of `chat-cli`.
pub(crate) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(find)
}

fn find() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    // target/PROFILE/deps/test-1234
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("cargo's layout of folders");
    let binary = folder
        .join("chat-cli")
        .with_extension(env::consts::EXE_EXTENSION);
    if !is_fresh(&binary) {
        build(folder);
    }
    assert!(binary.exists(), "{} is missing", binary.display());
    binary
}

/// Whether the program is newer than everything that it was made of.
fn is_fresh(binary: &Path) -> bool {
    let Ok(made) = fs::metadata(binary).and_then(|meta| meta.modified()) else {
        return false;
    };
    // `BINARY: SOURCE SOURCE …`, a white space in a path after a backslash.
    let Ok(list) = fs::read_to_string(binary.with_extension("d")) else {
        return false;
    };
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources);
    let sources = sources.replace("\\ ", "\0");
    let mut sources = sources
        .split_whitespace()
        .map(|path| PathBuf::from(path.replace('\0', " ")))
        .chain([workspace().join("Cargo.lock"), workspace().join("Cargo.toml")])
        .chain([workspace().join("chat-cli/Cargo.toml")]);
    sources.all(|source| modified(&source).is_some_and(|changed| changed <= made))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// Cargo's own lock keeps two tests from doing this at once.
fn build(folder: &Path) {
    let profile = folder
        .file_name()
        .and_then(|name| name.to_str())
        .expect("cargo's layout of folders");
    let target = folder.parent().expect("cargo's layout of folders");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--package", "chat-cli", "--profile"])
        .arg(if profile == "debug" { "dev" } else { profile })
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace())
        .status()
        .expect("cargo starts");
    assert!(status.success(), "`cargo build -p chat-cli` failed");
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a crate of the workspace")
}
