// Definitions in the shapes that real ones have.
#include "support.hpp"

using namespace sg::definition;

BOOST_AUTO_TEST_CASE(comments_before_the_header_and_trailing_ones) {
    const auto d = parsed("#!/usr/bin/env singularity\n# Copyright\n#\n\nBootStrap: docker   # the base\nFrom:ubuntu:16.04\n\n%post # install\n  apt-get update\n\n%runscript #run\nexec \"$@\"\n");
    BOOST_TEST(d.last().value("bootstrap") == "docker");
    BOOST_TEST(d.last().section("post")->arguments == "");
}

BOOST_AUTO_TEST_CASE(a_debootstrap_definition_of_version_2) {
    const auto d = parsed("BootStrap: debootstrap\nOSVersion: stable\nMirrorURL: http://ftp.us.debian.org/debian/\n\n%runscript\n    echo \"This is what happens when you run the container...\"\n\n%post\n    echo \"Hello from inside the container\"\n    sed -i 's/$/ universe/' /etc/apt/sources.list\n");
    BOOST_TEST(d.last().value("mirrorurl") == "http://ftp.us.debian.org/debian/");
    BOOST_TEST(d.findings.empty());
}

BOOST_AUTO_TEST_CASE(a_yum_definition_with_variables_in_the_url) {
    const auto d = parsed("Bootstrap: yum\nOSVersion: 7\nMirrorURL: http://mirror.centos.org/centos-%{OSVERSION}/%{OSVERSION}/os/$basearch/\nInclude: yum wget\n%setup\n    cp x $SINGULARITY_ROOTFS/x\n");
    BOOST_TEST(d.last().value("mirrorurl") == "http://mirror.centos.org/centos-%{OSVERSION}/%{OSVERSION}/os/$basearch/");
}

BOOST_AUTO_TEST_CASE(a_build_in_two_stages) {
    const auto d = parsed("Bootstrap: docker\nFrom: golang:1.12.3-alpine3.9\nStage: devel\n\n%post\n  cat << EOF > hello.go\n  package main\n  func main() { fmt.Printf(\"%s\", x) }\nEOF\n  go build -o hello hello.go\n\nBootstrap: docker\nFrom: alpine:3.9\nStage: final\n\n# install binary from stage one\n%files from devel\n  /root/hello /bin/hello\n");
    BOOST_REQUIRE(d.stages.size() == 2u);
    BOOST_TEST(d.last().files[0].pairs[0].destination == "/bin/hello");
}

BOOST_AUTO_TEST_CASE(every_section_and_apps) {
    const auto d = parsed(
        "Bootstrap: docker\nFrom: ubuntu:20.04\nStage: build\n\n%setup\n    touch /file1\n    touch ${SINGULARITY_ROOTFS}/file2\n\n%files\n    /file1\n    /file1 /opt\n\n"
        "%environment\n    export LISTEN_PORT=12345\n    export LC_ALL=C\n\n%post\n    apt-get update && apt-get install -y netcat\n    NOW=`date`\n    echo \"export NOW=\\\"${NOW}\\\"\" >> $SINGULARITY_ENVIRONMENT\n\n"
        "%runscript\n    echo \"Container was created $NOW\"\n    exec echo \"$@\"\n\n%startscript\n    nc -lp $LISTEN_PORT\n\n%test\n    grep -q NAME=\\\"Ubuntu\\\" /etc/os-release\n\n"
        "%labels\n    Author d@sylabs.io\n    Version v0.0.1\n\n%help\n    This is a demo container used to illustrate a def file that uses all\n    supported sections.\n\n"
        "%appinstall foo\n    touch foo.txt\n\n%appenv foo\n    SOFTWARE=foo\n    export SOFTWARE\n\n%apprun foo\n    echo RUNNING FOO\n\n%appfiles foo\n    foo.c\n\n%apphelp foo\n    help\n\n%apptest foo\n    true\n\n%appstart foo\n    sleep 1\n");
    BOOST_TEST(d.last().sections.size() == 8u);
    BOOST_TEST(d.last().apps[0].sections.size() == 7u);
    BOOST_TEST(d.last().labels.size() == 2u);
}

BOOST_AUTO_TEST_CASE(tabs_blanks_at_line_ends_and_old_mac_habits) {
    const auto d = parsed("Bootstrap:\tdocker\t\nFrom:\tcentos:7 \t\n\n%post\t\n\tyum -y update\n%labels\n\tMAINTAINER\tme\n");
    BOOST_TEST(d.last().value("from") == "centos:7");
    BOOST_TEST(d.last().labels[0].name == "MAINTAINER");
}

BOOST_AUTO_TEST_CASE(a_placeholder_in_every_place) {
    const auto d = parsed("bootstrap: {{ AGENT }}\nfrom: {{ IMAGE }}\n\n%arguments\n  AGENT=docker\n  IMAGE=\"x\"\n\n%files\n {{ SRC }} /opt/{{SRC}}\n%environment\n export V={{ V }}\n", {{{"SRC", "a.txt"}, {"V", "1"}}});
    BOOST_TEST(d.last().value("bootstrap") == "docker");
    BOOST_TEST(d.last().value("from") == "\"x\"");
    BOOST_TEST(d.last().files[0].pairs[0].destination == "/opt/a.txt");
}
