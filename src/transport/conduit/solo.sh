printf '\n%s start %s\n' "$_mn" "$$"
_mfetch
printf '%s begin\n' "$_mn" >&2
[ -d "$_md" ] || _mroom
exec 9>>"$_md/f"
if [ "$_mstdin" ]; then
( trap - EXIT HUP INT PIPE TERM; exec 3>&9 9>&-; set --; eval "$_mt" )
_ms=$?
else
( trap - EXIT HUP INT PIPE TERM; exec </dev/null 3>&9 9>&-; set --; eval "$_mt" )
_ms=$?
fi
exec 9>&-
_ma="$_mn end $_ms$_me"
_mgive "$_md/f" 9999
printf '%s.\n' "$_ma"
