// SPDX-License-Identifier: Apache-2.0
#include "images.hpp"

#include <algorithm>
#include <amct_distill/core/concat.hpp>
#include <amct_distill/io/file.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string_view>

#include "program.hpp"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#include <stb_image.h>

namespace tool {
namespace {

namespace ad = amct_distill;
using ad::detail::concat;

/// A number, or a fraction: "1/255".
double number_of(std::string_view text, std::string_view option) {
    auto const one = [&](std::string_view part) {
        while (part.starts_with(' ')) part.remove_prefix(1);
        while (part.ends_with(' ')) part.remove_suffix(1);
        double value = 0;
        auto const [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
        if (error != std::errc{} || end != part.data() + part.size() || !std::isfinite(value))
            bad_command_line(option, ": expected a number, found `", part, "`");
        return value;
    };
    std::size_t const slash = text.find('/');
    if (slash == text.npos) return one(text);
    double const below = one(text.substr(slash + 1));
    if (below == 0) bad_command_line(option, ": `", text, "` divides by 0");
    return one(text.substr(0, slash)) / below;
}
/// One number for every channel, or one for all.
std::vector<double> per_channel(const std::string& text, std::size_t channels, double otherwise,
                                std::string_view option) {
    std::vector<double> out;
    for (std::string_view rest = text; !rest.empty();) {
        std::size_t const end = (std::min)(rest.find(','), rest.size());
        out.push_back(number_of(rest.substr(0, end), option));
        rest.remove_prefix((std::min)(end + 1, rest.size()));
    }
    if (out.empty()) out.push_back(otherwise);
    if (out.size() == 1) out.resize(channels, out[0]);
    if (out.size() != channels)
        bad_command_line(option, ": expected ",
                         channels == 1 ? "1 number" : concat("1 or ", channels, " numbers"), ", found ",
                         out.size());
    return out;
}

/// For each value of a row of `to` values: which of `from` it is made of, and how much of each.
struct Taps {
    std::size_t first = 0;
    std::vector<double> weights{};
};
std::vector<Taps> taps(std::size_t from, std::size_t to) {
    double const step = static_cast<double>(from) / static_cast<double>(to), reach = (std::max)(step, 1.0);
    std::vector<Taps> out(to);
    for (std::size_t i = 0; i != to; ++i) {
        double const centre = (static_cast<double>(i) + 0.5) * step;
        auto const begin = static_cast<std::size_t>((std::max)(std::floor(centre - reach), 0.0));
        std::size_t const end =
            (std::min)(static_cast<std::size_t>((std::max)(std::ceil(centre + reach), 1.0)), from);
        double sum = 0;
        out[i].first = begin;
        for (std::size_t k = begin; k < end; ++k) {
            double const w = (std::max)(0.0, 1 - std::abs((static_cast<double>(k) + 0.5 - centre) / reach));
            out[i].weights.push_back(w);
            sum += w;
        }
        for (double& w : out[i].weights) w /= sum;
    }
    return out;
}

Pixels scaled(const Pixels& image, std::size_t height, std::size_t width) {
    if (image.height == height && image.width == width) return image;
    std::size_t const c = image.channels;
    auto const across = taps(image.width, width), down = taps(image.height, height);
    std::vector<double> rows(image.height * width * c);
    for (std::size_t y = 0; y != image.height; ++y)
        for (std::size_t x = 0; x != width; ++x)
            for (std::size_t k = 0; k != c; ++k) {
                double sum = 0;
                for (std::size_t t = 0; t != across[x].weights.size(); ++t)
                    sum +=
                        across[x].weights[t] * image.values[(y * image.width + across[x].first + t) * c + k];
                rows[(y * width + x) * c + k] = sum;
            }
    Pixels out{height, width, c, std::vector<unsigned char>(height * width * c)};
    for (std::size_t y = 0; y != height; ++y)
        for (std::size_t i = 0; i != width * c; ++i) {
            double sum = 0;
            for (std::size_t t = 0; t != down[y].weights.size(); ++t)
                sum += down[y].weights[t] * rows[(down[y].first + t) * width * c + i];
            out.values[y * width * c + i] =
                static_cast<unsigned char>(std::clamp(std::nearbyint(sum), 0.0, 255.0));
        }
    return out;
}

/// The part of `from` that begins at (y, x), which may be outside: there it is black.
Pixels window(const Pixels& from, std::ptrdiff_t y, std::ptrdiff_t x, std::size_t height, std::size_t width) {
    Pixels out{height, width, from.channels, std::vector<unsigned char>(height * width * from.channels)};
    for (std::size_t i = 0; i != height; ++i)
        for (std::size_t j = 0; j != width; ++j) {
            std::ptrdiff_t const a = y + static_cast<std::ptrdiff_t>(i),
                                 b = x + static_cast<std::ptrdiff_t>(j);
            if (a < 0 || b < 0 || a >= static_cast<std::ptrdiff_t>(from.height) ||
                b >= static_cast<std::ptrdiff_t>(from.width))
                continue;
            for (std::size_t k = 0; k != from.channels; ++k)
                out.values[(i * width + j) * from.channels + k] =
                    from.values[(static_cast<std::size_t>(a) * from.width + static_cast<std::size_t>(b)) *
                                    from.channels +
                                k];
        }
    return out;
}

}  // namespace

bool is_image_file(const std::filesystem::path& path) {
    std::string ending = path.extension().string();
    for (char& ch : ending)
        if (ch >= 'A' && ch <= 'Z') ch = static_cast<char>(ch - 'A' + 'a');
    for (std::string_view known : {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".pnm"})
        if (ending == known) return true;
    return false;
}

ad::result<ImageRules> image_rules(const DataOptions& options, const ad::nn::Shape& sample,
                                   std::string_view input) {
    ImageRules out;
    if (sample.size() != 3)
        return ad::general_error(concat("the input `", input, "` takes samples ", ad::nn::to_string(sample),
                                        ", which are no images; give it .npy files"));
    auto const size = [&](std::size_t d) { return static_cast<std::size_t>(sample[d]); };
    auto const colours = [](std::size_t n) { return n == 1 || n == 3; };
    if (!options.layout.empty())
        out.channels_last = options.layout == "nhwc";
    else
        out.channels_last = !colours(size(0)) && colours(size(2));
    out.channels = out.channels_last ? size(2) : size(0);
    out.height = out.channels_last ? size(0) : size(1);
    out.width = out.channels_last ? size(1) : size(2);
    if (!colours(out.channels))
        return ad::general_error(concat("the input `", input, "` takes samples ", ad::nn::to_string(sample),
                                        ": images have 1 or 3 channels, in ",
                                        out.channels_last ? "nhwc" : "nchw", "; see --layout"));
    if (!options.size.empty()) {
        std::size_t h = 0, w = 0;
        const char* const begin = options.size.data();
        const char* const end = begin + options.size.size();
        auto [at, error] = std::from_chars(begin, end, h);
        if (error == std::errc{} && at == end)
            w = h;
        else if (error != std::errc{} || *at != 'x' || std::from_chars(at + 1, end, w).ptr != end || w == 0)
            bad_command_line("--size: expected height x width, 224x224, found `", options.size, "`");
        if (h != out.height || w != out.width)
            return ad::general_error(concat("--size ", options.size, ": the input `", input, "` takes ",
                                            out.height, "x", out.width,
                                            "; give --shape where the model leaves it open"));
    }
    out.resize = options.resize == "fit"    ? Resize::fit
                 : options.resize == "crop" ? Resize::crop
                                            : Resize::fill;
    out.scale = number_of(options.scale, "--scale");
    out.mean = per_channel(options.mean, out.channels, 0, "--mean");
    out.std = per_channel(options.std, out.channels, 1, "--std");
    for (double s : out.std)
        if (s == 0) bad_command_line("--std: 0 divides nothing");
    out.bgr = options.order == "bgr";
    return out;
}

namespace {
/// A small file may hold a picture that takes all memory.
constexpr std::int64_t most_pixels = std::int64_t{1} << 27;

/// Whether the sizes of a PGM or PPM picture have at most nine digits: stb_image's ints overflow beyond.
bool sizes_fit(std::string_view bytes) {
    if (!bytes.starts_with("P5") && !bytes.starts_with("P6")) return true;
    std::size_t at = 2;
    auto const skip = [&](std::string_view what) {
        std::size_t const from = at;
        at = (std::min)(bytes.find_first_not_of(what, at), bytes.size());
        return at - from;
    };
    for (int number = 0; number != 3; ++number) {
        skip(" \t\n\v\f\r");
        while (bytes.substr(at).starts_with('#')) {
            at = (std::min)(bytes.find_first_of("\n\r", at), bytes.size());
            skip(" \t\n\v\f\r");
        }
        if (skip("0123456789") > 9) return false;
    }
    return true;
}

/// Whether every table of a JPEG picture has at most 256 codes: stb_image, up to its version 2.27, writes
/// what is beyond them over its own memory.
bool tables_fit(std::string_view bytes) {
    auto const byte = [&](std::size_t i) {
        return i < bytes.size() ? std::size_t{static_cast<unsigned char>(bytes[i])} : 0;
    };
    if (byte(0) != 0xFF) return true;
    for (std::size_t at = 0; at < bytes.size();) {
        if (byte(at) != 0xFF) {
            ++at;
            continue;
        }
        while (byte(at) == 0xFF) ++at;
        std::size_t const marker = byte(at++);
        if (marker == 0xD9) break;  // the picture's end
        // FF 00 and the restarts stand in a picture's data; after its beginning comes no length.
        if (marker == 0 || (marker >= 0xD0 && marker <= 0xD8)) continue;
        std::size_t const end = at + (byte(at) << 8) + byte(at + 1);
        if (marker == 0xC4)
            for (std::size_t table = at + 2; table < end;) {
                std::size_t codes = 0;
                for (std::size_t i = 1; i <= 16; ++i) codes += byte(table + i);
                if (codes > 256) return false;
                table += 17 + codes;
            }
        at = (std::max)(end, at + 2);
    }
    return true;
}

}  // namespace

ad::result<void> check_picture(std::string_view name, std::string_view bytes) {
    int w = 0, h = 0, c = 0;
    if (bytes.size() > 0x7FFFFFFF) return ad::general_error(concat("cannot read ", name, ": too large"));
    if (!tables_fit(bytes))
        return ad::general_error(
            concat("cannot read ", name, ": a table of this JPEG picture has more than 256 codes"));
    if (!sizes_fit(bytes))
        return ad::general_error(concat("cannot read ", name, ": a size of this picture is too large"));
    if (stbi_info_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()), static_cast<int>(bytes.size()),
                              &w, &h, &c) == 0)
        return ad::general_error(concat("cannot read ", name, ": it is no PNG, JPEG, BMP or PPM picture"));
    // A BMP whose rows begin above has a negative height.
    std::int64_t const width = std::abs(std::int64_t{w}), height = std::abs(std::int64_t{h});
    if (width * height > most_pixels)
        return ad::general_error(concat("cannot read ", name, ": it has ", width, " x ", height,
                                        " pixels; expected at most ", most_pixels, " of them"));
    return {};
}

ad::result<void> check_image(const std::filesystem::path& path) {
    auto const bytes = ad::read_file(path);
    if (!bytes) return bytes.diagnostics();
    return check_picture(path.string(), *bytes);
}

ad::result<Pixels> decode_image(const std::filesystem::path& path, std::size_t channels) {
    auto const bytes = ad::read_file(path);
    if (!bytes) return bytes.diagnostics();
    if (auto const ok = check_picture(path.string(), *bytes); !ok) return ok.diagnostics();
    int w = 0, h = 0, c = 0;
    std::unique_ptr<stbi_uc, void (*)(void*)> const pixels(
        stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(bytes->data()),
                              static_cast<int>(bytes->size()), &w, &h, &c, static_cast<int>(channels)),
        stbi_image_free);
    if (!pixels)
        return ad::general_error(concat("cannot read ", path.string(), ": ",
                                        stbi_failure_reason() == nullptr ? "?" : stbi_failure_reason()));
    Pixels out{static_cast<std::size_t>(h), static_cast<std::size_t>(w), channels, {}};
    out.values.assign(pixels.get(), pixels.get() + out.height * out.width * channels);
    return out;
}

Pixels resized(const Pixels& image, std::size_t height, std::size_t width, Resize how) {
    if (image.height == height && image.width == width) return image;
    if (how == Resize::fill) return scaled(image, height, width);
    double const h = static_cast<double>(height) / static_cast<double>(image.height),
                 w = static_cast<double>(width) / static_cast<double>(image.width);
    double const f = how == Resize::fit ? (std::min)(h, w) : (std::max)(h, w);
    auto const part = [&](std::size_t n, std::size_t limit) {
        auto const scaled_to =
            static_cast<std::size_t>((std::max)(std::nearbyint(static_cast<double>(n) * f), 1.0));
        return how == Resize::fit ? (std::min)(scaled_to, limit) : (std::max)(scaled_to, limit);
    };
    Pixels const inner = scaled(image, part(image.height, height), part(image.width, width));
    auto const offset = [](std::size_t a, std::size_t b) {
        return (static_cast<std::ptrdiff_t>(a) - static_cast<std::ptrdiff_t>(b)) / 2;
    };
    return window(inner, offset(inner.height, height), offset(inner.width, width), height, width);
}

ad::result<void> read_image(const std::filesystem::path& path, const ImageRules& rules,
                            std::span<float> sample) {
    auto const decoded = decode_image(path, rules.channels);
    if (!decoded) return decoded.diagnostics();
    Pixels const image = resized(*decoded, rules.height, rules.width, rules.resize);
    std::size_t const positions = rules.height * rules.width;
    for (std::size_t c = 0; c != rules.channels; ++c) {
        std::size_t const from = rules.bgr ? rules.channels - 1 - c : c;
        float table[256];
        for (std::size_t v = 0; v != 256; ++v)
            table[v] =
                static_cast<float>((static_cast<double>(v) * rules.scale - rules.mean[c]) / rules.std[c]);
        for (std::size_t i = 0; i != positions; ++i)
            sample[rules.channels_last ? i * rules.channels + c : c * positions + i] =
                table[image.values[i * rules.channels + from]];
    }
    return {};
}

}  // namespace tool
