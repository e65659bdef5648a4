//! Counts the allocations of every case of the hub, and prints them as JSON; or, called with
//! `kept`, the bytes that hubs keep. Here alone every allocation is counted.

#[cfg(target_os = "linux")]
fn main() {
    #![allow(clippy::print_stdout)]
    use chat_bench::{facts::kept::Kept, hub::cases::CASES};
    use std::collections::BTreeMap;
    if std::env::args().nth(1).as_deref() == Some("kept") {
        let given_back = |work: &mut dyn FnMut()| -allocation_counter::measure(work).bytes_current;
        let kept = Kept::measure(given_back);
        println!(
            "{}",
            serde_json::to_string(&kept).expect("numbers are JSON")
        );
        return;
    }
    let mut counts = BTreeMap::new();
    for case in &CASES {
        let mut work = (case.prepare)();
        work();
        let info = allocation_counter::measure(&mut *work);
        let each = info.count_total as f64 / case.times as f64;
        counts.insert(case.name, (each * 100.0).round() / 100.0);
    }
    println!(
        "{}",
        serde_json::to_string(&counts).expect("numbers are JSON")
    );
}

#[cfg(not(target_os = "linux"))]
fn main() {}
