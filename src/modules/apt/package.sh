# Packages by what the host has; falls through to apt's own script where apt-get is.
if ! command -v apt-get >/dev/null 2>&1; then
  manager=
  for one in dnf yum zypper apk pacman; do
    command -v "$one" >/dev/null 2>&1 && { manager=$one; break; }
  done
  [ "$manager" ] || give_up "Could not detect which package manager to use: none of apt-get, dnf, yum, zypper, apk and pacman is on this host"
  installed() {
    case $manager in
      dnf|yum|zypper) rpm -q --whatprovides "$1" >/dev/null 2>&1 ;;
      apk) apk info -e "$1" >/dev/null 2>&1 ;;
      pacman) pacman -Q "$1" >/dev/null 2>&1 ;;
    esac
  }
  set -f; run_out=
  if [ "$update_cache" ] && [ -z "$check" ]; then
    case $manager in
      dnf|yum) run "$manager" -q makecache ;;
      zypper) run zypper --non-interactive refresh ;;
      apk) run apk update ;;
      pacman) run pacman -Sy ;;
    esac
  fi
  set --
  for name in $packages; do
    case $state in
      present) installed "$name" || set -- "$@" "$name" ;;
      absent) installed "$name" && set -- "$@" "$name" ;;
      latest)
        if ! installed "$name"; then
          set -- "$@" "$name"
        else
          case $manager in
            dnf|yum) "$manager" -q check-update "$name" >/dev/null 2>&1; [ $? -eq 100 ] && set -- "$@" "$name" ;;
            zypper) zypper -q --non-interactive list-updates 2>/dev/null | grep -q "| $name " && set -- "$@" "$name" ;;
            apk) apk version -q -l '<' "$name" 2>/dev/null | grep -q . && set -- "$@" "$name" ;;
            pacman) pacman -Qu "$name" >/dev/null 2>&1 && set -- "$@" "$name" ;;
          esac
        fi ;;
    esac
  done
  if [ $# -gt 0 ]; then
    if [ -z "$check" ]; then
      case $manager,$state in
        dnf,absent|yum,absent) run "$manager" -y remove "$@" ;;
        dnf,latest|yum,latest) run "$manager" -y install "$@"; run "$manager" -y upgrade "$@" ;;
        dnf,*|yum,*) run "$manager" -y install "$@" ;;
        zypper,absent) run zypper --non-interactive remove "$@" ;;
        zypper,*) run zypper --non-interactive install "$@" ;;
        apk,absent) run apk del "$@" ;;
        apk,latest) run apk add -u "$@" ;;
        apk,*) run apk add "$@" ;;
        pacman,absent) run pacman --noconfirm -R "$@" ;;
        pacman,*) run pacman --noconfirm -S "$@" ;;
      esac
    fi
    reply changed 1
  fi
  reply stdout "$run_out"
  exit 0
fi
