#!/bin/bash
# make-images.sh DIRECTORY: the images of the integration tests, made from a static busybox without any registry.
# Made once: a change of what makes them makes them anew.
set -euo pipefail
out=${1:?usage: make-images.sh DIRECTORY}
here=$(dirname "$(readlink -f "$0")")
stamp=$(cat "$here/mkimage.py" "$here/make-images.sh" | sha256sum)
[ "$(cat "$out/.stamp" 2>/dev/null)" != "$stamp" ] || exit 0
rm -rf "$out"
mkdir -p "$out"

busybox=$(command -v busybox) || { echo "make-images: no busybox; scripts/install-deps test" >&2; exit 1; }
! ldd "$busybox" >/dev/null 2>&1 || { echo "make-images: $busybox is not static" >&2; exit 1; }
python3 "$here/mkimage.py" "$out" "$busybox"

# Archives of the layouts, by tar and, for another writer's habits, by skopeo.
for name in full tiny two; do tar -C "$out/$name.oci" -cf "$out/$name.oci.tar" .; done
(cd "$out/full.oci" && tar -cf "$out/full-plain-names.oci.tar" -- *)
gzip -1 -k -c "$out/full.oci.tar" >"$out/full.oci.tar.gz"
zstd -q -1 -k "$out/full.oci.tar" -o "$out/full.oci.tar.zst"
gzip -1 -c "$out/save-old.tar" >"$out/save-old.tar.gz"
xz -1 -c "$out/save-old.tar" >"$out/save-old.tar.xz"
bzip2 -1 -c "$out/save-new.tar" >"$out/save-new.tar.bz2"
if command -v skopeo >/dev/null; then
    skopeo copy -q "oci:$out/full.oci:latest" "oci-archive:$out/full.skopeo.oci.tar:latest"
    skopeo copy -q "oci:$out/full.oci:latest" "docker-archive:$out/full.skopeo.docker.tar:example/full:1.0"
fi
chmod -R a+rX "$out"
echo "$stamp" >"$out/.stamp"
