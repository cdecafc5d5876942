# cmake -DCLANG_TIDY=<clang-tidy-14> -DROOT=<project> -DWORK=<scratch directory> "-DFLAGS=..."
#       -P clang_tidy.cmake
# The headers as .clang-tidy wants them: names of types, and a few mistakes that compilers do
# not see.
cmake_minimum_required(VERSION 3.25)
file(GLOB_RECURSE headers RELATIVE "${ROOT}/include" "${ROOT}/include/*.hpp")
list(REMOVE_ITEM headers amct_distill/adapters/mpi.hpp)  # MPI may not be there
list(LENGTH headers count)
if(count LESS 100)
    message(FATAL_ERROR "looked at ${count} headers only: is ${ROOT} the right folder?")
endif()
list(TRANSFORM headers REPLACE "(.+)" "#include <\\1>\n")
string(JOIN "" text ${headers})
file(WRITE ${WORK}/everything.cpp "${text}")
function(tidy file)
    execute_process(COMMAND ${CLANG_TIDY} --quiet --config-file=${ROOT}/.clang-tidy ${ARGN} ${file} --
        -std=c++20
        -I${ROOT}/include ${FLAGS} OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE failed)
    set(failed "${failed}" PARENT_SCOPE)
    set(out "${out}${err}" PARENT_SCOPE)
endfunction()
tidy(${WORK}/everything.cpp)
if(failed)
    message(FATAL_ERROR "clang-tidy:\n${out}")
endif()
# That it sees what it should: a type in the wrong case, and a value that was moved from.
file(WRITE ${WORK}/wrong.cpp "#include <string>
#include <utility>
struct wrong_case {};
int f(std::string s) { std::string t = std::move(s); return int(s.size() + t.size()); }
")
tidy(${WORK}/wrong.cpp)
if(NOT out MATCHES "invalid case style for struct 'wrong_case'" OR NOT out MATCHES
    "'s' used after it was moved")
    message(FATAL_ERROR "clang-tidy does not see what is wrong:\n${out}")
endif()
message(STATUS "${count} headers, tidy")
