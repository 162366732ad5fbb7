# SPDX-License-Identifier: Apache-2.0
"""A journal whose texts are written to become part of a page, a script or a command of gnuplot.
    hostile.py ROWS.jsonl >OUT"""
import json
import sys

TEXTS = [
    "`touch caught` $(touch caught)",
    "'.system('touch caught').'",
    "\".system('touch caught').\"",
    "</script><script>window.caught=1</script>",
    "\"><img src=x onerror=\"window.caught=1\">",
    "' onmouseover='window.caught=1",
    "<!--<script>",
    "&lt;b&gt; &amp;",
    "a\\u003c/script\\",
    "{/=40 big} a_b^c @d ~e &f",
    "\u2028\u2029 tab\there",
    "{{data}} {{script}}",
    "javascript:window.caught=1",
]

with open(sys.argv[1], encoding="utf-8") as lines:
    records = [json.loads(line) for line in lines]
for i, record in enumerate(records[:len(TEXTS) * 2]):
    record["model"] = TEXTS[i // 2]
    record["batch"] = 1 + i % 2
    record["gpu"] = TEXTS[3]
    record["cudnn"] = "<b>9"
    record["tool"] = TEXTS[4]
    record["recipe"] = TEXTS[3]
    if i % 2 == 1:
        record["state"] = "error"
        record["reason"] = TEXTS[i // 2]
    print(json.dumps(record))
