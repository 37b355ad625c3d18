// The verbs search and delete.
#pragma once
#include <singularity/command.hpp>

namespace library {

class SearchCommand final : public singularity::Command {
public:
    static bool serves(std::string_view capability) { return capability == "search"; }
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override;
};

class DeleteCommand final : public singularity::Command {
public:
    static bool serves(std::string_view capability) { return capability == "delete"; }
    int run(const singularity::Invocation& invocation, const singularity::Host& host) override;
};

}  // namespace library
