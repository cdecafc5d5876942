// SPDX-License-Identifier: Apache-2.0
// Any bytes as a configuration: no crash, and what is read prints back to the same message; an error has a
// message. Of an even number of bytes strictly, of an odd one with what a text of another version needs.
#include <amct_distill/config/messages.hpp>
#include <amct_distill/text/printer.hpp>
#include <amct_distill/text/reader.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace amct_distill;

namespace {

template <class M>
void check(std::string_view text, const ReaderOptions& options) {
    auto const message = read<M>(text, options);
    if (!message) {
        if (to_string(message.diagnostics()).empty()) std::abort();
        return;
    }
    std::string const printed = print(*message);
    auto const again = read<M>(printed);
    if (!again || print(*again) != printed) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<const char*>(data), size);
    ReaderOptions options;
    if (size % 2 != 0) options = {.on_duplicate = Duplicates::last_wins, .unknown_fields_are_warnings = true};
    check<AMCTDistillConfig>(text, options);
    return 0;
}
