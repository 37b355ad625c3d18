// Every member of a LaunchSpec is carried out or refused by name.
#include "members.hpp"

#include <rapidjson/document.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <set>
#include <singularity/plugin.hpp>
#include <sstream>

using namespace oci_runtime;
using singularity::Code;
using singularity::Error;

BOOST_AUTO_TEST_SUITE(all_members)

namespace {

// A document that holds one member only: "a.b[].c" -> {"a":{"b":[{"c":"x"}]}}.
std::string document_with(std::string path) {
    if (path.size() > 2 && path.substr(path.size() - 2) == ".*") path.replace(path.size() - 1, 1, "anything");
    std::string head, tail;
    for (size_t at = 0; at <= path.size();) {
        const size_t end = std::min(path.find('.', at), path.size());
        std::string name = path.substr(at, end - at);
        const bool list = name.size() > 2 && name.substr(name.size() - 2) == "[]";
        if (list) name.resize(name.size() - 2);
        head += "{\"" + name + "\":" + (list ? "[" : "");
        tail = std::string(list ? "]" : "") + "}" + tail;
        at = end + 1;
    }
    return head + "\"x\"" + tail;
}

std::string refusal(const std::string& document) {
    try {
        check_members(document);
        return {};
    } catch (const Error& e) {
        BOOST_TEST((e.code() == Code::unsupported));
        return e.message();
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_known_member_has_a_place_where_it_goes) {
    std::set<std::string_view> paths;
    for (const Member& m : members()) {
        BOOST_TEST_CONTEXT(m.path) {
            BOOST_TEST(!m.becomes.empty());
            BOOST_TEST(paths.insert(m.path).second);
            BOOST_TEST(refusal(document_with(std::string(m.path))) == "");
        }
    }
}

BOOST_AUTO_TEST_CASE(a_member_that_is_not_known_is_refused_by_its_path_at_each_level) {
    std::set<std::string> tried;
    for (const Member& m : members()) {
        std::string path(m.path);
        if (path.size() > 2 && path.substr(path.size() - 2) == ".*") continue;
        for (;;) {
            const size_t dot = path.rfind('.');
            const std::string other = (dot == std::string::npos ? "" : path.substr(0, dot + 1)) + "newMember";
            if (tried.insert(other).second)
                BOOST_TEST(refusal(document_with(other)).find("'" + other + "'") != std::string::npos, other);
            if (dot == std::string::npos) break;
            path.resize(dot);
        }
    }
    BOOST_TEST(tried.size() > 15u);
}

BOOST_AUTO_TEST_CASE(what_asks_for_nothing_is_no_reason_to_refuse) {
    for (const char* value : {"null", "false", "[]", "{}", "\"\""})
        BOOST_TEST(refusal(std::string("{\"newMember\":") + value + "}") == "");
    for (const char* value : {"true", "0", "[1]", "{\"a\":1}", "\"x\""})
        BOOST_TEST(refusal(std::string("{\"newMember\":") + value + "}") != "");
}

// docs/launch-spec.md is what plugin authors read: what it names is known here, too.
BOOST_AUTO_TEST_CASE(the_members_of_the_documentation_are_known) {
    std::ifstream file(SG_SOURCE_DIRECTORY "/docs/launch-spec.md");
    BOOST_REQUIRE(file);
    std::string line, prefix;
    unsigned found = 0;
    while (std::getline(file, line)) {
        if (line.rfind("## ", 0) == 0)
            prefix = line == "## Mounts" ? "mounts[]." : line == "## `container`" ? "container." : "";
        if (line.rfind("| `", 0) != 0 || (prefix == "mounts[]." && line.find("| `bind`") == 0)) continue;
        // The first cell: one name or several.
        const std::string cell = line.substr(1, line.find(" |", 2) - 1);
        std::string before;
        for (size_t at = 0; (at = cell.find('`', at)) != std::string::npos;) {
            const size_t end = cell.find('`', at + 1);
            std::string name = cell.substr(at + 1, end - at - 1);
            at = end + 1;
            // The table of mount types has types in its cells.
            static const std::set<std::string> types = {"bind",  "proc", "sysfs", "tmpfs", "session", "generated",
                                                        "image", "fuse", "files", "dev",   "volume"};
            if (prefix == "mounts[]." && types.count(name)) continue;
            if (name == "gidMappings") name = "linux.gidMappings";
            if (name == "mounts") name = "mounts[].type";
            if (name == "linux.namespaces") name = "linux.namespaces[].type";
            if (name == "linux.uidMappings" || name == "linux.gidMappings") name += "[].size";
            ++found;
            if (name == "networks") name += ".names";
            BOOST_TEST(refusal(document_with(prefix + name)) == "", prefix + name);
        }
    }
    BOOST_TEST(found > 30u);
}

BOOST_AUTO_TEST_CASE(what_is_no_document_is_refused) {
    for (const std::string text : {"", "[]", "3", "{"}) BOOST_CHECK_THROW(check_members(text), Error);
    std::string deep = "{\"linux\":{\"resources\":";
    for (int i = 0; i < 100; ++i) deep += "{\"a\":";
    deep += "1" + std::string(102, '}');
    BOOST_CHECK_THROW(check_members(deep), Error);
}

BOOST_AUTO_TEST_SUITE_END()
