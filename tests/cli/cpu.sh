#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sweeps that are measured on this machine: the same memory as planned, and what becomes of points that run
# out, crash, hang or are interrupted.   cpu.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1
export VRAMBENCH_CUDNN=off

# has TEXT WHAT: in the last output.
has() {
    grep -qF -- "$1" "$folder/out" && return
    fail "$2: no '$1' in"
    cut -c1-600 "$folder/out"
}

# AddressSanitizer's shadow does not fit under such a limit, which tells whether this is built with it.
fewer=()
bash -c 'ulimit -v 1000000; "$1" version || exit 1' - "$program" >"$folder/out" 2>&1 || fewer=(--filter "batch=1,4")

# The memory of every point of the sweep, planned and measured, is the same to the byte; under the sanitizer, where a
# step takes ten times as long, that of half of them.
for section in sgd adamw bf16; do
    sweep=("$program" sweep sweeps/cpu.ini --section "$section" --fresh --format csv --set warmup=1 --set steps=1
        "${fewer[@]}")
    expect 0 "cpu.ini, $section, measured" "${sweep[@]}" --out "$folder/measured"
    cut -d, -f1-7,10-14 "$folder/out" >"$folder/measured.csv"
    expect 0 "cpu.ini, $section, planned" "${sweep[@]}" --out "$folder/planned" --device virtual:rtx3090
    cut -d, -f1-7,10-14 "$folder/out" >"$folder/planned.csv"
    diff "$folder/planned.csv" "$folder/measured.csv" >"$folder/difference" || {
        fail "$section: planned (<) and measured (>) differ"
        cat "$folder/difference"
    }
    [ "$(grep -c ",ok," "$folder/measured.csv")" -eq $(($(wc -l <"$folder/measured.csv") - 1)) ] ||
        fail "$section: not all points are ok"
done

# A step computes: the loss is the same each time, and memory that nobody wrote is not read.
one=("$program" point --model yolov5n --batch 2 --imgsz 64 --targets 4 --device cpu:2 --warmup 1 --steps 2)
expect 0 "a point" "${one[@]}"
has '"provenance":"measured"' "a point"
has '"threads":2' "a point"
grep -q '"step_samples_ns":\[[1-9][0-9]*,[1-9][0-9]*\]' "$folder/out" || fail "a point's two steps are not both there"
first=$(value loss_first) last=$(value loss_last)
[ -n "$(value step_seconds)" ] && [ -n "$(value flops_per_second)" ] && [ -n "$(value peak_rss_bytes)" ] ||
    fail "a point is not timed"
[ -n "$first" ] || fail "a point has no loss"
expect 0 "a poisoned point" env VRAMBENCH_POISON=1 "${one[@]}"
[ "$first $last" = "$(value loss_first) $(value loss_last)" ] ||
    fail "losses $first and $last, with poisoned memory $(value loss_first) and $(value loss_last)"

# What a device that executes is not for.
expect 3 "a whole run" "${one[@]}" --workload run
has '"state":"unsupported"' "a whole run"
has 'workload run is only planned' "a whole run"
expect 3 "expandable segments" "${one[@]}" --alloc_conf expandable_segments:True
has 'no expandable segments' "expandable segments"
expect 2 "an estimate" "$program" estimate --model yolov5n --device cpu
expect 2 "several jobs" "$program" sweep sweeps/cpu.ini --out "$folder/jobs" --jobs 2
expect 2 "a timeout of 0" "$program" sweep sweeps/cpu.ini --out "$folder/jobs" --set sweep.timeout=0
grep -q "timeout is '0', expected seconds" "$folder/err" || fail "a timeout of 0 is not told"

# Too little memory is an answer.
printf '%s\n' "[sweep]" "device=cpu:2" "[axes]" "model=yolov5n" "imgsz=128" "batch=4" "steps=1000,1" "[step]" \
    "targets=4" "warmup=1" >"$folder/a.ini"
run=("$program" sweep "$folder/a.ini" --format jsonl)
expect 0 "--memory" "${run[@]}" --out "$folder/memory" --memory 24MiB
has '"state":"oom"' "--memory"
has '"capacity_bytes":25165824' "--memory"
has 'vrambench point --device cpu:2 --memory 25165824B' "--memory"
if [ ${#fewer[@]} -eq 0 ]; then
    expect 1 "ulimit -v" bash -c 'ulimit -v 1000000; exec "$@"' - "${one[@]}" --batch 64 --imgsz 256
    has '"state":"oom"' "ulimit -v"
fi

# child SWEEP: the process of its point, once it runs.
child() {
    local i
    for i in $(seq 1200); do
        cat "/proc/$1/task/$1/children" 2>"$folder/none" | grep . && return
        sleep 0.05
    done
    fail "the sweep runs no process"
}

# A process that is killed is one point's end, and so is one that hangs.
"${run[@]}" --out "$folder/killed" >"$folder/out" 2>"$folder/err" &
sweep=$!
kill -9 "$(child $sweep)"
wait $sweep
[ $? -eq 5 ] || fail "a killed point: exit status not 5"
has 'was ended by signal 9' "a killed point"
[ "$(grep -c '"state":"ok"' "$folder/out")" -eq 1 ] || fail "the sweep did not go on after a killed point"
expect 5 "a hang" "${run[@]}" --out "$folder/hang" --set sweep.timeout=15
has '"state":"timeout"' "a hang"
[ "$(grep -c '"state":"ok"' "$folder/out")" -eq 1 ] || fail "the sweep did not go on after a timeout"

# Ctrl-C leaves no process and a journal to go on from.
"${run[@]}" --out "$folder/stopped" >"$folder/out" 2>"$folder/err" &
sweep=$!
process=$(child $sweep)
kill -INT $sweep
wait $sweep
[ $? -eq 130 ] || fail "an interrupted sweep: exit status not 130"
kill -0 "$process" 2>"$folder/err" && fail "an interrupted sweep leaves its point's process"
expect 5 "--resume" "${run[@]}" --out "$folder/stopped" --resume --set sweep.timeout=15
[ "$(wc -l <"$folder/out")" -eq 2 ] || fail "--resume: not two points"

[ "$failures" -eq 0 ] && echo "all of it holds"
exit $((failures > 0))
