#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Times 'vrambench fit' on generated journals of up to a million records of about 900 B against its limits, 30 s and
# 1 GiB: the points of a grid measured again and again, and points of which no two are alike. Exit status 1 if a
# limit is broken.    tests/bench/bench_fit.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-build/release/vrambench}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export VRAMBENCH_CACHE="$folder/cache" VRAMBENCH_CUDNN=off
broken=0

printf '[axes]\nmodel=yolov5n\nbatch=1\nimgsz=320\n' >"$folder/a.ini"
"$program" sweep "$folder/a.ini" --device virtual:b200 --out "$folder/plan" --format csv >/dev/null 2>&1
awk -v gpu="NVIDIA B200" -v capability=1000 -v seed=1 -v noise=0 -v context=0 -f tests/cli/as_measured.awk \
    "$folder/plan/rows.jsonl" >"$folder/line"

# generate KIND N: a grid of 7 x 7 points and two precisions over and over, or batches and sizes that never repeat. The
# line is cut once at what changes: "batch", "imgsz", "precision", "peak_device_bytes".
generate() {
    awk -v kind="$1" -v n="$2" '{
        split($0, cut, /"batch":1,"imgsz":320,"precision":"fp32"|"peak_device_bytes":[0-9]+/)
        for (i = 0; i < n; i++) {
            batch = kind == "repeats" ? 2 ^ (i % 7) : 1 + i % 4096
            size = kind == "repeats" ? 320 + 160 * (int(i / 7) % 7) : 32 * (1 + int(i / 4096))
            precision = kind == "repeats" && int(i / 49) % 2 ? "fp16" : "fp32"
            pixels = batch * size * size
            bytes = kind == "repeats" ? 800000000 + pixels * 400 : 500000000 + pixels * 0.4
            bytes *= 1 + (i * 7919 % 1000 - 500) / 20000
            printf "%s\"batch\":%d,\"imgsz\":%d,\"precision\":\"%s\"%s\"peak_device_bytes\":%.0f%s\n", \
                cut[1], batch, size, precision, cut[2], bytes, cut[3]
        }
    }' "$folder/line" >"$folder/run/rows.jsonl"
}

echo "| records                  | bytes each | seconds | MiB | limits      |"
echo "| :----------------------- | ---------: | ------: | --: | :---------- |"
for kind in repeats distinct; do
    for n in 100000 1000000; do
        rm -rf "$folder/run"
        mkdir "$folder/run"
        generate $kind $n
        /usr/bin/time -f '%e %M' -o "$folder/time" "$program" fit "$folder/run" >/dev/null 2>"$folder/err" ||
            { cat "$folder/err"; broken=1; }
        read -r seconds kib < <(tail -1 "$folder/time")
        bytes=$(($(stat -c %s "$folder/run/rows.jsonl") / n))
        printf '| %8d, %-14s | %10d | %7s | %3d | 30 s, 1 GiB |\n' $n $kind $bytes "$seconds" $((kib / 1024))
        awk "BEGIN { exit !($seconds > 30 || $kib > 1048576) }" && broken=1 || true
    done
done
exit $broken
