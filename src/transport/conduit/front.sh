_mgive() {
if [ ! -s "$1" ]; then _ma="${_ma}0$_me"; return; fi
if [ "$2" -lt 4096 ]; then
_mv=; _mp=
exec 7<"$1"
while IFS= read -r _ml; do _mv="$_mv$_ml$_me"; done <&7
_mv="$_mv$_ml"
read -r _mk _mp <"/proc/$$/fdinfo/7"
exec 7<&-
if [ "$_mp" = "${#_mv}" ]; then _ma="$_ma${#_mv}$_me$_mv"; : >"$1"; return; fi
fi
_mp=$(wc -c <"$1"); _mp=$((_mp))
if [ "$_mp" -gt "$_mx" ]; then _ma="$_ma-$_mp$_me"
else printf '%s%s\n' "$_ma" "$_mp"; _ma=; head -c "$_mp" "$1"
fi
: >"$1"
}
_mfetch() {
IFS=' ' read -r _mk _mz || exit 125
_mt=
case $_mk in
lines) while [ "$_mz" -gt 0 ]; do IFS= read -r _ml || exit 125; _mt="$_mt$_ml$_me"; _mz=$((_mz-1)); done ;;
bytes) _mt=$(dd bs="$_mz" count=1 iflag=fullblock 2>/dev/null); [ "${#_mt}" -eq "$_mz" ] || exit 124; _mt=${_mt%x} ;;
*) exit 125 ;;
esac
}
_mroom() {
for _m in /dev/shm /tmp /var/tmp "$HOME"; do
[ -d "$_m" ] && [ -w "$_m" ] && _md=$_m/.matron-$_mn && mkdir -m 700 "$_md" 2>/dev/null && return
done
echo "no folder to write in: /dev/shm, /tmp, /var/tmp and $HOME were tried" >&2
exit 123
}
_mopen() {
[ -d "$_md" ] || _mroom
exec 7>>"$_md/$1.o" 8>>"$_md/$1.e" 9>>"$_md/$1.f"
}
LC_ALL=C; export LC_ALL
PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; export PATH
umask 022
cd . 2>/dev/null || cd /
_mroom
trap 'rm -rf "$_md"' EXIT
trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 141' PIPE; trap 'exit 143' TERM
