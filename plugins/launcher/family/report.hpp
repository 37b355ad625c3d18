// What the processes of one start tell each other through pipes.
#pragma once
#include "family/system.hpp"

namespace launcher {

struct Pipe {  // closed by exec
    Fd reader, writer;
    Pipe();
};

// Exactly `size` bytes; false when the other side ended before.
bool receive(int fd, void* data, size_t size);

// An Error to the process that reports it, and there: thrown when one came before the end. `receive_error` reads
// until each process that holds the other end has closed it.
void send_error(int fd, const Error& e);
void receive_error(int fd);

// Calls `f`, which does not return but throws; what it throws goes to `errors` and ends the process with 255.
template <class F>
[[noreturn]] void or_send_error(int errors, F&& f) {
    try {
        f();
    } catch (const Error& e) {
        send_error(errors, e);
    } catch (const std::exception& e) {
        send_error(errors, Error(Code::internal, e.what()));
    }
    ::_exit(255);
}

}  // namespace launcher
