// SPDX-License-Identifier: Apache-2.0
/// Whether a page is well formed, and what is in it: a small parser of the HTML that the library writes.
#pragma once
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace support {

struct Html {
    struct Element {
        std::string tag{};
        std::map<std::string, std::string> attributes{};
        std::string text{};  ///< of itself and of all in it, entities as they stand
    };
    std::vector<Element> elements{};  ///< in the order in which they begin
    std::string error{};              ///< empty: well formed

    /// Every element is closed where it must be, attributes are in quotes and stand once, no `<` or `&` is
    /// bare.
    explicit Html(std::string_view page) {
        parse(page);
        check_links();
    }

    std::vector<const Element*> all(std::string_view tag) const {
        std::vector<const Element*> found;
        for (const Element& e : elements)
            if (e.tag == tag) found.push_back(&e);
        return found;
    }

private:
    void parse(std::string_view page) {
        std::vector<std::size_t> open;
        auto const fail = [&](std::string what, std::size_t at) {
            if (error.empty()) error = what + " near: " + std::string(page.substr(at, 60));
        };
        static const std::set<std::string, std::less<>> empty{"meta", "link", "br", "img", "input"};
        std::size_t i = 0;
        while (i < page.size() && error.empty()) {
            if (page[i] != '<') {
                std::size_t const end = (std::min)(page.find('<', i), page.size());
                std::string_view const text = page.substr(i, end - i);
                for (std::size_t a = text.find('&'); a != text.npos; a = text.find('&', a + 1))
                    if (text.find(';', a) == text.npos || text.find(';', a) - a > 8) fail("a bare &", i + a);
                for (std::size_t e : open) elements[e].text += text;
                i = end;
                continue;
            }
            if (page.substr(i).starts_with("<!DOCTYPE html>")) {
                i += 15;
                continue;
            }
            std::size_t const begin = i++;
            bool const closing = page[i] == '/';
            if (closing) ++i;
            std::string tag;
            while (i < page.size() && (std::isalnum(static_cast<unsigned char>(page[i])) != 0))
                tag += page[i++];
            if (tag.empty()) return fail("no tag", begin);
            Element element{.tag = tag};
            while (i < page.size() && page[i] != '>' && page[i] != '/') {
                while (page[i] == ' ') ++i;
                std::string name;
                while (i < page.size() && page[i] != '=' && page[i] != ' ' && page[i] != '>' &&
                       page[i] != '/')
                    name += page[i++];
                std::string value;
                if (page[i] == '=') {
                    if (page[++i] != '"') return fail("an attribute without quotes", begin);
                    std::size_t const end = page.find('"', ++i);
                    value = page.substr(i, end - i);
                    if (value.find('<') != value.npos) return fail("< in an attribute", begin);
                    i = end + 1;
                }
                if (name.empty()) return fail("no attribute", begin);
                if (!element.attributes.emplace(name, value).second) return fail("an attribute twice", begin);
            }
            bool const closed = page[i] == '/';
            if (closed) ++i;
            if (i >= page.size() || page[i] != '>') return fail("a tag without end", begin);
            ++i;
            if (closing) {
                if (open.empty() || elements[open.back()].tag != tag)
                    return fail(
                        "</" + tag + "> closes " + (open.empty() ? "nothing" : elements[open.back()].tag),
                        begin);
                open.pop_back();
                continue;
            }
            elements.push_back(std::move(element));
            if (closed || empty.contains(tag)) continue;
            open.push_back(elements.size() - 1);
            if (tag == "script" || tag == "style") {
                std::size_t const end = page.find("</" + tag, i);
                elements.back().text = page.substr(i, end - i);
                i = end;
            }
        }
        if (error.empty() && !open.empty()) error = "not closed: " + elements[open.back()].tag;
    }
    /// Ids stand once, and every link within the page leads to one.
    void check_links() {
        std::set<std::string> ids;
        for (const Element& e : elements)
            if (auto const id = e.attributes.find("id"); id != e.attributes.end())
                if (!ids.insert(id->second).second && error.empty()) error = "the id twice: " + id->second;
        for (const Element& e : elements)
            for (const char* name : {"href", "for", "aria-labelledby"}) {
                auto const link = e.attributes.find(name);
                if (link == e.attributes.end() ||
                    (link->second[0] != '#' && std::string_view(name) == "href"))
                    continue;
                std::string const id = link->second[0] == '#' ? link->second.substr(1) : link->second;
                if (!ids.contains(id) && error.empty()) error = "leads nowhere: " + id;
            }
    }
};

}  // namespace support
