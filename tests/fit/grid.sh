#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writes tests/data/calibration/grid.csv: the planned peaks (bytes reserved) of the 196 points of sweeps/v5s.ini for
# profiles whose cuDNN choices differ, each with memory enough for all of them, and with no workspace in it.
# Needs cuDNN 9.19.0.    tests/fit/grid.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-build/release/vrambench}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# column GPU [--set KEY=VALUE]: the peaks, in the order of the points.
column() {
    local name=$1 gpu=$2
    shift 2
    sed 's/"totalGlobalMem": [0-9]*/"totalGlobalMem": 180000000000/' "sweeps/gpus/$gpu.json" >"$folder/$gpu.json"
    "$program" sweep sweeps/v5s.ini --device "virtual:$folder/$gpu.json" --out "$folder/run" --fresh --format csv \
        "$@" >"$folder/$name.csv" 2>"$folder/log" || { cat "$folder/log" >&2; exit 1; }
    [ "$name" = apart ] || grep -q '"workspaces":"library"' "$folder/run/rows.jsonl" || { echo "cuDNN did not answer" >&2; exit 1; }
    { echo "$name"; tail -n +2 "$folder/$name.csv" | cut -d, -f12; } >"$folder/$name.column"
}

column apart h200 --set workspace=outside
column t4 t4
column rtx2080ti rtx2080ti
column h200 h200
column h200-benchmark h200 --set benchmark=on
column b200 b200
column rtxpro6000 rtxpro6000
column rtxpro6000-any rtxpro6000 --set deterministic=off
mkdir -p tests/data/calibration
cut -d, -f2-5 "$folder/t4.csv" >"$folder/points.column"
cd "$folder"
paste -d, points.column apart.column t4.column rtx2080ti.column h200.column h200-benchmark.column b200.column \
    rtxpro6000.column rtxpro6000-any.column >grid.csv
cd - >/dev/null
cp "$folder/grid.csv" tests/data/calibration/grid.csv
