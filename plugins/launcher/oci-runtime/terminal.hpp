// The caller's terminal and the container's own (OCI runtime-spec, "process.terminal"): what is typed goes in, what is
// written comes out, and the size follows.
#pragma once
#include <termios.h>

#include <optional>
#include <string>

#include "family/system.hpp"

namespace oci_runtime {

// All three standard streams are one terminal that this process may use now.
bool has_terminal();

// Where the runtime sends the descriptor of the terminal that it has made: a socket at `path`, which must not be there.
class ConsoleSocket {
public:
    explicit ConsoleSocket(const std::string& path);
    launcher::Fd receive() const;  // call it when the runtime has done its command

private:
    launcher::Fd socket_;
};

class Relay {
public:
    // `master`: the container's terminal. The caller's one is raw from now on.
    explicit Relay(launcher::Fd master);
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;
    ~Relay();

    int input() const { return reads_input_ ? 0 : -1; }  // for poll(2)
    int output() const { return master_.get(); }
    void typed();    // something can be read of input()
    void written();  // something can be read of output()
    void resized() const;
    void drain();  // what the container has written and nobody has read

private:
    launcher::Fd master_;
    bool reads_input_ = true;
    std::optional<termios> before_;
};

}  // namespace oci_runtime
