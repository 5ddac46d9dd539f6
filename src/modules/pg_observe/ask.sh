reply clock "$(date +%s)"
[ -s "$etc/system_identifier" ] && reply marker "$(cat "$etc/system_identifier")"
[ -e "$etc/fenced" ] && reply fenced "$(cat "$etc/fenced")"
[ -x /usr/local/lib/matron/pg-guard ] && [ -s "$etc/guard.env" ] && reply guard 1
for debt in "$etc"/debts/*.json; do [ -s "$debt" ] && reply debt "$(cat "$debt")"; done
free=$(df -Pk "$root" 2>/dev/null | awk 'NR == 2 { print $4 }')
reply free "$free"
if [ -s "$data/PG_VERSION" ]; then
  reply major "$(cat "$data/PG_VERSION")"
  for file in standby.signal recovery.conf; do [ -e "$data/$file" ] && reply standby_file "$file"; done
  for file in postgresql.auto.conf matron.standby.conf recovery.conf; do
    [ -s "$data/$file" ] && reply conninfo "$(sed -n 's/^[[:space:]]*primary_conninfo[[:space:]]*=[[:space:]]*//p' "$data/$file" | tail -n 1)"
  done
  history=
  for file in "$data"/pg_xlog/*.history "$data"/pg_wal/*.history; do [ -s "$file" ] && history=$file; done
  if [ -n "$history" ]; then
    name=${history##*/}
    reply history_name "${name%.history}"
    reply history "$(cat "$history")"
  fi
  reply control "$(control_text "$data")"
  reply wal_first "$(ls "$data/pg_wal" "$data/pg_xlog" 2>/dev/null | sed -n 's/^[0-9A-F]\{8\}\([0-9A-F]\{16\}\)$/\1/p' | sort | head -n 1)"
  [ -e "$root/rewind.begun" ] && reply half_rewound 1
elif [ -e "$root/clone.begun" ]; then
  reply half 1
elif [ -d "$root/data" ] && [ -n "$(find "$root/data" ! -type d ! -path '*/lost+found/*' 2>/dev/null | head -n 1)" ]; then
  reply foreign 1
fi
command -v docker >/dev/null 2>&1 || exit 0
docker info >/dev/null 2>&1 </dev/null || { reply docker_down 1; exit 0; }
state=$(docker inspect -f '{{.State.Status}}|{{.Config.Image}}|{{.Image}}|{{.HostConfig.RestartPolicy.Name}}|{{.State.ExitCode}}' "$container" 2>/dev/null) || state=
reply container "$state"
case $state in
  running\|*)
    if pg_ready; then
      number=$(pg_sql 'show server_version_num') && reply version_num "$number" || reply trouble "$number"
    else
      reply trouble "$(docker logs --tail 3 "$container" 2>&1 </dev/null)"
    fi
    printf '%s\n' "$peers" | {
      while read -r peer address port; do
        [ -n "$peer" ] || continue
        docker exec "$container" pg_isready -q -h "$address" -p "$port" -t 2 >/dev/null 2>&1 </dev/null && reply answers "$peer"
      done
      :
    }
    ;;
  *)
    if [ -s "$data/PG_VERSION" ] && docker image inspect "$image" >/dev/null 2>&1; then
      whole=$(docker run --rm --network none --user "$owner" -e LC_ALL=C --mount "type=bind,src=$data,dst=/pgdata,readonly" --entrypoint pg_controldata "$image" /pgdata 2>&1 </dev/null) && reply control "$whole"
    fi
    ;;
esac
exit 0
