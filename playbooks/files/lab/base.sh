#!/bin/bash
# base.sh SUITE: imports a minimal Debian of that suite as the Docker image matron-lab/base:SUITE.
# The mirror is the one apt itself uses on this machine.
set -o pipefail
suite=$1
image=matron-lab/base:$suite
docker image inspect "$image" >/dev/null 2>&1 && exit 0
mirror=${DEBIAN_MIRROR:-$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)}
mirror=${mirror:-$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)}
mirror=${mirror%% *}
[ -n "$mirror" ] || { echo "no mirror found in apt's sources; set DEBIAN_MIRROR" >&2; exit 1; }
log=$(mktemp)
mmdebstrap --variant=apt --mode=root \
  --aptopt='APT::Install-Recommends "0"' --aptopt='Acquire::Check-Valid-Until "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  "$suite" - "$mirror" 2>"$log" |
  docker import --change 'CMD ["bash"]' \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$image" >/dev/null
status=("${PIPESTATUS[@]}")
# docker import succeeds on a stream that was cut off.
if [ "${status[0]}" != 0 ]; then
  docker rmi "$image" >/dev/null 2>&1
  tail -n 5 "$log" >&2
  rm -f "$log"
  exit 1
fi
rm -f "$log"
echo built
