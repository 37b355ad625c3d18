#include "remote-build/options.hpp"

#include <boost/test/unit_test.hpp>

#include "remote-build/library_ref.hpp"
#include "remote-build/source.hpp"

using namespace remote_build;

namespace {

using Given = std::vector<std::pair<std::string, std::string>>;

Options parse(Given given) {
    singularity::Invocation i;
    i.verb = "remote-build";
    i.arguments = {"x.sif", "x.def"};
    i.options = std::move(given);
    return parse_options(i, "x86_64");
}

std::string refusal(const std::function<void()>& f, Code code = Code::usage) {
    try {
        f();
    } catch (const Error& e) {
        BOOST_TEST((e.code() == code), e.message());
        return e.message();
    }
    return "";
}

}  // namespace

BOOST_AUTO_TEST_CASE(options_are_read_and_this_machine_is_what_is_built_for) {
    const Options o = parse({{"remote", "true"}, {"builder", "https://b"}, {"library", "https://l"}, {"detached", "true"}, {"force", "true"}, {"build-arg", "A=1"}});
    BOOST_TEST(o.builder == "https://b");
    BOOST_TEST(o.library == "https://l");
    BOOST_TEST(o.detached);
    BOOST_TEST(o.force);
    BOOST_TEST(o.arch == "amd64");
    BOOST_TEST(parse({{"remote", "true"}, {"arch", "aarch64"}}).arch == "arm64");
    BOOST_TEST(parse({{"remote", "true"}, {"arch", "riscv64"}}).arch == "riscv64");
}

BOOST_AUTO_TEST_CASE(what_makes_no_sense_remotely_is_refused_by_name) {
    for (const char* name : {"sandbox", "update", "docker-login", "authfile", "json", "compress", "section", "fix-perms", "notest", "no-cache", "jobs", "processors", "encrypt", "anything"}) {
        const std::string told = refusal([&] { parse({{"remote", "true"}, {name, "true"}}); });
        BOOST_TEST(told.starts_with("--" + std::string(name)), told);
    }
    BOOST_TEST(refusal([] { parse({{"detached", "true"}}); }).starts_with("--detached is for remote builds"));
    refusal([] { parse({{"remote", "true"}, {"arch", "a&b=c"}}); });
    // They come from the environment as well.
    BOOST_TEST(parse({{"remote", "true"}, {"docker-username", "me"}}).left_out.at(0) == "--docker-username");
}

BOOST_AUTO_TEST_CASE(a_uri_becomes_a_definition_of_two_lines) {
    BOOST_TEST(definition_of_uri("docker://godlovedc/lolcow") == "Bootstrap: docker\nFrom: godlovedc/lolcow\n");
    BOOST_TEST(definition_of_uri("library:alpine:latest") == "Bootstrap: library\nFrom: alpine:latest\n");
    refusal([] { definition_of_uri("nothing.def"); }, Code::not_found);
    refusal([] { definition_of_uri("docker://"); }, Code::not_found);
    refusal([] { definition_of_uri("docker://x\n%post"); });
    for (const char* uri : {"docker-daemon:x:latest", "docker-archive:x.tar", "docker-archive://x.tar", "oci-archive:x.tar", "oci:dir:tag", "localimage:x.sif"})
        BOOST_TEST(refusal([&] { definition_of_uri(uri); }).find("cannot be built remotely") != std::string::npos, uri);
}

BOOST_AUTO_TEST_CASE(files_of_this_machine_are_those_that_come_from_no_stage) {
    const Source s = source_of_document(R"({"definition": "QUJD", "stages": [
        {"name": "one", "bootstrap": "docker", "from": "a", "files": [{"stage": "", "source": "/a/*", "destination": "/b"}, {"stage": "zero", "source": "/x", "destination": ""}]},
        {"name": "", "bootstrap": "Docker", "from": "b", "files": [{"source": "rel", "destination": ""}]}]})",
                                        "x.def");
    BOOST_TEST(s.definition == "QUJD");
    BOOST_TEST((s.files == std::vector<std::string>{"/a/*", "rel"}));
    const std::string told = refusal([] { source_of_document(R"({"definition": "", "stages": [{"bootstrap": "LocalImage", "from": "x.sif"}]})", "x.def"); });
    BOOST_TEST(told.find("x.def, with 'Bootstrap: localimage', cannot be built remotely") != std::string::npos, told);
}

BOOST_AUTO_TEST_CASE(references_to_the_library_are_read_as_other_clients_read_them) {
    const LibraryRef full = parse_library_ref("library://host:8080/me/default/lolcow:v1,latest");
    BOOST_TEST(full.host == "host:8080");
    BOOST_TEST(full.path() == "me/default/lolcow");
    BOOST_TEST(full.tags == "v1,latest");
    BOOST_TEST(full.first_tag() == "v1");
    BOOST_TEST(full.text() == "library://me/default/lolcow:v1,latest");
    BOOST_TEST(parse_library_ref("library://me/default/lolcow").host == "");
    BOOST_TEST(parse_library_ref("library:///a/b/c").path() == "a/b/c");
    BOOST_TEST(parse_library_ref("remote-builds/rb-1a2b/img:sha256.00").path() == "remote-builds/rb-1a2b/img");
    BOOST_TEST(parse_library_ref("library://remote-builds/rb-0123:latest").path() == "remote-builds/rb-0123");
    BOOST_TEST(parse_library_ref("library://library.example/alpine").host == "library.example");
    BOOST_TEST(parse_library_ref("library:remote-builds/rb-0123").path() == "remote-builds/rb-0123");
    for (const std::string text : {"", "library://", "library://a/../c", "library://a/b/c:", "library://a/b/c:x y", "library://a//c", "library://a/b/c/d/e", "library://a/b/c?x=y",
                                   "library://a/b/%2e%2e", "library://us er/b/c/d", "a/b/c:t#x", "library://a/b/.c"})
        BOOST_TEST(refusal([&] { parse_library_ref(text); }, Code::invalid) != "", text);
}
