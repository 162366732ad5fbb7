# SPDX-License-Identifier: Apache-2.0
# A planned journal to one as if measured: a virtual GPU plays a real one, with a context of its own and noise.
#   awk -v gpu="NVIDIA H200" -v capability=900 -v seed=1 -v noise=0.03 -v context=590558003 -f as_measured.awk rows.jsonl
function uniform() {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
}
function normal() {
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform())
}
BEGIN {
    seed = seed * 7919 + 12345
    for (i = 0; i < 10; i++)
        uniform()
}
/"state":"ok"/ {
    match($0, /"peak_reserved_bytes":[0-9]+/)
    reserved = substr($0, RSTART + 22, RLENGTH - 22)
    bytes = sprintf("%.0f", (reserved + context) * (1 + noise * normal()))
    sub(/"provenance":"planned"/, "\"provenance\":\"measured\"")
    sub(/"deterministic":"off"/, "\"deterministic\":\"recipe\"")
    sub(/"device":"virtual:[^"]*"/, "\"device\":\"cuda:0\"")
    sub(/"gpu":"[^"]*"/, "\"gpu\":\"" gpu "\"")
    sub(/"peak_device_bytes":[0-9]+/, "\"peak_device_bytes\":" bytes)
    sub(/,"phase_peak_bytes".*/, "}")
    sub(/}$/, ",\"on_gpu\":{\"driver\":\"580.65.06\",\"cuda\":\"13.0\",\"compute_capability\":" capability "}}")
    print
}
