//! Puts the page together: `chat-web-bundle CLIENT.wasm`, run by `chat-web/build`.
//!
//! Out of the compiled client, `page/` and nothing else it makes `dist/`: bindings for the
//! WebAssembly, `index.html` with the name of the build in its links, every file as it is and
//! compressed, and `manifest.json` with the hashes of what went in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

/// All files together, compressed with brotli, in bytes.
const BUDGET: usize = 181_000;

/// The page, under the names of its forms: what it says of who one is, and where the WebSocket is,
/// seen from it.
const PAGES: &[(&str, &str, &str)] = &[
    ("index.html", "asked", "ws"),
    // An application knows who somebody is.
    ("known.html", "known", "ws"),
    // This form asks for a server's address, too.
    ("elsewhere.html", "asked", ""),
];

/// The sources of the page, seen from the workspace, beside those that the compiler says it has
/// read.
const INPUTS: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "chat-core/Cargo.toml",
    "chat-web/build",
    "chat-web/bundle/Cargo.lock",
    "chat-web/bundle/Cargo.toml",
    "chat-web/bundle/src",
    "chat-web/client/Cargo.toml",
    "chat-web/client/src",
    "chat-web/page",
];

fn main() -> Result<()> {
    let wasm = std::env::args()
        .nth(1)
        .context("name the compiled client")?;
    // As `cargo run` says it: what was compiled into it may be another folder, where several share
    // what is built.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("run it by chat-web/build")?;
    let chat_web = Path::new(&manifest).join("..").canonicalize()?;
    let workspace = chat_web.join("..").canonicalize()?;

    let mut files = bindings(Path::new(&wasm))?;
    for own in [Some(workspace.clone()), std::env::home_dir()] {
        let own = own.filter(|path| path.components().count() > 1);
        let Some(own) = own.as_ref().and_then(|path| path.to_str()) else {
            continue;
        };
        let has = |(_, bytes): &(&String, &Vec<u8>)| contains(bytes, own.as_bytes());
        if let Some((name, _)) = files.iter().find(has) {
            bail!("{name} has a folder of this machine in it: {own}");
        }
    }
    for folder in ["page", "page/js", "page/texts"] {
        for path in files_in(&chat_web.join(folder), false)? {
            let name = name(&path)?;
            ensure!(!files.contains_key(&name), "there are two files `{name}`");
            // Types are for whoever reads the sources.
            if name != "types.js" {
                files.insert(name, fs::read(&path)?);
            }
        }
    }
    for (name, bytes) in &mut files {
        if name.ends_with(".js") {
            *bytes = without_comments(std::str::from_utf8(bytes)?).into_bytes();
        }
    }
    let index = files
        .remove("index.html")
        .context("page/index.html is missing")?;
    let build = build_name(&files, &index);
    let mut pages = BTreeMap::new();
    let index = String::from_utf8(index)?;
    for (name, identity, endpoint) in PAGES {
        let page = fill(&index, &build, identity, endpoint, &files)?;
        pages.insert((*name).to_owned(), page.into_bytes());
    }
    files.extend(pages);

    let dist = chat_web.join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    fs::create_dir(&dist)?;
    let mut total = 0;
    let mut sizes = BTreeMap::new();
    for (name, bytes) in &files {
        let (brotli, gzip) = (brotli(bytes)?, gzip(bytes)?);
        fs::write(dist.join(name), bytes)?;
        fs::write(dist.join(format!("{name}.br")), &brotli)?;
        fs::write(dist.join(format!("{name}.gz")), &gzip)?;
        println!(
            "{:>8} {:>7} br {:>7} gz  {name}",
            bytes.len(),
            brotli.len(),
            gzip.len()
        );
        // A reader gets one form of the page, not the others.
        let other = PAGES[1..].iter().any(|(page, ..)| page == name);
        total += if other { 0 } else { brotli.len() };
        sizes.insert(
            name,
            json!({"raw": bytes.len(), "br": brotli.len(), "gz": gzip.len()}),
        );
    }
    println!("{total:>16} br in all");
    fs::write(dist.join("files.rs"), listed(&build, &files))?;
    let mut made_of: BTreeSet<String> = INPUTS.iter().map(|&input| input.to_owned()).collect();
    made_of.extend(sources(Path::new(&wasm), &workspace)?);
    let compiler = std::env::args().nth(2).context("name its compiler")?;
    let manifest = json!({"build": build, "compiler": compiler, "made_of": made_of, "inputs": inputs(&workspace, &made_of)?, "files": sizes});
    fs::write(dist.join("manifest.json"), format!("{manifest:#}\n"))?;
    ensure!(
        total <= BUDGET,
        "the page has {total} bytes, and {BUDGET} at most"
    );
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The client as a module for browsers, with the JavaScript that goes between.
fn bindings(wasm: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = std::env::temp_dir().join(format!("chat-web-bundle-{}", std::process::id()));
    Bindgen::new()
        .input_path(wasm)
        .out_name("chat_web_client")
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&folder)?;
    let files = files_in(&folder, false)?
        .iter()
        .map(|path| Ok((name(path)?, fs::read(path)?)))
        .collect::<Result<_>>();
    fs::remove_dir_all(&folder)?;
    files
}

/// Leaves out lines that are nothing but a comment: a third of the bytes, and nobody reads them
/// there.
fn without_comments(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let mut rest = line.trim();
        if inside || rest.starts_with("/**") {
            let end = rest.find("*/");
            inside = end.is_none();
            rest = end.map_or("", |end| rest[end + 2..].trim());
        }
        if !rest.is_empty() && !rest.starts_with("//") {
            kept += rest;
            kept.push('\n');
        }
    }
    kept
}

/// Changes when any file does.
fn build_name(files: &BTreeMap<String, Vec<u8>>, index: &[u8]) -> String {
    let mut digest = Sha256::new().chain_update(index);
    for (name, bytes) in files {
        digest.update(name);
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    }
    format!("b-{}", &hex(&digest.finalize())[..16])
}

/// Names the build, and has all modules fetched at once rather than one after the other.
fn fill(
    index: &str,
    build: &str,
    identity: &str,
    endpoint: &str,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<String> {
    let preloads: Vec<String> = files
        .keys()
        .filter(|name| name.ends_with(".js") && *name != "worker.js")
        .map(|name| format!("  <link rel=\"modulepreload\" href=\"./{build}/{name}\">"))
        .collect();
    let filled = index
        .replace("{{preloads}}", &preloads.join("\n"))
        .replace("{{build}}", build)
        .replace("{{identity}}", identity)
        .replace("{{endpoint}}", endpoint);
    ensure!(
        !filled.contains("{{"),
        "index.html has a gap that nobody fills"
    );
    Ok(filled)
}

/// The files as Rust has them embedded.
fn listed(build: &str, files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut list = format!(
        "// Written by chat-web/build.\n\npub(crate) const BUILD: &str = \"{build}\";\n\npub(crate) const FILES: &[File] = &[\n"
    );
    for name in files.keys() {
        list += &format!(
            "    File {{\n        name: \"{name}\",\n        raw: include_bytes!(\"{name}\"),\n        brotli: include_bytes!(\"{name}.br\"),\n        gzip: include_bytes!(\"{name}.gz\"),\n    }},\n"
        );
    }
    list + "];\n"
}

/// The sources of this workspace that the compiler has read for the client: it writes them down
/// beside what it makes.
fn sources(wasm: &Path, workspace: &Path) -> Result<Vec<String>> {
    let listed = wasm.with_extension("d");
    let text = fs::read_to_string(&listed).with_context(|| listed.display().to_string())?;
    let (_, all) = text.split_once(": ").context("no list of sources")?;
    // A space within a name has a backslash before it.
    let all = all.replace("\\ ", "\0");
    let names = all.split_whitespace().map(|path| {
        let path = path.replace('\0', " ");
        let inside = Path::new(&path)
            .strip_prefix(workspace)
            .with_context(|| path.clone())?;
        let name = inside.to_str().context("a name that is not UTF-8")?;
        Ok(name.replace('\\', "/"))
    });
    let names: Vec<String> = names.collect::<Result<_>>()?;
    ensure!(names.len() > 10, "the compiler has read {names:?} only");
    Ok(names)
}

fn inputs(workspace: &Path, made_of: &BTreeSet<String>) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    for input in made_of {
        let path = workspace.join(input);
        let files = if path.is_dir() {
            files_in(&path, true)?
        } else {
            vec![path]
        };
        for file in files {
            let name = file
                .strip_prefix(workspace)?
                .to_str()
                .context("a name that is not UTF-8")?;
            let bytes = fs::read(&file).with_context(|| name.to_owned())?;
            hashes.insert(name.replace('\\', "/"), hex(&Sha256::digest(bytes)));
        }
    }
    Ok(hashes)
}

fn files_in(folder: &Path, deep: bool) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        } else if deep {
            files.extend(files_in(&path, true)?);
        }
    }
    files.sort();
    Ok(files)
}

fn name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).context("a name that is not UTF-8")
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &parameters)?;
    Ok(out)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
