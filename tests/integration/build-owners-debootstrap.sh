# A base that debootstrap makes, of a repository made here, built by root, by a user with subordinate ids and by one without:
# the same tree in each image. With SG_LONG=1 also Debian itself, of this machine's mirror.
. "$(dirname "$0")/../support/lib.sh"
need_root
need_tool debootstrap dpkg-deb newuidmap unsquashfs busybox
user_namespaces || skip "needs user namespaces"
[ $FUSE_FOR_USERS = yes ] || skip "needs FUSE for users"
LIMIT=120
. "$SUPPORT/owners.sh"
arch=$(dpkg --print-architecture)

package() { # NAME: what is below content/NAME, with its maintainer's scripts in DEBIAN
    printf 'Package: %s\nVersion: 1\nArchitecture: %s\nMaintainer: nobody <nobody@example.com>\nDescription: x\n' "$1" "$arch" >"content/$1/DEBIAN/control"
    dpkg-deb --build -Zgzip "content/$1" "repo/pool/$1_1_$arch.deb" >/dev/null || fail "dpkg-deb: $1"
    printf 'Package: %s\nVersion: 1\nArchitecture: %s\nMaintainer: nobody <nobody@example.com>\nFilename: pool/%s\nSize: %s\nSHA256: %s\nDescription: x\n\n' "$1" "$arch" \
        "$1_1_$arch.deb" "$(stat -c %s "repo/pool/$1_1_$arch.deb")" "$(sha256sum "repo/pool/$1_1_$arch.deb" | cut -d ' ' -f 1)" >>"repo/dists/tiny/main/binary-$arch/Packages"
}
mkdir -p "repo/pool" "repo/dists/tiny/main/binary-$arch" content/{tiny-base,apt,app}/DEBIAN content/tiny-base/{bin,sbin,etc,dev,proc,sys,tmp,var/log,var/lib/dpkg/info} content/app/{etc/app,usr/bin,srv/shared}
cp "$(command -v busybox)" content/tiny-base/bin/busybox
for name in sh cat chown chgrp chmod mkdir mknod touch ln mv rm test true id su dpkg dpkg-deb tar gzip mount umount; do ln -s busybox content/tiny-base/bin/$name; done
printf 'root:x:0:0::/:/bin/sh\nmail:x:8:12::/:/bin/sh\n' >content/tiny-base/etc/passwd
printf 'root:x:0:\nmail:x:12:\n' >content/tiny-base/etc/group
chmod 1777 content/tiny-base/tmp
echo secret >content/app/etc/app/key && chown 0:12 content/app/etc/app/key && chmod 640 content/app/etc/app/key
echo data >content/app/etc/app/data && ln content/app/etc/app/data content/app/etc/app/same && chown 8:12 content/app/etc/app/data && chmod 600 content/app/etc/app/data
ln -s data content/app/etc/app/link && chown -h 8:12 content/app/etc/app/link
echo tool >content/app/usr/bin/tool && chown 8:12 content/app/usr/bin/tool && chmod 4755 content/app/usr/bin/tool
chown 8:12 content/app/srv/shared && chmod 2775 content/app/srv/shared
cat >content/app/DEBIAN/postinst <<'END'
#!/bin/sh
set -e
cat /dev/null
test -c /dev/null
echo >/dev/null
test -e /proc/self/exe
test "$(id -u)" = 0
echo "app:x:100:101::/:/bin/sh" >>/etc/passwd
echo "app:x:101:" >>/etc/group
mkdir /var/app
touch /var/app/log
chown app:mail /var/app /var/app/log
chmod 2750 /var/app
touch /var/app/inherits
mknod -m 600 /var/app/disk b 8 1
chmod 777 /srv
su app -c "touch /srv/mine"
END
chmod 755 content/app/DEBIAN/postinst
for name in tiny-base apt app; do package $name; done
printf 'Suite: tiny\nCodename: tiny\nComponents: main\nArchitectures: %s\nSHA256:\n %s %s main/binary-%s/Packages\n' "$arch" \
    "$(sha256sum "repo/dists/tiny/main/binary-$arch/Packages" | cut -d ' ' -f 1)" "$(stat -c %s "repo/dists/tiny/main/binary-$arch/Packages")" "$arch" >repo/dists/tiny/Release
chmod -R a+rX repo

# What makes a release of these packages; debootstrap looks for such files by the release's name.
mkdir scripts && cp -a /usr/share/debootstrap/scripts/. scripts/ && mount --bind scripts /usr/share/debootstrap/scripts
cat >scripts/tiny <<'END'
mirror_style release
download_style apt
finddebs_style from-indices
variants - minbase
work_out_debs () { required="tiny-base"; }
first_stage_install () {
    extract $required
    : >"$TARGET/var/lib/dpkg/status"
    setup_etc
    setup_devices
}
second_stage_install () {
    setup_proc
    in_target dpkg --install $(debfor $required $base)
    info BASESUCCESS "Base system installed successfully."
}
END
chmod 644 scripts/tiny

three_ways() { # DEFINITION
    check "root's build is what the others are measured by"
    WHO=root run me singularity build --no-cache --force out/root.sif "$1"
    expect_rc 0
    tree_of root
    check "a user with subordinate ids builds the same"
    subordinate "$T/subuid"
    WHO=user run me singularity build --no-cache --force out/subordinate.sif "$1"
    expect_rc 0
    tree_of subordinate
    expect_same_tree subordinate
    check "a user without subordinate ids builds the same"
    subordinate "$T/none"
    WHO=user run me singularity build --no-cache --force out/plain.sif "$1"
    expect_rc 0
    refuse_err 'belongs to root in the image'
    tree_of plain
    expect_same_tree plain
    umount /etc/subuid /etc/subgid
}

tree_of() { listing "$1" --skip var/log; }
printf 'Bootstrap: debootstrap\nOSVersion: tiny\nMirrorURL: file://%s/repo\nInclude: app\n\n%%post\n    chown app:app /etc/passwd\n' "$PWD" >tiny.def
chmod 644 tiny.def
three_ways tiny.def
for wanted in "'etc/app/key' f 0640 0:12" "'etc/app/same' " "'usr/bin/tool' f 4755 8:12" "'srv/shared' d 2775 8:12" "'srv/mine' f 0[0-7]* 100:101" "'var/app/inherits' f 0[0-7]* 0:12" \
    "'var/app/disk' b 0600 0:12 8,1" "'etc/passwd' f 0644 100:101" "'dev/null' c 0666 0:0 1,3"; do
    grep -q "^$wanted" root.tree || { fail "root's image lacks $wanted"; grep "^${wanted%% *} " root.tree; }
done

check "a release that the mirror does not have is debootstrap's failure, and nothing is left"
printf 'Bootstrap: debootstrap\nOSVersion: nowhere\nMirrorURL: file://%s/repo\n' "$PWD" >none.def
run singularity build none.sif none.def
expect_failure
expect_err 'debootstrap failed with status'
expect_absent none.sif

if [ "${SG_LONG:-}" = 1 ]; then
    mirror=$(sed -n 's/^URIs: *\(http[^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\?\(http[^ ]*\) .*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v security | head -n 1)
    LIMIT=600
    tree_of() { listing "$1" --skip var/log --skip var/cache/ldconfig --skip etc/machine-id --skip var/lib/apt/lists --skip var/cache/apt; }
    printf 'Bootstrap: debootstrap\nOSVersion: %s\nMirrorURL: %s\nInclude: cron\n' "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$mirror" >debian.def
    chmod 644 debian.def
    three_ways debian.def
fi
umount /usr/share/debootstrap/scripts
expect_nothing_left
finish
