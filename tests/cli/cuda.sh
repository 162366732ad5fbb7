#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cuda device on libraries that stand in for NVIDIA's: the same memory as planned, the same losses as on the
# cpu, what records hold, and what becomes of a GPU that is too small.   cuda.sh PROGRAM LIBRARIES
. "$(dirname "$0")/common.sh"
program=$1 libraries=$2
export VRAMBENCH_EMULATED_LOG="$folder/violations" OMP_WAIT_POLICY=passive
export VRAMBENCH_CUDA_LIBS="$libraries" VRAMBENCH_EMULATED_GPU=sweeps/gpus/rtx3090.json
# Leaks are looked for in emulated/faults.sh: LeakSanitizer itself fails now and then where cuDNN has loaded its parts.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

# has TEXT WHAT: in the last output.
has() {
    grep -qF -- "$1" "$folder/out" && return
    fail "$2: no '$1' in"
    cut -c1-3000 "$folder/out"
}

# is_near A B: within 1e-3 of B.
is_near() {
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a - b <= 1e-3 * b && b - a <= 1e-3 * b) }'
}

expect 0 "devices" "$program" devices
if ! grep -q '^cuda:0: NVIDIA GeForce RTX 3090' "$folder/out"; then
    # Without the real cuDNN there is nobody to plan for the stand-in.
    grep '^cuda' "$folder/out"
    exit 77
fi

# AddressSanitizer's shadow does not fit under such a limit, which tells whether this is built with it.
points=16 fewer=()
bash -c 'ulimit -v 1000000; "$1" version || exit 1' - "$program" >"$folder/out" 2>&1 || points=4 fewer=(--filter batch=2 --filter imgsz=64)

# The whole sweep, measured and planned: the peaks of the pool are the same to the byte; under the sanitizer, where a
# step takes many times as long, a quarter of it.
columns=1-7,10-14
sweep=("$program" sweep sweeps/emulated.ini --fresh --format csv "${fewer[@]}")
expect 0 "emulated.ini, measured" "${sweep[@]}" --out "$folder/measured"
cut -d, -f$columns "$folder/out" >"$folder/measured.csv"
expect 0 "emulated.ini, planned" "${sweep[@]}" --out "$folder/planned" --device virtual:rtx3090
cut -d, -f$columns "$folder/out" >"$folder/planned.csv"
diff "$folder/planned.csv" "$folder/measured.csv" >"$folder/difference" || {
    fail "planned (<) and measured (>) differ"
    cat "$folder/difference"
}
[ "$(grep -c ",ok," "$folder/measured.csv")" -eq $points ] || fail "not all $points points are ok"

# v5s.ini itself, one point of it.
expect 0 "v5s.ini" "$program" sweep sweeps/v5s.ini --device cuda:0 --out "$folder/v5s" --filter batch=1 --filter imgsz=320 \
    --filter precision=fp32 --filter mosaic=off --set warmup=0 --set steps=1 --format jsonl
has '"state":"ok"' "v5s.ini"

# The losses of the first step and of the second, after an update, are the cpu's. After more the cpu's own differ from
# build to build: so few pixels under a batch normalisation make rounding grow.
for options in "--model yolov5s" "--model yolov8n" "--model yolov5n --optimizer adamw" "--model yolov5n --channels_last on"; do
    # shellcheck disable=SC2086 # a list of options
    set -- $options --batch 2 --imgsz 64 --targets 4 --warmup 1 --steps 1
    expect 0 "$options on the cpu" "$program" point --device cpu:2 "$@"
    first=$(value loss_first) last=$(value loss_last)
    expect 0 "$options" "$program" point --device cuda:0 "$@"
    is_near "$(value loss_first)" "$first" && is_near "$(value loss_last)" "$last" ||
        fail "$options: losses $(value loss_first) and $(value loss_last), on the cpu $first and $last"
done

# What a record holds. The pool's bytes, as CUPTI saw them, are what it reserved.
one=("$program" point --model yolov5n --batch 2 --imgsz 64 --targets 4 --device cuda:0 --warmup 1 --steps 1)
expect 0 "a point" "${one[@]}" --steps 6
for key in provenance cudnn context_bytes peak_device_bytes step_seconds step_low_seconds step_high_seconds step_samples_ns driver cuda \
    cupti pci compute_capability power_limit_watts ecc sm_mhz celsius watts throttled captured_peak_bytes \
    cudnn_bytes recorded_step_seconds launches; do
    [ -n "$(value $key)" ] || fail "a record has no $key"
done
has '"capture":"full"' "a record"
has '(emulated)' "a record"
[ "$(value pool_bytes)" = "$(value peak_reserved_bytes)" ] ||
    fail "CUPTI saw $(value pool_bytes) B of the pool, which reserved $(value peak_reserved_bytes)"
[ "$(value peak_device_bytes)" -eq $(($(value captured_peak_bytes) + $(value context_bytes))) ] ||
    fail "the device's peak is not what was captured and the context"

# Memory that nobody wrote is not read: the losses are the same where it holds NaN.
expect 0 "a point" "${one[@]}"
first=$(value loss_first) last=$(value loss_last)
expect 0 "a poisoned point" env VRAMBENCH_POISON=1 "${one[@]}"
[ "$first $last" = "$(value loss_first) $(value loss_last)" ] ||
    fail "losses $first and $last, with poisoned memory $(value loss_first) and $(value loss_last)"

# Other precisions, optimizers and workloads of the device.
expect 0 "bf16" "${one[@]}" --precision bf16
has '"state":"ok"' "bf16"
expect 0 "autotuning" "${one[@]}" --benchmark on --deterministic off
has '"state":"ok"' "autotuning"
expect 3 "a whole run" "${one[@]}" --workload run
has 'workload run is only planned' "a whole run"
expect 0 "without capture" env VRAMBENCH_CAPTURE=off "${one[@]}"
has '"capture":"off"' "without capture"

# A GPU that is too small is an answer, with the driver's own figures.
expect 1 "a small GPU" env VRAMBENCH_EMULATED_MEMORY=$((480 << 20)) "${one[@]}" --batch 16 --imgsz 256
has '"state":"oom"' "a small GPU"
[ "$(value oom_free_bytes)" -lt $((144 << 20)) ] || fail "a small GPU has $(value oom_free_bytes) B free"
expect 2 "no such GPU" "$program" point --model yolov5n --batch 1 --imgsz 64 --device cuda:7
expect 2 "no number" "$program" point --model yolov5n --batch 1 --imgsz 64 --device cuda:x

# The GPU as a file of sweeps/gpus/ is one that can be planned for.
expect 0 "devices --export" "$program" devices --export
cp "$folder/out" "$folder/gpu.json"
expect 0 "estimate for it" "$program" estimate --model yolov5n --batch 2 --imgsz 64 --device "virtual:$folder/gpu.json"

# Without the libraries.
mkdir "$folder/none"
expect 3 "no driver" env VRAMBENCH_CUDA_LIBS="$folder/none" "${one[@]}"
grep -q 'libcuda.so.1: not found' "$folder/err" || fail "no driver: not told"
expect 0 "devices without a driver" env VRAMBENCH_CUDA_LIBS="$folder/none" "$program" devices
has 'libcuda.so.1: not found' "devices without a driver"

if [ -s "$folder/violations" ]; then
    fail "what a driver would not have borne"
    sort "$folder/violations" | uniq -c | sort -rn | head -20
fi
echo "$failures failures"
exit $((failures > 0))
