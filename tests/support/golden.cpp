// SPDX-License-Identifier: Apache-2.0
#include "golden.hpp"

#include <bit>
#include <boost/json/src.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>

namespace golden {

std::string read_file(const std::string& name) {
    std::ifstream in(std::string(AMCT_DISTILL_GOLDEN_DIR) + "/" + name, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read tests/golden/" + name);
    return {std::istreambuf_iterator<char>(in), {}};
}

json::value load(const std::string& name) { return json::parse(read_file(name)); }

double to_double(const json::value& v) {
    if (v.is_string()) {
        std::string_view const s = v.as_string();
        if (s == "nan") return std::numeric_limits<double>::quiet_NaN();
        if (s == "inf") return std::numeric_limits<double>::infinity();
        if (s == "-inf") return -std::numeric_limits<double>::infinity();
        throw std::runtime_error("not a number: " + std::string(s));
    }
    return v.to_number<double>();
}
float to_float(const json::value& v) { return static_cast<float>(to_double(v)); }

std::vector<float> floats(const json::value& tensor) {
    std::vector<float> out;
    for (const auto& v : tensor.at("data").as_array()) out.push_back(to_float(v));
    return out;
}
std::vector<int> integers(const json::value& tensor) {
    std::vector<int> out;
    for (const auto& v : tensor.at("data").as_array()) out.push_back(v.to_number<int>());
    return out;
}
std::vector<std::size_t> shape(const json::value& tensor) {
    std::vector<std::size_t> out;
    for (const auto& v : tensor.at("shape").as_array()) out.push_back(v.to_number<std::size_t>());
    return out;
}

bool same_bits(float a, float b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}
std::size_t first_difference(const std::vector<float>& a, const std::vector<float>& b) {
    if (a.size() != b.size()) return a.size() < b.size() ? a.size() : b.size();
    for (std::size_t i = 0; i != a.size(); ++i)
        if (!same_bits(a[i], b[i])) return i;
    return npos;
}

void print_count(const std::string& file, std::size_t ran, std::size_t total, const std::string& note) {
    std::printf("golden %s: %zu of %zu cases ran%s%s\n", file.c_str(), ran, total, note.empty() ? "" : "; ",
                note.c_str());
    std::fflush(stdout);
}

}  // namespace golden
