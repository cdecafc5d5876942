# export --format cpp: examples/engine, compiled with the header that the program has written, computes the
# bits of the program's integers, of every digit of the test.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
run("distill" 0 distill ${DATA}/digits.npz --config ${SOURCE}/examples/engine/engine.cfg --data
    ${DATA}/images.npy --epochs 1 --out result --quiet)
run("its integers" 0 infer result --data ${DATA}/test.npy --out integers.npy --quiet)
run("the header" 0 export result --format cpp --out model.hpp)
check("it says so" out MATCHES "written: model.hpp")
run("the header again" 0 export result --format cpp --out again/model.hpp --quiet)
check_same("${WORK}/model.hpp" "${WORK}/again/model.hpp")

execute_process(COMMAND ${COMPILER} -std=c++20 -O1 -I${SOURCE}/single_include -I${SOURCE}/examples ${FLAGS}
    -DENGINE_MODEL="${WORK}/model.hpp" ${SOURCE}/tests/examples/engine_infer.cpp -o ${WORK}/engine_infer
    RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
check("the engine compiles with the header" code EQUAL 0)
execute_process(COMMAND ${WORK}/engine_infer ${DATA}/test.npy ${WORK}/engine.bin
    RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
check("it runs: ${out}" code EQUAL 0 AND out STREQUAL "397 samples\n")
file(READ "${WORK}/engine.bin" found HEX)
file(READ "${WORK}/integers.npy" expected HEX)
string(LENGTH "${found}" length)
check("the logits of 397 digits have the program's bits" length EQUAL 31760 AND expected MATCHES "${found}$")

run("a model in float" 2 export ${DATA}/digits.npz --format cpp --out float.hpp)
check("it is refused" err MATCHES "is no folder")
check_nothing_in(float.hpp)
