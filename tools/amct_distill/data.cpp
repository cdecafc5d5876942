// SPDX-License-Identifier: Apache-2.0
#include "data.hpp"

#include <algorithm>
#include <amct_distill/core/concat.hpp>
#include <amct_distill/core/suggest.hpp>
#include <amct_distill/io/file.hpp>
#include <amct_distill/io/hash.hpp>
#include <amct_distill/io/mapped_file.hpp>
#include <amct_distill/io/npz.hpp>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <stdexcept>

#include "images.hpp"
#include "interrupt.hpp"
#include "npy_view.hpp"
#include "split.hpp"
#include "tensor_file.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
namespace fs = std::filesystem;
using ad::detail::concat;
using Shape = ad::nn::Shape;

std::size_t values_of(const Shape& shape) {
    return static_cast<std::size_t>(ad::nn::product(shape, 0, shape.size()));
}

/// How many samples an array has for an input. Error: its shape is not one of samples.
ad::result<std::size_t> samples_in(const std::vector<std::int64_t>& shape, const InputFacts& input,
                                   std::string_view what) {
    auto const equals = [&](std::size_t first, const Shape& expected, std::size_t skip) {
        return shape.size() - first == expected.size() - skip &&
               std::equal(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.end(),
                          expected.begin() + static_cast<std::ptrdiff_t>(skip));
    };
    if (!shape.empty() && equals(1, input.sample, 0)) return static_cast<std::size_t>(shape[0]);
    if (equals(0, input.sample, 0)) return std::size_t{1};
    std::string expected = ad::nn::to_string(input.shape);
    if (!input.free_batch) {  // [8, 3, H, W] for a model of the batch 8: as many models' inputs
        ad::nn::Index const batch = input.sample[0];
        if (!shape.empty() && input.sample.size() > 1 && equals(1, input.sample, 1)) {
            if (shape[0] % batch == 0) return static_cast<std::size_t>(shape[0] / batch);
            return ad::general_error(concat(what, ": it has ", shape[0], " samples; the model takes ", batch,
                                            " at a time: give a multiple of that"));
        }
    }
    return ad::general_error(
        concat(what, ": the input `", input.name, "` takes ", expected, ", found ", shape_text(shape)));
}

/// Owns what a NumberView looks at.
struct Bytes {
    ad::MappedFile file{};
    std::string_view view{};
};

/// Arrays of numbers, one after the other: [N, ...] each.
class ArraySamples : public Samples {
public:
    struct Part {
        std::string name{};
        NumberView view{};
        std::size_t count = 0;
    };
    ArraySamples(std::vector<std::shared_ptr<ad::MappedFile>> files, std::vector<Part> parts)
        : files_(std::move(files)), parts_(std::move(parts)) {
        for (const Part& p : parts_) ends_.push_back((ends_.empty() ? 0 : ends_.back()) + p.count);
    }
    std::size_t count() const override { return ends_.empty() ? 0 : ends_.back(); }
    ad::result<void> read(std::size_t k, std::span<float> sample) const override {
        auto const [part, at] = find(k);
        parts_[part].view.read(at * sample.size(), sample);
        touched_ += sample.size() * sizeof(float);
        if (touched_ > most_touched) {  // pages of files count as the process's memory
            for (const auto& file : files_) file->forget();
            touched_ = 0;
        }
        return {};
    }
    std::string place(std::size_t k) const override {
        auto const [part, at] = find(k);
        if (parts_[part].count == 1) return parts_[part].name;
        return concat(parts_[part].name, ", sample ", at);
    }

private:
    std::pair<std::size_t, std::size_t> find(std::size_t k) const {
        auto const part = static_cast<std::size_t>(std::ranges::upper_bound(ends_, k) - ends_.begin());
        return {part, part == 0 ? k : k - ends_[part - 1]};
    }
    static constexpr std::size_t most_touched = std::size_t{4} << 20;
    std::vector<std::shared_ptr<ad::MappedFile>> files_;
    std::vector<Part> parts_;
    std::vector<std::size_t> ends_{};
    mutable std::size_t touched_ = 0;  // bytes, about
};

class TensorSamples : public Samples {
public:
    struct File {
        fs::path path{};
        std::size_t count = 0;
    };
    TensorSamples(std::vector<File> files) : files_(std::move(files)) {
        for (std::size_t f = 0; f != files_.size(); ++f)
            for (std::size_t i = 0; i != files_[f].count; ++i) index_.emplace_back(f, i);
    }
    std::size_t count() const override { return index_.size(); }
    ad::result<void> read(std::size_t k, std::span<float> sample) const override {
        auto const [f, at] = index_[k];
        auto const tensor = read_tensor_file(files_[f].path);
        if (!tensor) return tensor.diagnostics();
        if (tensor->values.size() < (at + 1) * sample.size())
            return ad::general_error(concat(files_[f].path.string(), ": it has changed while it was in use"));
        std::copy_n(tensor->values.begin() + static_cast<std::ptrdiff_t>(at * sample.size()), sample.size(),
                    sample.begin());
        return {};
    }
    std::string place(std::size_t k) const override {
        auto const [f, at] = index_[k];
        return files_[f].count == 1 ? files_[f].path.string()
                                    : concat(files_[f].path.string(), ", sample ", at);
    }

private:
    std::vector<File> files_;
    std::vector<std::pair<std::size_t, std::size_t>> index_{};
};

class ImageSamples : public Samples {
public:
    ImageSamples(std::vector<fs::path> files, ImageRules rules)
        : files_(std::move(files)), rules_(std::move(rules)) {}
    std::size_t count() const override { return files_.size(); }
    ad::result<void> read(std::size_t k, std::span<float> sample) const override {
        return read_image(files_[k], rules_, sample);
    }
    std::string place(std::size_t k) const override { return files_[k].string(); }
    std::string picture(std::size_t k) const override { return files_[k].string(); }

private:
    std::vector<fs::path> files_;
    ImageRules rules_;
};

ad::result<std::shared_ptr<ad::MappedFile>> mapped(const fs::path& path) {
    auto file = ad::MappedFile::open(path);
    if (!file) return file.diagnostics();
    return std::make_shared<ad::MappedFile>(*std::move(file));
}

std::string ending_of(const fs::path& path) {
    std::string out = path.extension().string();
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

using Opened = ad::result<std::unique_ptr<Samples>>;

/// .npy files, and .bin files of raw numbers.
Opened open_arrays(const std::vector<fs::path>& paths, const InputFacts& input, std::string_view type) {
    std::vector<std::shared_ptr<ad::MappedFile>> files;
    std::vector<ArraySamples::Part> parts;
    ad::Diagnostics errors;
    auto const fail = [&](const ad::Diagnostics& why) {
        if (errors.size() < 20) errors.insert(errors.end(), why.begin(), why.end());
    };
    for (const fs::path& path : paths) {
        auto file = mapped(path);
        if (!file) {
            fail(file.diagnostics());
            continue;
        }
        ArraySamples::Part part{.name = path.string()};
        if (ending_of(path) == ".npy") {
            auto view = npy_view((*file)->bytes(), part.name);
            if (!view) {
                fail(view.diagnostics());
                continue;
            }
            part.view = *view;
            auto const n = samples_in(part.view.shape, input, part.name);
            if (!n) {
                fail(n.diagnostics());
                continue;
            }
            part.count = *n;
        } else {
            auto const known = number_type(type.empty() ? std::string_view("float32") : type);
            if (!known) bad_command_line("--type: `", type, "` is not known; float32, uint8, int32, ...");
            part.view.type = *known;
            part.view.bytes = (*file)->bytes();
            std::size_t const bytes = values_of(input.sample) * size_of(*known);
            if (part.view.bytes.empty() || part.view.bytes.size() % bytes != 0) {
                fail({ad::general_error(concat(part.name, ": a sample of the input `", input.name, "`, ",
                                               ad::nn::to_string(input.sample), ", has ", bytes,
                                               " bytes; the file has ", part.view.bytes.size(),
                                               "; see --type and --shape"))});
                continue;
            }
            part.count = part.view.bytes.size() / bytes;
        }
        files.push_back(*std::move(file));
        parts.push_back(std::move(part));
    }
    if (!errors.empty()) return errors;
    return std::unique_ptr<Samples>(new ArraySamples(std::move(files), std::move(parts)));
}

Opened open_npz(const fs::path& path, const InputFacts& input, std::size_t inputs) {
    auto file = mapped(path);
    if (!file) return file.diagnostics();
    auto const zip = ad::ZipReader::open((*file)->bytes());
    if (!zip)
        return ad::general_error(concat("cannot read ", path.string(), ": ", zip.diagnostics()[0].message));
    auto array = zip->find(input.name + ".npy");
    if (!array && inputs == 1 && zip->files().size() == 1) array = zip->files()[0].content;
    if (!array) {
        std::string names;
        for (const auto& f : zip->files())
            ad::detail::append(
                names, concat(names.empty() ? "`" : ", `",
                              f.name.substr(0, f.name.size() - (f.name.ends_with(".npy") ? 4 : 0)), "`"));
        return ad::general_error(concat(path.string(), ": no array `", input.name,
                                        "`, an input of the model; it has ", names.empty() ? "none" : names));
    }
    ArraySamples::Part part{.name = concat(path.string(), ", array `", input.name, "`")};
    auto const view = npy_view(*array, part.name);
    if (!view) return view.diagnostics();
    part.view = *view;
    auto const n = samples_in(part.view.shape, input, part.name);
    if (!n) return n.diagnostics();
    part.count = *n;
    return std::unique_ptr<Samples>(new ArraySamples({*std::move(file)}, {std::move(part)}));
}

Opened open_files(const std::vector<fs::path>& paths, const InputFacts& input, const DataOptions& options,
                  std::string_view type) {
    std::string const ending = ending_of(paths.front());
    if (is_image_file(paths.front())) {
        auto rules = image_rules(options,
                                 input.free_batch || input.sample.size() < 4 || input.sample[0] != 1
                                     ? input.sample
                                     : Shape(input.sample.begin() + 1, input.sample.end()),
                                 input.name);
        if (!rules) return rules.diagnostics();
        ad::Diagnostics errors;
        for (const fs::path& path : paths)
            if (auto ok = check_image(path); !ok && errors.size() < 20)
                errors.insert(errors.end(), ok.diagnostics().begin(), ok.diagnostics().end());
        if (!errors.empty()) return errors;
        return std::unique_ptr<Samples>(new ImageSamples(paths, *std::move(rules)));
    }
    if (ending == ".npy" || ending == ".bin") return open_arrays(paths, input, type);
    if (ending == ".pb") {
        std::vector<TensorSamples::File> files;
        ad::Diagnostics errors;
        for (const fs::path& path : paths) {
            auto const tensor = read_tensor_file(path);
            auto const n = tensor ? samples_in(tensor->shape, input, path.string())
                                  : ad::result<std::size_t>(tensor.diagnostics());
            if (n)
                files.push_back({path, *n});
            else if (errors.size() < 20)
                errors.insert(errors.end(), n.diagnostics().begin(), n.diagnostics().end());
        }
        if (!errors.empty()) return errors;
        return std::unique_ptr<Samples>(new TensorSamples(std::move(files)));
    }
    return ad::general_error(
        concat(paths.front().string(),
               ": expected .npy, .npz, .pb, .bin, a picture, or a folder or list (.txt) of those"));
}

bool is_data_file(const fs::path& path) {
    std::string const ending = ending_of(path);
    return ending == ".npy" || ending == ".bin" || ending == ".pb" || is_image_file(path);
}

Opened open_folder(const fs::path& folder, const InputFacts& input, const DataOptions& options,
                   std::string_view type) {
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
        if (it->is_regular_file() && is_data_file(it->path())) files.push_back(it->path());
    if (error) return ad::detail::file_error("read", folder, error.value());
    if (files.empty())
        return ad::general_error(
            concat("the folder ", folder.string(), " has no .npy, .pb, .bin file and no picture"));
    std::ranges::sort(files);
    auto const kind = [](const fs::path& p) {
        return is_image_file(p) ? std::string("picture") : ending_of(p);
    };
    for (const fs::path& f : files)
        if (kind(f) != kind(files.front()))
            return ad::general_error(concat("the folder ", folder.string(), " has files of two kinds, ",
                                            files.front().filename().string(), " and ", f.filename().string(),
                                            "; which are the samples?"));
    return open_files(files, input, options, type);
}

Opened open_list(const fs::path& list, const InputFacts& input, const DataOptions& options,
                 std::string_view type) {
    auto const text = ad::read_file(list);
    if (!text) return text.diagnostics();
    std::vector<fs::path> files;
    for (std::string_view rest = *text; !rest.empty();) {
        std::size_t const end = (std::min)(rest.find('\n'), rest.size());
        std::string_view line = rest.substr(0, end);
        rest.remove_prefix((std::min)(end + 1, rest.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.empty()) files.push_back(list.parent_path() / fs::path(std::string(line)));
    }
    if (files.empty()) return ad::general_error(concat("the list ", list.string(), " names no file"));
    return open_files(files, input, options, type);
}

Opened open_path(const fs::path& path, const InputFacts& input, std::size_t inputs,
                 const DataOptions& options, std::string_view type) {
    std::error_code error;
    auto const status = fs::status(path, error);
    if (!fs::exists(status)) return ad::detail::file_error("open", path, error ? error.value() : ENOENT);
    if (fs::is_directory(status)) return open_folder(path, input, options, type);
    std::string const ending = ending_of(path);
    if (ending == ".npz") return open_npz(path, input, inputs);
    if (ending == ".txt") return open_list(path, input, options, type);
    return open_files({path}, input, options, type);
}

/// Which path is whose, by input.
std::vector<std::string> paths_by_input(const DataOptions& options, const std::vector<InputFacts>& inputs) {
    std::vector<std::string> out(inputs.size()), plain;
    std::vector<std::string_view> names;
    for (const InputFacts& i : inputs) names.push_back(i.name);
    for (const std::string& given : options.data) {
        std::size_t const equals = given.find('=');
        std::error_code ignored;
        if (equals == given.npos || fs::exists(given, ignored)) {
            // AMCT's "folder1;folder2" for several inputs
            if (inputs.size() > 1 && given.find(';') != given.npos)
                for (std::string_view one : split(given, ';')) plain.emplace_back(one);
            else
                plain.push_back(given);
            continue;
        }
        std::string const name = given.substr(0, equals);
        auto const at = std::ranges::find(names, name);
        if (at == names.end()) {
            auto const meant = ad::detail::nearest(name, names);
            std::string all;
            for (std::string_view n : names)
                ad::detail::append(all, concat(all.empty() ? "`" : ", `", n, "`"));
            bad_input("--data: `", name, "` is no input of the model, which has ", all,
                      meant.empty() ? "" : concat("; did you mean `", meant, "`?"));
        }
        std::string& place = out[static_cast<std::size_t>(at - names.begin())];
        if (!place.empty()) bad_command_line("--data: the input `", name, "` is given twice");
        place = given.substr(equals + 1);
    }
    bool const archive = plain.size() == 1 && ending_of(plain[0]) == ".npz";
    if (archive) {
        for (std::string& path : out)
            if (path.empty()) path = plain[0];
    } else {
        std::size_t next = 0;
        for (std::string& path : out)
            if (path.empty() && next != plain.size()) path = plain[next++];
        if (next != plain.size())
            bad_input("--data: ", options.data.size(), " are given for ", inputs.size(),
                      inputs.size() == 1 ? " input" : " inputs");
    }
    for (std::size_t i = 0; i != out.size(); ++i)
        if (out[i].empty())
            bad_input("no data for the input `", inputs[i].name, "`: --data ", inputs[i].name, "=PATH");
    return out;
}

std::vector<std::int64_t> read_labels(const std::string& path, std::size_t samples) {
    auto const file = ad::MappedFile::open(path);
    auto const view = npy_view(file.value().bytes(), path);
    const NumberView& numbers = view.value();
    if (numbers.type == NumberType::f16 || numbers.type == NumberType::f32 || numbers.type == NumberType::f64)
        bad_input(path, ": expected whole class numbers, found floats; write labels.astype('int64')");
    if (numbers.count() != samples)
        bad_input(path, ": expected ", samples, " labels, one for each sample, found ", numbers.count());
    std::vector<float> values(samples);
    numbers.read(0, values);
    std::vector<std::int64_t> out;
    for (std::size_t i = 0; i != samples; ++i) {
        if (values[i] < 0) bad_input(path, ": label ", i, " is ", values[i], "; classes are counted from 0");
        out.push_back(static_cast<std::int64_t>(values[i]));
    }
    return out;
}

}  // namespace

std::vector<InputFacts> inputs_of(const Model& model) {
    std::vector<InputFacts> out;
    for (std::size_t k = 0; k != model.network.inputs().size(); ++k) {
        InputFacts one;
        one.name = k < model.inputs.size() ? model.inputs[k] : model.network.name(model.network.inputs()[k]);
        one.shape = model.network.node(model.network.inputs()[k]).shape;
        one.free_batch = one.shape[0] == ad::nn::any_batch;
        one.sample = one.free_batch ? Shape(one.shape.begin() + 1, one.shape.end()) : one.shape;
        out.push_back(std::move(one));
    }
    return out;
}

Dataset open_data(const DataOptions& options, const Model& model) {
    Dataset out;
    out.inputs_ = inputs_of(model);
    out.paths_ = paths_by_input(options, out.inputs_);
    std::vector<std::string_view> const types = split(options.types, ';');
    ad::Diagnostics errors;
    for (std::size_t i = 0; i != out.inputs_.size(); ++i) {
        auto opened = open_path(out.paths_[i], out.inputs_[i], out.inputs_.size(), options,
                                types[(std::min)(i, types.size() - 1)]);
        if (opened)
            out.sources_.push_back(*std::move(opened));
        else
            errors.insert(errors.end(), opened.diagnostics().begin(), opened.diagnostics().end());
    }
    if (!errors.empty()) throw ad::ConfigError(errors);
    std::size_t const count = out.sources_[0]->count();
    for (std::size_t i = 1; i != out.sources_.size(); ++i)
        if (out.sources_[i]->count() != count)
            bad_input("the input `", out.inputs_[0].name, "` has ", count, " samples, `", out.inputs_[i].name,
                      "` ", out.sources_[i]->count());
    if (count == 0) bad_input(out.paths_[0], ": there are no samples");
    bool free = true;
    for (const InputFacts& i : out.inputs_) free = free && i.free_batch;
    out.batch_ = free ? options.batch : 1;
    out.limit_ = options.limit == 0 ? count : (std::min)(options.limit, count);
    if (options.seed) {
        // Fisher and Yates; std::shuffle is not the same in every standard library.
        std::mt19937_64 random(*options.seed);
        out.order_.resize(count);
        std::iota(out.order_.begin(), out.order_.end(), std::size_t{0});
        for (std::size_t i = count; i > 1; --i) std::swap(out.order_[i - 1], out.order_[random() % i]);
    }
    if (!options.labels.empty()) {
        auto const labels = read_labels(options.labels, count);
        for (std::size_t k = 0; k != out.limit_; ++k) out.labels_.push_back(labels[out.source_index(k)]);
    }
    return out;
}

ad::result<ad::Batch> Dataset::load(std::size_t i, ad::BatchSlice part) const {
    if (interrupted()) return ad::general_error("interrupted");
    std::size_t const first = i * batch_ + static_cast<std::size_t>(part.begin),
                      n = static_cast<std::size_t>(part.size());
    ad::Batch out;
    for (std::size_t k = 0; k != inputs_.size(); ++k) {
        Shape shape = inputs_[k].shape;
        if (inputs_[k].free_batch) shape[0] = static_cast<ad::nn::Index>(n);
        ad::nn::Tensor& tensor = out.emplace_back(shape);
        std::size_t const size = tensor.size() / n;
        for (std::size_t s = 0; s != n; ++s) {
            std::span<float> const sample = tensor.span().subspan(s * size, size);
            std::size_t const from = source_index(first + s);
            if (auto ok = sources_[k]->read(from, sample); !ok) return ok.diagnostics();
            for (std::size_t v = 0; v != size; ++v)
                if (!std::isfinite(sample[v]))
                    return ad::general_error(concat(sources_[k]->place(from), ": value ", v, " is ",
                                                    sample[v], "; the values must be finite"));
        }
    }
    return out;
}

DataFacts look_at(const Dataset& data, Console& console) {
    DataFacts out;
    out.samples = data.samples();
    out.batches = data.size();
    ad::detail::Hash hash;
    struct Sums {
        double sum = 0, squares = 0, min = std::numeric_limits<double>::infinity(), max = -min;
        std::size_t count = 0;
        void add(std::span<const float> values) {
            for (float v : values) {
                double const x = static_cast<double>(v);
                sum += x, squares += x * x;
                min = (std::min)(min, x), max = (std::max)(max, x);
            }
            count += values.size();
        }
        double mean() const { return sum / static_cast<double>(count); }
    };
    std::vector<Sums> all(data.inputs().size());
    for (std::size_t i = 0; i != data.size(); ++i) {
        auto const batch = data.load(i);
        if (!batch && interrupted()) throw Stop(exit_interrupted, "interrupted; nothing was written");
        const ad::Batch& tensors = batch.value();
        for (std::size_t k = 0; k != tensors.size(); ++k) {
            all[k].add(tensors[k].span());
            hash.add_bytes(tensors[k].span());
            if (i != 0) continue;
            InputRange& r = out.inputs.emplace_back();
            r.name = data.inputs()[k].name;
            r.path = data.paths()[k];
            r.shape.assign(tensors[k].shape().begin(), tensors[k].shape().end());
            r.first_min = all[k].min, r.first_max = all[k].max, r.first_mean = all[k].mean();
        }
        if (data.size() > 1)
            console.progress("reading the data", concat("batch ", i + 1, " of ", data.size()),
                             static_cast<double>(i + 1) / static_cast<double>(data.size()));
    }
    console.finish();
    out.hash = hash.value();
    auto const digits = [](double x) { return ad::number(x, std::chars_format::general, 4); };
    ad::Table table({{.heading = "input", .least = 8},
                     {"samples"},
                     {"first batch"},
                     {"least"},
                     {"greatest"},
                     {"mean"},
                     {.heading = "of all", .drop = 1}});
    for (std::size_t k = 0; k != out.inputs.size(); ++k) {
        InputRange& r = out.inputs[k];
        r.min = all[k].min, r.max = all[k].max, r.mean = all[k].mean();
        r.std =
            std::sqrt((std::max)(0.0, all[k].squares / static_cast<double>(all[k].count) - r.mean * r.mean));
        table.add({r.name, ad::number(data.samples()), shape_text(r.shape), digits(r.first_min),
                   digits(r.first_max), digits(r.first_mean), concat(digits(r.min), " .. ", digits(r.max))});
        if (r.min == 0 && r.max == 0)
            out.warnings.push_back(concat("the input `", r.name, "` is all zeros"));
        else if (r.min == r.max)
            out.warnings.push_back(concat("all values of the input `", r.name, "` are ", digits(r.min)));
        else if (r.min >= 0 && r.max > 100 && r.max <= 255 && data.inputs()[k].sample.size() >= 3)
            out.warnings.push_back(concat("the input `", r.name, "` has values of 0 to ", digits(r.max),
                                          ": these look like pixels that are not normalized; see --scale, "
                                          "--mean and --std, or divide the array"));
    }
    console.table("The data", table.text(console.width()));
    for (const std::string& w : out.warnings) console.warn(concat("warning: ", w));
    return out;
}

}  // namespace tool
