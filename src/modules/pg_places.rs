//! `pg_places`: folders for what of a node lies outside its data folder.

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{PLACES, Settings, data_arg, owner_arg, places_arg};
use crate::modules::{
    Action, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgPlaces;

static DOC: Doc = Doc {
    name: "pg_places",
    summary: "Makes the folders of tablespaces and of a WAL directory of its own, and refuses data that leads to a place this host does not have.",
    description: "In each folder `data` is what the server uses; `clone` and `aside` come beside it. A data directory whose `pg_wal` or whose tablespaces \
lead to a path that `pg_tablespaces` and `pg_wal_dir` do not name would not start, or start without its WAL: that is refused before a container is made.",
    args: &[
        places_arg(),
        data_arg(),
        owner_arg(),
        arg(
            "volume",
            ArgKind::Path,
            "The volume of the data in the container. Left out: what `pg_image` found.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("made", "The folders that were made.")],
    examples: "- name: Places of tablespaces and WAL\n  pg_places:\n",
};

const MAKE: &str = r#"for link in "$data"/pg_tblspc/* "$data/pg_wal" "$data/pg_xlog"; do
  [ -L "$link" ] || continue
  target=$(readlink "$link")
  case $target in "$volume"/* | [!/]*) continue ;; esac
  [ -z "$(place_of "$target")" ] || continue
  case ${link##*/} in
    pg_wal | pg_xlog) give_up "WAL directory of $data: found $target, which is not mounted from this host. Set pg_wal_dir to the folder it is in." ;;
    *) give_up "tablespace of $data: found $target, which is not mounted from this host. Name its folder in pg_tablespaces, as in pg_tablespaces: {$target: /folder/on/this/host}." ;;
  esac
done
made=
for folder in $(place_folders); do
  [ -d "$folder/data" ] && continue
  made="$made $folder"
  [ -z "$check" ] || continue
  # Only what is made here gets a mode: what is above may be everybody's.
  [ -d "$folder" ] || { mkdir -p "$folder" && chmod 711 "$folder"; } || give_up "cannot make $folder"
  mkdir "$folder/data" && chown "$owner" "$folder/data" && chmod 700 "$folder/data" || give_up "cannot make $folder/data"
done
reply made "$made"
[ -z "$made" ] || reply changed 1
"#;

impl Module for PgPlaces {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let script = Script::new(VERBS)
            .then(PLACES)
            .then(MAKE)
            .var("places", settings.places()?)
            .var("data", settings.text("data")?)
            .var("owner", settings.text("owner")?)
            .var("volume", settings.text("volume")?);
        Ok(Box::new(OneTrip::new(Reach::Visible, script, |reply| {
            let made = reply.field("made").unwrap_or_default();
            let made: Vec<&str> = made.split_whitespace().collect();
            verdict(reply).with("made", serde_json::json!(made))
        })))
    }
}
