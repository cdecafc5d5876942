#!/usr/bin/env bash
# Builds the fuzzers, each with a corpus to begin with, as OSS-Fuzz builds a project's: from the variables
# CXX, CXXFLAGS, LIB_FUZZING_ENGINE and OUT. Without them, for long runs on one's own machine: clang++, -O2,
# without AddressSanitizer, but stopping at overflows, wrong indices and assertions; some tens of thousands of
# executions a second, where AddressSanitizer has some hundreds.
#   OUT=build/fuzz tests/fuzz/build.sh [NAME...]       NAME: reader json wire onnx files
set -eu
cd "$(dirname "$0")/../.."
: "${CXX:=clang++}" "${OUT:=build/fuzz}" "${LIB_FUZZING_ENGINE:=-fsanitize=fuzzer}"
if [ -z "${CXXFLAGS+set}" ]; then
    CXXFLAGS="-O2 -g1 -D_GLIBCXX_ASSERTIONS -fsanitize-trap=all"
    CXXFLAGS+=" -fsanitize=signed-integer-overflow,integer-divide-by-zero,shift,bounds,null"
    CXXFLAGS+=" -fsanitize=float-cast-overflow"
    CXXFLAGS+=" -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp,indirect-calls"
fi
small="npy npz image record network checkpoint deployment"
mkdir -p "$OUT"
[ $# -ne 0 ] || set -- reader json wire onnx files
for name; do
    sources=(tests/fuzz/"$name".cpp) more=$name
    [ "$name" != files ] || sources+=(tools/amct_distill/images.cpp) more=$small
    objects=()
    for source in "${sources[@]}"; do
        objects+=("$OUT/$(basename "$source" .cpp).o")
        # shellcheck disable=SC2086  # a list of flags
        $CXX -std=c++20 $CXXFLAGS -Iinclude -Itests -Itools -isystem /usr/include/eigen3 \
            -isystem /usr/include/stb -c "$source" -o "${objects[-1]}"
    done
    # shellcheck disable=SC2086
    $CXX -std=c++20 $CXXFLAGS "${objects[@]}" $LIB_FUZZING_ENGINE -pthread -o "$OUT/fuzz_$name"
    # A program of several formats is called by the name of one.
    for target in $more; do
        [ "$target" = "$name" ] || cp "$OUT/fuzz_$name" "$OUT/fuzz_$target"
        mkdir -p "$OUT/corpus_$target"
        archive=tests/fuzz/corpus/$target.tar.xz
        [ ! -e "$archive" ] || tar -xJf "$archive" -C "$OUT/corpus_$target"
        case $target in
            reader | json) cp tests/fuzz/seeds/* tests/golden/bad/* "$OUT/corpus_$target" ;;
            wire | onnx) cp tests/fuzz/seeds_wire/* "$OUT/corpus_$target" ;;
        esac
        ! command -v zip >/dev/null ||
            (cd "$OUT/corpus_$target" && zip -q -r "../fuzz_${target}_seed_corpus.zip" .)
    done
    [ "$name" != files ] || rm "$OUT/fuzz_files"
    rm "${objects[@]}"
done
