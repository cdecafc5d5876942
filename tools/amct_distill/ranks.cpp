// SPDX-License-Identifier: Apache-2.0
#include "ranks.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "program.hpp"
#ifdef AMCT_DISTILL_MPI
#include <amct_distill/adapters/mpi.hpp>
#endif

namespace tool {
namespace {

/// Whether a launcher of MPI's has started more than this process: what Open MPI, MPICH and Slurm set.
bool are_several() {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"})
        if (const char* const size = std::getenv(name)) return std::string_view(size) != "1";
    return std::getenv("PMIX_RANK") != nullptr;
}

#ifdef AMCT_DISTILL_MPI
std::unique_ptr<amct_distill::MpiRanks>& held() {
    static std::unique_ptr<amct_distill::MpiRanks> ranks;
    return ranks;
}
#endif

void say(const std::string& why) {
    if (!why.empty()) std::fprintf(stderr, "%s\n", why.c_str());
}

}  // namespace

#ifdef AMCT_DISTILL_MPI
amct_distill::Ranks* begin_ranks(int& argc, char**& argv) {
    if (!are_several()) return nullptr;
    held() = std::make_unique<amct_distill::MpiRanks>(argc, argv);
    // The others would say the same.
    if (held()->rank() != 0 && std::freopen("/dev/null", "w", stdout) == nullptr) bad_input("no /dev/null");
    return held().get();
}

std::size_t ranks_here() { return held() == nullptr ? 1 : held()->size_here(); }

int end_ranks(int code, const std::string& why, bool has_failed) {
    if (held() == nullptr) return say(why), code;
    if (held()->rank() == 0) say(why == no_memory ? "error: rank 0: there is not enough memory" : why);
    if (has_failed) held()->fail(std::string_view(why).substr(why.starts_with("error: ") ? 7 : 0));
    return held()->finish(code);
}
#else
amct_distill::Ranks* begin_ranks(int&, char**&) {
    if (are_several())
        bad_command_line(
            "several processes were started, and this program was built without MPI; build it "
            "with -DAMCT_DISTILL_MPI=ON");
    return nullptr;
}
std::size_t ranks_here() { return 1; }
int end_ranks(int code, const std::string& why, bool) { return say(why), code; }
#endif

}  // namespace tool
