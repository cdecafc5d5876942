# What is installed: the headers, find_package(amct_distill) with the components `quant` (no Boost) and `distill`,
# and a file for pkg-config. Nothing is compiled, so all of it serves any machine.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_directory ${CMAKE_INSTALL_DATADIR}/cmake/amct_distill)
foreach(component IN ITEMS quant distill)
    set(target amct_distill)
    if(component STREQUAL "quant")
        set(target amct_distill_quant)
    endif()
    install(TARGETS ${target} EXPORT amct_distill_${component} FILE_SET HEADERS)
    install(EXPORT amct_distill_${component} NAMESPACE amct_distill:: DESTINATION ${package_directory})
endforeach()

configure_package_config_file(cmake/amct_distill-config.cmake.in amct_distill-config.cmake
    INSTALL_DESTINATION ${package_directory} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(amct_distill-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/amct_distill-config.cmake ${PROJECT_BINARY_DIR}/amct_distill-config-version.cmake
    DESTINATION ${package_directory})

# Wherever the tree is moved, the file knows where it stands.
set(pc_directory ${CMAKE_INSTALL_DATADIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix /prefix/${pc_directory} /prefix)
configure_file(cmake/amct_distill.pc.in amct_distill.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/amct_distill.pc DESTINATION ${pc_directory})
