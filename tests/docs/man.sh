#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The man page, made of what --help says; and README, which names the same commands and options.   man.sh [--check] [PROGRAM]
#   (nothing)   writes man/vrambench.1
#   --check     fails with a diff where that is not what would be written, where README lacks a command or has one that
#               there is not, or an option that its command does not have, or not each variable that is read
set -euo pipefail
cd "$(dirname "$0")/../.."
mode="write"
[ "${1:-}" = "--check" ] && mode="check" && shift
program=${1:-build/release/vrambench}
page=man/vrambench.1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export LC_ALL=C
failures=0

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

"$program" --help >"$folder/help"
commands=$(sed -n 's/^  \([a-z]*\)  *.*/\1/p' "$folder/help")

made() {
    cat <<'END'
.\" SPDX-License-Identifier: Apache-2.0
.\" Made by tests/docs/man.sh of what --help says.
.TH VRAMBENCH 1 "" "vrambench" "User Commands"
.SH NAME
vrambench \- how much GPU memory training a YOLO model takes, and how you know
.SH SYNOPSIS
.B vrambench
.I COMMAND
[\fIoptions\fR]
.SH DESCRIPTION
Measures on a GPU what training takes, and plans it on machines without one: what PyTorch and Ultralytics allocate and
free in a training step goes through PyTorch's caching allocator, and the real cuDNN library tells which plans it would
run and what workspace each takes. Every figure says whether it was measured or planned.
.SH COMMANDS
END
    for name in $commands; do
        "$program" "$name" --help >"$folder/$name"
        awk -v name="$name" -f tests/docs/man.awk "$folder/$name"
    done
    echo '.SH SWEEP FILES'
    echo 'Keys of the sections [axes] and [step], and options of commands that take a point:'
    "$program" help keys | awk -v keys=1 -f tests/docs/man.awk
    cat <<'END'
.SH EXIT STATUS
0 done, fits, no regression; 1 does not fit, or a regression; 2 bad usage or input; 3 no usable device or library, or it
failed; 4 inconclusive; 5 the sweep finished with failed points; 130 interrupted, can be resumed.
.SH ENVIRONMENT
END
    awk '/^\| `VRAMBENCH_/ { split($0, cell, / *\| */); gsub(/`/, "", cell[2]); gsub(/`/, "", cell[3]); gsub(/-/, "\\-", cell[3])
        printf ".TP\n.B %s\n%s\n", cell[2], cell[3] }' README.md
}

made >"$folder/page"
if [ "$mode" = write ]; then
    mkdir -p man
    cp "$folder/page" $page
    exit 0
fi
diff -u $page "$folder/page" || fail "$page is not what --help says; tests/docs/man.sh writes it"
if command -v groff >/dev/null; then
    groff -man -Tutf8 -ww -rLL=78n $page 2>&1 >"$folder/shown" | tee "$folder/warnings"
    [ ! -s "$folder/warnings" ] || fail "$page: groff warns"
fi

# README's lines that begin so, in code: the command and its options.
grep -hE '^ {4,}(build/release/)?vrambench [a-z]+( |$)' README.md docs/*.md | sed 's/ #.*//; s/^ *[^ ]* //' >"$folder/used"
while read -r name arguments; do
    [ "$name" = help ] || [ "$name" = version ] && continue
    [ -e "$folder/$name" ] || { fail "README has the command '$name', --help does not"; continue; }
    for option in $(grep -oE -- '--[a-z][a-z_-]*' <<<"${arguments%% -- *}"); do
        grep -qE -- "^  $option( |\$)" "$folder/$name" || fail "README gives $name the option $option, --help does not"
    done
done <"$folder/used"
for name in $commands; do
    grep -q "^$name " "$folder/used" || grep -q "^$name\$" "$folder/used" || fail "README does not show the command '$name'"
done
diff <(grep -rhoE '"VRAMBENCH_[A-Z0-9_]+"' bench | tr -d '"' | sort -u) \
    <(grep -oE '^\| `VRAMBENCH_[A-Z0-9_]+' README.md | cut -c4- | sort -u) || fail "README's variables (>) are not those that are read (<)"
echo "$failures failures"
exit $((failures > 0))
