# One definition that dnf makes from a repository made here, built by root, by a user with subordinate ids and by one
# without: the same tree in each image.
. "$(dirname "$0")/../support/lib.sh"
need_root
need_tool dnf rpmbuild createrepo_c newuidmap unsquashfs busybox
user_namespaces || skip "needs user namespaces"
[ $FUSE_FOR_USERS = yes ] || skip "needs FUSE for users"
LIMIT=120
. "$SUPPORT/owners.sh"

# package NAME LINE...: an rpm of what is below content/NAME, with these lines after its %install.
package() {
    local name=$1
    shift
    {
        printf 'Name: %s\nVersion: 1\nRelease: 1\nSummary: x\nLicense: none\nAutoReqProv: no\n' "$name"
        [ "$name" = base ] && printf 'Provides: coreutils\nProvides: /bin/sh\n' || echo 'Requires(pre): coreutils'
        printf '%%description\nx\n%%install\ncp -a %s/. %%{buildroot}\n' "$PWD/content/$name"
        printf '%s\n' "$@"
    } >"$name.spec"
    rpmbuild --quiet -bb --define "_topdir $T/rpm" --define "_dbpath $T/rpmdb" --define '__os_install_post %{nil}' \
        --define 'debug_package %{nil}' --define '_build_id_links none' "$name.spec" >"$T/rpm.log" 2>&1 || fail "rpmbuild: $(tail -n 3 "$T/rpm.log")"
}
mkdir -p content/base/bin content/base/etc content/app/etc/app content/app/usr/bin content/app/srv/shared
cp "$(command -v busybox)" content/base/bin/busybox
for name in sh cat chown chmod mkdir mknod touch ln test id su; do ln -s busybox content/base/bin/$name; done
echo "Tiny Linux 1" >content/base/etc/redhat-release
printf 'root:x:0:0::/:/bin/sh\nmail:x:8:12::/:/bin/sh\n' >content/base/etc/passwd
printf 'root:x:0:\nmail:x:12:\n' >content/base/etc/group
echo secret >content/app/etc/app/key
echo data >content/app/etc/app/data
ln content/app/etc/app/data content/app/etc/app/same
ln -s data content/app/etc/app/link
cp "$(command -v busybox)" content/app/usr/bin/app
cp "$(command -v busybox)" content/app/usr/bin/capable
package base '%files' '%attr(755,root,root) /bin/*' '%attr(644,root,root) %config /etc/*'
package app '%pre' 'echo "app:x:100:101::/:/bin/sh" >>/etc/passwd' 'echo "app:x:101:" >>/etc/group' \
    '%post' 'set -e' 'cat /dev/null' 'test -c /dev/null' 'echo >/dev/null' 'test -e /proc/self/exe' 'test "$(id -u)" = 0' \
    'mkdir /var/app' 'touch /var/app/log' 'chown app:mail /var/app /var/app/log' 'chmod 2750 /var/app' 'touch /var/app/inherits' \
    'mknod /var/app/null c 1 3' 'su app -c "touch /srv/shared/mine"' 'echo ran >/scriptlet' \
    '%files' '%attr(640,root,app) /etc/app/key' '%attr(600,app,mail) /etc/app/data' '%attr(600,app,mail) /etc/app/same' '/etc/app/link' \
    '%attr(4750,app,mail) /usr/bin/app' '%caps(cap_net_raw=ep) %attr(755,root,root) /usr/bin/capable' '%dir %attr(1777,root,app) /srv/shared'
mkdir repo && cp "$T"/rpm/RPMS/*/*.rpm repo && createrepo_c -q repo
chmod -R a+rX "$T/w"
cat >dnf.def <<END
Bootstrap: dnf
OSVersion: repo
MirrorURL: file://$PWD/%{OSVERSION}
Include: app

%post
    chown app:app /etc/redhat-release
    chmod 4755 /etc/redhat-release
END
chmod 644 dnf.def
# What differs from build to build: the database of rpm and dnf's history have times in them.
tree_of() { listing "$1" --skip var/lib/rpm --skip var/lib/dnf --skip var/log; }

check "root's build is what the others are measured by"
WHO=root run me singularity build --no-cache out/root.sif dnf.def
expect_rc 0
tree_of root
for wanted in "'scriptlet' f 0644 0:0" "'etc/app/key' f 0640 0:101" "'etc/app/data' f 0600 100:12" "'usr/bin/app' f 4750 100:12" "'srv/shared' d 1777 0:101" \
    "'srv/shared/mine' f 0644 100:101" "'var/app' d 2750 100:12" "'var/app/log' f 0644 100:12" "'var/app/inherits' f 0644 0:12" "'var/app/null' c 0644 0:12 1,3" \
    "'etc/redhat-release' f 4755 100:101"; do
    grep -q "^$wanted" root.tree || { fail "root's image lacks $wanted"; grep "^${wanted%% *} " root.tree; }
done
grep -q "^'usr/bin/capable' .* security.capability=" root.tree || fail "root's image lacks the capability of a file"
grep -q "^'etc/app/same' .* links=2 first='etc/app/data'" root.tree || fail "root's image lacks a hard link"
! grep "^'dev/" root.tree || fail "devices of the making are in root's image"

check "a user with subordinate ids builds the same"
subordinate "$T/subuid"
WHO=user run me singularity build --no-cache out/subordinate.sif dnf.def
expect_rc 0
tree_of subordinate
expect_same_tree subordinate

check "a user without subordinate ids builds the same"
subordinate "$T/none"
WHO=user run me singularity build --no-cache out/plain.sif dnf.def
expect_rc 0
refuse_err 'belongs to root in the image'
tree_of plain
expect_same_tree plain

check "what fails in dnf is told once, and leaves nothing"
sed 's/^Include:.*/Include: nothing-of-this-name/' dnf.def >bad.def
WHO=user run me singularity build --no-cache out/bad.sif bad.def
expect_failure
expect_err 'dnf failed with status'
expect_absent out/bad.sif
umount /etc/subuid /etc/subgid
expect_nothing_left
finish
