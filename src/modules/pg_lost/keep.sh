# In check mode it may run still: it would have been stopped before.
[ -n "$check" ] && { reply nothing 1; exit 0; }
case $(pg_state) in running | paused | restarting) give_up "container $container runs: what only it holds is not known before it has stopped" ;; esac
[ -s "$data/PG_VERSION" ] || { reply nothing 1; exit 0; }
docker rm -f "$container-rewind" "$container-lost" >/dev/null 2>&1
# The folder of this rejoin is remembered until it has ended: run again, it goes on with the same one.
note=$root/rejoin.aside
to=; [ -s "$note" ] && to=$(cat "$note")
if [ -z "$to" ] || [ ! -d "$to" ]; then
  to=$root/aside/$(date -u +%Y%m%dT%H%M%SZ)
  mkdir -p "$root/aside" && chmod 700 "$root/aside" && mkdir "$to" && printf '%s' "$to" >"$note" || give_up "cannot make the folder $to"
  reply changed 1
fi
reply aside "$to"
control=$(control_text "$data")
reply checkpoint "$(printf '%s\n' "$control" | sed -n 's/^Latest checkpoint location: //p')"
# A WAL directory of its own is a link to where the container has it.
wal=$data/$wal_directory
[ -L "$wal" ] && wal=$(on_host "$(readlink "$wal")")
kilobytes() { du -sk "$1" 2>/dev/null | awk 'NR == 1 { print $1 }'; }

# What was read is kept: after a rewind was begun, the WAL in the data directory is not the node's own any more.
if [ ! -e "$to/listing.tsv" ]; then
  : >"$to/listing.new"
  if [ -z "$program" ]; then
    printf 'unreadable\tthe image has no pg_waldump\n' >"$to/listing.new"
  elif [ -z "$stretches" ]; then
    printf 'unreadable\twhere it left the history of the primary is not known\n' >"$to/listing.new"
  elif half_rewound; then
    printf 'unreadable\ta rewind was begun before what it held was listed\n' >"$to/listing.new"
  else
    printf '%s\n' "$stretches" | {
      while read -r timeline from until; do
        [ -n "$timeline" ] || continue
        set -- -p "/pgdata/$wal_directory" -t "$timeline" -s "$from"
        [ -n "$until" ] && set -- "$@" -e "$until"
        docker run --rm --name "$container-lost" --network none --user "$owner" -e LC_ALL=C -e TZ=UTC $(place_mounts data) \
          --mount "type=bind,src=$data,dst=/pgdata,readonly" --entrypoint "$program" "$image" "$@" 2>"$to/waldump.err" </dev/null
        printf 'stretch\t%s\t%s\t%s\n' "$timeline" "$from" "$(tail -n 1 "$to/waldump.err")" >>"$to/listing.new"
      done
    } | awk "$awk" >"$to/listing.read"
    cat "$to/listing.read" >>"$to/listing.new"
    rm -f "$to/listing.read" "$to/waldump.err"
  fi
  sync
  mv -f "$to/listing.new" "$to/listing.tsv" || give_up "cannot write $to/listing.tsv"
  reply changed 1
fi
grep -v '^tx' "$to/listing.tsv" >"$to/listing.rest"
reply_file listing "$to/listing.rest"
rm -f "$to/listing.rest"
# A long list stays on the host; the first and the last of it are told.
reply first "$(grep '^tx' "$to/listing.tsv" | head -n 50)"
reply last "$(grep '^tx' "$to/listing.tsv" | tail -n 1)"

[ -n "$keep" ] || exit 0
if [ ! -e "$to/wal.kept" ] && ! half_rewound && [ -n "$stretches" ]; then
  # Names are compared as text: the digits after the timeline are the place in the WAL.
  printf '%s\n' "$stretches" | while read -r timeline from until; do
    [ -n "$timeline" ] || continue
    some=$(ls "$wal" | awk 'length($0) == 24 && /^[0-9A-F]*$/ { print; exit }')
    [ -n "$some" ] || continue
    bytes=$(stat -c %s "$wal/$some")
    high=${from%/*}; low=${from#*/}
    digits=$(printf '%08X%08X' "0x$high" "$((0x$low / bytes))")
    ends=
    end=$(sed -n 's/^range	[^	]*	\([^	]*\)	.*/\1/p' "$to/listing.tsv")
    [ -n "$end" ] && ends=$(printf '%08X%08X' "0x${end%/*}" "$((0x${end#*/} / bytes))")
    ls "$wal" | awk -v timeline="$(printf '%08X' "$timeline")" -v from="$digits" -v end="$ends" '
      length($0) == 24 && substr($0, 1, 8) == timeline && substr($0, 9) >= (from "") && (end == "" || substr($0, 9) <= (end ""))'
  done >"$to/segments"
  ls "$wal" | grep '\.history$' >>"$to/segments"
  need=0
  while read -r file; do need=$((need + $(kilobytes "$wal/$file"))); done <"$to/segments"
  free=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
  used=$(kilobytes "$root/aside")
  if [ -n "$budget" ] && [ $((used + need)) -gt $((budget * 1024)) ]; then
    give_up "room for what only this node holds: its WAL takes $((need / 1024)) MB beside $((used / 1024)) MB in $root/aside; allowed are $budget MB (pg_aside_budget_mb). Remove older folders there, raise it, or allow it to be deleted: -e pg_keep_old_data=false"
  fi
  [ $((need + 65536)) -le "${free:-0}" ] ||
    give_up "room for what only this node holds under $root: found $free kB free; needed are $((need + 65536)) kB. Remove older folders in $root/aside, enlarge the disk, or allow it to be deleted: -e pg_keep_old_data=false"
  mkdir -p "$to/wal" "$to/conf"
  while read -r file; do cp -p "$wal/$file" "$to/wal/$file" || give_up "cannot copy $file to $to/wal"; done <"$to/segments"
  for file in "$data"/*.conf "$data/PG_VERSION" "$data/backup_label"; do [ -f "$file" ] && cp -p "$file" "$to/conf/"; done
  printf '%s\n' "$control" >"$to/conf/control.txt"
  docker logs --tail 2000 "$container" >"$to/server.log" 2>&1 </dev/null
  rm -f "$to/segments"
  sync
  : >"$to/wal.kept"
  reply changed 1
fi
[ -e "$to/wal.kept" ] && reply wal_kept "$(ls "$to/wal" | grep -c '^[0-9A-F]*$')"

# A rewind overwrites the data: as a whole it is kept where it fits, and a copy beside it would still fit too.
if [ -n "$whole" ] && [ ! -e "$to/data" ] && ! half_rewound; then
  size=$(kilobytes "$root/data")
  used=$(kilobytes "$root/aside")
  free=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
  limit=$((${budget:-10240} * 1024))
  if [ -n "$places" ]; then
    reply not_whole "tablespaces or WAL lie outside its data directory"
  elif [ $((used + size)) -gt "$limit" ]; then
    reply not_whole "its data directory takes $((size / 1024)) MB beside $((used / 1024)) MB in $root/aside; allowed are $((limit / 1024)) MB (pg_aside_budget_mb)"
  elif [ $((2 * size + 65536)) -gt "${free:-0}" ]; then
    reply not_whole "its data directory takes $((size / 1024)) MB, and of $((free / 1024)) MB free as much again must stay"
  else
    printf 'progress 0 %s\n' "$((size * 1024))" >&2
    rm -rf "$to/data.new"
    cp -a --reflink=auto "$root/data" "$to/data.new" 2>/dev/null || cp -a "$root/data" "$to/data.new" || give_up "cannot copy $root/data to $to/data"
    sync
    mv "$to/data.new" "$to/data" || give_up "cannot put $to/data in place"
    printf 'progress %s %s\n' "$((size * 1024))" "$((size * 1024))" >&2
    reply changed 1
  fi
fi
[ -d "$to/data" ] && reply whole_kept "$to/data"
exit 0
