// SPDX-License-Identifier: Apache-2.0
// digits_model CSV FOLDER: what a user of amct-distill has. Trains a small network on 8x8 digits, and writes
// it as ONNX, with images to calibrate, distill and test with, and their labels, as NumPy's arrays.
#include <amct_distill/definitions.hpp>
#include <amct_distill/onnx/export.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "digits.hpp"

using namespace amct_distill;
namespace fs = std::filesystem;

namespace {

void write_samples(const digits::Samples& samples, const fs::path& images, const fs::path& labels) {
    write_npy(images, samples.images).value();
    write_npy<std::int32_t>(labels, {std::ssize(samples.labels)}, samples.labels).value();
    std::printf("%s, %s: %zu images of 1x8x8, values 0..1, and their digits\n", images.c_str(),
                labels.c_str(), samples.size());
}

void run(const std::string& csv, const fs::path& folder) {
    auto const data = digits::load(csv).value();
    nn::Network network = digits::make_network(1);
    digits::train(network, data.train, 1);
    fs::create_directories(folder);
    onnx::export_network(network, folder / "digits.onnx", {.outputs = {"digit"}}).value();
    double const accuracy = 100 * digits::accuracy(network.predict(data.test.images), data.test);
    std::printf("%s: a network of 5 layers, in float; it recognizes %.2f %% of the test's images\n",
                (folder / "digits.onnx").c_str(), accuracy);
    write_samples(data.train, folder / "train.npy", folder / "labels.npy");
    write_samples(data.test, folder / "test.npy", folder / "test_labels.npy");
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 3) return std::fputs("usage: digits_model DIGITS_CSV FOLDER\n", stderr), 2;
    run(argv[1], argv[2]);
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
