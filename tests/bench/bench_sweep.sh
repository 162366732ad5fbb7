#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Times the sweep and the estimate, cold (no cached plans) and warm, against their limits; exit status 1 if
# one is broken.    tests/bench/bench_sweep.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-build/release/vrambench}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export VRAMBENCH_CACHE="$folder/cache"
broken=0

measure() {
    local what=$1 limit=$2 start end seconds
    shift 2
    start=$(date +%s.%N)
    "$@" >/dev/null 2>&1 || true
    end=$(date +%s.%N)
    seconds=$(awk "BEGIN { printf \"%.3f\", $end - $start }")
    printf '| %-14s | %8s | %6s |\n' "$what" "$seconds" "$limit"
    awk "BEGIN { exit !($seconds > $limit) }" && broken=1 || true
}

estimate=("$program" estimate --model yolov5s --batch 32 --imgsz 640 --precision fp16 --gpu rtx3090)
sweep=("$program" sweep sweeps/v5s.ini --out "$folder/run" --fresh)
echo "| what           | seconds  | limit  |"
echo "| :------------- | -------: | -----: |"
measure "estimate, cold" 3 "${estimate[@]}"
measure "estimate, warm" 0.1 "${estimate[@]}"
rm -rf "$VRAMBENCH_CACHE"
measure "sweep, cold" 30 "${sweep[@]}"
measure "sweep, warm" 2 "${sweep[@]}"
exit $broken
