# --memory bounds the process, and changes no bit: what has no room goes to files in the folder.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
set(distill distill ${DATA}/wide.npz --data ${DATA}/wide.npy --epochs 1 --batch 16 --threads 2)

# with_memory(bound): what the process had at most, in KiB, is in `peak`.
function(with_memory bound)
    execute_process(COMMAND "${PEAK}" ${bound}.txt "${PROGRAM}" ${distill} --memory ${bound} --out ${bound}
        WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
    check("--memory ${bound}: exit code ${code}" code EQUAL 0)
    file(READ "${WORK}/${bound}.txt" peak)
    set(peak "${peak}" PARENT_SCOPE)
    set(out "${out}" PARENT_SCOPE)
endfunction()
with_memory(2G)
check("without a bound it takes ${peak} KiB" peak GREATER 65536)
set(unbounded ${peak})
with_memory(64M)
check("the bound is said" out MATCHES "memory: at most 64 MiB and the model's")
check("and kept: ${peak} KiB" NOT peak GREATER 65536)
foreach(file IN ITEMS record.txt network.npz weights/conv1.weight.npy weights/conv4.weight.npy)
    check_same("${WORK}/2G/${file}" "${WORK}/64M/${file}")
endforeach()
file(GLOB left RELATIVE "${WORK}/64M" "${WORK}/64M/*")
check("nothing of the files is left: ${left}" NOT EXISTS "${WORK}/64M/run")

run("less than the work takes" 1 ${distill} --memory 8M --out none)
check("what would do is said" err MATCHES
    "error: --memory: 8.0 MiB is too little for a batch of 16 samples on 2 threads.* give .*--memory [0-9]+M")
check_nothing_in(none)

# A hard limit of the system: a message, whatever fails first, and what was finished can be continued.
set(limited distill ${DATA}/wide.npz --data ${DATA}/wide.npy --epochs 1 --batch 16 --threads 1 -q)
set(failed 0)
set(continued 0)
foreach(limit RANGE 30000 400000 10000)
    set(folder limit${limit})
    execute_process(COMMAND bash -c "ulimit -v ${limit}; exec \"$@\""
        bash "${PROGRAM}" ${limited} --out ${folder}
        WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
    if(code EQUAL 0)
        break()
    elseif(code EQUAL 127)  # not even loaded
        continue()
    endif()
    check("${limit} KiB are not enough: ${code}" code EQUAL 1 AND
        err MATCHES "error: there is not enough memory")
    math(EXPR failed "${failed} + 1")
    file(GLOB kept "${WORK}/${folder}/run/*.checkpoint")
    if(kept STREQUAL "")
        check("nothing is half there" NOT EXISTS "${WORK}/${folder}/record.txt")
        continue()
    endif()
    check("it is said what is kept" err MATCHES "blocks? (is|are) kept in ${folder}/run. --resume continues")
    run("resumed" 0 ${limited} --out ${folder} --resume)
    math(EXPR continued "${continued} + 1")
    foreach(file IN ITEMS record.txt network.npz weights/conv1.weight.npy weights/conv4.weight.npy)
        check_same("${WORK}/2G/${file}" "${WORK}/${folder}/${file}")
    endforeach()
endforeach()
check("of ${failed} limits ${continued} had finished blocks" code EQUAL 0 AND failed GREATER 0)
