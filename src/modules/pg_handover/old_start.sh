# As a standby of the node that takes over: its signal file and its settings were put there before it stopped.
[ -e "$data/$standby_file" ] || give_up "$data/$standby_file is missing: this node is not started"
docker wait "$container" >/dev/null 2>&1
reply changed 1
out=$(docker start "$container" 2>&1 </dev/null) || give_up "cannot start container $container: $out"
