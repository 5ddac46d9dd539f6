command -v docker >/dev/null 2>&1 || exit 0
docker info >/dev/null 2>&1 </dev/null || give_up "the Docker engine does not answer"
form='{"name":{{json .Name}},"state":{{json .State.Status}},"image":{{json .Config.Image}},"image_id":{{json .Image}},"policy":{{json .HostConfig.RestartPolicy.Name}},"ports":{{json .HostConfig.PortBindings}},"mounts":{{json .Mounts}},"arguments":{{json .Config.Cmd}},"labels":{{json .Config.Labels}},"links":{{json .HostConfig.Links}},"networks":{{json .NetworkSettings.Networks}}}'
for id in $(docker ps -aq --no-trunc </dev/null); do
  said=$(docker container inspect -f "$form" "$id" 2>/dev/null </dev/null) || continue
  reply container "$said"
  # Values stay here: some are passwords.
  reply environment "$(docker container inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$id" 2>/dev/null </dev/null |
    sed -n -e '/^PGDATA=/p' -e '/^POSTGRES_USER=/p' -e '/^POSTGRES_DB=/p' -e 's/^\(POSTGRES_PASSWORD\)=..*/\1=/p')"
done
exit 0
