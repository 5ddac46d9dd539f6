# Brings one container to its state. Nothing is removed before its replacement was created.
note() { actions="${actions:+$actions }$1"; }
# Word splitting is meant: the command may be `sudo docker`.
d() { $docker_command "$@"; }
err_text() { printf '%s' "$1" | tail -n 20; }

need "${docker_command%% *}"
format='{{.Id}} {{.State.Status}} {{.State.Pid}} {{.Image}} {{.State.ExitCode}} {{with index .Config.Labels "org.matron.digest"}}{{.}}{{else}}-{{end}}'
# look NAME: sets id, status, pid, image_id, exit_code, label; fails when there is no such container.
look() {
  if seen=$(d container inspect -f "$format" "$1" 2>&1); then
    IFS=' ' read -r id status pid image_id exit_code label <<EOF
$seen
EOF
    return 0
  fi
  # Not there, or nobody to ask? Only the second is a failure.
  version=$(d version -f '{{.Server.Version}}' 2>&1) || give_up "cannot ask Docker on this host: $(err_text "$version")"
  id= status=absent pid= image_id= exit_code= label=
  return 1
}
grace() { d stop -t "$stop_timeout" "$1" 2>&1 >/dev/null; }

report() {
  look "$name"
  reply name "$name"; reply id "$id"; reply status "$status"; reply pid "$pid"; reply image_id "$image_id"
  reply exit_code "$exit_code"; reply actions "$actions"
}
finish() {
  [ "$actions" ] && reply changed 1
  reply end 1
  if [ "$check" ]; then
    reply name "$name"; reply id "$id"; reply status "$status"; reply pid "$pid"; reply image_id "$image_id"
    reply exit_code "$exit_code"; reply actions "$actions"
  else
    report
  fi
  exit 0
}

# An earlier run was cut off while it replaced the container.
if ! look "$name" && look "$name.matron-old"; then
  if [ -z "$check" ]; then
    said=$(d rename "$name.matron-old" "$name" 2>&1) || give_up "cannot take up the container set aside before: $said"
  fi
  look "$name" || :
elif look "$name.matron-old"; then
  [ "$check" ] || d rm -f "$name.matron-old" >/dev/null 2>&1
  look "$name"
else
  look "$name"
fi

if [ "$state" = absent ]; then
  if [ "$status" != absent ]; then
    [ "$status" = running ] && note stop
    note remove
    if [ -z "$check" ]; then
      said=$(grace "$name") || give_up "cannot stop container $name: $said"
      said=$(d rm "$name" 2>&1) || give_up "cannot remove container $name: $said"
    fi
  fi
  finish
fi

if [ "$status" != absent ]; then
  before=$(d container inspect -f '{{with index .Config.Labels "org.matron.command"}}{{.}}{{end}}' "$name" 2>/dev/null)
fi

wanted=
if [ "$image" ]; then
  [ "$status" = absent ] && wanted=create
  [ "$status" != absent ] && { [ "$label" != "$digest" ] || [ "$recreate" ]; } && wanted=replace
  have=$(d image inspect -f '{{.Id}}' "$image" 2>/dev/null) || have=
  if [ "$pull" = always ] || { [ "$pull" = missing ] && [ -z "$have" ] && [ "$wanted" ]; }; then
    if [ "$check" ]; then
      [ -z "$have" ] && note pull
    else
      said=$(d pull "$image" 2>&1) || give_up "cannot pull image $image: $(err_text "$said")"
      fresh=$(d image inspect -f '{{.Id}}' "$image" 2>/dev/null) || fresh=
      [ "$fresh" != "$have" ] && note pull
      have=$fresh
      [ "$status" != absent ] && [ "$have" != "$image_id" ] && wanted=replace
    fi
  elif [ -z "$have" ] && [ "$wanted" ]; then
    give_up "image $image is not on this host and pull is never: load it with 'docker load', or set pull: missing"
  fi
elif [ "$status" = absent ]; then
  give_up "container $name does not exist and neither command nor template says how to make it"
fi

if [ "$wanted" ]; then
  reply diff_before "${before:-}"; reply diff_after "$shown"; reply diff_name "docker run ($name)"
fi

create() {
  eval "set -- $words"
  created=$(d create --name "$name" --label "org.matron.digest=$digest" --label "org.matron.command=$shown" "$@" 2>&1)
}
restore() {
  d rename "$name.matron-old" "$name" >/dev/null 2>&1
  [ "$was" = running ] && d start "$name" >/dev/null 2>&1
  give_up "$1; the container that was there is back as it was"
}

if [ "$wanted" = create ]; then
  note create
  if [ -z "$check" ]; then
    create || give_up "cannot create container $name: $(err_text "$created")"
    status=created
  fi
elif [ "$wanted" = replace ]; then
  was=$status
  [ "$was" = running ] && note stop
  note remove; note create
  if [ -z "$check" ]; then
    said=$(grace "$name") || give_up "cannot stop container $name: $said"
    said=$(d rename "$name" "$name.matron-old" 2>&1) || give_up "cannot set container $name aside: $said"
    create || restore "cannot create container $name: $(err_text "$created")"
    if [ "$state" = started ]; then
      note start
      said=$(d start "$name" 2>&1) || {
        d rm -f "$name" >/dev/null 2>&1
        restore "cannot start container $name: $(err_text "$said")"
      }
    fi
    said=$(d rm "$name.matron-old" 2>&1) || give_up "cannot remove the container replaced: $said"
    finish
  fi
  status=created
fi

case $state in
  started)
    case $status in
      running) ;;
      paused)
        note unpause
        [ "$check" ] || { said=$(d unpause "$name" 2>&1) || give_up "cannot unpause container $name: $said"; } ;;
      *)
        note start
        [ "$check" ] || { said=$(d start "$name" 2>&1) || give_up "cannot start container $name: $(err_text "$said")"; } ;;
    esac ;;
  stopped)
    case $status in
      running|paused|restarting)
        note stop
        [ "$check" ] || { said=$(grace "$name") || give_up "cannot stop container $name: $said"; } ;;
    esac ;;
esac
finish
