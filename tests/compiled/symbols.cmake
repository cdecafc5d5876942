# cmake -DNM=<nm> -DOBJECT=<of program.cpp, with AMCT_DISTILL_COMPILED> -P symbols.cmake
# A file that calls every step has few functions of its own: no layer, loop or step is compiled again.
execute_process(COMMAND ${NM} -C ${OBJECT} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL " [WV] [^\n]+" weak "${symbols}")
list(LENGTH weak count)
set(wrong "")
foreach(text IN ITEMS "W amct_distill::nn::BasicModule<float>::Holder<" "detail::run_" "TextReader" "RuleBook"
    "BlockTrainer" "LayerQuantizers<")
    string(FIND "${weak}" "${text}" at)
    if(NOT at EQUAL -1)
        string(APPEND wrong " ${text}")
    endif()
endforeach()
if(count LESS 10 OR count GREATER 200 OR wrong)
    message(FATAL_ERROR
        "${count} functions and tables of its own, of what is the library's:${wrong}\n${weak}")
endif()
message(STATUS "${count} functions and tables of its own")
