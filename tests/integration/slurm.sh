# As users of a cluster: jobs, steps and ranks of Debian's own Slurm on this machine, each in containers.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/slurm.sh"
need_slurm
[ "$FUSE_FOR_USERS" = yes ] || skip "ordinary users have no FUSE here"
user_namespaces || skip "no user namespaces here"
# Most clusters end jobs by their control groups, with all that lives there.
if [ -w /sys/fs/cgroup/freezer/cgroup.procs ]; then
    SLURM_TRACKING=proctrack/cgroup
else
    note "no control groups of version 1: processes are followed by their parents"
fi
SLURM_CPUS=8 slurm_start "TaskPlugin=task/affinity" "TaskPluginParam=none"
export SINGULARITY_MOUNT_LINGER=20
WHO=user
ok singularity build image.sif "oci:$IMAGES/full.oci"
chmod 644 image.sif
I=$PWD/image.sif
mkdir -m 777 "$T/w/jobs"
cd "$T/w/jobs" || exit 1

check "ranks of a step share one file system server, and keep their processors"
run me srun -n 8 singularity exec "$I" stat -c %d /
expect_rc 0
expect_equal "$(sort "$T/out" | uniq -c | awk '{print $1}')" 8 "ranks of one file system"
own=$(sed -n 's/^Cpus_allowed_list:.//p' /proc/$$/status)
run me srun -n 2 --cpu-bind="map_cpu:${own%%[-,]*}" singularity exec "$I" sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status
expect_equal "$OUT" "${own%%[-,]*}"$'\n'"${own%%[-,]*}"

check "the end of a job, and of a step, leaves the containers of the others alone"
cat >job.sh <<END
#!/bin/sh
until_there() { until [ -e "\$1" ]; do sleep 0.1; done; }
srun --overlap -n 1 singularity exec $I sh -c 'touch first; until [ -e first-ends ]; do sleep 0.1; done' &
first=\$!
until_there first
srun --overlap -n 1 singularity exec $I sh -c 'touch second; until [ -e all-end ]; do sleep 0.1; done; exec cat /etc/passwd' >step.out 2>&1 &
second=\$!
until_there second
touch first-ends
wait \$first
touch job-\$1
wait \$second
END
me srun -n 1 singularity exec "$I" sh -c 'touch started; until [ -e job-ends ]; do sleep 0.1; done' &
for ((i = 0; i < 200; i++)); do [ -e started ] && break; sleep 0.1; done
me sbatch --quiet --wait --output=job.out --wrap "sh $PWD/job.sh other" &
waiting=$!
for ((i = 0; i < 300; i++)); do [ -e job-other ] && break; sleep 0.1; done
me touch job-ends
for ((i = 0; i < 200; i++)); do [ "$(squeue --noheader --states=all --format=%T | grep -cE 'RUNNING|COMPLETING')" = 1 ] && break; sleep 0.1; done
me touch all-end
wait $waiting
expect_equal "$?" 0 "the status of the other job: $(cat job.out)"
grep -q '^root:' step.out || fail "the other step: $(cat step.out)"

check "exit statuses, signals, input for one rank"
run me srun -n 2 singularity exec "$I" sh -c 'exit $((SLURM_PROCID + 3))'
expect_rc 4
words() { echo for one | me srun -n 2 --input=1 singularity exec "$I" sh -c 'read -r what; echo "$SLURM_PROCID: $what"'; }
run words
expect_equal "$(sort "$T/out")" $'0: \n1: for one'
me touch signal.out
job=$(me sbatch --parsable --output=signal.out --wrap "exec srun singularity exec $I sh -c 'trap \"echo told; exit 7\" USR1; echo ready; while :; do sleep 0.1; done'")
until_says signal.out ready
me scancel --signal=USR1 "$job.0"
until_says signal.out told

check "nothing is left of a job that is cancelled while containers start, and others start as before"
for i in 1 2 3; do
    job=$(me sbatch --parsable --output=/dev/null --wrap "touch begun.$i; for i in \$(seq 200); do singularity exec $I true & done; wait")
    for ((n = 0; n < 200; n++)); do [ -e begun.$i ] && break; sleep 0.05; done
    me scancel "$job"
done
for ((i = 0; i < 300; i++)); do [ -z "$(squeue --noheader)" ] && break; sleep 0.1; done
expect_equal "$(squeue --noheader)" ""
run me srun -n 4 singularity exec "$I" true
expect_rc 0

slurm_stop
SETTLE=30
expect_nothing_left
finish
