#!/bin/bash
# The observable contract of the official postgres image, written anew for the practice ward.
set -Eeo pipefail

from_file() { # VAR -> value of VAR, or of the file named by VAR_FILE; both set is an error
  local v=$1 f="${1}_FILE" d=${2:-} out=$2
  if [ -n "${!v:-}" ] && [ -n "${!f:-}" ]; then echo >&2 "error: both $v and $f are set (but are exclusive)"; exit 1; fi
  if [ -n "${!v:-}" ]; then out=${!v}; elif [ -n "${!f:-}" ]; then out=$(<"${!f}"); else out=$d; fi
  export "$v"="$out"; unset "$f"
}
init_dirs() {
  local me; me=$(id -u)
  mkdir -p "$PGDATA"; chmod 00700 "$PGDATA" || :
  mkdir -p /var/run/postgresql || :; chmod 03775 /var/run/postgresql || :
  if [ -n "${POSTGRES_INITDB_WALDIR:-}" ]; then mkdir -p "$POSTGRES_INITDB_WALDIR"; [ "$me" = 0 ] && chown -R postgres "$POSTGRES_INITDB_WALDIR"; chmod 700 "$POSTGRES_INITDB_WALDIR"; fi
  if [ "$me" = 0 ]; then
    find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
    find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
  fi
}
env_setup() {
  from_file POSTGRES_PASSWORD; from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"; from_file POSTGRES_INITDB_ARGS
  : "${POSTGRES_HOST_AUTH_METHOD:=}"
}
run_sql() { PGHOST= PGHOSTADDR= psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER" "$@"; }
init_files() {
  local f
  for f; do
    case $f in
      *.sh) if [ -x "$f" ]; then echo "$0: running $f"; "$f"; else echo "$0: sourcing $f"; . "$f"; fi ;;
      *.sql) echo "$0: running $f"; run_sql --dbname "$POSTGRES_DB" -f "$f"; echo ;;
      *.sql.gz) echo "$0: running $f"; gunzip -c "$f" | run_sql --dbname "$POSTGRES_DB"; echo ;;
      *.sql.xz) echo "$0: running $f"; xzcat "$f" | run_sql --dbname "$POSTGRES_DB"; echo ;;
      *) echo "$0: ignoring $f" ;;
    esac
  done
}
wants_help() { local a; for a; do case $a in -'?'|--help|--describe-config|-V|--version) return 0;; esac; done; return 1; }
main() {
  if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
  if [ "$1" = postgres ] && ! wants_help "$@"; then
    if [ "$(id -u)" = 0 ]; then
      init_dirs
      exec setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/var/lib/postgresql USER=postgres "$BASH_SOURCE" "$@"
    fi
    init_dirs
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
      env_setup
      if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        printf >&2 'Error: Database is uninitialized and superuser password is not specified.\n'; exit 1; fi
      ls /docker-entrypoint-initdb.d/ >/dev/null
      [ -n "${POSTGRES_INITDB_WALDIR:-}" ] && set -- "$@" && WD=(--waldir "$POSTGRES_INITDB_WALDIR")
      eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") "${WD[@]}" '"$POSTGRES_INITDB_ARGS"
      local auth; auth=$(postgres -C password_encryption "${@:2}" 2>/dev/null || echo md5)
      [ "$auth" = on ] && auth=md5
      : "${POSTGRES_HOST_AUTH_METHOD:=$auth}"
      printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >> "$PGDATA/pg_hba.conf"
      local temp=("$@"); temp=("${temp[@]:1}")
      NOTIFY_SOCKET= PGUSER="$POSTGRES_USER" pg_ctl -D "$PGDATA" -o "$(printf '%q ' "${temp[@]}" -c listen_addresses= -p "${PGPORT:-5432}")" -w start
      export PGPASSWORD="${PGPASSWORD:-$POSTGRES_PASSWORD}"
      [ "$POSTGRES_DB" = postgres ] || [ -n "$(run_sql --dbname postgres -tAc "SELECT 1 FROM pg_database WHERE datname='$POSTGRES_DB'")" ] || run_sql --dbname postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
      shopt -s nullglob; init_files /docker-entrypoint-initdb.d/*
      PGUSER="$POSTGRES_USER" pg_ctl -D "$PGDATA" -m fast -w stop
      unset PGPASSWORD
      printf '\nPostgreSQL init process complete; ready for start up.\n\n'
    else
      printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    fi
  fi
  exec "$@"
}
main "$@"
