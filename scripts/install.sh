#!/usr/bin/env bash
# Installs the server under a prefix, in the layout that existing service scripts know:
#   objs/srs  conf/  etc/init.d/srs  objs/nginx/html
# Can be run again at any time. A configuration file that was changed since it was installed stays as it is, and the new
# one is laid beside it with the ending .new.
set -euo pipefail

usage() {
    cat <<END
Usage: $0 [--prefix=/usr/local/srs] [--binary=FILE] [--systemd] [--uninstall]
    --binary     the program to install (default: target/release/srs, built when missing)
    --systemd    also install the unit srs.service and tell systemd of it
    --uninstall  remove what was installed; changed configuration, logs and recordings stay
END
}

here=$(cd "$(dirname "$0")/.." && pwd)
prefix=/usr/local/srs binary='' action=install systemd=no
for argument in "$@"; do
    case $argument in
        --prefix=?*) prefix=${argument#*=} ;;
        --binary=?*) binary=${argument#*=} ;;
        --systemd) systemd=yes ;;
        --uninstall) action=uninstall ;;
        -h | --help) usage && exit ;;
        *) echo "unknown argument: $argument" >&2 && usage >&2 && exit 1 ;;
    esac
done
case $prefix in
    /) echo "the prefix cannot be /" >&2 && exit 1 ;;
    *[[:space:]\&\|\\]*) echo "the prefix cannot hold blanks, &, | or \\: $prefix" >&2 && exit 1 ;;
    /*) ;;
    *) prefix=$PWD/$prefix ;;
esac
unit=/etc/systemd/system/srs.service
# One line for each installed configuration file: its checksum when it was installed, and its name under the prefix.
manifest=$prefix/conf/.installed

build() {
    [ -z "$binary" ] || return 0
    binary=${CARGO_TARGET_DIR:-$here/target}/release/srs
    [ -x "$binary" ] || (cd "$here" && cargo build --release --bin srs)
}

checksum() {
    sha256sum "$1" | cut -d ' ' -f 1
}

# Whether a file is just as it was installed.
is_unchanged() {
    [ -f "$manifest" ] && grep -q -x -F "$(checksum "$prefix/$1") $1" "$manifest"
}

# install_conf SOURCE NAME: copies a file to its name under the prefix, keeping a changed one.
install_conf() {
    local source=$1 name=$2 target=$prefix/$2
    mkdir -p "$(dirname "$target")"
    if [ -f "$target" ] && ! cmp -s "$source" "$target" && ! is_unchanged "$name"; then
        install -m 644 "$source" "$target.new"
        echo "kept $target, which was changed; the new one is $target.new"
        # What is remembered stays what was installed, so that the file counts as changed from now on too.
        [ ! -f "$manifest" ] || awk -v name="$name" '$2 == name' "$manifest" >>"$manifest.next"
        return
    fi
    install -m 644 "$source" "$target"
    echo "$(checksum "$target") $name" >>"$manifest.next"
}

install_all() {
    build
    mkdir -p "$prefix/conf" "$prefix/objs/nginx/html" "$prefix/etc/init.d"
    # Beside, then renamed: a running program cannot be overwritten.
    install -m 755 "$binary" "$prefix/objs/srs.installing"
    mv -f "$prefix/objs/srs.installing" "$prefix/objs/srs"
    sed "s|^ROOT=.*|ROOT=\"$prefix\"|" "$here/etc/init.d/srs" >"$prefix/etc/init.d/srs"
    chmod 755 "$prefix/etc/init.d/srs"
    : >"$manifest.next"
    local conf
    while IFS= read -r conf; do
        install_conf "$here/trunk-conf/$conf" "conf/$conf"
    done < <(cd "$here/trunk-conf" && find . -type f -printf '%P\n' | sort)
    mv -f "$manifest.next" "$manifest"
    if [ "$systemd" = yes ]; then
        sed "s|@PREFIX@|$prefix|g" "$here/scripts/systemd/srs.service" >"$unit"
        systemctl daemon-reload
    fi
    echo "Installed under $prefix. Start it with: $prefix/etc/init.d/srs start"
}

uninstall_all() {
    [ ! -x "$prefix/etc/init.d/srs" ] || "$prefix/etc/init.d/srs" stop
    local sum name
    while read -r sum name; do
        if [ -f "$prefix/$name" ] && [ "$(checksum "$prefix/$name")" = "$sum" ]; then
            rm -f "$prefix/$name"
        fi
        rm -f "$prefix/$name.new"
    done < <(cat "$manifest" 2>/dev/null)
    rm -f "$manifest" "$prefix/objs/srs" "$prefix/etc/init.d/srs"
    if grep -q -s -F "$prefix/etc/init.d/srs" "$unit"; then
        systemctl disable --now srs.service || true
        rm -f "$unit"
        systemctl daemon-reload || true
    fi
    # Folders that are empty now; what people put there stays.
    local folder
    find "$prefix/conf" -type d -empty -delete 2>/dev/null || true
    for folder in objs/nginx/html objs/nginx objs etc/init.d etc .; do
        rmdir "$prefix/$folder" 2>/dev/null || true
    done
    [ ! -d "$prefix" ] || echo "Left in $prefix: changed configuration, logs, and what is not ours."
}

"${action}_all"
