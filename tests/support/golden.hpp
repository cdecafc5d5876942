// SPDX-License-Identifier: Apache-2.0
/// The golden numbers of `tests/golden`, as JSON.
///
///     for (const auto& c : golden::load("arq.json").at("cases").as_array())
///         golden::floats(c.at("inputs").at("weight")) ...
#pragma once
#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <vector>

namespace golden {

namespace json = boost::json;

/// The parsed file `tests/golden/<name>`; throws with the name when it cannot be read.
json::value load(const std::string& name);
/// The text of the file `tests/golden/<name>`.
std::string read_file(const std::string& name);

/// A float32: the number, or "nan", "inf", "-inf".
float to_float(const json::value& v);
double to_double(const json::value& v);

/// The data of a tensor `{"shape", "dtype", "data"}`, row-major.
std::vector<float> floats(const json::value& tensor);
std::vector<int> integers(const json::value& tensor);
std::vector<std::size_t> shape(const json::value& tensor);

/// Whether two floats have the same bits (so that -0.0 is not 0.0), any NaN being equal to any other.
bool same_bits(float a, float b);
/// The first index at which they differ in bits, or `npos`.
std::size_t first_difference(const std::vector<float>& a, const std::vector<float>& b);
inline constexpr std::size_t npos = static_cast<std::size_t>(-1);

/// The original takes 1 for every scale below 2^-23; ours is the real one, unless the range is zero. Whether
/// that is what tells these two apart: the divergence that is listed with its count.
inline bool is_guarded(float original, float ours) { return original == 1 && ours > 0 && ours < 0x1p-23f; }

/// Prints one line about how many cases ran: part of what a test run shows.
void print_count(const std::string& file, std::size_t ran, std::size_t total, const std::string& note = {});

}  // namespace golden
