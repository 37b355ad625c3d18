# Bases that package managers of the machine make: dnf, zypper and pacman from repositories made here, and BusyBox.
. "$(dirname "$0")/../support/lib.sh"
LIMIT=120
mkdir -p "$T/repo" "$T/pacman"

rpm_package() { # NAME [LINE OF THE SPEC...]: installs below $T/content/NAME
    {
        printf 'Name: %s\nVersion: 1\nRelease: 1\nSummary: x\nLicense: none\nAutoReqProv: no\n' "$1"
        [ "$1" != coreutils ] || echo 'Provides: aaa_base = 1'
        printf '%%description\nx\n%%install\ncp -a %s/. %%{buildroot}\n' "$T/content/$1"
        [ "$1" != coreutils ] || printf '%%post\ncat /dev/null && [ -c /dev/null ] && [ -e /proc/self ] && echo ran >/scriptlet\n'
        echo '%files'
        (cd "$T/content/$1" && find . -not -type d -printf '/%P\n')
    } >"$T/$1.spec"
    rpmbuild --quiet -bb --define "_topdir $T/rpm" --define "_dbpath $T/rpmdb" --define '__os_install_post %{nil}' \
        --define 'debug_package %{nil}' --define '_build_id_links none' "$T/$1.spec" >"$T/rpm.log" 2>&1 || fail "rpmbuild: $(tail -n 3 "$T/rpm.log")"
}
mkdir -p "$T/content/coreutils/bin" "$T/content/tiny-release/etc" "$T/content/tool/usr/share"
cp "$(command -v busybox)" "$T/content/coreutils/bin/busybox"
ln -s busybox "$T/content/coreutils/bin/sh"
ln -s busybox "$T/content/coreutils/bin/cat"
echo "Tiny Linux 1" >"$T/content/tiny-release/etc/redhat-release"
echo "a tool" >"$T/content/tool/usr/share/tool"

built() { # DEFINITION: the image has what the packages brought, and nothing of the making
    ok me singularity build --force x.sif "$1"
    run me singularity exec x.sif /bin/cat /usr/share/tool /scriptlet
    expect_rc 0
    expect_equal "$OUT" "a tool
ran" "what the packages brought"
    run me singularity exec x.sif /bin/sh -c 'echo /var/cache/*/* /var/log/* /dev.made'
    expect_equal "$OUT" "/var/cache/*/* /var/log/* /dev.made" "leftovers"
}

if command -v rpmbuild >/dev/null && command -v createrepo_c >/dev/null; then
    for name in coreutils tiny-release tool; do rpm_package $name; done
    cp "$T"/rpm/RPMS/*/*.rpm "$T/repo"
    createrepo_c -q "$T/repo"
    chmod -R a+rX "$T/repo"
    dnf_base() {
        check "dnf makes a base, by both names of the source"
        for agent in dnf yum; do
            printf 'Bootstrap: %s\nOSVersion: repo\nMirrorURL: file://%s/%%{OSVERSION}\nInclude: tool\n' $agent "$T" >x.def
            built x.def
        done
        check "an unknown package is dnf's failure, and nothing is left"
        printf 'Bootstrap: dnf\nMirrorURL: file://%s/repo\nInclude: nothing-of-this-name\n' "$T" >y.def
        run me singularity build y.sif y.def
        expect_failure
        expect_err 'dnf failed with status'
        expect_absent y.sif
    }
    if command -v dnf >/dev/null; then each_user dnf_base; else note "no dnf here"; fi
    zypper_base() {
        check "zypper makes a base"
        printf 'Bootstrap: zypper\nMirrorURL: dir://%s/repo\nInclude: tool\n' "$T" >x.def
        built x.def
    }
    if command -v zypper >/dev/null && command -v gpg >/dev/null; then
        # zypper takes a repository on that is signed, by the key beside it.
        export GNUPGHOME=$T/gnupg
        (umask 077 && mkdir "$GNUPGHOME")
        gpg --batch --quiet --passphrase '' --quick-generate-key repository rsa2048 sign never 2>/dev/null
        gpg --batch --quiet --armor --detach-sign "$T/repo/repodata/repomd.xml" 2>/dev/null
        gpg --batch --quiet --armor --export repository >"$T/repo/repodata/repomd.xml.key"
        gpgconf --kill all
        chmod -R a+rX "$T/repo"
        each_user zypper_base
    else
        note "no zypper here"
    fi
else
    note "no rpmbuild or createrepo_c here: dnf and zypper are not tried"
fi

if command -v pacman >/dev/null; then
    mkdir -p "$T/content/base/usr/bin" "$T/content/packed" "$T/db"
    cp "$(command -v busybox)" "$T/content/base/usr/bin/sh"
    ln -s sh "$T/content/base/usr/bin/cat"
    ln -s usr/bin "$T/content/base/bin"
    printf 'post_install() {\n cat /dev/null && [ -c /dev/null ] && [ -e /proc/self ] && echo ran >/scriptlet\n}\n' >"$T/content/base/.INSTALL"
    for name in base tool; do
        printf 'pkgname = %s\npkgbase = %s\npkgver = 1-1\npkgdesc = x\nbuilddate = 1\nsize = 1\narch = %s\n' $name $name "$(uname -m)" >"$T/content/$name/.PKGINFO"
        file=$T/pacman/$name-1-1-$(uname -m).pkg.tar.xz
        (cd "$T/content/$name" && find . -mindepth 1 -maxdepth 1 -printf '%P\0' | sort -z | tar --null -T - --owner=0 --group=0 -cJf "$file")
        mkdir "$T/db/$name-1-1"
        printf '%%%s%%\n%s\n\n' FILENAME "${file##*/}" NAME $name VERSION 1-1 CSIZE "$(stat -c %s "$file")" ISIZE 1 ARCH "$(uname -m)" \
            SHA256SUM "$(sha256sum "$file" | cut -d ' ' -f 1)" >"$T/db/$name-1-1/desc"
    done
    (cd "$T/db" && tar -czf "$T/pacman/core.db" base-1-1 tool-1-1)
    printf '[options]\nArchitecture = %s\nSigLevel = Never\n[core]\nServer = file://%s/pacman\n' "$(uname -m)" "$T" >"$T/pacman/pacman.conf"
    chmod -R a+rX "$T/pacman"
    pacman_base() {
        check "pacman makes a base"
        printf 'Bootstrap: arch\nConfURL: file://%s/pacman/pacman.conf\nInclude: base tool\n' "$T" >x.def
        built x.def
    }
    each_user pacman_base
else
    note "no pacman here"
fi

busybox_base() {
    check "BusyBox of a URL, and of this machine, is a system"
    printf 'Bootstrap: busybox\nMirrorURL: file://%s/content/coreutils/bin/busybox\n\n%%post\n    ls / >/listed\n' "$T" >x.def
    ok me singularity build --force x.sif x.def
    run me singularity exec x.sif /bin/sh -c 'grep -c proc /listed; ls -d /bin/sed'
    expect_equal "$OUT" "1
/bin/sed"
    printf 'Bootstrap: busybox\n' >x.def
    ok me singularity build --force x.sif x.def
    check "what is no program, or needs libraries, is refused"
    printf 'Bootstrap: busybox\nMirrorURL: file://%s/w/none\n' "$T" >y.def
    run me singularity build y.sif y.def
    expect_failure
    printf 'Bootstrap: busybox\nMirrorURL: file:///etc/passwd\n' >y.def
    run me singularity build y.sif y.def
    expect_failure
    expect_err 'no program for Linux'
    printf 'Bootstrap: busybox\nMirrorURL: file://%s\n' "$(readlink -f /bin/bash)" >y.def
    run me singularity build y.sif y.def
    expect_failure
    expect_err 'needs libraries'
    expect_absent y.sif
}
chmod -R a+rX "$T/content"
each_user busybox_base

# Without their programs: those that are here are hidden by files that cannot be run.
no_tools() {
    local agent tool package header hidden=()
    : >"$T/hidden"
    for tool in dnf yum zypper pacman debootstrap busybox; do
        for directory in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
            [ ! -x "$directory/$tool" ] || { mount --bind "$T/hidden" "$directory/$tool" && hidden+=("$directory/$tool"); }
        done
    done
    while IFS='|' read -r agent tool package header; do
        check "without $tool the source $agent names it, and the package that has it"
        printf "Bootstrap: $agent\n$header" >x.def
        run me singularity build "$agent.sif" x.def
        expect_failure
        expect_err "$tool is not installed on this machine"
        expect_err "The package '$package' has it"
        expect_absent "$agent.sif"
        expect_equal "$(ls -A)" x.def "files"
    done <<END
dnf|dnf|dnf|MirrorURL: file:///nowhere\\n
yum|dnf|dnf|MirrorURL: file:///nowhere\\n
zypper|zypper|zypper|MirrorURL: file:///nowhere\\n
arch|pacman|pacman-package-manager|
debootstrap|debootstrap|debootstrap|OSVersion: stable\\nMirrorURL: file:///nowhere\\n
busybox|busybox|busybox-static|
END
    for tool in "${hidden[@]}"; do umount "$tool"; done
}
[ "$(id -u)" != 0 ] || each_user no_tools

check "a header that misses its mirror is told"
for agent in dnf zypper; do
    printf 'Bootstrap: %s\nInclude: x\n' $agent >x.def
    run singularity build x.sif x.def
    expect_failure
    expect_err 'the header has no MirrorURL'
done
finish
