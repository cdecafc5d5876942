#!/usr/bin/env bash
# kill_rank.sh RANK FILES SECONDS COMMAND...: runs mpirun's command, waits for a file that the pattern FILES
# names (empty: does not) and so many seconds more, kills that rank, and waits for the end of all. Prints how
# long that took, in milliseconds; exit code: mpirun's own. HOW: what is done in place of kill -KILL $process.
rank=$1 files=$2 delay=$3
shift 3
"$@" &
all=$!
if [ -n "$files" ]; then
    for ((i = 0; i != 1200; ++i)); do
        compgen -G "$files" >/dev/null && break
        kill -0 "$all" 2>/dev/null || break
        sleep .05
    done
fi
sleep "$delay"
# The ranks are children of mpirun, or of its proxy.
ranks=()
for parent in $all $(pgrep -P "$all"); do
    mapfile -t found < <(pgrep -P "$parent" -x amct-distill)
    ranks+=("${found[@]}")
done
begin=$(date +%s%N)
process=${ranks[$rank]:-} bash -c "${HOW:-kill -KILL \$process}" && echo "killed: rank $rank"
wait "$all"
code=$?
echo "ended after $((($(date +%s%N) - begin) / 1000000)) ms"
exit "$code"
