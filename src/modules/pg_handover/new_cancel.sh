[ -n "$check" ] && exit 0
[ -d "$room" ] || [ -e "$data/matron.sync.conf" ] || exit 0
leave
if pg_ready && pg_out=$(pg_sql 'select pg_is_in_recovery()') && [ "$pg_out" = t ]; then
  reply changed 1
  rm -f "$data/matron.sync.conf"
  pg_must 'select pg_reload_conf()'
  # A slot that nobody comes for would keep WAL for ever.
  pg_must "$drop_slots"
fi
