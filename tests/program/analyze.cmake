# analyze: what each layer costs; a suggestion that check accepts and that keeps its promise.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
set(analyze analyze ${DATA}/digits.npz --data ${DATA}/images.npy --batch 16)

run("analyze" 0 ${analyze} --threads 1)
check("each layer's weights and data" out MATCHES
    "weights INT8 +weights INT4 +data INT8 +data INT4.*\n  conv1 .* dB.*\n  fc .* dB")
check("a suggestion and its configuration" out MATCHES
    "A suggestion for at least.*The configuration:.*batch_num: 1")
string(REGEX MATCH "What quantizing.*A suggestion" one_thread "${out}")
run("on two threads" 0 ${analyze} --threads 2)
string(REGEX MATCH "What quantizing.*A suggestion" two_threads "${out}")
check("the same numbers" one_thread STREQUAL two_threads AND one_thread MATCHES "dB")

foreach(budget IN ITEMS 22dB 5bits 0.02)
    run("a budget: ${budget}" 0 ${analyze} --suggest ${budget}.cfg --budget ${budget})
    string(REGEX MATCH "\n  suggested +([0-9.]+) +([0-9.]+) dB" found "${out}")
    set(bits ${CMAKE_MATCH_1})
    set(decibel ${CMAKE_MATCH_2})
    check("what was suggested is said: ${bits} bits, ${decibel} dB" found MATCHES "dB")
    run("it is accepted" 0 check ${budget}.cfg --model ${DATA}/digits.npz)
    check("without a word" err MATCHES "^\$")
    run("it is used" 0 distill ${DATA}/digits.npz --data ${DATA}/images.npy --batch 16 --epochs 0 --config
        ${budget}.cfg
        --out ${budget})
    string(REGEX MATCH "\n  calibrated [^\n]* ([0-9.]+) dB" used "${out}")
    check("and keeps its promise: ${CMAKE_MATCH_1} dB" CMAKE_MATCH_1 STREQUAL decibel)
    if(budget STREQUAL 22dB)
        check("the budget is kept" NOT decibel LESS 22)
    elseif(budget STREQUAL 5bits)
        check("the budget is kept" NOT bits GREATER 5)
    endif()
endforeach()
run("for Ascend" 0 ${analyze} --target ascend --suggest ascend.cfg)
run("it is accepted" 0 check ascend.cfg --model ${DATA}/digits.npz --target ascend)
run("a budget that cannot be read" 2 ${analyze} --budget plenty)
run("a budget that cannot be reached" 1 ${analyze} --budget 3bits)
check("it says so" err MATCHES "3 bits cannot be reached")
