// The config.json of a LaunchSpec, member by member. The expected texts were written by hand from the runtime-spec.
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <boost/test/unit_test.hpp>

#include "config_json.hpp"
#include "ids.hpp"
#include "seccomp_profile.hpp"
#include "family/system.hpp"

using namespace oci_runtime;

BOOST_AUTO_TEST_SUITE(mapping)

namespace {

std::string shown(const rapidjson::Value& v) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    v.Accept(w);
    return buffer.GetString();
}

// The member at "a.b" of a document; "-" when it is not there.
std::string at(const std::string& json, const std::string& path) {
    rapidjson::Document d;
    d.Parse(json.c_str());
    BOOST_REQUIRE(!d.HasParseError());
    const rapidjson::Value* v = &d;
    for (size_t from = 0; from <= path.size();) {
        const size_t end = std::min(path.find('.', from), path.size());
        const std::string name = path.substr(from, end - from);
        if (!v->IsObject() || !v->HasMember(name.c_str())) return "-";
        v = &(*v)[name.c_str()];
        from = end + 1;
    }
    return shown(*v);
}

const std::string image = R"("images":[{"type":"squashfs","path":"/i.sif"}])";

std::string document(const std::string& rest) {
    return R"({"launchSpecVersion":"1.0",)" + image + (rest.empty() ? "" : "," + rest) + "}";
}

struct Case {
    std::string text;
    launcher::Spec spec;
    Bundle bundle;
    explicit Case(const std::string& rest) : text(document(rest)), spec(launcher::parse_spec(text)) {
        bundle.root = "/session/final";
        bundle.args = {"/.singularity.d/oci-runtime-init", "--descriptors=3"};
    }
    std::string operator[](const std::string& path) const { return at(config_json(spec, bundle, text), path); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_process_is_the_first_program_with_the_environment_of_the_host) {
    Case c(R"("process":{"env":["A=b","BASH_FUNC_x%%=() { :; }","EMPTY="],"cwd":"/w","noNewPrivileges":true})");
    c.bundle.cwd = "/w";
    BOOST_TEST(c["ociVersion"] == R"("1.0.2")");
    BOOST_TEST(c["process.args"] == R"(["/.singularity.d/oci-runtime-init","--descriptors=3"])");
    BOOST_TEST(c["process.env"] == R"(["A=b","EMPTY="])");
    BOOST_TEST(c["process.cwd"] == R"("/w")");
    BOOST_TEST(c["process.noNewPrivileges"] == "true");
    BOOST_TEST(c["process.terminal"] == "false");
    c.bundle.terminal = true;
    BOOST_TEST(c["process.terminal"] == "true");
}

BOOST_AUTO_TEST_CASE(ids_groups_and_umask_are_the_process_user) {
    Case c("");
    c.bundle.uid = 1000, c.bundle.gid = 100, c.bundle.groups = {5, 6}, c.bundle.umask = 027;
    BOOST_TEST(c["process.user"] == R"({"uid":1000,"gid":100,"umask":23,"additionalGids":[5,6]})");
}

BOOST_AUTO_TEST_CASE(capabilities_are_one_list_in_each_set) {
    Case c("");
    c.bundle.capabilities = 1u << 0 | 1u << 13;
    for (const char* set : {"bounding", "effective", "inheritable", "permitted", "ambient"})
        BOOST_TEST(c[std::string("process.capabilities.") + set] == R"(["CAP_CHOWN","CAP_NET_RAW"])");
    c.bundle.bounding_only = true;  // a user of the image, as Docker does
    BOOST_TEST(c["process.capabilities.bounding"] == R"(["CAP_CHOWN","CAP_NET_RAW"])");
    BOOST_TEST(c["process.capabilities.effective"] == "[]");
    c.bundle.capabilities = 0;
    BOOST_TEST(c["process.capabilities.bounding"] == "[]");
}

BOOST_AUTO_TEST_CASE(labels_of_security_modules_are_named) {
    const Case c(R"("process":{"apparmorProfile":"tight","selinuxLabel":"a:b:c:d"})");
    BOOST_TEST(c["process.apparmorProfile"] == R"("tight")");
    BOOST_TEST(c["process.selinuxLabel"] == R"("a:b:c:d")");
    BOOST_TEST(Case("")["process.apparmorProfile"] == "-");
}

BOOST_AUTO_TEST_CASE(the_root_is_the_finished_tree) {
    Case c("");
    BOOST_TEST(c["root"] == R"({"path":"/session/final","readonly":true})");
    c.bundle.read_only = false;
    BOOST_TEST(c["root.readonly"] == "false");
}

BOOST_AUTO_TEST_CASE(mounts_of_the_runtime_come_in_their_order) {
    Case c("");
    c.bundle.mounts = {{"/dev", "bind", "/session/final/dev", {"rbind", "nosuid"}},
                       {"/proc", "proc", "proc", {"nosuid", "nodev", "noexec"}}};
    BOOST_TEST(c["mounts"] ==
               R"([{"destination":"/dev","type":"bind","source":"/session/final/dev","options":["rbind","nosuid"]},)"
               R"({"destination":"/proc","type":"proc","source":"proc","options":["nosuid","nodev","noexec"]}])");
}

BOOST_AUTO_TEST_CASE(namespaces_and_the_host_name) {
    BOOST_TEST(Case("")["linux.namespaces"] == R"([{"type":"mount"}])");
    Case c(
        R"("hostname":"box","linux":{"namespaces":[{"type":"mount"},{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"network","path":"/run/netns/x"}],"rootfsPropagation":"rprivate"})");
    // A network that is there the monitor has joined.
    BOOST_TEST(c["linux.namespaces"] == R"([{"type":"mount"},{"type":"pid"},{"type":"ipc"},{"type":"uts"}])");
    BOOST_TEST(Case(R"("linux":{"namespaces":[{"type":"network"}]})")["linux.namespaces"] ==
               R"([{"type":"mount"},{"type":"network"}])");
    BOOST_TEST(Case(R"("linux":{"namespaces":[{"type":"network"}]},"container":{"networks":{"names":["bridge"]}})")
                   ["linux.namespaces"] == R"([{"type":"mount"}])");
    BOOST_TEST(c["hostname"] == R"("box")");
    BOOST_TEST(c["linux.rootfsPropagation"] == R"("rprivate")");
    BOOST_TEST(c["linux.uidMappings"] == "-");
    c.bundle.new_user_namespace = true;
    c.bundle.uids = {{1000, 0, 1}}, c.bundle.gids = {{100, 0, 1}};
    BOOST_TEST(c["linux.namespaces"].find(R"({"type":"user"})") != std::string::npos);
    BOOST_TEST(c["linux.uidMappings"] == R"([{"containerID":1000,"hostID":0,"size":1}])");
    BOOST_TEST(c["linux.gidMappings"] == R"([{"containerID":100,"hostID":0,"size":1}])");
}

BOOST_AUTO_TEST_CASE(limits_are_handed_on_as_they_are_and_empty_ones_left_out) {
    Case c(R"("linux":{"resources":{"memory":{"limit":67108864,"swap":-1},"cpu":{},"pids":{"limit":20},"blockIO":{},)"
           R"("devices":[{"allow":false,"type":"c","access":"r"}],"unified":{"memory.high":"1"}}})");
    BOOST_TEST(c["linux.resources"] == "-");  // around the runtime
    c.bundle.cgroup = "/singularity-1";
    BOOST_TEST(c["linux.resources"] ==
               R"({"memory":{"limit":67108864,"swap":-1},"pids":{"limit":20},"unified":{"memory.high":"1"},)"
               R"("devices":[{"allow":true,"access":"rwm"},{"allow":false,"type":"c","access":"r"}]})");
    BOOST_TEST(c["linux.cgroupsPath"] == R"("/singularity-1")");
}

BOOST_AUTO_TEST_CASE(a_control_group_of_its_own_allows_every_device) {
    Case c("");
    c.bundle.cgroup = "/singularity-1";
    BOOST_TEST(c["linux.resources"] == R"({"devices":[{"allow":true,"access":"rwm"}]})");
}

BOOST_AUTO_TEST_CASE(groups_of_the_caller_stay_where_no_namespace_can_name_them) {
    Case c("");
    BOOST_TEST(c["annotations"] == "-");
    c.bundle.keep_groups = true;
    BOOST_TEST(c["annotations"] == R"({"run.oci.keep_original_groups":"1"})");
}

BOOST_AUTO_TEST_CASE(a_seccomp_profile_of_engines_becomes_one_of_the_runtime_spec) {
#if defined(__x86_64__)
    Case c(
        R"("linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"archMap":[)"
        R"({"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},{"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]}],"syscalls":[)"
        R"({"names":["read"],"action":"SCMP_ACT_ALLOW","args":[]},{"name":"write","action":"SCMP_ACT_ALLOW"},)"
        R"({"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},{"names":["chown"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_CHOWN"]}},)"
        R"({"names":["clone"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_CHOWN"]}},{"names":["arm_sync"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["arm64"]}},)"
        R"({"names":["open"],"action":"SCMP_ACT_ERRNO"},{"names":["kill"],"action":"SCMP_ACT_NOTIFY","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}],"listenerPath":"/run/l"}})");
    c.bundle.capabilities = 1;  // CAP_CHOWN
    BOOST_TEST(
        c["linux.seccomp"] ==
        R"({"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"listenerPath":"/run/l","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"syscalls":[)"
        R"({"names":["read"],"action":"SCMP_ACT_ALLOW"},{"names":["write"],"action":"SCMP_ACT_ALLOW"},{"names":["chown"],"action":"SCMP_ACT_ALLOW"},)"
        R"({"names":["kill"],"action":"SCMP_ACT_NOTIFY","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}]})");
#endif
    rapidjson::Document d;
    for (const char* text : {"", "[]", "{}", R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[3]})",
                             R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"]}]})"})
        BOOST_CHECK_THROW(runtime_profile(text, 0, d.GetAllocator()), launcher::Error);
}

BOOST_AUTO_TEST_CASE(a_process_that_joins_is_the_same_member) {
    Case c(R"("process":{"env":["A=b"]})");
    c.bundle.uid = 7;
    const std::string process = process_json(c.spec, c.bundle);
    BOOST_TEST(at(process, "user.uid") == "7");
    BOOST_TEST(at(process, "env") == R"(["A=b"])");
    BOOST_TEST(process == c["process"]);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(ids)

namespace {

launcher::Spec user_spec(uint32_t inside, std::vector<launcher::Mapping> uids, std::vector<launcher::Mapping> gids) {
    launcher::Spec s;
    s.user = true;
    s.process_uid = s.process_gid = inside;
    s.uids = std::move(uids), s.gids = std::move(gids);
    return s;
}

bool same(const std::vector<launcher::Mapping>& a, const std::vector<launcher::Mapping>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.container == y.container && x.host == y.host && x.size == y.size;
    });
}

}  // namespace

BOOST_AUTO_TEST_CASE(root_is_who_the_document_or_the_image_says) {
    launcher::Spec s;
    s.process_uid = 3, s.process_gid = 4, s.process_groups = {5};
    Ids out = choose_ids(s, nullptr, true);
    BOOST_TEST(out.uid == 3u);
    BOOST_TEST(out.groups.size() == 1u);
    BOOST_TEST(out.outer_uids.empty());
    const ImageUser user{1000, 1001, {7, 8}, "/home/u"};
    out = choose_ids(s, &user, true);
    BOOST_TEST(out.uid == 1000u);
    BOOST_TEST(out.gid == 1001u);
    BOOST_TEST(out.groups.size() == 2u);
}

BOOST_AUTO_TEST_CASE(an_ordinary_user_is_root_for_the_runtime_and_itself_in_the_container) {
    const launcher::Spec s = user_spec(500, {{500, 500, 1}}, {{500, 500, 1}});
    Ids out = choose_ids(s, nullptr, true);
    BOOST_TEST(same(out.outer_uids, {{0, 500, 1}}));
    BOOST_TEST(same(out.inner_uids, {{500, 0, 1}}));
    BOOST_TEST(out.uid == 500u);
    BOOST_TEST(!out.inner_by_program);
    out = choose_ids(s, nullptr, false);  // runc
    BOOST_TEST(out.inner_by_program);
    BOOST_TEST(out.uid == 0u);
    BOOST_TEST(same(out.inner_uids, {{500, 0, 1}}));
    const ImageUser user{1000, 0, {7}, "/"};
    out = choose_ids(s, &user, true);
    BOOST_TEST(same(out.inner_uids, {{1000, 0, 1}}));
    BOOST_TEST(same(out.inner_gids, {{0, 0, 1}}));
    BOOST_TEST(out.groups.empty());  // none can be mapped
    const ImageUser root{0, 0, {}, "/root"};
    BOOST_TEST(choose_ids(s, &root, false).inner_uids.empty());
}

BOOST_AUTO_TEST_CASE(a_mapping_of_many_ids_has_a_root_of_its_own) {
    const launcher::Spec s = user_spec(0, {{0, 500, 1}, {1, 100000, 65536}}, {{0, 500, 1}, {1, 100000, 65536}});
    const Ids out = choose_ids(s, nullptr, false);
    BOOST_TEST(out.outer_uids.size() == 2u);
    BOOST_TEST(out.inner_uids.empty());
    BOOST_TEST(out.uid == 0u);
}

BOOST_AUTO_TEST_CASE(the_images_user_yields_to_whoever_was_asked_for) {
    BOOST_TEST(user_applies(user_spec(500, {{500, 500, 1}}, {{500, 500, 1}}), 500));
    BOOST_TEST(!user_applies(user_spec(7, {{7, 500, 1}}, {{500, 500, 1}}), 500));  // --security uid:7
    BOOST_TEST(!user_applies(user_spec(0, {{0, 500, 1}, {1, 100000, 65536}}, {{0, 500, 1}, {1, 100000, 65536}}),
                             500));  // --fakeroot
    launcher::Spec root;
    BOOST_TEST(user_applies(root, 0));
    BOOST_TEST(!user_applies(user_spec(0, {{0, 0, 1}}, {{0, 0, 1}}), 0));  // --userns, or --fakeroot without subordinate ids
    root.process_uid = 9;
    BOOST_TEST(!user_applies(root, 0));
}

BOOST_AUTO_TEST_SUITE_END()
