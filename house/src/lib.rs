//! The rules of this workspace's code that a compiler does not check.
//!
//! - [`imports`]: which file imports which, the circles among them, and what siblings name.
//! - [`size`]: how many lines of code there are.
//! - [`words`]: how long comments are and how they begin, and names that are out of use.

mod files;
pub mod imports;
pub mod size;
pub mod words;

use std::path::{Path, PathBuf};

pub use self::files::{Source, code_files, rust_files};

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate stands in the workspace's folder")
        .to_owned()
}
