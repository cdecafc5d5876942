# The handwritten digits, which several examples and tests read: compiled once.
include_guard(GLOBAL)
add_library(digits OBJECT EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/digits.cpp)
target_link_libraries(digits PUBLIC amct_distill::compiled PRIVATE amct_distill_warnings)
