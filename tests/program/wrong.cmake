# What each verb says to what cannot be: exit code 1, the file, and nothing written. A disk that is full.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
set(images --data ${DATA}/images.npy)

# refused(text arguments...)
function(refused text)
    run("refused: ${ARGN}" 1 ${ARGN})
    check("it says why: ${err}" err MATCHES "${text}")
    check("once, and on standard error" NOT out MATCHES "error")
endfunction()
foreach(verb IN ITEMS inspect plan analyze distill infer export)
    set(more "")
    if(verb MATCHES "analyze|distill|infer")
        set(more ${images})
    endif()
    if(verb MATCHES "distill|infer|export")
        list(APPEND more --out none.npz)
    endif()
    refused("cannot open nowhere.onnx: No such file" ${verb} nowhere.onnx ${more})
    check_nothing_in(none.npz)
    file(WRITE "${WORK}/no model.onnx" "this is no model, whatever its name says")
    refused("no model.onnx" ${verb} "no model.onnx" ${more})
    check_nothing_in(none.npz)
endforeach()
refused("cannot open nowhere.cfg: No such file" check nowhere.cfg)
refused("cannot open nowhere.cfg: No such file" plan ${DATA}/digits.npz --config nowhere.cfg)
foreach(verb IN ITEMS verify report)
    set(more "")
    if(verb STREQUAL verify)
        set(more ${images})
    endif()
    refused("nowhere" ${verb} nowhere ${more})
    file(MAKE_DIRECTORY "${WORK}/an empty folder")
    refused("an empty folder" ${verb} "an empty folder" ${more})
endforeach()
file(WRITE "${WORK}/broken/report.json" "{\"model\": 1")
refused("broken/report.json" report broken)

# A disk that is full, by a limit of a file's size: no half file, and what was there stays.
file(WRITE "${WORK}/there.npz" "what was there")
foreach(arguments IN ITEMS "infer --out there.npz --data ${DATA}/images.npy" "export --out there.npz"
        "plan --json there.npz")
    string(REPLACE " " ";" arguments "${arguments}")
    list(POP_FRONT arguments verb)
    execute_process(COMMAND bash -c "ulimit -f 1; trap '' XFSZ; exec \"$@\"" bash "${PROGRAM}" ${verb}
        ${DATA}/digits.npz ${arguments} WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code OUTPUT_VARIABLE out
        ERROR_VARIABLE err)
    check("a full disk is an error of ${verb}: ${code} ${err}" code EQUAL 1 AND err MATCHES
        "cannot write .*there.npz: File too large")
    file(READ "${WORK}/there.npz" left)
    check("what was there stays" left STREQUAL "what was there")
    file(GLOB left "${WORK}/there*")
    list(LENGTH left files)
    check("and nothing is beside it: ${left}" files EQUAL 1)
endforeach()
run("a folder that cannot be made" 1 distill ${DATA}/digits.npz ${images} --out /dev/null/result)
check("it is named" err MATCHES "/dev/null/result")

# In other languages' settings, with a decimal comma or without: the same bytes.
file(COPY_FILE ${DATA}/digits.npz "${WORK}/ein Modell 模型.npz")
file(COPY_FILE ${SOURCE}/examples/digits.cfg "${WORK}/die Konfiguration 配置.cfg")
string(ASCII 27 escape)
foreach(locale IN ITEMS C de_DE.UTF-8 zh_CN.UTF-8)
    execute_process(COMMAND ${CMAKE_COMMAND} -E env LC_ALL=${locale} LANG=${locale} "${PROGRAM}" distill
        "ein Modell 模型.npz" --config "die Konfiguration 配置.cfg" --data "${DATA}/图像.npy" --epochs 1
        --memory 64.5M --out "ein Ergebnis 结果 ${locale}"
        WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
    check("distill in ${locale}: exit code ${code}" code EQUAL 0)
    check("a pipe gets plain lines" NOT out MATCHES "[\r${escape}]" AND out MATCHES
        "\n  block 1 of [0-9], epoch 1 of 1, loss ")
    foreach(file IN ITEMS record.txt network.npz plan.json)
        check_same("${WORK}/ein Ergebnis 结果 C/${file}" "${WORK}/ein Ergebnis 结果 ${locale}/${file}")
    endforeach()
endforeach()
