#include "build/test_run.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "build/id_maps.hpp"
#include "build/script_devices.hpp"
#include "runtime/launch_spec.hpp"

namespace sg {

int run_test_of(PluginHost& plugins, const std::string& image_path, const std::string& prefix,
                const std::string& plugin_directory, const std::string& work, const HostShare& share,
                const sg_call* call) {
    OpenedImage image = plugins.open_image(image_path);
    const sg_image_info info = image.info();
    runtime::ImageFacts facts;
    facts.path = image.path();
    try {
        facts.plan = image.mount_plan();
    } catch (const Error& e) {
        if (e.code() != Code::unsupported) throw;  // its reader serves it
    }
    facts.arch = info.arch;
    runtime::LaunchOptions o;
    o.action = "test";
    o.writable_tmpfs = o.clean_environment = o.no_home = o.pid = true;
    o.cwd = "/";
    o.no_mount = {"cwd"};
    share.add_to(o);
    const bool own_devices = is_machine_root();
    if (own_devices) o.devices = work;
    const runtime::Machine machine = runtime::this_machine(prefix, plugin_directory);
    const runtime::LaunchSpec spec = runtime::make_launch_spec(o, plugins.settings(), facts, machine);
    for (const auto& w : spec.warnings) log::verbose(w);
    sg_launch_image root{nullptr, nullptr};
    if (!image.format().directory) {
        const singularity::ForeignRoot reader = image.root();
        root = {reader.table(), reader.handle()};
    }
    const auto all = plugins.index().capabilities(CapabilityKind::launcher);
    const std::string chosen = plugins.settings().text("launcher");
    if (chosen.empty() && all.empty()) throw Error(Code::not_found, "no launcher is registered: nothing can run %test");
    const sg_launcher_v1& launcher = plugins.launcher(chosen.empty() ? all.front().name : std::string_view(chosen));
    const sg_launch launch{spec.json.c_str(), &root, 1, call};
    int32_t status = 0;
    const auto run = [&] { singularity::check([&](sg_error* e) { return launcher.run(&launch, &status, e); }); };
    if (own_devices)
        with_script_devices(work, run);
    else
        run();
    return status;
}

}  // namespace sg
