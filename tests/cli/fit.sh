#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Calibrations by the commands: made, answered from, refused.    fit.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1
here=$(cd "$(dirname "$0")" && pwd)

# expect STATUS TEXT COMMAND...: the exit status, and a text in what it prints; at most one error line.
expect() {
    local status=$1 text=$2
    shift 2
    "$@" >"$folder/out" 2>"$folder/err"
    local got=$?
    if [ "$got" -ne "$status" ] || ! grep -qF -- "$text" "$folder/out" "$folder/err" ||
        [ "$(grep -c '^vrambench: error:' "$folder/err")" -gt 1 ]; then
        fail "$* -> $got, expected $status and '$text'; got:"
        cat "$folder/out" "$folder/err"
    fi
}

# A T4 is played by what a plan for it says, with another context and noise.
printf '%s\n' "[axes]" "model=yolov5n" "batch=1-16*2" "imgsz=320:640:160" "precision=fp32,fp16" >"$folder/a.ini"
sweep=("$program" sweep "$folder/a.ini" --device virtual:t4)
"${sweep[@]}" --out "$folder/plan" >/dev/null 2>&1 || fail "the plan"
mkdir "$folder/run"
awk -v gpu="Tesla T4" -v capability=750 -v seed=3 -v noise=0.02 -v context=590558003 -f "$here/as_measured.awk" \
    "$folder/plan/rows.jsonl" >"$folder/run/rows.jsonl"
[ "$(wc -l <"$folder/run/rows.jsonl")" -eq 30 ] || fail "30 records were to be measured"

# Made once, and not written again by the same journal.
expect 0 "calibration: $folder/run/calibration.json" "$program" fit "$folder/run"
[ "$(wc -L <"$folder/out")" -le 80 ] || fail "wider than 80 columns"
grep -qF "Tesla T4" "$folder/out" || fail "the GPU is not named"
grep -qF "8 of 30: median error" "$folder/out" || fail "what few points cost is not told"
cp "$folder/run/calibration.json" "$folder/first.json"
inode=$(stat -c %i "$folder/run/calibration.json")
expect 0 "calibration.json, unchanged" "$program" fit "$folder/run"
[ "$(stat -c %i "$folder/run/calibration.json")" = "$inode" ] &&
    cmp -s "$folder/first.json" "$folder/run/calibration.json" || fail "the same journal changed the file"
expect 0 "$folder/other.json" "$program" fit "$folder/run" -o "$folder/other.json"
cmp -s "$folder/first.json" "$folder/other.json" || fail "-o writes something else"

# Answered from, and without one nothing changes.
estimate=("$program" estimate --model yolov5n --batch 8 --imgsz 480 --precision fp16 --mosaic cpu --workload train --gpu t4)
"${estimate[@]}" >"$folder/plain" 2>/dev/null
grep -q "published runs" "$folder/plain" || fail "without a calibration it is published runs"
expect 0 "trust: calibrated: same GPU and cuDNN" "${estimate[@]}" --calibration "$folder/run"
expect 0 "trust: calibrated: same GPU and cuDNN" "${estimate[@]}" --calibration "$folder"
expect 0 "trust: calibrated: same GPU and cuDNN" "${estimate[@]}" --calibration "$folder/other.json"
expect 0 "calibrated: another GPU of the same architecture" "${estimate[@]/t4/rtx2080ti}" --calibration "$folder/run"
expect 0 '"nearness":"same GPU and cuDNN"' "${estimate[@]}" --calibration "$folder/run" --json
"${estimate[@]/t4/rtx3090}" >"$folder/far" 2>/dev/null
"${estimate[@]/t4/rtx3090}" --calibration "$folder/run" >"$folder/near" 2>/dev/null
cmp -s "$folder/far" "$folder/near" || fail "another architecture's calibration changed an estimate"
expect 0 "outside the measured range" "${estimate[@]}" --batch 128 --calibration "$folder/run"

# Few points: picked, measured, and what that costs against the whole grid in the journal.
expect 0 "picked 8 of 30 points" "${sweep[@]}" --points 8 --out "$folder/few"
[ "$(wc -l <"$folder/few/rows.jsonl")" -eq 8 ] || fail "8 points were to be run"
sed -e 's/"device":"cuda:0"/"device":"virtual:t4"/' "$folder/run/rows.jsonl" >"$folder/few/rows.jsonl"
expect 0 "of the 22 others that the journal holds they say: median error" \
    "${sweep[@]}" --points 8 --out "$folder/few" --resume
expect 2 "--points is '3', expected 4 to 4096" "${sweep[@]}" --points 3 --out "$folder/few" --resume
expect 2 "--points is 'x', expected" "${sweep[@]}" --points x --out "$folder/few" --resume
expect 2 "--points 31: only 30 points of the grid fit" "${sweep[@]}" --points 31 --out "$folder/few" --resume
expect 2 "--points: cpu is no GPU" "$program" sweep "$folder/a.ini" --device cpu --points 8 --out "$folder/c"

# What is there is kept.
head -20 "$folder/run/rows.jsonl" >"$folder/rows"
cp "$folder/rows" "$folder/run/rows.jsonl"
expect 2 "is there and would change: give --force" "$program" fit "$folder/run"
cmp -s "$folder/first.json" "$folder/run/calibration.json" || fail "written over without --force"
expect 0 "calibration: " "$program" fit "$folder/run" --force
cmp -s "$folder/first.json" "$folder/run/calibration.json" && fail "--force wrote nothing"

# Journals that are not as they should be.
journal() {
    rm -rf "$folder/bad"
    mkdir "$folder/bad"
    cat >"$folder/bad/rows.jsonl"
}
expect 2 "rows.jsonl: cannot be opened" "$program" fit "$folder/nowhere"
journal </dev/null
expect 2 "no point measured on a GPU" "$program" fit "$folder/bad"
cp "$folder/plan/rows.jsonl" "$folder/bad/rows.jsonl"
expect 2 "no point measured on a GPU (30 planned" "$program" fit "$folder/bad"
head -3 "$folder/rows" | journal
expect 2 "Tesla T4: 3 points, from which no form can be fitted" "$program" fit "$folder/bad"
{ cat "$folder/rows"; echo '{"schema":4}'; head -c 300 "$folder/rows"; } | journal
expect 0 "rows.jsonl:21: no record of schema 5, which this version reads; 2 such lines are passed over" "$program" fit "$folder/bad"
{ cat "$folder/rows"; sed -n '1s/"batch":1/"batch":NaN/p;2s/"peak_device_bytes":/"peak_device_bytes":-/p' "$folder/rows"; } | journal
expect 0 "2 such lines are passed over" "$program" fit "$folder/bad"
{ cat "$folder/rows"; sed -n '1s/"peak_device_bytes":[0-9]*/"peak_device_bytes":9000000000000000/p' "$folder/rows"; } | journal
expect 0 "1 records are passed over: absurd" "$program" fit "$folder/bad"
{ cat "$folder/rows"; sed 's/Tesla T4/NVIDIA B200/' "$folder/rows"; } | journal
expect 0 "NVIDIA B200" "$program" fit "$folder/bad"
grep -q "Tesla T4" "$folder/out" || fail "two GPUs have a calibration each"
sed 's/Tesla T4/NVIDIA Imaginary 1/' "$folder/rows" | journal
expect 0 "not planned, so only plain forms" "$program" fit "$folder/bad"

# Calibration files that are not.
cp "$folder/other.json" "$folder/c.json"
head -c 500 "$folder/other.json" >"$folder/c.json"
expect 2 "not JSON, or cut short" "${estimate[@]}" --calibration "$folder/c.json"
sed 's/"version":1/"version":7/' "$folder/other.json" >"$folder/c.json"
expect 2 "c.json: a calibration file of version 7, this vrambench reads 1" "${estimate[@]}" --calibration "$folder/c.json"
sed 's/"driver":"580/"driver":"581/' "$folder/other.json" >"$folder/c.json"
expect 2 "c.json: edited or damaged since it was written" "${estimate[@]}" --calibration "$folder/c.json"
expect 2 "no calibration.json there, nor in its folders" "${estimate[@]}" --calibration "$folder/plan"
expect 2 "none.json: no calibration.json there" "${estimate[@]}" --calibration "$folder/none.json"
expect 2 "arguments given; usage: vrambench fit RESULTS" "$program" fit

[ "$failures" -eq 0 ] && echo "every calibration is as it should be"
exit "$((failures > 0))"
