#!/usr/bin/env bash
# Makes a Debian package of the server by plain dpkg-deb, and prints its path. docs/packages.md tells what is in it.
# The same source, program and options give the same bytes.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
. scripts/packages/lib.sh

usage() {
    cat <<END
Usage: $0 [--program=FILE] [--arch=ARCH] [--version=VERSION] [--prefix=/usr/local/srs] [--output=FOLDER] [--compress=xz|gzip|none]
    --program   the program to pack, also a cross-built one (default: the release build, made when missing)
    --arch      Debian's name of its machine (default: what the program says)
    --version   (default: that of Cargo.toml)
    --prefix    where it is installed to
    --output    (default: target/packages)
END
}

program='' machine='' version='' prefix=/usr/local/srs output=${CARGO_TARGET_DIR:-target}/packages compress=xz
arch=''
for argument in "$@"; do
    case $argument in
        --program=?*) program=$(from_here "${argument#*=}") ;;
        --arch=?*) arch=${argument#*=} ;;
        --version=?*) version=${argument#*=} ;;
        --prefix=/?*) prefix=${argument#*=} ;;
        --output=?*) output=$(from_here "${argument#*=}") ;;
        --compress=xz | --compress=gzip | --compress=none) compress=${argument#*=} ;;
        -h | --help) usage && exit ;;
        *) echo "unknown argument: $argument" >&2 && usage >&2 && exit 2 ;;
    esac
done
[[ $prefix =~ ^(/[A-Za-z0-9._+-]+)+$ ]] || fail "the prefix may hold letters, digits and ._+-/ only: $prefix"

# What the program loads when it starts, as packages of Debian; nothing for a static one.
dependencies() {
    local headers library packages=() oldest
    headers=$(LC_ALL=C readelf -ldVW "$program") || fail "readelf cannot read $program"
    for library in $(sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' <<<"$headers"); do
        case $library in
            libgcc_s.so.1) packages+=("libgcc-s1 | libgcc1") ;;
            libatomic.so.1) packages+=(libatomic1) ;;
            libc.so.6)
                oldest=$(grep -oE 'GLIBC_[0-9.]+' <<<"$headers" | sort -V | tail -n 1)
                packages+=("libc6 (>= ${oldest#GLIBC_})")
                ;;
            # Parts of the C library's package.
            libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | ld-linux* | ld.so.1) ;;
            *) fail "$program needs $library, and this script does not know Debian's package of it" ;;
        esac
    done
    # The account is made by useradd.
    packages+=(passwd)
    local IFS=,
    echo "${packages[*]}"
}

# The files as they will lie on the disk.
lay_out() {
    put 755 "$program" "$tree$prefix/objs/srs"
    install -d -m 755 "$tree$prefix/objs/nginx/html" "$tree$documents"
    put_all trunk-conf "$tree$prefix/conf"
    put 755 etc/init.d/srs "$tree$prefix/etc/init.d/srs"
    sed -i "s|^ROOT=.*|ROOT=\"$prefix\"|" "$tree$prefix/etc/init.d/srs"
    install -d -m 755 "$tree/etc/init.d"
    ln -s "$prefix/etc/init.d/srs" "$tree/etc/init.d/srs"
    put 644 scripts/systemd/srs.service "$tree/lib/systemd/system/srs.service"
    sed -i "s|@PREFIX@|$prefix|g; 1s/.*/# Of the package srs-may; what you change goes to: systemctl edit srs/" "$tree/lib/systemd/system/srs.service"
    put_all docs "$tree$documents/docs"
    put 644 README.md "$tree$documents/README.md"
    put 644 CHANGELOG.md "$tree$documents/changelog"
    gzip -9 -n "$tree$documents/changelog"
    {
        cat scripts/packages/debian/copyright
        sed -n '/^Permission/,$ { s/^$/./; s/^/ /; p }' LICENSE
    } >"$tree$documents/copyright"
}

# What dpkg reads of it.
describe() {
    local control=$tree/DEBIAN script
    install -d -m 755 "$control"
    cat >"$control/control" <<END
Package: srs-may
Version: $version
Architecture: $arch
Maintainer: the srs-may authors <srs-may@localhost>
Installed-Size: $(kilobytes "$tree")
Depends: ${depends//,/, }
Suggests: ffmpeg
Section: video
Priority: optional
Description: live media server in the place of SRS
 Takes live streams over RTMP and gives them to players over RTMP, HTTP-FLV, HLS
 and DASH, with the configuration files, URLs, HTTP API, signals and service
 script of SRS (Simple Realtime Server). It lies in $prefix, where those
 scripts look for it.
END
    (
        cd "$tree"
        find ".$prefix/conf" ".$prefix/etc" -type f -printf '%P\t%p\n' | LC_ALL=C sort | cut -f 2 | cut -c 2- >DEBIAN/conffiles
        find . -type f -not -path './DEBIAN/*' -printf '%P\n' | LC_ALL=C sort |
            grep -v -x -F -f <(cut -c 2- DEBIAN/conffiles) | tr '\n' '\0' | xargs -0 md5sum >DEBIAN/md5sums
    )
    for script in postinst prerm postrm; do
        put 755 "scripts/packages/debian/$script" "$control/$script"
        sed -i "s|@PREFIX@|$prefix|g" "$control/$script"
    done
    chmod 644 "$control/control" "$control/conffiles" "$control/md5sums"
}

find_program
read_machine
arch=${arch:-$machine}
[ -n "$arch" ] || fail "$program is for a machine that this script does not know; say which by --arch"
read_version
read_time
# Not within a substitution, where a failure would go unnoticed.
depends=$(dependencies)

documents=/usr/share/doc/srs-may
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
umask 022
chmod 755 "$tree"
lay_out
describe
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$output"
package=$output/srs-may_${version}_${arch}.deb
# One thread: with more, the bytes depend on their number.
DPKG_DEB_THREADS_MAX=1 dpkg-deb --root-owner-group -Z"$compress" --build "$tree" "$package" >/dev/null
echo "$package"
