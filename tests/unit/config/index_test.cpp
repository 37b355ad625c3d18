#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "config/encode.hpp"
#include "config/schema.hpp"
#include "walk_index.hpp"

using namespace sg;

namespace {

model::Configuration sample() {
    model::Configuration c;
    c.stamp = "stamp";
    c.files = {{"/etc/a.yaml", 1, (uint64_t{1} << 40) + 7, 123, -5}, {"/gone", 0, 0, 0, 0}};
    c.warnings = {"a warning"};
    c.keys = core_schema();
    for (const char* name : {"zeta", "alpha"}) {
        model::Plugin p;
        p.name = name;
        p.manifest = std::string("/p/") + name + "/plugin.yaml";
        p.object = std::string("/p/") + name + "/x.so";
        p.registered_in = "/etc/list.yaml";
        p.registered_line = 3;
        p.abi = 1;
        model::Capability f;
        f.kind = CapabilityKind::format;
        f.name = std::string("format-") + name;
        f.directory = p.name == "zeta";
        f.magics = {{32, std::string("SIF\0MAGIC", 9)}};
        f.words = {"ext"};
        model::Capability command;
        command.kind = CapabilityKind::command;
        command.name = std::string("verb-") + name;
        command.commands = {
            {command.name, "does", "usage", "example", false, {{"all", "a", "flag", "ALL", "help", {}, ""}}},
            {command.name + " sub", "does less", "", "", true, {}}};
        command.hidden = p.name == "zeta";
        p.capabilities = {f, command};
        p.options = {{"login", "", "flag", "LOGIN", "help", {"pull", "build"}, command.name + " sub"}};
        p.areas = {{std::string("area-") + name, "title", p.name == "zeta" ? 1 : 2}};
        c.plugins.push_back(p);
    }
    c.plugins[1].capabilities[0].shadowed = true;
    c.absent = {{"hub", "Install it."}, {"daemon", "Install that."}};
    return c;
}

Index index_of(const model::Configuration& c) { return Index::owning(encode_index(c)); }

}  // namespace

BOOST_AUTO_TEST_CASE(an_index_gives_back_what_was_put_in) {
    const Index index = index_of(sample());
    BOOST_TEST(index.stamp() == "stamp");
    BOOST_REQUIRE(index.file_count() == 2u);
    BOOST_TEST(index.file(0).inode == (uint64_t{1} << 40) + 7);
    BOOST_TEST(index.file(0).mtime_ns == -5);
    BOOST_TEST(index.warnings().at(0) == "a warning");
    BOOST_TEST(index.key_count() == core_schema().size());
    const auto key = index.find_key("build.threads");
    BOOST_REQUIRE(key.has_value());
    BOOST_TEST((key->type == ValueType::integer));
    BOOST_TEST(key->values.at(0) == "0");
    BOOST_TEST(!index.find_key("build.thread").has_value());
    BOOST_TEST(index.find_variable("BUILD_THREADS").value() == key->number);

    BOOST_TEST(index.plugin(0).name == "zeta");  // registration order
    const auto alpha = index.find_plugin("alpha");
    BOOST_REQUIRE(alpha.has_value());
    BOOST_TEST(alpha->registered_line == 3u);
    BOOST_TEST(!index.find_plugin("beta").has_value());

    const auto format = index.find(CapabilityKind::format, "format-zeta");
    BOOST_REQUIRE(format.has_value());
    BOOST_TEST(format->directory);
    BOOST_TEST(format->magics.at(0).offset == 32u);
    BOOST_TEST((format->magics.at(0).bytes == std::string_view("SIF\0MAGIC", 9)));
    BOOST_TEST(format->words.at(0) == "ext");
    BOOST_TEST(!index.find(CapabilityKind::format, "format-alpha").has_value());  // shadowed
    BOOST_TEST(index.capabilities(CapabilityKind::format).size() == 1u);
    BOOST_TEST(!index.find(CapabilityKind::bootstrap, "format-zeta").has_value());

    const auto command = index.find(CapabilityKind::command, "verb-alpha");
    BOOST_REQUIRE(command.has_value());
    const auto verbs = index.commands(*command);
    BOOST_REQUIRE(verbs.size() == 2u);
    BOOST_TEST(verbs[0].options.at(0).short_name == "a");
    BOOST_TEST(verbs[1].verb == "verb-alpha sub");
    BOOST_TEST(!verbs[0].hidden);
    BOOST_TEST(verbs[1].hidden);
    BOOST_TEST(!command->hidden);
    BOOST_TEST(index.find(CapabilityKind::command, "verb-zeta")->hidden);
    BOOST_TEST(index.options_of("pull").at(0).takes_over == "verb-zeta sub");
    BOOST_TEST(index.options_of("pull").size() == 2u);
    BOOST_TEST(index.options_of("build").at(0).variable == "LOGIN");
    BOOST_TEST(index.options_of("exec").empty());
    BOOST_TEST(index.cache_areas().at(0).area == "area-zeta");
    BOOST_TEST(index.absent("hub") == "Install it.");
    BOOST_TEST(index.absent("nothing") == "");
}

BOOST_AUTO_TEST_CASE(an_index_of_nothing_answers_nothing) {
    const Index index;
    BOOST_TEST(index.plugin_count() == 0u);
    BOOST_TEST(walk_index(index) == 0u);
}

BOOST_AUTO_TEST_CASE(what_is_not_active_is_not_found) {
    auto c = sample();
    c.plugins[0].active = false;
    c.plugins[0].why = "disabled in /etc/x.yaml:1";
    const Index index = index_of(c);
    BOOST_TEST(!index.find(CapabilityKind::format, "format-zeta").has_value());
    BOOST_TEST(index.options_of("pull").size() == 1u);
    BOOST_TEST(index.cache_areas().size() == 1u);
    BOOST_TEST(index.find_plugin("zeta")->why == "disabled in /etc/x.yaml:1");
}

BOOST_AUTO_TEST_CASE(every_flipped_byte_is_noticed) {
    const std::string good = encode_index(sample());
    for (size_t i = 0; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 0x41);
        BOOST_REQUIRE_THROW(Index::owning(bad), Error);
    }
}

BOOST_AUTO_TEST_CASE(every_cut_is_noticed) {
    const std::string good = encode_index(sample());
    for (size_t n = 0; n < good.size(); n += 3) BOOST_REQUIRE_THROW(Index::owning(good.substr(0, n)), Error);
    BOOST_CHECK_THROW(Index::owning(good + "x"), Error);
}

BOOST_AUTO_TEST_CASE(damage_with_a_right_checksum_never_leads_outside) {
    const std::string good = encode_index(sample());
    size_t refused = 0;
    for (size_t i = 8; i + 4 <= good.size(); i += 2) {
        for (const uint32_t value : {0xffffffffu, 0x7ffffff0u, 0x10000u, 5u}) {
            std::string bad = good;
            std::memcpy(bad.data() + i, &value, sizeof value);
            seal_index(bad);
            try {
                walk_index(Index::owning(bad));
            } catch (const Error& e) {
                BOOST_REQUIRE((e.code() == Code::corrupt));
                ++refused;
            }
        }
    }
    BOOST_TEST(refused > 100u);
}
