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

# Every shared capture against its truth; `just judge --strip metrics` takes a source away. The captures are beside the checkout.
judge *ARGS:
    @test -e ../shared/captures/judge.py || { echo "judge needs ../shared/captures: the labelled captures that whyd is developed against, which are not part of it. For those that are: just eval" >&2; exit 1; }
    cargo build --release
    python3 ../shared/captures/judge.py target/release/whyd ../shared/captures --verbose {{ARGS}}

# The captures of this checkout against their truth.
eval:
    cargo run --release -- eval why fixtures/captures

# Everything that has to hold before a change lands.
ci:
    .ci/run
