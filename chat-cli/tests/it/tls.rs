//! One port, plain and encrypted, by the real program; and what TLS costs when it is idle.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use chat_runtime::{
    Client, Connector,
    chat_core::{client::ClientEvent, wire::client::RoomRef},
    client_config,
};
use chat_transport_tcp::TcpConnector;
use chat_transport_tls::{Chain, ClientTls, SelfSigned, TlsConnector, Trust};

use crate::process::{Program, run};

fn hello(nick: &str) -> String {
    format!(r#"{{"type":"guest","nick":"{nick}"}}"#)
}

/// The line that has this part in it.
fn until(lines: &mut impl BufRead, part: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(
            lines.read_line(&mut line).unwrap(),
            0,
            "{part} has not come"
        );
        if line.contains(part) {
            return line;
        }
    }
}

#[test]
fn all_that_speak_to_a_chat_meet_on_one_port() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", folder.path().join("socket").display());
    let more: &[&str] = if cfg!(unix) {
        &["--listen", &socket]
    } else {
        &[]
    };
    let (_server, at) = Program::server(more);
    let mut people = vec![
        Program::in_lobby(&at, "Ada"),
        Program::in_lobby(&format!("tls://{at}"), "Berl"),
        Program::in_lobby(&format!("ws://{at}/ws"), "Cora"),
        Program::in_lobby(&format!("wss://{at}/ws"), "Dov"),
    ];
    if cfg!(unix) {
        people.push(Program::in_lobby(&socket, "Ezra"));
    }
    // A shell and `nc` would do.
    let mut lines = TcpStream::connect(&at).unwrap();
    let mut heard = BufReader::new(lines.try_clone().unwrap());
    write!(lines, "{}\r\n\n", hello("nora")).unwrap();
    until(&mut heard, r#""type":"welcome""#);
    let join = r#"{"type":"request","id":1,"txn":1,"kind":"join","body":{"room":"lobby"}}"#;
    writeln!(lines, "{join}").unwrap();
    until(&mut heard, r#""kind":"join""#);
    let say = r#"{"type":"request","id":2,"txn":2,"kind":"send","body":{"room":"AAAAAAAAAAAAAAAAAAAAAA==","content":{"kind":"plain","body":{"text":"in lines"}}}}"#;
    writeln!(lines, "{say}").unwrap();
    for person in &mut people {
        person.until("nora: in lines");
    }
    people[1].say("over TLS");
    until(&mut heard, "over TLS");
    writeln!(lines, r#"{{"type":"bye"}}"#).unwrap();
    until(&mut heard, r#""reason":"bye""#);
}

#[test]
fn whoever_is_to_use_tls_and_does_not_is_told() {
    let (_server, at) = Program::server(&["--plaintext", "never"]);
    for (address, more) in [(&*format!("tcp://{at}"), &[][..]), (&at, &["--no-tls"])] {
        let ended = Program::client(address, "Ada", more).finish();
        assert!(ended.err.contains("TLS"), "{address}: {}", ended.err);
        assert_ne!(ended.code, Some(0));
    }
    let ended = Program::client(&format!("tls://{at}"), "Ada", &["--no-tls"]).finish();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    Program::in_lobby(&format!("tls://{at}"), "Ada");
    let mut lines = TcpStream::connect(&at).unwrap();
    writeln!(lines, "{}", hello("nora")).unwrap();
    let mut all = String::new();
    lines.read_to_string(&mut all).unwrap();
    assert!(
        all.contains(r#""reason":"tls_required""#) && all.ends_with('\n'),
        "{all}"
    );
    let mut page = TcpStream::connect(&at).unwrap();
    write!(page, "GET /x HTTP/1.1\r\nHost: {at}\r\n\r\n").unwrap();
    let mut all = String::new();
    page.read_to_string(&mut all).unwrap();
    assert!(
        all.contains(&format!("location: https://{at}/x\r\n")),
        "{all}"
    );
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, other) = (made(), made());
    let (one, other) = (file("one.pem", &one), file("other.pem", &other));
    let (nothing, nowhere) = (file("nothing", ""), "/nowhere/key.pem".to_owned());
    for (cert, key, part) in [
        (&one, &other, "one.pem"),
        (&nothing, &one, "nothing"),
        (&one, &nothing, "nothing"),
        (&one, &nowhere, "nowhere"),
    ] {
        let listen = ["serve", "--memory", "--listen", "127.0.0.1:0"];
        let ended = run(&[&listen[..], &["--tls-cert", cert, "--tls-key", key]].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
}

#[test]
fn a_person_takes_the_certificates_of_an_authority_alone_if_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ours, other) = (file("ours.pem"), file("other.pem"));
    written(Path::new(&ours), &made());
    written(Path::new(&other), &made());
    let (_server, at) = Program::server(&["--tls-cert", &ours, "--tls-key", &ours]);
    let port = at.rsplit_once(':').unwrap().1;
    for (url, ca, code) in [
        (format!("tls://localhost:{port}"), &ours, 0),
        (format!("wss://localhost:{port}/ws"), &ours, 0),
        (format!("tls://localhost:{port}"), &other, 3),
        // The certificate is for a name.
        (format!("tls://127.0.0.1:{port}"), &ours, 3),
        (format!("tcp://localhost:{port}"), &ours, 2),
        (format!("tls://localhost:{port}"), &file("nowhere"), 2),
    ] {
        let ended = run(&["chat", &url, "--nick", "Ada", "--tls-ca", ca]);
        assert_eq!(ended.code, Some(code), "{url} {ca}: {}", ended.err);
    }
}

/// A certificate and its key.
fn made() -> String {
    SelfSigned::new(&["localhost".to_owned()]).unwrap().pem
}

/// A connector that takes this certificate and no other.
fn only(pem: &str, at: &str) -> TlsConnector {
    let chain = Chain::from_pem(pem.as_bytes(), pem.as_bytes()).unwrap();
    let roots = chain.certificates().map(<[u8]>::to_vec).collect();
    let tls = ClientTls::new(Trust::Roots(roots), None).unwrap();
    let port = at.rsplit(':').next().unwrap().parse().unwrap();
    TlsConnector::new(TcpConnector::new("localhost", port), tls)
}

fn written(path: &Path, pem: &str) {
    // As those do that get certificates: a new file in the place of the old one.
    let part = path.with_extension("part");
    fs::write(&part, pem).unwrap();
    fs::rename(&part, path).unwrap();
}

#[test]
#[ignore = "long: files are looked at every 10 s"]
fn a_certificate_changes_while_five_hundred_talk() {
    const CLIENTS: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (
        folder.path().join("tls.pem"),
        folder.path().join("chat.toml"),
    );
    let (old, new) = (made(), made());
    written(&path, &old);
    fs::write(&config, MANY).unwrap();
    let file = path.to_str().unwrap();
    let config = config.to_str().unwrap();
    let (_server, at) =
        Program::server(&["--tls-cert", file, "--tls-key", file, "--config", config]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let connector = only(&old, &at);
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let config = client_config(format!("client{n}")).unwrap();
            let (client, mut events) = Client::connect(connector.clone(), config);
            client.join(RoomRef::Lobby).await.unwrap();
            let lost = tokio::spawn(async move {
                let mut lost = 0;
                while let Some(event) = events.next().await {
                    lost += usize::from(matches!(event, ClientEvent::Disconnected { .. }));
                }
                lost
            });
            clients.push((client, lost));
        }
        written(&path, &new);
        let replaced = only(&new, &at);
        let mut said = 0;
        // They talk until it is there.
        let mut at_last = None;
        for round in 0..60 {
            if let Ok(connection) = replaced.connect().await {
                at_last = Some(connection);
                break;
            }
            let (client, _) = &clients[round * 7 % CLIENTS];
            let lobby = client.join(RoomRef::Lobby).await.unwrap().room;
            client.send(lobby, "still here").await.unwrap();
            said += 1;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(
            at_last.is_some() && said > 0,
            "the new certificate is shown"
        );
        assert!(
            connector.connect().await.is_err(),
            "the old one is not any more"
        );
        for (client, _) in &clients {
            let lobby = client.join(RoomRef::Lobby).await.unwrap().room;
            client.send(lobby, "still here").await.unwrap();
        }
        for (client, lost) in clients {
            client.close().await;
            // The end that it asked for is one.
            assert!(lost.await.unwrap() <= 1);
        }
    });
}

/// Limits for many clients at one address.
const MANY: &str = "
[limits]
connections = 20000
connections_per_address = 20000
newcomers_per_address = { burst = 100000, every = 0.001 }
";

/// Resident memory of the server for each idle member over TLS, as the slope between 1,000 and
/// 10,000 of them.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "long: 10,000 connections"]
#[expect(clippy::print_stdout, reason = "the figure is what the test is for")]
fn an_idle_member_over_tls_takes_less_than_eight_kilobytes() {
    use std::{future::poll_fn, io::IoSlice};

    use chat_runtime::{
        Connection, Interest,
        chat_core::{
            id::{Secret, SessionId},
            wire::{ClientMessage, Form, client::GuestHello},
        },
    };
    use chat_transport_tcp::TcpConnection;
    use chat_transport_tls::{ALPN_CHAT, TlsConnection};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    const FEW: usize = 1_000;
    const MANY_MORE: usize = 9_000;

    async fn member(tls: &ClientTls, tcp: &TcpConnector, n: usize) -> TlsConnection<TcpConnection> {
        let (stream, peer) = tcp.open().await.unwrap();
        let stream = TcpConnection::new(stream, peer);
        let mut end = tls.open(stream, "localhost", ALPN_CHAT).await.unwrap();
        let mut secret = [7; 32];
        secret[..8].copy_from_slice(&n.to_be_bytes());
        let guest = GuestHello {
            nick: format!("member{n}"),
            label: String::new(),
            agent: String::new(),
            secret: Some(Secret(secret)),
            session: SessionId(1),
            resume: Vec::new(),
        };
        let frame = Form::Postcard.encode(&ClientMessage::GuestHello(guest));
        end.try_write_vectored(&[IoSlice::new(frame.prefixed())])
            .unwrap();
        poll_fn(|cx| end.poll_flush(cx)).await.unwrap();
        let mut welcome = [0; 4_096];
        loop {
            poll_fn(|cx| end.poll_ready(cx, Interest::Read))
                .await
                .unwrap();
            match end.try_read(&mut welcome) {
                Ok(read) => {
                    assert_eq!(welcome[4], 2, "{:?}", &welcome[..read.unwrap()]);
                    return end;
                }
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
    }

    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("chat.toml");
    fs::write(&config, format!("{MANY}ping = 3600\nidle = 7200\n")).unwrap();
    let config = config.to_str().unwrap();
    let (server, at) = Program::server(&["--quiet", "--workers", "1", "--config", config]);
    let resident = || {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", server.id())).unwrap();
        let line = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Rss:"))
            .unwrap();
        let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
        kilobytes * 1_024
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let each = runtime.block_on(async {
        let tls = ClientTls::new(Trust::AnyCertificate, None).unwrap();
        let tcp = TcpConnector::new("127.0.0.1", at.rsplit(':').next().unwrap().parse().unwrap());
        let mut members = Vec::new();
        for n in 0..FEW {
            members.push(member(&tls, &tcp, n).await);
        }
        let few = resident();
        for n in 0..MANY_MORE {
            members.push(member(&tls, &tcp, FEW + n).await);
        }
        (resident() - few) / MANY_MORE
    });
    println!("{each} bytes for each idle member over TLS");
    assert!(each <= 8_192, "{each} bytes for each");
}
