#!/usr/bin/env bash
# kill_twenty.sh PROGRAM MODEL DATA: distills on 2 or 3 ranks, kills one of them at a random time, twenty
# times; all must end within ten seconds, with a message, and be resumed, by another number of ranks, to the
# same bytes as a run that no one killed. MPIEXEC: mpirun, unless it is set.
set -u
program=$(realpath "$1") model=$(realpath "$2") data=$(realpath "$3")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe  # from Open MPI 5 on
distill=("$program" distill "$model" --data "$data" --epochs 8 --batch 16 --threads 1 -q)
begin=$(date +%s%N)
"${distill[@]}" --out whole || exit 1
span=$((($(date +%s%N) - begin) / 1000000))
good=0
for ((i = 1; i <= 20; ++i)); do
    ranks=$((RANDOM % 2 + 2)) rank=$((RANDOM % 2)) resumed=$((RANDOM % 3 + 1))
    delay=$(printf '%d.%03d' $((RANDOM * span / 32768 / 1000)) $((RANDOM * span / 32768 % 1000)))
    out=$(bash "$here/kill_rank.sh" $rank "" "$delay" "${MPIEXEC:-mpirun}" -n $ranks "${distill[@]}" --out \
        "k$i" 2>&1)
    code=$?
    took=$(sed -n 's/.*ended after \([0-9]*\) ms.*/\1/p' <<<"$out")
    how="rank $rank of $ranks after $delay s: exit code $code, $took ms"
    if [ $code -ne 0 ]; then
        grep -qi 'killed\|signal 9' <<<"$out" && [ "$took" -lt 10000 ] || { echo "$how: no"; continue; }
        flag=--resume
        [ -d "k$i/run" ] || flag=--force
        if ! "${MPIEXEC:-mpirun}" -n $resumed "${distill[@]}" --out "k$i" $flag; then
            echo "$how: not resumed"
            continue
        fi
    fi
    same=1
    for file in record.txt network.npz; do cmp -s "whole/$file" "k$i/$file" || same=0; done
    for file in whole/weights/*; do cmp -s "$file" "k$i/weights/${file##*/}" || same=0; done
    [ $same -eq 1 ] && good=$((good + 1))
    echo "$how, resumed by $resumed: same bytes: $same"
done
echo "kill tests: $good of 20"
[ $good -eq 20 ]
