//! Many who connect at the same moment, as browsers and bots do after a restart.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use chat_transport_tcp::TcpTransport;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Longer than the system takes to ask three times: a connection that finds no place fails.
const TOO_LONG: Duration = Duration::from_secs(5);

/// Connections that Linux holds for one listener at most.
fn system_maximum() -> usize {
    let text = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    text.trim().parse().unwrap()
}

/// Each connection is an open file of the test.
fn raise_limit_of_open_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// A request to connect that finds the queue full is dropped by Linux, and made again a second
/// later.
#[tokio::test]
async fn a_listener_holds_as_many_connections_as_the_system_allows() {
    raise_limit_of_open_files();
    let transport = TcpTransport::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = transport.local_addr().unwrap();
    let mut held = Vec::new();
    for n in 0..system_maximum().min(3_000) {
        let stream = TcpStream::connect_timeout(&address, TOO_LONG);
        held.push(stream.unwrap_or_else(|error| panic!("connection {n}: {error}")));
    }
}
