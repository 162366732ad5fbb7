#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 'vrambench validate': what is judged, what is skipped and why, what is refused.   validate.sh PROGRAM
set -u
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export VRAMBENCH_CACHE="$folder/cache"
failures=0
header="model,batch,imgsz,gpu,gpu_mem,family,code_version,optimizer,num_classes,instances_last_batch"

fail() {
    echo "FAILED: $*"
    cat "$folder/out" "$folder/err"
    failures=$((failures + 1))
}

# expect STATUS TEXT ARGUMENTS...: the exit status, and a text of either stream.
expect() {
    local status=$1 text=$2
    shift 2
    "$program" validate "$@" >"$folder/out" 2>"$folder/err"
    local got=$?
    if [ "$got" -ne "$status" ] || ! cat "$folder/out" "$folder/err" | grep -qF -- "$text"; then
        fail "validate $* -> $got, expected $status and '$text'"
    fi
}

csv() {
    printf '%s\n' "$@" >"$folder/a.csv"
}

# What cannot be predicted is skipped by its row; the good row is judged all the same.
good="yolov8n,1,320,Tesla T4,0.2,ultralytics,8.3.176,AdamW,80,8"
while IFS='|' read -r row reason; do
    csv "$header" "$row" "$good"
    expect 0 "$reason (line 2)" "$folder/a.csv"
    grep -q "^1 rows judged, 1 skipped" "$folder/out" || fail "$row: not one judged, one skipped"
done <<'ROWS'
yolov8n,1,320,Tesla T9,0.2,ultralytics,8.3.176,AdamW,80,8|no profile of GPU 'Tesla T9'
yolov8n,auto,320,Tesla T4,0.2,ultralytics,8.3.176,AdamW,80,8|batch is 'auto', no number of images
yolov8n,70000,320,Tesla T4,0.2,ultralytics,8.3.176,AdamW,80,8|batch is 70000, expected 1 to 65536
yolov8n,1,320,Tesla T4,-3,ultralytics,8.3.176,AdamW,80,8|the memory is '-3', expected a number above 0
yolov8n,1,320,Tesla T4,300,ultralytics,8.3.176,AdamW,80,8|300 GiB are more than a t4 has
yolov8z,1,320,Tesla T4,0.2,ultralytics,8.3.176,AdamW,80,8|model 'yolov8z' is not built in
yolov8n,1,320|3 columns, the header has 10
"yolov8n,1,320,Tesla T4|a quote is opened and never closed
ROWS

printf '\xef\xbb\xbf%s\r\n"yolov8n",1,320,"Tesla T4",0.2,ultralytics,8.3.176,AdamW,80,8\r\n' "$header" >"$folder/a.csv"
expect 0 "1 rows judged, 0 skipped" "$folder/a.csv"
{ echo "$header"; head -c 10000000 /dev/zero | tr '\0' x; echo; echo "$good"; } >"$folder/a.csv"
expect 0 "longer than 64 KiB (line 2)" "$folder/a.csv"
grep -q "^1 rows judged, 1 skipped" "$folder/out" || fail "10 MB on a line"
csv "$header,params" "$good,3151904" "$good,3157200" "$good,1234567"
expect 0 "1234567 parameters are not yolov8n's: a changed architecture (line 4)" "$folder/a.csv"

# Files that are refused, in one line.
csv "$good"
expect 2 "a.csv:1: 'yolov8n' is no header of runs" "$folder/a.csv"
csv "model,imgsz,gpu,gpu_mem" "yolov8n,320,t4,1"
expect 2 "a.csv:1: column batch is missing" "$folder/a.csv"
csv "model,batch,batch,imgsz,gpu,gpu_mem"
expect 2 "a.csv:1: two columns are called 'batch'" "$folder/a.csv"
: >"$folder/a.csv"
expect 2 "a.csv: empty" "$folder/a.csv"
printf '%s\nyolov8n\0,1\n' "$header" >"$folder/a.csv"
expect 2 "a.csv:2: a 0 byte" "$folder/a.csv"
expect 2 "cannot be opened" "$folder/none.csv"
csv "$header" "$good"
expect 2 "--where is 'colour=red', expected KEY=VALUE" "$folder/a.csv" --where colour=red
expect 2 "--jobs is '0'" "$folder/a.csv" --jobs 0
expect 2 "--max-instances is 'x'" "$folder/a.csv" --max-instances x
expect 2 "--format is 'xml', expected md, csv or json" "$folder/a.csv" --format xml
expect 2 "a chart's file is" "$folder/a.csv" --chart "$folder/it's.svg"

# Filters, and the same answers however many work.
csv "$header" "$good" "yolov5n,2,320,t4,0.3,yolov5,v7.0,SGD,80,400" "$good"
expect 0 "2 rows judged, 0 skipped, 0 planned not to fit, 1 left out" "$folder/a.csv" --max-instances 399
expect 0 "1 rows judged, 0 skipped, 0 planned not to fit, 2 left out" "$folder/a.csv" --where family=yolov5
"$program" validate "$folder/a.csv" --json --jobs 1 >"$folder/one"
"$program" validate "$folder/a.csv" --json --jobs 4 >"$folder/four"
cmp "$folder/one" "$folder/four" || fail "several jobs answer otherwise"
grep -q '"rows":3,"skipped":0' "$folder/one" || fail "JSON's counts"
grep -q '"median_ape":[0-9]' "$folder/one" || fail "JSON's median"
grep -q '"torch"' "$folder/one" && fail "an unknown value is not absent"
expect 0 "line,state,planned_bytes" "$folder/a.csv" --format csv
if command -v gnuplot >/dev/null; then
    expect 0 "chart:" "$folder/a.csv" --chart "$folder/charts/a.svg"
    [ -s "$folder/charts/a.svg" ] || fail "no chart"
fi

# Intervals: of published runs nine in ten lie inside, each judged by other repositories' runs; the line that
# this project holds itself to is 85 to 95 %, in whole runs.
"$program" validate sweeps/published/train_logs_best.csv --json >"$folder/out"
judged=$(grep -o '"low90_bytes"' "$folder/out" | wc -l)
grep -o '"coverage90":[0-9.]*' "$folder/out" | head -1 | awk -F: -v n="$judged" '
    { inside = $2 * n / 100 }
    END { exit inside < int(0.85 * n) - 0.01 || inside > int(0.95 * n + 0.999) + 0.01 }' ||
    fail "90 % intervals do not cover 85 to 95 %"
grep -q '"verdict":"FITS"' "$folder/out" || fail "no verdicts"
grep -q '"low50_bytes"' "$folder/out" || fail "no 50 % intervals"

# The residuals: written, and read again to the same coverage.
expect 0 "Runs inside their 50 % and 90 % intervals" sweeps/published/train_logs_best.csv --residuals "$folder/r.csv"
mkdir -p "$folder/home/sweeps/published"
for name in gpus models recipes workspaces; do ln -s "$PWD/sweeps/$name" "$folder/home/sweeps/$name"; done
cp "$folder/r.csv" "$folder/home/sweeps/published/residuals.csv"
VRAMBENCH_HOME="$folder/home" "$program" validate sweeps/published/train_logs_best.csv >"$folder/again" 2>&1
cmp "$folder/out" "$folder/again" || fail "residuals read otherwise than they were written"
grep -q '^# | all ' "$folder/r.csv" || fail "no coverage in the heading"
expect 3 "/proc/nope/r.csv" "$folder/a.csv" --residuals /proc/nope/r.csv
echo rubbish >"$folder/home/sweeps/published/residuals.csv"
VRAMBENCH_HOME="$folder/home" expect 2 "residuals.csv: column repository is missing" "$folder/a.csv"
rm "$folder/home/sweeps/published/residuals.csv"
VRAMBENCH_HOME="$folder/home" expect 2 "residuals.csv" "$folder/a.csv"
expect 2 "--risk is '0'" "$folder/a.csv" --risk 0
expect 2 "--risk is '51%'" "$folder/a.csv" --risk 51%

# A process of its own or a notebook's kernel: what may be left on the GPU widens the band upwards.
"$program" validate "$folder/a.csv" --where family=ultralytics --json >"$folder/own"
"$program" validate "$folder/a.csv" --where family=ultralytics --json --shared >"$folder/shared"
high90() { grep -o '"high90_bytes":[0-9.e]*' "$1" | head -1 | cut -d: -f2; }
awk -v own="$(high90 "$folder/own")" -v shared="$(high90 "$folder/shared")" 'BEGIN { exit !(own + 0 < shared + 0) }' ||
    fail "--shared is no wider"

# Runs that ran out. Of the published texts none can be judged yet: another task or trainer, no image size,
# or a profile by AutoBatch; should one be, it must not be called fitting. Made-up ones that cannot fit:
"$program" validate sweeps/published/oom.csv --json >"$folder/out"
grep -q '"state":"ran out".*"verdict":"FITS"' "$folder/out" && fail "a run that ran out is called fitting"
oom="source,gpu,model,imgsz,batch,amp,tried_alloc,total,allocated,reserved,free,note"
csv "$oom" "made up,Tesla T4 (14913MiB),yolov5x,640,64,1,,,,,,torch 2.3.0+cu121" \
    "made up,Tesla T4,yolov8x,1280,16,1,,,,,,ultralytics 8.3.40 torch 2.5.1" \
    "made up,GTX 1650,yolov8m,640,32,0,,,,,,ultralytics 8.3.40" \
    "made up,Tesla T4,yolov5s,640,64,1,,,,,,called anomalous by its author" \
    "made up,Tesla T4,yolov5s,640,64,1,,,,,,during AutoBatch profiling"
expect 0 "at a risk of 5 %, 0 of 3 are called fitting" "$folder/a.csv"
[ "$(grep -c '| DOES NOT FIT |' "$folder/out")" -eq 3 ] || fail "not three verdicts"
grep -q "^0 rows judged, 2 skipped, 0 planned not to fit, 3 ran out" "$folder/out" || fail "counts of a file of OOMs"
expect 0 "2,ran out," "$folder/a.csv" --format csv
csv "$oom" "made up,Tesla T4,yolov8n,320,1,1,,,,,,ultralytics 8.3.40"
expect 0 "at a risk of 5 %, 1 of 1 are called fitting" "$folder/a.csv"

# No line of the tables is wider than a terminal.
"$program" validate sweeps/published/train_logs.csv --where gpu=t4 >"$folder/out"
[ "$(awk 'length($0) > 80' "$folder/out" | wc -l)" -eq 0 ] || fail "wider than 80 columns"

echo "$failures failures"
[ "$failures" -eq 0 ]
