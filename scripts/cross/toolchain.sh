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
            cross_qemu=(qemu-mips -cpu 24Kc)
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

# Where to build: here, or in a copy where our own generator crate takes the place of the published one, since that
# rewrites Cargo.lock. Files keep their times, so that nothing is built twice.
cross_enter_source() {
    if [ -z "$cross_own_generator" ]; then
        cross_source=$PWD
        cross_arguments+=(--locked)
    else
        cross_source=$cross_folder/source
        mkdir -p "$cross_source"
        git ls-files -z --cached --others --exclude-standard --deduplicate >"$cross_folder/files"
        # Files that are gone here go there too.
        find "$cross_source" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
        tar --null --ignore-failed-read -T "$cross_folder/files" -cf - 2>/dev/null | tar -C "$cross_source" -xf -
        printf '\n[patch.crates-io]\ngenerator = { path = "scripts/cross/generator" }\n' >>"$cross_source/Cargo.toml"
    fi
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
    cross_triple=$target cross_arguments=() cross_linker=$cross_gcc
    [ -z "$cross_zig" ] || cross_write_zig_scripts
    case $target in
        mips*)
            cross_write_mips_target || return 1
            cross_arguments+=(-Zjson-target-spec)
            ;;
    esac
    cross_enter_source
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
    if [ -n "$cross_own_generator" ] && grep -A 2 '^name = "generator"' "$cross_source/Cargo.lock" | grep -q '^source'; then
        echo "scripts/cross/generator has another version than Cargo.lock names, so it was not used" >&2
        return 1
    fi
}
