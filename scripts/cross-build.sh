#!/usr/bin/env bash
# Builds the server for a router or board: one program, stripped, whose path and size it prints.
#   scripts/cross-build.sh mipsel-unknown-linux-musl
#   scripts/cross-build.sh aarch64-unknown-linux-musl --router    without TLS and JSON Web Tokens
#   scripts/cross-build.sh all                                    every target, one after the other
# As root it installs what is missing; else it prints the command that does.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/cross/toolchain.sh

usage() {
    cat <<END
Usage: $0 TARGET|all [--full|--router] [--profile=router]
    --full     with all that is built by default; it is the choice for aarch64 and armv7 with a floating-point unit
    --router   RTMP, HTTP, HLS, DASH, DVR and the API, without TLS and tokens, with bounds for
               little memory; it is the choice for the others
    --profile  a profile of Cargo.toml
Targets:
$(printf '    %s\n' "${CROSS_TARGETS[@]}")
END
}

wanted='' features='' profile=router
for argument in "$@"; do
    case $argument in
        --full | --router) features=${argument#--} ;;
        --profile=?*) profile=${argument#*=} ;;
        -h | --help) usage && exit ;;
        -*) echo "unknown argument: $argument" >&2 && usage >&2 && exit 2 ;;
        *) wanted=$argument ;;
    esac
done
[ -n "$wanted" ] || { usage >&2 && exit 2; }

build() {
    cross_prepare "$1"
    local arguments=(--profile "$profile" --bin srs)
    features=${features:-$cross_features}
    [ "$features" = full ] || arguments+=("${CROSS_ROUTER_FEATURES[@]}")
    cross_cargo build "${arguments[@]}"
    local program=$cross_folder/$target/$profile/srs
    printf '%s %s: %s, %d bytes\n' "$target" "$features" "$program" "$(stat -c %s "$program")"
}

if [ "$wanted" = all ]; then
    for each in "${CROSS_TARGETS[@]}"; do
        # A process each, since each sets its own environment.
        (build "$each")
    done
else
    build "$wanted"
fi
