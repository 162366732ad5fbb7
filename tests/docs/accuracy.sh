#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The accuracy page, from what 'vrambench validate' says of published runs.   accuracy.sh [--check|--library] [PROGRAM]
#   (nothing)   writes results/accuracy/ and README.md's section
#   --check     fails with a diff where those are not what would be written
#   --library   asks cuDNN for the page's second table, which CI cannot check, then writes all
set -euo pipefail
cd "$(dirname "$0")/../.."

mode="write"
case "${1:-}" in
--check | --library)
    mode=${1#--}
    shift
    ;;
-*)
    echo "accuracy.sh: unknown option '$1'; there is: --check, --library" >&2
    exit 2
    ;;
esac
program=${1:-build/release/vrambench}
logs=sweeps/published/train_logs_best.csv
page=results/accuracy
chart=predicted-against-published.svg
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export LC_ALL=C VRAMBENCH_CACHE="$folder/cache" VRAMBENCH_HOME="$PWD"

write() {
    awk -v part="$1" -v runs="$folder/runs.csv" -v tables="$folder/tables.csv" -v published="$logs" \
        -v cover="$folder/cover" -v skipped="$folder/skipped" -v library="$folder/library" \
        -v notes=tests/docs/accuracy_notes.txt -v fitted="${fitted:-}" \
        -f tests/docs/accuracy.awk -f tests/docs/accuracy_page.awk
}

# fitted_rows: how many rows have a workspace that neither cuDNN nor a table tells.
fitted_rows() {
    "$program" validate "$logs" --json | { grep -o '"fitted workspaces"' || true; } | wc -l
}

# validated: all.md and tables.md, with the same rows in runs.csv and tables.csv, and the chart.
validated() {
    "$program" validate "$logs" --format md,csv --chart "$folder/$chart" \
        >"$folder/all.md" 2>"$folder/notes" || { cat "$folder/notes" >&2; exit 2; }
    "$program" validate sweeps/published/autobatch.csv --format md,csv >"$folder/tables.md"
    sed -n '/^line,state,/,$p' "$folder/all.md" >"$folder/runs.csv"
    sed -n '/^line,state,/,$p' "$folder/tables.md" >"$folder/tables.csv"
}

# covered LABEL ROW FILE: a row of validate's second table, that of intervals, as ours.
covered() {
    awk -F'|' -v label="$1" -v row="$2" '
        /^Runs inside/ { found = 1 }
        found && $2 ~ "^ " row " *$" {
            printf "| %-48s | %4d | %6.1f | %6.1f |\n", label, $3, $4, $5
            exit
        }' "$3"
}

# agrees NAME ROW FILE: our statistics are those that validate prints in its first table.
agrees() {
    local ours theirs
    ours=$(awk -F, -v name="$1" '$1 == name { print $2, $3, $4, $5, $6 }' "$folder/stats")
    theirs=$(awk -F'|' -v row="$2" '/^Errors in/ { found = 1 }
        found && $2 ~ "^ " row " *$" { print $3 + 0, $4, $5, $6, $7; exit }' "$3" | tr -s ' ')
    if [ -z "$ours" ] || [ "$ours" != "${theirs% }" ]; then
        echo "accuracy.sh: of '$1' validate says '$theirs', accuracy.awk '$ours'" >&2
        exit 1
    fi
}

skips() {
    awk '/^Errors in/ { exit } /^Skipped/ { found = 1; next } found && (NF || started) { started = 1; print }' "$1" |
        sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

# README.md with its section anew, to standard output.
readme() {
    awk -v section="$folder/section" '
        /<!-- accuracy: begin -->/ {
            print
            while ((getline line <section) > 0)
                print line
            inside = 1
        }
        /<!-- accuracy: end -->/ { inside = 0 }
        !inside && !/<!-- accuracy: begin -->/' README.md
}

if [ "$mode" = library ]; then
    unset VRAMBENCH_CUDNN
    version=$("$program" doctor | sed -n 's/^ok *cuDNN 9 *\([0-9.]*\),.*/\1/p')
    [ -n "$version" ] || { echo "accuracy.sh: no cuDNN here; './quickstart --cudnn' gets one" >&2; exit 3; }
    validated
    write table >"$page/with-library.md"
    printf '\n%s\n' "cuDNN $version was asked, on Pascal the table; workspaces are fitted in $(fitted_rows) rows." \
        >>"$page/with-library.md"
fi

export VRAMBENCH_CUDNN=off
validated
"$program" validate "$logs" --where trust=A --max-instances 199 >"$folder/own.md"
write stats >"$folder/stats"
agrees "A<200" "all" "$folder/own.md"
agrees "A" "trust A" "$folder/all.md"
agrees "A and B" "all" "$folder/all.md"
{
    covered "own processes, under 200 boxes in the last batch" "all" "$folder/own.md"
    covered "own processes (trust A)" "trust A" "$folder/all.md"
    covered "own processes and notebooks (trust A and B)" "all" "$folder/all.md"
    covered "AutoBatch's clean tables" "all" "$folder/tables.md"
} >"$folder/cover"
{
    skips "$folder/all.md"
    printf '\nOf autobatch.csv:\n\n'
    skips "$folder/tables.md"
} >"$folder/skipped"
cp "$page/with-library.md" "$folder/library"
fitted=$(fitted_rows)
write page >"$folder/README.md"
write readme >"$folder/section"
readme >"$folder/top.md"
if [ ! -s "$folder/$chart" ] && [ "$mode" != check ]; then
    cat "$folder/notes" >&2
    exit 3
fi

if [ "$mode" != check ]; then
    cp "$folder/README.md" "$folder/$chart" "$page/"
    cp "$folder/top.md" README.md
    exit 0
fi
failures=0
diff -u "$page/README.md" "$folder/README.md" || failures=1
diff -u README.md "$folder/top.md" || failures=1
# Another gnuplot draws the same with other text in the file: only the committed one's version can be compared.
drawn_by() { grep -m 1 -o "GNUPLOT [0-9.]* patchlevel [0-9]*" "$1"; }
if [ -s "$folder/$chart" ] && [ "$(drawn_by "$page/$chart")" = "$(drawn_by "$folder/$chart")" ]; then
    cmp "$page/$chart" "$folder/$chart" || failures=1
else
    echo "accuracy.sh: the chart was drawn by another gnuplot, or there is none here: not compared"
fi
[ "$failures" -eq 0 ] || echo "accuracy.sh: run tests/docs/accuracy.sh, look at what changed, commit it" >&2
exit "$failures"
