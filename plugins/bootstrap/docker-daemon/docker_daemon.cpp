// The source "docker-daemon": images of a Docker engine, read as "docker save" would write them.
#include <cstdlib>
#include <map>
#include <mutex>

#include "engine.hpp"
#include "family/platform.hpp"
#include "family/streamed_docker_image.hpp"
#include "reference.hpp"

namespace docker_daemon {

using sources::Wanted;

class Source final : public singularity::BootstrapSource {
public:
    singularity::Identity resolve(const singularity::SourceSpec& spec, const Host& host) override {
        const EngineReference reference = parse_engine_reference(spec.reference);
        Engine engine(endpoint_of(spec), host);
        const Inspected image = engine.inspect(reference.name);
        const bool exact = takes_platform(engine, spec);
        if (!exact) sources::check_platform({image.os, image.architecture, image.variant}, wanted(spec), reference.name);
        singularity::Identity id;
        // One id may stand for images of several platforms.
        id.key = image.id + (exact ? "+" + wanted(spec).text() : "");
        id.name = reference.is_id && !image.tags.empty() ? file_name_of(image.tags.front()) : reference.file_name;
        id.cache_area = "oci-tmp";
        if (!exact) id.arch = image.architecture, id.variant = image.variant;
        const std::lock_guard lock(mutex_);
        ids_[engine.endpoint().base + " " + reference.name] = image.id;
        return id;
    }

    std::unique_ptr<singularity::Image> open(const singularity::SourceSpec& spec, const Host& host) override {
        const EngineReference reference = parse_engine_reference(spec.reference);
        Engine engine(endpoint_of(spec), host);
        // By its id: a tag may have moved since it was resolved, and the result is kept under the id.
        const std::string id = id_of(engine, reference);
        std::string platform;
        if (takes_platform(engine, spec))
            platform = R"({"os":"linux","architecture":")" + spec.arch + "\"" + (spec.variant.empty() ? "" : R"(,"variant":")" + spec.variant + "\"") + "}";
        return std::make_unique<sources::StreamedDockerImage>(engine.export_image(id, platform), "docker-daemon:" + reference.name, "", wanted(spec));
    }

private:
    static Endpoint endpoint_of(const singularity::SourceSpec& spec) {
        return find_endpoint(spec.option("docker-host"), [](const char* name) -> const char* { return std::getenv(name); });
    }
    static Wanted wanted(const singularity::SourceSpec& spec) { return {spec.arch, spec.variant, spec.arch_is_wish}; }
    static bool takes_platform(Engine& engine, const singularity::SourceSpec& spec) { return spec.arch_is_wish && engine.knows_platforms(); }

    std::string id_of(Engine& engine, const EngineReference& reference) {
        {
            const std::lock_guard lock(mutex_);
            const auto known = ids_.find(engine.endpoint().base + " " + reference.name);
            if (known != ids_.end()) return known->second;
        }
        return engine.inspect(reference.name).id;
    }

    std::mutex mutex_;
    std::map<std::string, std::string> ids_;  // what `resolve` found, by engine and name
};

}  // namespace docker_daemon

// The spelling is the name.
// clang-format off
SINGULARITY_PLUGIN(docker-daemon, docker_daemon::Source)
// clang-format on
