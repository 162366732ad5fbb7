#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shards of a planned sweep made one, and what merge refuses.   merge.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1
export VRAMBENCH_CUDNN=off

# expect STATUS TEXT WHAT COMMAND...: the exit status, and what stderr holds.
expect() {
    local status=$1 text=$2 what=$3
    shift 3
    "$@" >"$folder/out" 2>"$folder/err"
    local got=$?
    [ "$got" -eq "$status" ] || fail "$what: exit status $got, expected $status: $(tail -2 "$folder/err")"
    grep -qF -- "$text" "$folder/err" || fail "$what: no '$text' in: $(tail -3 "$folder/err")"
}

printf '%s\n' "[sweep]" "virtual=t4" "[axes]" "model=yolov5n" "batch=1,2,4" "imgsz=64,128" "precision=fp32,fp16" \
    >"$folder/a.ini"
sweep=("$program" sweep "$folder/a.ini")
for i in 1 2 3; do
    expect 0 "4 points" "shard $i" "${sweep[@]}" --shard $i/3 --out "$folder/s$i"
done
expect 0 "12 points" "all" "${sweep[@]}" --out "$folder/all"

expect 0 "12 rows of 3 results: 0 folded, 0 points told differently" "three shards" \
    "$program" merge "$folder"/s? --out "$folder/m"
cmp -s <(sort "$folder/m/rows.jsonl") <(sort "$folder/all/rows.jsonl") || fail "the shards are not the whole"
[ -e "$folder/m/points.csv" ] || fail "no tables"
before=$(stat -c %y%i "$folder/m/rows.jsonl")
expect 0 "12 rows" "again" "$program" merge "$folder"/s? --out "$folder/m"
[ "$before" = "$(stat -c %y%i "$folder/m/rows.jsonl")" ] || fail "merging again changes the journal"
expect 0 "12 rows of 4 results: 12 folded" "all of it twice" "$program" merge "$folder/all" "$folder"/s? --out "$folder/m4"

# A journal of another kind is not written over.
expect 2 "holds another journal; give --force" "another journal" "$program" merge "$folder/s1" --out "$folder/m"
[ "$(wc -l <"$folder/m/rows.jsonl")" -eq 12 ] || fail "it was written over"
expect 0 "4 rows" "--force" "$program" merge "$folder/s1" --out "$folder/m" --force
[ -e "$folder/m/rows.jsonl.part" ] && fail "a part is left"
expect 2 "is read and written" "into itself" "$program" merge "$folder/s1" "$folder/s2" --out "$folder/s2"
expect 2 "rows.jsonl: cannot be read: No such file" "no journal" "$program" merge "$folder/none" --out "$folder/x"

# Of a point that is told differently both lines stay, and what is no failure is found; a line that is cut is passed
# over.
mkdir "$folder/b"
sed '2s/"state":"ok"/"state":"error"/' "$folder/s1/rows.jsonl" >"$folder/b/rows.jsonl"
expect 1 "5 rows of 2 results: 3 folded, 1 points told differently" "a dispute" \
    "$program" merge "$folder/s1" "$folder/b" --out "$folder/d"
[ "$(wc -l <"$folder/d/rows.jsonl")" -eq 5 ] || fail "of a dispute not both lines are there"
tail -1 "$folder/d/rows.jsonl" | grep -q '"state":"ok"' || fail "of a dispute the failure is found"
expect 1 "is not what line 2 of" "a dispute the other way" "$program" merge "$folder/b" "$folder/s1" --out "$folder/d2"
tail -1 "$folder/d2/rows.jsonl" | grep -q '"state":"ok"' || fail "of a dispute the failure is found, the other way"
head -c 3000 "$folder/s2/rows.jsonl" >"$folder/b/rows.jsonl"
expect 0 "1 lines passed over" "a cut line" "$program" merge "$folder/s1" "$folder/b" --out "$folder/c"

# Two GPUs under one name.
sed 's/"gpu":"[^"]*"/"gpu":"Another"/' "$folder/s2/rows.jsonl" >"$folder/b/rows.jsonl"
expect 2 "runs of two machines' kinds are not one sweep" "two GPUs" "$program" merge "$folder/s1" "$folder/b" --out "$folder/x"
[ -e "$folder/x" ] && fail "something was written of two GPUs"
echo "$failures failures"
exit $((failures > 0))
