#!/bin/bash
# build.sh IMAGE FOLDER [docker build arguments]: builds an image unless it was built from the same files and arguments.
set -eo pipefail
image=$1 folder=$2
shift 2
digest=$( (cd "$folder" && find . -type f -not -path './tree/*' -print0 | sort -z | xargs -0 sha256sum; printf '%s\n' "$@") | sha256sum | cut -d' ' -f1)
have=$(docker image inspect --format '{{ index .Config.Labels "org.matron.lab.digest" }}' "$image" 2>/dev/null || true)
[ "$have" = "$digest" ] && exit 0
log=$(mktemp)
# The engine's own builder is enough, and works where no buildx plugin is installed.
if ! DOCKER_BUILDKIT=0 docker build --label "org.matron.lab.digest=$digest" -t "$image" "$@" "$folder" >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  rm -f "$log"
  exit 1
fi
rm -f "$log"
echo built
