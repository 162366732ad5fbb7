#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Times 'advise' of trainings that do not fit, warm, against 0.5 s of the processor's time each; exit status 1
# if one of the five takes longer. "system" is the part of it in the kernel, which is to hand out some 140 MB:
# what that takes is the machine's. With a number: of so many drawn at random too, how long they take and which
# take longest.    tests/bench/bench_advise.sh [PROGRAM] [RANDOM]
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-build/release/vrambench} drawn=${2:-0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export VRAMBENCH_CACHE="$folder/cache"
broken=0
TIMEFORMAT="%U %S"

# seconds ARGUMENTS...: of the processor in all and in the kernel, the second time; nothing where it fits as it is.
seconds() {
    "$program" advise "$@" >"$folder/out" </dev/null || true
    if grep -q "^It fits as it is" "$folder/out"; then return; fi
    { time "$program" advise "$@" >"$folder/out" </dev/null || true; } 2>&1 | awk 'END { printf "%.3f %.3f", $1 + $2, $2 }'
}

measure() {
    local what=$1 took
    shift
    took=$(seconds "$@")
    if [ -z "$took" ]; then
        echo "$what: fits as it is, so that nothing is timed" >&2
        broken=1
        return
    fi
    printf '| %-34s | %8s | %8s |\n' "$what" "${took% *}" "${took#* }"
    if awk "BEGIN { exit !(${took% *} > 0.5) }"; then broken=1; fi
}

echo "| advise                             |  seconds |   system |"
echo "| :--------------------------------- | -------: | -------: |"
measure "yolov5x 32 @ 1280, fp32, rtx3090" --model yolov5x --batch 32 --imgsz 1280 --mosaic on --mixup on \
    --gpu rtx3090
measure "yolov5x6 64 @ 1280, adamw, a100" --model yolov5x6 --batch 64 --imgsz 1280 --optimizer adamw --gpu a100-40g
measure "yolov8x 64 @ 640, fp16, t4" --model yolov8x --batch 64 --imgsz 640 --precision fp16 --gpu t4
measure "yolov5s 128 @ 640, fp32, rtx3060" --model yolov5s --batch 128 --imgsz 640 --gpu rtx3060
measure "yolov8n 64 @ 640, nothing fits" --model yolov8n --batch 64 --imgsz 640 --gpu gtx1050 \
    --keep batch,imgsz,gpu

# draw N: lines of arguments, the same ones each time, all sizes of model alike.
draw() {
    find sweeps/gpus -name "*.json" -exec basename -s .json {} + | sort | awk -v n="$1" '
        function pick(list, k,    words) { k = split(list, words, " "); return words[below(k) + 1] }
        function below(k) { state = (state * 16807) % 2147483647; return state % k }
        { gpu[NR - 1] = $1 }
        END {
            state = 7
            while (n-- > 0) {
                size = pick("n s m l x")
                model = pick("yolov5% yolov5%6 yolov5%u yolov8%")
                sub("%", size, model)
                print "--model", model, "--batch", pick("4 8 12 16 24 32 48 64 96 128"), "--imgsz", 320 + 64 * below(19),
                    "--precision", pick("fp32 fp16"), "--mosaic", pick("off cpu on"),
                    "--optimizer", pick("sgd adam adamw"), "--gpu", gpu[below(NR)]
            }
        }'
}

if [ "$drawn" -gt 0 ]; then
    draw "$drawn" | while read -ra arguments; do
        took=$(seconds "${arguments[@]}")
        [ -z "$took" ] || echo "$took ${arguments[*]}"
    done | sort -n >"$folder/drawn"
    echo
    awk '{ t[NR] = $1; above += $1 > 0.5; own += $1 - $2 > 0.5; system_seconds += $2 }
        function at(share) { return t[int((NR - 1) * share) + 1] }
        END {
            printf "%d at random do not fit: median %.3f s, 90th percentile %.3f, at most %.3f; system %.3f on average\n",
                NR, at(0.5), at(0.9), t[NR], system_seconds / NR
            printf "above 0.5: %d, without system: %d\n", above, own
        }' "$folder/drawn"
    tail -5 "$folder/drawn"
fi
exit $broken
