# cmake -DSTATIC=<program> -DLOAD=<program> -DNM=<nm> -DCONFIG=<engine.cfg> -DWORK=<scratch directory>
#       -P engine.cmake
# The engine with a configuration that the compiler has read, the one that reads it itself, and
# what it refuses.
cmake_minimum_required(VERSION 3.25)
function(run expected_code)
    execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE code OUTPUT_VARIABLE out
        ERROR_VARIABLE err)
    if(NOT code EQUAL expected_code)
        message(FATAL_ERROR "${ARGN}: expected exit code ${expected_code}, found ${code}\n${out}\n${err}")
    endif()
    set(out "${out}" PARENT_SCOPE)
    set(err "${err}" PARENT_SCOPE)
endfunction()
function(check what found expected)
    if(NOT found STREQUAL expected)
        message(FATAL_ERROR "${what}: expected\n${expected}\nfound\n${found}")
    endif()
    message(STATUS "ok: ${what}")
endfunction()
file(MAKE_DIRECTORY ${WORK})

run(0 ${STATIC})
check("the static engine" "${out}" "1460 bytes of weights; 387 of 397 digits recognized\n")
run(0 ${LOAD} ${CONFIG})
check("the same, read at run time" "${out}" "387 of 397 digits recognized\n")

# No heap, no parser: what code the static engine's program has or calls, and what the other's, for
# comparison. The names are mangled: _Znwm, _Znam are operator new.
set(code " [tTuUwW] [^ \n]*")
set(heap "${code}(_Zn[wa]|malloc)")
set(parser "${code}(TextReader|ReaderNote|amct_distill4read|6spirit|10Diagnostic|6resultI)")
run(0 ${NM} ${STATIC})
if(out MATCHES "${heap}" OR out MATCHES "${parser}")
    message(FATAL_ERROR "the static engine has ${CMAKE_MATCH_0}")
endif()
run(0 ${NM} ${LOAD})
if(NOT out MATCHES "${heap}" OR NOT out MATCHES "${parser}")
    message(FATAL_ERROR "nm does not show what engine_load has: what it does not show proves nothing")
endif()

# What the engine has no kernel for, it says when it is loaded: the layer, what is wanted, and what there is.
function(refused name old new expected)
    file(READ ${CONFIG} text)
    string(REPLACE "${old}" "${new}" text "${text}")
    file(WRITE ${WORK}/${name}.cfg "${text}")
    run(1 ${LOAD} ${name}.cfg)
    string(REPLACE ";" "," err "${err}")
    check("${name} is refused" "${err}" "${expected}")
endfunction()
refused(int4 "INT8 channel_wise: false" "INT4 channel_wise: false" "\
int4.cfg:16:33: error: layer `fc`: `arq_distill, INT4, tensor_wise` is not what this engine runs, it has \
`arq_distill, INT4, channel_wise`, `arq_distill, INT8, channel_wise`, `arq_distill, INT8, tensor_wise`, \
choose one of them for the layer, or skip it with quant_skip_layers
    distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: false } }
                                  ^
")
refused(clips "clip_max_min { clip_max: 3.2 clip_min: -1 }" ""
    "error: layer `conv2`: this engine calibrates nothing, give it clip_max_min\n")
refused(skipped "# What" "quant_skip_layers: 'fc' #"
    "error: layer `fc`: this engine has no float layers, take it out of quant_skip_layers\n")
