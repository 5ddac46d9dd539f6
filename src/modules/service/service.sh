# Keeps one service, by systemd where it runs the host, else by OpenRC or init scripts.
no_such() { give_up "Could not find the requested service $name: host"; }
act() { changed=1; [ "$check" ] && return 0; said=$("$@" 2>&1 </dev/null); }
changed=

by_systemd() {
  [ "$scope" = user ] && { : "${XDG_RUNTIME_DIR:=/run/user/$(id -u)}"; export XDG_RUNTIME_DIR; }
  s() { systemctl --no-pager --no-ask-password $scope_flag "$@"; }
  case $scope in user) scope_flag=--user ;; global) scope_flag=--global ;; *) scope_flag= ;; esac
  if [ "$daemon_reload" ]; then
    [ "$check" ] || { said=$(s daemon-reload 2>&1) || give_up "failure $? during daemon-reload: $said"; }
  fi
  if [ "$daemon_reexec" ]; then
    [ "$check" ] || { said=$(s daemon-reexec 2>&1) || give_up "failure $? during daemon-reexec: $said"; }
  fi
  [ "$name" ] || return 0

  if [ "$scope" = global ]; then
    load=loaded; file=$(s is-enabled -- "$name" 2>/dev/null); active=
  else
    about=$(s show -- "$name" 2>&1) || give_up "cannot ask systemd about $name: $about"
    value() { printf '%s\n' "$about" | sed -n "s/^$1=//p" | head -n 1; }
    load=$(value LoadState) file=$(value UnitFileState) active=$(value ActiveState)
  fi
  [ -z "$file" ] && [ "$load" = masked ] && file=masked

  if [ "$masked" ]; then
    case $file in masked*) is=yes ;; *) is=no ;; esac
    if [ "$masked" != "$is" ]; then
      verb=mask; [ "$masked" = no ] && verb=unmask
      act s $verb -- "$name" || give_up "Unable to $verb service $name: $said"
      if [ "$verb" = unmask ] && [ -z "$check" ]; then
        about=$(s show -- "$name" 2>&1); load=$(value LoadState) file=$(value UnitFileState) active=$(value ActiveState)
      fi
    fi
  fi
  if [ "$load" = not-found ] && [ "$enabled$state" ] && [ "$masked" != yes ]; then
    # In check mode a unit file may be one that an earlier task would have written.
    [ "$check" ] || no_such
  fi
  if [ "$load" = bad-setting ] || [ "$load" = error ]; then
    [ "$enabled$state" ] && give_up "Error loading unit file '$name': systemd says $load"
  fi

  if [ "$enabled" ]; then
    is=no
    case $file in
      enabled|enabled-runtime|alias) is=yes ;;
      # Nothing to enable: it is pulled in by others.
      static|transient|generated) is=$enabled ;;
      '') s is-enabled -q -- "$name" 2>/dev/null && is=yes ;;
    esac
    if [ "$enabled" != "$is" ]; then
      verb=enable; [ "$enabled" = no ] && verb=disable
      act s $verb $force_flag -- "$name" || give_up "Unable to $verb service $name: $said"
    fi
  fi

  verb=
  case $state in
    started) case $active in active|activating|reloading) ;; *) verb=start ;; esac ;;
    stopped) case $active in active|activating|deactivating|reloading) verb=stop ;; esac ;;
    restarted) verb=restart ;;
    reloaded) case $active in active) verb=reload ;; *) verb=start ;; esac ;;
  esac
  if [ "$verb" ]; then
    [ "$scope" = global ] && give_up "a service of scope global has no state: it runs per user"
    act s $verb $block_flag -- "$name" || give_up "Unable to $verb service $name: $said"
  fi
  if [ -z "$check" ] && [ "$changed" ] && [ "$scope" != global ]; then about=$(s show -- "$name" 2>&1); fi
  reply status "${about:-}"
}

by_openrc() {
  rc-service --exists "$name" || no_such
  if [ "$enabled" ]; then
    is=no
    rc-update show "${runlevel:-default}" 2>/dev/null | awk '{ print $1 }' | grep -qxF -- "$name" && is=yes
    if [ "$enabled" != "$is" ]; then
      verb=add; [ "$enabled" = no ] && verb=del
      act rc-update $verb "$name" "${runlevel:-default}" || give_up "Unable to $verb service $name: $said"
    fi
  fi
  running=
  rc-service "$name" status >/dev/null 2>&1 && running=1
  turn rc-service "$name"
}

by_init() {
  [ -x "/etc/init.d/$name" ] || no_such
  if [ "$enabled" ]; then
    is=no
    set -- /etc/rc[2345].d/S[0-9][0-9]"$name"
    [ -e "$1" ] && is=yes
    if [ "$enabled" != "$is" ]; then
      if command -v update-rc.d >/dev/null 2>&1; then
        if [ "$enabled" = yes ]; then
          act update-rc.d "$name" defaults || give_up "Unable to enable service $name: $said"
          act update-rc.d "$name" enable || give_up "Unable to enable service $name: $said"
        else
          act update-rc.d "$name" disable || give_up "Unable to disable service $name: $said"
        fi
      elif command -v chkconfig >/dev/null 2>&1; then
        turn_on=on; [ "$enabled" = no ] && turn_on=off
        act chkconfig "$name" $turn_on || give_up "Unable to switch service $name $turn_on: $said"
      else
        give_up "cannot enable or disable $name: neither systemctl, rc-update, update-rc.d nor chkconfig is on this host"
      fi
    fi
  fi
  running=
  if command -v service >/dev/null 2>&1; then
    service "$name" status >/dev/null 2>&1 && running=1
    turn service "$name"
  else
    "/etc/init.d/$name" status >/dev/null 2>&1 && running=1
    turn "/etc/init.d/$name"
  fi
}

turn() {
  verb=
  case $state,$running in
    started,) verb=start ;;
    stopped,1) verb=stop ;;
    restarted,*) verb=restart ;;
    reloaded,1) verb=reload ;;
    reloaded,) verb=start ;;
  esac
  [ "$verb" ] || return 0
  # A restart by an init script may not wait for the old one to go.
  if [ "$verb" = restart ] && [ "$sleep" ] && [ "$running" ]; then
    act "$@" stop || give_up "Unable to stop service $name: $said"
    [ "$check" ] || sleep "$sleep"
    verb=start
  fi
  act "$@" $verb || give_up "Unable to $verb service $name: $said"
}

booted=
[ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1 && booted=1
if [ "$via" = systemd ]; then
  command -v systemctl >/dev/null 2>&1 || give_up "systemctl is not on this host: use module service"
  if [ -z "$booted" ] && [ "$state$daemon_reload$daemon_reexec" ]; then
    give_up "systemd does not run this host (there is no /run/systemd/system): use module service"
  fi
  by_systemd
elif [ "$booted" ]; then
  by_systemd
elif command -v rc-service >/dev/null 2>&1; then
  by_openrc
elif [ -d /etc/init.d ]; then
  by_init
else
  give_up "this host has no service manager that matron knows: neither systemd, OpenRC nor /etc/init.d"
fi
[ "$changed" ] && reply changed 1
exit 0
