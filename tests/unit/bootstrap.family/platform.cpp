#include "family/platform.hpp"

#include "source_fixture.hpp"

using namespace sources;
using fixture::contains;
using fixture::error_of;

namespace {

Descriptor entry(const std::string& os, const std::string& arch, const std::string& variant, char mark) {
    Descriptor d{"", *Digest::try_parse("sha256:" + std::string(64, mark)), 1, {}, {}, {}, {}, {}};
    if (!os.empty()) d.platform = Platform{os, arch, variant};
    return d;
}
std::string chosen(const std::vector<Descriptor>& entries, const Wanted& w) {
    const auto found = entries_for(entries, w);
    return found.empty() ? "" : found[0]->digest.hex().substr(0, 1);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(platforms)

BOOST_AUTO_TEST_CASE(the_entry_of_the_machine_is_chosen) {
    const std::vector<Descriptor> list{entry("linux", "arm64", "v8", 'a'), entry("linux", "amd64", "", 'b'),
                                       entry("windows", "amd64", "", 'c'), entry("linux", "386", "", 'd'),
                                       entry("unknown", "unknown", "", 'e')};
    BOOST_TEST(chosen(list, {"amd64", "", false}) == "b");
    BOOST_TEST(chosen(list, {"arm64", "", false}) == "a");
    BOOST_TEST(chosen(list, {"arm64", "v8", false}) == "a");
    BOOST_TEST(chosen(list, {"386", "", false}) == "d");
    BOOST_TEST(chosen(list, {"s390x", "", false}) == "");
    BOOST_TEST(list_platforms(list) == "linux/arm64/v8, linux/amd64, windows/amd64, linux/386");
}

BOOST_AUTO_TEST_CASE(a_machine_takes_its_own_variant_then_lesser_ones) {
    const std::vector<Descriptor> list{entry("linux", "arm", "v5", '5'), entry("linux", "arm", "v6", '6'),
                                       entry("linux", "arm", "v7", '7')};
    BOOST_TEST(chosen(list, {"arm", "v8", false}) == "7");
    BOOST_TEST(chosen(list, {"arm", "v7", false}) == "7");
    BOOST_TEST(chosen(list, {"arm", "v6", false}) == "6");
    BOOST_TEST(chosen(list, {"arm", "v5", false}) == "5");
    BOOST_TEST(chosen(list, {"arm", "", false}) == "7");
    const std::vector<Descriptor> bare{entry("linux", "arm", "v7", '7'), entry("linux", "arm", "", '0')};
    BOOST_TEST(chosen(bare, {"arm", "v6", false}) == "0");
    BOOST_TEST(chosen(bare, {"arm", "", false}) == "0");
}

BOOST_AUTO_TEST_CASE(levels_of_amd64_above_the_first_are_only_for_those_who_ask) {
    const std::vector<Descriptor> list{entry("linux", "amd64", "v3", '3'), entry("linux", "amd64", "v2", '2'),
                                       entry("linux", "amd64", "v1", '1')};
    BOOST_TEST(chosen(list, {"amd64", "", false}) == "1");
    BOOST_TEST(chosen(list, {"amd64", "v3", true}) == "3");
    BOOST_TEST(chosen(list, {"amd64", "v4", true}) == "3");
    BOOST_TEST(chosen({list[0]}, {"amd64", "", false}) == "");
}

BOOST_AUTO_TEST_CASE(a_single_entry_without_a_platform_is_the_last_resort) {
    const std::vector<Descriptor> list{entry("linux", "arm64", "", 'a'), entry("", "", "", 'f'),
                                       entry("unknown", "unknown", "", 'e')};
    BOOST_TEST(chosen(list, {"amd64", "", false}) == "f");
    BOOST_TEST(chosen(list, {"arm64", "", false}) == "a");
    BOOST_TEST(chosen({entry("", "", "", 'f'), entry("", "", "", '0')}, {"amd64", "", false}) == "");
}

BOOST_AUTO_TEST_CASE(the_config_of_another_machine_is_a_warning_or_an_error) {
    BOOST_TEST(check_platform({"linux", "amd64", ""}, {"amd64", "", true}, "X").empty());
    BOOST_TEST(check_platform({"", "", ""}, {"amd64", "", true}, "X").empty());
    BOOST_TEST(contains(check_platform({"linux", "arm64", "v8"}, {"amd64", "", false}, "X"),
                        "the image's architecture (linux/arm64/v8)"));
    BOOST_TEST(contains(error_of([] {
                            check_platform({"linux", "arm64", ""}, {"amd64", "", true}, "X");
                        }).message(),
                        "the image's architecture"));
    BOOST_TEST(contains(error_of([] {
                            check_platform({"windows", "amd64", ""}, {"amd64", "", false}, "X");
                        }).message(),
                        "windows/amd64"));
}

BOOST_AUTO_TEST_CASE(lists_of_other_projects_are_chosen_from) {
    const std::string data = fixture::shared_data();
    if (data.empty()) return;
    const auto pick = [&](const std::string& name, const Wanted& w) {
        std::ifstream in(data + "/manifests/internal/testdata/" + name);
        const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
        const auto body = parse_body(text, "", name);
        const auto found = entries_for(std::get<Index>(body).manifests, w);
        return found.empty() ? std::string() : found[0]->platform->text();
    };
    for (const char* name : {"ocilist-variants.json", "schema2list-variants.json"}) {
        BOOST_TEST(pick(name, {"amd64", "", false}) == "linux/amd64");
        BOOST_TEST(pick(name, {"arm", "", false}) == "linux/arm");
        BOOST_TEST(pick(name, {"arm", "v6", false}) == "linux/arm/v6");
        BOOST_TEST(pick(name, {"arm", "v5", false}) == "linux/arm");
        BOOST_TEST(pick(name, {"arm", "unrecognized-present", false}) == "linux/arm/unrecognized-present");
        BOOST_TEST(pick(name, {"arm64", "", false}) == "");
    }
    BOOST_TEST(pick("ocilist-variants.json", {"arm", "v7", false}) == "linux/arm/v7");
    BOOST_TEST(pick("schema2list-variants.json", {"arm", "v8", false}) == "linux/arm/v6");
}

BOOST_AUTO_TEST_SUITE_END()
