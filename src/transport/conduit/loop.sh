printf '\n%s start %s\n' "$_mn" "$$"
_mq=0
while IFS=' ' read -r _mk _mi _mc; do
[ "$_mk" = flight ] || exit 125
_mj=0; _ms=0
while [ "$_mj" -lt "$_mc" ]; do
_mj=$((_mj+1))
_mfetch
[ "$_ms" -eq 0 ] || continue
_mq=$((_mq+1))
_mopen "$_mq"
( trap - EXIT HUP INT PIPE TERM; exec </dev/null >&7 2>&8 3>&9 7>&- 8>&- 9>&-; set --; eval "$_mt" )
_ms=$?
_m7=; _m8=; _m9=
read -r _mk _m7 <"/proc/$$/fdinfo/7"; read -r _mk _m8 <"/proc/$$/fdinfo/8"; read -r _mk _m9 <"/proc/$$/fdinfo/9"
exec 7>&- 8>&- 9>&-
_ma="$_mn $_mi $_mj $_ms$_me"
_mgive "$_md/$_mq.o" "${_m7:-9999}"; _mgive "$_md/$_mq.e" "${_m8:-9999}"; _mgive "$_md/$_mq.f" "${_m9:-9999}"
printf '%s.\n' "$_ma"
[ $((_mq%32)) -ne 0 ] || rm -f "$_md"/*
done
done
