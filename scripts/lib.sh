# Steps with a name, for scripts/check and scripts/test.sh: each tells what it does and, when it fails, what to do.
# Sourced, not run.

failed_steps=()

# step NAME ADVICE COMMAND…: runs the command; a failure is remembered, and the next steps run all the same.
step() {
    local name=$1 advice=$2
    shift 2
    printf '\n== %s\n' "$name"
    local began=$SECONDS
    if "$@"; then
        printf '== %s: good (%d s)\n' "$name" $((SECONDS - began))
    else
        printf '== %s: FAILED (%d s). %s\n' "$name" $((SECONDS - began)) "$advice"
        failed_steps+=("$name")
    fi
}

# The fast checks, which need nothing but the Rust toolchain.
static_checks() {
    step 'format' 'Run: cargo fmt' cargo fmt --check
    # All features are the default ones and more.
    step 'lints with all features' 'Mend what clippy names; a relaxed lint needs its reason beside it.' \
        cargo clippy --quiet --package srs-may --package instructions --all-targets --all-features -- -D warnings
    step 'lints without the optional parts' 'As above, with --no-default-features.' \
        cargo clippy --quiet --lib --bins --no-default-features -- -D warnings
}
