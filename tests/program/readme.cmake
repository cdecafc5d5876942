# What examples/quickstart.sh runs once it has built, and then what README.md and README.zh.md show, as typed.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
get_filename_component(tools "${PROGRAM}" DIRECTORY)
set(ENV{PATH} "${tools}:$ENV{PATH}")

# commands_of(file): the lines with the program, without what is said of them.
function(commands_of file)
    execute_process(COMMAND sed -n "s/^run amct-distill/amct-distill/; s/ *# .*//; /^amct-distill /p"
        "${file}" OUTPUT_VARIABLE commands)
    string(REGEX REPLACE "\n$" "" commands "${commands}")
    string(REPLACE "\n" ";" commands "${commands}")
    set(commands "${commands}" PARENT_SCOPE)
endfunction()
function(run_commands)
    foreach(command IN LISTS ARGN)
        execute_process(COMMAND bash -c "${command}" WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code
            OUTPUT_VARIABLE out ERROR_VARIABLE err)
        check("${command}: exit code ${code}" code EQUAL 0)
        check("it says something, and no error" out MATCHES "[a-z]" AND NOT err MATCHES "error")
    endforeach()
    set(out "${out}" PARENT_SCOPE)
endfunction()

execute_process(COMMAND "${DIGITS_MODEL}" "${SOURCE}/examples/data/digits.csv" "${WORK}" RESULT_VARIABLE code
    OUTPUT_VARIABLE out ERROR_VARIABLE err)
check("the digits' network: ${out}" code EQUAL 0 AND out MATCHES "recognizes 9[789]\\.[0-9][0-9] %")
file(COPY "${SOURCE}/examples/digits.cfg" DESTINATION "${WORK}")
# The commands are the same with fewer images, and take less time.
file(COPY_FILE "${WORK}/test.npy" "${WORK}/train.npy")
file(COPY_FILE "${WORK}/test_labels.npy" "${WORK}/labels.npy")
commands_of("${SOURCE}/examples/quickstart.sh")
list(LENGTH commands count)
check("the quickstart has ${count} commands" count EQUAL 4)
list(POP_FRONT commands plan distill)
run_commands("${plan}" "${distill}")
check("accuracy is said" out MATCHES
    "\n  FP32 +[0-9.]+ %[^\n]*\n  calibrated +[0-9.]+ %.*\n  integers +[0-9.]+ %")
run_commands(${commands})

commands_of("${SOURCE}/README.zh.md")
set(chinese "${commands}")
commands_of("${SOURCE}/README.md")
check("both pages have the same commands" commands STREQUAL chinese)
list(LENGTH commands count)
check("for every verb one: ${count}" count EQUAL 9)
run_commands(${commands})
