# A session that waits on the node that takes over: starting one costs more than the promotion. It is spoken to by two named pipes.
room=/run/matron/$cluster
tick() { read -r tick_up tick_rest </proc/uptime; tick_cs=1${tick_up#*.}; now_ms=$(( ${tick_up%.*} * 1000 + (tick_cs - 100) * 10 )); }
join() { [ -p "$room/go" ] && [ -p "$room/said" ] && exec 4<>"$room/said" 5<>"$room/go"; }
say() { printf '%s\n' "$1" >&5; }
# Puts what follows `matron WORD ` into `heard`. What else the session says is kept, to explain why it did not say that.
said=
unconfirmed=
hear() {
  while IFS= read -r heard <&4; do
    case $heard in
      "matron $1 "*) heard=${heard#"matron $1 "}; return 0 ;;
      *'synchronous replication'*) unconfirmed=1 ;;
      *ERROR:* | *FATAL:* | 'session ended') said=$heard; return 1 ;;
    esac
  done
  said='the session is gone'
  return 1
}
leave() {
  if join; then say '\q'; exec 4>&- 5>&-; fi
  rm -rf "$room"
}
