// SPDX-License-Identifier: Apache-2.0
#include "exact_json.hpp"

#include <amct_distill/core/concat.hpp>
#include <amct_distill/io/file.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tool {
namespace {

namespace json = boost::json;

/// What the parser calls: the values are put together as boost::json::parse does, but for the fractions,
/// which the standard library reads.
struct Values {
    static constexpr std::size_t max_object_size = (std::numeric_limits<std::size_t>::max)();
    static constexpr std::size_t max_array_size = max_object_size, max_key_size = max_object_size,
                                 max_string_size = max_object_size;
    json::value_stack stack{};
    std::string key{}, text{}, digits{};

    bool on_document_begin(json::error_code&) {
        stack.reset();
        return true;
    }
    bool on_document_end(json::error_code&) { return true; }
    bool on_object_begin(json::error_code&) { return true; }
    bool on_object_end(std::size_t n, json::error_code&) {
        stack.push_object(n);
        return true;
    }
    bool on_array_begin(json::error_code&) { return true; }
    bool on_array_end(std::size_t n, json::error_code&) {
        stack.push_array(n);
        return true;
    }
    bool on_key_part(json::string_view s, std::size_t, json::error_code&) {
        key.append(s.data(), s.size());
        return true;
    }
    bool on_key(json::string_view s, std::size_t, json::error_code&) {
        key.append(s.data(), s.size());
        stack.push_key(key);
        key.clear();
        return true;
    }
    bool on_string_part(json::string_view s, std::size_t, json::error_code&) {
        text.append(s.data(), s.size());
        return true;
    }
    bool on_string(json::string_view s, std::size_t, json::error_code&) {
        text.append(s.data(), s.size());
        stack.push_string(text);
        text.clear();
        return true;
    }
    bool on_number_part(json::string_view s, json::error_code&) {
        digits.append(s.data(), s.size());
        return true;
    }
    bool on_int64(std::int64_t i, json::string_view, json::error_code&) {
        digits.clear();
        stack.push_int64(i);
        return true;
    }
    bool on_uint64(std::uint64_t u, json::string_view, json::error_code&) {
        digits.clear();
        stack.push_uint64(u);
        return true;
    }
    bool on_double(double d, json::string_view s, json::error_code&) {
        digits.append(s.data(), s.size());
        std::from_chars(digits.data(), digits.data() + digits.size(), d);  // out of range: as it was
        digits.clear();
        stack.push_double(d);
        return true;
    }
    bool on_bool(bool b, json::error_code&) {
        stack.push_bool(b);
        return true;
    }
    bool on_null(json::error_code&) {
        stack.push_null();
        return true;
    }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }
};

}  // namespace

json::value read_json(const std::filesystem::path& path) {
    auto const text = amct_distill::read_file(path);
    json::basic_parser<Values> parser{json::parse_options{}};
    json::error_code error;
    std::size_t const read = parser.write_some(false, text.value().data(), text.value().size(), error);
    if (!error && read != text.value().size()) error = json::error::extra_data;
    if (error)
        throw std::invalid_argument(
            amct_distill::detail::concat(path.string(), ": this is no JSON: ", error.message()));
    return parser.handler().stack.release();
}

}  // namespace tool
