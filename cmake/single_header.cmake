# cmake [-DOUT=<directory>] -P single_header.cmake
# Writes the headers of include/ as files that are copied alone, to single_include/ or to OUT:
#   amct_distill_quant.hpp   policy/, quant/ and what they include: no Boost
#   amct_distill.hpp         all of it but onnx/ and adapters/
#   amct_distill_onnx.hpp    all of it but adapters/
# Headers come in the order in which they include each other, otherwise by name, so the same headers give the
# same files. The first part of amct_distill.hpp is amct_distill_quant.hpp, so that a translation unit may
# include both: AMCT_DISTILL_VERSION, which that part defines, says that it has been seen. In the same way
# amct_distill_onnx.hpp begins with amct_distill.hpp, whose rest defines AMCT_DISTILL_WHOLE.
#
# With AMCT_DISTILL_COMPILED they hold what amct_distill.hpp then includes, and with AMCT_DISTILL_DEFINITIONS
# besides what definitions.hpp does; with AMCT_DISTILL_IMPLEMENTATION all of it.
cmake_minimum_required(VERSION 3.25)
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(include "${root}/include/amct_distill")
if(NOT OUT)
    set(OUT "${root}/single_include")
endif()

# Characters that mean something in a CMake list stand as control characters while a text is taken apart.
set(code 1)
foreach(character IN ITEMS "\\" "[" "]" ";")
    string(ASCII ${code} stand_in_${code})
    math(EXPR code "${code} + 1")
endforeach()
function(read_lines file variable)
    file(READ "${file}" text)
    string(REPLACE "\\" "${stand_in_1}" text "${text}")
    string(REPLACE "[" "${stand_in_2}" text "${text}")
    string(REPLACE "]" "${stand_in_3}" text "${text}")
    string(REPLACE ";" "${stand_in_4}" text "${text}")
    string(REPLACE "\n" ";" text "${text}")
    set(${variable} "${text}" PARENT_SCOPE)
endfunction()
function(write_text file text)
    string(REPLACE "${stand_in_1}" "\\" text "${text}")
    string(REPLACE "${stand_in_2}" "[" text "${text}")
    string(REPLACE "${stand_in_3}" "]" text "${text}")
    string(REPLACE "${stand_in_4}" ";" text "${text}")
    string(REGEX REPLACE "\n\n\n+" "\n\n" text "${text}")
    file(WRITE "${file}" "${text}")
endfunction()

# The global `declared`: what amct_distill.hpp includes where the definitions are in the compiled library,
# that is without what stands between `#ifndef AMCT_DISTILL_COMPILED` and `#endif`.
set_property(GLOBAL PROPERTY declared "")
function(declare_header file)
    get_property(declared GLOBAL PROPERTY declared)
    if(file IN_LIST declared)
        return()
    endif()
    set_property(GLOBAL APPEND PROPERTY declared "${file}")
    get_filename_component(directory "${file}" DIRECTORY)
    file(STRINGS "${file}" lines REGEX "^#include \"|^#ifndef AMCT_DISTILL_COMPILED$")
    foreach(line IN LISTS lines)
        if(line MATCHES "^#ifndef")
            return()  # the end of a header
        endif()
        string(REGEX REPLACE ".*\"(.+)\".*" "\\1" other "${line}")
        get_filename_component(other "${other}" ABSOLUTE BASE_DIR "${directory}")
        declare_header("${other}")
    endforeach()
endfunction()

# Appends a header to the global `body`, those that it includes first, those with its definitions last, and
# its <...> to the global `system`. What is not declared where there is a compiled library is left out there.
set(begin_definitions "#if !defined(AMCT_DISTILL_COMPILED) || defined(AMCT_DISTILL_DEFINITIONS)\n")
set(end_definitions "#endif  // definitions\n")
set_property(GLOBAL PROPERTY seen "")
function(append_header file)
    get_property(seen GLOBAL PROPERTY seen)
    if(file IN_LIST seen)
        return()
    endif()
    set_property(GLOBAL APPEND PROPERTY seen "${file}")
    get_property(declared GLOBAL PROPERTY declared)
    set(system system)
    if(NOT file IN_LIST declared)
        set(system system_of_definitions)
    endif()
    get_filename_component(directory "${file}" DIRECTORY)
    file(RELATIVE_PATH name "${include}" "${file}")

    read_lines("${file}" lines)
    set(own "")
    set(definitions "")
    set(in_definitions FALSE)
    set(depth 0)  # of #if
    foreach(line IN LISTS lines)
        if(line MATCHES "^#ifndef AMCT_DISTILL_COMPILED(_ONNX)?$")
            set(in_definitions TRUE)
            continue()
        elseif(in_definitions AND line STREQUAL "#endif")
            set(in_definitions FALSE)
            continue()
        elseif(line MATCHES "^[ \t]*#[ \t]*if")
            math(EXPR depth "${depth} + 1")
        elseif(line MATCHES "^[ \t]*#[ \t]*endif")
            math(EXPR depth "${depth} - 1")
        endif()
        if(line MATCHES "^[ \t]*#[ \t]*pragma[ \t]+once" OR line MATCHES "^// SPDX-License-Identifier: ")
            continue()
        elseif(line MATCHES "^[ \t]*#[ \t]*include[ \t]*\"([^\"]+)\"")
            if(depth GREATER 0)
                message(FATAL_ERROR "${name}: ${line}: one of our own headers, included inside of an #if")
            endif()
            get_filename_component(other "${CMAKE_MATCH_1}" ABSOLUTE BASE_DIR "${directory}")
            if(in_definitions)
                list(APPEND definitions "${other}")
            else()
                append_header("${other}")
            endif()
        elseif(depth EQUAL 0 AND line MATCHES "^[ \t]*#[ \t]*include[ \t]*(<[^>]+>)")
            set_property(GLOBAL APPEND PROPERTY ${system} "${CMAKE_MATCH_1}")
        else()
            string(APPEND own "${line}\n")
        endif()
    endforeach()
    set(own "\n// ---- amct_distill/${name}\n\n${own}")
    if(NOT file IN_LIST declared)
        set(own "${begin_definitions}${own}${end_definitions}")
    endif()
    set_property(GLOBAL APPEND_STRING PROPERTY body "${own}")
    foreach(other IN LISTS definitions)
        append_header("${other}")
    endforeach()
endfunction()

# `includes` of the global `property` that no earlier text has, as lines.
function(lines_of_includes property variable)
    get_property(includes GLOBAL PROPERTY ${property})
    list(REMOVE_ITEM includes ${earlier_includes})
    list(REMOVE_DUPLICATES includes)
    list(SORT includes)
    set(earlier_includes "${earlier_includes};${includes}" PARENT_SCOPE)
    list(TRANSFORM includes PREPEND "#include ")
    # Where Eigen is installed in a directory of its own, it need not be named to the compiler.
    list(TRANSFORM includes REPLACE "(#include )<((unsupported/)?Eigen/.+)>"
        "#if __has_include(<\\2>)\n\\1<\\2>\n#else\n\\1<eigen3/\\2>\n#endif")
    list(JOIN includes "\n" includes)
    set(${variable} "${includes}" PARENT_SCOPE)
endfunction()

# The text of some headers, without those that an earlier call gave.
function(text_of variable)
    set_property(GLOBAL PROPERTY system "")
    set_property(GLOBAL PROPERTY system_of_definitions "")
    set_property(GLOBAL PROPERTY body "")
    foreach(file IN LISTS ARGN)
        append_header("${file}")
    endforeach()
    get_property(body GLOBAL PROPERTY body)
    string(REPLACE "${end_definitions}${begin_definitions}" "" body "${body}")
    lines_of_includes(system includes)
    set(known "${earlier_includes}")
    lines_of_includes(system_of_definitions more)
    # What the definitions include is known to later texts' definitions alone: each names its own.
    set(earlier_includes "${known}" PARENT_SCOPE)
    if(more)
        string(APPEND includes "\n${begin_definitions}${more}\n${end_definitions}")
    endif()
    set(${variable} "${includes}\n${body}" PARENT_SCOPE)
endfunction()

set(version "${include}/core/version.hpp")
file(STRINGS "${version}" number REGEX "define AMCT_DISTILL_VERSION ")
string(REGEX REPLACE ".*AMCT_DISTILL_VERSION ([0-9]+).*" "\\1" number "${number}")

set(earlier_includes "none")
file(GLOB_RECURSE quant_headers "${include}/policy/*.hpp" "${include}/quant/*.hpp")
file(GLOB_RECURSE other_headers "${include}/*.hpp")
list(FILTER other_headers EXCLUDE REGEX "/include/amct_distill/(adapters|onnx)/")
list(REMOVE_ITEM other_headers "${include}/amct_distill.hpp" "${include}/definitions.hpp")  # only includes
file(GLOB_RECURSE onnx_headers "${include}/onnx/*.hpp")
declare_header("${version}")
declare_header("${include}/amct_distill.hpp")
text_of(quant "${version}" ${quant_headers})
text_of(others ${other_headers})
text_of(onnx ${onnx_headers})
set(before_onnx "\
#if defined(AMCT_DISTILL_COMPILED) && !defined(AMCT_DISTILL_DEFINITIONS)  // which it is made of
#ifdef AMCT_DISTILL_WHOLE
#error \"include amct_distill_onnx.hpp before amct_distill.hpp\"
#endif
#define AMCT_DISTILL_DEFINITIONS
#endif
")

set(license "// SPDX-License-Identifier: Apache-2.0\n")
set(made "// Made from include/ by cmake/single_header.cmake: change the headers there.\n#pragma once\n")
set(quant "\
#ifdef AMCT_DISTILL_IMPLEMENTATION
#undef AMCT_DISTILL_COMPILED
#endif
#ifndef AMCT_DISTILL_VERSION
${quant}
#elif AMCT_DISTILL_VERSION != ${number}
#error \"two versions of amct_distill in one translation unit\"
#endif  // AMCT_DISTILL_VERSION
")
set(others "\
#ifndef AMCT_DISTILL_WHOLE
#define AMCT_DISTILL_WHOLE 1
${others}
#endif  // AMCT_DISTILL_WHOLE
")
write_text("${OUT}/amct_distill_quant.hpp" "\
${license}\
/// amct_distill's quantizers in one file: ARQ, ULQ and IFMR at INT4 and INT8. Needs C++20 and Eigen.
${made}
${quant}")
write_text("${OUT}/amct_distill.hpp" "\
${license}\
/// amct_distill in one file, all but ONNX and its adapters: reads AMCT's distillation configurations,
/// resolves them to a plan, quantizes, distills and writes the record. Needs C++20, Boost (PFR, Spirit X3:
/// headers) and Eigen.
${made}
${quant}
${others}")
write_text("${OUT}/amct_distill_onnx.hpp" "\
${license}\
/// amct_distill in one file, with ONNX, without its adapters: reads ONNX models besides what amct_distill.hpp
/// does. Needs C++20, Boost (PFR, Spirit X3: headers) and Eigen.
${made}
${before_onnx}
${quant}
${others}
${onnx}")
