# Boost >= 1.81 (PFR, Spirit X3: headers only) and Eigen >= 3.4, with the remedy when one is missing.
find_package(Boost 1.81 CONFIG QUIET)
if(NOT TARGET Boost::headers)
    set(seen "none was found")
    if(Boost_CONSIDERED_VERSIONS)
        set(seen "found only ${Boost_CONSIDERED_VERSIONS}")
    endif()
    message(FATAL_ERROR
        "amct_distill needs the headers of Boost 1.81 or newer; ${seen}.\n"
        "  Debian 12: apt install libboost1.81-dev   (libboost-dev there is 1.74, too old)\n"
        "  Debian 13: apt install libboost-dev\n"
        "  elsewhere: point Boost_DIR or CMAKE_PREFIX_PATH at a newer Boost")
endif()

find_package(Eigen3 3.4 CONFIG QUIET)
if(NOT TARGET Eigen3::Eigen)
    message(FATAL_ERROR
        "amct_distill needs Eigen 3.4 or newer; none was found.\n"
        "  Debian: apt install libeigen3-dev\n"
        "  elsewhere: point Eigen3_DIR or CMAKE_PREFIX_PATH at it")
endif()

find_package(Threads REQUIRED)
