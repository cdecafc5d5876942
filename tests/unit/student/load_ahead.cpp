// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/load_ahead.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/catch.hpp"

namespace student_load_ahead_test {

using namespace amct_distill;

/// What a source was asked for, on any thread.
class Log {
public:
    void begin(std::size_t i) {
        std::lock_guard const lock(mutex_);
        at_once_ = at_once_ || is_loading_;
        is_loading_ = true;
        asked_.push_back(i);
        threads_.push_back(std::this_thread::get_id());
        changed_.notify_all();
    }
    void end() {
        std::lock_guard const lock(mutex_);
        is_loading_ = false;
    }
    /// False: not within some seconds.
    bool wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return asked_.size() >= count; });
    }
    std::vector<std::size_t> asked() {
        std::lock_guard const lock(mutex_);
        return asked_;
    }
    std::vector<std::thread::id> threads() {
        std::lock_guard const lock(mutex_);
        return threads_;
    }
    bool at_once() const { return at_once_; }

private:
    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::vector<std::size_t> asked_{};
    std::vector<std::thread::id> threads_{};
    bool is_loading_ = false, at_once_ = false;
};

struct Source {
    Log* log;
    std::size_t count = 5;
    std::size_t error = 99, exception = 99;

    std::size_t size() const { return count; }
    result<Batch> load(std::size_t i) const {
        log->begin(i);
        struct End {
            Log* log;
            ~End() { log->end(); }
        } const end{log};
        if (i == error) return general_error("it is gone");
        if (i == exception) throw std::runtime_error("it is broken");
        return Batch{nn::Tensor({1, 2}, {static_cast<float>(i), 1})};
    }
};

/// The first values of the batches, twice each, as two networks read them.
std::vector<float> read_all(const DataSource& source) {
    std::vector<float> values;
    Batch one, two;
    for (std::size_t i = 0; i != source.size(); ++i) {
        values.push_back(source.load(i, one).value()[0][0]);
        values.push_back(source.load(i, two).value()[0][0]);
    }
    return values;
}

TEST_CASE("load ahead: each batch once, in order, one at a time, the next while one is held") {
    Log log;
    Source const source{&log};
    LoadAhead ahead(source, 5);
    CHECK(ahead.is_active());
    CHECK(read_all(ahead.source()) == std::vector<float>{0, 0, 1, 1, 2, 2, 3, 3, 4, 4});
    CHECK(log.asked() == std::vector<std::size_t>{0, 1, 2, 3, 4});
    CHECK_FALSE(log.at_once());
    auto const threads = log.threads();
    CHECK(threads[0] == std::this_thread::get_id());
    for (std::size_t i = 1; i != 5; ++i) CHECK(threads[i] != threads[0]);

    Batch buffer;
    ahead.source().load(1, buffer).value();
    CHECK(log.wait_for(7));  // 1, and 2 without being asked for
    CHECK(log.asked().back() == 2);
    CHECK(ahead.source().load(4, buffer).value()[0][0] == 4);  // another than the one that was loaded
    CHECK_FALSE(log.at_once());
}

TEST_CASE("load ahead: not after the last that is wanted, nor where there is no room") {
    Log log;
    Source const source{&log};
    {
        LoadAhead ahead(source, 2);
        Batch buffer;
        ahead.source().load(0, buffer).value();
        ahead.source().load(1, buffer).value();
    }
    CHECK(log.asked() == std::vector<std::size_t>{0, 1});
    Log without;
    Source const large{&without};
    std::size_t bytes = 0;
    LoadAhead ahead(large, 5, [&](std::size_t more) {
        bytes += more;
        return false;
    });
    CHECK(read_all(ahead.source()) == std::vector<float>{0, 0, 1, 1, 2, 2, 3, 3, 4, 4});
    for (std::thread::id id : without.threads()) CHECK(id == std::this_thread::get_id());
    CHECK(bytes == 4 * 2 * sizeof(float));  // asked for once more with every batch, but the last
}

TEST_CASE("load ahead: errors and exceptions come when their batch is asked for") {
    Log log;
    Source const source{.log = &log, .error = 3, .exception = 1};
    LoadAhead ahead(source, 5);
    DataSource const batches = ahead.source();
    Batch buffer;
    CHECK(batches.load(0, buffer).value()[0][0] == 0);
    CHECK(log.wait_for(2));
    CHECK_THROWS_WITH(batches.load(1, buffer), "it is broken");
    CHECK(batches.load(2, buffer).value()[0][0] == 2);
    CHECK(log.wait_for(4));
    auto const gone = batches.load(3, buffer);
    REQUIRE_FALSE(gone);
    CHECK(gone.diagnostics()[0].message == "it is gone");
    CHECK(batches.load(4, buffer).value()[0][0] == 4);
}

TEST_CASE("load ahead: parts of batches, where the next one is alike") {
    struct Parts {
        Log* log;
        std::size_t size() const { return 3; }
        std::size_t samples(std::size_t i) const { return i == 2 ? 5 : 4; }
        result<Batch> load(std::size_t i) const { return load(i, {0, 4}); }
        result<Batch> load(std::size_t i, BatchSlice part) const {
            log->begin(i);
            nn::Tensor t({part.size(), 1});
            for (float& v : t) v = static_cast<float>(10 * static_cast<nn::Index>(i) + part.begin++);
            log->end();
            return Batch{t};
        }
    };
    Log log;
    Parts const source{&log};
    LoadAhead ahead(source, 3);
    DataSource const batches = ahead.source();
    REQUIRE(batches.loads_parts());
    CHECK(batches.samples(2) == 5);
    CHECK(batches.load_part(0, {2, 4}).value()[0] == nn::Tensor({2, 1}, {2, 3}));
    CHECK(log.wait_for(2));
    CHECK(batches.load_part(1, {1, 2}).value()[0] == nn::Tensor({1, 1}, {11}));  // others than expected
    CHECK(batches.load_part(2, {0, 1}).value()[0] == nn::Tensor({1, 1}, {20}));
    CHECK(log.asked() == std::vector<std::size_t>{0, 1, 1, 2});
}

TEST_CASE("load ahead: batches in memory are where they are") {
    std::vector<nn::Tensor> const tensors(2, nn::Tensor({1, 1}));
    LoadAhead ahead(tensors, 2);
    CHECK_FALSE(ahead.is_active());
    Batch buffer;
    CHECK(ahead.source().load(1, buffer).value().data() == &tensors[1]);
}

TEST_CASE("load ahead: the very part that comes next is loaded once, another one anew") {
    struct Parts {
        Log* log;
        std::size_t size() const { return 4; }
        std::size_t samples(std::size_t) const { return 4; }
        result<Batch> load(std::size_t i) const { return load(i, {0, 4}); }
        result<Batch> load(std::size_t i, BatchSlice part) const {
            log->begin(i);
            nn::Tensor t({1, 2}, {static_cast<float>(i), static_cast<float>(part.end - part.begin)});
            log->end();
            return Batch{t};
        }
    };
    Log log;
    Parts const source{&log};
    LoadAhead ahead(source, 99);  // more than there are: none is asked for after the last
    DataSource const batches = ahead.source();
    Batch buffer;
    auto const part = [&](std::size_t i, BatchSlice of) { return batches.load_part(i, of).value()[0]; };
    CHECK(part(0, {0, 2}) == nn::Tensor({1, 2}, {0, 2}));
    CHECK(log.wait_for(2));
    CHECK(part(1, {0, 2}) == nn::Tensor({1, 2}, {1, 2}));  // was loaded ahead
    CHECK(log.wait_for(3));
    CHECK(part(2, {0, 3}) == nn::Tensor({1, 2}, {2, 3}));  // another end
    CHECK(log.wait_for(5));
    CHECK(batches.load(3, buffer).value()[0] == nn::Tensor({1, 2}, {3, 4}));  // the whole of it
    CHECK(log.asked() == std::vector<std::size_t>{0, 1, 2, 2, 3, 3});
}

}  // namespace student_load_ahead_test
