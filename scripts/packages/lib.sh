# What the packages have in common: the program and its machine, the version, the time that all files carry.
# Sourced by scripts/package-*.sh, not run.

fail() {
    echo "$0: $*" >&2
    exit 1
}

# from_here PATH: a path of the command line, which is meant from where the script was called ($here).
from_here() {
    case $1 in
        /*) echo "$1" ;;
        *) echo "$here/$1" ;;
    esac
}

# find_program: builds the release program when the command line has named none. Fills $program.
find_program() {
    if [ -z "$program" ]; then
        program=${CARGO_TARGET_DIR:-target}/release/srs
        [ -x "$program" ] || cargo build --release --bin srs
    fi
    [ -f "$program" ] || fail "no such program: $program"
}

# elf_number OFFSET SIZE: a number of the program's ELF header; $elf_order is 1 when the low byte comes first.
elf_number() {
    local bytes byte value=0
    read -r -a bytes < <(od -An -v -tu1 -j "$1" -N "$2" "$program")
    for byte in $(seq 0 $((${#bytes[@]} - 1))); do
        [ "$elf_order" = 1 ] && byte=$((${#bytes[@]} - 1 - byte))
        value=$((value * 256 + bytes[byte]))
    done
    echo "$value"
}

# read_machine: fills $machine with what the program is built for, in Debian's words for it.
read_machine() {
    local magic
    magic=$(od -An -v -tx1 -N 4 "$program" | tr -d ' ')
    [ "$magic" = 7f454c46 ] || fail "$program is no program for Linux (no ELF header)"
    elf_order=1
    elf_order=$(elf_number 5 1)
    local class number flags
    class=$(elf_number 4 1)
    number=$(elf_number 18 2)
    # After three addresses, whose size depends on the class.
    flags=$(elf_number $((24 + 12 * class)) 4)
    case $class.$number.$elf_order in
        2.62.1) machine=amd64 ;;
        1.3.1) machine=i386 ;;
        2.183.1) machine=arm64 ;;
        # EF_ARM_ABI_FLOAT_HARD: floating-point numbers travel in registers of the floating-point unit.
        1.40.1) machine=$([ $((flags & 0x400)) -ne 0 ] && echo armhf || echo armel) ;;
        1.8.1) machine=mipsel ;;
        1.8.2) machine=mips ;;
        2.8.1) machine=mips64el ;;
        2.243.1) machine=riscv64 ;;
        *) machine='' ;;
    esac
}

# read_version: fills $version from Cargo.toml unless the command line has given one.
read_version() {
    version=${version:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}
    [[ $version =~ ^[0-9][0-9A-Za-z.+~]*$ ]] || fail "the version has to begin with a digit and hold letters, digits and .+~ only: $version"
}

# read_time: fills SOURCE_DATE_EPOCH, so that the same source gives the same package: the time of the last commit.
read_time() {
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
    [[ $SOURCE_DATE_EPOCH =~ ^[0-9]+$ ]] || fail "SOURCE_DATE_EPOCH has to be seconds since 1970: $SOURCE_DATE_EPOCH"
    export SOURCE_DATE_EPOCH
}

# put MODE SOURCE TARGET: a file of the package, with its folders.
put() {
    install -d -m 755 "$(dirname "$3")"
    install -m "$1" "$2" "$3"
}

# put_all SOURCE TARGET: all files of a folder.
put_all() {
    cp -R "$1" "$2"
    find "$2" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
}

# kilobytes FOLDER: what its files take once installed.
kilobytes() {
    find "$1" -type f -printf '%s\n' | awk '{ sum += int(($1 + 1023) / 1024) } END { print sum + 0 }'
}
