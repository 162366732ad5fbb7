#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ptxas.sh FOLDER ARCHITECTURE...: what ptxas said of each kernel that the build compiled, for each of these
# architectures. A kernel that keeps in memory what belongs in registers, or needs so many registers that
# few of its threads fit on a multiprocessor, fails with its file, name, architecture and figure. Without
# nvcc it is skipped.
set -eu
most_registers=80

folder=$1
shift
[ -e "$folder/elementwise.fatbin.log" ] || { echo "there was no nvcc: kernels are not compiled for a GPU"; exit 77; }

failed=0
for log in "$folder"/*.fatbin.log; do
    awk -v file="$(basename "$log" .fatbin.log).cu" -v most="$most_registers" -v wanted="$*" '
        function complain(figure) { print file ": " kernel " on " arch ": " figure; failed = 1 }
        /Compiling entry function/ { split($0, parts, "\047"); kernel = parts[2]; arch = parts[4]; kernels[arch]++ }
        /bytes stack frame/ {
            if ($1 > 0) complain($1 " bytes of stack")
            if ($5 > 0 || $9 > 0) complain($5 " bytes stored and " $9 " loaded in spills")
        }
        /Used [0-9]+ registers/ {
            for (i = 1; i < NF; i++)
                if ($i == "Used" && $(i + 1) > most)
                    complain($(i + 1) " registers, " most " at most")
        }
        END {
            n = split(wanted, list, " ")
            for (i = 1; i <= n; i++) {
                arch = "sm_" list[i]
                kernel = "nothing"
                if (!(arch in kernels)) complain("not compiled")
            }
            exit failed
        }' "$log" || failed=1
done
exit $failed
