# cmake -DMEASURE=<program> "-DCOMPILERS=g++;clang++" -DROOT=<project> -DWORK=... "-DFLAGS=..."
# -P compile_cost.cmake What including each door, and what a user's programs cost at -O2, in seconds of
# processor time and megabytes, and whether it stays within its budget: machines differ, so by a factor of
# 1.5 in time. Of up to three runs the best counts: other work slows a compiler down.
cmake_minimum_required(VERSION 3.25)
set(include ${ROOT}/include/amct_distill)

# name, its budget: seconds with g++, with clang, megabytes with g++ (0: any); headers, or a program and the
# flags that it is compiled with
set(doors
    "policy 0.30 0.30 0 policy/*.hpp"
    "quant 1.00 1.00 0 quant/*.hpp"
    "messages 0.80 0.80 0 config/messages.hpp"
    "reader 2.50 2.50 0 text/reader.hpp"
    "everything 6.00 6.00 0 amct_distill.hpp"
    "README 32.00 32.00 0 README.md"
    "README/lib 6.00 5.00 400 README.md -DAMCT_DISTILL_COMPILED"
    "quantizer/lib 20.00 20.00 0 examples/custom_quantizer/custom_quantizer.cpp -DAMCT_DISTILL_COMPILED")

# 1.05 -> 105
function(hundredths text variable)
    string(REGEX MATCH "^([0-9]+)\\.([0-9])([0-9])$" all "${text}")
    math(EXPR value "${CMAKE_MATCH_1} * 100 + ${CMAKE_MATCH_2} * 10 + ${CMAKE_MATCH_3}")
    set(${variable} ${value} PARENT_SCOPE)
endfunction()
function(add_row)
    set(row "")
    foreach(cell IN LISTS ARGN)
        string(SUBSTRING "${cell}              " 0 14 cell)
        string(APPEND row "${cell}")
    endforeach()
    string(STRIP "${row}" row)
    set(table "${table}\n  ${row}" PARENT_SCOPE)
endfunction()

file(MAKE_DIRECTORY ${WORK})
set(table "")
add_row(what compiler seconds budget MB budget)
set(over "")
foreach(door IN LISTS doors)
    string(REPLACE " " ";" door "${door}")
    list(POP_FRONT door name gxx_budget clang_budget megabytes_allowed input)
    if(input MATCHES "\\.cpp$")
        set(unit ${ROOT}/${input})
    else()
        string(MAKE_C_IDENTIFIER "${name}" unit)
        set(unit ${WORK}/${unit}.cpp)
        if(input MATCHES "\\.md$")  # its first program
            execute_process(COMMAND sed -n "/^```cpp$/,/^```$/ { /^```cpp$/ d; /^```$/ q; p }"
                ${ROOT}/${input} OUTPUT_FILE ${unit} COMMAND_ERROR_IS_FATAL ANY)
        else()
            file(GLOB headers RELATIVE ${include} ${include}/${input})
            list(TRANSFORM headers REPLACE "(.+)" "#include \"\\1\"\n")
            string(JOIN "" text ${headers})
            file(WRITE ${unit} "${text}")
        endif()
    endif()
    foreach(compiler IN LISTS COMPILERS)
        get_filename_component(short ${compiler} NAME)
        set(budget ${gxx_budget})
        if(short MATCHES "clang")
            set(budget ${clang_budget})
        endif()
        hundredths(${budget} allowed)
        math(EXPR allowed "${allowed} * 3 / 2")
        set(least 1000000)
        foreach(run RANGE 1 3)
            execute_process(COMMAND ${MEASURE} ${compiler} -std=c++20 -O2 ${FLAGS} ${door}
                -I${include} -I${ROOT}/include -c ${unit} -o ${WORK}/unit.o
                OUTPUT_VARIABLE measured RESULT_VARIABLE failed)
            if(failed OR NOT measured MATCHES "^([0-9.]+) ([0-9]+)\n$")
                message(FATAL_ERROR "${compiler} cannot compile ${unit}")
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
        set(megabytes_budget -)
        if(megabytes_allowed GREATER 0 AND NOT short MATCHES "clang")
            set(megabytes_budget ${megabytes_allowed})
            if(megabytes GREATER megabytes_allowed)
                string(APPEND over " ${name} (${short}, ${megabytes} MB)")
            endif()
        endif()
        add_row(${name} ${short} ${shown} ${budget} ${megabytes} ${megabytes_budget})
        if(least GREATER allowed)
            string(APPEND over " ${name} (${short})")
        endif()
    endforeach()
endforeach()
message(STATUS "compile cost:${table}")
if(over)
    message(FATAL_ERROR "more memory or more than 1.5 times the time than the budget has:${over}")
endif()
