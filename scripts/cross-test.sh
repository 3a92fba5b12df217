#!/usr/bin/env bash
# Tests the server as a router runs it, emulated by QEMU: by default the unit tests of core, kernel and protocol, the fuzz
# corpora and the context switches; with --e2e real clients against the whole program. Where no emulator is needed, the unit
# tests are those of all layers.
#   scripts/cross-test.sh mipsel-unknown-linux-musl
#   scripts/cross-test.sh mips-unknown-linux-musl --e2e
#   scripts/cross-test.sh all --e2e
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/cross/toolchain.sh

# Unit tests that cannot pass, and why: anywhere, and under the emulator of MIPS.
declare -A SKIPPED=(
    [kernel::log::panic::tests::a_backtrace_fits_a_line_of_the_log]='the standard library is built without backtraces'
)
declare -A SKIPPED_MIPS=(
    [core::tcp::tests::a_refused_connect_says_so]='QEMU 7.2 gives the error of a socket (SO_ERROR) by the number of its own machine'
)

usage() {
    cat <<END
Usage: $0 TARGET|all [--unit|--e2e]
    --unit  unit tests, fuzz corpora and context switches (the choice when none is given)
    --e2e   builds the program and publishes to it and plays from it with FFmpeg
Targets:
$(printf '    %s\n' "${CROSS_TARGETS[@]}")
END
}

wanted='' kind=unit
for argument in "$@"; do
    case $argument in
        --unit | --e2e) kind=${argument#--} ;;
        -h | --help) usage && exit ;;
        -*) echo "unknown argument: $argument" >&2 && usage >&2 && exit 2 ;;
        *) wanted=$argument ;;
    esac
done
[ -n "$wanted" ] || { usage >&2 && exit 2; }

# skip LIST: adds its tests to `skipped`, and says so.
skip() {
    local -n reasons=$1
    local name
    for name in "${!reasons[@]}"; do
        echo "skipped: $name: ${reasons[$name]}"
        skipped+=(--skip "$name")
    done
}

test_unit() {
    cross_prepare "$1"
    local features=()
    [ "$cross_features" = full ] || features+=("${CROSS_ROUTER_FEATURES[@]}")
    if [ -n "$cross_own_generator" ]; then
        cross_cargo test --profile router-test --manifest-path scripts/cross/generator/Cargo.toml --tests
    fi
    local skipped=() layers=()
    skip SKIPPED
    if [ ${#cross_qemu[@]} -gt 0 ]; then
        # An emulator takes its time, which the application's tests of time limits do not give.
        layers=(core:: kernel:: protocol::)
        export SRS_FUZZ_MUTATIONS=${SRS_FUZZ_MUTATIONS:-100}
    fi
    case $target in
        mips*) skip SKIPPED_MIPS ;;
    esac
    # What fails in the first does not hide the second.
    local failed=0
    cross_cargo test --profile router-test "${features[@]}" --lib -- "${layers[@]}" "${skipped[@]}" || failed=1
    cross_cargo test --profile router-test "${features[@]}" --test fuzz_smoke || failed=1
    return $failed
}

test_e2e() {
    local command
    cross_set_target "$1"
    scripts/cross-build.sh "$1" --router --profile=router-test
    command="${cross_qemu[*]} $cross_folder/$1/router-test/srs"
    SRS_E2E_ROUTER=$command cargo test --test e2e router:: -- --ignored --test-threads 2
}

if [ "$wanted" = all ]; then
    for each in "${CROSS_TARGETS[@]}"; do
        ("test_$kind" "$each")
    done
else
    "test_$kind" "$wanted"
fi
