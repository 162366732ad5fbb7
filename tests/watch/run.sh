#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs that do all that programs do, watched on libraries that stand in for NVIDIA's: what they took is told to the
# byte, and they run as they would alone.   run.sh PROGRAM LIBRARIES WATCHED
. "$(dirname "$0")/../cli/common.sh"
program=$1 libraries=$2 watched=$3
export VRAMBENCH_CUDA_LIBS="$libraries" VRAMBENCH_EMULATED_GPU=sweeps/gpus/rtx3090.json
export VRAMBENCH_EMULATED_PROCESSES="$folder/processes" VRAMBENCH_EMULATED_LOG="$folder/violations"
export TMPDIR="$folder/tmp"
# What is never given back is one of the cases.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0:handle_segv=0:handle_abort=0"
mkdir "$TMPDIR"
mib=1048576 context=322122547

# watch STATUS HOW...: the program so, watched: its exit status; the report in err and in report.json.
watch() {
    local status=$1
    shift
    rm -rf "$folder/seen"
    expect "$status" "$*" "$program" watch --out "$folder/seen" -- "$watched" "$@"
    what="$*"
    find "$TMPDIR" -mindepth 1 | grep -q . && fail "$what: something is left in TMPDIR"
}

# has TEXT: in the report on stderr.
has() {
    grep -qF -- "$1" "$folder/err" && return
    fail "$what: no '$1' in"
    cat "$folder/err"
}

# all KEY: its values in report.json, one after the other.
all() {
    sed -n "s/^ *\"$1\": \(\"[^\"]*\"\|[0-9.a-z-]*\),*$/\1/p" "$folder/seen/report.json" | tr -d '"' | tr '\n' ' ' | sed 's/ $//'
}

# is KEY VALUES
is() {
    [ "$(all "$1")" = "$2" ] || fail "$what: $1 is '$(all "$1")', expected '$2'"
}

# A program: its peak, to the byte; its context, as NVML's stand-in has it; who called; the curve.
watch 0 simple
is peak_allocated_bytes "$((60 * mib)) $((60 * mib))"
is context_bytes "$context $context"
is peak_device_bytes $((60 * mib + context))
is bytes "$((48 * mib)) $((12 * mib))"
is capture full
is end ended
is is_lower_bound false
[ "$(all caller | tr ' ' '\n' | grep -c '^program+0x')" -eq 2 ] || fail "simple: callers are '$(all caller)'"
cut -d, -f4 "$folder/seen/timeline.csv" | paste -sd' ' >"$folder/curve"
grep -qx "allocated_bytes $((40 * mib)) 0 $((48 * mib)) $((60 * mib)) $((48 * mib)) 0" "$folder/curve" ||
    fail "simple: the curve is $(cat "$folder/curve")"
[ -s "$folder/seen/watch.gp" ] && [ -s "$folder/seen/watch.dat" ] || fail "simple: no chart"
has "= allocated 60.0 MiB"

# Whichever way it ends that is its end, and what it took is told.
for how in "137 kill" "134 abort" "139 segv" "5 _exit"; do
    read -r status way <<<"$how"
    watch "$status" end "$way"
    is peak_allocated_bytes "$((30 * mib)) $((30 * mib))"
    is end abrupt
    is capture lower-bound
done
watch 7 end exit
is capture full
watch 0 end never
is bytes "$((20 * mib)) $((10 * mib))"
is end ended
watch 9 exit-while-allocating
is end ended

# Threads, a pool of the driver's.
watch 0 threads
is peak_allocated_bytes "$((64 * mib)) $((64 * mib))"
is capture full
watch 0 pool
is peak_allocated_bytes "$((72 * mib)) $((72 * mib))"
has "driver's pool (cudaMallocAsync)"

watch 0 unrecorded
is peak_allocated_bytes "$((10 * mib)) $((10 * mib))"
is context_bytes "$context $context"
is peak_device_bytes $((110 * mib + context))
has "at least 417.2 MiB, as NVML saw it"

# Graphs: what they hold for themselves is asked of the driver, also what they held between two looks; a capture is borne.
for ms in 700 0; do
    watch 0 graph "$ms"
    is peak_allocated_bytes "$((76 * mib)) $((76 * mib))"
    is context_bytes "$context $context"
    is peak_device_bytes $((76 * mib + context))
    is bytes "$((64 * mib)) $((12 * mib))"
    is capture full
    has "CUDA graphs, as the driver tells"
    cut -d, -f4 "$folder/seen/timeline.csv" | paste -sd' ' >"$folder/curve"
    grep -qx "allocated_bytes $((12 * mib)) $((76 * mib)) $((12 * mib)) 0" "$folder/curve" ||
        fail "$what: the curve is $(cat "$folder/curve")"
done
watch 0 graph end
is peak_allocated_bytes "$((76 * mib)) $((76 * mib))"
is capture full

# Processes: a child leaves its parent's account alone; workers add up; each program that a process was is told.
watch 0 fork-after
is peak_allocated_bytes "$((24 * mib)) $((24 * mib))"
is end ended
watch 0 fork-before
is processes 3
is peak_allocated_bytes "$((30 * mib)) $((10 * mib)) $((10 * mib)) $((10 * mib))"
is context_bytes "$((3 * context)) $context $context $context"
watch 0 execute
is end "executed ended ended"
is peak_allocated_bytes "$((66 * mib)) $((18 * mib)) $((60 * mib)) $((60 * mib))"
watch 0 leave
is end running
is peak_allocated_bytes "$((30 * mib)) $((30 * mib))"

# Another client of CUPTI has all of its records; that ours stood back is told.
watch 0 record before
is capture none
has "capture: none: cuptiSubscribe says CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED"
has ", as NVML saw it, ten times a second; allocations are not recorded"
[ -z "$(all context_bytes)" ] || fail "record before: there is a context without an account"
watch 0 record bare
is capture none
has "the program records CUPTI's activities itself"
watch 0 record later
is capture lower-bound
is context_bytes "$context $context"
has "another client of CUPTI subscribed"

# What is the program's stays: descriptors, signals, errno, its streams.
echo "a line" | "$program" watch -- "$watched" stay >"$folder/out" 2>"$folder/err" || fail "stay: exit status $?"
[ "$(cat "$folder/out")" = "out: a line" ] || fail "stay: stdout has '$(cat "$folder/out")'"
what=stay
has "allocated 5.0 MiB"
watch 0 close-all
is peak_allocated_bytes "$((16 * mib)) $((16 * mib))"
is capture full
watch 0 limit
is capture lower-bound
has "records are missing"

# A signal to us is the program's.
"$program" watch -- "$watched" sleep >"$folder/out" 2>"$folder/err" &
for _ in $(seq 100); do
    grep -q ready "$folder/out" && break
    sleep 0.1
done
sleep 0.5 # until what it took is handed over
kill -TERM $!
wait $!
status=$? what=sleep
[ "$status" -eq 143 ] || fail "sleep: exit status $status, expected 143"
has "was ended by signal 15"
has "allocated 30.0 MiB"

# Without records, without NVML, without CUPTI, without CUDA.
VRAMBENCH_EMULATED_CUPTI=unprivileged watch 0 simple
has "capture: none: cuptiActivityEnable(MEMORY2) says CUPTI_ERROR_INSUFFICIENT_PRIVILEGES"
VRAMBENCH_EMULATED_CUPTI=drop=3 watch 0 simple
is capture lower-bound
VRAMBENCH_EMULATED_CUPTI=late,out-of-order watch 0 simple
is peak_allocated_bytes "$((60 * mib)) $((60 * mib))"
VRAMBENCH_EMULATED_CUPTI=buffer=512 watch 0 simple
is peak_allocated_bytes "$((60 * mib)) $((60 * mib))"
VRAMBENCH_EMULATED_NVML=absent watch 0 simple
is peak_allocated_bytes "$((60 * mib)) $((60 * mib))"
has "context not known: no NVML: nvmlInit_v2 says Driver Not Loaded"
mkdir "$folder/bare"
for file in libcuda.so.1 libemulated.so; do ln -s "$libraries/$file" "$folder/bare"; done
VRAMBENCH_CUDA_LIBS="$folder/bare" watch 0 simple
is capture none
has "capture: none: libcupti.so.13"
expect 3 "no CUDA" "$program" watch -- sh -c 'exit 3'
what="no CUDA"
has "no process of it opened CUDA"

# Refused before anything runs.
expect 2 "another injection" env CUDA_INJECTION64_PATH=/x.so "$program" watch -- touch "$folder/ran"
grep -q "CUDA_INJECTION64_PATH is set to /x.so" "$folder/err" || fail "another injection: not told"
expect 2 "no program" "$program" watch --out "$folder/seen"
expect 2 "a program without --" "$program" watch true
expect 2 "a point without its model" "$program" watch --batch 4 -- touch "$folder/ran"
expect 2 "no such model" "$program" watch --against yolov5q -- touch "$folder/ran"
[ ! -e "$folder/ran" ] || fail "a program ran that was not to"
expect 127 "no such program" "$program" watch -- "$folder/nowhere"
expect 126 "no program at all" "$program" watch -- "$folder"

# What is planned stands beside it: as 'estimate' has it.
point=(--batch 2 --imgsz 64 --precision fp32 --gpu rtx3090)
"$program" estimate --model yolov5n "${point[@]}" --json >"$folder/estimate" 2>&1
need=$(grep -o '"need_bytes":[0-9]*' "$folder/estimate" | cut -d: -f2)
expect 0 "against" "$program" watch --out "$folder/seen" --against yolov5n "${point[@]}" -- "$watched" simple
what=against
is need_bytes "$need"
has "planned by 'vrambench estimate': yolov5n, batch 2, 64 px, fp32"

# Only what was never given back, or was cut off, is left.
grep -v 'left: \(allocation\|retained context\|stream\|graph\|executable graph\)' "$folder/violations" >"$folder/others"
if [ -s "$folder/others" ]; then
    fail "what a driver would not have borne"
    sort "$folder/others" | uniq -c | head
fi
echo "$failures failures"
exit $((failures > 0))
