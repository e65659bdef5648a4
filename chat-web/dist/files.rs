// Written by chat-web/build.

pub(crate) const BUILD: &str = "b-d69157cfcfcc0ad3";

pub(crate) const FILES: &[File] = &[
    File {
        name: "app.css",
        raw: include_bytes!("app.css"),
        brotli: include_bytes!("app.css.br"),
        gzip: include_bytes!("app.css.gz"),
    },
    File {
        name: "app.js",
        raw: include_bytes!("app.js"),
        brotli: include_bytes!("app.js.br"),
        gzip: include_bytes!("app.js.gz"),
    },
    File {
        name: "chat_web_client.js",
        raw: include_bytes!("chat_web_client.js"),
        brotli: include_bytes!("chat_web_client.js.br"),
        gzip: include_bytes!("chat_web_client.js.gz"),
    },
    File {
        name: "chat_web_client_bg.wasm",
        raw: include_bytes!("chat_web_client_bg.wasm"),
        brotli: include_bytes!("chat_web_client_bg.wasm.br"),
        gzip: include_bytes!("chat_web_client_bg.wasm.gz"),
    },
    File {
        name: "claim.js",
        raw: include_bytes!("claim.js"),
        brotli: include_bytes!("claim.js.br"),
        gzip: include_bytes!("claim.js.gz"),
    },
    File {
        name: "composer.js",
        raw: include_bytes!("composer.js"),
        brotli: include_bytes!("composer.js.br"),
        gzip: include_bytes!("composer.js.gz"),
    },
    File {
        name: "dialogs.js",
        raw: include_bytes!("dialogs.js"),
        brotli: include_bytes!("dialogs.js.br"),
        gzip: include_bytes!("dialogs.js.gz"),
    },
    File {
        name: "dom.js",
        raw: include_bytes!("dom.js"),
        brotli: include_bytes!("dom.js.br"),
        gzip: include_bytes!("dom.js.gz"),
    },
    File {
        name: "elsewhere.html",
        raw: include_bytes!("elsewhere.html"),
        brotli: include_bytes!("elsewhere.html.br"),
        gzip: include_bytes!("elsewhere.html.gz"),
    },
    File {
        name: "en.js",
        raw: include_bytes!("en.js"),
        brotli: include_bytes!("en.js.br"),
        gzip: include_bytes!("en.js.gz"),
    },
    File {
        name: "icon.svg",
        raw: include_bytes!("icon.svg"),
        brotli: include_bytes!("icon.svg.br"),
        gzip: include_bytes!("icon.svg.gz"),
    },
    File {
        name: "index.html",
        raw: include_bytes!("index.html"),
        brotli: include_bytes!("index.html.br"),
        gzip: include_bytes!("index.html.gz"),
    },
    File {
        name: "known.html",
        raw: include_bytes!("known.html"),
        brotli: include_bytes!("known.html.br"),
        gzip: include_bytes!("known.html.gz"),
    },
    File {
        name: "linked.js",
        raw: include_bytes!("linked.js"),
        brotli: include_bytes!("linked.js.br"),
        gzip: include_bytes!("linked.js.gz"),
    },
    File {
        name: "links.js",
        raw: include_bytes!("links.js"),
        brotli: include_bytes!("links.js.br"),
        gzip: include_bytes!("links.js.gz"),
    },
    File {
        name: "log.js",
        raw: include_bytes!("log.js"),
        brotli: include_bytes!("log.js.br"),
        gzip: include_bytes!("log.js.gz"),
    },
    File {
        name: "model.js",
        raw: include_bytes!("model.js"),
        brotli: include_bytes!("model.js.br"),
        gzip: include_bytes!("model.js.gz"),
    },
    File {
        name: "panels.js",
        raw: include_bytes!("panels.js"),
        brotli: include_bytes!("panels.js.br"),
        gzip: include_bytes!("panels.js.gz"),
    },
    File {
        name: "room.js",
        raw: include_bytes!("room.js"),
        brotli: include_bytes!("room.js.br"),
        gzip: include_bytes!("room.js.gz"),
    },
    File {
        name: "session.js",
        raw: include_bytes!("session.js"),
        brotli: include_bytes!("session.js.br"),
        gzip: include_bytes!("session.js.gz"),
    },
    File {
        name: "slash.js",
        raw: include_bytes!("slash.js"),
        brotli: include_bytes!("slash.js.br"),
        gzip: include_bytes!("slash.js.gz"),
    },
    File {
        name: "store.js",
        raw: include_bytes!("store.js"),
        brotli: include_bytes!("store.js.br"),
        gzip: include_bytes!("store.js.gz"),
    },
    File {
        name: "texts.js",
        raw: include_bytes!("texts.js"),
        brotli: include_bytes!("texts.js.br"),
        gzip: include_bytes!("texts.js.gz"),
    },
    File {
        name: "timeline.js",
        raw: include_bytes!("timeline.js"),
        brotli: include_bytes!("timeline.js.br"),
        gzip: include_bytes!("timeline.js.gz"),
    },
    File {
        name: "typing.js",
        raw: include_bytes!("typing.js"),
        brotli: include_bytes!("typing.js.br"),
        gzip: include_bytes!("typing.js.gz"),
    },
    File {
        name: "words.js",
        raw: include_bytes!("words.js"),
        brotli: include_bytes!("words.js.br"),
        gzip: include_bytes!("words.js.gz"),
    },
    File {
        name: "worker.js",
        raw: include_bytes!("worker.js"),
        brotli: include_bytes!("worker.js.br"),
        gzip: include_bytes!("worker.js.gz"),
    },
];
