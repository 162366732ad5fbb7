#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Snapshots as PyTorch writes them, through Python's own pickle module: each recording of tests/data/traces in each
# protocol, and what a user gets wrong.   replay.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1
write=(python3 tests/cli/snapshot.py)
traces=tests/data/traces
python3 -c 'import pickle' 2>/dev/null || exit 77

# What an answer says, but for the file's name and what only a pickle has.
answer() {
    grep -v '"trace":\|"device":\|"alloc_conf":' "$folder/out" | sed 's/^\(  "peak_reserved_bytes": [0-9]*\),$/\1/'
}

# same_as WHAT: the last answer is that of the CSV, and equal to the recording.
same_as() {
    answer >"$folder/got"
    cmp -s "$folder/got" "$folder/csv_answer" || fail "$1: another answer than of the CSV"
    grep -q '"is_equal": true' "$folder/got" || fail "$1: not equal to the recording"
}

n=0
for file in "$traces"/snap_*.csv; do
    name=${file%.csv}
    expect 0 "$file" "$program" replay "$file" --format json
    answer >"$folder/csv_answer"
    for protocol in 2 3 4 5; do
        frames=$(((protocol - 2) * 12)) # from none to more than fit a frame of the pickle's
        "${write[@]}" "$name" "$folder/a.bin" --protocol "$protocol" --frames "$frames" || fail "$name is not written"
        expect 0 "$name, protocol $protocol" "$program" replay "$folder/a.bin" --format json
        same_as "$name, protocol $protocol"
        n=$((n + 1))
    done
done
[ "$n" -eq 40 ] || fail "$n pickles were compared, expected 40"

# Other settings: the same table of either form.
small=$traces/snap_fwd_bf16_128
"${write[@]}" "$small" "$folder/small.pickle" --frames 30
expect 0 "settings, of the CSV" "$program" replay "$small.csv" --try usual --memory 2GiB --format csv
cp "$folder/out" "$folder/csv_table"
expect 0 "settings, of the pickle" "$program" replay "$folder/small.pickle" --try usual --memory 2GiB --format csv
sed -i 's/ran_out_event/ran_out_line/' "$folder/out"
cmp -s "$folder/out" "$folder/csv_table" || fail "the settings' table differs between CSV and pickle"
[ "$(wc -l <"$folder/out")" -eq 8 ] || fail "expected seven settings"

# What was taken is room enough, also by name of a GPU; less than was allocated is not.
peak=$(grep '^"as recorded' "$folder/out" | cut -d, -f2)
allocated=$(grep '^"as recorded' "$folder/out" | cut -d, -f3)
expect 0 "as much as it took" "$program" replay "$folder/small.pickle" --memory "$peak B" --try max_split_size_mb:999
expect 1 "less than it held" "$program" replay "$folder/small.pickle" --memory "$((allocated - 1)) B"
grep -q "Every one of them runs out" "$folder/out" || fail "that every setting runs out is not said"
expect 0 "a GPU's memory" "$program" replay "$folder/small.pickle" --gpu t4
grep -q "in 14.6[0-9] GiB" "$folder/out" || fail "a T4 has another memory"
expect 0 "as JSON" "$program" replay "$folder/small.pickle" --try expandable_segments:True --format json
grep -q '"settings": "expandable_segments:True"' "$folder/out" || fail "the setting is not in the JSON"
grep -q '"capacity_bytes"' "$folder/out" && fail "a capacity that nobody told"

# Several GPUs in one snapshot.
"${write[@]}" "$small" "$folder/two.pickle" --gpu 1 --gpus 3 --also "$traces/snap_attn_peak" 2
expect 0 "the CSV of one of the two" "$program" replay "$small.csv" --format json
answer >"$folder/csv_answer"
expect 0 "GPU 1 of two" "$program" replay "$folder/two.pickle" --device 1 --format json
same_as "GPU 1 of two"
expect 0 "the CSV of the other" "$program" replay "$traces/snap_attn_peak.csv" --format json
answer >"$folder/csv_answer"
expect 0 "GPU 2 of two" "$program" replay "$folder/two.pickle" --device 2 --format json
same_as "GPU 2 of two"

# refused TEXT COMMAND...: exit status 2, and the text in the one line that is said.
refused() {
    local text=$1
    shift
    expect 2 "$text" "$@"
    grep -qF -- "$text" "$folder/err" || { fail "expected '$text', got:" && cat "$folder/err"; }
    [ "$(wc -l <"$folder/err")" -eq 1 ] || fail "more than one line: $(cat "$folder/err")"
    [ -s "$folder/out" ] && fail "$text: something was printed"
}

refused "two.pickle: events of more than one GPU; name one of 1, 2 with --device" "$program" replay "$folder/two.pickle"
refused "two.pickle: no events of GPU 0; there are events of 1, 2" "$program" replay "$folder/two.pickle" --device 0
refused "--device is '-1', expected the number of a GPU" "$program" replay "$folder/two.pickle" --device -1
refused "--device: only a pickle has events of several GPUs" "$program" replay "$small.csv" --device 1
refused "--segments: a pickle has its own" "$program" replay "$folder/two.pickle" --segments "$small.segments.json"
refused "--memory: '16' has no unit" "$program" replay "$folder/small.pickle" --memory 16
refused "--memory or --gpu, not both" "$program" replay "$folder/small.pickle" --memory 16GiB --gpu t4
refused "unknown setting 'max_split_size'; did you mean max_split_size_mb?" \
    "$program" replay "$folder/small.pickle" --try max_split_size:512
refused "per_process_memory_fraction is a part of the device's memory" \
    "$program" replay "$folder/small.pickle" --try per_process_memory_fraction:0.5

"${write[@]}" "$small" "$folder/state.pickle" --state
refused "state.pickle: no history was recorded; call torch.cuda.memory._record_memory_history() before the run" \
    "$program" replay "$folder/state.pickle"

head -c 100000 "$folder/small.pickle" >"$folder/cut.pickle"
refused "the file ends in what begins here: it was cut off" "$program" replay "$folder/cut.pickle"
cat "$folder/small.pickle" "$folder/small.pickle" >"$folder/twice.pickle"
refused "the pickle ends here, and more bytes follow" "$program" replay "$folder/twice.pickle"

# Whatever the name, how it begins tells the form.
python3 - "$folder" <<'PYTHON'
import gzip, os, pickle, sys, zipfile
folder = sys.argv[1]
class Code:
    def __reduce__(self):
        return os.system, ("touch " + folder + "/was_run",)
def write(name, value, protocol=4):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
for protocol in (2, 3, 4, 5):
    write(f"code{protocol}", {"segments": [], "device_traces": [[Code()]]}, protocol)
write("list", [{"address": 1}])
write("int", 0x1950a86a20f9469cfc6c, 2)
write("old", {"segments": []}, 0)
write("tensor", {"segments": [{"address": 1, "total_size": -1}]})
with zipfile.ZipFile(os.path.join(folder, "saved.pickle"), "w") as file:
    file.writestr("archive/data.pkl", b"x")
write("packed.pickle", gzip.compress(b"x"))
write("empty.pickle", b"")
write("trace.csv", b'{"traceEvents": []}')
PYTHON
for protocol in 2 3 4 5; do
    refused "asks for an object to be made by code; only plain data is read, and nothing was run" \
        "$program" replay "$folder/code$protocol"
done
[ -e "$folder/was_run" ] && fail "code of a pickle was run"
refused "saved.pickle: a zip file, as torch.save() writes: load it with torch.load()" "$program" replay "$folder/saved.pickle"
refused "packed.pickle: compressed by gzip: unpack it first" "$program" replay "$folder/packed.pickle"
refused "empty.pickle: empty, expected a recording" "$program" replay "$folder/empty.pickle"
refused "trace.csv: JSON, expected a CSV or a pickle" "$program" replay "$folder/trace.csv"
refused "list: a list, as memory_snapshot() gives: it has no events to replay" "$program" replay "$folder/list"
refused "int: holds an int beyond 64 bits, expected what torch.cuda.memory._dump_snapshot() writes" \
    "$program" replay "$folder/int"
refused "old: a pickle of protocol 0 or 1, expected 2 to 5" "$program" replay "$folder/old"
refused "none.pickle: cannot be opened" "$program" replay "$folder/none.pickle"

cp "$small.csv" "$folder/events.pickle"
expect 0 "a CSV called a pickle" "$program" replay "$folder/events.pickle"
expect 0 "a CSV through a pipe" "$program" replay <(cat "$small.csv")
expect 0 "a pickle through a pipe" "$program" replay <(cat "$folder/small.pickle")

exit $((failures > 0))
