//! Runs tests of this folder by Node, where there are Node, Chromium and the packages. Included by
//! the tests of those who serve the page.

use std::{ffi::OsStr, path::Path, path::PathBuf, process::Command};

/// Runs these files; `programs` are the environment variables that name what is tested.
pub(crate) fn run(files: &[&str], programs: &[(&str, &OsStr)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chat-web/browser");
    let chromium = std::env::var_os("CHAT_CHROMIUM")
        .into_iter()
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
    let packages = ["playwright-core", "jsqr", "axe-core"]
        .iter()
        .all(|package| folder.join("node_modules").join(package).exists());
    let missing = match (chromium, node, packages) {
        (None, _, _) => "Chromium",
        (_, false, _) => "Node",
        (_, _, false) => "the packages (run `npm ci --ignore-scripts` in chat-web/browser)",
        (Some(chromium), true, true) => {
            let output = Command::new("node")
                .args(["--test", "--test-reporter=spec"])
                .args(files)
                .current_dir(&folder)
                .env("CHAT_CHROMIUM", chromium)
                .envs(programs.iter().copied())
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}\n{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            return;
        }
    };
    let what = format!("the page is not tested: {missing} is missing");
    assert!(std::env::var_os("CHAT_REQUIRE_ALL").is_none(), "{what}");
    // Not captured, unlike what a test prints.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("\nSKIPPED: {what}\n").as_bytes(),
    );
}
