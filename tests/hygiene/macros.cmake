# cmake -DCOMPILER=... -DROOT=<include/amct_distill> -DWORK=<scratch directory> "-DFLAGS=..." -P macros.cmake
# The headers leave no macro behind but those of the version, and compile where `min` and `max` are macros.
cmake_minimum_required(VERSION 3.25)
set(compile ${COMPILER} -std=c++20 ${FLAGS} -I${ROOT})
file(GLOB_RECURSE headers RELATIVE "${ROOT}" "${ROOT}/*.hpp")

# What they include of others, then they themselves.
set(others "")
foreach(header IN LISTS headers)
    file(STRINGS "${ROOT}/${header}" lines REGEX "^#[ \t]*include[ \t]*<")
    foreach(line IN LISTS lines)
        string(REGEX MATCH "<[^>]+>" name "${line}")
        list(APPEND others "${name}")
    endforeach()
endforeach()
list(REMOVE_DUPLICATES others)
list(TRANSFORM others REPLACE "(.+)" "#if __has_include(\\1)\n#include \\1\n#endif\n")
string(JOIN "" others ${others})
list(TRANSFORM headers REPLACE "(.+)" "#include \"\\1\"\n" OUTPUT_VARIABLE ours)
string(JOIN "" ours ${ours})

foreach(which IN ITEMS before after)
    file(WRITE ${WORK}/${which}.cpp "${others}")
    if(which STREQUAL "after")
        file(APPEND ${WORK}/after.cpp "${ours}")
    endif()
    execute_process(COMMAND ${compile} -dM -E ${WORK}/${which}.cpp OUTPUT_VARIABLE macros COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "#define [A-Za-z0-9_]+" ${which} "${macros}")
endforeach()
list(LENGTH before count)
list(REMOVE_ITEM after ${before})
list(SORT after)
set(version "#define AMCT_DISTILL_VERSION")
if(NOT after STREQUAL "${version};${version}_MAJOR;${version}_MINOR;${version}_PATCH" OR count LESS 1000)
    message(FATAL_ERROR "of others ${count} macros; of ours these, where only the version's should be:\n${after}")
endif()

file(WRITE ${WORK}/min_max.cpp "${others}
#define min(a, b) a macro, as headers of some systems have it
#define max(a, b) likewise
${ours}")
execute_process(COMMAND ${compile} -fsyntax-only ${WORK}/min_max.cpp ERROR_VARIABLE error RESULT_VARIABLE failed)
if(failed)
    message(FATAL_ERROR "with `min` and `max` as macros, which (std::min)(a, b) is safe from:\n${error}")
endif()
