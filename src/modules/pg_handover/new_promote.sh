join || give_up "the session with the server in container $container is gone: it was not promoted"
# The server itself looks at its clock: an order that was held up on its way is not obeyed when nobody counts on it any more.
say "$order"
hear ordered || { reply refused "$said"; exit 0; }
[ "$heard" = true ] || { reply refused "the order came too late"; exit 0; }
reply ordered 1
[ -z "$by_hand" ] || say "\\! pg_ctl promote -W -D '$inside'"
say "$verify"
hear primary || give_up "promotion: $said; see docker logs $container"
reply timeline "$heard"
hear wrote || give_up "it is the primary and takes no write: $said"
tick
wrote_ms=$now_ms
reply lsn "$heard"
if hear confirmed; then tick; confirmed_ms=$now_ms; else confirmed_ms=; unconfirmed=1; fi
reply unconfirmed "$unconfirmed"
# Nothing that makes it a standby may be left for its next start.
rm -f "$data/standby.signal" "$data/recovery.conf" "$etc/fenced"
tick
reply wrote_ago_ms $((now_ms - wrote_ms))
[ -z "$confirmed_ms" ] || reply confirmed_ago_ms $((now_ms - confirmed_ms))
