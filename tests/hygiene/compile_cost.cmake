# cmake -DMEASURE=<program> "-DCOMPILERS=g++;clang++" -DROOT=<include/amct_distill> -DWORK=... "-DFLAGS=..." -P compile_cost.cmake
# What including each door costs at -O2, and whether it stays within its budget: machines differ, so by a factor of 1.5.
cmake_minimum_required(VERSION 3.25)

# door, centiseconds, headers
set(doors
    "policy 30 policy/*.hpp"
    "quant 100 quant/*.hpp"
    "messages 60 config/messages.hpp"
    "reader 350 text/reader.hpp"
    "everything 600 amct_distill.hpp")

set(table "door\tcompiler\tseconds\tMB\tbudget")
set(over "")
foreach(door IN LISTS doors)
    string(REPLACE " " ";" door "${door}")
    list(POP_FRONT door name budget)
    file(GLOB headers RELATIVE ${ROOT} ${ROOT}/${door})
    list(TRANSFORM headers REPLACE "(.+)" "#include \"\\1\"\n")
    string(JOIN "" text ${headers})
    file(WRITE ${WORK}/${name}.cpp "${text}")
    foreach(compiler IN LISTS COMPILERS)
        get_filename_component(short ${compiler} NAME)
        set(least 1000000)
        foreach(run RANGE 2)  # the first may wait for files
            execute_process(COMMAND ${MEASURE} ${compiler} -std=c++20 -O2 ${FLAGS} -I${ROOT} -c ${WORK}/${name}.cpp
                -o ${WORK}/${name}.o OUTPUT_VARIABLE measured RESULT_VARIABLE failed)
            if(failed OR NOT measured MATCHES "^([0-9]+)\\.([0-9][0-9]) ([0-9]+)\n$")
                message(FATAL_ERROR "${compiler} cannot compile ${WORK}/${name}.cpp")
            endif()
            math(EXPR took "${CMAKE_MATCH_1} * 100 + 1${CMAKE_MATCH_2} - 100")
            if(took LESS least)
                set(least ${took})
                set(shown "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}\t${CMAKE_MATCH_3}")
            endif()
            math(EXPR allowed "${budget} * 3 / 2")
            if(NOT least GREATER allowed)
                break()
            endif()
        endforeach()
        string(APPEND table "\n${name}\t${short}\t${shown}\t${budget} cs")
        if(least GREATER allowed)
            string(APPEND over " ${name} (${short})")
        endif()
    endforeach()
endforeach()
string(REPLACE "\t" "  " table "${table}")
message(STATUS "compile cost:\n${table}")
if(over)
    message(FATAL_ERROR "more than 1.5 times the budget:${over}")
endif()
