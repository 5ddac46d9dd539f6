[ -s "$data/pg_hba.conf" ] && reply hba "$(cat "$data/pg_hba.conf")"
for file in postgresql.auto.conf recovery.conf matron.standby.conf postgresql.conf; do
  [ -s "$data/$file" ] || continue
  grep -v '^[[:space:]]*#' "$data/$file" | grep -q "primary_conninfo.*password *=" && reply password_file "$file"
  found=$(sed -n "s/^[[:space:]]*\(promote_\)\{0,1\}trigger_file[[:space:]]*=[[:space:]]*'\([^']*\)'.*/\2/p" "$data/$file" | tail -n 1)
  [ -n "$found" ] && reply trigger_file "$found"
done
[ "$(pg_state)" = running ] && pg_ready || exit 0
number=$(pg_sql "select current_setting('max_replication_slots')") && reply slots "$number"
number=$(pg_sql "select current_setting('max_wal_senders')") && reply senders "$number"
list=$(pg_sql "$settings_sql") && reply settings "$list"
stored=$(pg_sql "$stored_sql") && reply stored "$stored"
exit 0
