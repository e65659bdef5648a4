//! The hub costs no more than recorded.

use chat_bench::hub::counts;

#[test]
fn the_hub_costs_no_more_than_recorded() {
    if !counts::possible() {
        assert!(
            std::env::var_os("CHAT_REQUIRE_ALL").is_none(),
            "valgrind is missing"
        );
        eprintln!("SKIPPED: instructions are not counted, valgrind is missing");
        return;
    }
    let counted = counts::count().expect("everything can be counted");
    let recorded = counts::recorded().expect("there is a record");
    let excess = counts::excess(&counted, &recorded);
    assert!(
        excess.is_empty(),
        "more than recorded; mend it, or record it with `cargo run --profile dist -p chat-bench -- hub record`:\n{}",
        excess.join("\n")
    );
}
