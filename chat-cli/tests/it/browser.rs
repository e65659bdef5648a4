//! The page in a real Chromium: the tests in `chat-web/browser`.

#[path = "../../../chat-web/browser/run.rs"]
mod node;

#[test]
#[ignore = "long: two minutes of a browser"]
fn the_page_in_a_browser() {
    node::run(
        &[
            "chat.test.mjs",
            "commands.test.mjs",
            "invite.test.mjs",
            "lasting.test.mjs",
            "page.test.mjs",
            "reading.test.mjs",
            "staying.test.mjs",
        ],
        &[("CHAT_CLI", env!("CARGO_BIN_EXE_chat-cli").as_ref())],
    );
}
