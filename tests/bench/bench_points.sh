#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writes results/few-points/: the error of a calibration against the number of points, as table and chart.
#   tests/bench/bench_points.sh [BUILD]
set -euo pipefail
cd "$(dirname "$0")/../.."
bench=${1:-build/release}/tests/bench_points
folder=results/few-points
"$bench" tests/data/calibration/grid.csv >"$folder/pairs.txt"
"$bench" tests/data/calibration/grid.csv t4 rtx2080ti >"$folder/error.dat"
for kind in svg png; do
    terminal=$([ "$kind" = svg ] && echo "svg size 900,560 background 'white'" || echo "pngcairo size 900,560")
    gnuplot -e "set terminal $terminal; set output '$folder/error.$kind'; data = '$folder/error.dat'" \
        -e "title = 'YOLOv5s, 196 points: a T4 played by an RTX 2080 Ti, 3 % noise in each measured peak'" plots/points.gp
done
