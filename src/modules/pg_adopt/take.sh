have=$(docker container inspect -f '{{.Name}}' "$container" 2>/dev/null </dev/null) && have=${have#/} || have=
if [ -z "$have" ] && [ -n "$found" ]; then
  docker container inspect "$found" >/dev/null 2>&1 </dev/null || give_up "container $found is not there any more: run this again"
fi
# The data stays where it is; matron's place for it points there.
if [ "$(readlink -f "$root/data" 2>/dev/null)" != "$(readlink -f "$folder")" ]; then
  if [ -L "$root/data" ]; then
    give_up "$root/data points to $(readlink "$root/data") and not to $folder: remove that link when nothing uses it"
  elif [ -d "$root/data" ]; then
    rmdir "$root/data" 2>/dev/null || give_up "$root/data is not empty: move it away, the data to take over is in $folder"
  fi
  reply changed 1
  [ -n "$check" ] || { mkdir -p "$root" && ln -s "$folder" "$root/data"; } || give_up "cannot make the link $root/data"
fi
[ "$found" = "$container.matron-old" ] && exit 0
if [ -n "$found" ] && [ "$found" != "$container" ]; then
  reply changed 1
  [ -n "$check" ] || run docker rename "$found" "$container"
  [ -n "$check" ] && exit 0
fi
policy=$(docker container inspect -f '{{.HostConfig.RestartPolicy.Name}}' "$container" 2>/dev/null </dev/null) || policy=
if [ -n "$policy" ] && [ "$policy" != no ]; then
  reply changed 1
  [ -n "$check" ] || run docker update --restart no "$container"
fi
exit 0
