# Packages: the .deb is installed in a bare Debian root, does the main job there, and is removed without a trace; the
# tarball runs from where it was unpacked; the .rpm holds the same.
. "$(dirname "$0")/../support/lib.sh"
need_root
need_tool debootstrap cpack rpm rpm2cpio cpio dpkg-deb systemd-analyze
LIMIT=300

check "the packages are made from the build that is there"
run "$SG_SOURCE/scripts/package" --build "$SG_BUILD" --output "$T/packages"
expect_rc 0
deb=$(grep '\.deb$' "$T/out") rpm=$(grep '\.rpm$' "$T/out") tar=$(grep '\.tar.gz$' "$T/out")
for file in "$deb" "$rpm" "$tar"; do [ -s "$file" ] || { fail "a package is missing"; told; finish; }; done

check "the tarball runs where it was unpacked, for an ordinary user too"
mkdir elsewhere && tar -xzf "$tar" -C elsewhere --strip-components 1
found=$(grep -rl -e "$T" -e "$SG_SOURCE" elsewhere | head -1)
expect_equal "$found" "" "a file holds a path of the build"
ok elsewhere/bin/singularity version
ok as_user elsewhere/bin/singularity help docker
expect_out '# '
as_user mkdir -p "$USER_HOME/t"
if user_namespaces && [ $FUSE_FOR_USERS = yes ]; then
    ok as_user elsewhere/bin/singularity build "$USER_HOME/t/x.sif" "oci-archive:$IMAGES/full.oci.tar"
    ok as_user elsewhere/bin/singularity exec "$USER_HOME/t/x.sif" true
fi

check "the .rpm holds what the .deb holds"
(mkdir rpm && cd rpm && rpm2cpio "$rpm" | cpio -idm --quiet 2>/dev/null)
mkdir deb && dpkg-deb -x "$deb" deb
diff <(cd rpm && find . \( -type f -o -type l \) | sort) <(cd deb && find . \( -type f -o -type l \) | sort) >files || { fail "other files"; head files; }
expect_same_file rpm/usr/bin/singularity deb/usr/bin/singularity
ok rpm -qp --requires "$rpm"
expect_out 'libssl\.so|libcrypto\.so'
ok rpm -qp --configfiles "$rpm"
expect_out '^/etc/singularity/singularity.yaml$'
ok rpm -qp --scripts "$rpm"
expect_out 'singularity config compile'
expect_out 'disable --now singularity-hub.service'
ok rpm -qp --provides "$rpm"
refuse_out '\.so' # a plugin is nobody's library
ok rpm -qp --recommends --suggests "$rpm"
expect_out '^shadow-utils$'
expect_out '^fuse-overlayfs$'
ok rpm -qpl "$rpm"
refuse_out '^/(etc|usr|usr/(bin|lib|libexec|share|include|share/modulefiles))$' # directories of other packages

check "systemd has nothing to say of the hub's unit"
sed "s#/usr/bin/#$PREFIX/bin/#" deb/usr/lib/systemd/system/singularity-hub.service >singularity-hub.service
run systemd-analyze verify --man=no "$PWD/singularity-hub.service"
expect_rc 0
refuse_err 'singularity-hub'

check "a bare Debian takes the .deb"
mirror=$({ cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '$1 == "URIs:" {print $2}'
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) print $i}'; } | head -n 1)
mkdir root
# shellcheck disable=SC2086 # no mirror, no argument
debootstrap --variant=minbase bookworm root $mirror >"$T/debootstrap" 2>&1 || skip "debootstrap: $(tail -n 1 "$T/debootstrap")"
cp "$deb" root/tmp/singularity.deb
cp "$IMAGES/full.oci.tar" root/tmp/image.tar
chmod 644 root/tmp/*
for kind in "http_proxy" "https_proxy"; do [ -z "${!kind:-}" ] || echo "Acquire::${kind%_proxy}::Proxy \"${!kind}\";" >>root/etc/apt/apt.conf; done
cp -L /etc/resolv.conf root/etc/resolv.conf
[ ! -d /etc/apt/apt.conf.d ] || cp -n /etc/apt/apt.conf.d/* root/etc/apt/apt.conf.d/ 2>/dev/null
for file in /etc/ssl/certs/ca-certificates.crt; do [ ! -e $file ] || { mkdir -p "root$(dirname $file)"; cp -n $file "root$file"; }; done

# inside COMMAND: in the root, as its own root directory, so that users can make namespaces there.
cat >inside.sh <<'S'
mount --bind root root && cd root && mount --bind /proc proc && mount --rbind /dev dev && mount -t tmpfs none run
mkdir -p .host && pivot_root . .host && umount -l /.host && rmdir /.host && cd /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive bash -c "$1"
S
inside() { run unshare --mount --propagation private bash inside.sh "$1"; }
list() { inside 'find / -xdev -path /proc -prune -o -path /dev -prune -o -path /run -prune -o -path /tmp -prune -o -path /var/cache/apt -prune -o -path /var/lib/apt -prune -o -path /var/log -prune -o -path "/var/lib/dpkg*" -prune -o -print | sort'; }
# What it depends on stays when it goes, so that this is no part of the comparison.
inside 'apt-get -q update && apt-get -q -y --no-install-recommends install $(dpkg-deb -f /tmp/singularity.deb Depends | sed "s/([^)]*)//g; s/,//g")'
[ "$RC" = 0 ] || { told; skip "the packages that it depends on cannot be had here"; }
list
cp "$T/out" before
inside 'apt-get -q -y --no-install-recommends install /tmp/singularity.deb'
expect_rc 0
inside 'dpkg -V singularity-runtime; singularity version; test -s /usr/lib/singularity/index; singularity plugin list | grep -c active'
expect_rc 0

check "it does the main job there, for root and for a user, and needs no file of the build"
inside 'cd /root && singularity build x.sif oci-archive:/tmp/image.tar && singularity exec x.sif cat /etc/os-release && ./x.sif true; singularity config show --origin build.compress'
expect_rc 0
inside 'mkdir /tmp/home && chown nobody /tmp/home && cd /tmp/home && setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/tmp/home bash -c "singularity build x.sif oci-archive:/tmp/image.tar && singularity inspect x.sif && singularity exec x.sif true"'
if user_namespaces && [ $FUSE_FOR_USERS = yes ]; then expect_rc 0; else note "no user namespaces or no FUSE: not tried as a user"; fi
check "the site's configuration is below /etc, where the program looks for it"
inside 'mkdir -p /etc/singularity/conf.d && echo "build: {compress: gzip}" > /etc/singularity/conf.d/10.yaml && singularity config show --origin build.compress; rm /etc/singularity/conf.d/10.yaml'
expect_out '/etc/singularity/conf.d/10.yaml'

check "it goes without a trace"
inside 'rm -rf /root/.singularity /root/x.sif; apt-get -q -y purge singularity-runtime'
expect_rc 0
list
cp "$T/out" after
diff before after >trace || { fail "left behind"; cat trace; }
finish
