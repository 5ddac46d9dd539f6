# Everything that may take long is done before a client notices.
pg_ready || give_up "the server in container $container does not answer: it cannot hand over"
pg_must 'select pg_is_in_recovery()'
[ "$pg_out" = f ] || give_up "the server in container $container is no primary: it has nothing to hand over"
[ -n "$check" ] && exit 0
mkdir -p "$etc"
put "$data/$settings_next" "$settings"
[ "$settings_next" = "$standby_next" ] || put "$data/$standby_next" ''
if grep -q '^[[:space:]]*\(primary_conninfo\|primary_slot_name\|recovery_target_timeline\)' "$data/postgresql.auto.conf" 2>/dev/null; then
  # Settings of others that would win over ours once it is a standby.
  [ -z "$reset" ] || for name in $reset; do pg_must "alter system reset $name"; done
fi
(umask 077 && printf '%s\n' "$mark" >"$etc/handover.next") || give_up "cannot write in $etc"
sync
# The first one writes what has gathered; the next one, just before the stop, has little left.
pg_must checkpoint
