join || give_up "the session with the server in container $container is gone"
tick
from_ms=$now_ms
while :; do
  say "$question"
  hear replayed || { reply missing "$said"; exit 0; }
  # POSITION t|f
  case $heard in *' t') reply proof "${heard% t}"; exit 0 ;; esac
  tick
  if [ $((now_ms - from_ms)) -ge "$budget_ms" ]; then reply missing "it has replayed up to ${heard% f}"; exit 0; fi
  sleep 0.01 2>/dev/null || sleep 1
done
