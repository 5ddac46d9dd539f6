[ -r "/proc/$front/stat" ] || exit 0
field() { read -r _s <"/proc/$1/stat" || return; set -- ${_s##*) }; state=$1; ppid=$2; pgrp=$3; shift 19; began=$1; }
{ field "$front"; group=$pgrp; first=
table=
for p in /proc/[0-9]*; do p=${p#/proc/}
field "$p" || continue
[ "$state" != Z ] || continue
table="$table $p:$ppid:$pgrp:$began"
if [ "$ppid" = "$front" ]; then [ -n "$first" ] && [ "$first" -le "$began" ] || { first=$began; eldest=$p; }; fi
done; } 2>/dev/null
[ -n "$first" ] || exit 0
family() {
list=" $1 "; grew=1
while [ "$grew" ]; do grew=
for row in $table; do p=${row%%:*}; rest=${row#*:}
case $list in *" $p "*) continue ;; esac
case $list in *" ${rest%%:*} "*) list="$list$p "; grew=1 ;; esac
done; done; }
family "$front"
for row in $table; do p=${row%%:*}; rest=${row#*:}; rest=${rest#*:}
[ "${rest%%:*}" = "$group" ] || continue
rest=${rest##*:}
[ "$rest" -gt "$first" ] || { [ "$rest" -eq "$first" ] && [ "$p" -gt "$eldest" ]; } || continue
case $list in *" $p "*) ;; *) list="$list$p " ;; esac
done
victims=
for p in $list; do [ "$p" = "$front" ] || [ "$p" = $$ ] || victims="$victims $p"; done
[ "$victims" ] || exit 0
kill -TERM $victims 2>/dev/null
n=0
while [ "$n" -lt 10 ]; do n=$((n+1)); alive=
for p in $victims; do
if field "$p" 2>/dev/null && [ "$state" != Z ]; then alive="$alive $p"; fi
done
[ "$alive" ] || exit 0
sleep 0.1 2>/dev/null || sleep 1
done
kill -KILL $alive 2>/dev/null
exit 0
