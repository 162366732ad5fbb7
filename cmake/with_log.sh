#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# with_log.sh LOG COMMAND...: what the command says goes to the log, and is shown where it fails.
log=$1
shift
"$@" >"$log" 2>&1 && exit
cat "$log" >&2
exit 1
