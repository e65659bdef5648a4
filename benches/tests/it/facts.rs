//! Records and words per action of members are no more than the house claims.

use chat_bench::facts::traffic;

/// For what; appends and words each time, and bytes of the log at most.
const CLAIMS: [(&str, f64, f64, f64); 13] = [
    ("a newcomer's hello", 1.0, 1.0, 50.0),
    ("a join, nothing else being done", 2.0, 0.0, 136.0),
    ("a join, one of fifty at once", 1.02, 0.0, 96.0),
    ("a message of 64 bytes", 1.0, 0.0, 140.0),
    ("a reconnect", 0.0, 2.0, 0.0),
    ("a reconnect at another hub", 0.0, 2.0, 0.0),
    ("a leave", 1.02, 0.0, 96.0),
    ("a bye out of a room", 5.46, 1.0, 256.0),
    ("a rename by a member of ten rooms", 1.0, 0.0, 56.0),
    ("a hub that dies with its people", 0.0, 0.0, 0.0),
    ("… who do not come back, all together", 1.0, 2.0, 17_000.0),
    ("… or come back, each", 0.0, 1.0, 0.0),
    ("… and afterwards, all together", 0.0, 0.0, 0.0),
];

#[test]
fn what_is_written_and_said_is_what_is_claimed() {
    let facts = traffic::all(1_000);
    let what: Vec<_> = facts.iter().map(|fact| fact.what).collect();
    assert_eq!(what, CLAIMS.map(|(what, ..)| what));
    for (fact, (what, appends, words, bytes)) in facts.iter().zip(CLAIMS) {
        let each = |count: u64| (count as f64 / fact.times as f64 * 100.0).round() / 100.0;
        let traffic = fact.traffic;
        assert_eq!(each(traffic.appends), appends, "appends for {what}");
        assert_eq!(each(traffic.words), words, "words for {what}");
        assert!(
            each(traffic.bytes) <= bytes,
            "{} bytes for {what}",
            each(traffic.bytes)
        );
    }
}
