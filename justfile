# What a developer types. `just` alone lists it.

default:
    @just --list

# All tests; shares the dependencies' build with the demo.
test:
    cargo test --release --workspace

# Format and lints, as CI has them.
lint:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings

# A recorded cluster through a real daemon on this machine.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# Every shared capture against its truth; `just judge --strip metrics` takes a source away.
judge *ARGS:
    cargo build --release
    python3 ../shared/captures/judge.py target/release/whyd ../shared/captures --verbose {{ARGS}}

# Everything that has to hold before a change lands.
ci:
    .ci/run
