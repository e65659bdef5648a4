//! Every input that is kept in `fuzz/corpus`, on stable and without libFuzzer.

use std::{fs, path::Path};

#[test]
fn every_input_of_the_corpora_is_handled() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for chat_checks::Check { name, run } in chat_checks::ALL {
        let corpus = corpora.join(name);
        let mut files: Vec<_> = fs::read_dir(&corpus)
            .unwrap_or_else(|e| panic!("{}: {e}", corpus.display()))
            .map(|entry| entry.expect("the folder can be read").path())
            .collect();
        files.sort();
        assert!(files.len() > 1, "{name} has no corpus");
        for file in files {
            let bytes = fs::read(&file).expect("the file can be read");
            let outcome = std::panic::catch_unwind(|| run(&bytes));
            assert!(outcome.is_ok(), "{}", file.display());
        }
    }
}
