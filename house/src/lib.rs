//! The rules of this workspace's code that a compiler does not check.
//!
//! - [`imports`]: which file imports which, the circles among them, and what siblings name.
//! - [`size`]: how many lines of code there are.
//! - [`words`]: how long comments are and how they begin, and names that are out of use.

pub mod imports;
pub mod size;
pub mod words;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate stands in the workspace's folder")
        .to_owned()
}

/// All Rust files below a folder, in the order of their paths; none if there is no such folder.
///
/// # Errors
/// A folder that cannot be read.
pub fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
