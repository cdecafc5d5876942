# distill, verify, infer of a folder: what is written, that it computes what was simulated, what is refused.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
set(distill distill ${DATA}/digits.npz --config ${SOURCE}/examples/digits.cfg --data ${DATA}/images.npy
    --labels ${DATA}/labels.npy --epochs 2 --batch 16)

run("distill" 0 ${distill} --out "a result 结果" --threads 1)
set(folder "${WORK}/a result 结果")
file(GLOB_RECURSE left RELATIVE "${folder}" "${folder}/*")
list(JOIN left " " left)
set(files "files.txt log.txt model.json network.npz plan.json record.txt report.html report.json")
foreach(layer IN ITEMS conv1 conv2 conv3)
    string(APPEND files " weights/${layer}.bias.npy weights/${layer}.weight.npy")
endforeach()
check("the files are there, and the run's own are gone: ${left}" left STREQUAL files)
check("the plan, the data, the memory are said" out MATCHES
    "The plan.*The data.*memory: .*Calibrating on 2 batches.*The quantized layers")
check("the integers and the whole are said" out MATCHES
    "The integers compute what was simulated.*The whole network.*integers")
string(REPLACE ";" "," lines "${out}")
string(REPLACE "\n" ";" lines "${lines}")
foreach(line IN LISTS lines)
    string(LENGTH "${line}" width)
    if(width GREATER 100 AND NOT line MATCHES "warning: |结果")
        check("100 columns hold: ${line}" FALSE)
    endif()
endforeach()
file(READ "${folder}/report.json" report)
file(READ "${folder}/log.txt" log)
check("the log has the command and the tables" log MATCHES
    "started: amct-distill distill .*The quantized layers")
file(READ "${folder}/report.html" page)
check("the page is there" page MATCHES "<html.*conv1.*</html>")
file(REMOVE "${folder}/report.html")
run("the page again" 0 report "a result 结果")
file(READ "${folder}/report.html" again)
string(LENGTH "${page}" size)
string(LENGTH "${again}" size_again)
check("it is the same: ${size_again} of ${size}" page STREQUAL again)
run("check what was written" 0 check "a result 结果/plan.json" "a result 结果/record.txt" --model
    ${DATA}/digits.npz)

run("verify the folder" 0 verify "a result 结果" --data ${DATA}/images.npy)
check("it agrees" out MATCHES "The integers compute what was simulated")
run("its integers" 0 infer "a result 结果" --data ${DATA}/images.npy --out integers.npz)
run("its integers, in other batches on two threads" 0 infer "a result 结果" --data ${DATA}/images.npy --out
    same.npz
    --batch 5 --threads 2)
check_same("${WORK}/integers.npz" "${WORK}/same.npz")
run("its simulation" 0 infer "a result 结果" --data ${DATA}/images.npy --out simulated.npz --simulate)

run("again, into the same folder" 1 ${distill} --out "a result 结果")
check("it is refused" err MATCHES "has the results of a run that is finished. --force replaces them")
run("again, by force, on two threads, with a bound" 0 ${distill} --out "a result 结果" --force --threads 2
    --memory 100M --quiet)
check("it says nothing" out MATCHES "^\$")
run("the integers" 0 infer "a result 结果" --data ${DATA}/images.npy --out again.npz)
check_same("${WORK}/integers.npz" "${WORK}/again.npz")
file(MAKE_DIRECTORY "${WORK}/other")
file(WRITE "${WORK}/other/letter.txt" "dear")
run("a folder of somebody else's" 1 ${distill} --out other)
check("it is refused" err MATCHES "has files that are no run's")
check("nothing is left in it" NOT EXISTS "${WORK}/other/lock" AND NOT EXISTS "${WORK}/other/log.txt")

run("a dry run" 0 ${distill} --out dry --dry-run)
check("memory and time are said" out MATCHES "memory: .*time: about .* nothing was written")
check_nothing_in(dry)
run("calibrated only, every layer INT8" 0 distill ${DATA}/digits.npz --data ${DATA}/images.npy --out int8
    --epochs 0
    --log json)
string(REGEX MATCHALL "\n" lines "${out}")
string(REPLACE ";" "," each "${out}")
string(REPLACE "\n" ";" each "${each}")
foreach(line IN LISTS each)
    if(NOT line STREQUAL "")
        string(JSON event ERROR_VARIABLE bad GET "${line}" event)
        check("a line is JSON: ${event}" bad STREQUAL "NOTFOUND")
    endif()
endforeach()
check("the last one is the end" event STREQUAL done)
run("another number of batches" 0 distill ${DATA}/digits.npz --data_dir ${DATA}/images.npy --save_path amct
    --epochs 0
    --batch_num 3 --batch 16)
check("AMCT's word counts" out MATCHES "Calibrating on 3 batches")

# In a terminal of 80 columns: the bar is drawn again and again, and nothing of it is left.
execute_process(COMMAND ${IN_TERMINAL} 80 "${PROGRAM}" ${distill} --out terminal WORKING_DIRECTORY "${WORK}"
    RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
string(REGEX REPLACE "wider than 80 columns: [^\n]*(warning: |\\.cfg|/)[^\n]*\n" "" err "${err}")
string(LENGTH "${err}" wider)
check("in a terminal: exit code ${code}" code MATCHES "^[03]\$" AND wider EQUAL 0 AND NOT out MATCHES "##"
    AND out MATCHES "lines drawn: [0-9]+")

# Wrong input: exit code 1, and nothing is written.
file(WRITE "${WORK}/layer.cfg" "quant_skip_layers: \"conv9\"\n")
run("a layer that is not there" 1 distill ${DATA}/digits.npz --config layer.cfg --data ${DATA}/images.npy
    --out none)
check("the place is shown" err MATCHES "layer.cfg:1:1: error: quant_skip_layers.*conv9")
run("labels of classes that are not there" 1 distill ${DATA}/digits.npz --data ${DATA}/images.npy --out none
    --labels ${DATA}/bad_labels.npy)
check("the label is said" err MATCHES "a label 11, and the model has 10 classes")
check_nothing_in(none)
run("memory that cannot be read" 2 ${distill} --out none --memory much)
check_nothing_in(none)

# A damaged folder.
file(COPY "${WORK}/int8/" DESTINATION "${WORK}/damaged")
file(WRITE "${WORK}/damaged/weights/conv1.weight.npy" "no array")
run("a damaged file of weights" 1 verify damaged --data ${DATA}/images.npy)
check("it is named" err MATCHES "conv1.weight.npy")
file(REMOVE "${WORK}/damaged/network.npz")
run("a file that is missing" 1 infer damaged --data ${DATA}/images.npy --out none.npz)
check("it is named" err MATCHES "there is no network.npz")
run("no folder of a deployment" 1 verify other --data ${DATA}/images.npy)
check("it says so" err MATCHES "is it the folder of a deployment")

# A disk that is full: by a limit of a file's size. What was there stays.
execute_process(COMMAND bash -c "ulimit -f 1; trap '' XFSZ; exec \"$@\"" bash "${PROGRAM}" ${distill} --out
    full -q
    WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
check("a full disk is an error: ${err}" code EQUAL 1 AND err MATCHES "cannot write .*full")
check("no result is half there" NOT EXISTS "${WORK}/full/record.txt" AND NOT EXISTS
    "${WORK}/full/report.json")
