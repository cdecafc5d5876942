// SPDX-License-Identifier: Apache-2.0
// Any bytes as one of the files that are read besides configurations and models: no crash, an error has a
// message, what is read is written to what reads as the same, and what is taken can be run. The program's
// name says which one: fuzz_npy, fuzz_npz, fuzz_image, fuzz_record, fuzz_network, fuzz_checkpoint,
// fuzz_deployment.
//
// Archives are changed inside, so that their checksums are right; a deployment's folder is an archive here.
#include <algorithm>
#include <amct_distill/deploy/deployment.hpp>
#include <amct_distill/deploy/integer.hpp>
#include <amct_distill/deploy/read.hpp>
#include <amct_distill/deploy/write.hpp>
#include <amct_distill/distill/checkpoint.hpp>
#include <amct_distill/nn/save.hpp>
#include <amct_distill/text/printer-inl.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "amct_distill/images.hpp"
#include "amct_distill/npy_view.hpp"
#include "run_network.hpp"
#include "support/deploy_networks.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace amct_distill;
namespace fs = std::filesystem;

void require(bool holds) {
    if (!holds) std::abort();
}
/// Whether it was read.
template <class T>
bool taken(const result<T>& r) {
    if (!r) require(!to_string(r.diagnostics()).empty());
    return static_cast<bool>(r);
}

template <class T>
void npy_of(std::string_view bytes) {
    auto const array = parse_npy_of<T>(bytes, "x");
    if (!taken(array)) return;
    auto const again =
        parse_npy_of<T>(detail::npy_content<T>(array->shape, std::span(std::as_const(array->values))), "x");
    require(again && again->shape == array->shape && again->values.size() == array->values.size());
    require(array->values.empty() ||
            std::memcmp(again->values.data(), array->values.data(), array->values.size() * sizeof(T)) == 0);
}
void npy(std::string_view bytes) {
    npy_of<float>(bytes);
    npy_of<std::int32_t>(bytes);
    npy_of<std::int8_t>(bytes);
    npy_of<std::uint8_t>(bytes);
    auto const view = tool::npy_view(bytes, "x");
    if (!taken(view)) return;
    std::vector<float> values(view->count());
    view->read(0, values);
}

void npz(std::string_view bytes) {
    auto const archive = ZipReader::open(bytes);
    if (!taken(archive)) return;
    require(archive->size() <= bytes.size());
    ZipWriter out;
    for (const auto& f : archive->files()) {
        require(archive->find(f.name).has_value());
        out.add(std::string(f.name), f.content);
    }
    std::string const written = std::move(out).finish().value();
    auto const again = ZipReader::open(written);
    require(again && again->files().size() == archive->files().size());
    for (std::size_t i = 0; i != again->files().size(); ++i)
        require(again->files()[i].name == archive->files()[i].name &&
                again->files()[i].content == archive->files()[i].content);
}

/// Of pictures what the program does before it decodes them.
void image(std::string_view bytes) { (void)taken(tool::check_picture("x.png", bytes)); }

template <class M>
void text_of(std::string_view bytes) {
    auto const message = read<M>(bytes);
    if (!taken(message)) return;
    std::string const printed = print(*message);
    auto const again = read<M>(printed);
    require(again && print(*again) == printed);
}
void record(std::string_view bytes) {
    bytes.size() % 2 == 0 ? text_of<ScaleOffsetRecord>(bytes) : text_of<DeploymentFiles>(bytes);
}

/// A network that is not yet built to its end, which can be saved, has no outputs and cannot run.
void run(const nn::Network& net) {
    if (!net.outputs().empty()) fuzz::run(net);
}

result<nn::Network> network_of(std::string_view bytes) {
    auto const archive = ZipReader::open(bytes);
    if (!archive) return archive.diagnostics();
    auto const text = archive->find("network.txt");
    if (!text) return general_error("no network.txt");
    return detail::NetworkReader<>(*text, *archive, "x").read();
}
void network(std::string_view bytes) {
    auto const net = network_of(bytes);
    if (!taken(net)) return;
    auto const written = nn::to_bytes(*net);
    require(taken(written));
    auto const again = network_of(*written);
    require(taken(again) && nn::print(*again) == nn::print(*net));
    run(*net);
}

/// A student, of whose first block the file may be.
struct Trained {
    nn::Network teacher = support::small_network();
    Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
    std::vector<TrainedBlock> blocks = blocks_of(teacher, student.plan(), BlockShape::automatic);

    std::vector<float> parameters() {
        std::vector<float> all;
        for (const auto& m : student.network().modules())
            for (const auto& p : student.network().module(m.name).parameters())
                all.insert(all.end(), p.values.begin(), p.values.end());
        return all;
    }
};
void checkpoint(std::string_view bytes) {
    static const Trained first;
    static Trained now = first;
    static const std::vector<float> before = now.parameters();
    static const nn::Tensor x = support::small_batches(1, 1)[0];
    if (taken(RunDirectory("run", {}, now.blocks).load(0, now.student, bytes))) {
        (void)now.student.predict(x);
        now.student = first.student;
        return;
    }
    std::vector<float> const after = now.parameters();
    require(after.size() == before.size() &&
            std::memcmp(after.data(), before.data(), before.size() * sizeof(float)) == 0);
}

/// A folder whose files are those of an archive; those that have not changed are not written again.
class Folder {
public:
    Folder() {
        std::string path = (fs::temp_directory_path() / "fuzz_deployment.XXXXXX").string();
        require(mkdtemp(path.data()) != nullptr);
        path_ = path;
        fs::create_directory(path_ / "weights");
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code none;
        fs::remove_all(path_, none);
    }
    const fs::path& path() const { return path_; }
    void fill(const ZipReader& archive) {
        std::map<std::string, std::string> next;
        for (const auto& f : archive.files()) {
            std::string const name(f.name);
            fs::path const path = name;
            if (name.find('\0') != name.npos || name.size() > 100 || path.filename().empty() ||
                path.filename() == "." || path.filename() == "..")
                continue;
            if (path == path.filename() || path == fs::path("weights") / path.filename())
                next.emplace(name, f.content);
        }
        for (const auto& [name, content] : files_)
            if (std::error_code none; !next.contains(name)) fs::remove(path_ / name, none);
        for (const auto& [name, content] : next)
            if (auto const old = files_.find(name); old == files_.end() || old->second != content)
                if (std::FILE* const f = std::fopen((path_ / name).c_str(), "wb")) {
                    std::fwrite(content.data(), 1, content.size(), f);
                    std::fclose(f);
                }
        files_ = std::move(next);
    }

private:
    fs::path path_{};
    std::map<std::string, std::string> files_{};
};
void deployment(std::string_view bytes) {
    static Folder folder;
    auto const archive = ZipReader::open(bytes);
    if (!archive) return;
    folder.fill(*archive);
    auto const device = read_deployment(folder.path());
    if (!taken(device)) return;
    require(print(make_record(*device)).empty() == device->layers().empty());
    run(device->network());
    run(integer_network(*device));
}

/// What the seeds are made of: FUZZ_SEEDS=FOLDER writes them there.
void write_seeds(const fs::path& folder, std::string_view format) {
    auto const put = [&](const std::string& name, const std::string& bytes) {
        write_file(folder / name, bytes).value();
    };
    if (format == "npy") {
        put("f4", detail::npy_content<float>({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}));
        put("i4", detail::npy_content<std::int32_t>({2}, std::vector<std::int32_t>{1, 2}));
        put("i1", detail::npy_content<std::int8_t>({0, 2}, std::vector<std::int8_t>{}));
        put("u1", detail::npy_content<std::uint8_t>({1, 2}, std::vector<std::uint8_t>{1, 2}));
    }
    if (format == "npz" || format == "network")
        put("network.npz", nn::to_bytes(support::small_network()).value());
    if (format == "npz") {
        ZipWriter zip;
        for (const char* name : {"a", "b.npy", ""}) zip.add(name, name);
        put("three.npz", std::move(zip).finish().value());
    }
    if (format == "checkpoint") {
        Trained of;
        RunDirectory(folder, {}, of.blocks)
            .save(0, of.student, {.epoch_losses = {1, 0.5}, .stopped = "x"})
            .value();
    }
    if (format == "deployment" || format == "record") {
        int k = 0;
        for (const std::string& config : support::deployed_configs()) {
            Folder of;
            write(deploy(support::calibrated_student(
                             k % 2 == 0 ? support::small_network() : support::every_convolution(), config))
                      .value(),
                  of.path(), {.network = true})
                .value();
            ZipWriter zip;
            for (const auto& entry : fs::recursive_directory_iterator(of.path())) {
                if (!entry.is_regular_file()) continue;
                std::string const content = read_file(entry.path()).value();
                zip.add(fs::relative(entry.path(), of.path()).generic_string(), content);
                if (format == "record" && entry.path().extension() == ".txt")
                    put(detail::concat(entry.path().stem().string(), k), content);
            }
            if (format == "deployment") put(detail::concat("deployment", k), std::move(zip).finish().value());
            ++k;
        }
    }
}

struct Format {
    std::string_view name{};
    void (*take)(std::string_view) = nullptr;
};
constexpr Format formats[] = {{"npy", npy},
                              {"npz", npz},
                              {"image", image},
                              {"record", record},
                              {"network", network},
                              {"checkpoint", checkpoint},
                              {"deployment", deployment}};
const Format* format = nullptr;

/// One file of the archive is changed; a file that is an archive, inside.
std::string change_archive(const ZipReader& archive, std::minstd_rand& random) {
    ZipWriter zip;
    std::size_t const which = random() % (archive.files().size() + 1), more = 64;
    for (std::size_t i = 0; i != archive.files().size(); ++i) {
        const auto& f = archive.files()[i];
        std::string name(f.name), content(f.content);
        if (i == which) {
            auto const inner = ZipReader::open(content);
            std::string& changed = random() % 8 == 0 ? name : content;
            if (inner && random() % 8 != 0) {
                content = change_archive(*inner, random);
            } else {
                std::size_t const size = changed.size();
                changed.resize(size + more);
                changed.resize(
                    LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(changed.data()), size, size + more));
            }
            if (random() % 32 == 0) continue;
            if (random() % 32 == 0) zip.add(name, content);
        }
        zip.add(std::move(name), content);
    }
    if (archive.files().empty()) zip.add("network.txt", "amct_distill network 1\n");
    return std::move(zip).finish().value();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** argv) {
    std::string_view const program = (*argv)[0];
    for (const Format& f : formats)
        if (program.ends_with(detail::concat("fuzz_", f.name))) format = &f;
    if (format == nullptr) {
        std::fprintf(stderr, "%s: is to be called fuzz_npy, ..., as the file it reads\n", (*argv)[0]);
        std::exit(2);
    }
    if (const char* const folder = std::getenv("FUZZ_SEEDS")) {
        write_seeds(folder, format->name);
        std::exit(0);
    }
    return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
    std::minstd_rand random(seed);
    bool const raw = random() % 16 == 0;
    bool const zipped = format->take == npz || format->take == network || format->take == deployment;
    if (zipped && !raw) {
        auto const archive = ZipReader::open({reinterpret_cast<const char*>(data), size});
        std::string const out = change_archive(archive ? *archive : ZipReader(), random);
        if (out.size() <= max_size)
            return static_cast<std::size_t>(std::copy(out.begin(), out.end(), data) - data);
    }
    size = LLVMFuzzerMutate(data, size, max_size);
    if (format->take == checkpoint && !raw && size > 8) {
        std::uint64_t const hash = detail::hash_of({reinterpret_cast<const char*>(data), size - 8});
        std::memcpy(data + size - 8, &hash, 8);
    }
    return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    format->take({reinterpret_cast<const char*>(data), size});
    return 0;
}
