#!/bin/bash
# seed.sh FOLDER IMAGE...: loads images into a Docker data folder by a throw-away engine, once; hosts mount its layers.
set -eo pipefail
folder=$1
shift
mkdir -p "$folder"
want=
for image; do
  id=$(docker image inspect --format '{{ .Id }}' "$image")
  grep -qx "$image $id" "$folder/.images" 2>/dev/null || want="$want $image"
done
[ -z "$want" ] && exit 0
docker rm -fv matron-lab-seed >/dev/null 2>&1 || :
docker run -d --name matron-lab-seed --network none \
  --cap-add ALL --cap-drop SYS_RESOURCE --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
  --security-opt systempaths=unconfined --device-cgroup-rule 'a *:* rwm' \
  --entrypoint /bin/bash -v "$folder:/var/lib/docker" matron-lab/host -c '
    mount --make-rshared /; mount -o remount,rw /sys
    for m in $(awk "\$3 ~ /^cgroup/ {print \$2}" /proc/mounts); do mount -o remount,bind,rw "$m"; done
    exec dockerd --storage-driver=overlay2 --bridge=none --iptables=false' >/dev/null
for _ in $(seq 300); do docker exec matron-lab-seed docker version >/dev/null 2>&1 && break; sleep 0.1; done
# shellcheck disable=SC2086 # one word an image
docker save $want | docker exec -i matron-lab-seed docker load >/dev/null
docker stop -t 20 matron-lab-seed >/dev/null
docker rm -v matron-lab-seed >/dev/null
for image; do echo "$image $(docker image inspect --format '{{ .Id }}' "$image")"; done >>"$folder/.images"
sort -u -o "$folder/.images" "$folder/.images"
echo loaded
