//! A chat server. `cargo run -p chat-transport-tcp --example server -- [::]:7037`
#![allow(clippy::print_stdout, reason = "it says where it listens")]

use chat_runtime::Server;
use chat_transport_tcp::TcpTransport;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "[::]:7037".to_owned());
    let transport = TcpTransport::bind(address.parse()?)?;
    println!("listening tcp {}", transport.local_addr()?);
    let server = Server::builder().listen(transport).start()?;
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
