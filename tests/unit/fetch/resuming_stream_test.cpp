#include "fetch/resuming_stream.hpp"

#include <boost/test/unit_test.hpp>
#include <vector>

#include "base/error.hpp"

namespace {

using singularity::Slice;
using singularity::Stream;

const std::string text = "0123456789";

// Gives one byte at a time and breaks after `most` of them.
class Breaking final : public Stream {
public:
    Breaking(uint64_t at, uint64_t most, sg::Code code) : at_(at), left_(most), code_(code) {}
    Slice next() override {
        if (at_ == text.size()) return {};
        if (left_-- == 0) throw sg::Error(code_, "broken at " + std::to_string(at_));
        return Slice::borrowed(text.data() + at_++, 1);
    }

private:
    uint64_t at_, left_;
    sg::Code code_;
};

struct Opened {
    std::vector<uint64_t> offsets;
    std::unique_ptr<Stream> stream(uint64_t most, sg::Code code = sg::Code::network) {
        return sg::resuming(
            [this, most, code](uint64_t at) -> std::unique_ptr<Stream> {
                offsets.push_back(at);
                return std::make_unique<Breaking>(at, most, code);
            },
            nullptr);
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(it_goes_on_where_it_broke) {
    Opened o;
    BOOST_CHECK_EQUAL(singularity::read_all(*o.stream(4), 100, "x"), text);
    BOOST_CHECK((o.offsets == std::vector<uint64_t>{0, 4, 8}));
}

BOOST_AUTO_TEST_CASE(a_server_that_gives_nothing_more_is_not_asked_again) {
    Opened o;
    BOOST_CHECK_EXCEPTION(singularity::read_all(*o.stream(0), 100, "x"), sg::Error, [](const sg::Error& e) { return e.code() == sg::Code::network; });
    BOOST_CHECK_EQUAL(o.offsets.size(), 1u);
}

BOOST_AUTO_TEST_CASE(it_gives_up_after_some_times) {
    Opened o;
    BOOST_CHECK_THROW(singularity::read_all(*o.stream(1), 100, "x"), sg::Error);
    BOOST_CHECK_LT(o.offsets.size(), 8u);
}

BOOST_AUTO_TEST_CASE(other_failures_are_final) {
    Opened o;
    BOOST_CHECK_EXCEPTION(singularity::read_all(*o.stream(4, sg::Code::unauthorized), 100, "x"), sg::Error,
                          [](const sg::Error& e) { return e.code() == sg::Code::unauthorized; });
    BOOST_CHECK_EQUAL(o.offsets.size(), 1u);
}

BOOST_AUTO_TEST_CASE(where_only_the_beginning_can_be_had_the_first_failure_is_told) {
    int opened = 0;
    const auto stream = sg::resuming(
        [&](uint64_t at) -> std::unique_ptr<Stream> {
            if (++opened > 1) throw sg::Error(sg::Code::unsupported, "no ranges");
            return std::make_unique<Breaking>(at, 4, sg::Code::network);
        },
        nullptr);
    BOOST_CHECK_EXCEPTION(singularity::read_all(*stream, 100, "x"), sg::Error, [](const sg::Error& e) { return e.code() == sg::Code::network; });
}
