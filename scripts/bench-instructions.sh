#!/usr/bin/env bash
# Counts the instructions of the hot functions under callgrind and compares with benches/instructions/counts.txt.
#   scripts/bench-instructions.sh            compares; fails if one took a quarter more with the same compiler
#   scripts/bench-instructions.sh --update   makes the counts of now what is compared with
set -euo pipefail
cd "$(dirname "$0")/.."

baseline=benches/instructions/counts.txt
# A round more or less is what a function costs; what comes before and after falls out.
few=20 many=120
worst=25

command -v valgrind >/dev/null || { echo 'valgrind is missing: apt-get install valgrind' >&2 && exit 1; }
compiler=$(rustc -V)
cargo build --quiet --package instructions --profile instructions
program=${CARGO_TARGET_DIR:-target}/instructions/instructions

# instructions NAME ROUNDS
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
echo "# Instructions a round; scripts/bench-instructions.sh --update writes this. $compiler" >"$counts"
for name in $("$program"); do
    a=$(instructions "$name" $few) b=$(instructions "$name" $many)
    echo "$name $(((b - a) / (many - few)))" >>"$counts"
done
if [ "${1:-}" = --update ]; then
    cp "$counts" "$baseline"
    cat "$baseline"
    exit
fi
if [ ! -f "$baseline" ]; then
    cat "$counts"
    echo "there is no $baseline to compare with: run $0 --update and commit it"
    exit
fi
same=yes
head -n 1 "$baseline" | grep -q -F "$compiler" || same=no
status=0
while read -r name count; do
    [ "$name" != '#' ] || continue
    before=$(awk -v name="$name" '$1 == name { print $2 }' "$baseline")
    [ -n "$before" ] || { echo "$name: $count, not in $baseline" && continue; }
    change=$(awk -v a="$before" -v b="$count" 'BEGIN { printf "%+.1f", (b / a - 1) * 100 }')
    echo "$name: $count instructions, $change %"
    if [ $same = yes ] && awk -v change="$change" -v worst=$worst 'BEGIN { exit !(change > worst) }'; then
        echo "$name takes more than $worst % more than in $baseline; if that has its reason, run $0 --update" >&2
        status=1
    fi
done <"$counts"
[ $same = yes ] || echo "$baseline was made by another compiler, so this is only told"
exit $status
