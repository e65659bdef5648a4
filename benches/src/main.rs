//! Measures the server beside the floor and beside other servers.

#[cfg(target_os = "linux")]
mod app;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    app::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    #![allow(clippy::print_stderr)]
    eprintln!("the measurements are for Linux");
    std::process::exit(2);
}
