# What is run often, and what takes long. `just` lists it; `docs/testing.md` says what each is.

_list:
    @just --list --unsorted

# Whether a change is sound, within a minute once built: format, lints, machines, rules of the code.
quick:
    cargo fmt --all --check
    cargo clippy -- -D warnings
    cargo test -p chat-core -p chat-house

# The tests of the README: under a minute once built.
test:
    cargo test

# What every change must pass, as on a fresh machine.
ci:
    bash .ci/run

# Tests that are left out of `cargo test`: a browser, simulated worlds, the promises end to end, fuzzing's corpora, counts.
long:
    cargo test -- --ignored
    cargo test -p chat-house -p chat-sim -p scenarios -p chat-checks -p chat-bench -p chat-web-client

# A million simulated schedules from SEED on, three quarters of an hour; a thousand that die at every operation of their log;
# then ten minutes of each fuzz target.
soak seed=`date +%s` schedules="1000000":
    cargo run --release -p chat-sim -- --schedules {{schedules}} --seed {{seed}}
    cargo run --release -p chat-sim -- --cut-everywhere --schedules 1000 --seed {{seed}}
    cargo run --release -p chat-sim -- --cut-everywhere --sqlite --schedules 1000 --seed {{seed}}
    for target in $(cargo +nightly fuzz list --fuzz-dir fuzz); do cargo +nightly fuzz run --fuzz-dir fuzz "$target" -- -max_total_time=600; done

# Whether planted faults are found: all, `--some 5` (others each day), or these patches.
mutants *which:
    faults/try {{which}}

# Whether tests notice changes at random places (cargo-mutants), drawn by the commit: `just sample 100`, `--area hub`.
sample *which:
    faults/sample {{which}}

# What workers share, in each order in which their threads may run (loom).
loom:
    RUSTFLAGS='--cfg chat_loom' cargo test --target-dir target/loom -p chat-runtime --lib orders

# The page of `chat-web/dist`, built anew.
page:
    ./chat-web/build

# The program as it is handed out: `target/dist/chat-cli`.
dist:
    cargo build --profile dist -p chat-cli

# Lines of code of each crate: no blank lines, comments or tests.
size:
    @cargo run --quiet -p chat-house --bin size
