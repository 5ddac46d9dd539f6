//! `pg_aside`: moves a data directory out of the way, and keeps it.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    NODE, PLACES, REWIND, Settings, container_arg, data_arg, etc_arg, places_arg, root_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgAside;

static DOC: Doc = Doc {
    name: "pg_aside",
    summary: "Moves a stopped node's data to `aside/` beside it, so that a new copy can take its place.",
    description: "It is a rename: it takes no time and no room. The new copy does take room; when there is too little, this refuses before anything is moved, \
unless `keep: false` allows to delete the old data (the playbook has proven the primary by then). It goes into the folder that `pg_lost` began, where there is one.",
    args: &[
        ArgDoc { default: "true", ..arg("keep", ArgKind::Bool, "Whether the old data is kept.") },
        arg("need", ArgKind::Int, "Bytes the new copy will take."),
        arg(
            "budget_mb",
            ArgKind::Int,
            "MB that `aside/` may take. Left out: pg_aside_budget_mb; without it, what the disk has.",
        ),
        container_arg(),
        data_arg(),
        root_arg(),
        etc_arg(),
        places_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[(
        "aside",
        "Where the old data is now; empty when there was none or it was not kept.",
    )],
    examples: "- name: Old data goes aside\n  pg_aside:\n    need: \"{{ pg_plan.size }}\"\n",
};

const ASIDE: &str = r#"[ -d "$root/data" ] && [ -n "$(ls -A "$root/data")" ] || { reply aside ''; exit 0; }
[ -n "$check" ] || case $(pg_state) in running | paused | restarting) give_up "container $container runs: its data is not moved" ;; esac
if [ -n "$keep" ] && [ -n "$need" ]; then
  free=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
  [ "$((need / 1024 + 65536))" -le "${free:-0}" ] ||
    give_up "room to keep the old data beside a new copy under $root: found $free kB free; needed are $((need / 1024 + 65536)) kB. Remove older folders in $root/aside, enlarge the disk, or allow it to be deleted: -e pg_keep_old_data=false"
fi
if [ -n "$keep" ] && [ -n "$budget" ]; then
  used=$(du -sk "$root/aside" 2>/dev/null | awk 'NR == 1 { print $1 }')
  size=$(du -sk "$root/data" | awk 'NR == 1 { print $1 }')
  [ $((${used:-0} + size)) -le $((budget * 1024)) ] ||
    give_up "room to keep the old data: it takes $((size / 1024)) MB beside $((${used:-0} / 1024)) MB in $root/aside; allowed are $budget MB (pg_aside_budget_mb). Remove older folders there, raise it, or allow it to be deleted: -e pg_keep_old_data=false"
fi
reply changed 1
[ -n "$check" ] && exit 0
docker rm -f "$container-rewind" "$container-lost" >/dev/null 2>&1
note=$root/rejoin.aside
to=; [ -s "$note" ] && to=$(cat "$note")
[ -n "$to" ] && [ -d "$to" ] || to="$root/aside/$(date -u +%Y%m%dT%H%M%SZ)"
name=data
half_rewound && name=half-rewound
# Kept as a whole before a rewind that came to nothing.
[ -e "$to/$name" ] && name=after-recovery
mkdir -p "$root/aside" && chmod 700 "$root/aside" && mkdir -p "$to" && [ ! -e "$to/$name" ] || give_up "cannot move $root/data to $to/$name"
# Tablespaces and WAL that lie elsewhere stay on their own disks. They go first: while the data directory is there, this is done again.
for folder in $(place_folders); do
  [ -d "$folder/data" ] || continue
  there=$folder/aside/${to##*/}
  mkdir -p "$there" && chmod 700 "$folder/aside" && [ ! -e "$there/$name" ] && mv "$folder/data" "$there/$name" || give_up "cannot move $folder/data to $there/$name"
  printf '%s\n' "$there" >>"$to/places"
done
mv "$root/data" "$to/$name" || give_up "cannot move $root/data to $to/$name"
rm -f "$root/rewind.begun" "$root/rewind.log" "$root/rewind.bytes"
# The whole is kept already: what a rewind left of it has nothing more.
if [ "$name" != data ] && [ -d "$to/data" ]; then rm -rf "${to:?}/$name"; fi
# The marker goes with the data it stands for: an empty data directory is right now.
for file in system_identifier fenced; do [ -e "$etc/$file" ] && mv -f "$etc/$file" "$to/$file"; done
sync
if [ -z "$keep" ]; then
  [ ! -e "$to/places" ] || while read -r place; do rm -rf "$place"; done <"$to/places"
  rm -rf "${to:?}/$name"
  # Without a report in it the folder is worth nothing.
  [ -e "$to/listing.tsv" ] || { rm -rf "$to"; to=; }
fi
reply aside "$to"
"#;

impl Module for PgAside {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let budget = match args.integer("budget_mb")? {
            Some(megabytes) => Some(megabytes.to_string()),
            None => settings.maybe("aside_budget_mb").filter(|text| !text.is_empty()),
        };
        let need = args.integer("need")?.filter(|need| *need > 0).map(|need| need.to_string());
        let script = Script::new(VERBS)
            .then(NODE)
            .then(REWIND)
            .then(PLACES)
            .then(ASIDE)
            .var("places", settings.places()?)
            .var("container", settings.text("container")?)
            .var("root", settings.text("root")?)
            .var("etc", settings.text("etc")?)
            .flag("keep", args.boolean("keep", true)?)
            .var_or_empty("budget", budget)
            .var_or_empty("need", need)
            // A rename takes no time; what is not kept is deleted, and that may.
            .within(Duration::from_secs(3600));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, |reply| {
            verdict(reply).with("aside", reply.field("aside").unwrap_or_default())
        })))
    }
}
