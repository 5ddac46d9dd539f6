pg_ready || give_up "the server in container $container does not answer: it cannot take over"
pg_must 'select pg_is_in_recovery()'
[ "$pg_out" = t ] || give_up "the server in container $container is no standby: it cannot take over"
[ -n "$check" ] && exit 0
leave
# Whom a commit waits for is said before it takes writes: then none is ever confirmed by this node alone.
if [ -n "$synchronous" ]; then put "$data/matron.sync.conf" "$synchronous"; else rm -f "$data/matron.sync.conf"; fi
pg_must 'select pg_reload_conf()'
(umask 077 && mkdir -p "$room") && mkfifo -m 600 "$room/go" "$room/said" || give_up "cannot make the session's pipes in $room"
limited() { if command -v timeout >/dev/null 2>&1; then timeout "$life" "$@"; else "$@"; fi; }
(
  exec 3>&- 7>&- 8>&- 9>&-
  limited docker exec -i -u postgres "$container" psql -X -q -A -t -v VERBOSITY=terse -U "$superuser" -d "$database" 0<>"$room/go" 1<>"$room/said" 2>&1
  echo 'session ended' 1<>"$room/said"
) </dev/null >/dev/null 2>&1 &
join
say "$opening"
hear ready || give_up "no session with the server in container $container: $said"
