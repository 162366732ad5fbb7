#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of call of CUDA, cuDNN, CUPTI and NVML that a point makes fails, each in a process of its own, and
# libraries that are missing or half there: each ends in a record or in one line, and leaves nothing.
#   faults.sh PROGRAM LIBRARIES JUDGE
. "$(dirname "$0")/../cli/common.sh"
program=$1 libraries=$2 judge=$3
export VRAMBENCH_EMULATED_LOG="$folder/violations" OMP_WAIT_POLICY=passive
export VRAMBENCH_CUDA_LIBS="$libraries" VRAMBENCH_EMULATED_GPU=sweeps/gpus/rtx3090.json
point=(point --batch 1 --imgsz 32 --targets 1 --device cuda:0 --warmup 1 --steps 1 --model)
small=("$program" "${point[@]}" tests/emulated/small.yaml)

# expect STATUS WHAT COMMAND...: the exit status, and no more than one line on stderr; output in out and err.
expect() {
    local status=$1 what=$2
    shift 2
    "$@" >"$folder/out" 2>"$folder/err"
    local got=$?
    [ "$got" -eq "$status" ] && [ "$(wc -l <"$folder/err")" -le 1 ] && return
    fail "$what: exit status $got, expected $status"
    head -c 2000 "$folder/err"
}

# has TEXT WHAT: in the last output, or on stderr.
has() {
    cat "$folder/out" "$folder/err" | grep -qF -- "$1" && return
    fail "$2: no '$1' in"
    cut -c1-3000 "$folder/out" "$folder/err"
}

# without LIBRARY: a folder with the stand-ins but for that one.
without() {
    mkdir -p "$folder/without $1"
    cp -s "$(realpath "$libraries")"/* "$folder/without $1"
    rm "$folder/without $1/$1"
    echo "$folder/without $1"
}

expect 0 "a small point" "${small[@]}"
if grep -q 'libcudnn.so.9: not found' "$folder/err"; then
    cat "$folder/err"
    exit 77
fi
has '"capture":"full"' "a small point"
captured=$(value captured_peak_bytes)

# walk WHAT FUNCTIONS OPTIONS COMMAND...: of each function whose name begins so some calls fail; the judge has the last
# word. All but those that return no status have their turn.
walk() {
    local what=$1 functions=$2 options=$3 function
    shift 3
    mkdir "$folder/walk"
    expect 0 "$what" env OMP_NUM_THREADS=1 VRAMBENCH_EMULATED_COUNTS="$folder/walk/counts" \
        VRAMBENCH_EMULATED_WALK="$folder/walk" VRAMBENCH_EMULATED_WALK_FUNCTION="$functions" \
        VRAMBENCH_EMULATED_WALK_OPTIONS="$options,jobs=2,seconds=200" "$@"
    echo "$what:"
    # shellcheck disable=SC2046 # one word or none
    "$judge" "$folder/walk" "$folder/out" $(grep -o idle <<<"$options") || failures=$((failures + 1))
    # shellcheck disable=SC2013 # names without blanks
    for function in $(awk -v f="^$functions" '$1 ~ f && $1 !~ /^cudnnGet/ { print $1 }' "$folder/walk/counts"); do
        grep -q " $function " "$folder/walk/calls" || fail "$what: $function did not fail once"
    done
    rm -r "$folder/walk"
}

# Calls by each way through the program, and of the rest every so many. AddressSanitizer's shadow does not fit under
# such a limit, which tells whether this is built with it.
if bash -c 'ulimit -v 1000000; "$1" version || exit 1' - "$program" >"$folder/out" 2>&1; then
    walk "yolov5n" "" first=1,every=400,idle=1 "$program" "${point[@]}" yolov5n
    walk "a small model" "" first=4,every=50 "${small[@]}"
else
    walk "a small model" "" first=1,every=200 "${small[@]}"
fi
for functions in cuEvent cudnnBackendExecute; do
    walk "a small model, plans timed" "$functions" first=1,every=50 "${small[@]}" --benchmark on --deterministic off
done

# No libraries at all: whoever needs none does not notice.
mkdir "$folder/none"
expect 0 "devices, no library" env VRAMBENCH_CUDA_LIBS="$folder/none" "$program" devices
has 'libcuda.so.1: not found' "devices, no library"
expect 3 "a point, no library" env VRAMBENCH_CUDA_LIBS="$folder/none" "${small[@]}"
has 'libcuda.so.1: not found' "a point, no library"
for command in "models" "doctor" "estimate --model yolov5n --batch 2 --imgsz 64 --device virtual:rtx3090" \
    "point --model yolov5n --batch 1 --imgsz 64 --device virtual:rtx3090"; do
    # shellcheck disable=SC2086 # a list of arguments
    expect 0 "$command, no library" env VRAMBENCH_CUDA_LIBS="$folder/none" VRAMBENCH_CUDNN=off "$program" $command
done

# One library missing.
expect 3 "no cuDNN" env VRAMBENCH_CUDNN=off "${small[@]}"
has 'libcudnn.so.9: not used' "no cuDNN"
expect 3 "no cuDNN that has this GPU" env VRAMBENCH_CUDA_LIBS="$(without libcudnn.so.9)" "${small[@]}"
grep -qE 'libcudnn.so.9: not found|making a handle failed' "$folder/err" || fail "no cuDNN that has this GPU: not told"
expect 0 "no CUPTI" env VRAMBENCH_CUDA_LIBS="$(without libcupti.so.13)" "${small[@]}"
has '"capture":"none"' "no CUPTI"
has '"capture_why":"nothing is captured: libcupti.so.13, libcupti.so.12, libcupti.so: not found in' "no CUPTI"
expect 0 "no NVML" env VRAMBENCH_CUDA_LIBS="$(without libnvidia-ml.so.1)" "${small[@]}"
has '"warning":"whether the clock changed is not known: no NVML: libnvidia-ml.so.1: not found in' "no NVML"
has '"capture":"full"' "no NVML"

# CUPTI that is kept from us.
expect 0 "unprivileged" env VRAMBENCH_EMULATED_CUPTI=unprivileged "${small[@]}"
has '"capture":"none"' "unprivileged"
has 'NVreg_RestrictProfilingToAdminUsers=0' "unprivileged"
expect 0 "subscribed" env VRAMBENCH_EMULATED_CUPTI=subscribed "${small[@]}"
has '"capture":"none"' "subscribed"
has 'another profiler or debugger holds CUPTI' "subscribed"

# CUPTI that brings its records as it likes: the same peak. One that loses some has a peak that is no more than that.
for option in late out-of-order buffer=4000 late,out-of-order,buffer=1000; do
    expect 0 "$option" env VRAMBENCH_EMULATED_CUPTI="$option" "${small[@]}"
    has '"capture":"full"' "$option"
    [ "$(value captured_peak_bytes)" = "$captured" ] ||
        fail "$option: the peak is $(value captured_peak_bytes), else $captured"
done
for option in drop=2 buffer=100; do
    expect 0 "$option" env VRAMBENCH_EMULATED_CUPTI="$option" "${small[@]}"
    has '"state":"lower-bound"' "$option"
    has '"reason":"capture: the peak is a lower bound' "$option"
    has '"capture":"partial"' "$option"
    [ "$(value dropped_records)" -gt 0 ] || fail "$option: no record was dropped"
done

# Records that were lost after the peak was told are kernels'.
expect 0 "kernels' records lost" env VRAMBENCH_EMULATED_CUPTI=drop=9 "${small[@]}"
has '"capture":"partial","capture_why":"records of kernels were dropped"' "kernels' records lost"
[ "$(value captured_peak_bytes)" = "$captured" ] || fail "kernels' records lost: the peak is $(value captured_peak_bytes)"
[ "$(value dropped_records)" -gt 0 ] || fail "kernels' records lost: none was dropped"

# NVML that does not start, does not list processes, or tells of clocks that went down.
expect 0 "NVML absent" env VRAMBENCH_EMULATED_NVML=absent "${small[@]}"
has '"warning":"whether the clock changed is not known: no NVML: nvmlInit_v2 says Driver Not Loaded (9)' "NVML absent"
[ -z "$(value sm_mhz)$(value driver)$(value process_bytes)" ] || fail "NVML absent: what it tells is there"
expect 0 "no process" env VRAMBENCH_EMULATED_NVML=noprocess "${small[@]}"
has '"process_source":"device"' "no process"
expect 0 "moving" env VRAMBENCH_EMULATED_NVML=moving "${small[@]}"
has '"warning":"clocks were held down: ' "moving"

if [ -s "$folder/violations" ]; then
    fail "what a driver would not have borne"
    sort "$folder/violations" | uniq -c | sort -rn | head -20
fi
echo "$failures failures"
exit $((failures > 0))
