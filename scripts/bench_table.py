"""The table of scripts/bench.sh: medians of the rounds and, in brackets, the smallest and the largest.

Usage: bench_table.py FOLDER PEER_NAME LOAD...
"""

import json
import pathlib
import statistics
import sys

NAMES = {"floor": "bare sender", "ours": "srs-may", "nginx": "nginx-rtmp"}


def spread(values, digits):
    """The median with the range, or a dash."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    shown = [f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values))]
    return shown[0] if len(values) == 1 else f"{shown[0]} ({shown[1]}–{shown[2]})"


def quantile(run, name, share):
    """The value of the first job that has one."""
    for job in run["jobs"]:
        if job.get(name) and not (name == "connect_ms" and job["name"] == "publish"):
            return job[name][share]
    return None


def row(name, load, runs, floor):
    """One server's line."""
    watched = [run["watched"] for run in runs]
    costs = [w["cpu_seconds_per_gbit"] for w in watched]
    ratio = "-"
    if floor and all(cost is not None for cost in costs):
        ratio = f"{statistics.median(costs) / floor:.2f}"
    count = sum(job["running_at_end"] for job in runs[0]["jobs"])
    if load == "publishers":
        memory = [w["resident_bytes"] / 1024 / count for w in watched]
    else:
        memory = [w["resident_bytes_per_player"] and w["resident_bytes_per_player"] / 1024 for w in watched]
    failed = sum(job["failed"] for run in runs for job in run["jobs"])
    return [
        name,
        spread(costs, 4),
        ratio,
        spread([w["cpu_share"] * 100 for w in watched], 1),
        spread([w["resident_bytes"] / 1e6 for w in watched], 1),
        spread(memory, 1),
        spread([quantile(run, "first_frame_ms", "p99") for run in runs], 1),
        spread([quantile(run, "latency_ms", "p50") for run in runs], 1),
        spread([quantile(run, "latency_ms", "p99") for run in runs], 1),
        str(failed),
    ]


def main():
    folder, peer, loads = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    head = ["server", "CPU s/Gbit", "to the floor", "% of a core", "MB", "KB a client", "first frame p99, ms",
            "latency p50, ms", "latency p99, ms", "failed"]
    for load in loads:
        print(f"\n### {load}\n")
        print("| " + " | ".join(head) + " |")
        print("|---" * len(head) + "|")
        floor = None
        for key in ("floor", "ours", "nginx", "peer"):
            runs = [json.loads(path.read_text()) for path in sorted(folder.glob(f"{load}.{key}.*.json"))]
            if not runs:
                continue
            if key == "floor":
                floor = statistics.median(run["watched"]["cpu_seconds_per_gbit"] for run in runs)
            print("| " + " | ".join(row(NAMES.get(key, peer), load, runs, floor)) + " |")
        doubts = {doubt for path in folder.glob(f"{load}.*.json") for doubt in json.loads(path.read_text())["warnings"]}
        for doubt in sorted(doubts):
            print(f"\nwarning: {doubt}")


main()
