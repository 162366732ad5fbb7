# SPDX-License-Identifier: Apache-2.0
# What scripts of tests share, which take it in first: a folder that is gone at the end, and how to say that something
# is wrong. A script that asks more of a command has an expect of its own.
# shellcheck shell=bash
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export VRAMBENCH_CACHE="$folder/cache"
failures=0

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# expect STATUS WHAT COMMAND...: the exit status; output in out and err.
expect() {
    local status=$1 what=$2
    shift 2
    "$@" >"$folder/out" 2>"$folder/err"
    local got=$?
    [ "$got" -eq "$status" ] && return
    fail "$what: exit status $got, expected $status"
    cat "$folder/err"
}

# value KEY: of the first record in the last output.
value() {
    grep -o "\"$1\":[^,}]*" "$folder/out" | head -1 | cut -d: -f2
}
