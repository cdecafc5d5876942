# What is installed: the headers, find_package(amct_distill) with the components `quant` (no Boost) and
# `distill`, a file for pkg-config, and the license. Nothing is compiled, so all of it serves any machine. The
# directories (CMAKE_INSTALL_INCLUDEDIR, CMAKE_INSTALL_DATADIR) may be absolute, as distributions with split
# outputs have them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(DIRECTORY include/amct_distill DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    # By the package's own file: an exported target may not name a directory that lies in the source tree.
    set(include_directory "\nset_property(TARGET amct_distill::quant
    APPEND PROPERTY INTERFACE_INCLUDE_DIRECTORIES \"${CMAKE_INSTALL_INCLUDEDIR}\")")
else()
    target_include_directories(amct_distill_quant INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/amct_distill)

set(package_directory ${CMAKE_INSTALL_DATADIR}/cmake/amct_distill)
set(json_source ${package_directory}/boost_json.cpp)
if(NOT IS_ABSOLUTE "${json_source}")
    string(PREPEND json_source "$<INSTALL_PREFIX>/")
endif()
target_sources(amct_distill_json INTERFACE
    $<INSTALL_INTERFACE:$<$<NOT:$<TARGET_EXISTS:Boost::json>>:${json_source}>>)
install(FILES cmake/boost_json.cpp cmake/compiled.cmake src/amct_distill.cpp src/onnx.cpp
    DESTINATION ${package_directory})
foreach(component IN ITEMS quant distill)
    set(targets amct_distill amct_distill_json)
    if(component STREQUAL "quant")
        set(targets amct_distill_quant)
    endif()
    install(TARGETS ${targets} EXPORT amct_distill_${component})
    install(EXPORT amct_distill_${component} NAMESPACE amct_distill:: DESTINATION ${package_directory})
endforeach()

configure_package_config_file(cmake/amct_distill-config.cmake.in amct_distill-config.cmake
    INSTALL_DESTINATION ${package_directory} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(amct_distill-config-version.cmake COMPATIBILITY SameMinorVersion
    ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/amct_distill-config.cmake
    ${PROJECT_BINARY_DIR}/amct_distill-config-version.cmake
    DESTINATION ${package_directory})

# Wherever the tree is moved, the file knows where it stands, unless it stands in an absolute directory.
set(pc_directory ${CMAKE_INSTALL_DATADIR}/pkgconfig)
if(IS_ABSOLUTE "${pc_directory}")
    set(pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
    file(RELATIVE_PATH pc_prefix /prefix/${pc_directory} /prefix)
    string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")
endif()
set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
if(NOT IS_ABSOLUTE "${pc_includedir}")
    string(PREPEND pc_includedir "\${prefix}/")
endif()
configure_file(cmake/amct_distill.pc.in amct_distill.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/amct_distill.pc DESTINATION ${pc_directory})
