// SPDX-License-Identifier: Apache-2.0
/// The ranks of an MPI program share a run: mpirun -n 4 ./program
///
///     int main(int argc, char** argv) {
///         amct_distill::MpiRanks ranks(argc, argv);
///         RunOptions run{.threads = 2, .directory = "out/run", .ranks = &ranks};
///         ...                                             // calibrate, distill, verify: on every rank
///         return ranks.finish(0);
///     }
///
/// MPI's C interface, of Open MPI or MPICH; link MPI::MPI_CXX. Without `finish`, or after a failure, the
/// program ends by MPI_Abort, which ends all ranks: none waits for one that is gone.
#pragma once
// Without the C++ interface of old, which no one asks for.
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../run/ranks.hpp"

namespace amct_distill {

class MpiRanks : public Ranks {
public:
    /// Begins MPI, once a program.
    MpiRanks(int& argc, char**& argv) {
        int provided = 0;
        MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
        MPI_Comm_dup(MPI_COMM_WORLD, &world_);
        MPI_Comm_rank(world_, &rank_);
        MPI_Comm_size(world_, &size_);
        MPI_Comm here = MPI_COMM_NULL;
        MPI_Comm_split_type(world_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here);
        MPI_Comm_size(here, &size_here_);
        MPI_Comm_free(&here);
        failure_.reserve(longest_failure);  // a rank that has no memory left can still say so
        telling_.resize(static_cast<std::size_t>(size_), MPI_REQUEST_NULL);
    }
    ~MpiRanks() override {
        if (!is_finished_) MPI_Abort(world_, 1);
    }

    std::size_t rank() const override { return static_cast<std::size_t>(rank_); }
    std::size_t size() const override { return static_cast<std::size_t>(size_); }
    /// How many of them share this machine.
    std::size_t size_here() const { return static_cast<std::size_t>(size_here_); }

    void exchange(std::span<const std::span<const std::byte>> to,
                  std::span<const std::span<std::byte>> from) override {
        hear();
        requests_.clear();
        for (int k = 1; k < size_; ++k) {  // not all to the same one first
            auto const r = static_cast<std::size_t>((rank_ + k) % size_);
            in_pieces(from[r], [&](std::span<std::byte> piece) {
                MPI_Irecv(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, static_cast<int>(r),
                          tag_of_values, world_, &requests_.emplace_back());
            });
        }
        for (int k = 1; k < size_; ++k) {
            auto const r = static_cast<std::size_t>((rank_ + size_ - k) % size_);
            in_pieces(to[r], [&](std::span<const std::byte> piece) {
                MPI_Isend(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, static_cast<int>(r),
                          tag_of_values, world_, &requests_.emplace_back());
            });
        }
        for (Wait wait; !are_through(requests_); wait.once()) hear();
    }

    void fail(std::string_view why) noexcept override {
        if (has_failed()) return;
        failure_ = why.substr(0, longest_failure);
        failed_ = rank_;
        for (int r = 0; r != size_; ++r)
            if (r != rank_)
                MPI_Isend(failure_.data(), static_cast<int>(failure_.size()), MPI_CHAR, r, tag_of_failure,
                          world_, &telling_[static_cast<std::size_t>(r)]);
        Wait wait;
        while (!are_through(telling_) && wait.seconds() < 1) wait.once();
    }
    /// Whether a rank, this one or another, could not go on.
    bool has_failed() const { return failed_ >= 0; }

    /// The end of a rank; the exit code. After a failure the first rank ends all of them; it has said why,
    /// and another does where the first one does not within five seconds.
    int finish(int code) {
        if (!has_failed()) {
            try {
                detail::meet(this);
                is_finished_ = true;
                MPI_Comm_free(&world_);
                MPI_Finalize();
                return code;
            } catch (const RankFailure& failure) {
                if (rank_ == 0) std::fprintf(stderr, "error: %s\n", failure.what());
                code = 1;
            }
        }
        std::fflush(stdout);
        std::fflush(stderr);
        if (rank_ != 0) {
            std::this_thread::sleep_for(std::chrono::seconds(failed_ == rank_ ? 5 : 6));
            std::fputs(detail::concat("error: rank ", failed_, ": ", failure_, "\n").c_str(), stderr);
        }
        MPI_Abort(world_, code == 0 ? 1 : code);
        return code;
    }

private:
    static constexpr int tag_of_values = 1, tag_of_failure = 2;
    static constexpr std::size_t largest_piece = std::size_t{1} << 30, longest_failure = 2000;

    /// Waits for others, which may need this processor.
    class Wait {
    public:
        double seconds() const {
            return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
        }
        void once() {
            double const waited = seconds();
            if (waited < 100e-6)
                std::this_thread::yield();
            else
                std::this_thread::sleep_for(std::chrono::microseconds(waited < 10e-3 ? 20 : 200));
        }

    private:
        std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    };

    template <class Bytes, class F>
    static void in_pieces(Bytes bytes, const F& f) {
        for (; !bytes.empty(); bytes = bytes.subspan((std::min)(bytes.size(), largest_piece)))
            f(bytes.first((std::min)(bytes.size(), largest_piece)));
    }
    static bool are_through(std::vector<MPI_Request>& requests) {
        int done = 0;
        MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
        return done != 0;
    }
    /// Throws when another rank has failed.
    void hear() {
        int said = 0;
        MPI_Status status;
        if (!has_failed()) {
            MPI_Iprobe(MPI_ANY_SOURCE, tag_of_failure, world_, &said, &status);
            if (said == 0) return;
            int length = 0;
            MPI_Get_count(&status, MPI_CHAR, &length);
            failure_.resize(static_cast<std::size_t>(length));
            MPI_Recv(failure_.data(), length, MPI_CHAR, status.MPI_SOURCE, tag_of_failure, world_,
                     MPI_STATUS_IGNORE);
            failed_ = status.MPI_SOURCE;
        }
        throw RankFailure(static_cast<std::size_t>(failed_), failure_);
    }

    MPI_Comm world_ = MPI_COMM_NULL;
    int rank_ = 0, size_ = 1, size_here_ = 1, failed_ = -1;
    bool is_finished_ = false;
    std::string failure_{};
    std::vector<MPI_Request> requests_{}, telling_{};
};

}  // namespace amct_distill
