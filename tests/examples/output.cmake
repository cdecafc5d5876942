# cmake -DPROGRAM=<program> -DEXPECTED=<file> -P output.cmake
# A program prints what it should, to the letter.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE code)
file(READ ${EXPECTED} expected)
if(NOT code EQUAL 0 OR NOT "${out}" STREQUAL "${expected}")
    message(FATAL_ERROR "exit code ${code}; ${err}\nprinted\n${out}\nexpected (${EXPECTED})\n${expected}")
endif()
