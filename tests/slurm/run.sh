#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh PROGRAM: sweeps/slurm/v5s.sbatch on a Slurm of this machine alone: four shards, one killed and queued again; merged
# they are what one sweep gives. Needs root and Debian's slurmctld, slurmd, slurm-client and munge, which it starts and
# stops; skipped (77) where they are not.
set -u
program=$(realpath "$1")
for tool in munged slurmctld slurmd sbatch scontrol squeue; do
    command -v $tool >/dev/null || PATH=$PATH:/usr/sbin command -v $tool >/dev/null || { echo "there is no $tool"; exit 77; }
done
[ "$(id -u)" -eq 0 ] || { echo "not root"; exit 77; }
PATH=$PATH:/usr/sbin
folder=$(mktemp -d)
host=$(hostname -s)
failures=0

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

stop() {
    scancel --full --quiet -u root 2>/dev/null
    for name in slurmd slurmctld munged; do
        [ -e "$folder/$name.pid" ] && kill "$(cat "$folder/$name.pid")" 2>/dev/null
    done
    sleep 1
    rm -rf "$folder"
}
trap stop EXIT

# munged refuses folders that others can write, and Slurm's default paths are not this test's.
chmod 755 "$folder"
mkdir "$folder/spool" "$folder/state" "$folder/work"
dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 2>/dev/null
chmod 400 "$folder/munge.key"
export SLURM_CONF="$folder/slurm.conf"
cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CryptoType=crypto/munge
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmdSpoolDir=$folder/spool
StateSaveLocation=$folder/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
MinJobAge=3600
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
SlurmdParameters=config_overrides
END
munged --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munge.log" --seed-file="$folder/munge.seed" --force || { echo "munged does not start"; exit 77; }
slurmctld -f "$SLURM_CONF" && slurmd -f "$SLURM_CONF" -N "$host" || { echo "Slurm does not start"; exit 77; }
for i in $(seq 60); do
    sinfo -h -o %T 2>/dev/null | grep -qE 'idle|mixed|alloc' && break
    sleep 0.5
done
sinfo -h -o %T 2>/dev/null | grep -qE 'idle|mixed|alloc' || { echo "Slurm's node is not up:"; tail -5 "$folder"/slurm*.log; exit 77; }

# Points of long steps on the cpu, so that one can be killed.
source=$PWD
cd "$folder/work" || exit 1
export VRAMBENCH_HOME=$source VRAMBENCH_CACHE="$folder/cache" VRAMBENCH_CUDNN=off OMP_WAIT_POLICY=passive
printf '%s\n' "[sweep]" "device=cpu:1" "[axes]" "model=yolov5n" "batch=1,2" "imgsz=64,96,128,160" "[step]" "targets=2" \
    "workspace=outside" "warmup=1" "steps=40" >sweep.ini
job=$(sbatch --parsable --gpus-per-task=0 --export=ALL,VRAMBENCH="$program",SWEEP=sweep.ini,DEVICE=cpu:1,OUT=shard \
    "$source/sweeps/slurm/v5s.sbatch") || fail "sbatch"
for i in $(seq 300); do
    [ "$(squeue -h -r -t R -j "${job}_2" 2>/dev/null | wc -l)" -eq 1 ] && [ -s shard-2/env.json ] && break
    sleep 0.1
done
scontrol requeue "${job}_2" || fail "shard 2 cannot be queued again"
for i in $(seq 900); do
    # Slurm leaves what is queued again alone for two minutes; while the killed one ends it cannot be told otherwise.
    squeue -h -r -t PD -o %r -j "${job}_2" 2>/dev/null | grep -q BeginTime && scontrol update JobId="${job}_2" StartTime=now
    [ -z "$(squeue -h -j "$job" 2>/dev/null)" ] && break
    [ -z "$(squeue -h -r -j "$job" -t PD,R,CG,RQ,CF 2>/dev/null)" ] && break
    sleep 0.5
done
scontrol show job "${job}_2" 2>/dev/null | grep -q 'Restarts=1' || fail "shard 2 was not queued again"
"$program" merge shard-1 shard-2 shard-3 shard-4 --out merged >out 2>err || { fail "merge"; cat err; }
"$program" sweep sweep.ini --out whole >whole.out 2>&1 || { fail "the whole sweep"; cat whole.out; }

# points FILE: what does not depend on time.
points() {
    cut -d, -f1-7,8,10-13 "$1" | sort
}
points merged/points.csv >merged.csv
points whole/points.csv >whole.csv
diff whole.csv merged.csv || fail "the merged shards (>) are not the whole (<)"
[ "$(grep -c ',ok,' merged.csv)" -eq 8 ] || { fail "not 8 points"; cat merged.csv vrambench-*.log; }
echo "$failures failures"
exit $((failures > 0))
