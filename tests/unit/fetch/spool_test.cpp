#include "fetch/spool.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

namespace {

class Texts final : public singularity::Stream {
public:
    explicit Texts(std::vector<std::string> texts) : texts_(std::move(texts)) {}
    singularity::Slice next() override {
        if (at_ == texts_.size()) return {};
        const std::string& t = texts_[at_++];
        return t == "hole" ? singularity::Slice::hole(100000) : singularity::Slice::borrowed(t.data(), t.size());
    }

private:
    std::vector<std::string> texts_;
    size_t at_ = 0;
};

std::string all(const sg::Spool& spool, uint64_t number) { return singularity::read_all(*spool.open(number), 1 << 20, "part"); }

}  // namespace

BOOST_AUTO_TEST_CASE(parts_come_back_as_they_went_in) {
    sg::Spool spool("/tmp");
    Texts a({"one", "two"}), empty({}), b({std::string(3 << 19, 'x')});
    BOOST_CHECK_EQUAL(spool.add(a), 0u);
    BOOST_CHECK_EQUAL(spool.add(empty), 1u);
    BOOST_CHECK_EQUAL(spool.add(b), 2u);
    BOOST_CHECK_EQUAL(all(spool, 0), "onetwo");
    BOOST_CHECK_EQUAL(all(spool, 1), "");
    BOOST_CHECK_EQUAL(spool.size(2), 3u << 19);
}

BOOST_AUTO_TEST_CASE(holes_become_zeros_and_what_follows_stays) {
    sg::Spool spool("/tmp");
    Texts a({"a", "hole", "b"});
    spool.add(a);
    const std::string text = all(spool, 0);
    BOOST_CHECK_EQUAL(text.size(), 100002u);
    BOOST_CHECK_EQUAL(text.front(), 'a');
    BOOST_CHECK_EQUAL(text.back(), 'b');
    BOOST_CHECK_EQUAL(text.find_first_not_of('\0', 1), text.size() - 1);
}

BOOST_AUTO_TEST_CASE(a_directory_that_cannot_be_written_is_named) {
    BOOST_CHECK_EXCEPTION(sg::Spool("/nowhere/at/all"), sg::Error,
                          [](const sg::Error& e) { return e.message().find("/nowhere/at/all") != std::string::npos; });
}
