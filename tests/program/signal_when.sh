#!/usr/bin/env bash
# signal_when.sh SIGNAL FILES COMMAND...: runs the command, sends it the signal when a file exists that the
# pattern FILES names, or after a minute, and waits for its end. Exit code: the command's own.
signal=$1 files=$2
shift 2
"$@" &
process=$!
for ((i = 0; i != 1200; ++i)); do
    compgen -G "$files" >/dev/null && break
    kill -0 "$process" 2>/dev/null || break
    sleep .05
done
kill -s "$signal" "$process" 2>/dev/null
wait "$process"
