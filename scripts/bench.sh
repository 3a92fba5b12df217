#!/usr/bin/env bash
# Compares servers under the same load in the same run: the bare sender (the floor), this server, nginx-rtmp and, if told,
# another one. The server has one core, the load another. Each is measured several times; the table holds medians and what
# lies between the smallest and the largest.
#   scripts/bench.sh                          2,000 RTMP players
#   scripts/bench.sh flv publishers           other loads: rtmp, rtmp8k, flv, hls, publishers, realtime
#   scripts/bench.sh --quick                  small and short, to see that it works
#   scripts/bench.sh --peer 'COMMAND' --peer-url rtmp://127.0.0.1:19350/live/s --peer-name NAME rtmp
#                                             another server too, in the foreground; started anew for each round
# Options: --rounds N (5), --time SECONDS (10), --only floor,ours,nginx,peer, --out FOLDER
# Results: FOLDER/*.json of each round, FOLDER/table.md.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5 seconds=10 scale=1 only='' out=${CARGO_TARGET_DIR:-target}/bench peer='' peer_url='' peer_name=peer loads=()
while [ $# -gt 0 ]; do
    case $1 in
        --quick) rounds=1 seconds=3 scale=20 ;;
        --rounds) rounds=$2 && shift ;;
        --time) seconds=$2 && shift ;;
        --only) only=$2 && shift ;;
        --out) out=$2 && shift ;;
        --peer) peer=$2 && shift ;;
        --peer-url) peer_url=$2 && shift ;;
        --peer-name) peer_name=$2 && shift ;;
        rtmp | rtmp8k | flv | hls | publishers | realtime) loads+=("$1") ;;
        *) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done
[ ${#loads[@]} -gt 0 ] || loads=(rtmp)

[ -n "${SRS_BENCH_BINARIES:-}" ] || cargo build --release --bins
binaries=${SRS_BENCH_BINARIES:-${CARGO_TARGET_DIR:-target}/release}
ulimit -Sn "$(ulimit -Hn)"
mkdir -p "$out"
work=$(mktemp -d)
server=''
stop_server() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    server=''
}
trap 'stop_server; rm -rf "$work"' EXIT

# The last core is the load's, the first the server's.
cores=$(nproc)
load_core=$((cores - 1))
[ "$cores" -gt 1 ] || echo 'one core only: server and load disturb each other' >&2

port=19350 http=19380
# What a server may hold; each has other files open too.
connections=$(($(ulimit -n) - 500))
[ "$connections" -le 50000 ] || connections=50000

conf_ours() {
    local realtime='' hls=''
    [ "$1" != hls ] || hls="hls { enabled on; hls_path $work/hls; hls_fragment 2; hls_window 20; }"
    [ "$1" != realtime ] || realtime='min_latency on; tcp_nodelay on; play { mw_latency 0; mw_msgs 1; }'
    cat >"$work/srs.conf" <<END
listen $port;
max_connections $connections;
daemon off;
srs_log_tank file;
srs_log_file $work/srs.log;
pid $work/srs.pid;
http_server { enabled on; listen $http; dir $work/hls; }
vhost __defaultVhost__ {
    http_remux { enabled on; mount [vhost]/[app]/[stream].flv; }
    $realtime
    $hls
}
END
}

conf_nginx() {
    local user='' hls='' files=''
    if [ "$1" = hls ]; then
        hls="hls on; hls_path $work/hls/live; hls_fragment 2s; hls_playlist_length 20s;"
        files="http { access_log off; sendfile on; tcp_nopush on; server { listen 127.0.0.1:$http; root $work/hls; } }"
    fi
    [ "$(id -u)" -ne 0 ] || user='user root;'
    mkdir -p "$work/nginx/logs"
    cat >"$work/nginx.conf" <<END
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
$user daemon off; master_process off; pid $work/nginx.pid; error_log $work/nginx.log error;
events { worker_connections $connections; }
rtmp { access_log off; server { listen 127.0.0.1:$port; chunk_size 4096; application live { live on; $hls } } }
$files
END
}

# start SERVER LOAD: on the first core, in the background, until it listens.
start() {
    local each=''
    rm -rf "$work/hls" && mkdir -p "$work/hls/live"
    [ "$2" != realtime ] || each=--each
    case $1 in
        ours) conf_ours "$2" ;;
        nginx) conf_nginx "$2" ;;
    esac
    # Nothing but the program itself in the background, whose process is watched.
    case $1 in
        floor) taskset -c 0 "$binaries/srs-bench" floor 127.0.0.1:$port --bitrate 250k $each >"$work/out" 2>&1 & ;;
        ours) taskset -c 0 "$binaries/srs" -c "$work/srs.conf" >"$work/out" 2>&1 & ;;
        nginx) taskset -c 0 nginx -p "$work/nginx" -c "$work/nginx.conf" -e "$work/nginx.log" >"$work/out" 2>&1 & ;;
        peer) taskset -c 0 bash -c "exec $peer" >"$work/out" 2>&1 & ;;
    esac
    server=$!
    local address=127.0.0.1/$port
    [ "$1" != peer ] || address=$(sed -E 's|^[a-z]+://([^/:]+):?([0-9]*)/.*|\1/\2|; s|/$|/1935|' <<<"$peer_url")
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/$address") 2>/dev/null && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo "$1 does not listen at $address:" >&2
    tail -5 "$work/out" >&2
    exit 1
}

# measure SERVER LOAD ROUND
measure() {
    local url=rtmp://127.0.0.1:$port/live/s flv=http://127.0.0.1:$http/live/s.flv publish players
    local hls=http://127.0.0.1:$http/live/s.m3u8
    [ "$1" != floor ] || flv=http://127.0.0.1:$port/live/s.flv
    [ "$1" != peer ] || { url=$peer_url && flv=${peer_url%.flv}; }
    publish=(publish "$url" and)
    [ "$1" != floor ] || publish=()
    # Players of HLS begin when there is a playlist.
    [ "$2" != hls ] || publish=(publish "$url" --bitrate 1000k and)
    case $2 in
        hls) players=(play "$hls" -n $((1000 / scale)) --delay 9s) ;;
        rtmp) players=(play "$url" -n $((2000 / scale)) --delay 1s) ;;
        rtmp8k) players=(play "$url" -n $((8000 / scale)) --delay 1s) ;;
        realtime) players=(play "$url" -n $((500 / scale)) --delay 1s) ;;
        flv) players=(play "$flv" -n $((2000 / scale)) --delay 1s) ;;
        publishers)
            publish=()
            players=(publish "${url}_{n}" -n $((1000 / scale)) --rate 200)
            ;;
    esac
    start "$1" "$2"
    local status=0
    taskset -c "$load_core" "$binaries/srs-bench" "${publish[@]}" "${players[@]}" \
        --time "${seconds}s" --warm-up 3s --timeout 20s --watch "$server" --json "$out/$2.$1.$3.json" >"$work/table" 2>&1 || status=$?
    stop_server
    [ "$status" -eq 0 ] || { echo "$1, $2, round $3:" && cat "$work/table"; } >&2
    [ "$status" -ne 2 ] || exit 1
}

servers=(floor ours nginx)
[ -z "$peer" ] || servers+=(peer)
for load in "${loads[@]}"; do
    rm -f "$out/$load".*.json
    for round in $(seq "$rounds"); do
        for name in "${servers[@]}"; do
            [[ -z $only || ",$only," == *",$name,"* ]] || continue
            # The floor sends one stream, without files; nginx-rtmp has no FLV over HTTP; a peer has one URL.
            case $name.$load in
                floor.publishers | floor.hls | nginx.flv | peer.hls) continue ;;
            esac
            echo "$load: $name, round $round of $rounds" >&2
            measure "$name" "$load" "$round"
        done
    done
done
python3 scripts/bench_table.py "$out" "$peer_name" "${loads[@]}" | tee "$out/table.md"
