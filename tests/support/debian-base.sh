#!/bin/bash
# debian-base.sh DIRECTORY PACKAGE...: a Debian image of what this machine has (DIRECTORY/base.sif) and the packages, from the
# machine's own mirror, as a repository (DIRECTORY/packages) that the image's apt finds at /packages. Made once; needs root
# and `singularity` in PATH. Ends with 77 where it cannot be had.
set -e
base=$1
shift
[ ! -e "$base/done" ] || exit 0
rm -rf "$base" && mkdir -p "$base/packages/partial"
python3 "$(dirname "$0")/debian-tree.py" "$base/tree" >/dev/null || { echo "this is no Debian"; exit 77; }
apt-get -o "Dir::State::status=$base/tree/var/lib/dpkg/status" -o "Dir::Cache::archives=$base/packages/" -o APT::Sandbox::User=root \
    -y -qq --no-install-recommends --download-only install "$@" >/dev/null || { echo "the packages cannot be had here"; exit 77; }
rm -rf "$base/packages/partial" "$base/packages/lock"
(cd "$base/packages" && dpkg-scanpackages -m . >Packages 2>/dev/null)
echo "deb [trusted=yes] file:/packages ./" >"$base/tree/etc/apt/sources.list"
singularity build "$base/base.sif" "$base/tree" 2>/dev/null
chmod -R a+rX "$base/base.sif" "$base/packages"
chmod 755 "$base"
rm -rf "$base/tree"
touch "$base/done"
