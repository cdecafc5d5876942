#!/usr/bin/env bash
# kill_when.sh FILES COMMAND...: runs the command, kills it (SIGKILL) when a file exists that the pattern
# FILES names, or after a minute, and waits until it is gone. Exit code: the command's own, 137 when it was
# killed.
files=$1
shift
"$@" &
process=$!
for ((i = 0; i != 1200; ++i)); do
    compgen -G "$files" >/dev/null && break
    kill -0 "$process" 2>/dev/null || break
    sleep .05
done
kill -9 "$process" 2>/dev/null
wait "$process"
