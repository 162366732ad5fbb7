#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Several GPUs: what is refused, and what answers, records and programs say of each.   gpus.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1
point=("$program" point --model yolov5n --batch 16 --imgsz 320)

# refused STATUS TEXT COMMAND...
refused() {
    local status=$1 text=$2
    shift 2
    expect "$status" "$*" "$@"
    grep -qF -- "$text" "$folder/out" "$folder/err" || fail "$*: no '$text'"
}

refused 3 "batch is 16, expected a multiple of 3" "${point[@]}" --gpus 3
refused 2 "gpus is 17, expected 1 to 16" "${point[@]}" --gpus 17
refused 2 "zero is 2, expected 0 to 1" "${point[@]}" --gpus 2 --zero 2
refused 2 "strategy is 'fsdp'; did you mean ddp? (there is ddp, dp)" "${point[@]}" --gpus 2 --strategy fsdp
refused 3 "world is 2, but 4 GPUs are here" "${point[@]}" --gpus 4 --world 2
refused 3 "batch is 16, expected a multiple of 32" "${point[@]}" --gpus 4 --world 32
refused 3 "strategy dp is one process on the 2 GPUs of one machine" "${point[@]}" --gpus 2 --strategy dp --world 4
refused 3 "zero 1 goes with strategy ddp alone" "${point[@]}" --gpus 2 --strategy dp --zero 1
refused 3 "bucket_view on goes with strategy ddp alone" "${point[@]}" --gpus 2 --strategy dp --bucket_view on
refused 3 "cut over 4 GPUs, by pieces of 2, it leaves some without images" \
    "$program" point --model yolov5n --batch 5 --imgsz 320 --gpus 4 --strategy dp
refused 3 "ultralytics trains on several GPUs by strategy ddp alone" \
    "$program" point --model yolov8n --batch 4 --imgsz 320 --gpus 2 --strategy dp
refused 3 "workload autobatch is for one GPU" "${point[@]}" --gpus 2 --workload autobatch
refused 3 "several GPUs (2) are planned, not measured: take --device virtual:GPU" \
    "${point[@]}" --gpus 2 --device cpu
grep -q '"state":"unsupported"' "$folder/out" || fail "a cpu's answer is not unsupported"
refused 2 "expected a number below --gpus, 2" "$program" program --model yolov5n --gpus 2 --rank 2

# reserved RANK: of the last record.
reserved() {
    grep -o '"ranks":\[[^]]*' "$folder/out" | grep -o '"peak_reserved_bytes":[0-9]*' | sed -n "$(($1 + 1))p" | cut -d: -f2
}

# The record is the heaviest GPU's; with DDP all but the first are alike.
expect 0 "two GPUs" "${point[@]}" --gpus 2
[ "$(value peak_reserved_bytes)" = "$(reserved 0)" ] || fail "the record is not the first GPU's"
[ "$(value nccl_low_bytes),$(value nccl_high_bytes)" = 52428800,524288000 ] || fail "NCCL's range"
two=$(value peak_allocated_bytes)
expect 0 "one GPU" "$program" point --model yolov5n --batch 8 --imgsz 320
grep -q -e gpus -e ranks -e nccl "$folder/out" && fail "one GPU's record speaks of several"
usable=$(value usable_bytes)
[ "$two" -gt "$(value peak_allocated_bytes)" ] || fail "DDP takes no more than one GPU with its share"
expect 0 "eight of sixteen" "${point[@]}" --gpus 8 --world 16
[ -n "$(reserved 7)" ] && [ -z "$(reserved 8)" ] || fail "the GPUs of this machine are listed"
[ "$(reserved 1)" = "$(reserved 7)" ] || fail "ranks 1 and 7 differ"
[ "$(value usable_bytes)" = $((usable - 524288000)) ] || fail "the most of NCCL's is not left out"
expect 0 "DataParallel" "${point[@]}" --gpus 2 --strategy dp
[ "$(reserved 0)" -gt "$(reserved 1)" ] || fail "the first of two GPUs is not the heavier"
expect 0 "with the average on both" "$program" point --model yolov8n --batch 4 --imgsz 320 --gpus 2
[ "$(reserved 0)" = "$(reserved 1)" ] || fail "ultralytics' ranks differ"

# The answer: a line for each GPU, or for those alike; a batch that all can share.
expect 0 "estimate" "$program" estimate --model yolov5n --batch 48 --imgsz 320 --precision fp16 --gpus 3
grep -q "^GPUs here (ddp):" "$folder/out" || fail "no table of GPUs"
grep -q "^  0  .* the heaviest$" "$folder/out" || fail "no line of the first GPU"
grep -q "^  1 to 2  " "$folder/out" || fail "no line of the others"
grep -q "^NCCL's buffers, modelled: 50.0 MiB to 500.0 MiB on each" "$folder/out" || fail "no line of NCCL"
batch=$(sed -n 's/^largest batch that fits: //p' "$folder/out")
[ "$batch" -gt 0 ] && [ $((batch % 3)) -eq 0 ] || fail "the largest batch is '$batch'"
grep -q "torch.distributed.run --nproc_per_node 3 train.py .*--batch-size $batch .*--device 0,1,2" "$folder/out" ||
    fail "no command for it"

# A program of each; the first's of DataParallel gathers, a copy's has no optimizer.
expect 0 "program" "$program" program --model yolov5n --batch 4 --imgsz 320 --gpus 2
grep -q "bucket  *gradients" "$folder/out" || fail "no bucket"
expect 0 "first" "$program" program --model yolov5n --batch 4 --imgsz 320 --gpus 2 --strategy dp
grep -q "gathered" "$folder/out" || fail "nothing is gathered"
expect 0 "copy" "$program" program --model yolov5n --batch 4 --imgsz 320 --gpus 2 --strategy dp --rank 1
grep -q -e gathered -e momentum "$folder/out" && fail "a copy has what is the first GPU's"
grep -q "replica" "$folder/out" || fail "a copy has no copy"

# An axis of a sweep; a point that cannot be is told, the others are planned.
printf '[axes]\nmodel=yolov5n\nbatch=8\nimgsz=320\ngpus=1,2,3\n' >"$folder/a.ini"
"$program" sweep "$folder/a.ini" --device virtual:t4 --out "$folder/run" >"$folder/out" 2>"$folder/err"
journal=$(find "$folder/run" -name '*.jsonl' | head -1)
[ "$(grep -c '"ranks":' "$journal")" -eq 1 ] || fail "one point of three has two GPUs"
grep -q "^| yolov5n .* | ok    |.* | 2 ddp |$" "$folder/run/points.md" || fail "the table does not tell two GPUs"
grep -q "batch is 8, expected a multiple of 3" "$journal" || fail "why three GPUs cannot share 8 images"
refused 2 "batch is 16, expected a multiple of 3" "$program" estimate --model yolov5n --batch 16 --imgsz 320 --gpus 3

[ "$failures" -eq 0 ]
