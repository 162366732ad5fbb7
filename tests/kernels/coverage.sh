#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Which lines of kernels/ no test runs on the host: builds the kernels' tests with gcov in a folder of
# its own, runs them, and fails naming each such line.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
# What no source uses is to be seen as well. Debug would optimise the kernels, and lines that are merged count as not run.
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Coverage -DCMAKE_C_COMPILER=gcc \
    -DCMAKE_CXX_COMPILER=g++ -DCMAKE_C_COMPILER_LAUNCHER="${CMAKE_C_COMPILER_LAUNCHER:-}" \
    -DCMAKE_CXX_FLAGS="--coverage -g -fkeep-inline-functions -fkeep-static-functions" >"$build/log"
cmake --build "$build" --target kernel_tests >>"$build/log" || {
    cat "$build/log"
    exit 1
}
ctest --test-dir "$build" -L '^kernels$' --output-on-failure >"$build/log" || {
    cat "$build/log"
    exit 1
}

# A line is run when it is for one of the sources that include it, or of a template's kinds.
find "$build" -name '*.cu.gcda' -exec gcov --stdout {} + 2>"$build/log" |
    awk -F: -v root="$PWD/" '
        $2 + 0 == 0 && $3 == "Source" { file = $4; sub(root, "", file); next }
        file !~ /^kernels\// { next }
        { count = $1; gsub(/[ *]/, "", count) }
        count ~ /^[0-9]+$/ || count == "#####" || count == "=====" {
            line = file ":" $2 + 0
            text[line] = $0
            runs[line] += count + 0
        }
        END {
            for (line in runs) {
                all++
                if (runs[line] > 0)
                    continue
                missed++
                sub(/^[^:]*:[^:]*:/, "", text[line])
                print line ": no test runs this:" text[line]
            }
            if (all == 0)
                exit 1
            printf "%d of %d lines of kernels/ are run by the tests (%.1f %%)\n", all - missed, all,
                   100 * (all - missed) / all
            exit missed > 0
        }'
