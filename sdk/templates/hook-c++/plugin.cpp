// Forbids what has the site's word in its reference or path.
#include <singularity/hook.hpp>

namespace {

using namespace singularity;

class Rule final : public Hook {
public:
    // Events are listed in plugin.yaml; members that an event does not have are "".
    void notify(const sg_event& event) override {
        const auto word = Host().text("@NAME@.word");
        if (!word || word->empty()) return;
        for (const std::string_view text : {event.reference, event.path})
            if (text.find(*word) != text.npos)
                throw Error(Code::veto, "@NAME@ forbids '" + *word + "'", "ask the site's administrator");
    }
};

}  // namespace

// clang-format off
SINGULARITY_PLUGIN(@NAME@, Rule)
