[ -n "$check" ] && exit 0
leave
if [ -e "$etc/handover" ] || [ -e "$etc/handover.next" ]; then reply changed 1; rm -f "$etc/handover" "$etc/handover.next"; fi
rm -f "$data/$settings_next" "$data/$standby_next"
