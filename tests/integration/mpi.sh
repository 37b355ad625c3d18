# Real Open MPI, as people run it on clusters: the host's mpirun starts the ranks, each in a container of its own whose
# image has the MPI library (made of Debian's packages).
. "$(dirname "$0")/../support/lib.sh"

need_root
need_tool mpirun mpicc python3
python3 "$SUPPORT/debian-tree.py" "$T/tree" libopenmpi3 openmpi-bin >/dev/null 2>&1 || skip "this is no Debian"
[ -e "$T/tree/usr/lib/$(uname -m)-linux-gnu/libmpi.so.40" ] || skip "needs Debian's libopenmpi3"
ok mpicc -O1 -o "$T/tree/usr/bin/ranks" "$SUPPORT/ranks.c"
ok singularity build --compress lz4 mpi.sif "$T/tree"
rm -rf "$T/tree"
chmod 644 mpi.sif
I=$PWD/mpi.sif
# Open MPI counts cores and refuses root; a container around the test may have no name server.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_mpi_yield_when_idle=1
LIMIT=150

ranks() {
    check "16 ranks find each other, by messages and by shared memory"
    run me mpirun --oversubscribe -np 16 singularity exec "$I" ranks
    expect_rc 0
    expect_out '^16 ranks, sum 120, memory 120, messages 16, root [0-9]+, users [0-9]+$'
    if [ "$WHO" = user ] && [ $FUSE_FOR_USERS = yes ]; then
        check "ranks of a user share one file system server and one user namespace"
        expect_out 'root 1, users 1$'
    fi
    check "each with an overlay and a bind of its own, and in a directory of its own"
    me mkdir -p d
    run me mpirun --oversubscribe -np 3 singularity exec --writable-tmpfs -B "$PWD/d:/opt/data" --pwd /opt/data "$I" sh -c 'echo mine >/opt/of-$OMPI_COMM_WORLD_RANK; ls -1 /opt; touch "rank-$OMPI_COMM_WORLD_RANK"; exec ranks'
    expect_rc 0
    expect_out '^3 ranks, sum 3, memory 3, messages 3,'
    expect_equal "$(grep -c '^of-' "$T/out")" 3 "files that ranks see of others' overlays"
    expect_equal "$(ls d | tr '\n' ' ')" "rank-0 rank-1 rank-2 "
    check "the status of a rank is mpirun's"
    run me mpirun --oversubscribe -np 2 singularity exec "$I" ranks 37
    expect_rc 37
    check "with --contain they need /tmp and /dev/shm; without variables each is alone"
    run me mpirun --oversubscribe -np 2 singularity exec --contain -B /tmp,/dev/shm "$I" ranks
    expect_rc 0
    expect_out '^2 ranks, sum 1, memory 1,'
    run me mpirun --oversubscribe -np 2 singularity exec --cleanenv "$I" sh -c 'echo "told: ${OMPI_COMM_WORLD_SIZE:-nothing}"'
    expect_equal "$OUT" $'told: nothing\ntold: nothing'
    check "a rank that crashes ends the job, and hurts no other one"
    start "$T/other" me mpirun --oversubscribe -np 2 singularity exec "$I" sh -c 'echo ready; until [ -e go ]; do sleep 0.1; done; exec ranks'
    local other=$PID
    until_says "$T/other" ready
    run me mpirun --oversubscribe -np 2 singularity exec "$I" sh -c '[ "$OMPI_COMM_WORLD_RANK" = 0 ] || kill -SEGV $$; exec ranks'
    [ "$RC" != 0 ] || fail "nobody was told of the crash"
    me touch go
    PID=$other
    ended
    expect_equal "$RC" 0 "the other job"
    grep -q '^2 ranks, sum 1,' "$T/other" || { fail "the other job: $(cat "$T/other")"; }
    check "inside of one container the image's own mpirun does as well"
    run me singularity exec "$I" mpirun.openmpi --oversubscribe -np 2 ranks
    expect_rc 0
    expect_out '^2 ranks, sum 1, memory 1, messages 2, root 1, users 1$'
}
each_user ranks
SETTLE=20
expect_nothing_left
finish
