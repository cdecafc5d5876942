# cmake -DBUILD=<build directory> -DSOURCE=<project> -DWORK=<scratch directory> -DCOMPILER=... -DGENERATOR=...
#       -DPKG_CONFIG=<program, or NOTFOUND> -P run.cmake
# Installs, moves what was installed, and builds a project that uses it in each of the ways there are.
cmake_minimum_required(VERSION 3.25)
function(run what)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
    set(status "${status}" PARENT_SCOPE)
    set(said "${out}${err}" PARENT_SCOPE)
endfunction()
function(expect_success what)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${what}: failed\n${said}")
    endif()
endfunction()
function(configure how)
    run("${how}" ${CMAKE_COMMAND} -S ${SOURCE}/tests/install/user -B ${WORK}/${how} -G ${GENERATOR}
        -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${WORK}/moved -DSOURCE=${SOURCE} -DHOW=${how})
    set(status "${status}" PARENT_SCOPE)
    set(said "${said}" PARENT_SCOPE)
endfunction()
function(expect_greeting what program)
    run("${what}" ${program})
    if(NOT said STREQUAL "amct_distill ${version}: 1.3 is 1.5\n")
        message(FATAL_ERROR "${what}: the program says\n${said}")
    endif()
    message(STATUS "ok: ${what}")
endfunction()

file(READ ${SOURCE}/include/amct_distill/core/version.hpp version)
string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" version "${version}")

file(REMOVE_RECURSE ${WORK})
run(install ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
expect_success(install)
file(RENAME ${WORK}/installed ${WORK}/moved)

if(NOT EXISTS ${WORK}/moved/share/doc/amct_distill/LICENSE)
    message(FATAL_ERROR "the license is not installed")
endif()

foreach(how IN ITEMS distill quant subdirectory fetch found_then_fetched quant_then_fetched fetched_then_found
    exported)
    configure(${how})
    expect_success("${how}: configure")
    run(${how} ${CMAKE_COMMAND} --build ${WORK}/${how})
    expect_success("${how}: build")
    expect_greeting(${how} ${WORK}/${how}/user)
endforeach()

configure(newer)
if(status EQUAL 0 OR NOT said MATCHES "amct_distill-config.cmake, version: ${version}")
    message(FATAL_ERROR "a newer version is found, or the one that is there not named\n${said}")
endif()
configure(misspelled)
if(status EQUAL 0 OR NOT said MATCHES "components `quant` and `distill`,[ \n]+no[ \n]+`quants`")
    message(FATAL_ERROR "an unknown component is found, or not named\n${said}")
endif()

# The user's own export names the targets of the package that is installed with it.
run(exported ${CMAKE_COMMAND} --install ${WORK}/exported --prefix ${WORK}/exported_to)
expect_success("exported: install")
file(READ ${WORK}/exported_to/share/greeting/greeting-config.cmake text)
if(NOT text MATCHES "INTERFACE_LINK_LIBRARIES \"amct_distill::amct_distill\""
        OR NOT EXISTS ${WORK}/exported_to/share/cmake/amct_distill/amct_distill-config.cmake)
    message(FATAL_ERROR
        "the user's export has no amct_distill::amct_distill, or its package is not installed:\n${text}")
endif()

# Absolute directories, the headers in one of their own and, in the second case, the package's files too.
function(expect_flags where prefix include)
    run(pkg-config ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${where}/pkgconfig ${PKG_CONFIG} --cflags-only-I
        amct_distill)
    expect_success("${where}: pkg-config")
    if(NOT said MATCHES "(^| )-I${include}( |\n)")
        message(FATAL_ERROR "expected -I${include}, found ${said}")
    endif()
    run(pkg-config ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${where}/pkgconfig ${PKG_CONFIG} --variable=prefix
        amct_distill)
    if(NOT said MATCHES "^${prefix}\n$")
        message(FATAL_ERROR "expected the prefix ${prefix}, found ${said}")
    endif()
endfunction()
execute_process(COMMAND mktemp -d OUTPUT_VARIABLE outside OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
foreach(how IN ITEMS include all)
    set(root ${outside}/${how})  # CMake refuses such a directory within the sources
    set(data share)
    if(how STREQUAL "all")
        set(data ${root}/dev/share)
    endif()
    run(absolute ${CMAKE_COMMAND} -S ${SOURCE} -B ${root}/build -G ${GENERATOR}
        -DCMAKE_CXX_COMPILER=${COMPILER}
        -DAMCT_DISTILL_BUILD_TESTS=OFF -DAMCT_DISTILL_BUILD_EXAMPLES=OFF -DAMCT_DISTILL_BUILD_TOOLS=OFF
        -DCMAKE_INSTALL_PREFIX=${root}/out
        -DCMAKE_INSTALL_INCLUDEDIR=${root}/dev/include -DCMAKE_INSTALL_DATADIR=${data})
    expect_success("absolute ${how}: configure")
    run(absolute ${CMAKE_COMMAND} --install ${root}/build)
    expect_success("absolute ${how}: install")
    if(how STREQUAL "include")
        set(data ${root}/out/share)
        set(prefix "${data}/pkgconfig/../..")
    else()
        set(prefix ${root}/out)
    endif()
    if(PKG_CONFIG)
        expect_flags(${data} "${prefix}" ${root}/dev/include)
    endif()
    run(absolute ${CMAKE_COMMAND} -S ${SOURCE}/tests/install/user -B ${root}/user -G ${GENERATOR}
        -DCMAKE_CXX_COMPILER=${COMPILER} -DHOW=quant -Damct_distill_DIR=${data}/cmake/amct_distill)
    expect_success("absolute ${how}: configure a user")
    run(absolute ${CMAKE_COMMAND} --build ${root}/user)
    expect_success("absolute ${how}: build a user")
    expect_greeting("absolute ${how}" ${root}/user/user)
endforeach()
file(REMOVE_RECURSE ${outside})

if(PKG_CONFIG)
    run(pkg-config ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${WORK}/moved/share/pkgconfig
        ${PKG_CONFIG} --cflags "amct_distill >= ${version}")
    expect_success(pkg-config)
    string(STRIP "${said}" flags)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    run(pkg-config ${COMPILER} -std=c++20 ${flags} -DWITH_CONFIGURATIONS ${SOURCE}/tests/install/user/user.cpp
        -o ${WORK}/pkg_config_user)
    expect_success("pkg-config: build")
    expect_greeting(pkg-config ${WORK}/pkg_config_user)
endif()
