#!/usr/bin/env bash
# Fuzzes one parser of peers' bytes, starting from its corpus in tests/fixtures/fuzz. Needs a nightly toolchain and
# cargo-fuzz (cargo install cargo-fuzz --locked).
#   scripts/fuzz.sh                      lists the targets
#   scripts/fuzz.sh chunk_decoder        for a minute
#   scripts/fuzz.sh chunk_decoder 600    for ten
#   scripts/fuzz.sh all 60               each for a minute
# What breaks a law is kept under fuzz/artifacts; put it into the corpus with its fix, and it is tested for ever.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:-}
seconds=${2:-60}
mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | grep -v '^srs-may-fuzz$')

# fuzz TARGET
fuzz() {
    local name=$1
    printf '\n== %s, %s s\n' "$name" "$seconds"
    # What is found on the way goes to the first folder, which is not committed; the second is only read.
    mkdir -p "fuzz/corpus/$name"
    cargo +nightly fuzz run "$name" "fuzz/corpus/$name" "tests/fixtures/fuzz/$name" -- \
        -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 2>&1 |
        sed '/# Uses/d; /ecommended dictionary/d'
}

case $target in
    '')
        printf '%s\n' "${targets[@]}"
        ;;
    all)
        for name in "${targets[@]}"; do
            fuzz "$name"
        done
        ;;
    *)
        fuzz "$target"
        ;;
esac
