#!/usr/bin/env bash
# Builds the server and runs it in the foreground, logging to the terminal; Ctrl-C ends it.
#   scripts/run.sh                        with trunk-conf/console.conf
#   scripts/run.sh trunk-conf/other.conf  with another configuration
set -euo pipefail
cd "$(dirname "$0")/.."

conf=${1:-trunk-conf/console.conf}
cargo build --release --bin srs
# Each connection is an open file, and many systems begin with 1024.
ulimit -HSn 65536 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"
# Where configurations put the pid file, recordings and pages.
mkdir -p objs/nginx/html
exec "${CARGO_TARGET_DIR:-target}/release/srs" -c "$conf"
