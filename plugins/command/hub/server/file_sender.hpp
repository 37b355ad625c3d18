// Files on their way to clients, which may take them as slowly as they like: each costs two descriptors and no thread.
#pragma once
#include <sys/types.h>

#include <functional>
#include <memory>

namespace hub {

struct SendJob {
    int socket = -1;        // stays the caller's; not blocking while the job runs
    int file = -1;          // the job's: closed by it
    off_t at = 0, end = 0;  // bytes of the file
    std::function<void(bool whole)>
        done;  // from a thread of the sender; it is not called for jobs that are left at the end
};

// By sendfile(2), a piece of each in turn. Any thread.
class FileSender {
public:
    explicit FileSender(int stall_seconds);  // a client that takes nothing for so long is given up
    ~FileSender();
    FileSender(const FileSender&) = delete;
    FileSender& operator=(const FileSender&) = delete;
    void add(SendJob job);

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace hub
