# The copy runs in a container of its own that goes on when whoever watches it is gone: matron killed, the way to this host cut.
# The next run finds it and waits for it, when it was begun with the same words; otherwise it is stopped and begun anew.
[ "$(pg_state)" = running ] && give_up "container $container runs on this host: a copy would go under a live server"
copier=$container-clone
words=$(printf '%s' "$host $port $user $slot $rate $image $below $places $wal_path" | cksum | tr -c '0-9\n' '-')
copier_state() {
  cs_found=$(docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{index .Config.Labels "matron.words"}}' "$copier" 2>/dev/null) || cs_found=absent
  echo "$cs_found"
}
# `$$` is the shell that reads scripts; this one runs in a shell of its own, which opens the file itself.
read -r self _ </proc/self/stat
# What may only be one: the copier of a killed run may still be watched by what is left of that run here.
if read -r pid since 2>/dev/null <"$root/clone.watcher" && [ "$pid" != "$self" ] && [ "$(awk '{ print $22 }' "/proc/$pid/stat" 2>/dev/null)" = "$since" ] && [ -n "$since" ]; then
  [ -n "$check" ] || { kill -KILL "$pid" 2>/dev/null; reply watcher "$pid"; }
fi
resumed=
if [ ! -e "$root/clone.whole" ]; then
  for folder in "$root" $(place_folders); do
    if [ -d "$folder/data" ] && [ -n "$(find "$folder/data" ! -type d ! -path '*/lost+found/*' 2>/dev/null | head -n 1)" ]; then
      give_up "there is data in $folder/data: it is not overwritten. Bring the node back with rejoin.yml, which keeps it aside."
    fi
    if [ -e "$folder/clone" ] && [ ! -e "$folder/clone.begun" ]; then
      give_up "$folder/clone is there and was not begun by matron: move it away"
    fi
  done
  case $(copier_state) in
    "running 0 $words" | "exited 0 $words") [ -e "$root/clone.begun" ] && resumed=1 ;;
  esac
fi
if [ -z "$resumed" ] && [ ! -e "$root/clone.whole" ]; then
  # One file system counts once.
  free=$(df -Pk "$root" $(place_folders) 2>/dev/null | awk 'NR > 1 && !seen[$1]++ { sum += $4 } END { printf "%.0f", sum }')
  for folder in "$root" $(place_folders); do
    [ -e "$folder/clone.begun" ] && [ -d "$folder/clone" ] && free=$((free + $(du -sk "$folder/clone" 2>/dev/null | awk '{ print $1 }')))
  done
  if [ -n "$need" ] && [ "$((need / 1024 + 65536))" -gt "${free:-0}" ]; then
    give_up "room for the copy under $root: found $free kB; needed are $((need / 1024 + 65536)) kB. Remove what was moved aside before, or enlarge the disk."
  fi
fi
[ -n "$check" ] && { reply changed 1; exit 0; }
began=$(date +%s)
printf '%s %s\n' "$self" "$(awk '{ print $22 }' "/proc/$self/stat" 2>/dev/null)" >"$root/clone.watcher"
# Whoever interrupts this on purpose wants the copying to stop.
trap 'docker rm -f "$copier" >/dev/null 2>&1; exit 143' TERM INT
one_off() {
  # $1: words for docker; the rest: program and its words. Nothing here may read this script's input.
  one_words=$1; program=$2; shift 2
  docker run $one_words --network host --user "$owner" -e PGPASSFILE=/run/matron/pgpass -e LC_ALL=C \
    --mount "type=bind,src=$root/clone,dst=/clone" $(place_mounts clone) --mount "type=bind,src=$secrets,dst=/run/matron,readonly" \
    --entrypoint "$program" "$image" "$@" 2>&1 </dev/null
}
# `24335/24335 kB (100%), 0/1 tablespace (…)`, `24335/24335 kB (100%) verified`; more may be copied than was foreseen.
follow_progress() {
  while IFS= read -r line; do
    case $line in
      *' kB ('*)
        pair=${line%% kB*}; pair=${pair##* }
        done=${pair%/*}; total=${pair#*/}
        case $done$total in *[!0-9]* | '') ;; *) printf 'progress %s %s\n' "$((done * 1024))" "$((total * 1024))" >&2; printf '%s' "$((done * 1024))" >"$root/clone.bytes" ;; esac
        ;;
    esac
  done
}
connection="host=$host port=$port user=$user connect_timeout=10 keepalives_idle=15 keepalives_interval=5 keepalives_count=4"
if [ -z "$resumed" ] && [ ! -e "$root/clone.whole" ]; then
  docker rm -f "$copier" >/dev/null 2>&1
  for folder in "$root" $(place_folders); do
    rm -rf "$folder/clone" || give_up "cannot remove the interrupted copy in $folder/clone"
    : >"$folder/clone.begun" && mkdir -p "$folder/clone" && chown "$owner" "$folder/clone" && chmod 700 "$folder/clone" || give_up "cannot make $folder/clone"
  done
  mkdir -p "$root/clone$below" || give_up "cannot make $root/clone$below"
  top=$root/clone$below
  # Folders between the volume and the data directory belong to the server's user too.
  while [ "$top" != "$root/clone" ]; do chown "$owner" "$top"; chmod 700 "$top"; top=${top%/*}; done
  asked=$(one_off --rm psql -X -w -A -t -F ' ' "$connection dbname=postgres" \
    -c "select 'fpw', current_setting('full_page_writes') where pg_is_in_recovery()" \
    -c "select 'tablespace', spcname, pg_tablespace_location(oid) from pg_tablespace where pg_tablespace_location(oid) <> ''") ||
    give_up "cannot ask $host:$port, from where the copy is to come: $asked"
  case $asked in *'fpw off'*) give_up "full_page_writes of $host:$port: found off; a copy of a standby needs on. Copy from the primary, or turn it on." ;; esac
  homeless=$(printf '%s\n' "$asked" | while read -r kind name path; do
    [ "$kind" = tablespace ] || continue
    [ -n "$(place_of "$path")" ] || printf '%s at %s; ' "$name" "$path"
  done)
  [ -z "$homeless" ] || give_up "tablespaces of $host:$port that have no place on this host: $homeless""name one for each in pg_tablespaces, as in pg_tablespaces: {/path/there: /folder/on/this/host}"
  set -- -d "$connection" -D "/clone$below" -X stream -P -v -w --checkpoint=fast
  [ -n "$slot" ] && set -- "$@" -S "$slot"
  [ -n "$rate" ] && set -- "$@" -r "$rate"
  [ -n "$wal_path" ] && set -- "$@" "$wal_option=$wal_path"
  out=$(one_off "--detach --name $copier --label matron.words=$words" pg_basebackup "$@") || give_up "cannot start the copy: $out"
fi
if [ ! -e "$root/clone.whole" ]; then
  while :; do
    docker logs -f --tail 50 "$copier" 2>&1 </dev/null | follow_progress
    case $(copier_state) in running*) sleep 1 ;; *) break ;; esac
  done
  case $(copier_state) in
    'exited 0 '*) ;;
    absent) give_up "the copy from $host:$port was stopped: its container $copier is gone" ;;
    *)
      why=$(docker logs --tail 40 "$copier" 2>&1 </dev/null | grep -v ' kB (' | tail -n 3)
      docker rm -f "$copier" >/dev/null 2>&1
      give_up "pg_basebackup from $host:$port failed: $why"
      ;;
  esac
  copied=$(control_text "$root/clone$below" | sed -n 's/^Database system identifier: //p')
  if [ -n "$system_identifier" ] && [ "$copied" != "$system_identifier" ]; then
    docker rm -f "$copier" >/dev/null 2>&1
    for folder in "$root" $(place_folders); do rm -rf "$folder/clone" "$folder/clone.begun"; done
    give_up "system identifier of the copy: found $copied; expected $system_identifier. $host:$port is not a node of this cluster."
  fi
  verified=no
  if [ -z "$verify" ]; then
    reply verification 'not asked for'
  elif [ -z "$manifest" ]; then
    reply verification 'not possible: copies have a manifest from PostgreSQL 13 on'
  elif [ ! -s "$root/clone$below/backup_manifest" ]; then
    reply verification 'not possible: the copy has no manifest'
  elif [ "$(one_off --rm sh -c 'command -v pg_verifybackup >/dev/null && command -v pg_waldump >/dev/null && echo there')" != there ]; then
    reply verification 'not possible: the image has no pg_verifybackup'
  else
    : >"$root/clone.verified"
    { one_off --rm pg_verifybackup --exit-on-error $verify_progress "/clone$below"; echo "exit $?"; } | tee "$root/clone.verified" | follow_progress
    case $(tail -n 1 "$root/clone.verified") in
      'exit 0') verified=yes; reply verification 'every file has the checksum its manifest names, and the WAL it needs can be read' ;;
      *)
        why=$(grep -v ' kB (' "$root/clone.verified" | grep -v '^exit ' | tail -n 3)
        rm -f "$root/clone.verified"
        docker rm -f "$copier" >/dev/null 2>&1
        give_up "pg_verifybackup of the copy from $host:$port failed: $why. It is not used; run this again to copy anew."
        ;;
    esac
    rm -f "$root/clone.verified"
  fi
  reply verified "$verified"
  rm -f "$root/clone$below/standby.signal" "$root/clone$below/recovery.conf" "$root/clone$below/matron.standby.conf" "$root/clone$below/matron.sync.conf" "$root/clone$below/matron.owed.conf"
  # Until it is configured as a standby it must not start as a second primary.
  : >"$root/clone$below/$standby_file" && chown "$owner" "$root/clone$below/$standby_file"
  printf '%s\n' "$copied" >"$root/clone.whole" && sync
  docker rm -f "$copier" >/dev/null 2>&1
fi
# Whole: from here on nothing is copied again, a run that is interrupted here goes on with the moves. What the data directory leads to goes first.
copied=$(cat "$root/clone.whole")
for folder in $(place_folders) "$root"; do
  [ -d "$folder/clone" ] || continue
  # `data` holds nothing but empty folders here.
  if [ -d "$folder/data" ]; then find "$folder/data" -depth -type d -exec rmdir {} + 2>/dev/null; fi
  [ ! -e "$folder/data" ] || give_up "$folder/data cannot be replaced: is it a mount point? Name the mount point itself, not a folder in it."
  mv "$folder/clone" "$folder/data" || give_up "cannot move the copy to $folder/data"
done
mkdir -p "$etc" && printf '%s\n' "$copied" >"$etc/system_identifier.new" && mv -f "$etc/system_identifier.new" "$etc/system_identifier"
rm -f "$etc/fenced"
for folder in $(place_folders) "$root"; do rm -f "$folder/clone.begun"; done
rm -f "$root/clone.whole" "$root/clone.watcher" "$root/clone.log"
sync
reply bytes "$(cat "$root/clone.bytes" 2>/dev/null)"
rm -f "$root/clone.bytes"
[ -z "$resumed" ] || reply resumed 1
reply seconds "$(($(date +%s) - began))"
reply changed 1
