// SPDX-License-Identifier: Apache-2.0
/// Models with inputs and our outputs in files, for another engine to run and compare: see
/// tests/models/onnx_runtime.mjs.
///
///     onnx_tasks::Tasks tasks("build/models/zoo");
///     tasks.add("resnet.onnx", {{"x", images}}, {{"y", found}}, 1e-5);
///     tasks.write();                                               // tasks.json
#pragma once
#include <amct_distill/io/file.hpp>
#include <amct_distill/nn/tensor.hpp>
#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace onnx_tasks {

using namespace amct_distill;

struct NamedTensor {
    std::string name{};
    nn::Tensor tensor{};
    bool integers = false;  ///< the model has int64 there
};

class Tasks {
public:
    explicit Tasks(std::filesystem::path directory) : directory_(std::move(directory)) {
        std::filesystem::create_directories(directory_);
    }
    const std::filesystem::path& directory() const { return directory_; }

    /// `tolerance`: of the largest value of each output. `levels`: ONNX Runtime's of optimization, each of
    /// which is a run.
    void add(const std::filesystem::path& model, const std::vector<NamedTensor>& inputs,
             const std::vector<NamedTensor>& outputs, double tolerance,
             const std::vector<std::string>& levels = {"disabled"}) {
        boost::json::object task;
        task["model"] = std::filesystem::absolute(model).string();
        task["tolerance"] = tolerance;
        task["inputs"] = files(inputs);
        task["outputs"] = files(outputs);
        task["levels"] = boost::json::array(levels.begin(), levels.end());
        tasks_.push_back(std::move(task));
    }
    void write() const { write_file(directory_ / "tasks.json", boost::json::serialize(tasks_)).value(); }

private:
    boost::json::array files(const std::vector<NamedTensor>& tensors) {
        boost::json::array out;
        for (const NamedTensor& t : tensors) {
            std::string const file = std::to_string(count_++) + ".f32";
            write_file(directory_ / file,
                       {reinterpret_cast<const char*>(t.tensor.data()), t.tensor.size() * sizeof(float)})
                .value();
            boost::json::object o;
            o["name"] = t.name;
            o["file"] = file;
            o["type"] = t.integers ? "int64" : "float32";
            boost::json::array shape;
            for (nn::Index d : t.tensor.shape()) shape.push_back(d);
            o["shape"] = std::move(shape);
            out.push_back(std::move(o));
        }
        return out;
    }

    std::filesystem::path directory_;
    boost::json::array tasks_{};
    std::size_t count_ = 0;
};

}  // namespace onnx_tasks
