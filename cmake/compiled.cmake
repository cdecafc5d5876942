# amct_distill::compiled and amct_distill::compiled_onnx, each made from its one source file in the project
# that links it: only when a target does.
function(amct_distill_add_compiled folder)
    if(TARGET amct_distill_compiled)
        return()
    endif()
    add_library(amct_distill_compiled STATIC EXCLUDE_FROM_ALL ${folder}/amct_distill.cpp)
    add_library(amct_distill::compiled ALIAS amct_distill_compiled)
    target_link_libraries(amct_distill_compiled PUBLIC amct_distill::amct_distill)
    target_compile_definitions(amct_distill_compiled INTERFACE AMCT_DISTILL_COMPILED)

    add_library(amct_distill_compiled_onnx STATIC EXCLUDE_FROM_ALL ${folder}/onnx.cpp)
    add_library(amct_distill::compiled_onnx ALIAS amct_distill_compiled_onnx)
    target_link_libraries(amct_distill_compiled_onnx PUBLIC amct_distill_compiled)
    target_compile_definitions(amct_distill_compiled_onnx INTERFACE AMCT_DISTILL_COMPILED_ONNX)
endfunction()

# For a target that is compiled with less optimization than the library: of an inline function that both have,
# the linker keeps the first that it sees, which is then the library's.
function(amct_distill_prefer_compiled target)
    target_link_options(${target} PRIVATE
        "LINKER:--whole-archive" $<TARGET_FILE:amct_distill_compiled> "LINKER:--no-whole-archive")
    add_dependencies(${target} amct_distill_compiled)
endfunction()
