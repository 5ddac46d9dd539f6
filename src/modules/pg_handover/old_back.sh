# Nobody took over: it is the primary it was. A shutdown that has begun is waited for, never cut short.
[ -n "$check" ] && { reply changed 1; exit 0; }
reply changed 1
serves() { pg_ready && pg_out=$(pg_sql 'select pg_is_in_recovery()') && [ "$pg_out" = f ]; }
if [ "$(pg_state)" = running ] && ! serves; then
  pg_stop $((timeout * 5)) || give_up "the server in container $container is still stopping after $timeout s, and is not killed: run this again when it has"
fi
rm -f "$data/standby.signal" "$data/recovery.conf" "$data/$standby_next" "$etc/handover.next"
sync
tries=0
starts=0
until serves; do
  if [ "$(pg_state)" != running ]; then
    starts=$((starts + 1))
    [ "$starts" -lt 4 ] || give_up "the server in container $container ends again and again: $(docker logs --tail 5 "$container" 2>&1)"
    out=$(docker start "$container" 2>&1 </dev/null) || give_up "cannot start container $container: $out"
  fi
  tries=$((tries + 1))
  [ "$tries" -lt 900 ] || give_up "the server in container $container takes no writes yet: $(docker logs --tail 3 "$container" 2>&1)"
  sleep 0.1 2>/dev/null || sleep 1
done
# A write of its own: whether a standby confirms it is another matter, and that one may be what was lost.
pg_must "set synchronous_commit = local; $write"
rm -f "$etc/handover" "$etc/fenced"
