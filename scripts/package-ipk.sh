#!/usr/bin/env bash
# Makes a package for OpenWrt of a static program (scripts/cross-build.sh), and prints its path. docs/packages.md tells what is
# in it. The same source, program and options give the same bytes.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
. scripts/packages/lib.sh

usage() {
    cat <<END
Usage: $0 --program=FILE [--arch=ARCH] [--version=VERSION] [--output=FOLDER]
    --program   the program to pack: target/cross/TARGET/router/srs
    --arch      OpenWrt's name of the processor, as \`opkg print-architecture\` on the router tells it
                (default: the usual one of the program's machine)
    --version   (default: that of Cargo.toml)
    --output    (default: target/packages)
END
}

program='' arch='' version='' output=${CARGO_TARGET_DIR:-target}/packages
for argument in "$@"; do
    case $argument in
        --program=?*) program=$(from_here "${argument#*=}") ;;
        --arch=?*) arch=${argument#*=} ;;
        --version=?*) version=${argument#*=} ;;
        --output=?*) output=$(from_here "${argument#*=}") ;;
        -h | --help) usage && exit ;;
        *) echo "unknown argument: $argument" >&2 && usage >&2 && exit 2 ;;
    esac
done
[ -n "$program" ] || { usage >&2 && exit 2; }

# usual_arch MACHINE: OpenWrt has a name for each processor; these are the most frequent.
usual_arch() {
    case $1 in
        amd64) echo x86_64 ;;
        i386) echo i386_pentium4 ;;
        arm64) echo aarch64_generic ;;
        armhf) echo arm_cortex-a7_neon-vfpv4 ;;
        armel) echo arm_cortex-a7 ;;
        mipsel) echo mipsel_24kc ;;
        mips) echo mips_24kc ;;
    esac
}

# archive FILE FOLDER NAME…: a compressed tar of what a folder holds, whose bytes depend on the content only.
archive() {
    local file=$1 folder=$2
    shift 2
    tar --create --directory "$folder" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner \
        --mtime="@$SOURCE_DATE_EPOCH" "$@" | gzip -9 -n >"$file"
}

lay_out() {
    put 755 "$program" "$data/usr/bin/srs"
    put 755 etc/init.d/srs.procd "$data/etc/init.d/srs"
    put 600 trunk-conf/openwrt.conf "$data/etc/srs/srs.conf"
    put 644 LICENSE "$data/usr/share/licenses/srs-may/LICENSE"
}

describe() {
    cat >"$control/control" <<END
Package: srs-may
Version: $version
Architecture: $arch
Maintainer: the srs-may authors <srs-may@localhost>
Section: multimedia
Priority: optional
License: MIT
Installed-Size: $(($(kilobytes "$data") * 1024))
Description: live media server in the place of SRS: RTMP, HTTP-FLV, HLS, DASH
END
    echo /etc/srs/srs.conf >"$control/conffiles"
    put 755 scripts/packages/openwrt/postinst "$control/postinst"
    put 755 scripts/packages/openwrt/prerm "$control/prerm"
}

find_program
read_machine
interpreter=$(LC_ALL=C readelf -lW "$program" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
[ -z "$interpreter" ] || fail "$program loads $interpreter when it starts, which routers do not have; take a static one, by scripts/cross-build.sh"
arch=${arch:-$(usual_arch "$machine")}
[ -n "$arch" ] || fail "no usual name of OpenWrt's for the machine of $program; give one by --arch"
[[ $arch =~ ^[a-z0-9_+.-]+$ ]] || fail "OpenWrt's names of processors hold a-z, 0-9 and _+.- only: $arch"
read_version
read_time

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
control=$work/control data=$work/data package=$work/package
install -d -m 755 "$control" "$data" "$package"
lay_out
describe
chmod 644 "$control/control" "$control/conffiles"
archive "$package/data.tar.gz" "$data" .
archive "$package/control.tar.gz" "$control" .
echo 2.0 >"$package/debian-binary"

mkdir -p "$output"
ipk=$output/srs-may_${version}_$arch.ipk
archive "$ipk" "$package" ./debian-binary ./data.tar.gz ./control.tar.gz
echo "$ipk"
