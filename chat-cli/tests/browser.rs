//! The page in a real Chromium: the tests in `chat-web/browser`, run by Node, where there are both.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn the_page_in_a_browser() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chat-web/browser");
    let chromium = ["CHAT_CHROMIUM"]
        .iter()
        .filter_map(std::env::var_os)
        .map(PathBuf::from)
        .chain([
            "/usr/bin/chromium".into(),
            "/usr/bin/chromium-browser".into(),
        ])
        .find(|path| path.exists());
    let node = Command::new("node")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    let packages = folder.join("node_modules/playwright-core").exists();
    let missing = match (&chromium, node, packages) {
        (None, _, _) => "Chromium",
        (_, false, _) => "Node",
        (_, _, false) => "the packages (run `npm ci --ignore-scripts` in chat-web/browser)",
        (Some(chromium), true, true) => return run(&folder, chromium),
    };
    let what = format!("the page is not tested: {missing} is missing");
    assert!(std::env::var_os("CHAT_REQUIRE_ALL").is_none(), "{what}");
    // Not captured, unlike what a test prints.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("\nSKIPPED: {what}\n").as_bytes(),
    );
}

fn run(folder: &Path, chromium: &Path) {
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec", "chat.test.mjs"])
        .current_dir(folder)
        .env("CHAT_CLI", env!("CARGO_BIN_EXE_chat-cli"))
        .env("CHAT_CHROMIUM", chromium)
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}",
        said(&output.stdout),
        said(&output.stderr)
    );
}
