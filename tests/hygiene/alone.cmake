# cmake -DCOMPILER=<clang++> -DROOT=<include/amct_distill> -DWORK=<scratch directory> "-DFLAGS=..."
#       -DPART=<precompiled|0|1> -P alone.cmake
# Every header compiles alone. Those that many others include are precompiled; each of the rest, of which a
# part has every second one, is compiled on top of the largest of them that it reaches: what that one includes
# it would read anyway. A precompiled header leaves templates to be instantiated by the units that include it,
# and those are the other tests; so each of these is compiled as one, which takes two thirds of the time.
cmake_minimum_required(VERSION 3.25)
set(compile ${COMPILER} -std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror
    ${FLAGS})
# From large to small.
set(bases onnx/quantized_graph.hpp distill/distill.hpp student/student.hpp onnx/operation.hpp
    student/layer_quantizers.hpp onnx/shared_modules.hpp distill/prefix_cache.hpp onnx/node_writer.hpp
    nn/network.hpp onnx/fold_base.hpp nn/module.hpp report/page.hpp onnx/tensor_values.hpp plan/plan.hpp
    quant/scale.hpp text/cursor.hpp nn/scratch.hpp quant/quantized_matrix.hpp reflect/labels.hpp io/file.hpp
    core/result.hpp core/diagnostic.hpp nn/tensor.hpp core/table.hpp run/execution.hpp run/vectors.hpp
    core/concat.hpp)

# `variable`: the headers of ours that a header reaches, itself among them.
function(reach header variable)
    get_property(known GLOBAL PROPERTY "reach ${header}" SET)
    if(NOT known)
        get_filename_component(directory "${header}" DIRECTORY)
        file(STRINGS "${header}" lines REGEX "^#[ \t]*include[ \t]*\"")
        set(all "${header}")
        set_property(GLOBAL PROPERTY "reach ${header}" "")  # a header and its -inl.hpp include each other
        foreach(line IN LISTS lines)
            string(REGEX REPLACE "[^\"]*\"([^\"]+)\".*" "\\1" other "${line}")
            get_filename_component(other "${other}" ABSOLUTE BASE_DIR "${directory}")
            reach("${other}" more)
            list(APPEND all ${more})
        endforeach()
        list(REMOVE_DUPLICATES all)
        set_property(GLOBAL PROPERTY "reach ${header}" "${all}")
    endif()
    get_property(all GLOBAL PROPERTY "reach ${header}")
    set(${variable} "${all}" PARENT_SCOPE)
endfunction()
function(check_compiles header)
    execute_process(COMMAND ${compile} ${ARGN} ERROR_VARIABLE error RESULT_VARIABLE failed)
    if(failed)
        message(FATAL_ERROR "${header} does not compile alone:\n${error}")
    endif()
endfunction()

file(GLOB_RECURSE headers "${ROOT}/*.hpp")
list(FILTER headers EXCLUDE REGEX "-inl\\.hpp$")  # a part of the header that includes it
list(FILTER headers EXCLUDE REGEX "/adapters/mpi\\.hpp$")  # a test of its own, with MPI
list(LENGTH headers count)
if(count LESS 100)
    message(FATAL_ERROR "looked at ${count} headers only: is ${ROOT} the right folder?")
endif()
list(TRANSFORM bases PREPEND "${ROOT}/")
if(PART STREQUAL "precompiled")
    file(REMOVE_RECURSE ${WORK})
    file(MAKE_DIRECTORY ${WORK})
    foreach(base IN LISTS bases)
        if(NOT EXISTS "${base}")
            message(FATAL_ERROR "${base} is not there: name another header that many others include")
        endif()
        string(SHA1 name "${base}")
        check_compiles("${base}" -x c++-header ${base} -o ${WORK}/${name}.pch)
    endforeach()
    return()
endif()
list(REMOVE_ITEM headers ${bases})
set(number 0)
foreach(header IN LISTS headers)
    math(EXPR number "(${number} + 1) % 2")
    if(NOT number EQUAL PART)
        continue()
    endif()
    reach("${header}" reached)
    set(precompiled "")
    foreach(base IN LISTS bases)
        if(base IN_LIST reached)
            string(SHA1 name "${base}")
            set(precompiled -include-pch ${WORK}/${name}.pch)
            break()
        endif()
    endforeach()
    if(precompiled)
        check_compiles("${header}" ${precompiled} -x c++-header ${header} -o ${WORK}/part_${PART}.pch)
    else()
        check_compiles("${header}" -fsyntax-only -include ${header} -x c++ /dev/null)
    endif()
endforeach()
message(STATUS "${count} headers compile alone")
