#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# compare and gate from a user's side: each exit status, what tables say, and for everything that cannot be
# compared one clear line.   compare.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1
export VRAMBENCH_CUDNN=off

# expect STATUS TEXT COMMAND...: the exit status, and a text of the only error line; '' for none.
expect() {
    local status=$1 text=$2
    shift 2
    "$@" >"$folder/out" 2>"$folder/err"
    local got=$?
    local n_errors
    n_errors=$(grep -c '^vrambench: error:' "$folder/err")
    if [ "$got" -ne "$status" ] || { [ -n "$text" ] && ! grep -qF -- "$text" "$folder/err"; } ||
        [ "$n_errors" -ne $((status == 2)) ]; then
        fail "$* -> $got, expected $status and '$text'; got:"
        cat "$folder/err" "$folder/out"
    fi
}

# has TEXT: in the last output.
has() {
    grep -qF -- "$1" "$folder/out" && return
    fail "no '$1' in"
    cat "$folder/out"
}

# A record as a GPU would leave it, of one that was planned: row BATCH STEPS [SED-SCRIPT...].
"$program" point --model yolov5n --batch 1 --imgsz 64 --device virtual:t4 >"$folder/planned"
row() {
    local batch=$1 steps=$2 script=()
    shift 2
    for part in "$@"; do script+=(-e "$part"); done
    sed -e 's/"curve":.*/"on_gpu":{"driver":"580.65.06","compute_capability":750}}/' \
        -e "s/\"batch\":1,/\"batch\":$batch,/" -e 's/"provenance":"planned"/"provenance":"measured"/' \
        -e 's/virtual:t4/cuda:0/' -e 's/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":100000000/' \
        -e 's/"peak_device_bytes":[0-9]*/"peak_device_bytes":300000000/' \
        -e "s/\"state\":/\"timed_steps\":$(tr ',' '\n' <<<"$steps" | wc -l),\"step_samples_ns\":[$steps],&/" \
        ${script[@]+"${script[@]}"} "$folder/planned"
}

# run NAME: rows from stdin as a results folder.
run() {
    mkdir -p "$folder/$1"
    cat >"$folder/$1/rows.jsonl"
}

same=10000000,10010000,10020000,10030000,10040000,10050000,10060000,10070000,10080000,10090000
again=10005000,10015000,10025000,10035000,10045000,10055000,10065000,10075000,10085000,10095000
slower=10600000,10610000,10620000,10630000,10640000,10650000,10660000,10670000,10680000,10690000
wild=9000000,9500000,10000000,10200000,10500000,11000000,11500000,9700000,9300000,12000000
wilder=9100000,9600000,10100000,10300000,10600000,11100000,11600000,9800000,9400000,12100000

both() {
    row 1 $same "$@"
    row 2 $same "$@"
}
both | run base
(row 1 $again && row 2 $again) | run equal
(row 1 $again && row 2 $again) | sed 's/580.65.06/590.10.01/; s/cuda:0/cuda:1/' | run upgraded
(row 1 $again && row 2 $slower) | run slow
(row 1 $again && row 2 $again 's/"peak_reserved_bytes":100000000/"peak_reserved_bytes":102000000/') | run large
(row 1 $again && row 2 $again 's/"peak_device_bytes":300000000/"peak_device_bytes":309000000/') | run context
row 1 $again | run vanished
(row 1 $again && row 2 $again 's/"state":"ok"/"state":"oom","reason":"9 B asked for"/') | run oom
(row 1 $wild && row 2 $same) | run noisy
(row 1 $wilder && row 2 $again) | run noisier
(row 1 10300000,10500000,10400000 && row 2 $same) | run few

compare=("$program" compare "$folder/base")
expect 0 "" "${compare[@]}" "$folder/base"
expect 0 "" "${compare[@]}" "$folder/equal"
has "NO REGRESSION: 2 points"
expect 0 "" "${compare[@]}" "$folder/equal/rows.jsonl"
expect 0 "" "${compare[@]}" "$folder/upgraded"
has "driver: 580.65.06 -> 590.10.01"
expect 1 "" "${compare[@]}" "$folder/slow"
has "REGRESSION: 1 of 2 points (memory 0, time 1, not running 0)"
has "+5.97%"
expect 0 "" "${compare[@]}" "$folder/slow" --time 10%
expect 0 "" "$program" compare "$folder/slow" "$folder/base"
expect 1 "" "${compare[@]}" "$folder/large"
has "+2.00%"
expect 0 "" "${compare[@]}" "$folder/large" --memory 2%
expect 1 "" "${compare[@]}" "$folder/large" --memory 1.9%
expect 0 "" "$program" compare "$folder/large" "$folder/base"
expect 1 "" "${compare[@]}" "$folder/context"
has "+3.00%"
expect 1 "" "${compare[@]}" "$folder/vanished"
has "not in the candidate"
expect 0 "" "$program" compare "$folder/vanished" "$folder/base"
expect 1 "" "${compare[@]}" "$folder/oom"
has "out of memory: 9 B asked for"
expect 0 "" "$program" compare "$folder/oom" "$folder/base"
expect 4 "" "$program" compare "$folder/noisy" "$folder/noisier"
has "INCONCLUSIVE: 1 of 2 points"
has "in both runs would settle 1"
expect 4 "" "${compare[@]}" "$folder/few"

# No line is wider than 80 columns, and every format is what it says.
for run in slow large vanished noisy; do
    for option in --all --time=3%; do
        "${compare[@]}" "$folder/$run" "$option" | awk -v what="$run $option" \
            'length($0) > 80 && !/^(base|candidate):/ { print "FAILED: wide, " what ": " $0; bad = 1 } END { exit bad }' ||
            failures=$((failures + 1))
    done
done
expect 1 "" "${compare[@]}" "$folder/slow" --json
has '"outcome":"regression"'
has '"counts":{"not compared":0,"same":1,"better":0,"inconclusive":0,"regression":1}'
expect 4 "" "$program" compare "$folder/noisy" "$folder/noisier" --json
has '"steps_needed":'
expect 1 "" "${compare[@]}" "$folder/oom" --markdown --junit "$folder/junit.xml"
has "### vrambench: REGRESSION"
has "| **regression** | 2 | runs |"
grep -q 'tests="2" failures="1" skipped="0"' "$folder/junit.xml" || fail "junit: the counts"
grep -q '<failure message="out of memory: 9 B' "$folder/junit.xml" || fail "junit: the reason"
if command -v xmllint >/dev/null; then
    xmllint --noout "$folder/junit.xml" || fail "junit: no XML"
fi

# What cannot be compared, or is no journal.
refuse() { expect 2 "$1" "${compare[@]}" "$folder/bad"; }
both 's/"gpu":"[^"]*"/"gpu":"NVIDIA L4"/' | run bad && refuse "/bad of NVIDIA L4: only runs on the same device"
(row 1 $same && row 2 $same 's/"gpu":"[^"]*"/"gpu":"NVIDIA L4"/') | run bad && refuse "holds records of two devices"
(row 1 $same && row 2 $same 's/580.65.06/590.10.01/') | run bad && refuse "holds records of two drivers, 580.65.06 and 590"
both 's/yolov5n/yolov8n/' | run bad && refuse "of another model, yolov8n"
both 's/"imgsz":64/"imgsz":128/' | run bad && refuse "no point in common"
both 's/"measured"/"planned"/' | run bad && refuse "bad planned: only alike can be compared"
both 's/"capacity_bytes":[0-9]*/"capacity_bytes":1000000000/' | run bad && refuse "take the same --memory"
both 's/"schema":5/"schema":4/' | run bad && refuse "bad/rows.jsonl:1: no record of schema 5"
(row 1 $same && row 2 $same 's/"schema":5/"schema":6/') | run bad && refuse "bad/rows.jsonl:2: no record of schema 5"
both | head -c -40 | run bad && refuse "bad/rows.jsonl:2: not JSON"
both 's/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":NaN/' | run bad && refuse "bad/rows.jsonl:1: not JSON"
both 's/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":-5/' | run bad && refuse '"peak_reserved_bytes" is missing, or not'
both 's/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":1.5/' | run bad && refuse '"peak_reserved_bytes" is missing, or not'
both 's/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":999999999999999/' | run bad && refuse 'is above "capacity_bytes"'
both 's/"peak_reserved_bytes":[0-9]*,//' | run bad && refuse '"peak_reserved_bytes" is missing'
both 's/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":99999999999999999999999/' | run bad && refuse "not JSON"
both 's/\[10000000,/[-1,/' | run bad && refuse "holds what is no time"
both 's/\[10000000,/[0,/' | run bad && refuse "holds what is no time"
both 's/\[10000000,/[1e7,/' | run bad && refuse "holds what is no time"
both 's/\[10000000,/["1",/' | run bad && refuse "holds what is no time"
both 's/\[10000000,/[9000000000000000000,/' | run bad && refuse "a step of over 1,000,000 s"
both 's/\[10000000,/[/' | run bad && refuse '"timed_steps" does not count'
both 's/"step_samples_ns":\[[^]]*\]/"step_samples_ns":[]/' | run bad && refuse "no list of 1 to 2000 times"
both 's/"step_samples_ns":\[[^]]*\]/"step_samples_ns":7/' | run bad && refuse "no list of 1 to 2000 times"
both 's/"state":"ok"/"state":"fine"/' | run bad && refuse '"state" is missing, or not'
both 's/"device":"cuda:0",//' | run bad && refuse '"device" is missing'
run bad </dev/null && refuse "no records there"
head -c 3000 /dev/urandom | tr -d '\n' | run bad && refuse "bad/rows.jsonl:1:"
rm -r "$folder/bad"
refuse "no records there"
expect 2 "arguments given" "${compare[@]}"
expect 2 "--memory is '1', expected a percentage" "${compare[@]}" "$folder/equal" --memory 1
expect 2 "--time is '-1%', expected a percentage" "${compare[@]}" "$folder/equal" --time -1%
expect 2 "--time is 'nan%', expected a percentage" "${compare[@]}" "$folder/equal" --time nan%
expect 2 "stdout is for one of them" "${compare[@]}" "$folder/equal" --json --markdown

# A gate, planned: the points of a baseline again.
printf '%s\n' "[axes]" "model=yolov5n" "batch=1,2" "imgsz=64" >"$folder/a.ini"
"$program" sweep "$folder/a.ini" --device virtual:t4 --out "$folder/baseline" >"$folder/out" 2>"$folder/err"
gate=("$program" gate "$folder/baseline" --out "$folder/gate")
expect 0 "" "${gate[@]}"
has "NO REGRESSION: 2 points"
has "time: not compared, it was not measured"
expect 0 "" "${gate[@]}" --device virtual:t4
expect 2 "is of Tesla T4" "${gate[@]}" --device virtual:rtx3090
expect 2 "is of Tesla T4, cpu:1 is " "$program" gate "$folder/baseline" --device cpu:1 --out "$folder/gate2"
expect 2 "is the baseline itself" "$program" gate "$folder/baseline" --out "$folder/baseline"
expect 2 "is the baseline itself" "$program" gate "$folder/baseline/rows.jsonl" --out "$folder/baseline/."
expect 2 "no records there" "$program" gate "$folder/none" --out "$folder/gate"
head -1 "$folder/gate/rows.jsonl" >"$folder/part" && cp "$folder/part" "$folder/gate/rows.jsonl"
expect 2 "give --resume" "${gate[@]}"
expect 0 "" "${gate[@]}" --resume
[ "$(wc -l <"$folder/gate/rows.jsonl")" -eq 2 ] || fail "gate --resume: not two rows"
sed -i 's/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":20971520/' "$folder/baseline/rows.jsonl"
expect 1 "" "${gate[@]}" --fresh
has "REGRESSION: 2 of 2 points (memory 2"

# Measured: what this machine's times say depends on who else works on it, its memory does not.
printf '%s\n' "[sweep]" "device=cpu:1" "[axes]" "model=yolov5n" "batch=1,2" "imgsz=64" "[step]" "warmup=1" "targets=4" \
    "steps=8" "workspace=outside" >"$folder/a.ini"
"$program" sweep "$folder/a.ini" --out "$folder/cpu" >"$folder/out" 2>"$folder/err"
"$program" gate "$folder/cpu" --out "$folder/cpu-gate" --all >"$folder/out" 2>"$folder/err"
status=$?
case $status in 0 | 1 | 4) ;; *) fail "a measured gate: exit status $status" && cat "$folder/err" ;; esac
has "reserved, GiB: 2 of 2 points are the same to the byte"
has "step: geometric mean of 2 points"
has "measured; 2 points in common"

echo "$failures failures"
[ "$failures" -eq 0 ]
