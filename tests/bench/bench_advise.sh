#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Times 'advise' of trainings that do not fit, warm, the median of three, against 0.5 s each; exit status 1 if one
# of the six takes longer. "seconds" are the clock's, on two processors or more; "processor" is what all processes
# took of them, "system" the part of that in the kernel, which has to hand out some 100 MB to each of two. With a
# number: of so many drawn at random that do not fit, how long they take and which take longest.
#   tests/bench/bench_advise.sh [PROGRAM] [RANDOM]
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-build/release/vrambench} drawn=${2:-0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export VRAMBENCH_CACHE="$folder/cache"
broken=0
TIMEFORMAT="%R %U %S"

# seconds ARGUMENTS...: of the clock, of processors and in the kernel, the median of three after a first time;
# nothing where it fits as it is.
seconds() {
    "$program" advise "$@" >"$folder/out" </dev/null || true
    if grep -q "^It fits as it is" "$folder/out"; then return; fi
    for _ in 1 2 3; do
        { time "$program" advise "$@" >"$folder/out" 2>"$folder/err" </dev/null || true; } 2>&1
    done | sort -n | awk 'NR == 2 { printf "%.3f %.3f %.3f", $1, $2 + $3, $3 }'
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
    # shellcheck disable=SC2086
    printf '| %-34s | %8s | %9s | %8s |\n' "$what" $took
    if awk "BEGIN { exit !(${took%% *} > 0.5) }"; then broken=1; fi
}

echo "| advise                             |  seconds | processor |   system |"
echo "| :--------------------------------- | -------: | --------: | -------: |"
measure "yolov5x 32 @ 1280, fp32, rtx3090" --model yolov5x --batch 32 --imgsz 1280 --mosaic on --mixup on \
    --gpu rtx3090
measure "yolov5x6 64 @ 1280, adamw, a100" --model yolov5x6 --batch 64 --imgsz 1280 --optimizer adamw --gpu a100-40g
measure "yolov8x 64 @ 640, fp16, t4" --model yolov8x --batch 64 --imgsz 640 --precision fp16 --gpu t4
measure "yolov5s 128 @ 640, fp32, rtx3060" --model yolov5s --batch 128 --imgsz 640 --gpu rtx3060
measure "yolov9e 48 @ 1024, fp32, v100" --model yolov9e --batch 48 --imgsz 1024 --mosaic on --gpu v100
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
    left=$drawn
    while [ "$left" -gt 0 ] && read -ra arguments; do
        took=$(seconds "${arguments[@]}")
        [ -n "$took" ] || continue
        echo "$took ${arguments[*]}"
        left=$((left - 1))
    done < <(draw $((4 * drawn))) | sort -n >"$folder/drawn"
    echo
    awk '{ t[NR] = $1; above += $1 > 0.5; processor += $2; system_seconds += $3 }
        function at(share) { return t[int((NR - 1) * share) + 1] }
        END {
            printf "%d at random do not fit: median %.3f s, 90th percentile %.3f, at most %.3f; above 0.5: %d\n",
                NR, at(0.5), at(0.9), t[NR], above
            printf "on average: processor %.3f, system %.3f\n", processor / NR, system_seconds / NR
        }' "$folder/drawn"
    tail -5 "$folder/drawn"
fi
exit $broken
