// @NAME@://WHO: a root file system that the plugin fills itself. Other answers: LayeredImage, BlobImage, PathImage
// and EmptyImage (singularity/bootstrap.hpp).
#include <fstream>
#include <singularity/bootstrap.hpp>

namespace {

using namespace singularity;

class Greeting final : public RecipeImage {
public:
    explicit Greeting(std::string who) : who_(std::move(who)) {}
    void fill(const std::string& rootfs, const Host& host) override {
        host.poll();  // in each long loop: throws when the user has cancelled
        std::ofstream file(rootfs + "/greeting");
        file << "hello " << who_ << "\n";
        file.close();
        if (!file) throw Error(Code::io, rootfs + "/greeting: cannot write it");
    }

private:
    std::string who_;
};

class Source final : public BootstrapSource {
public:
    // What can be said without work: with a key (a digest) the host would cache the image; "" = it does not.
    Identity resolve(const SourceSpec& spec, const Host&) override {
        check(spec);
        return {"", "@NAME@.sif", "", spec.arch, ""};
    }
    std::unique_ptr<Image> open(const SourceSpec& spec, const Host&) override {
        check(spec);
        return std::make_unique<Greeting>(spec.reference);
    }

private:
    static void check(const SourceSpec& spec) {
        if (spec.reference.empty()) throw Error(Code::invalid, "there is nobody to greet", "name somebody: @NAME@://world");
    }
};

}  // namespace

// clang-format off
SINGULARITY_PLUGIN(@NAME@, Source)
