// SPDX-License-Identifier: Apache-2.0
/// Where the values of a JSON text stand, for diagnostics; Boost.JSON itself keeps no places.
///
///     detail::JsonPlaces const places = detail::find_json_places(text, on_repeated_key);
///     places.children[2].where            // of the third member (its key), or of the third element
#pragma once
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/diagnostic.hpp"

namespace amct_distill::detail {

/// A tree of the same shape as the value.
struct JsonPlaces {
    Position where{};                    // of a member: of its key
    std::vector<JsonPlaces> children{};  // members or elements, in the order of the text
};

template <class OnRepeatedKey>
class JsonPlaceFinder {
public:
    JsonPlaceFinder(std::string_view text, OnRepeatedKey on_repeated_key)
        : text_(text), on_repeated_key_(std::move(on_repeated_key)) {}

    JsonPlaces value() {
        blanks();
        JsonPlaces here{where_, {}};
        char const opener = text_[at_];
        if (opener == '{') {
            members(here);
        } else if (opener == '[') {
            step();
            for (blanks(); text_[at_] != ']'; separator()) here.children.push_back(value());
            step();
        } else if (opener == '"') {
            string();
        } else {
            while (at_ != text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == text_.npos)
                step();
        }
        return here;
    }

private:
    void members(JsonPlaces& here) {
        std::map<std::string, Position> keys;
        step();
        for (blanks(); text_[at_] != '}'; separator()) {
            Position const where = where_;
            auto const key = boost::json::parse(string());
            auto const [first, is_new] = keys.emplace(std::string(key.as_string()), where);
            if (!is_new) on_repeated_key_(first->first, where, first->second);
            blanks();
            step();  // the colon
            here.children.push_back(value());
            here.children.back().where = where;
        }
        step();
    }
    void separator() {
        blanks();
        if (text_[at_] == ',') step();
        blanks();
    }
    boost::json::string_view string() {
        std::size_t const start = at_;
        step();
        for (; text_[at_] != '"'; step())
            if (text_[at_] == '\\') step();
        step();
        return {text_.data() + start, at_ - start};
    }
    void blanks() {
        while (std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) step();  // more comes after them
    }
    void step() {
        char const c = text_[at_++];
        if (c == '\n')
            where_ = {where_.line + 1, 1};
        else if (at_ == text_.size() || !is_utf8_continuation(text_[at_]))
            ++where_.column;
    }

    std::string_view text_;
    OnRepeatedKey on_repeated_key_;
    std::size_t at_ = 0;
    Position where_{1, 1};
};

/// Precondition: the text is JSON, with as little nesting as Boost.JSON takes. Calls
/// `on_repeated_key(key, second, first)` for every key that its object has already.
template <class OnRepeatedKey>
JsonPlaces find_json_places(std::string_view text, OnRepeatedKey on_repeated_key) {
    return JsonPlaceFinder<OnRepeatedKey>(text, std::move(on_repeated_key)).value();
}

}  // namespace amct_distill::detail
