# cmake -DIN_TERMINAL=<program> -DSHOW=<program> -P check.cmake
# What is printed fits terminals of 40, 80 and 200 columns, uses the room there is, and a progress line stays
# one line.
cmake_minimum_required(VERSION 3.25)
function(show width)
    execute_process(COMMAND ${IN_TERMINAL} ${width} ${SHOW} RESULT_VARIABLE code OUTPUT_VARIABLE out
        ERROR_VARIABLE err)
    if(NOT code EQUAL 0)
        message(FATAL_ERROR "at ${width} columns: exit code ${code}\n${err}\n${out}")
    endif()
    foreach(text IN LISTS ARGN)
        string(FIND "${out}" "${text}" at)
        if(at EQUAL -1)
            message(FATAL_ERROR "at ${width} columns `${text}` is not shown:\n${out}")
        endif()
    endforeach()
    if(NOT out MATCHES "lines drawn: ([0-9]+)" OR CMAKE_MATCH_1 LESS 200)
        message(FATAL_ERROR "the progress line was not drawn 200 times: ${CMAKE_MATCH_0}")
    endif()
    string(REGEX MATCHALL "\n" lines "${out}")
    list(LENGTH lines count)
    if(count GREATER 100)
        message(FATAL_ERROR
            "at ${width} columns ${count} lines: the progress line does not stay one line\n${out}")
    endif()
    if(out MATCHES "block 12 of 34")
        message(FATAL_ERROR "the progress line is not cleared:\n${out}")
    endif()
    set(out "${out}" PARENT_SCOPE)
    message(STATUS "${width} columns: ${count} lines")
endfunction()
show(40 "width 40" "arq_dis" "  block  modules" "INT4")
show(80 "width 80" "arq_distill, INT4, channel_wise" "...")
show(200 "width 200" "backbone.stage3.block11.residual_branch.conv2  weights" "seconds" "dead channels")

# Not a terminal: a line for each task, 100 columns, or as COLUMNS has it.
execute_process(COMMAND ${CMAKE_COMMAND} -E env --unset=COLUMNS ${SHOW} OUTPUT_VARIABLE out
    COMMAND_ERROR_IS_FATAL ANY)
if(NOT out MATCHES "^width 100\n" OR NOT out MATCHES "\n  block 12 of 34\n  [^\n]+\n$")
    message(FATAL_ERROR "into a file:\n${out}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -E env COLUMNS=60 ${SHOW} OUTPUT_VARIABLE out COMMAND_ERROR_IS_FATAL
    ANY)
if(NOT out MATCHES "^width 60\n")
    message(FATAL_ERROR "COLUMNS=60:\n${out}")
endif()
