#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Times 'advise' of trainings that do not fit, warm, against 0.5 s of the processor's time each; exit status 1
# if one takes longer.    tests/bench/bench_advise.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-build/release/vrambench}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export VRAMBENCH_CACHE="$folder/cache"
broken=0
TIMEFORMAT="%U %S"

measure() {
    local what=$1 times seconds
    shift
    "$program" advise "$@" >"$folder/out" || true
    { times=$({ time "$program" advise "$@" >"$folder/out" || true; } 2>&1); }
    seconds=$(echo "$times" | awk 'END { printf "%.3f", $1 + $2 }')
    printf '| %-34s | %8s |\n' "$what" "$seconds"
    awk "BEGIN { exit !($seconds > 0.5) }" && broken=1 || true
}

echo "| advise                             |  seconds |"
echo "| :--------------------------------- | -------: |"
measure "yolov5x 32 @ 1280, fp32, rtx3090" --model yolov5x --batch 32 --imgsz 1280 --mosaic on --mixup on \
    --gpu rtx3090
measure "yolov5x6 64 @ 1280, adamw, a100" --model yolov5x6 --batch 64 --imgsz 1280 --optimizer adamw --gpu a100-40g
measure "yolov8x 64 @ 640, fp16, t4" --model yolov8x --batch 64 --imgsz 640 --precision fp16 --gpu t4
measure "yolov5s 128 @ 640, fp32, rtx3060" --model yolov5s --batch 128 --imgsz 640 --gpu rtx3060
measure "yolov8n 64 @ 640, nothing fits" --model yolov8n --batch 64 --imgsz 640 --gpu gtx1050 \
    --keep batch,imgsz,gpu
exit $broken
