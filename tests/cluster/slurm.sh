#!/bin/sh
# A Slurm of one machine on loopback, for tests: munge, slurmctld, slurmd, all in one folder.
#   slurm.sh start FOLDER    starts it; prints nothing, and why on standard error where it cannot
#   slurm.sh restart FOLDER  starts slurmctld again, with the state that it left
#   slurm.sh stop FOLDER     ends all three
# Needs root, and Debian's packages slurm-wlm and munge.
set -eu
verb=$1
folder=$2
conf=$folder/slurm.conf
export SLURM_CONF="$conf"

stop() {
  for name in slurmd slurmctld munged; do
    pid=$(cat "$folder/$name.pid" 2>/dev/null || true)
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
  done
  # Steps that still run are children of their own slurmstepd.
  for stepd in $(pgrep -x slurmstepd || true); do
    ! grep -qs "SLURM_CONF=$conf" "/proc/$stepd/environ" || kill -9 "$stepd" 2>/dev/null || true
  done
}

controller() {
  slurmctld -f "$conf" >"$folder/slurmctld.out" 2>&1
}

# Waits until the node takes jobs. A controller that found it silent, on a slow machine, has to be told that it is there.
ready() {
  tries=0
  until sinfo --noheader --format %T 2>/dev/null | grep -q -e '^idle$' -e '^mixed$' -e '^allocated$'; do
    tries=$((tries + 1))
    if [ "$tries" -gt 150 ]; then
      sinfo >&2 2>&1 || true
      tail -5 "$folder"/*.log >&2
      stop
      return 4
    fi
    scontrol update "nodename=$(hostname -s 2>/dev/null || hostname)" state=resume >/dev/null 2>&1 || true
    sleep 0.2
  done
}

case $verb in
  stop) stop; exit 0 ;;
  restart) controller; ready; exit 0 ;;
  start) ;;
  *) echo "unknown verb: $verb" >&2; exit 2 ;;
esac

for program in munged slurmctld slurmd sbatch; do
  command -v "$program" >/dev/null || { echo "$program is not installed (Debian: slurm-wlm, munge)" >&2; exit 3; }
done
[ "$(id -u)" = 0 ] || { echo "slurmd needs root" >&2; exit 3; }

mkdir -p "$folder/state" "$folder/spool"
# Two ports for each, of which no other test has one.
port=$(( 12000 + $$ % 10000 * 2 ))
host=$(hostname -s 2>/dev/null || hostname)
cpus=$(nproc)
# munged refuses keys and sockets that others could reach.
chmod 755 "$folder"
dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 2>/dev/null
chmod 400 "$folder/munge.key"
cat > "$conf" <<END
ClusterName=dpx$port
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=10
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
MaxArraySize=3
MinJobAge=300
KillWait=2
InactiveLimit=0
SlurmctldTimeout=10
SlurmdTimeout=0
MessageTimeout=20
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=$host MaxTime=INFINITE State=UP PriorityTier=10
END
munged --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
  --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" --force --num-threads=2 \
  >"$folder/munged.out" 2>&1 || { cat "$folder/munged.out" >&2; exit 4; }
controller || { cat "$folder/slurmctld.out" >&2; exit 4; }
slurmd -f "$conf" >"$folder/slurmd.out" 2>&1 || { cat "$folder/slurmd.out" >&2; exit 4; }
ready || exit 4
