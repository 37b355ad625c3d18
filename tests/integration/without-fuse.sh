# An ordinary user where /dev/fuse cannot be opened: image files run from a directory in the cache.
. "$(dirname "$0")/../support/lib.sh"
need_root
[ "$FUSE_FOR_USERS" = yes ] || skip "needs a /dev/fuse of its own"
user_namespaces || skip "needs user namespaces"
WHO=user

ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif
UNPACKED=$USER_HOME/.singularity/cache/unpacked
run me singularity exec "$I" sh -c 'find / -xdev -type f | sort | xargs md5sum 2>/dev/null | grep -v "/etc/\(passwd\|group\|resolv\|hosts\|localtime\)"'
WITH_FUSE=$OUT
chmod 600 /dev/fuse

check "an image is unpacked once, with a warning, and what runs sees the same files"
run me singularity exec "$I" sh -c 'find / -xdev -type f | sort | xargs md5sum 2>/dev/null | grep -v "/etc/\(passwd\|group\|resolv\|hosts\|localtime\)"'
expect_rc 0
expect_err '^WARNING: /dev/fuse cannot be opened \(Permission denied\)'
expect_err '^INFO:    Unpacking '
expect_equal "$OUT" "$WITH_FUSE"
run me singularity exec "$I" status 42
expect_rc 42
refuse_err 'Unpacking'
expect_equal "$(ls "$UNPACKED" | wc -l)" 1

check "it keeps its name: in the container's environment and in the list of instances"
run me singularity exec "$I" sh -c 'echo "$SINGULARITY_NAME"; echo "$SINGULARITY_CONTAINER"'
expect_out '^full\.sif$'
expect_out "^$I$"
ok me singularity instance start "$I" kept
run me singularity instance list
expect_out "$I"
refuse_out 'unpacked'
ok me singularity instance stop kept

check "it is read-only, and --writable does not reach the cache"
run me singularity exec "$I" sh -c 'echo x > /new'
[ $RC != 0 ] || fail "the cached directory was written to"
run me singularity exec --writable "$I" true
expect_failure
expect_absent "$UNPACKED"/*/rootfs/new

check "an image that was replaced is unpacked anew"
cp full.sif other.sif; cat other.sif >full.sif; touch -d '2001-01-01' full.sif
run me singularity exec "$I" true
expect_rc 0
expect_err 'Unpacking'

check "several at once unpack once"
rm -rf "$UNPACKED"
for i in 1 2 3 4; do { me singularity exec "$I" true; echo "status $?"; } >"$T/many.$i" 2>&1 & done
wait
expect_equal "$(cat "$T"/many.* | grep -c '^status 0')" 4
expect_equal "$(cat "$T"/many.* | grep -c Unpacking)" 1
expect_equal "$(ls "$UNPACKED" | wc -l)" 1

check "a damaged image leaves no directory that a later run would take"
head -c 200000 full.sif >cut.sif; chmod 755 cut.sif
rm -rf "$UNPACKED"
run me singularity exec "$PWD/cut.sif" true
expect_failure
expect_absent "$UNPACKED"/*/rootfs

check "without a cache the error says so"
run me env SINGULARITY_DISABLE_CACHE=1 singularity exec "$I" true
expect_failure
expect_err 'nothing is cached'

chmod 666 /dev/fuse
expect_nothing_left
finish
