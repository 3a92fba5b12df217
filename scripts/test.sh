#!/usr/bin/env bash
# Everything that has to be good before a change lands, from a fresh clone: installs the clients that the tests use,
# then checks format and lints, and runs all tests. Ends with the line `N passed, N failed`.
#   scripts/test.sh              all of it
#   scripts/test.sh gop_cache    only the tests whose names hold this, without format and lints
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

filter=${1:-}
results=${CARGO_TARGET_DIR:-target}/test-results
mkdir -p "$results"
rm -f "$results"/*.log

# logged NAME COMMAND…: runs a command, keeping its output for the count at the end.
logged() {
    local name=$1
    shift
    "$@" 2>&1 | tee "$results/$name.log"
}

have_nextest() {
    cargo nextest --version >/dev/null 2>&1
}

# run_tests NAME PROFILE CARGO-TEST-ARGUMENTS…
run_tests() {
    local name=$1 profile=$2
    shift 2
    if have_nextest; then
        logged "$name" cargo nextest run --color never --no-tests pass --profile "$profile" "$@" ${filter:+-E "test($filter)"}
    else
        echo 'cargo-nextest is not installed (cargo install cargo-nextest --locked); cargo test does as well, but slower'
        logged "$name" cargo test --no-fail-fast --color never "$@" ${filter:+"$filter"}
    fi
}

# The unit tests are built without optimisation: it takes them longer to be made faster than to run.
unit_tests() {
    CARGO_PROFILE_TEST_OPT_LEVEL=0 run_tests unit default --lib
}

# All but the unit and the end-to-end tests.
other_tests=()
for file in tests/*.rs; do
    other_tests+=(--test "$(basename "$file" .rs)")
done

build() {
    CARGO_PROFILE_TEST_OPT_LEVEL=0 cargo test --quiet --no-run --lib && cargo test --quiet --no-run --bins --test '*'
}

# Adds up the closing lines of nextest (`N passed, N failed`) and of cargo test (`N passed; N failed`). Nextest indents
# the output of failed tests, which holds closing lines of its own.
count() {
    cat "$results"/*.log 2>/dev/null | grep -E '^ *Summary \[|^test result:' |
        grep -oE "[0-9]+ $1" | awk '{ sum += $1 } END { print sum + 0 }'
}

clients() {
    scripts/clients.sh || {
        echo "without its clients no end-to-end test can run"
        return 1
    }
}

step 'test clients' 'Install what is named above, then run this again.' clients
if [ ${#failed_steps[@]} -gt 0 ]; then
    printf '\n0 passed, 1 failed\n'
    exit 1
fi
[ -n "$filter" ] || static_checks
step 'build' 'The compiler says what is wrong.' build
step 'unit tests' 'The failing test is named above; run it alone with: scripts/test.sh NAME' unit_tests
step 'tidy, configuration, one process a test' 'The failing test is named above; run it alone with: scripts/test.sh NAME' \
    run_tests processes default --bins "${other_tests[@]}"
[ -n "$filter" ] || step 'context switches for routers' 'They are in scripts/cross/generator, whose README says what they must keep to.' \
    logged generator cargo test --color never --manifest-path scripts/cross/generator/Cargo.toml --tests
[ -n "$filter" ] || step 'examples in the documentation' 'The failing example is named above.' \
    logged doc cargo test --color never --doc
step 'end-to-end tests' 'The failing test tells which folder it leaves for a look; run it alone with: scripts/test.sh NAME' \
    run_tests e2e e2e --test e2e
[ -n "$filter" ] || step 'the program of a router, emulated' 'Run it alone with: scripts/cross-test.sh mipsel-unknown-linux-musl --e2e' \
    logged router scripts/cross-test.sh mipsel-unknown-linux-musl --e2e

[ -n "$filter" ] || step 'instructions of the hot functions' 'A change that costs so much wants its reason.' \
    scripts/bench-instructions.sh

passed=$(count passed)
failed=$(count failed)
timed_out=$(count 'timed out')
failed=$((failed + timed_out))
if [ ${#failed_steps[@]} -gt 0 ]; then
    printf '\nfailed steps: %s\n' "$(printf '%s; ' "${failed_steps[@]}")"
    # A step without tests (format, lints, build) counts as one failure.
    [ "$failed" -gt 0 ] || failed=${#failed_steps[@]}
fi
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ ${#failed_steps[@]} -eq 0 ] && [ "$failed" -eq 0 ]
