//! `pg_clone`: a base backup of the primary into a new directory beside, moved into place when it is whole.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    CONTROL, NODE, Settings, container_arg, data_arg, etc_arg, image_arg, major_arg, owner_arg,
    root_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgClone;

static DOC: Doc = Doc {
    name: "pg_clone",
    summary: "Copies the primary's data with pg_basebackup in a one-off container of the same image.",
    description: "WAL is streamed beside the copy through the node's own slot, so nothing the copy needs can be removed meanwhile. It goes into a directory \
beside and is renamed when it is whole; a copy that was interrupted is recognised and begun again. A directory that holds data is never touched.",
    args: &[
        ArgDoc { required: true, ..arg("host", ArgKind::Str, "Address to copy from.") },
        ArgDoc { default: "5432", ..arg("port", ArgKind::Int, "Port to copy from.") },
        arg("user", ArgKind::Str, "Replication role. Left out: what `pg_require` found."),
        arg(
            "slot",
            ArgKind::Str,
            "This node's slot there; empty: none. Left out: what `pg_require` found.",
        ),
        arg("rate", ArgKind::Str, "Limit as pg_basebackup takes it: 32k to 1024M a second."),
        arg(
            "system_identifier",
            ArgKind::Str,
            "The cluster it must be; anything else is thrown away again.",
        ),
        arg("need", ArgKind::Int, "Bytes the copy will take; refused when there is less room."),
        ArgDoc { default: "86400", ..arg("timeout", ArgKind::Int, "Seconds it may take.") },
        container_arg(),
        data_arg(),
        root_arg(),
        etc_arg(),
        owner_arg(),
        image_arg(),
        major_arg(),
        arg("secrets", ArgKind::Path, "Folder of the passfile. Left out: what `pg_require` found."),
        arg(
            "below",
            ArgKind::Path,
            "Where in the volume the data directory is. Left out: what `pg_image` found.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("seconds", "How long it took."), ("bytes", "How much was copied.")],
    examples: "- name: Copy the primary\n  pg_clone:\n    host: \"{{ pg_plan.sources[inventory_hostname].address }}\"\n    port: \"{{ pg_plan.sources[inventory_hostname].port }}\"\n",
};

const CLONE: &str = r#"[ "$(pg_state)" = running ] && give_up "container $container runs on this host: a copy would go under a live server"
if [ -d "$root/data" ] && [ -n "$(find "$root/data" ! -type d ! -path '*/lost+found/*' 2>/dev/null | head -n 1)" ]; then
  give_up "there is data in $root/data: it is not overwritten. Bring the node back with rejoin.yml, which keeps it aside."
fi
if [ -e "$root/clone" ] && [ ! -e "$root/clone.begun" ]; then
  give_up "$root/clone is there and was not begun by matron: move it away"
fi
free=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
if [ -n "$need" ] && [ "$((need / 1024 + 65536))" -gt "${free:-0}" ]; then
  give_up "room for the copy under $root: found $free kB; needed are $((need / 1024 + 65536)) kB. Remove what was moved aside before, or enlarge the disk."
fi
[ -n "$check" ] && { reply changed 1; exit 0; }
began=$(date +%s)
docker rm -f "$container-clone" >/dev/null 2>&1
rm -rf "$root/clone" || give_up "cannot remove the interrupted copy in $root/clone"
: >"$root/clone.begun" && mkdir -p "$root/clone$below" || give_up "cannot make $root/clone$below"
chown "$owner" "$root/clone" "$root/clone$below"
top=$root/clone$below
# Folders between the volume and the data directory belong to the server's user too.
while [ "$top" != "$root/clone" ]; do chown "$owner" "$top"; chmod 700 "$top"; top=${top%/*}; done
chmod 700 "$root/clone"
log=$root/clone.log
set -- -h "$host" -p "$port" -U "$user" -D "/clone$below" -X stream -P -v -w --checkpoint=fast
[ -n "$slot" ] && set -- "$@" -S "$slot"
[ -n "$rate" ] && set -- "$@" -r "$rate"
: >"$log"
{
  docker run --rm --name "$container-clone" --network host --user "$owner" -e PGPASSFILE=/run/matron/pgpass -e LC_ALL=C \
    --mount "type=bind,src=$root/clone,dst=/clone" --mount "type=bind,src=$secrets,dst=/run/matron,readonly" \
    --entrypoint pg_basebackup "$image" "$@" 2>&1 </dev/null
  echo "exit $?"
} | while IFS= read -r line; do
  case $line in
    *' kB ('*)
      # `24335/24335 kB (100%), 0/1 tablespace (…)`; more may be copied than was foreseen.
      pair=${line%% kB*}; pair=${pair##* }
      done=${pair%/*}; total=${pair#*/}
      case $done$total in *[!0-9]* | '') ;; *) printf 'progress %s %s\n' "$((done * 1024))" "$((total * 1024))" >&2; printf '%s' "$((done * 1024))" >"$root/clone.bytes" ;; esac
      ;;
    *) printf '%s\n' "$line" >>"$log" ;;
  esac
done
case $(tail -n 1 "$log") in
  'exit 0') ;;
  *) give_up "pg_basebackup from $host:$port failed: $(grep -v '^exit ' "$log" | tail -n 3)" ;;
esac
copied=$(control_text "$root/clone$below" | sed -n 's/^Database system identifier: //p')
if [ -n "$system_identifier" ] && [ "$copied" != "$system_identifier" ]; then
  rm -rf "$root/clone" "$root/clone.begun"
  give_up "system identifier of the copy: found $copied; expected $system_identifier. $host:$port is not the primary of this cluster."
fi
rm -f "$root/clone$below/standby.signal" "$root/clone$below/recovery.conf" "$root/clone$below/matron.standby.conf" "$root/clone$below/matron.sync.conf" "$root/clone$below/matron.owed.conf"
# The copy came from a primary: until it is configured as a standby it must not start as a second one.
: >"$root/clone$below/$standby_file" && chown "$owner" "$root/clone$below/$standby_file"
# `data` holds nothing but empty folders here.
if [ -d "$root/data" ]; then find "$root/data" -depth -type d -exec rmdir {} + 2>/dev/null; fi
[ ! -e "$root/data" ] || give_up "$root/data cannot be replaced: is it a mount point? Set pg_data_root to the mount point itself."
mv "$root/clone" "$root/data" || give_up "cannot move the copy to $root/data"
rm -f "$root/clone.begun" "$log"
mkdir -p "$etc" && printf '%s\n' "$copied" >"$etc/system_identifier.new" && mv -f "$etc/system_identifier.new" "$etc/system_identifier"
rm -f "$etc/fenced"
sync
reply bytes "$(cat "$root/clone.bytes" 2>/dev/null)"
rm -f "$root/clone.bytes"
reply seconds "$(($(date +%s) - began))"
reply changed 1
"#;

impl Module for PgClone {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let port = args.integer("port")?.unwrap_or(5432);
        let user = match args.text("user")? {
            Some(user) => user,
            None => settings.text("replication_user")?,
        };
        let rate = match args.text("rate")? {
            Some(rate) => rate,
            None => settings.maybe("clone_rate").unwrap_or_default(),
        };
        let slot = match args.text("slot")? {
            Some(slot) => slot,
            None => settings.text("slot")?,
        };
        let dialect = settings.dialect()?;
        let seconds = args.integer("timeout")?.and_then(|seconds| u64::try_from(seconds).ok());
        let need = args.integer("need")?.filter(|need| *need > 0).map(|need| need.to_string());
        let script = Script::new(VERBS)
            .then(NODE)
            .then(CONTROL)
            .then(CLONE)
            .var("container", settings.text("container")?)
            .var("root", settings.text("root")?)
            .var("etc", settings.text("etc")?)
            .var("below", settings.maybe("below").unwrap_or_default())
            .var("secrets", settings.text("secrets")?)
            .var("owner", settings.text("owner")?)
            .var("image", settings.text("image")?)
            .var("host", args.required("host")?)
            .var("port", port.to_string())
            .var("user", user)
            .var("slot", if dialect.basebackup_slot { slot } else { String::new() })
            .var("rate", rate)
            .var("standby_file", dialect.standby_file.name())
            .var("system_identifier", args.text("system_identifier")?.unwrap_or_default())
            .var_or_empty("need", need)
            .var("superuser", "")
            .within(Duration::from_secs(seconds.unwrap_or(86_400)));
        Ok(Box::new(
            OneTrip::new(Reach::Visible, script, |reply| {
                let mut outcome = verdict(reply);
                for key in ["seconds", "bytes"] {
                    let number = reply.field(key).and_then(|text| text.trim().parse::<u64>().ok());
                    if let Some(number) = number {
                        outcome = outcome.with(key, number);
                    }
                }
                outcome
            })
            .long(),
        ))
    }
}
