#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tables of GPUs, planned ones here: what is written, that it is written once, and what publish refuses.
#    publish.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1
export VRAMBENCH_CUDNN=off

# expect STATUS TEXT WHAT COMMAND...: the exit status, and what stderr holds, in one line where it is an error.
expect() {
    local status=$1 text=$2 what=$3
    shift 3
    "$@" >"$folder/out" 2>"$folder/err"
    local got=$?
    [ "$got" -eq "$status" ] || fail "$what: exit status $got, expected $status: $(tail -2 "$folder/err")"
    grep -qF -- "$text" "$folder/err" || fail "$what: no '$text' in: $(tail -3 "$folder/err")"
    [ "$status" -eq 0 ] || [ "$(wc -l <"$folder/err")" -eq 1 ] || fail "$what: more than a line: $(cat "$folder/err")"
}

has() {
    grep -qF -- "$1" "$2" || fail "no '$1' in $2"
}

printf '%s\n' "[axes]" "model=yolov5n" "batch=1,8,64" "imgsz=320,1280" "precision=fp16" >"$folder/a.ini"
for gpu in t4 rtx3090; do
    expect 0 "6 points" "a sweep" "$program" sweep "$folder/a.ini" --device virtual:$gpu --out "$folder/$gpu"
    expect 0 "6 points" "$gpu" "$program" publish "$folder/$gpu" --out "$folder/tables"
done
t4="$folder/tables/tesla-t4"
has "| 1280 | " "$t4/README.md"
has " oom | 8 |" "$t4/README.md"
[ "$(wc -l <"$t4/table.csv")" -eq 7 ] || fail "table.csv has not 6 rows"
[ "$(grep -c '^\[' "$t4/table.json")" -eq 6 ] || fail "table.json has not 6 rows"
[ -s "$t4/charts/memory.svg" ] || [ -s "$t4/charts/memory.gp" ] || fail "no chart"
# Each figure of the table is the journal's.
peak=$(grep '"batch":8,"imgsz":320' "$folder/t4/rows.jsonl" | grep -o '"peak_reserved_bytes":[0-9]*' | cut -d: -f2)
has ",320,8,ok,$peak," "$t4/table.csv"

# The list has both, in the order of their names, once.
has "[NVIDIA GeForce RTX 3090](nvidia-geforce-rtx-3090/README.md) | planned" "$folder/tables/README.md"
[ "$(grep -c '^| \[' "$folder/tables/README.md")" -eq 2 ] || fail "the list has not two GPUs"
find "$folder/tables" -type f -exec md5sum {} + | sort >"$folder/before"
before=$(stat -c %y "$t4/README.md" "$t4/table.csv" "$folder/tables/README.md")
expect 0 "6 points" "again" "$program" publish "$folder/t4" --out "$folder/tables"
find "$folder/tables" -type f -exec md5sum {} + | sort | diff "$folder/before" - || fail "publishing again changes something"
[ "$before" = "$(stat -c %y "$t4/README.md" "$t4/table.csv" "$folder/tables/README.md")" ] || fail "the same is written again"

# What stands around the list stays.
sed -i '1a About these tables.' "$folder/tables/README.md"
echo "After them." >>"$folder/tables/README.md"
expect 0 "6 points" "a README with text" "$program" publish "$folder/t4" --out "$folder/tables"
has "About these tables." "$folder/tables/README.md"
has "After them." "$folder/tables/README.md"

# Another journal of the same GPU, another GPU within one journal, lines and values that cannot be.
mkdir "$folder/b"
bad() { # TEXT WHAT SED: of t4's journal
    sed "$3" "$folder/t4/rows.jsonl" >"$folder/b/rows.jsonl"
    expect 2 "$1" "$2" "$program" publish "$folder/b" --out "$folder/tables"
}
bad "is the table of another journal; give --force" "another journal" '6d'
expect 0 "5 points" "--force" "$program" publish "$folder/b" --out "$folder/tables" --force
bad "a table is of one" "two GPUs" '2s/"gpu":"[^"]*"/"gpu":"Another"/'
bad "nothing is published of a journal with such lines" "a cut line" '3s/.\{100\}$//'
bad "nothing is published of a journal with such lines" "another schema" '3s/"schema":[0-9]*/"schema":99/'
bad "its figures cannot be" "an absurd peak" '2s/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":99999999999999999/'
bad "nothing is published of a journal with such lines" "a negative peak" '2s/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":-5/'
bad "nothing is published of a journal with such lines" "no number" '2s/"peak_reserved_bytes":[0-9]*/"peak_reserved_bytes":NaN/'
expect 2 "none/rows.jsonl" "no journal" "$program" publish "$folder/none" --out "$folder/tables"
echo '{"schema":2}' >"$t4/published.json"
expect 2 "is not what this version publishes" "a newer table" "$program" publish "$folder/rtx3090" --out "$folder/tables"
echo "$failures failures"
exit $((failures > 0))
