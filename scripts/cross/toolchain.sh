# The toolchain of a cross build: what has to be installed for a target, and cargo with all that the target needs.
# Sourced by scripts/cross-build.sh and scripts/cross-test.sh, not run; docs/cross-building.md explains each part.

CROSS_TARGETS=(
    aarch64-unknown-linux-gnu aarch64-unknown-linux-musl
    armv7-unknown-linux-gnueabihf armv7-unknown-linux-musleabihf armv7-unknown-linux-musleabi
    mipsel-unknown-linux-musl mipsel-unknown-linux-gnu mips-unknown-linux-musl
    i686-unknown-linux-musl
)
# What a router gets instead of the default features.
CROSS_ROUTER_FEATURES=(--no-default-features --features small-memory)
# The C compiler and linker of the musl targets, from PyPI.
ZIG_VERSION=${ZIG_VERSION:-0.17.1}

# cross_set_target TARGET: fills the variables below.
cross_set_target() {
    target=$1
    cross_gcc='' cross_zig='' cross_packages=() cross_own_generator='' cross_features=full cross_rustflags='' cross_qemu=()
    case $target in
        aarch64-unknown-linux-gnu)
            cross_gcc=aarch64-linux-gnu-gcc
            cross_packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
            cross_qemu=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
            ;;
        armv7-unknown-linux-gnueabihf)
            cross_gcc=arm-linux-gnueabihf-gcc
            cross_packages=(gcc-arm-linux-gnueabihf libc6-dev-armhf-cross)
            cross_qemu=(qemu-arm -L /usr/arm-linux-gnueabihf)
            ;;
        mipsel-unknown-linux-gnu)
            cross_gcc=mipsel-linux-gnu-gcc
            cross_packages=(gcc-mipsel-linux-gnu libc6-dev-mipsel-cross)
            cross_own_generator=yes cross_features=router
            cross_rustflags='-C link-arg=-latomic'
            cross_qemu=(qemu-mipsel -L /usr/mipsel-linux-gnu)
            ;;
        aarch64-unknown-linux-musl)
            cross_zig=aarch64-linux-musl
            cross_qemu=(qemu-aarch64)
            ;;
        armv7-unknown-linux-musleabihf)
            cross_zig=arm-linux-musleabihf
            cross_qemu=(qemu-arm)
            ;;
        armv7-unknown-linux-musleabi)
            cross_zig=arm-linux-musleabi
            cross_own_generator=yes cross_features=router
            # Routers of this kind have no floating-point unit; this model shows an instruction of one.
            cross_qemu=(qemu-arm -cpu 'cortex-a7,vfp=off,neon=off')
            ;;
        mipsel-unknown-linux-musl)
            cross_zig=mipsel-linux-musleabi
            cross_own_generator=yes cross_features=router
            cross_qemu=(qemu-mipsel -cpu 24Kc)
            ;;
        mips-unknown-linux-musl)
            cross_zig=mips-linux-musleabi
            cross_own_generator=yes cross_features=router
            cross_qemu=("$PWD/scripts/cross/without-netlink.py" qemu-mips -cpu 24Kc)
            ;;
        i686-unknown-linux-musl)
            # x86-64 runs it without an emulator: the cheap look at 32 bits.
            cross_zig=x86-linux-musl
            cross_own_generator=yes cross_features=router
            ;;
        *)
            echo "unknown target $target; there are: ${CROSS_TARGETS[*]}" >&2
            return 1
            ;;
    esac
    if [ -n "$cross_zig" ]; then
        cross_rustflags='-C target-feature=+crt-static -C link-self-contained=no'
    fi
    cross_folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/cross")
}

# Installs what is missing: Debian's newest Rust with the source of its standard library, the target's C compiler, QEMU.
cross_install() {
    local package missing=()
    for package in rustc-web cargo-web rust-web-src qemu-user python3-pip "${cross_packages[@]}"; do
        case $package in
            python3-pip) python3 -m pip --version >/dev/null 2>&1 && continue ;;
        esac
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        if [ "$(id -u)" -ne 0 ]; then
            echo "The cross build needs packages that are not installed. Run this, then try again:" >&2
            echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
            return 1
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" || return 1
    fi
    zig=$cross_folder/zig/ziglang/zig
    if [ -n "$cross_zig" ] && [ ! -x "$zig" ]; then
        python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
            --target "$cross_folder/zig" "ziglang==$ZIG_VERSION"
    fi
}

# Writes the scripts that stand in for the target's C compiler and archiver, both of Zig.
cross_write_zig_scripts() {
    local cc=$cross_folder/bin/cc-$target ar=$cross_folder/bin/ar
    mkdir -p "$cross_folder/bin"
    # What rustc and the cc crate say for other compilers is dropped: Zig names targets its own way and brings its own
    # runtime library in the place of libgcc.
    cat >"$cc" <<END
#!/usr/bin/env bash
arguments=()
for argument in "\$@"; do
    case \$argument in
        --target=* | -march=* | -m32 | -Wl,-melf_i386 | -lgcc | -lgcc_s | -lgcc_eh) ;;
        *) arguments+=("\$argument") ;;
    esac
done
exec "$zig" cc -target $cross_zig "\${arguments[@]}"
END
    printf '#!/bin/sh\nexec "%s" ar "$@"\n' "$zig" >"$ar"
    chmod +x "$cc" "$ar"
    export "CC_${target//-/_}=$cc" "AR_${target//-/_}=$ar"
    cross_linker=$cc
}

# Has Zig build its C library now, beside what rustc builds: else that begins when the program is linked, and takes as long
# as all before. The link waits for it then. These are the arguments of rustc that choose the library.
cross_warm_zig() {
    local folder=$cross_folder/warm-$target
    mkdir -p "$folder"
    echo 'int main(void) { return 0; }' >"$folder/main.c"
    "$cross_linker" -static -no-pie -nodefaultlibs -lc -Wl,--strip-all "$folder/main.c" -o "$folder/main" \
        >"$folder/log" 2>&1 &
}

# Writes the compiler's description of a MIPS target with 64-bit atomics, which MIPS32 lacks: they become calls of a
# library, so that `AtomicU64` exists. The file's stem names the folder of the results, as the built-in target would.
cross_write_mips_target() {
    cross_triple=$cross_folder/$target.json
    "$RUSTC" -Zunstable-options --target "$target" --print target-spec-json |
        sed 's/"max-atomic-width": 32/"max-atomic-width": 64/' >"$cross_triple.new"
    if ! grep -q '"max-atomic-width": 64' "$cross_triple.new"; then
        echo "$RUSTC describes $target in another way than this script expects: no \"max-atomic-width\": 32" >&2
        return 1
    fi
    # An untouched file keeps its time, and with it what was built.
    cmp -s "$cross_triple.new" "$cross_triple" || cp "$cross_triple.new" "$cross_triple"
}

# Makes a copy of the published crate `may_queue` that works on 32 bits, at $cross_queue. It marks an address whose block is
# being replaced by bit 63, which becomes bit 31 there: that is part of addresses above 2 GiB, where 32-bit ARM and x86 have
# most of their memory. The copy marks by the bit above those that count within a block, which twice the alignment frees.
cross_copy_queue() {
    local manifest
    manifest=$(/usr/bin/cargo metadata --locked --format-version 1 --filter-platform "$target" \
        --manifest-path "$cross_source/Cargo.toml" |
        python3 -c 'import json, sys
packages = json.load(sys.stdin)["packages"]
print(next(package["manifest_path"] for package in packages if package["name"] == "may_queue"))') || return 1
    cross_queue=$cross_folder/$(basename "$(dirname "$manifest")")
    # A copy that is there keeps its time, and with it what was built.
    [ ! -d "$cross_queue" ] || return 0
    rm -rf "$cross_queue.new"
    cp -r "$(dirname "$manifest")" "$cross_queue.new"
    chmod -R u+w "$cross_queue.new"
    sed -i 's/1 << 63/1 << BLOCK_SHIFT/; s/repr(align(64))/repr(align(128))/' "$cross_queue.new/src/mpsc.rs"
    sed -i 's/1 << 63/1 << BLOCK_SHIFT/; s/repr(align(32))/repr(align(64))/' "$cross_queue.new/src/spmc.rs"
    if ! grep -q 'repr(align(128))' "$cross_queue.new/src/mpsc.rs" ||
        ! grep -q '1 << BLOCK_SHIFT)' "$cross_queue.new/src/mpsc.rs" ||
        ! grep -q '^const BLOCK_SHIFT: usize = 6;' "$cross_queue.new/src/mpsc.rs"; then
        echo "$manifest is of another version than this script knows how to mend for 32 bits" >&2
        return 1
    fi
    mv "$cross_queue.new" "$cross_queue"
}

# Where to build: here for 64 bits, else in a copy where crates that 32 bits need take the place of published ones, since that
# rewrites Cargo.lock. Files keep their times, so that nothing is built twice.
cross_enter_source() {
    case $target in
        aarch64-*)
            cross_source=$PWD
            cross_arguments+=(--locked)
            return
            ;;
    esac
    cross_source=$cross_folder/source
    mkdir -p "$cross_source"
    git ls-files -z --cached --others --exclude-standard --deduplicate >"$cross_folder/files"
    # Files that are gone here go there too.
    find "$cross_source" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    tar --null --ignore-failed-read -T "$cross_folder/files" -cf - 2>/dev/null | tar -C "$cross_source" -xf -
    cross_copy_queue || return 1
    # What only the tests of TLS want: cryptography in C, which takes longer to build than all else.
    [ "$cross_features" = full ] || sed -i '/^rcgen = /d' "$cross_source/Cargo.toml"
    printf '\n[patch.crates-io]\nmay_queue = { path = "%s" }\n' "$cross_queue" >>"$cross_source/Cargo.toml"
    [ -z "$cross_own_generator" ] ||
        printf 'generator = { path = "scripts/cross/generator" }\n' >>"$cross_source/Cargo.toml"
}

# cross_prepare TARGET: installs, and sets the environment up. cargo is run by cross_cargo then.
cross_prepare() {
    cross_set_target "$1" || return 1
    mkdir -p "$cross_folder"
    cross_install || return 1
    # Debian's compiler by its path: a rustup that comes first on PATH has no MIPS. The bootstrap switch admits -Z.
    export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1
    export CARGO_TARGET_DIR=$cross_folder ZIG_GLOBAL_CACHE_DIR=$cross_folder/zig-cache
    export RUSTFLAGS=$cross_rustflags
    cross_triple=$target cross_arguments=() cross_linker=$cross_gcc cross_queue=''
    if [ -n "$cross_zig" ]; then
        cross_write_zig_scripts
        cross_warm_zig
    fi
    case $target in
        mips*)
            cross_write_mips_target || return 1
            cross_arguments+=(-Zjson-target-spec)
            ;;
    esac
    cross_enter_source || return 1
    local variable
    variable=$(tr a-z- A-Z_ <<<"$target")
    export "CARGO_TARGET_${variable}_LINKER=$cross_linker"
    [ ${#cross_qemu[@]} -eq 0 ] || export "CARGO_TARGET_${variable}_RUNNER=${cross_qemu[*]}"
}

# cross_cargo SUBCOMMAND ARGUMENTS…: cargo for the target, its standard library built from source. That is without
# backtraces, which a program without symbols has no use for: their reader of debug information is large.
cross_cargo() {
    local subcommand=$1 std=std,panic_unwind
    shift
    [ "$subcommand" != test ] || std+=,test
    (cd "$cross_source" && /usr/bin/cargo "$subcommand" -Zbuild-std="$std" -Zbuild-std-features=panic-unwind \
        --target "$cross_triple" "${cross_arguments[@]}" "$@") || return
    local crate
    for crate in ${cross_own_generator:+generator} ${cross_queue:+may_queue}; do
        if grep -A 2 "^name = \"$crate\"" "$cross_source/Cargo.lock" | grep -q '^source'; then
            echo "our $crate has another version than Cargo.lock names, so it was not used" >&2
            return 1
        fi
    done
}
