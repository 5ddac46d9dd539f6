# Packages by apt-get. What is installed is asked of dpkg-query, so that nothing to do costs one quick look.
command -v apt-get >/dev/null 2>&1 || give_up "apt-get is not on this host: module apt is for Debian and its kin"
DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical; export DEBIAN_FRONTEND DEBIAN_PRIORITY
new_line='
'
changed= updated= all_out= all_err=
apt() {
  err_file=$(mktemp) || give_up "cannot make a temporary file"
  out=$(apt-get -y -o Dpkg::Use-Pty=0 -o "DPkg::Lock::Timeout=$lock_timeout" "$@" 2>"$err_file" </dev/null); rc=$?
  err=$(cat "$err_file"); rm -f "$err_file"
  all_out=$all_out${all_out:+$new_line}$out; all_err=$all_err${all_err:+$new_line}$err
  return $rc
}
bail() {
  reply failed 1; reply rc "$rc"; reply stdout "$out"; reply stderr "$err"
  reply msg "$1 failed: ${err:-$out}"; exit 0
}
stamp() {
  for path in /var/lib/apt/periodic/update-success-stamp /var/lib/apt/lists; do
    [ -e "$path" ] && { stat -c %Y "$path"; return; }
  done
  echo 0
}
# state_of NAME: sets have (version when installed) and left (configuration files only).
state_of() {
  have= left=
  seen=$(dpkg-query -W -f '${db:Status-Abbrev} ${Version}\n' -- "$1" 2>/dev/null | head -n 1)
  case $seen in
    ?i*) have=${seen##* } ;;
    ?c*) left=1 ;;
  esac
}
candidate() { apt-cache policy -- "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2; exit }'; }
# A virtual package counts as installed when an installed one provides it.
provided() {
  dpkg-query -W -f '${db:Status-Abbrev},${Provides}\n' 2>/dev/null |
    awk -F, -v n="$1" '/^.i/ { for (i = 2; i <= NF; i++) { split($i, w, " "); if (w[1] == n) found = 1 } } END { exit !found }'
}
known_virtual() { apt-cache showpkg -- "$1" 2>/dev/null | awk '/^Reverse Provides:/ { on = 1; next } on && NF { found = 1 } END { exit !found }'; }

if [ "$update_cache" ]; then
  age=$(($(date +%s) - $(stamp)))
  # An image whose lists were cleared is young by its folder and has nothing in it.
  ls /var/lib/apt/lists/*Release >/dev/null 2>&1 || age=$((cache_valid_time + 1))
  if [ "$cache_valid_time" -eq 0 ] || [ "$age" -gt "$cache_valid_time" ]; then
    if [ -z "$check" ]; then
      tries=0
      until apt update -q; do
        tries=$((tries + 1))
        [ "$tries" -gt "$update_cache_retries" ] && { reply failed 1; reply rc "$rc"; reply stderr "$err"
          reply msg "Failed to update apt cache: ${err:-unknown reason}"; exit 0; }
        sleep "$((tries < update_cache_retry_max_delay ? tries : update_cache_retry_max_delay))"
      done
      # apt leaves the folder's time alone when nothing was new.
      touch /var/lib/apt/lists 2>/dev/null
      [ -e /var/lib/apt/periodic/update-success-stamp ] && touch /var/lib/apt/periodic/update-success-stamp
    fi
    updated=1
  fi
fi

set -f
set -- -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold
if [ "$dpkg_options" ]; then
  set --
  IFS=,
  for option in $dpkg_options; do set -- "$@" -o "Dpkg::Options::=--$option"; done
  unset IFS
fi
[ "$install_recommends" = no ] && set -- "$@" --no-install-recommends
[ "$install_recommends" = yes ] && set -- "$@" -o APT::Install-Recommends=yes
[ "$default_release" ] && set -- "$@" -t "$default_release"
[ "$allow_unauthenticated" ] && set -- "$@" --allow-unauthenticated
[ "$allow_downgrade" ] && set -- "$@" --allow-downgrades
[ "$allow_change_held" ] && set -- "$@" --allow-change-held-packages
[ "$only_upgrade" ] && set -- "$@" --only-upgrade
[ "$fail_on_autoremove" ] && set -- "$@" --no-remove
[ "$force" ] && set -- "$@" --allow-downgrades --allow-remove-essential --allow-change-held-packages --allow-unauthenticated
[ "$autoremove" ] && [ "$packages" ] && set -- "$@" --auto-remove
[ "$check" ] && set -- "$@" -s

if [ "$upgrade" != no ]; then
  case $upgrade in dist|full) verb=dist-upgrade ;; *) verb=upgrade ;; esac
  [ "$verb" = upgrade ] && set -- "$@" --with-new-pkgs
  plan=$(apt-get -s "$@" "$verb" 2>/dev/null | grep -E '^(Inst|Remv) ')
  if [ "$plan" ]; then
    changed=1
    [ "$check" ] || apt "$@" "$verb" || bail "'apt-get $verb'"
    reply diff_after "$plan$new_line"; reply diff_before ""; reply diff_name "apt $verb"
  fi
fi

if [ "$deb" ]; then
  [ -r "$deb" ] || give_up "Unable to read the package file $deb on this host"
  about=$(dpkg-deb -W --showformat '${Package} ${Version}' "$deb" 2>&1) || give_up "Unable to install package: $deb: $about"
  state_of "${about% *}"
  if [ "$have" != "${about#* }" ]; then
    changed=1
    case $deb in /*) path=$deb ;; *) path=./$deb ;; esac
    apt "$@" install "$path" || bail "'apt-get install $deb'"
  fi
fi

work=
old_ifs=$IFS; IFS=$new_line
for spec in $packages; do
  IFS=$old_ifs
  name=${spec%%=*}; version=
  case $spec in *=*) version=${spec#*=} ;; esac
  name=${name%%/*}
  case $state in
    absent)
      case $name in
        *[*?]*) matches=$(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "$name" 2>/dev/null | awk -v p="$purge" '$2 ~ /^.i/ || (p && $2 ~ /^.c/) { print $1 }')
          [ "$matches" ] && work=$work$matches$new_line ;;
        *) state_of "$name"
          if [ "$have" ] || { [ "$left" ] && [ "$purge" ]; }; then work=$work$name$new_line; fi ;;
      esac ;;
    present|latest)
      case $name in *[*?]*) give_up "name '$name' has a wildcard: that is only understood with state absent" ;; esac
      state_of "$name"
      if [ "$have" ]; then
        if [ "$version" ]; then
          # The pattern is meant as one: x=1.2*
          case $have in $version) continue ;; esac
        elif [ "$state" = present ]; then
          continue
        else
          [ "$default_release" ] && newest=$(apt-cache -t "$default_release" policy -- "$name" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }') || newest=$(candidate "$name")
          if [ -z "$newest" ] || [ "$newest" = "$have" ]; then continue; fi
        fi
      else
        [ "$only_upgrade" ] && continue
        if [ -z "$(candidate "$name")" ]; then
          provided "$name" && continue
          known_virtual "$name" || give_up "No package matching '$name' is available"
        fi
      fi
      if [ "$version" ]; then
        pick=$(apt-cache madison -- "$name" 2>/dev/null | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | while read -r one; do
          case $one in $version) echo "$one"; break ;; esac
        done)
        [ "$pick" ] || give_up "no available installation candidate for $spec"
        work=$work$name=$pick$new_line
      else
        work=$work$spec$new_line
      fi ;;
    build-dep) work=$work$spec$new_line ;;
  esac
done
IFS=$new_line
if [ "$work" ] || [ "$state" = fixed ]; then
  verb=install
  case $state in
    absent) verb=remove; [ "$purge" ] && verb=purge ;;
    build-dep) verb=build-dep ;;
    fixed) set -- "$@" --fix-broken ;;
  esac
  set -- "$@" "$verb"
  for spec in $work; do set -- "$@" "$spec"; done
  IFS=$old_ifs
  if [ "$state" = fixed ] || [ "$state" = build-dep ]; then
    apt-get -y -s "$@" 2>/dev/null | grep -qE '^(Inst|Remv|Conf) ' && changed=1
  else
    changed=1
  fi
  if [ "$changed" ] || [ "$state" = fixed ]; then
    apt "$@" || bail "'apt-get $verb $(printf '%s' "$work" | tr '\n' ' ' | sed 's/ $//')'"
    [ "$diff" ] && { reply diff_before ""; reply diff_after "$work"; reply diff_name "apt $verb"; }
  fi
fi
IFS=$old_ifs

if [ "$autoremove" ] && [ -z "$packages" ]; then
  set -- autoremove
  [ "$purge" ] && set -- --purge autoremove
  if apt-get -s "$@" 2>/dev/null | grep -q '^\(Remv\|Purg\) '; then
    changed=1
    [ "$check" ] || apt "$@" || bail "'apt-get autoremove'"
  fi
fi
[ "$autoclean" ] && [ -z "$check" ] && { apt autoclean || bail "'apt-get autoclean'"; }
[ "$clean" ] && [ -z "$check" ] && { apt clean || bail "'apt-get clean'"; }

[ -z "$packages$deb" ] && [ "$upgrade" = no ] && [ "$updated" ] && changed=1
[ "$changed" ] && reply changed 1
reply cache_updated "$updated"; reply cache_update_time "$(stamp)"
reply stdout "$all_out"; reply stderr "$all_err"
exit 0
