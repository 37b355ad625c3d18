// Which processes end together.
#include "mount/job.hpp"

#include <boost/test/unit_test.hpp>

using sg::job_of_groups;

BOOST_AUTO_TEST_SUITE(job)

BOOST_AUTO_TEST_CASE(ranks_of_a_step_of_slurms_are_one_job) {
    const auto v2 = [](const char* rest) { return std::string("0::/system.slice/slurmstepd.scope/") + rest + "\n"; };
    BOOST_TEST(job_of_groups(v2("job_7/step_0/user/task_0")) == job_of_groups(v2("job_7/step_0/user/task_12")));
    BOOST_TEST(job_of_groups(v2("job_7/step_0/user/task_0")) != job_of_groups(v2("job_7/step_1/user/task_0")));
    BOOST_TEST(job_of_groups(v2("job_7/step_0/user/task_0")) != job_of_groups(v2("job_8/step_0/user/task_0")));
    const auto v1 = [](const std::string& rank) {
        return "9:freezer:/slurm/uid_5/job_7/step_0\n4:memory:/slurm/uid_5/job_7/step_0/task_" + rank + "\n0::/\n";
    };
    BOOST_TEST(job_of_groups(v1("0")) == job_of_groups(v1("31")));
}

BOOST_AUTO_TEST_CASE(other_groups_are_other_jobs) {
    for (const char* text :
         {"0::/user.slice/user-5.slice/session-1.scope\n", "0::/user.slice/user-5.slice/session-2.scope\n",
          "0::/a/task_\n", "0::/a/task_x1\n", "0::/a/task_1x\n", "0::/a/task_1/b\n", "no line's end", ""})
        BOOST_TEST(job_of_groups(text) == std::string(text) + (*text && std::string(text).back() != '\n' ? "\n" : ""));
}

BOOST_AUTO_TEST_SUITE_END()
