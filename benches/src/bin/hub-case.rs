//! Does one case of the hub: once to warm up, and once where callgrind counts it.

#[cfg(target_os = "linux")]
fn main() {
    use chat_bench::hub::{cases, counts};
    let name = std::env::args().nth(1).unwrap_or_default();
    let case = cases::named(&name).expect("the name of a case");
    let mut work = (case.prepare)();
    work();
    counts::counted_region(&mut *work);
}

#[cfg(not(target_os = "linux"))]
fn main() {}
