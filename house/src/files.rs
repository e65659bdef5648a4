//! The files of crates.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use syn::punctuated::Punctuated;

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

/// A Rust file.
pub struct Source {
    /// Where the file is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The same, parsed.
    pub file: syn::File,
}

/// The Rust files below a folder that are no tests: those of a `mod` behind `#[cfg(test)]` are left
/// out, with what stands below them.
///
/// # Errors
/// A file that cannot be read, or is no Rust.
pub fn code_files(folder: &Path) -> io::Result<Vec<Source>> {
    let (mut found, mut tests) = (Vec::new(), Vec::new());
    for path in rust_files(folder)? {
        let text = fs::read_to_string(&path)?;
        let file = syn::parse_file(&text)
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let inside = match name {
            Some("lib.rs" | "main.rs" | "mod.rs") => path.with_file_name(""),
            _ => path.with_extension(""),
        };
        for item in &file.items {
            match item {
                syn::Item::Mod(child)
                    if child.content.is_none() && child.attrs.iter().any(is_test) =>
                {
                    tests.push(inside.join(child.ident.to_string()));
                }
                _ => {}
            }
        }
        found.push(Source { path, text, file });
    }
    found.retain(|source: &Source| {
        let module = source.path.with_extension("");
        !tests.iter().any(|test| module.starts_with(test))
    });
    Ok(found)
}

/// Whether this attribute says that something is there only for tests.
pub(crate) fn is_test(attribute: &syn::Attribute) -> bool {
    let condition = attribute
        .path()
        .is_ident("cfg")
        .then(|| attribute.parse_args());
    matches!(condition, Some(Ok(condition)) if needs_test(&condition))
}

fn needs_test(condition: &syn::Meta) -> bool {
    match condition {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("all") => {
            let all = Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated;
            list.parse_args_with(all)
                .is_ok_and(|all| all.iter().any(needs_test))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn files_of_tests_are_left_out() {
        let folder = std::env::temp_dir().join(format!("chat-house-{}", std::process::id()));
        fs::create_dir_all(folder.join("a/tests")).unwrap();
        for (path, text) in [
            ("lib.rs", "mod a; #[cfg(test)] mod testing;"),
            ("a.rs", "#[cfg(all(test, unix))] mod tests;"),
            ("testing.rs", ""),
            ("a/tests/mod.rs", "mod deep;"),
            ("a/tests/deep.rs", ""),
        ] {
            fs::write(folder.join(path), text).unwrap();
        }
        let found = super::code_files(&folder);
        fs::remove_dir_all(&folder).unwrap();
        let found = found.unwrap().into_iter();
        let found: Vec<_> = found
            .map(|source| source.path.strip_prefix(&folder).unwrap().to_owned())
            .collect();
        assert_eq!(found, [std::path::Path::new("a.rs"), "lib.rs".as_ref()]);
    }
}
