//! The built page in `dist/` is that of the sources beside it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

#[test]
fn the_built_page_is_up_to_date() {
    let chat_web = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read(chat_web.join("dist/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let built: BTreeMap<String, String> =
        serde_json::from_value(manifest["inputs"].clone()).unwrap();
    let workspace = chat_web.join("..");
    let mut now = BTreeMap::new();
    for input in manifest["made_of"].as_array().unwrap() {
        for path in files(&workspace.join(input.as_str().unwrap())) {
            let name = path.strip_prefix(&workspace).unwrap().to_str().unwrap();
            let digest = Sha256::digest(fs::read(&path).unwrap());
            let hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            now.insert(name.replace('\\', "/"), hash);
        }
    }
    let changed: Vec<&String> = built
        .keys()
        .chain(now.keys())
        .filter(|name| built.get(*name) != now.get(*name))
        .collect();
    assert!(
        changed.is_empty() && !built.is_empty(),
        "changed since the page was built: {changed:?}; run chat-web/build and commit chat-web/dist"
    );
}

/// Every file that the client is compiled of counts.
#[test]
fn what_the_page_is_made_of_is_known_to_the_last_file() {
    let manifest =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    for name in [
        "Cargo.lock",
        "Cargo.toml",
        "chat-core/src/small.rs",
        "chat-core/src/lib.rs",
        "chat-core/src/visible.rs",
        "chat-core/src/wire/frame.rs",
        "chat-web/bundle/Cargo.lock",
        "chat-web/client/src/words.rs",
        "chat-web/page/js/app.js",
    ] {
        assert!(manifest["inputs"][name].is_string(), "{name}");
    }
}

/// A file, or all files below a folder.
fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap();
    entries
        .flat_map(|entry| files(&entry.unwrap().path()))
        .collect()
}
