//! TLS on the port: the same inside, and `openssl` at the other end.

use std::{
    io::{ErrorKind, IoSlice, Write},
    process::{Command, Stdio},
    time::Duration,
};

use chat_runtime::{
    Connection, Connector, Transport,
    chat_core::{hub::Framing, wire::Form},
};
use chat_transport_port::{Plaintext, PortOptions};
use chat_transport_tcp::{TcpConnection, TcpConnector};
use chat_transport_tls::{ALPN_CHAT, Chain, ClientTls, SelfSigned, ServerTls, TlsConnector, Trust};
use chat_transport_ws::WsConnector;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::hand::{HANDSHAKE, accepted, bind, ping, read};

fn own() -> Chain {
    let made = SelfSigned::new(&["localhost".to_owned()]).unwrap();
    made.chain().unwrap()
}

/// A port that speaks nothing but TLS.
fn strict() -> PortOptions {
    let tls = ServerTls::new(own()).unwrap();
    PortOptions::default().tls(tls).plaintext(Plaintext::Never)
}

fn any() -> ClientTls {
    ClientTls::new(Trust::AnyCertificate, None).unwrap()
}

#[tokio::test]
async fn inside_it_is_the_same_again() {
    let (mut transport, address) = bind(strict());
    let lines = ping(Form::Json).in_framing(Framing::Lines);
    let frames = ping(Form::Postcard).in_framing(Framing::Stream);
    for (bytes, framing, form, all) in [
        (&frames[..], Framing::Stream, Form::Postcard, &frames[..]),
        (&lines, Framing::Lines, Form::Json, &lines),
        (HANDSHAKE.as_bytes(), Framing::Message, Form::Json, &[]),
    ] {
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = TcpConnection::new(stream, address);
        let near = async {
            let mut near = any().open(stream, "localhost", ALPN_CHAT).await.unwrap();
            near.try_write_vectored(&[IoSlice::new(bytes)]).unwrap();
            near
        };
        let (near, mut far) = tokio::join!(near, accepted(&mut transport));
        assert_eq!((far.framing(), far.form()), (framing, form));
        assert_eq!(far.address(), Some(address.ip()));
        assert_eq!(near.channel_binding(), far.channel_binding());
        assert!(far.channel_binding().is_some());
        if !all.is_empty() {
            assert_eq!(read(&mut *far).await.unwrap().unwrap(), all);
        }
    }
}

#[tokio::test]
async fn our_own_clients_connect() {
    let (mut transport, address) = bind(strict());
    let tcp = TcpConnector::new("localhost", address.port());
    let url = format!("wss://localhost:{}/ws", address.port());
    let ws = WsConnector::new(&url).unwrap().tls(any());
    let connectors: [Box<dyn Connector>; 2] =
        [Box::new(TlsConnector::new(tcp, any())), Box::new(ws)];
    for connector in connectors {
        let near = async {
            let mut near = connector.connect().await.unwrap();
            let message = match near.framing() {
                Framing::Message => ping(Form::Postcard).body(),
                framing => ping(Form::Postcard).in_framing(framing),
            };
            near.try_write_vectored(&[IoSlice::new(&message)]).unwrap();
            near
        };
        let (mut near, mut far) = tokio::join!(near, accepted(&mut transport));
        let framing = near.framing();
        assert_eq!(far.framing(), framing);
        let said = read(&mut *far).await.unwrap().unwrap();
        assert_eq!(said, ping(Form::Postcard).in_framing(framing));
        let answer = ping(Form::Postcard).in_framing(framing);
        far.try_write_vectored(&[IoSlice::new(&answer)]).unwrap();
        assert_eq!(read(&mut *near).await.unwrap().unwrap(), answer);
    }
    // The authorities of the web do not know it.
    let untrusting = WsConnector::new(&url).unwrap();
    tokio::select! {
        refused = untrusting.connect() => {
            let error = refused.err().unwrap().to_string();
            assert!(error.contains("certificate"), "{error}");
        }
        _ = transport.accept() => panic!("it is let in"),
    }
}

/// A peer that stalls in its handshake costs its own time.
#[tokio::test]
async fn who_stalls_is_ended_and_holds_up_nobody() {
    let time = Duration::from_millis(500);
    let (mut transport, address) = bind(strict().handshake(time));
    let mut stalled = Vec::new();
    for begun in [&[0x16][..], &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]] {
        let mut near = TcpStream::connect(address).await.unwrap();
        near.write_all(begun).await.unwrap();
        stalled.push(near);
    }
    // Hands are shaken, and nothing is said.
    let stream = TcpConnection::new(TcpStream::connect(address).await.unwrap(), address);
    let tls = any();
    let silent = tls.open(stream, "localhost", ALPN_CHAT);
    let mut silent = tokio::select! {
        silent = silent => silent.unwrap(),
        _ = transport.accept() => panic!("nothing is said"),
    };
    let ends = async {
        for near in &mut stalled {
            let mut all = Vec::new();
            let _ = near.read_to_end(&mut all).await;
        }
        let end = read(&mut silent).await;
        assert!(matches!(end, Ok(None) | Err(_)), "{end:?}");
    };
    tokio::select! {
        () = ends => {}
        _ = transport.accept() => panic!("nothing is said"),
    }
}

/// An `openssl s_client` that is told these lines.
fn s_client(port: u16, more: &[&str], said: &str) -> String {
    let address = format!("127.0.0.1:{port}");
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &address])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    client
        .stdin
        .take()
        .unwrap()
        .write_all(said.as_bytes())
        .unwrap();
    let ended = client.wait_with_output().unwrap();
    let [out, err] =
        [ended.stdout, ended.stderr].map(|all| String::from_utf8_lossy(&all).into_owned());
    out + &err
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_asks_for_a_page_and_knows_the_binding() {
    let page = |_: &_| hyper::Response::new(bytes::Bytes::from_static(b"the page"));
    let (mut transport, address) = bind(strict().otherwise(page));
    let port = address.port();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let asked =
        tokio::task::spawn_blocking(move || s_client(port, &["-alpn", "http/1.1"], request));
    let answer = tokio::select! {
        answer = asked => answer.unwrap(),
        _ = transport.accept() => panic!("it is a page"),
    };
    assert!(
        answer.contains("HTTP/1.1 200 OK") && answer.contains("the page"),
        "{answer}"
    );
    // The certificate is its own issuer.
    assert!(!answer.contains("strict-transport-security"), "{answer}");
    let client = move || {
        let label = "EXPORTER-Channel-Binding";
        let exported = ["-keymatexport", label, "-keymatexportlen", "32"];
        let address = format!("127.0.0.1:{port}");
        let mut client = Command::new("openssl");
        client
            .args(["s_client", "-tls1_3", "-connect", &address])
            .args(exported);
        let mut client = client
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(b"{\n").unwrap();
        let out = client.wait_with_output().unwrap().stdout;
        String::from_utf8_lossy(&out).into_owned()
    };
    let client = tokio::task::spawn_blocking(client);
    let far = accepted(&mut transport).await;
    let binding = far.channel_binding().unwrap();
    drop(far);
    let binding: String = binding.iter().map(|byte| format!("{byte:02X}")).collect();
    let out = client.await.unwrap();
    assert!(
        out.contains(&format!("Keying material: {binding}")),
        "{binding} {out}"
    );
}

/// A server that lets in nobody without a certificate of its authority: `openssl`, which says each
/// line backwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_shows_its_own_certificate_where_it_is_asked() {
    let folder = std::env::temp_dir().join(format!("chat-port-mutual-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let made = |name: &str| {
        let made = SelfSigned::new(&[name.to_owned()]).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), &made.pem).unwrap();
        made.chain().unwrap()
    };
    let (server, client, stranger) = (made("localhost"), made("client"), made("stranger"));
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let mut asking = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-tls1_3",
            "-rev",
        ])
        .args([
            "-cert",
            "localhost.pem",
            "-key",
            "localhost.pem",
            "-alpn",
            "chat/1",
        ])
        .args([
            "-Verify",
            "1",
            "-verify_return_error",
            "-CAfile",
            "client.pem",
        ])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    let roots = Trust::Roots(server.certificates().map(<[u8]>::to_vec).collect());
    let says = async |own: Option<&Chain>| {
        let tls = ClientTls::new(roots.clone(), own).unwrap();
        let connector = TlsConnector::new(TcpConnector::new("localhost", port), tls);
        let mut near = loop {
            match connector.connect().await {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                near => break near?,
            }
        };
        near.try_write_vectored(&[IoSlice::new(b"hello\n")])?;
        let said = read(&mut *near).await?;
        said.ok_or_else(|| std::io::Error::from(ErrorKind::UnexpectedEof))
    };
    assert_eq!(says(Some(&client)).await.unwrap(), b"olleh\n");
    // TLS 1.3 tells a client after its handshake.
    assert!(says(None).await.is_err());
    assert!(says(Some(&stranger)).await.is_err());
    asking.kill().unwrap();
    asking.wait().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// With an authority's certificate, browsers learn to ask over TLS alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_learns_it_where_somebody_vouches_for_the_certificate() {
    let folder = std::env::temp_dir().join(format!("chat-port-ca-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=authority -keyout ca.key -out ca.pem && \
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out csr.pem && \
        openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -out cert.pem";
    let made = Command::new("sh")
        .arg("-ec")
        .arg(script)
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let chain = Chain::from_pem(&file("cert.pem"), &file("key.pem")).unwrap();
    assert!(!chain.is_self_signed());
    let authority = Chain::from_pem(&file("ca.pem"), &file("ca.key")).unwrap();
    assert!(authority.is_self_signed());
    let roots = Trust::roots_from_pem(&file("ca.pem")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let options = PortOptions::default().tls(ServerTls::new(chain).unwrap());
    let (mut transport, address) = bind(options);
    let port = address.port();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let asked = tokio::task::spawn_blocking(move || s_client(port, &[], request));
    let answer = tokio::select! {
        answer = asked => answer.unwrap(),
        _ = transport.accept() => panic!("it is no page"),
    };
    assert!(
        answer.contains("strict-transport-security: max-age=15768000"),
        "{answer}"
    );
    // Over the plain wire it would not be believed.
    let plain = async {
        let mut near = TcpStream::connect(address).await.unwrap();
        near.write_all(request.as_bytes()).await.unwrap();
        let mut all = String::new();
        near.read_to_string(&mut all).await.unwrap();
        assert!(
            all.starts_with("HTTP/1.1 404") && !all.contains("strict"),
            "{all}"
        );
    };
    tokio::select! {
        () = plain => {}
        _ = transport.accept() => panic!("it is no page"),
    }
    let tls = ClientTls::new(roots, None).unwrap();
    let tcp = TcpConnector::new("localhost", port);
    let connector = TlsConnector::new(tcp, tls);
    tokio::select! {
        trusted = connector.open() => drop(trusted.unwrap()),
        _ = transport.accept() => panic!("nothing is said"),
    }
}
