// SPDX-License-Identifier: Apache-2.0
// ONNX's own tests through the import: each model is read, run on the inputs beside it, and compared with
// the outputs beside those.
//
//     conformance_onnx_nodes [DIRECTORY] [--expected FILE] [--least N] [--only TEXT] [-v] [--list]
//
// Node tests have weights as inputs of the graph. So every test is imported in several ways (see `ways`), and
// each way that is not refused must give the right numbers: within 1e-5 of the largest output, or, for the
// tests that FILE lists as loose, within ONNX's own tolerance. FILE also lists what is refused, and why: the
// test fails when another is refused, when one of those runs, when a number is wrong, or when fewer than N
// run. Of newer test data (ONNX 1.17 has tests that 1.12 has not) what FILE does not name is only told.

#include <algorithm>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/input_shapes.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "support/onnx_data.hpp"

namespace {

using namespace amct_distill;
namespace fs = std::filesystem;

struct Options {
    fs::path directory = "/usr/share/libonnx-testdata/data";
    fs::path expected{};
    std::string only{};
    std::size_t least = 0;
    bool verbose = false, list = false;
};

enum class Bound { integers, all_but_first, none, all };

/// How a model is imported.
struct Way {
    std::string_view name;
    Bound bound;
    onnx::Batch batch;
};
constexpr Way ways[] = {
    {"integers bound", Bound::integers, onnx::Batch::as_exported},
    {"all but the first bound", Bound::all_but_first, onnx::Batch::as_exported},
    {"nothing bound", Bound::none, onnx::Batch::as_exported},
    {"all bound", Bound::all, onnx::Batch::as_exported},
    {"integers bound, batch free", Bound::integers, onnx::Batch::free},
    {"all but the first bound, batch free", Bound::all_but_first, onnx::Batch::free},
};

struct DataSet {
    std::vector<onnx_data::Values> inputs{}, outputs{};  // as the graph's, initializers left out
};

/// input_0.pb, input_1.pb ... as far as they go.
result<std::vector<onnx_data::Values>> read_list(const fs::path& folder, std::string_view kind) {
    std::vector<onnx_data::Values> out;
    for (std::size_t i = 0;; ++i) {
        fs::path const file = folder / (std::string(kind) + "_" + std::to_string(i) + ".pb");
        if (!fs::exists(file)) return out;
        result<onnx_data::Values> values = onnx_data::read(file);
        if (!values) return values.diagnostics();
        out.push_back(*std::move(values));
    }
}

struct Outcome {
    bool ran = false;                        // with an input that is no constant
    bool folded = false;                     // with all inputs bound: computed while reading
    std::string refused{};                   // why; of the first way
    std::string wrong{};                     // what; of any way
    std::string op{};                        // the operator that is refused
    double relative = 0;                     // the worst of all ways and outputs
    bool loose = false;                      // 1e-5 of the largest output is not enough
    std::vector<std::string_view> ran_as{};  // ways
};

std::string first_message(const Diagnostics& all) {
    return all.empty() ? std::string("no reason is given") : all.front().message;
}

/// "Conv" and "expected ..." of "node 3 (Conv), which makes `y`: expected ..."; without an operator "model".
std::pair<std::string, std::string> operator_and_reason(std::string_view message) {
    if (!message.starts_with("node ")) return {"model", std::string(message)};
    std::size_t const open = message.find(" ("), close = message.find(')', open);
    if (open == message.npos || close == message.npos) return {"model", std::string(message)};
    std::string op(message.substr(open + 2, close - open - 2));
    std::string_view reason = message.substr(close + 1);
    if (reason.starts_with(", which makes `"))
        reason.remove_prefix((std::min)(reason.size(), reason.find("`: ") + 1));
    if (reason.starts_with(": ")) reason.remove_prefix(2);
    return {std::move(op), std::string(reason)};
}

/// The inputs of the graph that are no initializers.
std::vector<const onnx::ValueInfoProto*> inputs_of(const onnx::GraphProto& graph) {
    std::set<std::string_view> initializers;
    for (const onnx::TensorProto& t : graph.initializer) initializers.insert(t.name.get());
    std::vector<const onnx::ValueInfoProto*> out;
    for (const onnx::ValueInfoProto& v : graph.input)
        if (!initializers.contains(v.name.get())) out.push_back(&v);
    return out;
}

class Test {
public:
    explicit Test(fs::path folder) : folder_(std::move(folder)) {}

    Outcome run() {
        result<onnx::ModelFile> const model = onnx::ModelFile::open(folder_ / "model.onnx");
        if (!model) return refused(first_message(model.diagnostics()));
        for (std::size_t k = 0; fs::exists(folder_ / ("test_data_set_" + std::to_string(k))); ++k) {
            fs::path const data = folder_ / ("test_data_set_" + std::to_string(k));
            result<std::vector<onnx_data::Values>> inputs = read_list(data, "input");
            result<std::vector<onnx_data::Values>> outputs = read_list(data, "output");
            if (!inputs || !outputs) {
                // A sequence, or texts: the import must say so by itself.
                result<onnx::Imported> const imported = onnx::import_network(*model, {});
                if (imported)
                    out_.wrong = "imported, though a value is no tensor of numbers";
                else
                    refuse(first_message(imported.diagnostics()));
                return std::move(out_);
            }
            sets_.push_back({*std::move(inputs), *std::move(outputs)});
        }
        if (sets_.empty()) return refused("the test has no data");
        inputs_ = inputs_of(model->graph());
        for (DataSet& set : sets_) {
            for (std::size_t i = 0; i != set.inputs.size() && i != inputs_.size(); ++i)
                read_as_declared(set.inputs[i], *inputs_[i]);
            for (std::size_t i = 0; i != set.outputs.size(); ++i)
                read_as_declared(set.outputs[i], model->graph().output.at(i));
        }
        for (const DataSet& set : sets_)
            for (const onnx_data::Values& v : set.inputs)
                if (std::ranges::any_of(v.data, [](double x) {
                        return std::isfinite(x) && !std::isfinite(static_cast<float>(x));
                    }))
                    return refused("the test's data is of doubles that no float holds");
        std::set<std::pair<std::vector<bool>, bool>> tried;
        for (const Way& way : ways) {
            std::vector<bool> bound;
            for (std::size_t i = 0; i != inputs_.size(); ++i) bound.push_back(is_bound(way.bound, i));
            if (!tried.insert({bound, way.batch == onnx::Batch::free}).second) continue;
            try {
                import_one(*model, way, bound);
            } catch (const std::exception& e) {
                fail(way, std::string("threw: ") + e.what());
            }
        }
        return std::move(out_);
    }

private:
    void refuse(std::string_view message) {
        if (out_.refused.empty()) std::tie(out_.op, out_.refused) = operator_and_reason(message);
    }
    Outcome refused(std::string_view why) {
        refuse(why);
        return std::move(out_);
    }
    /// ONNX 1.12 wrote bfloat16 data as the bits in uint16.
    static void read_as_declared(onnx_data::Values& v, const onnx::ValueInfoProto& info) {
        if (v.type != onnx::ElementType::uint16 || !info.type.has_value() ||
            !info.type->tensor_type.has_value() ||
            info.type->tensor_type->elem_type.get() != static_cast<int>(onnx::ElementType::bfloat16))
            return;
        v.type = onnx::ElementType::bfloat16;
        for (double& x : v.data) x = onnx::from_bfloat16(static_cast<std::uint16_t>(x));
    }
    void fail(const Way& way, const std::string& what) {
        if (out_.wrong.empty()) out_.wrong = std::string(way.name) + ": " + what;
    }
    bool is_bound(Bound bound, std::size_t i) const {
        switch (bound) {
            case Bound::integers:
                return !onnx::is_floating(sets_.front().inputs.at(i).type);
            case Bound::all_but_first:
                return i != 0;
            case Bound::none:
                return false;
            case Bound::all:
                return true;
        }
        return false;
    }

    /// Values are bound of the first data set; the others are run when they bind the same.
    void import_one(const onnx::ModelFile& model, const Way& way, const std::vector<bool>& bound) {
        const DataSet& first = sets_.front();
        if (first.inputs.size() != inputs_.size())
            return fail(way, "the test has another number of inputs than the model");
        onnx::ImportOptions options;
        options.batch = way.batch;
        for (std::size_t i = 0; i != inputs_.size(); ++i) {
            std::string const name(inputs_[i]->name.get());
            if (bound[i])
                options.constants.emplace(name, first.inputs[i].tensor());
            else if (way.batch == onnx::Batch::as_exported && !is_declared(*inputs_[i]))
                options.shapes[name].assign(first.inputs[i].shape.begin(), first.inputs[i].shape.end());
            if (!bound[i] && !fits(*inputs_[i], first.inputs[i].shape))
                return refuse("the test's data has another shape than its model says");
        }
        result<onnx::Imported> imported = onnx::import_network(model, options);
        if (!imported) {
            if (imported.diagnostics().empty()) fail(way, "refused without a reason");
            return refuse(first_message(imported.diagnostics()));
        }
        (imported->inputs.empty() ? out_.folded : out_.ran) = true;
        out_.ran_as.push_back(way.name);
        for (const DataSet& set : sets_) {
            if (set.inputs.size() != inputs_.size()) return fail(way, "data sets differ in their inputs");
            bool same = true;
            for (std::size_t i = 0; i != inputs_.size(); ++i)
                same = same && (!bound[i] || set.inputs[i].data == first.inputs[i].data);
            if (same) run_one(imported->network, imported->inputs, set, way);
        }
    }
    static bool fits(const onnx::ValueInfoProto& info, const std::vector<std::size_t>& shape) {
        auto const declared = onnx::declared_shape(info);
        if (!declared) return true;
        bool same = declared->size() == shape.size();
        for (std::size_t i = 0; same && i != shape.size(); ++i)
            same = !(*declared)[i].value || *(*declared)[i].value == static_cast<std::int64_t>(shape[i]);
        return same;
    }
    static bool is_declared(const onnx::ValueInfoProto& info) {
        auto const shape = onnx::declared_shape(info);
        return shape &&
               std::ranges::all_of(*shape, [](const onnx::DeclaredSize& d) { return bool(d.value); });
    }

    void run_one(const nn::Network& network, const std::vector<std::string>& names, const DataSet& set,
                 const Way& way) {
        std::vector<nn::Tensor> inputs;
        for (const std::string& name : names)
            for (std::size_t i = 0; i != inputs_.size(); ++i)
                if (inputs_[i]->name.get() == name) inputs.push_back(set.inputs[i].tensor());
        std::vector<nn::Tensor> const found = network.predict(inputs);
        if (found.size() != set.outputs.size())
            return fail(way, "the network has " + std::to_string(found.size()) + " outputs, the test " +
                                 std::to_string(set.outputs.size()));
        for (std::size_t i = 0; i != found.size(); ++i) {
            const onnx_data::Values& expected = set.outputs[i];
            if (found[i].shape() != expected.network_shape())
                return fail(way, "output " + std::to_string(i) + " is " + nn::to_string(found[i].shape()) +
                                     ", expected " + nn::to_string(expected.network_shape()));
            onnx_data::Difference const d = onnx_data::compare(found[i], expected.data);
            out_.relative = (std::max)(out_.relative, d.relative);
            out_.loose = out_.loose || d.relative > 1e-5;
            bool const exact = !onnx::is_floating(expected.type);
            if (d.excess > 1 || (exact && d.largest != 0))
                fail(way, "output " + std::to_string(i) + " differs by " + std::to_string(d.largest) +
                              " of " + std::to_string(d.largest_expected));
        }
    }

    fs::path folder_;
    std::vector<DataSet> sets_{};
    std::vector<const onnx::ValueInfoProto*> inputs_{};
    Outcome out_{};
};

/// Lines `refused NAME REASON` and `loose NAME`; what begins with # is a comment.
struct Expected {
    std::map<std::string, std::string, std::less<>> refused{};
    std::set<std::string, std::less<>> loose{};
    std::map<std::string, std::string, std::less<>> disputed{};  // ONNX's result is not the runtimes'

    static Expected read(const fs::path& path) {
        Expected out;
        std::ifstream in(path);
        if (!in) {
            std::printf("cannot read %s\n", path.string().c_str());
            std::exit(2);
        }
        for (std::string line; std::getline(in, line);) {
            std::istringstream words(line);
            std::string kind, name, reason;
            words >> kind >> name;
            std::getline(words >> std::ws, reason);
            if (kind == "refused") out.refused.emplace(name, reason);
            if (kind == "loose") out.loose.insert(name);
            if (kind == "disputed") out.disputed.emplace(name, reason);
        }
        return out;
    }
};

Options arguments(int argc, char** argv) {
    Options o;
    for (int i = 1; i < argc; ++i) {
        std::string_view const a = argv[i];
        bool const more = i + 1 < argc;
        if (a == "-v")
            o.verbose = true;
        else if (a == "--list")
            o.list = true;
        else if (a == "--expected" && more)
            o.expected = argv[++i];
        else if (a == "--least" && more)
            o.least = std::strtoull(argv[++i], nullptr, 10);
        else if (a == "--only" && more)
            o.only = argv[++i];
        else
            o.directory = a;
    }
    return o;
}

/// NAME of all tests of a folder of tests, in order.
std::vector<fs::path> tests_in(const fs::path& directory, std::string_view only) {
    std::vector<fs::path> out;
    for (std::string_view group : {"node", "simple", "pytorch-converted", "pytorch-operator"}) {
        std::error_code none;
        std::vector<fs::path> of_group;
        for (const auto& entry : fs::directory_iterator(directory / group, none))
            if (fs::exists(entry.path() / "model.onnx") &&
                entry.path().filename().string().find(only) != std::string::npos)
                of_group.push_back(entry.path());
        std::ranges::sort(of_group);
        out.insert(out.end(), of_group.begin(), of_group.end());
    }
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    Options const options = arguments(argc, argv);
    Expected const expected = options.expected.empty() ? Expected{} : Expected::read(options.expected);
    bool const newer = fs::exists(options.directory / "node" / "test_gelu_default_1");  // ONNX 1.15 and later
    std::vector<fs::path> const tests = tests_in(options.directory, options.only);
    if (tests.empty()) {
        std::printf("no tests in %s\n", options.directory.string().c_str());
        return 77;
    }

    std::size_t ran = 0, folded = 0, refused = 0, wrong = 0, loose = 0, bad = 0, unlisted = 0, disputed = 0;
    std::map<std::string_view, std::size_t> by_way;
    std::map<std::string, std::map<std::string, std::size_t>> reasons;  // by operator
    auto const complain = [&](const std::string& name, const std::string& what) {
        ++bad;
        std::printf("%s: %s\n", name.c_str(), what.c_str());
    };
    for (const fs::path& folder : tests) {
        std::string const name = folder.filename().string();
        Outcome const o = Test(folder).run();
        for (std::string_view way : o.ran_as) ++by_way[way];
        if (auto const other = expected.disputed.find(name); other != expected.disputed.end()) {
            if (o.wrong.empty())
                complain(name, "is as ONNX's test has it, though the list has it as disputed");
            ++disputed;
            std::printf("%s: %s\n", name.c_str(), other->second.c_str());
        } else if (!o.wrong.empty()) {
            ++wrong;
            complain(name, "WRONG: " + o.wrong);
        } else if (o.ran || o.folded) {
            ++(o.ran ? ran : folded);
            loose += o.loose;
            if (o.loose && options.list) std::printf("loose %s\n", name.c_str());
            if (expected.refused.contains(name)) {
                std::printf("%s runs, though the list has it as refused\n", name.c_str());
                bad += !newer;
            }
            if (o.loose && !options.expected.empty() && !expected.loose.contains(name) && !newer)
                complain(name, "differs by more than 1e-5 of the largest output, " +
                                   std::to_string(o.relative) + ", and is not listed as loose");
            if (!o.loose && expected.loose.contains(name) && !newer)
                complain(name, "is listed as loose, but is within 1e-5 of the largest output");
        } else {
            ++refused;
            ++reasons[o.op][o.refused];
            if (options.list)
                std::printf("refused %s %s: %s\n", name.c_str(), o.op.c_str(), o.refused.c_str());
            if (!options.expected.empty() && !expected.refused.contains(name)) {
                if (newer)
                    ++unlisted;
                else
                    complain(name, "refused, and not in the list: " + o.op + ": " + o.refused);
            }
        }
        if (options.verbose) {
            std::printf("%s (%s): %s", name.c_str(), o.op.c_str(),
                        !o.wrong.empty() ? "WRONG"
                        : o.ran          ? "ran"
                                         : ("refused: " + o.refused).c_str());
            if (o.ran) std::printf(", differs by %.2g", o.relative);
            for (std::string_view way : o.ran_as)
                std::printf("; %.*s", static_cast<int>(way.size()), way.data());
            std::printf("\n");
        }
    }
    if (!options.list) {
        std::printf("refused, by operator:\n");
        for (auto const& [op, of_op] : reasons) {
            std::size_t count = 0;
            for (auto const& [reason, n] : of_op) count += n;
            std::printf("  %s %zu: %s%s\n", op.c_str(), count, of_op.begin()->first.c_str(),
                        of_op.size() > 1 ? "; ..." : "");
        }
        for (auto const& [way, n] : by_way)
            std::printf("  %zu with %.*s\n", n, static_cast<int>(way.size()), way.data());
        std::string const not_listed =
            unlisted != 0 ? " (" + std::to_string(unlisted) + " of them not listed)" : "";
        std::printf(
            "conformance: ONNX's tests: ran %zu (%zu of them computed while reading, %zu within ONNX's "
            "tolerance only), refused %zu%s, disputed %zu, wrong %zu\n",
            ran + folded, folded, loose, refused, not_listed.c_str(), disputed, wrong);
    }
    if (ran + folded < options.least)
        complain("all", "only " + std::to_string(ran + folded) + " ran, at least " +
                            std::to_string(options.least) + " did before");
    return bad == 0 ? 0 : 1;
}
