# cmake -DCOMPILER=... -DINCLUDE=... -DCASES=cases.cpp [-DFLAGS=...] [-DLEAST=<cases>] -P run.cmake
# cases.cpp compiles; with -DBAD it does not, and the compiler says what each `// expect: <regular
# expression>` says.
cmake_minimum_required(VERSION 3.25)
set(compile ${COMPILER} -std=c++20 -fsyntax-only "-I${INCLUDE}" ${FLAGS})
if(COMPILER_ID STREQUAL "Clang")
    list(APPEND compile -ferror-limit=0)
endif()

execute_process(COMMAND ${compile} ${CASES} RESULT_VARIABLE status ERROR_VARIABLE output)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "the good twins do not compile:\n${output}")
endif()

execute_process(COMMAND ${compile} -DBAD ${CASES} RESULT_VARIABLE status ERROR_VARIABLE output)
if(status EQUAL 0)
    message(FATAL_ERROR "the bad cases compile")
endif()
string(REPLACE "', '" "" said "${output}")  # clang's lists of characters
string(REPLACE "[" "(" said "${said}")      # brackets and semicolons are lists to CMake
string(REPLACE "]" ")" said "${said}")
string(REPLACE ";" "," said "${said}")

file(READ "${CASES}" text)
string(REPLACE ";" "," text "${text}")
string(REGEX MATCHALL "// expect: [^\n]+" expectations "${text}")
list(LENGTH expectations count)
set(missing "")
foreach(expectation IN LISTS expectations)
    string(REPLACE "// expect: " "" expectation "${expectation}")
    if(NOT said MATCHES "${expectation}")
        string(APPEND missing "  ${expectation}\n")
    endif()
endforeach()
if(NOT LEAST)
    set(LEAST 10)
endif()
if(missing OR count LESS LEAST)
    message(FATAL_ERROR "${count} expectations; the compiler does not say\n${missing}but\n${output}")
endif()
message(STATUS "compile_fail: ${count} messages seen")
