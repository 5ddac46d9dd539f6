# Collects the raw material of facts; every sense is made of it on the other side. Few forks: files are read many at a
# time by `grep`, which prints `PATH:LINE` and passes over what is missing.
set -- /dev/null /proc/sys/kernel/ostype /proc/sys/kernel/hostname /proc/sys/kernel/osrelease \
  /proc/sys/kernel/version /proc/self/status /proc/1/comm /proc/cmdline /proc/sys/crypto/fips_enabled \
  /etc/os-release /etc/debian_version /etc/alpine-release /etc/redhat-release /etc/lsb-release \
  /etc/hosts /etc/resolv.conf /etc/machine-id /etc/timezone /run/systemd/container \
  /etc/selinux/config /sys/fs/selinux/enforce /sys/fs/selinux/policyvers \
  /proc/uptime /proc/loadavg /proc/1/cgroup /sys/hypervisor/type \
  /etc/ssh/ssh_host_*_key.pub
for name in product_name product_serial product_uuid product_version sys_vendor bios_date bios_vendor bios_version \
  board_asset_tag board_name board_serial board_vendor board_version chassis_asset_tag chassis_serial chassis_type \
  chassis_vendor chassis_version; do
  set -- "$@" "/sys/class/dmi/id/$name"
done
[ "$want_hardware" ] && set -- "$@" /proc/meminfo
[ "$want_network" ] && set -- "$@" /sys/class/net/*/address /sys/class/net/*/mtu /sys/class/net/*/operstate \
  /sys/class/net/*/type /sys/class/net/*/flags /sys/class/net/*/speed /proc/net/route /proc/net/ipv6_route \
  /proc/net/if_inet6
reply files "$(grep -s '' "$@")"

marks=
for path in /run/systemd/system /dev/.run/systemd /sys/kernel/security/apparmor /sys/fs/selinux /.dockerenv \
  /run/.containerenv /dev/kvm /sys/module/kvm /proc/xen /proc/vz /sbin/openrc /usr/sbin/openrc /sbin/openrc-run /sbin/procd \
  /etc/init.d /sbin/upstart-udev-bridge /usr/bin/apt-get /usr/bin/dnf5 /usr/bin/dnf /usr/bin/dnf-3 /usr/bin/yum \
  /usr/bin/zypper /sbin/apk /usr/sbin/apk /usr/bin/apk /usr/bin/pacman /usr/bin/emerge /usr/bin/opkg /bin/opkg /usr/bin/lsb_release \
  /etc/alpine-release /etc/arch-release /etc/gentoo-release /etc/os-release /usr/bin/pveversion; do
  [ -e "$path" ] && marks="$marks $path"
done
if [ -r /proc/1/root/. ] && ! [ / -ef /proc/1/root/. ]; then marks="$marks chroot"; fi
reply marks "$marks"
reply machine "$(uname -m)"
user_id=$(id -u)
reply passwd "$(getent passwd "$user_id" 2>/dev/null || grep "^[^:]*:[^:]*:$user_id:" /etc/passwd)"
reply date "$(date '+%Y %m %d %H %M %S %s %N %z %Z %w %W')"
reply environment "$(cat /proc/self/environ | tr '\000' '\036')"
IFS= read -r nodename </proc/sys/kernel/hostname
# A name that /etc/hosts does not hold needs the resolver, which may be slow or dead.
if ! grep -qw -- "$nodename" /etc/hosts 2>/dev/null; then
  reply fqdn "$(timeout 3 hostname -f 2>/dev/null)"
fi
for name in python3 /usr/bin/python3 /usr/libexec/platform-python; do
  python=$(command -v "$name") || continue
  version=$("$python" -V 2>&1) || continue
  reply python "$python"
  reply python_version "$version"
  break
done

if [ "$want_hardware" ]; then
  reply cpus "$(grep -E '^(processor|vendor_id|model name|Model|physical id|core id|cpu cores|siblings|Processor|cpu|Hardware)[[:space:]]*:' /proc/cpuinfo)"
  reply flags "$(grep -m1 -E '^(flags|Features)[[:space:]]*:' /proc/cpuinfo)"
  mounts=$(awk '($1 ~ /^\// || $1 ~ /:\//) && $3 != "none" && $3 != "autofs"' /proc/mounts)
  reply mounts "$mounts"
  # A dead file server must not hold the facts of the whole machine.
  printf '%s\n' "$mounts" | {
    set --
    while read -r device folder rest; do
      [ "$folder" ] && set -- "$@" "$(printf '%b' "$folder")"
    done
    [ $# -gt 0 ] && reply sizes "$(timeout 5 stat -f -c '%S %b %a %c %d %n' -- "$@" 2>/dev/null)"
  }
  [ -d /dev/disk/by-uuid ] && reply uuids "$(ls -l /dev/disk/by-uuid 2>/dev/null)"
fi

if [ "$want_network" ]; then
  if command -v ip >/dev/null 2>&1; then
    reply addresses "$(ip -o -4 addr show 2>/dev/null)"
  else
    reply trie "$(cat /proc/net/fib_trie 2>/dev/null)"
  fi
  bridges=
  for path in /sys/class/net/*/bridge; do
    [ -d "$path" ] && bridges="$bridges $path"
  done
  reply bridges "$bridges"
fi

if [ "$want_local" ]; then
  for path in "$fact_path"/*.fact; do
    [ -f "$path" ] || continue
    if [ -x "$path" ]; then text=$("$path" 2>&1 </dev/null); rc=$?; else text=$(cat "$path"); rc=$?; fi
    reply local "$path
$rc
$text"
  done
fi
exit 0
