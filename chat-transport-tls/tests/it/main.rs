//! TLS between our own ends over TCP, and with `rustls` as it is at the other one.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use chat_runtime::{Connection, Interest};
use chat_transport_tcp::{TcpConnection, TcpConnector, TcpTransport};
use chat_transport_tls::{
    Chain, ClientTls, SelfSigned, ServerTls, TlsConnection, TlsConnector, Trust,
};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::time::timeout;

type Far = TlsConnection<TcpConnection>;

fn own(name: &str) -> Chain {
    SelfSigned::new(&[name.to_owned()])
        .unwrap()
        .chain()
        .unwrap()
}

fn listener() -> (TcpTransport, SocketAddr) {
    let listener = TcpTransport::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn connector(address: SocketAddr, host: &str, trust: Trust) -> TlsConnector {
    let tls = ClientTls::new(trust, None).unwrap();
    TlsConnector::new(TcpConnector::new(host, address.port()), tls)
}

async fn met(listener: &mut TcpTransport, tls: &ServerTls) -> io::Result<Far> {
    let (socket, peer) = listener.accept_socket().await?;
    let mut far = tls.begin(TcpConnection::of_socket(socket, Some(peer.ip())))?;
    far.shake_hands().await?;
    Ok(far)
}

/// A connection with both ends.
async fn pair(tls: &ServerTls) -> (Far, Far) {
    let (mut listener, address) = listener();
    let client = connector(address, "127.0.0.1", Trust::AnyCertificate);
    let (near, far) = tokio::join!(client.open(), met(&mut listener, tls));
    (near.unwrap(), far.unwrap())
}

async fn write(end: &mut Far, mut bytes: &[u8], piece: usize) {
    while !bytes.is_empty() {
        let pieces: Vec<IoSlice<'_>> = bytes.chunks(piece).take(50).map(IoSlice::new).collect();
        match end.try_write_vectored(&pieces) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        poll_fn(|cx| end.poll_ready(cx, Interest::Write))
            .await
            .unwrap();
    }
    poll_fn(|cx| end.poll_flush(cx)).await.unwrap();
}

async fn read(end: &mut Far, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        poll_fn(|cx| end.poll_ready(cx, Interest::Read)).await?;
        match end.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

#[tokio::test]
async fn all_bytes_come_in_order_whatever_the_pieces() {
    let tls = ServerTls::new(own("localhost")).unwrap();
    let all: Vec<u8> = (0..1_000_000_u32)
        .flat_map(u32::to_be_bytes)
        .take(1 << 20)
        .collect();
    for (piece, buffer) in [
        (1 << 20, 65_536),
        (1_000, 70_000),
        (16_385, 100),
        (7, 5_000),
    ] {
        let all = &all[..all.len().min(piece * 3_000)];
        let (mut near, mut far) = pair(&tls).await;
        let (one, other) = if piece % 2 == 0 {
            (&mut near, &mut far)
        } else {
            (&mut far, &mut near)
        };
        let reading = async {
            let (mut seen, mut buffer) = (Vec::new(), vec![0; buffer]);
            while seen.len() < all.len() {
                let read = read(other, &mut buffer).await.unwrap().expect("more comes");
                seen.extend_from_slice(&buffer[..read]);
            }
            assert!(seen == all);
        };
        tokio::join!(write(one, all, piece), reading);
        poll_fn(|cx| one.poll_close(cx, None)).await.unwrap();
        assert_eq!(read(other, &mut [0; 9]).await.unwrap(), None);
        assert!(one.try_write_vectored(&[IoSlice::new(b"x")]).is_err());
    }
}

#[tokio::test]
async fn both_ends_know_the_same_binding_and_no_other_connection_does() {
    let tls = ServerTls::new(own("localhost")).unwrap();
    let (one, other) = (pair(&tls).await, pair(&tls).await);
    let [near, far, again] = [&one.0, &one.1, &other.0].map(|end| end.channel_binding().unwrap());
    assert_eq!(near, far);
    assert_ne!(near, again);
}

/// The value is the one of `rustls`, for each suite.
#[test]
fn the_binding_is_that_of_the_standard() {
    let tls = ServerTls::new(own("localhost")).unwrap();
    for suite in rustls::crypto::ring::default_provider().cipher_suites {
        let Some(_) = suite.tls13() else { continue };
        let provider = rustls::crypto::CryptoProvider {
            cipher_suites: vec![suite],
            ..rustls::crypto::ring::default_provider()
        };
        let mut roots = RootCertStore::empty();
        for certificate in tls.chain().certificates() {
            roots.add(certificate.to_vec().into()).unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (mut listener, address) = runtime.block_on(async { listener() });
        let client = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let mut near = rustls::Stream::new(&mut session, &mut stream);
            near.write_all(b"ping").unwrap();
            let mut answer = [0; 4];
            near.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"pong");
            let label = b"EXPORTER-Channel-Binding";
            session
                .export_keying_material([0; 32], label, None)
                .unwrap()
        });
        let binding = runtime.block_on(async {
            let mut far = met(&mut listener, &tls).await.unwrap();
            assert_eq!(far.first_byte().await.unwrap(), Some(b'p'));
            let mut said = [0; 9];
            assert_eq!(read(&mut far, &mut said).await.unwrap(), Some(4));
            write(&mut far, b"pong", 4).await;
            far.channel_binding()
        });
        assert_eq!(binding, Some(client.join().unwrap()), "{suite:?}");
    }
}

#[tokio::test]
async fn a_client_takes_what_it_trusts() {
    let chain = own("chat.example.org");
    let tls = ServerTls::new(own("localhost")).unwrap();
    let roots = |chain: &Chain| Trust::Roots(chain.certificates().map(<[u8]>::to_vec).collect());
    let here = tls.chain();
    for (host, trust, taken) in [
        ("127.0.0.1", Trust::AnyCertificate, true),
        ("localhost", Trust::AnyCertificate, true),
        ("localhost", roots(&here), true),
        ("127.0.0.1", roots(&here), false),
        ("localhost", roots(&chain), false),
        ("localhost", Trust::WebRoots, false),
    ] {
        let (mut listener, address) = listener();
        let client = connector(address, host, trust.clone());
        let (near, far) = tokio::join!(client.open(), met(&mut listener, &tls));
        assert_eq!(near.is_ok(), taken, "{host} {trust:?}");
        assert_eq!(far.is_ok(), taken, "the server is told: {far:?}");
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_beside_those_that_talk() {
    let (old, new) = (own("old.example.org"), own("new.example.org"));
    let tls = ServerTls::new(old.clone()).unwrap();
    let (mut near, mut far) = pair(&tls).await;
    tls.replace(new.clone());
    assert!(tls.chain().certificates().eq(new.certificates()));
    pair(&tls).await;
    write(&mut near, b"still here", 10).await;
    let mut said = [0; 20];
    assert_eq!(read(&mut far, &mut said).await.unwrap(), Some(10));
    assert_eq!(&said[..10], b"still here");
}

#[tokio::test]
async fn what_is_no_tls_is_ended_with_an_alert() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let tls = ServerTls::new(own("localhost")).unwrap();
    let (mut listener, address) = listener();
    let mut near = tokio::net::TcpStream::connect(address).await.unwrap();
    near.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 9])
        .await
        .unwrap();
    let error = met(&mut listener, &tls).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    let mut alert = Vec::new();
    let _ = near.read_to_end(&mut alert).await;
    assert_eq!(alert.first(), Some(&0x15), "{alert:?}");
    // One that ends in the middle of it.
    let near = tokio::net::TcpStream::connect(address).await.unwrap();
    drop(near);
    let ended = timeout(Duration::from_secs(9), met(&mut listener, &tls)).await;
    assert!(ended.expect("the end is noticed").is_err());
}

#[test]
fn a_certificate_of_ones_own_is_told_from_an_authority_s() {
    assert!(own("localhost").is_self_signed());
    let made = SelfSigned::new(&["localhost".to_owned()]).unwrap();
    assert!(made.pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(made.pem.lines().all(|line| line.len() <= 64));
    let other = SelfSigned::new(&["localhost".to_owned()]).unwrap();
    assert!(Chain::from_pem(made.pem.as_bytes(), other.pem.as_bytes()).is_err());
    assert!(Chain::from_pem(b"", made.pem.as_bytes()).is_err());
    assert!(Chain::from_pem(made.pem.as_bytes(), b"").is_err());
    assert!(Trust::roots_from_pem(made.pem.as_bytes()).is_ok());
    assert!(Trust::roots_from_pem(b"nothing").is_err());
}
