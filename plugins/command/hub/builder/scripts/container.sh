# In the container, as the build's root (job.hpp); lines before this one set subordinate_ids and directory.
export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root TMPDIR=/build/tmp LC_ALL=C.UTF-8
export SINGULARITY_TMPDIR=/build/tmp SINGULARITY_CACHEDIR=/build/cache
umask 022
if [ "$subordinate_ids" = yes ]; then
    echo root:1:65536 >/etc/subuid
    echo root:1:65536 >/etc/subgid
fi
if [ -e /context ]; then
    tar -xzf /context -C / || exit 1
fi
mkdir -p "$directory" && cd "$directory" || exit 1
exec singularity build /build/image.sif /build/definition
