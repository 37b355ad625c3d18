// A blob that one thread writes to a file while others read it from there.
#pragma once
#include <singularity/stream.hpp>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>

#include "base/call.hpp"

namespace sg {

// The writer calls `arrived` as bytes reach the file and ends with `verified` or `failed`. Readers come from any
// thread, before and after; they get the last bytes only when the whole has been verified, so that nobody takes an
// end for true which is not. Lives as long as its readers.
class ArrivingBlob : public std::enable_shared_from_this<ArrivingBlob> {
public:
    // `fd` stays open for as long as this lives; the caller's.
    explicit ArrivingBlob(int fd = -1) : fd_(fd) {}

    void begin(int fd);
    void arrived(uint64_t bytes);
    void verified();
    void failed(std::exception_ptr failure);

    // Waits for bytes; throws the writer's failure, or cancelled.
    std::unique_ptr<singularity::Stream> read(const sg_call* call);

private:
    class Reader;
    std::mutex mutex_;
    std::condition_variable changed_;
    int fd_;
    uint64_t there_ = 0;
    bool verified_ = false;
    std::exception_ptr failure_;
};

}  // namespace sg
