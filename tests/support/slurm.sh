# shellcheck shell=bash
# A cluster of this machine alone, after lib.sh: Debian's munged, slurmctld and slurmd on loopback.
#
#   need_slurm
#   slurm_start [LINE...]    lines are added to slurm.conf; skips the test when Slurm does not start here
#   slurm_stop
#
# How processes are followed: $SLURM_TRACKING (proctrack/linuxproc), and with proctrack/cgroup by control groups of
# version 1, as of all that Debian 12's Slurm knows they alone can be had beside version 2.

need_slurm() { need_root; need_tool munged slurmctld slurmd sinfo squeue sbatch srun scancel python3; }

slurm_start() {
    local control node i
    read -r control node < <(python3 -c 'import socket; s = [socket.socket() for _ in range(2)]; [x.bind(("", 0)) for x in s]; print(*[x.getsockname()[1] for x in s])')
    SLURM_NODE=sgtest$node # also a part of the names of its control groups
    export SLURM_CONF=$T/slurm/slurm.conf
    mkdir -p "$T/slurm/state" "$T/slurm/node" "$T/munge"
    chmod 755 "$T/slurm" "$T/munge"
    cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmctldPort=$control
SlurmdPort=$node
AuthType=auth/munge
AuthInfo=socket=$T/munge/socket
StateSaveLocation=$T/slurm/state
SlurmdSpoolDir=$T/slurm/node
SlurmctldPidFile=$T/slurm/control.pid
SlurmdPidFile=$T/slurm/node.pid
SlurmctldLogFile=$T/slurm/control.log
SlurmdLogFile=$T/slurm/node.log
ProctrackType=${SLURM_TRACKING:-proctrack/linuxproc}
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
SlurmdParameters=config_overrides
NodeName=$SLURM_NODE NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 CPUs=${SLURM_CPUS:-2} RealMemory=4000 State=UNKNOWN
PartitionName=build Nodes=$SLURM_NODE Default=YES MaxTime=INFINITE State=UP
END
    printf '%s\n' "$@" >>"$SLURM_CONF"
    printf '%s\n' CgroupPlugin=cgroup/v1 CgroupMountpoint=/sys/fs/cgroup CgroupAutomount=no >"$T/slurm/cgroup.conf"
    chmod 644 "$T/slurm"/*.conf
    head -c 1024 /dev/urandom >"$T/munge/key"
    chmod 400 "$T/munge/key"
    munged --force --foreground --key-file="$T/munge/key" --socket="$T/munge/socket" --pid-file="$T/munge/pid" --log-file="$T/munge/log" --seed-file="$T/munge/seed" 2>"$T/munge/err" &
    for ((i = 0; i < 100; i++)); do [ -S "$T/munge/socket" ] && break; sleep 0.05; done
    slurmctld -D >/dev/null 2>&1 &
    slurmd -D -N "$SLURM_NODE" >/dev/null 2>&1 &
    for ((i = 0; i < 200; i++)); do
        sinfo --noheader --format=%T 2>/dev/null | grep -Eq '^(idle|mixed|allocated)$' && return
        sleep 0.1
    done
    tail -n 20 "$T"/slurm/*.log "$T/munge/err"
    slurm_groups_away
    skip "Slurm does not start here"
}

slurm_groups_away() {
    find /sys/fs/cgroup -depth -type d -path "*/slurm_$SLURM_NODE*" -exec rmdir {} + 2>/dev/null
}

slurm_stop() {
    local f
    for f in control node; do kill "$(cat "$T/slurm/$f.pid")"; done
    kill "$(cat "$T/munge/pid")"
    wait
    slurm_groups_away
}
