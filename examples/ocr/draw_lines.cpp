// SPDX-License-Identifier: Apache-2.0
// draw_lines FONTS SEED COUNT FOLDER: lines of text as pictures of 320 x 48, and in FOLDER.txt what they say.
//
// FONTS is where DejaVu*.ttf lie, or font files with commas between them. The same seed draws the same lines;
// seeds that differ by an odd number take their words from different lists, so that lines to calibrate on and
// lines to test with share none.
#include <algorithm>
#include <amct_distill/core/concat.hpp>
#include <amct_distill/core/number.hpp>
#include <amct_distill/io/file.hpp>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#define STB_TRUETYPE_IMPLEMENTATION
#define STBTT_STATIC
#include <stb_truetype.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>

namespace {

namespace fs = std::filesystem;
using amct_distill::detail::concat;

constexpr int width = 320, height = 48, margin = 8;

constexpr std::array even_words{
    "apple",  "bridge",  "copper",  "danger", "engine",  "flower",  "garden",  "harbor", "island", "jacket",
    "kettle", "lantern", "market",  "needle", "orange",  "pepper",  "quiver",  "ribbon", "silver", "ticket",
    "umpire", "velvet",  "window",  "yellow", "zigzag",  "Monday",  "October", "Paris",  "Berlin", "North",
    "and",    "with",    "between", "under",  "invoice", "payment", "street",  "number", "total",  "open"};
constexpr std::array odd_words{"autumn",   "basket",  "candle",  "desert", "evening",  "forest",   "glider",
                               "hollow",   "impact",  "jungle",  "knight", "lizard",   "mirror",   "nature",
                               "oxygen",   "pocket",  "quartz",  "rocket", "summer",   "temple",   "urgent",
                               "village",  "whisper", "exactly", "zebra",  "Thursday", "February", "London",
                               "Madrid",   "South",   "for",     "from",   "against",  "before",   "receipt",
                               "delivery", "avenue",  "amount",  "gross",  "closed"};

class Lines {
public:
    explicit Lines(std::uint32_t seed)
        : random_(seed), words_(seed % 2 == 0 ? std::span<const char* const>(even_words) : odd_words) {}

    /// 0 to n - 1. (The standard's distributions differ between libraries.)
    int below(int n) { return static_cast<int>(random_() % static_cast<std::uint32_t>(n)); }
    int between(int first, int last) { return first + below(last - first + 1); }

    /// The next word, number, date, price or code.
    std::string word() {
        switch (below(9)) {
            case 0:
                return digits(between(1, 5));
            case 1:
                return concat("20", digits(2), "-0", between(1, 9), "-", between(10, 28));
            case 2:
                return concat("$", between(1, 999), ".", digits(2));
            case 3:
                return concat(letter(), letter(), "-", digits(4));
            default:
                break;
        }
        std::string text = words_[static_cast<std::size_t>(below(static_cast<int>(words_.size())))];
        if (int const style = below(6); style < 2)
            for (std::size_t i = 0; i != (style == 0 ? 1 : text.size()); ++i)
                if (text[i] >= 'a' && text[i] <= 'z') text[i] = static_cast<char>(text[i] - 'a' + 'A');
        return text;
    }

private:
    std::string digits(int n) {
        std::string out;
        while (n-- != 0) out += static_cast<char>('0' + below(10));
        return out;
    }
    std::string letter() { return {static_cast<char>('A' + below(26))}; }

    std::mt19937 random_;
    std::span<const char* const> words_;
};

class Font {
public:
    explicit Font(const fs::path& path) : bytes_(amct_distill::read_file(path).value()) {
        if (stbtt_InitFont(&info_, data(), stbtt_GetFontOffsetForIndex(data(), 0)) == 0)
            throw std::runtime_error(path.string() + ": this is no font");
    }
    Font(const Font&) = delete;  // what stb keeps refers to the bytes
    Font& operator=(const Font&) = delete;

    /// In pixels, with letters of this size.
    float length(std::string_view text, float size) const {
        float x = 0;
        for (std::size_t i = 0; i != text.size(); ++i) x += advance(text, i, size);
        return x;
    }
    /// How much of each pixel is ink, 0 to 255.
    std::vector<unsigned char> ink(std::string_view text, float size, float x, int baseline) const {
        std::vector<unsigned char> out(width * height, 0);
        float const scale = stbtt_ScaleForPixelHeight(&info_, size);
        for (std::size_t i = 0; i != text.size(); ++i) {
            int w = 0, h = 0, left = 0, top = 0;
            int const column = static_cast<int>(x);
            unsigned char* const glyph = stbtt_GetCodepointBitmapSubpixel(
                &info_, scale, scale, x - static_cast<float>(column), 0, text[i], &w, &h, &left, &top);
            for (int r = 0; r != h; ++r)
                for (int c = 0; c != w; ++c) {
                    int const to_x = column + left + c, to_y = baseline + top + r;
                    if (to_x < 0 || to_x >= width || to_y < 0 || to_y >= height) continue;
                    unsigned char& pixel = out[static_cast<std::size_t>(to_y * width + to_x)];
                    pixel = (std::max)(pixel, glyph[r * w + c]);
                }
            stbtt_FreeBitmap(glyph, nullptr);
            x += advance(text, i, size);
        }
        return out;
    }

private:
    const unsigned char* data() const { return reinterpret_cast<const unsigned char*>(bytes_.data()); }
    float advance(std::string_view text, std::size_t i, float size) const {
        int units = 0, bearing = 0;
        stbtt_GetCodepointHMetrics(&info_, text[i], &units, &bearing);
        if (i + 1 != text.size()) units += stbtt_GetCodepointKernAdvance(&info_, text[i], text[i + 1]);
        return static_cast<float>(units) * stbtt_ScaleForPixelHeight(&info_, size);
    }

    std::string bytes_;
    stbtt_fontinfo info_{};
};

void draw(const std::string& fonts, std::uint32_t seed, int count, const fs::path& folder) {
    std::vector<std::unique_ptr<Font>> all;
    if (fs::is_directory(fonts))
        for (const char* name :
             {"DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono"})
            all.push_back(std::make_unique<Font>(fs::path(fonts) / concat(name, ".ttf")));
    else
        for (std::size_t at = 0; at <= fonts.size();) {
            std::size_t const comma = (std::min)(fonts.find(',', at), fonts.size());
            all.push_back(std::make_unique<Font>(fonts.substr(at, comma - at)));
            at = comma + 1;
        }
    fs::create_directories(folder);
    Lines lines(seed);
    std::string texts;
    for (int n = 0; n != count; ++n) {
        const Font& font = *all[static_cast<std::size_t>(lines.below(static_cast<int>(all.size())))];
        auto const size = static_cast<float>(lines.between(26, 36));
        std::string text;
        for (;;) {
            std::string const longer = text + (text.empty() ? "" : " ") + lines.word();
            if (font.length(longer, size) > static_cast<float>(width - 2 * margin)) break;
            text = longer;
        }
        if (text.empty()) text = "1";
        auto const x = static_cast<float>(margin + lines.below(5));
        int const baseline = lines.between(32, 35), paper = lines.between(190, 255),
                  ink = lines.between(0, 90);
        std::vector<unsigned char> pixels = font.ink(text, size, x, baseline);
        for (unsigned char& p : pixels)
            p = static_cast<unsigned char>(
                (std::clamp)(paper + (ink - paper) * p / 255 + lines.between(-4, 4), 0, 255));
        std::string number = amct_distill::number(n);
        number.insert(0, 3 - (std::min)(number.size(), std::size_t{3}), '0');
        fs::path const file = folder / (number + ".png");
        if (stbi_write_png(file.c_str(), width, height, 1, pixels.data(), width) == 0)
            throw std::runtime_error(concat("cannot write ", file.string()));
        texts += text + '\n';
    }
    amct_distill::write_file(folder.string() + ".txt", texts).value();
    std::printf("%d lines of text: %s and %s.txt\n", count, folder.c_str(), folder.c_str());
}

std::uint32_t whole(std::string_view text) {
    std::uint32_t n = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc{} || end != text.data() + text.size() || n > 100000)
        throw std::invalid_argument(concat("expected a number up to 100000, found `", text, "`"));
    return n;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 5) {
        std::fprintf(stderr, "draw_lines FONTS SEED COUNT FOLDER\n");
        return 2;
    }
    draw(argv[1], whole(argv[2]), static_cast<int>(whole(argv[3])), argv[4]);
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
}
