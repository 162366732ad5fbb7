#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The page of a results folder: what is written, what is refused; and in a browser, where there is one, what it does.
#    report.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1
here=$(cd "$(dirname "$0")" && pwd)
export VRAMBENCH_CUDNN=off
command -v python3 >/dev/null || { echo "no python3 here"; exit 77; }

# expect STATUS TEXT WHAT COMMAND...: the exit status, and what stderr holds, in one line where it is an error.
expect() {
    local status=$1 text=$2 what=$3
    shift 3
    "$@" >"$folder/out" 2>"$folder/err"
    local got=$?
    [ "$got" -eq "$status" ] || fail "$what: exit status $got, expected $status: $(tail -2 "$folder/err")"
    grep -qF -- "$text" "$folder/err" || fail "$what: no '$text' in: $(tail -3 "$folder/err")"
    [ "$status" -eq 0 ] || [ "$(wc -l <"$folder/err")" -eq 1 ] || fail "$what: more than a line: $(cat "$folder/err")"
}

# sweep NAME LINE...: plans the axes for a T4.
sweep() {
    local name=$1
    shift
    printf '%s\n' "[axes]" "$@" >"$folder/$name.ini"
    "$program" sweep "$folder/$name.ini" --device virtual:t4 --out "$folder/$name" >/dev/null 2>&1 || fail "the sweep $name"
}

# Two models, two precisions, some out of memory; the same as if measured; every batch; and texts that are hostile.
sweep plan "model=yolov5n,yolov8n" "batch=1,8,16,256" "imgsz=320,640" "precision=fp32,fp16"
sweep dense "model=yolov5n" "batch=1:64:1" "imgsz=320" "precision=fp16"
mkdir "$folder/run" "$folder/unheard" "$folder/hostile" "$folder/empty" "$folder/cut" "$folder/shut"
awk -v gpu="Tesla T4" -v capability=750 -v seed=3 -v noise=0.02 -v context=590558003 -f "$here/as_measured.awk" \
    "$folder/plan/rows.jsonl" >"$folder/run/rows.jsonl"
sed 's/"gpu":"Tesla T4"/"gpu":"Unheard Of"/' "$folder/run/rows.jsonl" >"$folder/unheard/rows.jsonl"
python3 "$here/hostile.py" "$folder/plan/rows.jsonl" >"$folder/hostile/rows.jsonl" || fail "hostile.py"

expect 0 "report: $folder/plan, 32 points, 4 that can be asked about" "planned" "$program" report "$folder/plan" --plans 48
expect 0 "points, 4 that can be asked about" "measured" "$program" report "$folder/run" --plans 48
expect 0 "64 points" "dense" "$program" report "$folder/dense" --plans 1
mkdir "$folder/drawn"
TMPDIR=$folder/drawn expect 0 "report: " "hostile" "$program" report "$folder/hostile" --plans 1
expect 0 "points of" "hostile, published" "$program" publish "$folder/hostile" --out "$folder/tables"
find "$folder" -name 'caught*' | grep . && fail "a text of a record was run as a command"
rmdir "$folder/drawn" || fail "charts are left where they were drawn"

# Again it is the same to the byte; with the file of 'fit' beside it, its calibrations are the page's.
cp "$folder/plan/report.html" "$folder/first.html"
expect 0 "32 points" "again" "$program" report "$folder/plan" --plans 48 -o "$folder/again.html"
cmp "$folder/first.html" "$folder/again.html" || fail "the same folder gives another page"
expect 0 "calibration: " "fit" "$program" fit "$folder/run"
expect 0 "points" "with a file of fit" "$program" report "$folder/run" --plans 48
expect 0 "calibration: " "fit of a GPU that cannot be planned for" "$program" fit "$folder/unheard"
expect 0 "4 that can be asked about" "a GPU that cannot be planned for" "$program" report "$folder/unheard"
find "$folder" -name '*.new' | grep . && fail "a half-written page is left"
grep -oE '(src|href|action|url\()[="'"'"' ]*(https?:)?//[^ ]*' "$folder"/*/report.html && fail "a page names another place"

# What is told.
for text in "<strong>32 points</strong> of 2 models, planned for Tesla T4" "vrambench 0" "<td>virtual:t4" "speed modelled"; do
    grep -qF -- "$text" "$folder/plan/report.html" || fail "no '$text' in the page of what was planned"
done
for text in "measured on Tesla T4" "580.65.06" "13.0" "modelled from measured" "Calibrations, as of"; do
    grep -qF -- "$text" "$folder/run/report.html" || fail "no '$text' in the page of what was measured"
done

# What is refused, in a line, with nothing written.
: >"$folder/empty/rows.jsonl"
expect 2 "none/rows.jsonl" "no folder" "$program" report "$folder/none"
expect 2 "shut/rows.jsonl" "no journal" "$program" report "$folder/shut"
expect 2 "has no record" "an empty journal" "$program" report "$folder/empty"
expect 2 "--plans is 'x', expected 1 to" "no number of plans" "$program" report "$folder/plan" --plans x
expect 2 "--plans is '0', expected 1 to" "no plans" "$program" report "$folder/plan" --plans 0
expect 2 "unknown option" "an option" "$program" report "$folder/plan" --colour
expect 3 "cannot be written" "no such place" "$program" report "$folder/dense" --plans 1 -o "$folder/none/report.html"
expect 3 "cannot be written" "a folder's place" "$program" report "$folder/dense" --plans 1 -o "$folder/empty"
[ -e "$folder/empty/report.html" ] && fail "a page of nothing"
"$program" report --help | grep -q "usage: vrambench report RESULTS" || fail "--help"
{ head -c 500 "$folder/dense/rows.jsonl"; echo; tail -n +2 "$folder/dense/rows.jsonl"; } >"$folder/cut/rows.jsonl"
expect 0 "1 such lines are passed over" "a cut line" "$program" report "$folder/cut" --plans 1
grep -qF "1 line of the journal that is no record is passed over" "$folder/cut/report.html" || fail "a cut line is not told of"

[ "$failures" -gt 0 ] && echo "$failures failures" && exit 1
python3 "$here/report.py" "$program" "$folder"
