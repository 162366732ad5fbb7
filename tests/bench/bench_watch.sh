#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What being watched costs an allocation: the same program alone and watched, in turns, on the libraries that stand in for
# NVIDIA's. An allocation counts with its release, which are two records; of each kind the quickest of all parts is taken,
# by the clock and by what all of the process's threads, ours too, spent on the processors. Exit status 1: the latter is
# beyond what is wanted; on a machine that does other things the clock says nothing.
#   tests/bench/bench_watch.sh [ROUNDS] [BUILD]
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-10} build=${2:-build/release} most_ns=5000 allocations=4000
export VRAMBENCH_CUDA_LIBS="$PWD/$build/emulated" VRAMBENCH_EMULATED_GPU=sweeps/gpus/rtx3090.json
parts=$(mktemp)
trap 'rm -f "$parts"' EXIT
for _ in $(seq "$rounds"); do
    "$build/tests/watched_program" time $allocations | sed 's/^/alone /' >>"$parts"
    "$build/vrambench" watch -- "$build/tests/watched_program" time $allocations 2>"$parts.report" | sed 's/^/watched /' >>"$parts"
    grep -q "allocated 258.0 MiB" "$parts.report" || {
        echo "it was not watched:"
        cat "$parts.report"
        exit 1
    }
done
rm -f "$parts.report"
awk -v most=$most_ns '
    { if (!($1 in wall) || $2 < wall[$1]) wall[$1] = $2; if (!($1 in cpu) || $3 < cpu[$1]) cpu[$1] = $3; n[$1]++ }
    END {
        printf "an allocation and its release, ns: the quickest of %d parts each\n", n["alone"]
        printf "%-10s %10s %10s\n", "", "clock", "processor"
        printf "%-10s %10.0f %10.0f\n", "alone", wall["alone"], cpu["alone"]
        printf "%-10s %10.0f %10.0f\n", "watched", wall["watched"], cpu["watched"]
        printf "%-10s %10.0f %10.0f  (at most %d is wanted)\n", "difference", wall["watched"] - wall["alone"], cpu["watched"] - cpu["alone"], most
        exit cpu["watched"] - cpu["alone"] > most
    }' "$parts"
