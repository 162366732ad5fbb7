#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Times a training step on the cpu beside the same step in PyTorch, in turns: YOLOv5s, batch 4, 320 px, fp32, two
# threads. PyTorch's faster layout of memory counts. Exit status 1 if ours is not 1.3 times as fast or its process
# takes more memory, 77 where there is no PyTorch.    tests/bench/bench_step.sh [PROGRAM [ROUNDS [STEPS]]]
# PYTHON names the interpreter that has PyTorch.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-build/release/vrambench}
rounds=${2:-5}
steps=${3:-10}
python=${PYTHON:-python3}
model=yolov5s batch=4 imgsz=320 threads=2 factor=1.3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -c 'import torch' 2>/dev/null || { echo "no PyTorch for $python"; exit 77; }

# value KEY: of the record in the file.
value() {
    grep -o "\"$1\":[^,}]*" "$folder/record" | head -1 | cut -d: -f2
}

# Each appends a line: milliseconds, MiB.
ours() {
    "$program" point --model $model --batch $batch --imgsz $imgsz --device cpu:$threads --accumulate 1 \
        --steps "$steps" >"$folder/record"
    awk -v s="$(value step_seconds)" -v b="$(value peak_rss_bytes)" \
        'BEGIN { printf "%.1f %.0f\n", s * 1e3, b / 1048576 }' >>"$folder/ours"
}

theirs() {
    OMP_NUM_THREADS=$threads "$python" tests/bench/torch_step.py $model $batch $imgsz $threads "$1" "$steps" \
        >>"$folder/$1"
}

# median FILE COLUMN
median() {
    awk -v c="$2" '{ print $c }' "$folder/$1" | sort -n | awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }'
}

for ((i = 0; i < rounds; i++)); do
    ours
    theirs default
    theirs channels_last
done
echo "$model, batch $batch, $imgsz px, fp32, $threads threads: medians of $rounds processes, each of $steps steps"
echo "| who                    | ms a step | peak RSS, MiB |"
echo "| :--------------------- | --------: | ------------: |"
printf '| %-22s | %9s | %13s |\n' "vrambench" "$(median ours 1)" "$(median ours 2)"
for layout in default channels_last; do
    printf '| %-22s | %9s | %13s |\n' "PyTorch, $layout" "$(median $layout 1)" "$(median $layout 2)"
done
sed -n '1s/.* /PyTorch /p' "$folder/default"
awk -v o="$(median ours 1)" -v d="$(median default 1)" -v c="$(median channels_last 1)" -v f=$factor \
    -v om="$(median ours 2)" -v dm="$(median default 2)" -v cm="$(median channels_last 2)" '
    BEGIN {
        best = d < c ? d : c
        bestm = d < c ? dm : cm
        printf "PyTorch takes %.2f times as long (at least %s is wanted) and %.2f times the memory (1)\n", best / o, f, bestm / om
        exit !(best / o >= f && om <= bestm)
    }'
