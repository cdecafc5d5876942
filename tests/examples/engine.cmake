# cmake -DENGINE=<program> -DOTHER=<program that reads a configuration> -DNM=<nm> -P engine.cmake
# The engine whose network is a header: what it recognizes, and that it has no heap and no parser. That it
# computes the bits of `amct-distill infer` is tested in program/engine.cmake.
cmake_minimum_required(VERSION 3.25)
function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
    if(NOT code EQUAL 0)
        message(FATAL_ERROR "${ARGN}: exit code ${code}\n${out}\n${err}")
    endif()
    set(out "${out}" PARENT_SCOPE)
endfunction()

run(${ENGINE})
set(expected "7424 bytes of memory; 394 of 397 digits recognized\n")
if(NOT out STREQUAL expected)
    message(FATAL_ERROR "expected\n${expected}found\n${out}")
endif()
message(STATUS "ok: ${out}")

# What code the engine's program has or calls, and what another's, for comparison. The names are mangled:
# _Znwm, _Znam are operator new.
set(code " [tTuUwW] [^ \n]*")
set(heap "${code}(_Zn[wa]|malloc)")
set(parser "${code}(TextReader|ReaderNote|amct_distill4read|6spirit|10Diagnostic|6resultI)")
run(${NM} ${ENGINE})
if(out MATCHES "${heap}" OR out MATCHES "${parser}")
    message(FATAL_ERROR "the engine has ${CMAKE_MATCH_0}")
endif()
run(${NM} ${OTHER})
if(NOT out MATCHES "${heap}" OR NOT out MATCHES "${parser}")
    message(FATAL_ERROR "nm does not show what ${OTHER} has: what it does not show proves nothing")
endif()
