# Keeps one user. Passwords go to chpasswd by stdin, never by a command line others can see.
entry_of() { getent passwd "$1" 2>/dev/null || awk -F: -v n="$1" '$1 == n { print; found = 1 } END { exit !found }' /etc/passwd; }
group_id() {
  found=$(getent group "$1" 2>/dev/null || awk -F: -v n="$1" '$1 == n || $3 == n { print; exit }' /etc/group)
  [ "$found" ] || return 1
  found=${found#*:*:}; printf '%s' "${found%%:*}"
}
shadow_of() { awk -F: -v n="$1" -v f="$2" '$1 == n { print $f }' /etc/shadow 2>/dev/null; }
split() {
  IFS=: read -r _ _ uid_now gid_now comment_now home_now shell_now <<EOF
$1
EOF
}
changed=
entry=$(entry_of "$name") || entry=

if [ "$state" = absent ]; then
  if [ "$entry" ]; then
    if [ -z "$check" ]; then
      need userdel
      set --
      [ "$force" ] && set -- "$@" -f
      [ "$remove" ] && set -- "$@" -r
      run userdel "$@" -- "$name"
    fi
    reply changed 1
  fi
  exit 0
fi

# In check mode a group may be one that an earlier task would have made.
if [ "$group" ] && ! group_number=$(group_id "$group"); then
  [ "$check" ] || give_up "Group $group does not exist"
  group_number=$group
fi
if [ "$groups_given" ]; then
  old_ifs=$IFS; IFS=,
  for one in $groups; do
    group_id "$one" >/dev/null || [ "$check" ] || give_up "Group $one does not exist"
  done
  IFS=$old_ifs
fi

if [ -z "$entry" ]; then
  changed=1
  reply created 1
  if [ -z "$check" ]; then
    need useradd
    set --
    [ "$uid" ] && set -- "$@" -u "$uid"
    [ "$uid" ] && [ "$non_unique" ] && set -- "$@" -o
    if [ "$group" ]; then
      set -- "$@" -g "$group"
    elif group_id "$name" >/dev/null; then
      set -- "$@" -g "$name"
    fi
    [ "$groups" ] && set -- "$@" -G "$groups"
    [ "$comment_given" ] && set -- "$@" -c "$comment"
    [ "$home" ] && set -- "$@" -d "$home"
    [ "$shell" ] && set -- "$@" -s "$shell"
    [ "$expires_given" ] && [ "$expires" ] && set -- "$@" -e "$expires"
    [ "$system" ] && set -- "$@" -r
    if [ "$create_home" ]; then
      set -- "$@" -m
      [ "$skeleton" ] && set -- "$@" -k "$skeleton"
      [ "$umask" ] && set -- "$@" -K "UMASK=$umask"
      # useradd makes the home, not the folders above it.
      [ "$home" ] && mkdir -p "$(dirname -- "$home")"
    else
      set -- "$@" -M
    fi
    run useradd "$@" -- "$name"
    entry=$(entry_of "$name") || give_up "user $name is not there after useradd"
    split "$entry"
  fi
  update_password=1
else
  split "$entry"
  set --
  [ "$uid" ] && [ "$uid" != "$uid_now" ] && { set -- "$@" -u "$uid"; [ "$non_unique" ] && set -- "$@" -o; }
  [ "$group" ] && [ "$group_number" != "$gid_now" ] && set -- "$@" -g "$group"
  [ "$comment_given" ] && [ "$comment" != "$comment_now" ] && set -- "$@" -c "$comment"
  [ "$home" ] && [ "$home" != "$home_now" ] && { set -- "$@" -d "$home"; [ "$move_home" ] && set -- "$@" -m; }
  [ "$shell" ] && [ "$shell" != "$shell_now" ] && set -- "$@" -s "$shell"
  if [ "$groups_given" ]; then
    primary=$(getent group "$gid_now" 2>/dev/null); primary=${primary%%:*}
    have=" $(id -Gn -- "$name" 2>/dev/null) "
    wanted=" $(printf '%s' "$groups" | tr , ' ') "
    differs=
    for one in $wanted; do
      case $have in *" $one "*) ;; *) differs=1 ;; esac
    done
    if [ -z "$append" ]; then
      for one in $have; do
        [ "$one" = "$primary" ] && continue
        case $wanted in *" $one "*) ;; *) differs=1 ;; esac
      done
    fi
    if [ "$differs" ]; then
      if [ "$append" ]; then set -- "$@" -a -G "$groups"; else set -- "$@" -G "$groups"; fi
    fi
  fi
  if [ "$expires_given" ]; then
    [ "$(shadow_of "$name" 8)" != "$expires_day" ] && set -- "$@" -e "$expires"
  fi
  if [ $# -gt 0 ]; then
    changed=1
    if [ -z "$check" ]; then
      need usermod
      run usermod "$@" -- "$name"
      split "$(entry_of "$name")"
    fi
  fi
  # A home that was never made, or was lost.
  if [ "$create_home" ] && [ "$home_now" ] && [ ! -d "$home_now" ]; then
    changed=1
    if [ -z "$check" ]; then
      mkdir -p -- "$home_now" || give_up "cannot make the home folder $home_now"
      [ -d "${skeleton:-/etc/skel}" ] && cp -r "${skeleton:-/etc/skel}/." "$home_now/"
      chown -R "$uid_now:$gid_now" "$home_now"
      chmod 0755 "$home_now"
    fi
  fi
fi

if [ "$password_given" ] && [ "$update_password" ]; then
  hash_now=$(shadow_of "$name" 2)
  if [ "${hash_now#!}" != "${password#!}" ]; then
    changed=1
    if [ -z "$check" ]; then
      need chpasswd
      said=$(printf '%s:%s\n' "$name" "$password" | chpasswd -e 2>&1) || give_up "cannot set the password of $name: $said"
    fi
  fi
fi
if [ "$lock" ]; then
  hash_now=$(shadow_of "$name" 2)
  case $lock,$hash_now in
    1,!*|0,[!!]*|0,) ;;
    1,*) changed=1; [ "$check" ] || run usermod -L -- "$name" ;;
    # Without a hash there is nothing to unlock to.
    0,!|0,!!) ;;
    0,*) changed=1; [ "$check" ] || run usermod -U -- "$name" ;;
  esac
fi

if [ "$generate_ssh_key" ] && [ "$home_now" ]; then
  case $ssh_key_file in /*) key=$ssh_key_file ;; *) key=$home_now/$ssh_key_file ;; esac
  if [ ! -e "$key" ] || [ "$force" ]; then
    changed=1
    if [ -z "$check" ]; then
      need ssh-keygen
      folder=$(dirname -- "$key")
      if [ ! -d "$folder" ]; then
        mkdir -m 0700 -- "$folder" || give_up "cannot make the folder $folder"
        chown "$uid_now:$gid_now" "$folder"
      fi
      [ "$force" ] && rm -f -- "$key"
      set -- -q -t "$ssh_key_type" -N '' -C "${ssh_key_comment:-matron-generated on $(uname -n)}" -f "$key"
      [ "$ssh_key_bits" ] && set -- "$@" -b "$ssh_key_bits"
      run ssh-keygen "$@"
      chown "$uid_now:$gid_now" "$key" "$key.pub"
    fi
  fi
  if [ -r "$key.pub" ]; then
    reply ssh_key_file "$key"; reply ssh_public_key "$(cat "$key.pub")"
    reply ssh_fingerprint "$(ssh-keygen -l -f "$key.pub" 2>/dev/null)"
  fi
fi

[ "$changed" ] && reply changed 1
reply uid "${uid_now:-$uid}"; reply gid "${gid_now:-$group_number}"; reply comment "${comment_now:-$comment}"
reply home "${home_now:-$home}"; reply shell "${shell_now:-$shell}"
exit 0
