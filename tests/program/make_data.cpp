// SPDX-License-Identifier: Apache-2.0
// make_data DIGITS_CSV FOLDER: the digits as a model and as data in every form that the program reads, and
// data that it must refuse.
#include <amct_distill/definitions.hpp>
#include <amct_distill/nn/save.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "../../examples/digits.hpp"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>

using namespace amct_distill;
namespace fs = std::filesystem;

namespace {

nn::Tensor first(const nn::Tensor& images, nn::Index n) {
    nn::Tensor out({n, 1, 8, 8});
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = images[i];
    return out;
}
/// The bytes of an .npy of another type or layout than write_npy has.
std::string npy(const std::string& descr, const std::string& shape, std::string_view data,
                const char* order = "False") {
    std::string header =
        detail::concat("{'descr': '", descr, "', 'fortran_order': ", order, ", 'shape': (", shape, "), }");
    header.append(63 - (10 + header.size()) % 64, ' ');
    header.push_back('\n');
    std::string out("\x93NUMPY\x01\x00", 8);
    out.push_back(static_cast<char>(header.size() & 255));
    out.push_back(static_cast<char>(header.size() >> 8));
    return out + header + std::string(data);
}
template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// Two inputs, the second of which is added after a convolution of its own.
nn::Network two_inputs() {
    nn::Network net;
    nn::NodeId const a = net.input("a", {1, 4, 4}), b = net.input("b", {1, 4, 4});
    nn::NodeId const x =
        net.add("conv_a", nn::Conv2d({.in_channels = 1, .out_channels = 2, .kernel = {3, 3}}), {a});
    nn::NodeId const y =
        net.add("conv_b", nn::Conv2d({.in_channels = 1, .out_channels = 2, .kernel = {3, 3}}), {b});
    net.output(net.add_function("sum", nn::Add{}, {x, y}));
    nn::initialize(net, 5);
    return net;
}

/// Little computation and large values, for --memory.
nn::Network wide() {
    nn::Network net;
    nn::NodeId x = net.input("image", {1, 32, 32});
    auto const conv = [&](std::string name, nn::Index in, nn::Index out, nn::Index stride) {
        x = net.add(
            std::move(name),
            nn::Conv2d(
                {.in_channels = in, .out_channels = out, .kernel = {1, 1}, .stride = {stride, stride}}),
            {x});
    };
    conv("conv1", 1, 8, 1);
    x = net.add("relu1", nn::ReLU{}, {x});
    conv("conv2", 8, 8, 1);
    x = net.add("relu2", nn::ReLU{}, {x});
    conv("conv3", 8, 8, 1);
    x = net.add("relu3", nn::ReLU{}, {x});
    conv("conv4", 8, 2, 4);
    net.output(x);
    nn::initialize(net, 6);
    return net;
}

/// A tensor as a file of ONNX: dims, data_type, raw_data.
std::string tensor_proto(const nn::Tensor& t) {
    std::string out;
    auto const number = [&](std::size_t value) {
        for (; value > 127; value >>= 7) out.push_back(static_cast<char>((value & 127) | 128));
        out.push_back(static_cast<char>(value));
    };
    for (nn::Index d : t.shape()) number(1 << 3), number(static_cast<std::size_t>(d));
    number(2 << 3), number(1);
    number(9 << 3 | 2), number(t.size() * 4);
    return out.append(reinterpret_cast<const char*>(t.data()), t.size() * 4);
}

void write_all(const char* csv, const fs::path& dir) {
    fs::create_directories(dir);
    auto const data = digits::load(csv).value();
    nn::Network net = digits::make_network(1);
    digits::train(net, data.train, 1);
    nn::save(net, dir / "digits.npz").value();
    nn::save(two_inputs(), dir / "two.npz").value();

    nn::Tensor const images = first(data.test.images, 96);
    std::size_t const n = 96, pixels = 64;
    write_npy(dir / "images.npy", images).value();
    write_npy(dir / "test.npy", data.test.images).value();
    write_npy(dir / "one image.npy", nn::Tensor({1, 8, 8}, images.span().first(pixels))).value();
    write_npy(dir / "图像.npy", images).value();
    std::vector<std::int64_t> labels(data.test.labels.begin(), data.test.labels.begin() + 96);
    write_file(dir / "labels.npy", npy("<i8", "96,", bytes_of(labels))).value();
    labels.resize(50);
    write_file(dir / "few_labels.npy", npy("<i8", "50,", bytes_of(labels))).value();
    labels.assign(96, 11);
    write_file(dir / "bad_labels.npy", npy("<i8", "96,", bytes_of(labels))).value();

    // The same numbers in other forms. Pixels are 0..16: times 15 they are 0..240, a byte.
    std::vector<double> doubles(images.begin(), images.end());
    write_file(dir / "float64.npy", npy("<f8", "96, 1, 8, 8", bytes_of(doubles))).value();
    std::vector<std::uint8_t> bytes;
    for (float v : images) bytes.push_back(static_cast<std::uint8_t>(std::lround(v * 240)));
    write_file(dir / "pixels.npy", npy("|u1", "96, 1, 8, 8", bytes_of(bytes))).value();
    write_file(dir / "images.bin",
               std::string_view(reinterpret_cast<const char*>(images.data()), images.size() * 4))
        .value();
    write_file(dir / "pixels.bin", bytes_of(bytes)).value();
    ZipWriter zip;
    zip.add("image.npy", read_file(dir / "images.npy").value());
    write_file(dir / "images_by_name.npz", std::move(zip).finish().value()).value();
    ZipWriter other;
    other.add("picture.npy", read_file(dir / "images.npy").value());
    other.add("more.npy", read_file(dir / "images.npy").value());
    write_file(dir / "other_names.npz", std::move(other).finish().value()).value();
    std::string list;
    nn::Tensor scaled = images;
    for (std::size_t i = 0; i != n; ++i) {
        std::string const name = detail::concat(i < 10 ? "0" : "", i);
        fs::create_directories(dir / "pngs");
        stbi_write_png((dir / "pngs" / (name + ".png")).c_str(), 8, 8, 1, bytes.data() + i * pixels, 8);
        write_npy(dir / "npys" / (name + ".npy"),
                  nn::Tensor({1, 8, 8}, images.span().subspan(i * pixels, pixels)))
            .value();
        detail::append(list, detail::concat("pngs/", name, ".png\n"));
    }
    // As --scale 1/240 computes it.
    for (std::size_t i = 0; i != scaled.size(); ++i)
        scaled[i] = static_cast<float>(static_cast<double>(bytes[i]) * (1.0 / 240));
    write_npy(dir / "of_pngs.npy", scaled).value();
    write_file(dir / "list.txt", list).value();
    std::vector<std::uint8_t> large;  // 16 x 16: every pixel four times
    for (std::size_t y = 0; y != 16; ++y)
        for (std::size_t x = 0; x != 16; ++x) large.push_back(bytes[y / 2 * 8 + x / 2]);
    fs::create_directories(dir / "large");
    stbi_write_bmp((dir / "large" / "a.bmp").c_str(), 16, 16, 1, large.data());
    write_file(dir / "large" / "b.pgm", detail::concat("P5\n16 16\n255\n", bytes_of(large))).value();

    fs::create_directories(dir / "protos");
    write_file(dir / "protos" / "input_0.pb", tensor_proto(first(images, 40))).value();
    nn::Tensor rest({56, 1, 8, 8}, images.span().subspan(40 * pixels));
    write_file(dir / "protos" / "input_1.pb", tensor_proto(rest)).value();
    // The first image between black edges, 16 columns x 8 rows; what a JPEG keeps exactly.
    std::vector<std::uint8_t> framed(128, 0), gray(256, 128);
    for (std::size_t y = 0; y != 8; ++y)
        for (std::size_t x = 0; x != 8; ++x) framed[y * 16 + x + 4] = bytes[y * 8 + x];
    fs::create_directories(dir / "ein Bild 图");
    stbi_write_png((dir / "framed.png").c_str(), 16, 8, 1, framed.data(), 16);
    stbi_write_jpg((dir / "ein Bild 图" / "grau 灰.jpg").c_str(), 16, 16, 1, gray.data(), 100);
    nn::Tensor of_jpeg({1, 1, 8, 8});
    of_jpeg.fill(static_cast<float>(128 * (1.0 / 256)));
    write_npy(dir / "of_jpeg.npy", of_jpeg).value();

    nn::save(wide(), dir / "wide.npz").value();
    nn::Tensor noise({448, 1, 32, 32});
    std::uint32_t state = 1;
    for (float& v : noise) {
        state = state * 1664525 + 1013904223;
        v = static_cast<float>(state >> 8) / 0x1p24f - 0.5f;
    }
    write_npy(dir / "wide.npy", noise).value();

    // What must be refused.
    std::string bmp = read_file(dir / "large" / "a.bmp").value();
    bmp.replace(18, 8, std::string("\x20\x4E\0\0\xE0\xB1\xFF\xFF", 8));  // 20000 x -20000
    fs::create_directories(dir / "vast_bmp");
    write_file(dir / "vast_bmp" / "a.bmp", bmp).value();
    fs::create_directories(dir / "long_sizes");
    write_file(dir / "long_sizes" / "a.ppm", "P6 4294967297 1 255\n...").value();
    std::string jpeg = read_file(dir / "ein Bild 图" / "grau 灰.jpg").value();
    jpeg.replace(jpeg.find("\xFF\xC4") + 5, 2, "\xFF\xFF");  // how many codes are of one bit and of two
    fs::create_directories(dir / "tables");
    write_file(dir / "tables" / "a.jpg", jpeg).value();
    nn::Tensor bad = images;
    bad[5 * pixels + 3] = std::numeric_limits<float>::quiet_NaN();
    write_npy(dir / "nan.npy", bad).value();
    write_npy(dir / "wrong_shape.npy", nn::Tensor({4, 1, 9, 8})).value();
    write_npy(dir / "zeros.npy", nn::Tensor({40, 1, 8, 8})).value();
    write_file(dir / "fortran.npy", npy("<f4", "1, 1, 8, 8", std::string(256, '\0'), "True")).value();
    write_file(dir / "big_endian.npy", npy(">f4", "1, 1, 8, 8", std::string(256, '\0'))).value();
    write_file(dir / "cut.npy", read_file(dir / "images.npy").value().substr(0, 5000)).value();
    write_file(dir / "short.bin", std::string(100, '\0')).value();
    fs::create_directories(dir / "empty");
    fs::create_directories(dir / "broken");
    stbi_write_png((dir / "broken" / "a.png").c_str(), 8, 8, 1, bytes.data(), 8);
    std::string const png = read_file(dir / "broken" / "a.png").value();
    write_file(dir / "broken" / "b.png", "this is no picture").value();
    fs::create_directories(dir / "cut_pngs");
    write_file(dir / "cut_pngs" / "a.png", png.substr(0, png.size() / 2)).value();
    fs::create_directories(dir / "vast");
    write_file(dir / "vast" / "a.ppm", "P6\n20000 20000\n255\n").value();
    fs::create_directories(dir / "mixed");
    write_npy(dir / "mixed" / "a.npy", nn::Tensor({1, 8, 8})).value();
    write_file(dir / "mixed" / "b.png", png).value();

    nn::Tensor a({6, 1, 4, 4});
    for (std::size_t i = 0; i != a.size(); ++i) a[i] = static_cast<float>(i % 7) / 7;
    write_npy(dir / "a.npy", a).value();
    write_npy(dir / "five.npy", nn::Tensor({5, 1, 4, 4})).value();
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 3) return std::fputs("usage: make_data DIGITS_CSV FOLDER\n", stderr), 2;
    write_all(argv[1], argv[2]);
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
