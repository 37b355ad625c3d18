# --nv, --rocm and --device with a made-up driver: libraries in a real cache of the dynamic linker, programs, devices.
. "$(dirname "$0")/../support/lib.sh"
need_root
need_tool gcc ldconfig mknod

own_prefix
ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif
D=$T/driver
mkdir -p "$D/lib" "$D/lib32" "$D/bin"
chmod -R a+rX "$D"
library() { echo 'int x;' | gcc -shared -fPIC -x c -o "$1" -Wl,-soname,"$(basename "$1")" -; }
for name in libcuda.so.1 libnvidia-ml.so.1 libdrm_amdgpu.so.1 libunrelated.so.1; do library "$D/lib/$name"; done
ln -s libcuda.so.1 "$D/lib/libcuda.so"
# One of another word size, which comes first in the cache's order.
if ! echo 'int x;' | gcc -m32 -nostdlib -shared -fPIC -x c -o "$D/lib32/libcuda32.so.1" -Wl,-soname,libcuda.so.1 - 2>/dev/null; then
    cp "$D/lib/libcuda.so.1" "$D/lib32/libcuda32.so.1"
    printf '\x01' | dd of="$D/lib32/libcuda32.so.1" bs=1 seek=4 conv=notrunc status=none
    NO_32_BITS=yes
else
    ln -s libcuda32.so.1 "$D/lib32/libcuda.so.1" # the name that the cache has of it
fi
printf '#!/bin/sh\necho smi\n' >"$D/bin/nvidia-smi"
chmod 755 "$D/bin/nvidia-smi"
printf '%s\n' "$D/lib" "$D/lib32" >"$T/ld.so.conf"
ldconfig -X -C "$T/ld.so.cache" -f "$T/ld.so.conf" 2>/dev/null || skip "ldconfig makes no cache here"
chmod 644 "$T/ld.so.cache"
mount --bind "$T/ld.so.cache" /etc/ld.so.cache
# A /dev with GPUs, seen by this test alone.
mkdir "$T/newdev"
mount -t tmpfs -o mode=755 none "$T/newdev"
for n in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "fuse 10 229" "nvidia0 1 3" "nvidia1 1 3" "nvidiactl 1 3" "kfd 1 3"; do
    set -- $n
    mknod -m 666 "$T/newdev/$1" c "$2" "$3" || skip "no device nodes can be made here"
done
mkdir "$T/newdev/shm" "$T/newdev/pts" "$T/newdev/dri" "$T/newdev/mqueue"
ln -s /proc/self/fd "$T/newdev/fd"
for f in /dev/loop*; do [ -e "$f" ] && { [ -d "$f" ] || { touch "$T/newdev/$(basename "$f")" && mount --bind "$f" "$T/newdev/$(basename "$f")"; }; }; done
mount --rbind "$T/newdev" /dev
baseline
export PATH=$D/bin:$PATH

nv() {
    check "--nv shows libraries and programs of the driver, and nothing else"
    run me env "PATH=$PATH" singularity exec --nv "$I" ls /.singularity.d/libs
    expect_rc 0
    expect_out '^libcuda.so.1$'
    expect_out '^libnvidia-ml.so.1$'
    refuse_out 'unrelated|cuda32|amdgpu|libc\.so'
    run me env "PATH=$PATH" singularity exec --nv "$I" nvidia-smi
    expect_equal "$OUT" smi
    run me env "PATH=$PATH" singularity exec --nv "$I" /bin/sh -c 'echo $LD_LIBRARY_PATH; echo x >/.singularity.d/libs/libcuda.so.1'
    expect_out '/\.singularity\.d/libs'
    [ "$RC" != 0 ] || fail "a library of the host could be written"
    cmp -s "$D/lib/libcuda.so.1" "$D/lib/libcuda.so" || fail "the host's library was changed"
    check "without it there is nothing of it"
    run me env "PATH=$PATH" singularity exec "$I" ls -A /.singularity.d/libs
    expect_equal "$OUT" ""
    if [ -z "${NO_32_BITS:-}" ]; then
        check "--compat32 shows those of 32 bits in a directory of their own"
        run me singularity exec --nv --compat32 "$I" /bin/sh -c 'ls /.singularity.d/libs32; echo $LD_LIBRARY_PATH'
        expect_rc 0
        expect_out '^libcuda.so.1$'
        refuse_out 'nvidia-ml'
        expect_out ':?/\.singularity\.d/libs:/\.singularity\.d/libs32$'
        run me singularity exec --nv "$I" /bin/sh -c 'ls /.singularity.d/libs32 2>&1; echo $LD_LIBRARY_PATH'
        expect_out 'libs32: No such'
        refuse_out ':/.singularity.d/libs32'
    fi
    check "--contain shows its devices, as NVIDIA_VISIBLE_DEVICES says"
    run me singularity exec --contain "$I" ls /dev
    refuse_out nvidia
    run me singularity exec --contain --nv "$I" ls /dev
    expect_out '^nvidia0$'
    expect_out '^nvidia1$'
    expect_out '^nvidiactl$'
    NVIDIA_VISIBLE_DEVICES=1 run me singularity exec --contain --nv "$I" ls /dev
    refuse_out '^nvidia0$'
    expect_out '^nvidia1$'
    expect_out '^nvidiactl$'
    check "SINGULARITY_NV=1 is --nv, and --no-nv wins"
    SINGULARITY_NV=1 run me singularity exec "$I" ls /.singularity.d/libs
    expect_out libcuda
    SINGULARITY_NV=1 run me singularity exec --no-nv "$I" ls /.singularity.d/libs
    refuse_out libcuda
    run me singularity exec --set gpu.nv=yes "$I" ls /.singularity.d/libs
    expect_out libcuda
    check "an instance has them too"
    ok me singularity instance start --nv "$I" gpu
    run me singularity exec instance://gpu ls /.singularity.d/libs
    expect_out libcuda
    ok me singularity instance stop gpu
    check "--containlibs"
    run me singularity exec --containlibs "$D/lib/libunrelated.so.1" "$I" ls /.singularity.d/libs
    expect_equal "$OUT" libunrelated.so.1
}
each_user nv

rocm() {
    check "--rocm shows AMD's"
    run me singularity exec --rocm "$I" ls /.singularity.d/libs
    expect_out '^libdrm_amdgpu.so.1$'
    refuse_out cuda
    run me singularity exec --contain --rocm "$I" ls /dev
    expect_out '^kfd$'
    expect_out '^dri$'
}
each_user rocm

cdi() {
    mkdir -p "$T/cdi"
    cat >"$T/cdi/vendor.yaml" <<END
cdiVersion: 0.6.0
kind: example.com/gpu
devices:
  - name: "0"
    containerEdits:
      deviceNodes:
        - path: /dev/nvidia0
      env: ["GPU=zero"]
containerEdits:
  mounts:
    - {hostPath: $D/lib, containerPath: /vendor/lib, options: [ro, bind]}
END
    chmod -R a+rX "$T/cdi"
    check "--device takes a CDI device with its mounts and variables"
    run me singularity exec --contain --cdi-dirs "$T/cdi" --device example.com/gpu=0 "$I" /bin/sh -c 'echo $GPU; ls /dev/nvidia*; ls /vendor/lib'
    expect_rc 0
    expect_out '^zero$'
    expect_out '^/dev/nvidia0$'
    refuse_out nvidia1
    expect_out '^libcuda.so.1$'
    check "an unknown device is refused, naming those that there are"
    run me singularity exec --cdi-dirs "$T/cdi" --device example.com/gpu=9 "$I" true
    expect_failure
    expect_err 'example.com/gpu=0'
    run me singularity exec --cdi-dirs "$T/cdi" --device gpu0 "$I" true
    expect_failure 1
    echo 'kind: [' >"$T/cdi/broken.yaml"
    run me singularity exec --cdi-dirs "$T/cdi" --device example.com/gpu=0 "$I" true
    expect_rc 0
    expect_err 'WARNING: .*broken.yaml'
    rm "$T/cdi/broken.yaml"
}
each_user cdi

check "the list is the site's to change"
echo libunrelated.so >"$PREFIX/etc/singularity/nvliblist.conf"
run singularity exec --nv "$I" ls /.singularity.d/libs
expect_equal "$OUT" libunrelated.so.1
check "nothing there: a warning and no failure"
umount /etc/ld.so.cache
: >"$PREFIX/etc/singularity/nvliblist.conf"
mkdir "$T/empty" && mount --bind "$T/empty" /dev/dri
rm -f /dev/nvidia0 /dev/nvidia1 /dev/nvidiactl
run singularity exec --nv "$I" true
expect_rc 0
expect_err 'WARNING: +Could not find any nv files on this host!'
umount /dev/dri
SETTLE=3 expect_nothing_left
finish
