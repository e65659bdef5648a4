//! Programs that others made: nginx and Caddy before the server, curl and `nc` as clients.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::process::Program;

/// A proxy that runs until this is dropped.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        // A proxy may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a proxy, and waits until it listens there.
fn proxy(program: &str, args: &[&str], folder: &Path, port: u16) -> Option<Proxy> {
    let child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .env("HOME", folder)
        .env("XDG_DATA_HOME", folder)
        .env("XDG_CONFIG_HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        crate::usage::skipped(&format!("there is no {program} here"));
        return None;
    };
    let (mut proxy, begun) = (Proxy(child), Instant::now());
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert_eq!(proxy.0.try_wait().unwrap(), None, "{program} has ended");
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{program} does not listen"
        );
        thread::sleep(Duration::from_millis(50));
    }
    Some(proxy)
}

fn curl(args: &[&str]) -> String {
    let quietly = ["--silent", "--show-error", "--max-time", "60"];
    let asked = Command::new("curl")
        .args(quietly)
        .args(args)
        .output()
        .unwrap();
    let [out, err] =
        [asked.stdout, asked.stderr].map(|all| String::from_utf8_lossy(&all).into_owned());
    out + &err
}

/// A server in a folder of a proxy's, behind a Unix socket.
fn behind(socket: &Path) -> (Program, String) {
    let socket = format!("unix:{}", socket.display());
    let trusted = [
        "--listen",
        &socket,
        "--trusted-proxy",
        "unix",
        "--base-path",
        "/chat/",
    ];
    Program::server(&trusted)
}

/// A page, a WebSocket, and the address of the client, which no header of its own changes.
fn speaks_for_its_clients(mut server: Program, port: u16, direct: &str) {
    let page = format!("http://127.0.0.1:{port}/chat/");
    let answer = curl(&[
        "--include",
        "--header",
        "X-Forwarded-For: 203.0.113.9",
        &page,
    ]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut ada = Program::in_lobby(&format!("ws://127.0.0.1:{port}/chat/ws"), "Ada");
    server.until("client connected: 127.0.0.1");
    let mut berl = Program::in_lobby(&format!("wss://{direct}/chat/ws"), "Berl");
    ada.say("through a proxy");
    berl.until("through a proxy");
    berl.say("around it");
    ada.until("around it");
}

#[test]
#[ignore = "long: needs nginx"]
fn nginx_speaks_for_its_clients() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, port) = (folder.path().join("socket"), free_port());
    let (server, direct) = behind(&socket);
    let (socket, here) = (socket.display(), folder.path().display());
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders = kinds
        .map(|kind| format!("{kind}_temp_path {here}/{kind};"))
        .concat();
    let config = format!(
        "daemon off; master_process off; error_log stderr; pid {here}/pid; events {{}}
http {{ access_log off; {folders}
  server {{ listen 127.0.0.1:{port};
    location /chat/ {{
      proxy_pass http://unix:{socket}; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
    }} }} }}"
    );
    fs::write(folder.path().join("nginx.conf"), config).unwrap();
    let path = folder.path().join("nginx.conf");
    let args = [
        "-p",
        folder.path().to_str().unwrap(),
        "-c",
        path.to_str().unwrap(),
    ];
    if let Some(_nginx) = proxy("nginx", &args, folder.path(), port) {
        speaks_for_its_clients(server, port, &direct);
    }
}

#[test]
#[ignore = "long: needs Caddy"]
fn caddy_speaks_for_its_clients() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, port) = (folder.path().join("socket"), free_port());
    let (server, direct) = behind(&socket);
    let config = format!(
        "{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n reverse_proxy unix/{}\n}}\n",
        socket.display()
    );
    fs::write(folder.path().join("Caddyfile"), config).unwrap();
    let args = ["run", "--config", "Caddyfile", "--adapter", "caddyfile"];
    if let Some(_caddy) = proxy("caddy", &args, folder.path(), port) {
        speaks_for_its_clients(server, port, &direct);
    }
}

#[test]
#[ignore = "long: needs curl"]
fn curl_has_words_and_the_page() {
    let (_server, at) = Program::server(&["--plaintext", "never"]);
    let found = curl(&[
        "--insecure",
        "--location",
        "--include",
        &format!("http://{at}/"),
    ]);
    assert!(found.starts_with("HTTP/1.1 308"), "{found}");
    assert!(
        found.contains("HTTP/1.1 200 OK") && found.contains("<!doctype html>"),
        "{found}"
    );
    let words = curl(&["--insecure", &format!("https://{at}/ws")]);
    assert_eq!(words, "this is a WebSocket: connect with a chat client\n");
    let untrusting = curl(&[&format!("https://{at}/")]);
    assert!(untrusting.contains("certificate"), "{untrusting}");
}

/// As the README has it.
#[test]
#[ignore = "long: needs nc"]
fn a_shell_with_nc_is_a_client() {
    let (mut server, at) = Program::server(&[]);
    let (host, port) = at.rsplit_once(':').unwrap();
    let readme = include_str!("../../README.md");
    let begin = readme
        .find("    (echo '{\"type\":\"guest\"")
        .expect("the README has it");
    let end = begin + readme[begin..].find("nc localhost 7037").unwrap();
    let line = format!("{}nc {host} {port}", &readme[begin..end]);
    let mut nc = Program::spawn(Command::new("sh").arg("-c").arg(line));
    nc.until(r#""type":"welcome""#);
    server.until("log-in: nora");
    nc.say(r#"{"type":"bye"}"#);
    nc.until(r#""reason":"bye""#);
}
