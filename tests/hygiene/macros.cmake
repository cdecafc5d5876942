# cmake -DCOMPILER=... -DROOT=<include/amct_distill> -DSINGLE=<single_include> -DWORK=<scratch directory>
#       "-DFLAGS=..." -P macros.cmake
# The headers leave no macro but those of the version and core/inline.hpp's, and compile whatever names and
# macros there are already.
cmake_minimum_required(VERSION 3.25)
set(compile ${COMPILER} -std=c++20 ${FLAGS} -I${ROOT})
file(GLOB_RECURSE headers RELATIVE "${ROOT}" "${ROOT}/*.hpp")
list(REMOVE_ITEM headers adapters/mpi.hpp)  # MPI may not be there

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
    execute_process(COMMAND ${compile} -dM -E ${WORK}/${which}.cpp OUTPUT_VARIABLE macros
        COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "#define [A-Za-z0-9_]+" ${which} "${macros}")
endforeach()
list(LENGTH before count)
list(REMOVE_ITEM after ${before})
list(SORT after)
set(version "#define AMCT_DISTILL_VERSION")
set(inline "#define AMCT_DISTILL_INLINE;#define AMCT_DISTILL_ONNX_INLINE")
set(expected "${inline};${version};${version}_MAJOR;${version}_MINOR;${version}_PATCH")
if(NOT after STREQUAL expected OR count LESS 1000)
    message(FATAL_ERROR
        "of others ${count} macros; of ours these, where only the version's and core/inline.hpp's should be:"
        "\n${after}")
endif()

if(NOT COMPILER MATCHES "clang")  # once is enough: what a macro breaks, it breaks for every compiler
    return()
endif()

# After the namespaces and the macros that others bring: Windows' near, far, min and max, Apple's check and
# verify, Qt's signals, slots and emit. What ours need of others comes first: boost/mp11 has a `check`, Eigen
# a `signals`.
set(after_others "${others}
#include <Eigen/Dense>
using namespace std;
using namespace Eigen;
using namespace boost;
#define min(a, b) a macro
#define max(a, b) a macro
#define near
#define far
#define check(assertion) a macro
#define verify(assertion) a macro
#define signals public
#define slots
#define emit
")
set(single "#include \"${SINGLE}/amct_distill_quant.hpp\"\n#include \"${SINGLE}/amct_distill.hpp\"\n")
foreach(which IN ITEMS ours single)
    file(WRITE ${WORK}/${which}.cpp
        "${after_others}${${which}}#include \"${CMAKE_CURRENT_LIST_DIR}/names.hpp\"\n")
    # As a header to precompile: names are looked up where a template is written, and none is instantiated.
    execute_process(COMMAND ${compile} -x c++-header ${WORK}/${which}.cpp -o ${WORK}/${which}.pch
        ERROR_VARIABLE error RESULT_VARIABLE failed)
    file(REMOVE ${WORK}/${which}.pch)
    if(failed)
        message(FATAL_ERROR
            "after `using namespace std` (Eigen, boost) and with macros of others, which a qualified call, "
            "(std::min)(a, b), and another name are safe from:\n${error}")
    endif()
endforeach()
