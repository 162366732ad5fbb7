#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a user gets wrong: one clear line, the right exit status, nothing lost.   bad_input.sh PROGRAM
set -u
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export VRAMBENCH_CACHE="$folder/cache"
failures=0

# expect STATUS TEXT COMMAND...: the exit status, and a text of the only error line; '' for none.
expect() {
    local status=$1 text=$2
    shift 2
    "$@" >"$folder/out" 2>"$folder/err"
    local got=$?
    if [ "$got" -ne "$status" ] || { [ -n "$text" ] && ! grep -qF -- "$text" "$folder/err"; } ||
        [ "$(grep -c '^vrambench: error:' "$folder/err")" -gt 1 ]; then
        echo "FAILED: $* -> $got, expected $status and '$text'; got:"
        cat "$folder/err"
        failures=$((failures + 1))
    fi
}

ini() {
    printf '%s\n' "$@" >"$folder/a.ini"
}

good=("[axes]" "model=yolov5n" "batch=1,2" "imgsz=320")
run=("$program" sweep "$folder/a.ini" --out "$folder/run")

ini "[axes]" "model=yolov5s" "bach=1"
expect 2 "a.ini:3: unknown key 'bach' in [axes]; did you mean batch?" "${run[@]}"
ini "[axis]" "model=yolov5s"
expect 2 "a.ini:2: unknown section [axis]; did you mean [axes]" "${run[@]}"
ini "[axes]" "model=yolov5s" "batch=64-1*2" "imgsz=640"
expect 2 "a.ini:3: batch: '64-1*2' runs backwards" "${run[@]}"
ini "[axes]" "model=yolov5s" "batch=1:8:0" "imgsz=640"
expect 2 "a.ini:3: batch: '1:8:0' has a step of 0" "${run[@]}"
ini "[axes]" "model=yolov5z" "batch=1" "imgsz=640"
expect 2 "a.ini:2: unknown model 'yolov5z'; did you mean" "${run[@]}"
ini "[axes]" "model=yolov5s" "batch=1" "imgsz=650"
expect 2 "a.ini: imgsz is 650, no multiple of the stride 32" "${run[@]}"
ini "[axes]" "model=yolov5s" "batch=-3" "imgsz=640"
expect 2 "a.ini:3: batch is -3, expected 1 to 65536" "${run[@]}"
ini "[axes]" "model=yolov5s" "batch=" "imgsz=640"
expect 2 "a.ini:3: batch: a value is missing" "${run[@]}"
ini "[axes]" "model=yolov5s" "batch=1:60000:1" "imgsz=32:16384:32"
expect 2 "more than 1000000 points" "${run[@]}"
ini "[axes]" "model=yolov5s" "batch=1" "imgsz=640" "precision=fp61"
expect 2 "a.ini:5: precision is 'fp61'; did you mean fp" "${run[@]}"
ini "[axes]" "model=yolov5s" "batch=1" "imgsz=640" "[step]" "mixup=on"
expect 2 "a.ini: mixup is on, but mosaic is cpu" "${run[@]}"
ini "[sweep]" "memory=64" "${good[@]}"
expect 2 "a.ini:2: '64' has no unit" "${run[@]}"
ini "[sweep]" "timout=5" "${good[@]}"
expect 2 "a.ini:2: unknown key 'timout' in [sweep]; did you mean timeout" "${run[@]}"
ini "${good[@]}"
expect 2 "'64' has no unit" "${run[@]}" --memory 64
expect 2 "1048576 B are no memory, its context takes" "${run[@]}" --memory 1MiB
expect 2 "no GPU is called 'rtx3091'; did you mean" "${run[@]}" --device virtual:rtx3091
expect 3 "/proc/nope" "$program" sweep "$folder/a.ini" --out /proc/nope
expect 2 "cannot be opened" "$program" sweep "$folder/none.ini"
expect 2 "'22' has no unit" "$program" estimate --model yolov5n --budget 22
expect 2 "--risk is 'x', expected a chance" "$program" estimate --model yolov5n --risk x
expect 2 "--risk is '-1%', expected a chance" "$program" estimate --model yolov5n --risk -1%
expect 2 "unknown option --modl; did you mean --model?" "$program" estimate --modl yolov5n
expect 2 "unknown command 'swep'; did you mean 'sweep'?" "$program" swep
echo x >"$folder/bad.csv"
expect 2 "bad.csv:1: expected seq" "$program" replay "$folder/bad.csv"

# Whether it fits: 0 and 1; 4 where no run like it was ever seen.
expect 0 "" "$program" estimate --model yolov5n --batch 2 --imgsz 320 --gpu t4
expect 1 "" "$program" estimate --model yolov5x --batch 64 --imgsz 640 --gpu gtx1650
cp sweeps/models/yolov8n.yaml "$folder/yolo99n.yaml"
cp sweeps/models/yolov8n.yaml "$folder/mine.yaml"
expect 4 "" "$program" estimate --yaml "$folder/yolo99n.yaml" --batch 2 --imgsz 320 --gpu t4
grep -q "CANNOT TELL" "$folder/out" || { echo "FAILED: no such verdict"; failures=$((failures + 1)); }
expect 4 "" "$program" estimate --yaml "$folder/yolo99n.yaml" --batch 2 --imgsz 320 --gpu t4 --json
grep -q '"probability"' "$folder/out" && { echo "FAILED: an unknown probability"; failures=$((failures + 1)); }
expect 0 "" "$program" estimate --yaml "$folder/mine.yaml" --batch 2 --imgsz 320 --gpu t4
grep -q "a model of your own" "$folder/out" || { echo "FAILED: its own model"; failures=$((failures + 1)); }
sed "s/PSA, \[1024\]/PSA, [512]/" sweeps/models/yolov10n.yaml >"$folder/psa.yaml"
expect 2 "psa.yaml:19: PSA of 128 channels reads 256; expected as many, 128 or more" "$program" models "$folder/psa.yaml"
sed "s/False, 0.25/False, x/" sweeps/models/yolo11n.yaml >"$folder/c3k2.yaml"
expect 2 "c3k2.yaml:11: C3k2 is 'x', expected a number above 0" "$program" models "$folder/c3k2.yaml"
largest() {
    "$program" estimate --model yolov5s --batch 8 --imgsz 640 --gpu rtx3090 "$@" |
        sed -n 's/^largest batch that fits: //p'
}
[ "$(largest --risk 1%)" -lt "$(largest)" ] && [ "$(largest)" -lt "$(largest --risk 30%)" ] ||
    { echo "FAILED: a smaller risk is no smaller batch"; failures=$((failures + 1)); }

# Two cuDNN versions compared: what cannot be compared, and what grows.
oracle=("$program" oracle --diff)
id=$(sed -n '1s/.*identity \([0-9a-f]*\),.*/\1/p' sweeps/workspaces/cudnn-91900-rtx3090.csv)
table() { # NAME VERSION IDENTITY WORKSPACE DETERMINISTIC
    printf '# cuDNN %s, rtx3090 (identity %s, compute capability 860)\n%s\n%s%s,28,%s,0,0,library\n' "$2" "$3" \
        "gpu,direction,type,layout,n,c,h,w,k,kernel_h,kernel_w,stride,pad,dilation,groups,deterministic,engine,workspace_bytes,low_bytes,high_bytes,source" \
        "rtx3090,forward,fp32,nchw,1,3,320,320,16,3,3,2,1,1,1," "$5" "$4" >"$folder/$1.csv"
}
table old 91002 "$id" 100 1
table same 91900 "$id" 100 1
table more 91900 "$id" 900 1
table rule 91900 "$id" 100 0
table other 91900 00000000000000aa 100 1
(head -3 "$folder/old.csv" && echo rubbish) >"$folder/broken.csv"
expect 2 "--diff takes two tables or libraries" "${oracle[@]}" "$folder/old.csv"
expect 2 "old2.csv" "${oracle[@]}" "$folder/old.csv" "$folder/old2.csv"
expect 2 "bad.csv:1: no table of workspaces" "${oracle[@]}" "$folder/old.csv" "$folder/bad.csv"
expect 2 "broken.csv:4: no line of such a table" "${oracle[@]}" "$folder/old.csv" "$folder/broken.csv"
expect 2 "two tables of one GPU can be compared" "${oracle[@]}" "$folder/old.csv" "$folder/other.csv"
expect 2 "no question in common" "${oracle[@]}" "$folder/old.csv" "$folder/rule.csv"
expect 2 "--threshold is 'x', expected a percentage" "${oracle[@]}" "$folder/old.csv" "$folder/same.csv" --threshold x
expect 2 "is a library: say what to ask it" "${oracle[@]}" "$folder" "$folder/same.csv"
expect 2 "no libcudnn.so.9 there" "${oracle[@]}" --model yolov5n --gpu rtx3090 "$folder" "$folder/same.csv"
expect 2 "no libcudnn.so.9 there" "$program" oracle --model yolov5n --cudnn "$folder"
echo x >"$folder/libcudnn.so.9"
expect 3 "libcudnn.so.9" "$program" oracle --model yolov5n --cudnn "$folder"
rm "$folder/libcudnn.so.9"
expect 2 "--sweep goes with --diff" "$program" oracle --model yolov5n --sweep "$folder/a.ini"
expect 0 "" "${oracle[@]}" "$folder/old.csv" "$folder/same.csv"
expect 1 "" "${oracle[@]}" "$folder/old.csv" "$folder/more.csv"

# The same for a sweep: workspaces of the shipped table, then all of them ten times as large.
ini "[axes]" "model=yolov5s" "batch=4" "imgsz=640" "[step]" "precision=fp16"
shipped=sweeps/workspaces/cudnn-91900-rtx3090.csv
awk -F, -v OFS=, -v OFMT=%.0f -v CONVFMT=%.0f '/^[0-9]/ { for (i = 13; i <= NF; i++) { split($i, a, "/"); if (split(a[1], b, ":") > 1)
    $i = b[1] ":" b[2] * 20 } } { print }' $shipped >"$folder/large.csv"
expect 0 "" "${oracle[@]}" $shipped $shipped --sweep "$folder/a.ini"
expect 1 "" "${oracle[@]}" $shipped "$folder/large.csv" --sweep "$folder/a.ini"
expect 0 "" "${oracle[@]}" "$folder/large.csv" $shipped --sweep "$folder/a.ini"
expect 0 "" "${oracle[@]}" $shipped "$folder/large.csv" --sweep "$folder/a.ini" --threshold 10000%
expect 2 "is of another GPU" "${oracle[@]}" $shipped $shipped --gpu t4 --sweep "$folder/a.ini"
ini "${good[@]}"

# A killed run: the cut line is dropped, what was finished stays.
expect 0 "planned for" "${run[@]}"
cp "$folder/run/rows.jsonl" "$folder/whole"
head -c -20 "$folder/whole" >"$folder/run/rows.jsonl"
expect 2 "give --resume, --retry-failed or --fresh" "${run[@]}"
expect 0 "passed over" "${run[@]}" --resume
[ "$(wc -l <"$folder/run/rows.jsonl")" -eq 2 ] || { echo "FAILED: resume"; failures=$((failures + 1)); }

# Interrupted, with one process and with two: 130, and what was finished is there to go on from.
ini "[axes]" "model=yolov5n,yolov5x" "batch=1:40" "imgsz=320:640:32"
for jobs in 1 2; do
    "$program" sweep "$folder/a.ini" --out "$folder/int$jobs" --jobs $jobs >/dev/null 2>&1 &
    child=$!
    for _ in $(seq 100); do
        [ -s "$folder/int$jobs/rows.jsonl" ] && break
        sleep 0.1
    done
    kill -INT $child
    wait $child
    status=$?
    rows=$(wc -l <"$folder/int$jobs/rows.jsonl")
    if [ $status -ne 130 ] || [ "$rows" -lt 1 ] || [ "$rows" -ge 880 ]; then
        echo "FAILED: interrupted with $jobs jobs: exit $status, $rows rows"
        failures=$((failures + 1))
    fi
done
ini "${good[@]}"

# A full disk, where one can be mounted.
mkdir "$folder/small"
if mount -t tmpfs -o size=8k tmpfs "$folder/small" 2>/dev/null; then
    expect 3 "No space left on device" "$program" sweep "$folder/a.ini" --out "$folder/small/x"
    umount "$folder/small"
fi

# No gnuplot: scripts are left, and that is no failure.
ini "${good[@]}"
(
    PATH=$folder/empty
    "$program" sweep "$folder/a.ini" --out "$folder/plain" >"$folder/out" 2>"$folder/err"
) || { echo "FAILED: without gnuplot"; failures=$((failures + 1)); }
grep -q "gnuplot is not installed" "$folder/err" || { echo "FAILED: gnuplot's note"; failures=$((failures + 1)); }
[ -s "$folder/plain/charts/memory.gp" ] || { echo "FAILED: no script"; failures=$((failures + 1)); }

echo "$failures failures"
[ "$failures" -eq 0 ]
