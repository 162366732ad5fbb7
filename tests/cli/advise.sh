#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 'advise': the article's case, what must stay, what fits already, formats, bad values.   advise.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1

# number FORMAT-JSON-ROW KEY: of the row of that number, from 0.
row() {
    python3 -c 'import json, sys
value = json.load(open(sys.argv[1]))["rows"][int(sys.argv[2])].get(sys.argv[3])
print(str(value).lower() if isinstance(value, bool) else value)' "$folder/out" "$1" "$2"
}

# says TEXT WHAT: the last output or error text has it.
says() {
    grep -qF -- "$1" "$folder/out" "$folder/err" || fail "$2: no '$1'"
}

# narrow WHAT: no line of the last output is wider than 80 columns.
narrow() {
    awk 'length($0) > 80 { exit 1 }' "$folder/out" || fail "$1: wider than 80 columns"
}

# The article's case: out of memory at once, and something helps.
article=("$program" advise --model yolov5x --batch 32 --imgsz 1280 --precision fp32 --mosaic on
    --mixup on --gpu rtx3090)
expect 0 "the article's case" "${article[@]}"
narrow "the article's case"
says "DOES NOT FIT" "the verdict"
says "terms, at the peak" "why"
says "what makes it fit, cheapest first" "the changes"
says "python train.py --weights yolov5x.pt --batch-size" "what to type"

# The same, step by step as the article took them: each figure is what estimate says of it.
walk=precision=amp,batch=16,imgsz=640,mixup=off,accumulate=2
expect 0 "the article's steps" "${article[@]}" --risk 20% --walk $walk
narrow "the article's steps"
expect 0 "the article's steps as JSON" "${article[@]}" --risk 20% --walk $walk --format json
cp "$folder/out" "$folder/walk.json"
steps=("--precision fp32 --batch 32 --imgsz 1280 --mixup on"
    "--precision fp16 --batch 32 --imgsz 1280 --mixup on"
    "--precision fp16 --batch 16 --imgsz 1280 --mixup on"
    "--precision fp16 --batch 16 --imgsz 640 --mixup on"
    "--precision fp16 --batch 16 --imgsz 640 --mixup off"
    "--precision fp16 --batch 16 --imgsz 640 --mixup off --accumulate 2")
effective=(64 64 64 64 64 32)
for i in "${!steps[@]}"; do
    # shellcheck disable=SC2086
    "$program" estimate --model yolov5x --mosaic on --gpu rtx3090 --json ${steps[$i]} >"$folder/out" || true
    estimated=$(value need_bytes)
    cp "$folder/walk.json" "$folder/out"
    [ "$(row "$i" need_bytes)" = "$estimated" ] || fail "step $i: $(row "$i" need_bytes), estimate says $estimated"
    [ "$(row "$i" effective_batch)" = "${effective[$i]}" ] || fail "step $i: effective batch"
done
# What the article's author saw die dies, and what ran runs.
[ "$(row 0 fits)" = false ] || fail "the article's first step fits"
[ "$(row 5 fits)" = true ] || fail "the article's last step does not fit"

# What does not fit has a need with expandable segments too, on a device without bounds.
expect 1 "no bounds" "$program" estimate --model yolov5x --batch 32 --imgsz 1280 --gpu rtx3090 \
    --alloc_conf expandable_segments:True
says "DOES NOT FIT  1" "the need"

# What must stay stays.
expect 0 "kept batch and imgsz" "${article[@]}" --keep batch,imgsz --format json
grep '"changes"' "$folder/out" | grep -qE '"[^"]*(batch|imgsz)=' && fail "batch or imgsz was changed"
expect 1 "nothing fits" "${article[@]}" --keep batch,imgsz,model,gpu,gpus
says "NOTHING FITS; what comes nearest" "the nearest"
narrow "nothing fits"

# Where all else stays only more GPUs are left: as many as it takes, the batch as it was.
all=batch,imgsz,model,gpu,precision,mosaic,mixup,copy_paste,optimizer,freeze,channels_last,alloc_conf
more=(--batch 32 --imgsz 640 --precision fp16 --gpu rtx3060 --keep $all)
expect 0 "more GPUs" "$program" advise --model yolov5m "${more[@]}" --format json
[ "$(row 0 changes)" = "gpus=4" ] || fail "more GPUs: $(row 0 changes)"
[ "$(row 0 cost)" = money ] || fail "more GPUs: $(row 0 cost)"
[ "$(row 0 effective_batch)" = 64 ] || fail "more GPUs: effective batch $(row 0 effective_batch)"
launcher="python -m torch.distributed.run --nproc_per_node 4 train.py"
[ "$(row 0 arguments)" = "$launcher --weights yolov5m.pt --batch-size 32 --img 640 --device 0,1,2,3" ] ||
    fail "more GPUs: $(row 0 arguments)"
advised=$(row 0 need_bytes)
"$program" estimate --model yolov5m "${more[@]:0:8}" --gpus 4 --json >"$folder/out" || true
[ "$(value need_bytes)" = "$advised" ] || fail "more GPUs: $advised, estimate says $(value need_bytes)"
expect 0 "more GPUs, yolov8m" "$program" advise --model yolov8m "${more[@]}" --format json
[ "$(row 0 arguments)" = "yolo train model=yolov8m.pt batch=32 imgsz=640 amp=True device=0,1,2,3" ] ||
    fail "more GPUs, yolov8m: $(row 0 arguments)"
expect 1 "more GPUs, kept" "$program" advise --model yolov5m "${more[@]},gpus"
grep -q 'gpus=' "$folder/out" && fail "gpus was changed"
expect 1 "more GPUs of several" "$program" advise --model yolov5m "${more[@]}" --batch 64 --gpus 2
grep -q 'gpus=' "$folder/out" && fail "the number of GPUs that was given was changed"
expect 1 "an odd batch" "$program" advise --model yolov5m "${more[@]}" --batch 33
grep -q 'gpus=' "$folder/out" && fail "an odd batch was shared out"

# What fits is left alone.
expect 0 "fits" "$program" advise --model yolov5n --batch 8 --imgsz 320 --gpu rtx3090
says "It fits as it is" "what fits"

# Ultralytics' own arguments for its models.
expect 0 "yolov8x" "$program" advise --model yolov8x --batch 64 --imgsz 640 --precision fp16 \
    --optimizer adamw --gpu rtx3060
says "yolo train model=yolov8x.pt batch=" "ultralytics"
says "nbs=64" "ultralytics' sums"

# A model of the user's own.
cp sweeps/models/yolov8n.yaml "$folder/own.yaml"
expect 0 "own model" "$program" advise --yaml "$folder/own.yaml" --batch 512 --imgsz 640 --gpu gtx1650

# A classifier's loop sums no gradients and freezes nothing: what is left makes a chain.
expect 0 "a classifier" "$program" advise --yaml tests/data/models/resnet50.yaml --batch 512 --imgsz 224 \
    --mosaic off --gpu rtx3060 --workload train --trainer classifier
says "P(fits) is not known" "no published run"
says "precision=fp16" "the chain"
grep -q '| training' "$folder/out" && fail "a classifier is told to sum or to freeze"
grep -q 'gpus=' "$folder/out" && fail "a classifier is told to take several GPUs"

for format in csv jsonl; do
    expect 0 "$format" "${article[@]}" --format $format
done
expect 0 "csv" "${article[@]}" --format csv
head -1 "$folder/out" | grep -q '^kind,rank,cost,changes,gpu,fits,need_before_bytes,need_bytes,' || fail "csv: its header"

# One processor answers as two do, the plans that were asked for included. Where there is but one this holds anyway.
first=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
for what in "--model yolov5x --batch 32 --imgsz 1280 --gpu rtx3090" "--model yolov8n --batch 64 --imgsz 640 --gpu gtx1050" \
    "--model yolov5s --batch 48 --imgsz 640 --gpu rtx3060 --optimizer adamw --keep batch"; do
    # shellcheck disable=SC2086
    expect 0 "two processors: $what" "$program" advise $what --format json
    cp "$folder/out" "$folder/two.json"
    # shellcheck disable=SC2086
    expect 0 "one processor: $what" taskset -c "$first" "$program" advise $what --format json
    cmp -s "$folder/two.json" "$folder/out" || fail "one processor answers otherwise: $what"
done

# Bad values: one line, exit status 2.
bad() {
    local text=$1
    shift
    expect 2 "$text" "$@"
    says "$text" "the error"
    [ "$(wc -l <"$folder/err")" -eq 1 ] || fail "$text: more than one line"
}
bad "--keep is 'bach'" "${article[@]}" --keep bach
bad "--walk has no key 'bach'; did you mean batch" "${article[@]}" --walk bach=4
bad "--walk has 'batch', expected key=value" "${article[@]}" --walk batch
bad "imgsz is 650, no multiple of the stride 32" "${article[@]}" --walk imgsz=650
bad "--format is 'xml'" "${article[@]}" --format xml
bad "workload autobatch is no training" "$program" advise --model yolov5n --workload autobatch
bad "an estimate is a plan" "$program" advise --model yolov5n --device cpu

# Phases.
schedule=("$program" schedule --model yolov5s --precision fp16 --gpu rtx3090)
expect 0 "schedule" "${schedule[@]}" --phases 320:100,512:50,640:20 --close-mosaic 10
narrow "schedule"
says "|  4 |   640 | off    |     10 |" "mosaic closed for the last epochs"
says "all phases in one process" "one process"
expect 1 "schedule of what fits with no batch" "$program" schedule --model yolov5x6 --precision fp32 \
    --gpu gtx1050 --phases 1280:10
says "with no batch at all" "no batch"
expect 0 "worst draw" "${schedule[@]}" --phases 640:1 --multi-scale --format json
grep -q '"largest_size": 960' "$folder/out" || fail "the worst draw of 640"
bad "no phases; give --phases" "${schedule[@]}"
bad "--phases has '640', expected imgsz:epochs" "${schedule[@]}" --phases 640
bad "--phases: epochs is 'x'" "${schedule[@]}" --phases 640:x
bad "imgsz is 650, no multiple of the stride 32" "${schedule[@]}" --phases 650:1
bad "--batch is worked out for each phase" "${schedule[@]}" --phases 640:1 --batch 4
bad "--close-mosaic 3: mosaic is off already" "${schedule[@]}" --phases 640:5 --mosaic off --close-mosaic 3
bad "--images is '0'" "${schedule[@]}" --phases 640:5 --images 0

echo "$failures failures"
[ "$failures" -eq 0 ]
