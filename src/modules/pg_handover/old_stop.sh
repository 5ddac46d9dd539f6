tick() { read -r tick_up tick_rest </proc/uptime; tick_cs=1${tick_up#*.}; now_ms=$(( ${tick_up%.*} * 1000 + (tick_cs - 100) * 10 )); }
# The words of the control file: state is the fifth, the checkpoint's position the ninth and tenth.
look() { set -- $(od -An -v -t x4 -N 64 "$data/global/pg_control" 2>/dev/null); words="$*"; state=${5:-}; low=${9:-0}; high=${10:-0}; if [ $((0x${3:-0})) -lt 1100 ]; then tli=${15:-0}; else tli=${13:-0}; fi; }
told() { tick; reply since_ms $((now_ms - ordered_ms)); reply state "$1"; reply lsn "$(printf '%X/%X' "0x$high" "0x$low")"; reply timeline "$(printf '%d' "0x$tli")"; exit 0; }
tick
ordered_ms=$now_ms
if [ "$(pg_state)" = running ]; then
  pid=$(docker inspect -f '{{.State.Pid}}' "$container" 2>/dev/null) || pid=0
  read -r name <"/proc/$pid/comm" 2>/dev/null || name=
  # A second checkpoint leaves the one of the shutdown next to nothing; it proves too that this is a primary which answers.
  pg_must 'checkpoint; select pg_is_in_recovery()'
  [ "$pg_out" = f ] || give_up "the server in container $container is no primary any more"
  [ -e "$data/$standby_file" ] || [ -e "$data/$standby_next" ] || give_up "nothing was prepared on this node"
  reply changed 1
  # The fence first: whatever happens from here on, it cannot come up writable.
  mv -f "$etc/handover.next" "$etc/handover" || give_up "cannot write $etc/handover"
  [ ! -e "$data/$settings_next" ] || mv -f "$data/$settings_next" "$data/$settings_file"
  [ ! -e "$data/$standby_next" ] || mv -f "$data/$standby_next" "$data/$standby_file"
  [ -e "$data/$standby_file" ] || give_up "cannot write $data/$standby_file"
  tick
  ordered_ms=$now_ms
  # Straight to the postmaster where it is the container's first process: the Docker client takes its time.
  if [ "$name" = postgres ] && kill -INT "$pid" 2>/dev/null; then :; else
    pid=0
    docker kill --signal INT "$container" >/dev/null 2>&1 || give_up "container $container takes no signal"
  fi
else
  pid=0
fi
gone=
while :; do
  look
  if [ "$state" = 00000001 ]; then
    # Read twice, so that no half-written block is taken for the proof.
    before=$words
    look
    [ "$words" = "$before" ] && told 'shut down'
  elif [ -n "$gone" ]; then
    told ended
  elif [ "$pid" = 0 ]; then
    [ "$(pg_state)" = running ] || gone=1
  elif [ ! -d "/proc/$pid" ]; then
    gone=1
  fi
  tick
  [ $((now_ms - ordered_ms)) -lt "$budget_ms" ] || told stopping
  [ -n "$gone" ] || sleep 0.01 2>/dev/null || sleep 1
done
