# Looks once. Replies with what there is; whether it is what was waited for is decided elsewhere.
case $kind in
  path)
    if [ -e "$path" ]; then
      reply there 1
      reply stat "$(stat -L -c '%a %u %g %U %G %s %F' -- "$path" 2>/dev/null)"
      # The end of a log is where what one waits for comes.
      [ "$regex" ] && [ -f "$path" ] && reply text "$(tail -c 4194304 -- "$path" | tr -d '\000')"
    fi ;;
  drained)
    port_hex=$(printf '%04X' "$port")
    reply sockets "$(grep -hs ":$port_hex " /proc/net/tcp /proc/net/tcp6)" ;;
  port)
    way=
    if command -v bash >/dev/null 2>&1; then
      way=1
      if [ "$regex" ]; then
        text=$(timeout "$connect_timeout" bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 1; echo open; timeout 1 head -c 65536 <&3 | tr -d "\000"; exit 0' "$host" "$port" 2>/dev/null)
        case $text in open*) reply there 1; reply text "${text#open}" ;; esac
      else
        timeout "$connect_timeout" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$host" "$port" >/dev/null 2>&1 && reply there 1
      fi
    else
      nc=
      if command -v nc >/dev/null 2>&1; then nc=nc
      elif command -v busybox >/dev/null 2>&1 && busybox nc --help >/dev/null 2>&1; then nc='busybox nc'
      fi
      if [ "$nc" ]; then
        way=1
        if [ "$regex" ]; then
          text=$(timeout "$connect_timeout" $nc -w 1 "$host" "$port" </dev/null 2>/dev/null | head -c 65536 | tr -d '\000')
          [ "$text" ] && { reply there 1; reply text "$text"; }
        # Not every nc knows -z; one that does not gets an empty stdin.
        elif timeout "$connect_timeout" $nc -z -w "$connect_timeout" "$host" "$port" </dev/null >/dev/null 2>&1; then
          reply there 1
        elif timeout "$connect_timeout" $nc -w 1 "$host" "$port" </dev/null >/dev/null 2>&1; then
          reply there 1
        fi
      fi
    fi
    if [ -z "$way" ]; then
      # With no tool to connect, the kernel's table still tells of listeners on this host.
      case $host in
        localhost|127.*|::1|0.0.0.0|::) ;;
        *) give_up "cannot connect to $host:$port from this host: it has neither bash nor nc; install one, or wait from another host with delegate_to" ;;
      esac
      [ "$regex" ] && give_up "cannot read from $host:$port on this host: search_regex needs bash or nc there"
      port_hex=$(printf '%04X' "$port")
      grep -hqsE "^ *[0-9]+: (0{8}|0100007F|0{32}|0{24}01000000|0{16}FFFF00000100007F):$port_hex [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6 && reply there 1
    fi ;;
esac
exit 0
