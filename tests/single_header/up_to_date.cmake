# cmake -DROOT=<project> -DWORK=<scratch directory> -P up_to_date.cmake
# The committed single headers are what the headers in include/ give, byte for byte.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${CMAKE_COMMAND} -DOUT=${WORK} -P ${ROOT}/cmake/single_header.cmake
    COMMAND_ERROR_IS_FATAL ANY)
foreach(name IN ITEMS amct_distill.hpp amct_distill_onnx.hpp amct_distill_quant.hpp)
    execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files "${WORK}/${name}"
        "${ROOT}/single_include/${name}"
        RESULT_VARIABLE differ ERROR_QUIET)
    if(differ)
        message(FATAL_ERROR "single_include/${name} is older than include/; run\n"
            "  cmake -P cmake/single_header.cmake\nin ${ROOT} and commit what it writes")
    endif()
endforeach()
