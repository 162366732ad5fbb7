#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Times `validate` of 500 rows, cold (no cached plans) and warm, against its limits; exit status 1 if one is
# broken. Once the published rows over and over, once the same with every batch only once for a GPU, model and
# image size, so that nearly all of them ask cuDNN something new.    tests/bench/bench_validate.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-build/release/vrambench}
published=sweeps/published/train_logs_best.csv
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export VRAMBENCH_CACHE="$folder/cache"
broken=0

# Column 2 is the GPU, 8 the model, 11 the image size, 12 the batch.
rows() {
    awk -F, -v OFS=, -v distinct="$1" '
        NR == 1 { print; next }
        $8 ~ /^yolov[58][nsmlx](\.pt)?$/ { line[n++] = $0 }
        END {
            for (i = 0; i < 500; i++) {
                $0 = line[i % n]
                if (distinct)
                    $12 = ++batch[$2, $8, $11]
                print
            }
        }' "$published"
}

measure() {
    local what=$1 limit=$2 start end seconds
    shift 2
    start=$(date +%s.%N)
    "$@" >/dev/null 2>&1
    end=$(date +%s.%N)
    seconds=$(awk "BEGIN { printf \"%.3f\", $end - $start }")
    printf '| %-14s | %8s | %6s |\n' "$what" "$seconds" "$limit"
    awk "BEGIN { exit !($seconds > $limit) }" && broken=1 || true
}

echo "| what           | seconds  | limit  |"
echo "| :------------- | -------: | -----: |"
for kind in repeated distinct; do
    rows "$([ $kind = distinct ] && echo 1 || echo 0)" >"$folder/$kind.csv"
    rm -rf "$VRAMBENCH_CACHE"
    measure "$kind, cold" 20 "$program" validate "$folder/$kind.csv"
    measure "$kind, warm" 3 "$program" validate "$folder/$kind.csv"
done
exit $broken
