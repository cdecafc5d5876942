# Ctrl-C, a kill, and what --resume makes of it: the same bytes. Two processes at once.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
set(distill distill ${DATA}/digits.npz --config ${SOURCE}/examples/digits.cfg --data ${DATA}/images.npy
    --epochs 60 --batch 8)
run("from the beginning to the end" 0 ${distill} --out whole --threads 1 -q)

function(same_result folder)
    foreach(file IN ITEMS record.txt network.npz weights/conv1.weight.npy weights/conv2.weight.npy
            weights/conv3.weight.npy weights/conv1.bias.npy weights/conv2.bias.npy weights/conv3.bias.npy)
        check_same("${WORK}/whole/${file}" "${WORK}/${folder}/${file}")
    endforeach()
endfunction()

# interrupt(signal folder): when the first block is finished.
function(interrupt signal folder)
    execute_process(COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/signal_when.sh ${signal}
        "${folder}/run/*.checkpoint"
        "${PROGRAM}" ${distill} --out ${folder} --threads 2 WORKING_DIRECTORY "${WORK}"
        RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
    set(code "${code}" PARENT_SCOPE)
    set(out "${out}" PARENT_SCOPE)
    set(err "${err}" PARENT_SCOPE)
endfunction()

interrupt(INT stopped)
check("Ctrl-C: ${code}: ${err}" code EQUAL 130 AND err MATCHES
    "interrupted. [1-9] of [0-9]+ blocks (is|are) kept in stopped/run.*amct-distill distill .* --resume")
check("no result is half there" NOT EXISTS "${WORK}/stopped/record.txt")
run("without --resume" 1 ${distill} --out stopped)
check("it says how" err MATCHES "has an interrupted run: --resume continues it, --force begins anew")
string(REPLACE "60" "59" other "${distill}")
run("resumed with other epochs" 1 ${other} --out stopped --resume)
check("it says why not" err MATCHES "cannot resume from .*is not that of the run that wrote it")
run("resumed" 0 ${distill} --out stopped --resume --threads 2)
check("it says so" out MATCHES "Blocks taken from an earlier run: [1-9]")
same_result(stopped)
run("resumed when it is finished" 1 ${distill} --out stopped --resume)

interrupt(KILL killed)
check("killed: ${code}" code EQUAL 137)
file(GLOB kept "${WORK}/killed/run/*.checkpoint")
list(LENGTH kept blocks)
check("blocks are kept: ${blocks}" blocks GREATER 0)
run("resumed" 0 ${distill} --out killed --resume --threads 1 -q)
same_result(killed)

# The second of two processes.
execute_process(COMMAND bash -c
    "\"$0\" \"$@\" --out two -q & p=$!; for i in $(seq 400); do [ -e two/run/lock ] && break; sleep .05; done
    \"$0\" \"$@\" --out two --resume; echo second: $? >&2; kill -INT $p; wait $p; echo first: $? >&2"
    "${PROGRAM}" ${distill} WORKING_DIRECTORY "${WORK}" OUTPUT_VARIABLE out ERROR_VARIABLE err)
check("the second one is refused: ${err}" err MATCHES "process [0-9]+ works in two.*second: 1")
check("the first one was interrupted before a block was finished, or after" err MATCHES "first: (130|0)")
