# cmake -DCOMPILER=... -DROOT=<project> -DPAGE=<name> -DLIBRARY=<amct_distill::compiled's file>
#       -DWORK=<scratch directory> "-DFLAGS=..." [-DDEFINITIONS=ON] -P page.cmake
# The code of docs/<PAGE>.md compiles and runs: its blocks, one after the other, are a program. It takes what
# the compiled library has from there, which compiles less; the rest, for which it may need the definitions,
# is as without it.
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
# Line by line, as lists would take semicolons and brackets for their own.
execute_process(COMMAND sed -n "/^```cpp$/,/^```$/ { /^```/ d; p }" ${ROOT}/docs/${PAGE}.md
    OUTPUT_FILE ${WORK}/${PAGE}.cpp COMMAND_ERROR_IS_FATAL ANY)
set(definitions "")
if(DEFINITIONS)
    set(definitions -include amct_distill/definitions.hpp)
endif()
execute_process(COMMAND ${COMPILER} -std=c++20 -O0 -I${ROOT}/include ${FLAGS} -DAMCT_DISTILL_COMPILED
    ${definitions} ${WORK}/${PAGE}.cpp -o ${WORK}/${PAGE} ${LIBRARY} -pthread
    RESULT_VARIABLE failed OUTPUT_VARIABLE out ERROR_VARIABLE out)
if(failed)
    message(FATAL_ERROR "docs/${PAGE}.md does not compile:\n${out}")
endif()
execute_process(COMMAND ${WORK}/${PAGE} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE failed OUTPUT_VARIABLE out
    ERROR_VARIABLE out)
if(failed OR out STREQUAL "")
    message(FATAL_ERROR "docs/${PAGE}.md: its program ends with ${failed}:\n${out}")
endif()
message(STATUS "ok: ${PAGE}")
