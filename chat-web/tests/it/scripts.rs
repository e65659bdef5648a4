//! The tests of scripts that need no browser: `browser/unit`, run by Node.

use std::{path::Path, process::Command};

#[test]
fn scripts_without_a_browser() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/unit");
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec"])
        .current_dir(&folder)
        .output();
    let Ok(output) = output else {
        let what = "the page's scripts are not tested: Node is missing";
        assert!(std::env::var_os("CHAT_REQUIRE_ALL").is_none(), "{what}");
        // Not captured, unlike what a test prints.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("\nSKIPPED: {what}\n").as_bytes(),
        );
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    // A runner that finds no tests succeeds, too.
    assert!(said.contains("cut between lines"), "{said}");
}
