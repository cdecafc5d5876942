# cmake -DCOMPILER=<clang++-19> -DSOURCE=<tests/single_header> -DPROGRAM=<path> "-DFLAGS=..." -P libcxx.cmake
# Another standard library: the program of two units that include the single headers is built with libc++, and
# runs.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${COMPILER} -std=c++20 -stdlib=libc++ -O0 -Wall -Wextra -Wpedantic -Wconversion
    -Wsign-conversion -Wshadow -Werror ${FLAGS} ${SOURCE}/one.cpp ${SOURCE}/two.cpp -o ${PROGRAM}
    COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${PROGRAM} COMMAND_ERROR_IS_FATAL ANY)
