// What plugins get of singularity/state.h, over the C boundary.
#include "lookup/state_service.hpp"

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <singularity/error.hpp>

#include "config/settings.hpp"
#include "store/output.hpp"

namespace {

struct Place {
    std::string path;
    sg::Settings settings = sg::Settings::defaults();
    Place() {
        char name[] = "/tmp/sg-state-XXXXXX";
        path = mkdtemp(name);
        settings.set("cachedir", {path}, sg::Layer::command_line, "the test");
    }
    ~Place() { sg::remove_tree(path); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_state_goes_over_the_boundary_and_back) {
    Place p;
    const sg_host_state_v1& t = sg::state_table(p.settings);
    sg_error error{};
    sg_state* state = nullptr;
    BOOST_REQUIRE_EQUAL(t.take("mine", "key", 60, &state, &error), SG_OK);
    sg_state* other = nullptr;
    BOOST_CHECK_EQUAL(t.take("mine", "key", 60, &other, &error), SG_EEXISTS);
    char text[8];
    BOOST_CHECK_EQUAL(t.get(state, text, sizeof text, &error), SG_ENOTFOUND);
    BOOST_CHECK_EQUAL(t.put(state, "1234567", &error), SG_OK);
    BOOST_CHECK_EQUAL(t.get(state, text, sizeof text - 1, &error), SG_ELIMIT);
    BOOST_CHECK_EQUAL(t.get(state, text, sizeof text, &error), SG_OK);
    BOOST_CHECK_EQUAL(text, std::string("1234567"));
    BOOST_CHECK_EQUAL(t.put(state, std::string(SG_STATE_MAX, 'x').c_str(), &error), SG_ELIMIT);
    BOOST_CHECK_EQUAL(t.forget(state, &error), SG_OK);
    BOOST_CHECK_EQUAL(t.get(state, text, sizeof text, &error), SG_ENOTFOUND);
    t.close(state);
    BOOST_CHECK_EQUAL(t.take("no/name", "key", 60, &state, &error), SG_EINVALID);
}

BOOST_AUTO_TEST_CASE(without_a_cache_nothing_is_kept) {
    Place p;
    p.settings.set("cache.disable", {"true"}, sg::Layer::command_line, "the test");
    sg_error error{};
    sg_state* state = nullptr;
    BOOST_CHECK_EQUAL(sg::state_table(p.settings).take("mine", "key", 60, &state, &error), SG_EUNSUPPORTED);
    BOOST_CHECK(std::filesystem::is_empty(p.path));
}
