# One definition, built by root, by a user with subordinate ids and by one without: the same owners, devices and
# attributes in each image.
. "$(dirname "$0")/../support/lib.sh"
need_root
need_tool apt-get dpkg newuidmap unsquashfs dpkg-scanpackages
user_namespaces || skip "needs user namespaces"
[ $FUSE_FOR_USERS = yes ] || skip "needs FUSE for users"
PACKAGES="iputils-ping cron at dbus openssh-client uuid-runtime sudo tcpdump" BASE=$SG_STAGE/debian
if [ "${SG_LONG:-}" = 1 ]; then # 30 of them
    PACKAGES="$PACKAGES bc bsdextrautils dnsutils file figlet jq less lsof man-db nano netcat-openbsd patch procps psmisc rsync socat sqlite3 strace tree unzip wget whois"
    BASE=$SG_STAGE/debian-30
    LIMIT=600
fi

# shellcheck disable=SC2086
why=$("$SUPPORT/debian-base.sh" "$BASE" $PACKAGES) || skip "${why:-the base cannot be made}"

# A static program that gives a file away by numbers: nothing can be loaded into it.
cp "$(command -v busybox)" busybox
chmod 755 busybox
cat >owners.def <<END
Bootstrap: localimage
From: $BASE/base.sif

%files
    $BASE/packages /packages
    busybox /usr/local/bin/

%post
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends $PACKAGES
    rm -rf /packages
    useradd -m joe
    groupadd crew
    usermod -aG crew joe

    mkdir /made && cd /made
    touch owned static descriptor group && chown 1000:2000 owned && busybox chown 7:8 static
    chgrp crew group
    chown joe /proc/self/fd/9 9>descriptor
    ln -s owned link && chown -h joe:crew link
    ln owned second
    echo 4711 >privileged && chown joe:crew privileged && chmod 4710 privileged
    mknod -m 666 null c 1 3 && mknod disk b 8 1 && chown root:disk disk && mkfifo -m 600 fifo
    cp /bin/true capable && setcap cap_net_bind_service+ep capable
    mkdir shared && chgrp crew shared && chmod 2775 shared && touch shared/file && mkdir shared/below && touch shared/below/file
    mkdir -m 777 open
    su joe -c 'cd open; umask 027; echo su >su; mkdir dir; ln -s su link; id -u >id'
    setpriv --reuid joe --regid crew --init-groups sh -c 'cd open; echo x >setpriv; chgrp joe setpriv; ! chown root setpriv 2>/dev/null; id -G >groups'
    perl -e '\$) = "33 33"; \$> = 33; open(F, ">open/effective"); print F "\$> \$)"; close F; \$> = 0; \$) = 0; open(F, ">again"); print F "\$>"'

    # Of the base: kept where only the content or the name changes, changed where asked.
    echo >>/etc/gshadow
    mv /etc/shadow /made/moved && cp /made/moved /etc/shadow && chgrp shadow /etc/shadow
    chown -R daemon:daemon /etc/cron.d
    chown -R root:root /usr/share/perl5
    rm -rf /var/cache/apt/*.bin
END
chmod 644 owners.def

[ "${SG_LONG:-}" = 1 ] || LIMIT=200
. "$SUPPORT/owners.sh"
tree_of() { # NAME
    # What differs from build to build: logs, caches, times, random numbers.
    listing "$1" --skip var/log --skip var/cache/ldconfig --skip var/lib/dbus/machine-id --skip etc/machine-id
    sed -Ei 's/^(.etc\/shadow-?. .*) [0-9a-f]{24}/\1/' "$1.tree"
}

check "root's build is what the others are measured by"
WHO=root run me singularity build --no-cache out/root.sif owners.def
expect_rc 0
tree_of root
for wanted in "'made/owned' f 0664 1000:2000" "'made/link' l 1000:1001" "'made/null' c 0666 0:0 1,3" "'made/disk' b 0664 0:6 8,1" "'made/privileged' f 4710 1000:1001" \
    "'made/open/su' f 0640 1000:1000" "'made/shared/below/file' f 0664 0:1001" "'made/moved' f 0640 0:42" "'usr/bin/crontab' f 2755 0:10" "'usr/lib/dbus-1.0/dbus-daemon-launch-helper' f 4754 0:10"; do
    grep -q "^$wanted" root.tree || { fail "root's image lacks $wanted"; grep "^${wanted%% *} " root.tree; }
done
grep -q "^'made/capable' .* security.capability=" root.tree || fail "root's image lacks the capability of a file"
grep -q "^'usr/bin/ping' .* security.capability=" root.tree || fail "root's image lacks the capability of ping"

check "a user with subordinate ids builds the same"
subordinate "$T/subuid"
WHO=user run me singularity build --no-cache out/subordinate.sif owners.def
expect_rc 0
refuse_err 'belongs to root in the image'
tree_of subordinate
expect_same_tree subordinate

check "a user without subordinate ids builds the same"
subordinate "$T/none"
WHO=user run me singularity build out/plain.sif owners.def
expect_rc 0
refuse_err 'belongs to root in the image'
tree_of plain
expect_same_tree plain

check "so does the kept result of %post"
WHO=user run me singularity build out/again.sif owners.def
expect_rc 0
expect_err 'Reusing %post'
tree_of again
expect_same_tree again

# What copies and asks, by what stat tells. Lists of what it told go into the image.
cat >stat.def <<END
Bootstrap: localimage
From: $BASE/base.sif

%setup
    cp -a "\$SINGULARITY_ROOTFS/etc/shadow" "\$SINGULARITY_ROOTFS/setup"
    stat -c '%u %g %F' "\$SINGULARITY_ROOTFS/etc/shadow" >"\$SINGULARITY_ROOTFS/setup.told"

%post
    umask 022
    useradd -m joe && groupadd crew
    mkdir /from && cd /from
    echo text >owned && chown 1000:20000 owned && ln owned second && ln -s owned link && chown -h joe:crew link
    echo x >privileged && chown joe:crew privileged && chmod 6711 privileged
    mknod -m 666 null c 1 3 && mknod disk b 8 70000 && chown root:disk disk && chmod 60 disk && mkfifo -m 600 fifo && chown 33 fifo
    mkdir shared && chgrp crew shared && chmod 2775 shared && touch shared/file
    cp -a /from /copied
    cp -a /etc/shadow /usr/bin/chage /copied/
    mkdir /untarred && tar -C /from --numeric-owner -cf - . | tar -C /untarred --numeric-owner -xpf -
    perl -e 'my @s = stat("owned"); print "\$s[4] \$s[5]\n"' >/perl.told
    cp -p privileged /preserved && mv /preserved /moved && sed -i s/x/y/ /moved && echo z >/moved.new && mv /moved.new /moved
    install -o joe -g crew -m 4750 /from/owned /installed && cp -a /etc/issue /etc/issue.orig && chown joe /etc/issue && cp -a /etc/issue /etc/issue.joe
    busybox cp -a /from /by-busybox
    ls -lnR --time-style=+ /from /copied /untarred | sed '/^total/d; s/^d\(.\{9\} *[0-9]* [0-9]* [0-9]*\) *[0-9]*/d\1/' >/ls.told
    # What is of the host has its own owners.
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/tmp \) -prune -o ! -name '*.told' -printf '%p %U %G %m %y %l\n' |
        grep -Ev '^/etc/(hosts|resolv.conf|localtime) ' | sort >/find.told
    find /from -type c -o -type b | sort >/devices.told
    find / -xdev -user joe ! -path '/home/*' | sort >/joe.told
    su joe -c 'test -O /from/owned && test ! -O /etc/passwd && stat -c "%U %G" /from/shared/file' >/su.told
    true | stat -c %F - >/pipe.told
    stat -L -c '%u %g' /proc/self/fd/9 9</from/owned >/fd.told

%files
    busybox /usr/local/bin/
END
chmod 644 stat.def
for who in root subordinate plain; do
    check "--emulate-stat: what cp -a, tar, find and stat say and do is as for root [$who]"
    [ $who != subordinate ] || subordinate "$T/subuid"
    [ $who != plain ] || subordinate "$T/none"
    WHO=user
    [ $who != root ] || WHO=root
    run me singularity build --no-cache --emulate-stat "out/stat-$who.sif" stat.def
    expect_rc 0
    tree_of "stat-$who"
    for list in setup ls find devices joe su perl pipe fd; do singularity exec "out/stat-$who.sif" cat "/$list.told" >"$who.$list"; done
    [ $who != root ] || { grep -q '^/from/disk 0 6 60 b' root.find && grep -q '^/copied/privileged 1000 1001 6711' root.find || { fail "root's lists lack what they should have"; head -n 30 root.find; }; continue; }
    diff stat-root.tree "stat-$who.tree" >difference || { fail "the trees differ"; head -n 40 difference; }
    for list in setup ls find devices joe su perl pipe fd; do diff "root.$list" "$who.$list" >difference || { fail "$list is told other things"; head -n 20 difference; }; done
done

check "without it stat tells root as before; what was kept with it is another result"
printf 'Bootstrap: localimage\nFrom: %s\n%%post\n    touch /owned && chown 5:6 /owned && stat -c "%%u %%g" /owned >/told\n' "$BASE/base.sif" >switch.def
chmod 644 switch.def
for emulate in false true; do
    [ $emulate = false ] || expect_out '%post +runs: build.emulate_stat is new'
    export SINGULARITY_BUILD_EMULATE_STAT=$emulate
    run me singularity build --force out/switch.sif switch.def
    expect_rc 0
    refuse_err 'Reusing %post'
    run singularity exec out/switch.sif sh -c 'cat /told; stat -c "%u %g" /owned'
    expect_equal "$OUT" "$([ $emulate = false ] && echo 0 0 || echo 5 6)
5 6"
    run me singularity build --emulate-stat --explain out/switch.sif switch.def
done
expect_out '%post +is reused'
unset SINGULARITY_BUILD_EMULATE_STAT

check "where no overlay can be had"
cat >small.def <<END
Bootstrap: localimage
From: $BASE/base.sif
%post
    useradd joe
    touch /owned && chown joe:mail /owned && mknod /null c 1 3
    su joe -c 'touch /tmp/x && cat /tmp/x' && chgrp mail /etc/motd 2>/dev/null || true
END
chmod 644 small.def
WHO=root run me singularity build --no-cache out/small-root.sif small.def
expect_rc 0
tree_of small-root
mknod -m 600 "$T/fuse600" c 10 229 && mount --bind "$T/fuse600" /dev/fuse
WHO=user run me singularity build --no-cache out/small.sif small.def
expect_rc 0
expect_err 'unpacked instead'
umount /dev/fuse
tree_of small
diff small-root.tree small.tree >difference || { fail "the trees differ"; head -n 40 difference; }

check "a user who has neither ids nor notifications is told what is missing and who can change it"
library=$(ldconfig -p | sed -n 's/.*libseccomp\.so\.2 .*x86-64.* => //p;s/.*libseccomp\.so\.2 .*AArch64.* => //p' | head -n 1)
if mount --bind /dev/null "$(readlink -f "${library:-/nowhere}")" 2>/dev/null; then
    printf 'Bootstrap: localimage\nFrom: %s\n%%post\n touch /x\n' "$BASE/base.sif" >none.def
    chmod 644 none.def
    WHO=user run me singularity build --no-cache out/none.sif none.def
    expect_rc 0
    expect_err 'no subordinate ids \(an administrator gives them: singularity config fakeroot --add'
    expect_err 'libseccomp is not here \(apt-get install libseccomp2'
    WHO=user run me singularity doctor
    expect_out '^owners in builds +limited'
    umount "$(readlink -f "$library")"
    WHO=user run me singularity doctor
    expect_out '^owners in builds +ok +recorded'
    subordinate "$T/subuid"
    WHO=user run me singularity doctor
    expect_out '^owners in builds +ok +set'
else
    note "libseccomp cannot be hidden here"
fi

umount /etc/subuid /etc/subgid
expect_nothing_left
finish
