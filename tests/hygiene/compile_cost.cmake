# cmake -DMEASURE=<program> "-DCOMPILERS=g++;clang++" -DROOT=<include/amct_distill> -DWORK=... "-DFLAGS=..."
# -P compile_cost.cmake What including each door costs at -O2, in seconds of processor time and megabytes, and
# whether it stays within its budget: machines differ, so by a factor of 1.5. Of up to three runs the best
# counts: other work slows a compiler down.
cmake_minimum_required(VERSION 3.25)

# door, budget, headers
set(doors
    "policy 0.30 policy/*.hpp"
    "quant 1.00 quant/*.hpp"
    "messages 0.60 config/messages.hpp"
    "reader 3.50 text/reader.hpp"
    "everything 6.00 amct_distill.hpp")

# 1.05 -> 105
function(hundredths text variable)
    string(REGEX MATCH "^([0-9]+)\\.([0-9])([0-9])$" all "${text}")
    math(EXPR value "${CMAKE_MATCH_1} * 100 + ${CMAKE_MATCH_2} * 10 + ${CMAKE_MATCH_3}")
    set(${variable} ${value} PARENT_SCOPE)
endfunction()
function(add_row)
    set(row "")
    foreach(cell IN LISTS ARGN)
        string(SUBSTRING "${cell}            " 0 12 cell)
        string(APPEND row "${cell}")
    endforeach()
    string(STRIP "${row}" row)
    set(table "${table}\n  ${row}" PARENT_SCOPE)
endfunction()

set(table "")
add_row(door compiler seconds budget MB)
set(over "")
foreach(door IN LISTS doors)
    string(REPLACE " " ";" door "${door}")
    list(POP_FRONT door name budget)
    hundredths(${budget} allowed)
    math(EXPR allowed "${allowed} * 3 / 2")
    file(GLOB headers RELATIVE ${ROOT} ${ROOT}/${door})
    list(TRANSFORM headers REPLACE "(.+)" "#include \"\\1\"\n")
    string(JOIN "" text ${headers})
    file(WRITE ${WORK}/${name}.cpp "${text}")
    foreach(compiler IN LISTS COMPILERS)
        set(least 1000000)
        foreach(run RANGE 1 3)
            execute_process(COMMAND ${MEASURE} ${compiler} -std=c++20 -O2 ${FLAGS} -I${ROOT} -c
                ${WORK}/${name}.cpp
                -o ${WORK}/${name}.o OUTPUT_VARIABLE measured RESULT_VARIABLE failed)
            if(failed OR NOT measured MATCHES "^([0-9.]+) ([0-9]+)\n$")
                message(FATAL_ERROR "${compiler} cannot compile ${WORK}/${name}.cpp")
            endif()
            set(seconds ${CMAKE_MATCH_1})
            set(megabytes ${CMAKE_MATCH_2})
            hundredths(${seconds} took)
            if(took LESS least)
                set(least ${took})
                set(shown ${seconds})
            endif()
            if(NOT least GREATER allowed)
                break()
            endif()
        endforeach()
        get_filename_component(short ${compiler} NAME)
        add_row(${name} ${short} ${shown} ${budget} ${megabytes})
        if(least GREATER allowed)
            string(APPEND over " ${name} (${short})")
        endif()
    endforeach()
endforeach()
message(STATUS "compile cost:${table}")
if(over)
    message(FATAL_ERROR "more than 1.5 times the budget:${over}")
endif()
