//! The first lines of a server: where a browser, a phone and a terminal find it, and how it is
//! stopped.

use std::path::PathBuf;

use chat_core::{keys::Fingerprint, time::Wall};
use serde_json::Value;

use super::lines;
use crate::key_words;

/// A server that has started.
#[derive(Clone, Debug, Default)]
pub struct Greeting {
    /// The kind of each listener, and where it is.
    pub listening: Vec<(&'static str, String)>,
    /// Where browsers find the page, this machine's first.
    pub pages: Vec<String>,
    /// Browsers will warn of it: the server's certificate is its own.
    pub warned: bool,
    /// The page for a phone, if others can reach it.
    pub for_others: Option<String>,
    /// Where a terminal client connects to.
    pub client: Option<String>,
    /// The server's key, if it is known.
    pub key: Option<Fingerprint>,
    /// The folder of what is kept, if anything is.
    pub data: Option<PathBuf>,
}

impl Greeting {
    /// For a person. `terminal`: the columns of standard output, if it is a terminal.
    pub fn text(&self, terminal: Option<usize>) -> Vec<String> {
        let pages = self.pages.iter().map(|url| format!("page {url}"));
        let mut lines: Vec<String> = pages.collect();
        if self.warned {
            lines.push(
                "a browser will warn of https: the certificate is this server's own".to_owned(),
            );
        }
        if let (Some(columns), Some(url)) = (terminal, &self.for_others)
            && let Some(code) = super::qr_code(url, columns)
        {
            lines.extend(code);
        }
        if let Some(address) = &self.client {
            lines.push(format!("from a terminal: chat-cli chat {address}"));
        }
        let key = self.key.as_ref().map(key_words);
        lines.extend(key.map(|words| format!("server key: {words}")));
        lines.push("Ctrl-C stops the server".to_owned());
        lines.extend(
            self.data
                .as_ref()
                .map(|folder| format!("data {}", folder.display())),
        );
        let listening = self.listening.iter();
        lines.extend(listening.map(|(kind, address)| format!("listening {kind} {address}")));
        lines
    }

    /// For a program: one object a line.
    pub fn json(&self, at: Wall) -> Vec<String> {
        let listening = self.listening.iter().map(|(kind, address)| {
            vec![
                ("event", Value::from("listening")),
                ("transport", (*kind).into()),
                ("address", address.clone().into()),
            ]
        });
        let pages = self
            .pages
            .iter()
            .map(|url| vec![("event", "page".into()), ("url", url.clone().into())]);
        let key = self
            .key
            .iter()
            .map(|key| vec![("event", "key".into()), ("words", key_words(key).into())]);
        let data = self.data.iter().map(|folder| {
            let folder = folder.display().to_string();
            vec![("event", "data".into()), ("folder", folder.into())]
        });
        listening
            .chain(pages)
            .chain(key)
            .chain(data)
            .map(|fields| lines::json_of(fields, at))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::qr;

    fn greeting() -> Greeting {
        let url = |host: &str| format!("http://{host}:7037/");
        Greeting {
            listening: vec![("tcp", "[::]:7037".to_owned())],
            pages: vec![url("localhost"), url("192.168.1.5")],
            warned: false,
            for_others: Some(url("192.168.1.5")),
            client: Some("192.168.1.5".to_owned()),
            key: Some(Fingerprint([7; 16])),
            data: Some("/data".into()),
        }
    }

    #[test]
    fn a_code_is_drawn_where_there_is_place_for_it() {
        let lines = [
            "page http://localhost:7037/",
            "page http://192.168.1.5:7037/",
            "from a terminal: chat-cli chat 192.168.1.5",
            "server key: alpha deal scrub asthma idea logic",
            "Ctrl-C stops the server",
            "data /data",
            "listening tcp [::]:7037",
        ];
        assert_eq!(greeting().text(None), lines);
        assert_eq!(greeting().text(Some(20)), lines, "there is no place for it");
        let drawn = greeting().text(Some(80));
        assert_eq!(drawn[..2], lines[..2]);
        let code = qr::lines("http://192.168.1.5:7037/").unwrap();
        assert_eq!(drawn[2..][..code.len()], code);
        assert_eq!(drawn[2 + code.len()..], lines[2..]);
        // With the line of another listener it fits into a terminal of 80 × 24.
        assert!(drawn.len() < 24, "{}", drawn.len());
    }

    #[test]
    fn a_warning_of_browsers_is_told_before() {
        let mut greeting = greeting();
        greeting.warned = true;
        let lines = greeting.text(None);
        assert!(lines[2].contains("a browser will warn"), "{lines:?}");
    }

    #[test]
    fn programs_have_an_object_for_each() {
        let lines = greeting().json(Wall(0));
        assert_eq!(
            lines[0],
            r#"{"address":"[::]:7037","event":"listening","time":"1970-01-01T00:00:00.000Z","transport":"tcp"}"#
        );
        assert!(lines[1].contains(r#""url":"http://localhost:7037/""#));
        assert!(
            lines[3].contains(r#""event":"key""#)
                && lines[3].contains("alpha deal scrub asthma idea logic")
        );
        assert!(lines[4].contains(r#""event":"data","folder":"/data""#));
        assert_eq!(lines.len(), 5);
    }
}
