# cmake -DROOT=<project> [-DCLANG_FORMAT=<clang-format-14>] -P sources.cmake
# Every header and source begins with the license's line (a header's next line with the comment on all of it),
# is formatted as .clang-format says, and like the scripts has no line of more than 110 columns and no mark
# that a merge left. Numbers become text in core/number.hpp alone. clang-format's versions differ: another one
# than Debian 12's is not asked.
cmake_minimum_required(VERSION 3.25)
set(license "// SPDX-License-Identifier: Apache-2.0\n")
string(LENGTH "${license}" length)
file(GLOB_RECURSE code "${ROOT}/include/*.hpp" "${ROOT}/examples/*.[ch]pp" "${ROOT}/tests/*.[ch]pp"
    "${ROOT}/tools/*.[ch]pp" "${ROOT}/src/*.cpp" "${ROOT}/cmake/*.cpp")
list(FILTER code EXCLUDE REGEX "/digits_model.hpp$")  # written by amct-distill
file(GLOB_RECURSE scripts "${ROOT}/cmake/*" "${ROOT}/tests/*.cmake" "${ROOT}/tests/*.sh" "${ROOT}/tests/*.txt"
    "${ROOT}/examples/*.sh" "${ROOT}/examples/*.txt")
list(FILTER scripts EXCLUDE REGEX "/golden/|/seeds/|/expected\\.txt$")
file(GLOB generated "${ROOT}/single_include/*.hpp")
list(LENGTH code count)
if(count LESS 250)
    message(FATAL_ERROR "looked at ${count} files only: is ${ROOT} the right folder?")
endif()

set(wrong "")
foreach(file IN LISTS code generated)
    file(READ "${file}" text LIMIT 400)
    string(FIND "${text}" "${license}" at)
    string(SUBSTRING "${text}" ${length} 4 next)
    if(NOT at EQUAL 0)
        string(APPEND wrong "  ${file}: the first line is not ${license}")
    elseif(file MATCHES "include/.*\\.hpp$" AND NOT next STREQUAL "/// ")
        string(APPEND wrong
            "  ${file}: after the license's line stands the comment on the header, `/// ...`\n")
    endif()
endforeach()

set(long "")
foreach(i RANGE 1 111)
    string(APPEND long ".")
endforeach()
foreach(file IN LISTS code scripts ROOT)
    if(IS_DIRECTORY "${file}")
        set(file "${file}/CMakeLists.txt")
    endif()
    file(STRINGS "${file}" lines REGEX "^(<<<<<<<|=======|>>>>>>>)( |$)")
    if(lines)
        string(APPEND wrong "  ${file}: marks of a merge: ${lines}\n")
    endif()
    file(STRINGS "${file}" lines REGEX "^${long}" ENCODING UTF-8)
    foreach(line IN LISTS lines)
        # The expression counts bytes; those that continue a character of UTF-8 are no columns.
        string(HEX "${line}" bytes)
        string(REGEX REPLACE "([0-7c-f].)([89ab].)*" "\\1" bytes "${bytes}")
        string(LENGTH "${bytes}" digits)
        if(digits GREATER 220)
            string(APPEND wrong "  ${file}: more than 110 columns: ${line}\n")
        endif()
    endforeach()
    if(file MATCHES "/include/" AND NOT file MATCHES "core/number\\.hpp$")
        file(STRINGS "${file}" lines REGEX
            "printf\\(.*%[^sc%]*[defgiulz]|stringstream|std::to_string|to_chars\\(|setprecision")
        foreach(line IN LISTS lines)
            string(APPEND wrong "  ${file}: numbers become text by core/number.hpp: ${line}\n")
        endforeach()
    endif()
endforeach()

if(CLANG_FORMAT)
    execute_process(COMMAND ${CLANG_FORMAT} --dry-run --style=file ${code} ERROR_VARIABLE err RESULT_VARIABLE
        failed)
    string(REGEX MATCHALL "[^\n]+warning: code should be clang-formatted" places "${err}")
    list(REMOVE_DUPLICATES places)
    if(failed OR places)
        list(JOIN places "\n  " places)
        string(APPEND wrong "  ${places}\n")
    endif()
else()
    message(STATUS
        "clang-format-14 is not here (Debian 12: apt install clang-format-14): the format is not checked")
endif()
if(wrong)
    message(FATAL_ERROR "not as they should be:\n${wrong}")
endif()
message(STATUS "${count} files have their license's line, their format, and 110 columns")
