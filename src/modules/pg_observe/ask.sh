# Nothing here may hang: not a Docker engine that has stopped answering, not a server that has.
has_docker=$(command -v docker)
if command -v timeout >/dev/null 2>&1; then docker() { timeout "${limit:-8}" docker "$@"; }; setpriv() { timeout "${limit:-8}" setpriv "$@"; }; bounded() { timeout "$@"; }; else bounded() { shift; "$@"; }; fi
epoch() { epoch_now=$(date +%s.%N); case $epoch_now in *[!0-9.]* | *. | .*) date +%s ;; *) echo "$epoch_now" ;; esac; }
reply clock "$(epoch)"
cluster=${etc##*/}
[ -s "$etc/system_identifier" ] && reply marker "$(cat "$etc/system_identifier")"
[ -s "$etc/handover" ] && reply handover "$(cat "$etc/handover")"
[ -e "$etc/fenced" ] && reply fenced "$(cat "$etc/fenced")"
if [ -x /usr/local/lib/matron/pg-guard ] && [ -s "$etc/guard.env" ]; then
  reply guard 1
  if [ -d /run/systemd/system ]; then
    unit=$(bounded 5 systemctl show -p UnitFileState -p ActiveState "matron-pg-$cluster.service" 2>/dev/null)
    reply guard_enabled "$(printf '%s\n' "$unit" | sed -n 's/^UnitFileState=//p')"
    reply guard_active "$(printf '%s\n' "$unit" | sed -n 's/^ActiveState=//p')"
  elif [ -x "/etc/matron/boot.d/50-pg-$cluster.sh" ]; then
    reply guard_enabled 'boot hook'
  fi
  reply guard_said "$(tail -n 200 /var/log/matron-pg-guard.log 2>/dev/null | grep -F " $cluster: " | tail -n 1)"
fi
for debt in "$etc"/debts/*.json; do [ -s "$debt" ] && reply debt "$(cat "$debt")"; done
place=$root
while [ ! -e "$place" ] && [ "${place%/*}" != "$place" ]; do place=${place%/*}; [ -n "$place" ] || place=/; done
reply disk "$(bounded 5 df -Pk "$place" 2>/dev/null | awk 'NR == 2 { print $2, $4 }')"
# Where the data lies the image says. When it was not asked, the host shows it.
if [ -z "$data" ]; then
  data=$root/data
  for file in "$root"/data/*/docker/PG_VERSION; do [ -s "$file" ] && data=${file%/PG_VERSION}; done
fi
major=
if [ -s "$data/PG_VERSION" ]; then
  major=$(cat "$data/PG_VERSION")
  reply major "$major"
  [ -n "$owner" ] || owner=$(stat -c %u:%g "$data" 2>/dev/null)
  for file in standby.signal recovery.conf; do [ -e "$data/$file" ] && reply standby_file "$file"; done
  for file in postgresql.auto.conf matron.standby.conf recovery.conf; do
    [ -s "$data/$file" ] && reply conninfo "$(sed -n 's/^[[:space:]]*primary_conninfo[[:space:]]*=[[:space:]]*//p' "$data/$file" | tail -n 1)"
  done
  history=
  # A WAL directory of its own is a link into the container.
  wal_at=$data/pg_wal
  [ -L "$wal_at" ] && wal_at=$(on_host "$(readlink "$wal_at")")
  for file in "$data"/pg_xlog/*.history "${wal_at:-$data/pg_wal}"/*.history; do [ -s "$file" ] && history=$file; done
  if [ -n "$history" ]; then
    name=${history##*/}
    reply history_name "${name%.history}"
    reply history "$(cat "$history")"
  fi
  reply control "$(control_text "$data")"
  reply wal_first "$(ls "$wal_at" "$data/pg_xlog" 2>/dev/null | sed -n 's/^[0-9A-F]\{8\}\([0-9A-F]\{16\}\)$/\1/p' | sort | head -n 1)"
  reply wal_timeline "$(ls "$wal_at" "$data/pg_xlog" 2>/dev/null | sed -n 's/^\([0-9A-F]\{8\}\)[0-9A-F]\{16\}$/\1/p' | sort | tail -n 1)"
  half_rewound && reply half_rewound 1
  for wal in "$data/pg_wal" "$data/pg_xlog"; do
    [ -d "$wal/" ] || continue
    reply wal_kilobytes "$(bounded 5 du -sk "$wal/" 2>/dev/null | awk '{ print $1 }')"
    reply unarchived "$(find "$wal/archive_status/" -name '*.ready' 2>/dev/null | wc -l)"
  done
  reply data_kilobytes "$(bounded 5 du -sk "$data/" 2>/dev/null | awk '{ print $1 }')"
elif [ -e "$root/clone.begun" ]; then
  reply half 1
elif [ -d "$root/data" ] && [ -n "$(find "$root/data" ! -type d ! -path '*/lost+found/*' 2>/dev/null | head -n 1)" ]; then
  reply foreign 1
fi
[ -n "$(server_pids)" ] && reply alive 1
[ -n "$has_docker" ] || { reply clock_end "$(epoch)"; exit 0; }
docker info >/dev/null 2>&1 </dev/null || { reply docker_down 1; reply clock_end "$(epoch)"; exit 0; }
state=$(docker inspect -f '{{.State.Status}}|{{.Config.Image}}|{{.Image}}|{{.HostConfig.RestartPolicy.Name}}|{{.State.ExitCode}}|{{.Config.StopTimeout}}' "$container" 2>/dev/null) || state=
reply container "$state"
current=${state#*|*|}
current=${current%%|*}
# One line each: the wanted image, the container's own. A missing one leaves its line out.
reply images "$(docker image inspect -f '{{.Id}}|{{range .RepoDigests}}{{.}} {{end}}' "$image" 2>/dev/null | head -n 1)"
[ -n "$current" ] && reply image "$(docker image inspect -f '{{.Id}}|{{range .RepoDigests}}{{.}} {{end}}' "$current" 2>/dev/null | head -n 1)"
wanted_id=$(docker image inspect -f '{{.Id}}' "$image" 2>/dev/null | head -n 1)
# What a run of an image said was remembered by its content.
libc_of() { sed -n 4p "/var/cache/matron/image-${1#sha256:}.programs" 2>/dev/null; }
[ -n "$wanted_id" ] && reply wanted_libc "$(libc_of "$wanted_id")"
case $state in
  running\|*)
    inside=$(pg_client sh -c 'getconf GNU_LIBC_VERSION 2>/dev/null || echo musl; for program in pg_rewind pg_waldump pg_xlogdump pg_controldata; do command -v "$program" >/dev/null && echo "$program"; done' 2>/dev/null </dev/null)
    reply inside "$inside"
    if pg_ready; then
      if [ -n "$sql" ] && [ "$major" = "$sql_major" ]; then
        limit=25
        if answer=$(pg_sql "$sql"); then reply answer "$answer"; else reply trouble "its server takes connections and does not answer: ${answer:-it said nothing for 25 s}"; fi
      else
        limit=15
        if number=$(pg_sql 'show server_version_num'); then reply version_num "$number"; else reply trouble "its server takes connections and does not answer: ${number:-it said nothing for 15 s}"; fi
      fi
      limit=
    else
      reply trouble "$(docker logs --tail 3 "$container" 2>&1 </dev/null)"
    fi
    printf '%s\n' "$peers" | {
      while read -r peer address port; do
        [ -n "$peer" ] || continue
        pg_client pg_isready -q -h "$address" -p "$port" -t 2 >/dev/null 2>&1 </dev/null && reply answers "$peer"
      done
      :
    }
    ;;
  paused\|*) reply trouble "its container is paused" ;;
  *)
    [ -n "$current" ] && reply libc "$(libc_of "$current")"
    if [ -s "$data/PG_VERSION" ] && [ -n "$wanted_id" ]; then
      whole=$(docker run --rm --network none --user "$owner" -e LC_ALL=C --mount "type=bind,src=$data,dst=/pgdata,readonly" --entrypoint pg_controldata "$image" /pgdata 2>&1 </dev/null) && reply control "$whole"
    fi
    ;;
esac
reply clock_end "$(epoch)"
exit 0
