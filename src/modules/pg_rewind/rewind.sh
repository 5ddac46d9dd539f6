# In check mode it may run still: it would have been stopped before.
[ -n "$check" ] && { reply changed 1; exit 0; }
case $(pg_state) in running | paused | restarting) give_up "container $container runs: its data is not rewound under it" ;; esac
[ -s "$data/PG_VERSION" ] || give_up "there is no data directory at $data"
docker rm -f "$container-rewind" "$container-lost" >/dev/null 2>&1
half_rewound && { reply impossible "a rewind was begun and did not end, and cannot be begun again"; exit 0; }
others=$(for id in $(docker ps -q); do docker inspect -f '{{.Name}}{{range .Mounts}} {{.Source}}{{end}}' "$id"; done | awk -v data="$root/data" '{ for (i = 2; i <= NF; i++) if ($i == data || index($i, data "/") == 1) print $1 }')
[ -z "$others" ] || give_up "container ${others#/} runs on $root/data: stop it"
reply changed 1
began=$(date +%s)
log=$root/rewind.log
: >"$log"
one_off() { # NETWORK PROGRAM WORDS...
  network=$1; program=$2; shift 2
  docker run --rm --name "$container-rewind" --network "$network" --user "$owner" -e LC_ALL=C -e "PGPASSFILE=/run/matron/$passfile" \
    --mount "type=bind,src=$root/data,dst=$volume" --mount "type=bind,src=$secrets,dst=/run/matron,readonly" $(place_mounts data) \
    --entrypoint "$program" "$image" "$@" 2>&1 </dev/null
}
fence() {
  [ -e "$data/$standby_file" ] && return
  (umask 077 && if [ "$standby_file" = recovery.conf ]; then printf "standby_mode = 'on'\n"; fi >"$data/$standby_file") && chown "$owner" "$data/$standby_file"
}
impossible() { fence; rm -f "$secrets/rewind"; reply impossible "$1"; exit 0; }

# From here to the end the data does not say that it is a standby's: there is nothing that could start on it by accident.
docker rm "$container" >/dev/null 2>&1
case $(pg_state) in absent) ;; *) give_up "container $container cannot be removed: it could start while its data is rewound" ;; esac
# Left by a server that was killed, it holds the number of a process in another container.
rm -f "$data/postmaster.pid"
state=$(control_text "$data" | sed -n 's/^Database cluster state: //p')
case $state in
  'shut down' | 'shut down in recovery') ;;
  *)
    # Recovery from the crash in a server of one user, which takes no connections; a standby's would wait for its primary.
    rm -f "$data/$standby_file" "$data/standby.signal" "$data/recovery.signal"
    one_off none postgres --single -D "$pgdata" -c synchronous_standby_names= template1 >"$log" 2>&1 ||
      impossible "its server does not recover from its crash: $(grep -E 'PANIC|FATAL|ERROR' "$log" | tail -n 1)"
    rm -f "$data/postmaster.pid"
    fence
    ;;
esac
if [ -n "$own_passfile" ]; then
  (umask 077 && printf '*:*:*:%s:%s\n' "$(printf '%s' "$user" | sed 's/[\\:]/\\&/g')" "$(sed 's/[\\:]/\\&/g' "$secrets/postgres_password")" >"$secrets/rewind") && chown "$owner" "$secrets/rewind"
fi
source="host=$host port=$port user=$user dbname=postgres connect_timeout=10 keepalives_idle=10 keepalives_interval=5 keepalives_count=3"
set -- -D "$pgdata" "--source-server=$source"
[ -n "$no_ensure" ] && set -- "$@" --no-ensure-shutdown
# What stands in its way shows before anything is touched.
out=$(one_off host pg_rewind --dry-run "$@") || impossible "pg_rewind: $(printf '%s\n' "$out" | grep -v '^$' | tail -n 2 | tr '\n' ' ')"
printf '%s\n' "$out" >>"$log"
case $out in
  *'no rewind required'*) ;;
  *)
    stat -c %i "$root/data" >"$root/rewind.begun.new" && mv -f "$root/rewind.begun.new" "$root/rewind.begun" && sync || give_up "cannot write $root/rewind.begun"
    {
      one_off host pg_rewind --progress "$@"
      echo "exit $?"
    } | while IFS= read -r line; do
      case $line in
        *' kB ('*)
          # `  52224/84480 kB (61%) copied`
          pair=${line%% kB*}; pair=${pair##* }
          done=${pair%/*}; total=${pair#*/}
          case $done$total in *[!0-9]* | '') ;; *) printf 'progress %s %s\n' "$((done * 1024))" "$((total * 1024))" >&2; printf '%s' "$((done * 1024))" >"$root/rewind.bytes" ;; esac
          ;;
        *) printf '%s\n' "$line" >>"$log" ;;
      esac
    done
    case $(tail -n 1 "$log") in
      'exit 0') ;;
      *) rm -f "$secrets/rewind"; reply broken "pg_rewind did not end well: $(grep -v '^exit ' "$log" | tail -n 2 | tr '\n' ' ')"; exit 0 ;;
    esac
    reply rewound 1
    ;;
esac
rm -f "$secrets/rewind"
# The source's files came along: what is a primary's, or points a standby elsewhere, goes. Old slots would keep WAL for ever.
rm -f "$data/recovery.conf" "$data/recovery.done" "$data/recovery.signal" "$data/standby.signal" "$data/matron.standby.conf" "$data/matron.sync.conf" "$data/postmaster.pid"
find "$data/pg_replslot" -mindepth 1 -delete 2>/dev/null
fence
sync
rm -f "$root/rewind.begun" "$log"
bytes=; [ -s "$root/rewind.bytes" ] && bytes=$(cat "$root/rewind.bytes")
rm -f "$root/rewind.bytes"
reply bytes "$bytes"
reply seconds "$(($(date +%s) - began))"
