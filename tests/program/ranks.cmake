# mpirun -n N amct-distill: the same bytes on 1, 2 and 3 ranks, what is wrong is said once, and a rank that is
# killed, has bad data or no memory ends all of them within seconds, with what was finished kept.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
set(ENV{OMPI_ALLOW_RUN_AS_ROOT} 1)
set(ENV{OMPI_ALLOW_RUN_AS_ROOT_CONFIRM} 1)
set(ENV{OMPI_MCA_rmaps_base_oversubscribe} 1)
set(ENV{PRTE_MCA_rmaps_default_mapping_policy} :oversubscribe)  # from Open MPI 5 on
set(program "${PROGRAM}")
# on_ranks(what, exit code, ranks, arguments...)
macro(on_ranks name expected_code ranks)
    set(PROGRAM "${MPIEXEC}")
    run("${name}" ${expected_code} -n ${ranks} "${program}" ${ARGN})
    set(PROGRAM "${program}")
endmacro()
set(distill distill ${DATA}/digits.npz --config ${SOURCE}/examples/digits.cfg --data ${DATA}/images.npy
    --labels ${DATA}/labels.npy --batch 16 --memory 300M --threads 1)

# same_result(one other): files, and the report but for times and what was typed.
function(same_result one other)
    file(GLOB_RECURSE names RELATIVE "${WORK}/${one}" "${WORK}/${one}/*")
    list(REMOVE_ITEM names report.html report.json log.txt)
    list(LENGTH names count)
    check("${count} files" count GREATER 9)
    foreach(name IN LISTS names)
        check_same("${WORK}/${one}/${name}" "${WORK}/${other}/${name}")
    endforeach()
    foreach(folder IN ITEMS ${one} ${other})
        file(READ "${WORK}/${folder}/report.json" text)
        foreach(key IN ITEMS seconds date command)
            string(REGEX REPLACE "\"${key}\": *(\"[^\"]*\"|[-+.0-9e]+)" "\"${key}\": 0" text "${text}")
        endforeach()
        set(report_${folder} "${text}")
    endforeach()
    if(NOT report_${one} STREQUAL report_${other})
        file(WRITE "${WORK}/${one}.json" "${report_${one}}")
        file(WRITE "${WORK}/${other}.json" "${report_${other}}")
    endif()
    string(LENGTH "${report_${one}}" length)
    check("the reports are the same: ${length} bytes" length GREATER 1000 AND
        report_${one} STREQUAL report_${other})
endfunction()

run("alone" 0 ${distill} --epochs 2 --out alone -q)
run("its model" 0 export alone --format qdq-int8 --out alone.onnx -q)
foreach(ranks IN ITEMS 1 2 3)
    on_ranks("${ranks} ranks" 0 ${ranks} ${distill} --epochs 2 --out ranks${ranks})
    if(ranks EQUAL 1)
        check("one is alone" NOT out MATCHES "ranks: ")
    else()
        string(REGEX MATCHALL "Calibrating on" said "${out}")
        list(LENGTH said times)
        check("it is said once" times EQUAL 1 AND out MATCHES "ranks: ${ranks}")
    endif()
    same_result(alone ranks${ranks})
    run("their model" 0 export ranks${ranks} --format qdq-int8 --out ranks${ranks}.onnx -q)
    check_same("${WORK}/alone.onnx" "${WORK}/ranks${ranks}.onnx")
endforeach()
# What is done before anything is learned, and learning with noise.
set(prepared --equalize convolutions --bias-correction --epochs 1 --drop-probability 0.5)
run("prepared alone" 0 ${distill} ${prepared} --out prepared1 -q)
on_ranks("prepared on 3 ranks" 0 3 ${distill} ${prepared} --out prepared3 -q)
same_result(prepared1 prepared3)

run("verify alone" 0 verify alone --data ${DATA}/images.npy --labels ${DATA}/labels.npy)
set(figures "\n *(conv|simulation|integers|Of the outputs)[^\r\n]*")  # mpirun shows a bar as well
string(REGEX MATCHALL "${figures}" alone "${out}")
on_ranks("verify on 2 ranks" 0 2 verify alone --data ${DATA}/images.npy --labels ${DATA}/labels.npy)
string(REGEX MATCHALL "${figures}" found "${out}")
list(LENGTH found count)
check("the same is said: ${count} lines" found STREQUAL alone AND count EQUAL 6)

# analyze: the same measurements and suggestion, layers being shared.
set(analyze analyze ${DATA}/digits.npz --data ${DATA}/images.npy --batch 16 --limit 64 --threads 1)
run("analyze alone" 0 ${analyze} --json alone_costs.json --suggest alone.cfg)
foreach(ranks IN ITEMS 2 3)
    on_ranks("analyze on ${ranks} ranks" 0 ${ranks} ${analyze} --json costs.json --suggest of_ranks.cfg)
    check_same("${WORK}/alone_costs.json" "${WORK}/costs.json")
    check_same("${WORK}/alone.cfg" "${WORK}/of_ranks.cfg")
endforeach()

# What is wrong is said once.
on_ranks("a model that is not there" 1 2 distill none.onnx --data ${DATA}/images.npy --out none)
string(REGEX MATCHALL "none.onnx" said "${err}")
list(LENGTH said times)
check("said once: ${err}" times EQUAL 1)
on_ranks("a command line that cannot be meant" 2 2 distill ${DATA}/digits.npz --data x --epochs many)
on_ranks("more ranks than slices" 1 9 ${distill} --out many -q)
check("it says what to set" err MATCHES "there are 9 ranks, and a batch is cut into 8 slices")


# What is wrong with one rank alone names it. Of one sample, the last rank has the slice.
# (Open MPI 5.0.7 crashes when it is given two programs, so one looks which rank it is.)
set(one distill ${DATA}/digits.npz --limit 1 --threads 1 --memory 300M --out one -q --data)
file(WRITE "${WORK}/by_rank.sh" [=[
first=$1 second=$2
shift 2
[ "$OMPI_COMM_WORLD_RANK" = 0 ] && exec "$@" "$first"
exec "$@" "$second"
]=])
foreach(wrong IN ITEMS "wrong_shape.npy;wrong_shape.npy: the input `image` takes"
        "cut_pngs;cannot read .*cut_pngs/a.png")
    list(GET wrong 0 data)
    list(GET wrong 1 text)
    string(TIMESTAMP begin "%s")
    set(PROGRAM "${MPIEXEC}")
    run("the second rank has ${data}" 1 -n 2 sh "${WORK}/by_rank.sh" ${DATA}/images.npy ${DATA}/${data}
        "${program}" ${one})
    set(PROGRAM "${program}")
    string(TIMESTAMP end "%s")
    math(EXPR took "${end} - ${begin}")
    check("within ten seconds: ${took} s" took LESS 10)
    check("it is said whose it is" err MATCHES "error: rank 1: [^\n]*${text}")
endforeach()

# Killed, or with bad data or no memory all at once, and continued by another number of ranks.
find_program(pgrep pgrep)
if(NOT pgrep)
    message(STATUS "no rank is killed here: there is no pgrep")
    return()
endif()
run("from the beginning to the end" 0 ${distill} --epochs 16 --out whole -q)
# The last sample is the last rank's. A value of it becomes a NaN in place.
file(COPY_FILE ${DATA}/images.npy "${WORK}/own.npy")
file(SIZE "${WORK}/own.npy" size)
math(EXPR last "${size} - 4")
set(do_damage "printf '\\000\\000\\300\\177' | dd of=own.npy bs=1 seek=${last} conv=notrunc status=none")
set(do_starve "prlimit --as=1:1 --pid $process")
find_program(prlimit prlimit)
string(REPLACE "${DATA}/images.npy" own.npy distill "${distill}")
set(number 0)
set(do_kill "kill -KILL $process")
foreach(case IN ITEMS "0 2 3 kill" "1 3 1 kill" "1 2 3 damage" "0 2 1 starve" "1 2 1 starve")
    string(REPLACE " " ";" case "${case}")
    list(GET case 0 rank)
    list(GET case 1 ranks)
    list(GET case 2 resumed)
    list(GET case 3 how)
    if(how STREQUAL "starve" AND NOT prlimit)
        message(STATUS "no rank is without memory here: there is no prlimit")
        continue()
    endif()
    math(EXPR number "${number} + 1")
    set(folder ${how}${number})
    execute_process(COMMAND ${CMAKE_COMMAND} -E env "HOW=${do_${how}}"
        bash ${CMAKE_CURRENT_LIST_DIR}/kill_rank.sh ${rank} "${folder}/run/*.checkpoint" 0
        ${MPIEXEC} -n ${ranks} "${PROGRAM}" ${distill} --epochs 16 --out ${folder} -q
        WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
    set(why_kill "[Kk]illed|exited on signal 9")
    set(why_damage "error: rank 1: own.npy, sample [0-9]+: value 63 is nan")
    set(why_starve "error: rank ${rank}: there is not enough memory")
    check("${how} of rank ${rank} of ${ranks} ended all with a message: ${code}"
        NOT code EQUAL 0 AND out MATCHES "killed: rank ${rank}.*ended after ([0-9]+) ms"
        AND err MATCHES "${why_${how}}")
    string(REGEX REPLACE ".*ended after ([0-9]+) ms.*" "\\1" took "${out}")
    # What is damaged is read when all blocks are through.
    check("within ten seconds: ${took} ms" took LESS 10000 OR how STREQUAL "damage")
    check("it is said what is kept" how STREQUAL "kill" OR
        err MATCHES "blocks? (is|are) kept in ${folder}/run. --resume continues")
    file(COPY_FILE ${DATA}/images.npy "${WORK}/own.npy")
    on_ranks("resumed by ${resumed}" 0 ${resumed} ${distill} --epochs 16 --out ${folder} --resume)
    check("it says so" out MATCHES "Blocks taken from an earlier run: [1-9]")
    foreach(file IN ITEMS record.txt network.npz weights/conv1.weight.npy weights/conv3.bias.npy)
        check_same("${WORK}/whole/${file}" "${WORK}/${folder}/${file}")
    endforeach()
endforeach()
message(STATUS "kill tests: ${number} ranks, each continued to the same bytes")
