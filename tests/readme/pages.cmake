# cmake -DCOMPILER=... -DROOT=<project> -DWORK=<scratch directory> "-DFLAGS=..." -P pages.cmake
# The code of docs/own_*.md compiles and runs: the blocks of a page, one after the other, are a program.
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
foreach(page IN ITEMS own_layer own_quantizer own_engine)
    # Line by line, as lists would take semicolons and brackets for their own.
    execute_process(COMMAND sed -n "/^```cpp$/,/^```$/ { /^```/ d; p }" ${ROOT}/docs/${page}.md
        OUTPUT_FILE ${WORK}/${page}.cpp RESULT_VARIABLE failed)
    execute_process(COMMAND ${COMPILER} -std=c++20 -O0 -I${ROOT}/include ${FLAGS} ${WORK}/${page}.cpp -o
        ${WORK}/${page}
        -pthread RESULT_VARIABLE failed OUTPUT_VARIABLE out ERROR_VARIABLE out)
    if(failed)
        message(FATAL_ERROR "docs/${page}.md does not compile:\n${out}")
    endif()
    execute_process(COMMAND ${WORK}/${page} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE failed OUTPUT_VARIABLE
        out
        ERROR_VARIABLE out)
    if(failed OR out STREQUAL "")
        message(FATAL_ERROR "docs/${page}.md: its program ends with ${failed}:\n${out}")
    endif()
    message(STATUS "ok: ${page}")
endforeach()
