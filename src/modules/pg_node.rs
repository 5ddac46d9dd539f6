//! How `pg_*` modules reach a node: their common arguments, and the shell functions that talk to its container.
//!
//! Lives here: [`Settings`] (arguments, with what `pg_require` and `pg_image` found as defaults), [`NODE`], [`FILES`] and
//! [`CONTROL`] (shell functions). Does not: what a single module wants from a node.

use minijinja::Value;
use serde_json::Value as Json;

use crate::modules::{ArgDoc, ArgError, ArgKind, Args, TaskContext, arg, to_json};
use crate::postgres::dialect::Dialect;
pub(super) use crate::postgres::observation::slot_name;
use crate::postgres::version::Major;

/// Functions that need `container` and `superuser`.
///
/// SQL goes by stdin, so that nothing of it shows in a process list. The socket is the one that the image trusts; that the
/// server behind it is the real one is asked over TCP first, because the image's temporary server during initdb listens on
/// the socket only.
pub(super) const NODE: &str = r#"# docker inspect of nothing prints an empty line before it fails.
pg_state() { pg_found=$(docker inspect -f '{{.State.Status}}' "$container" 2>/dev/null) || pg_found=absent; echo "$pg_found"; }
# A client of the server is put straight into the container's namespaces, as the server's user and with no way to more rights: a fifth
# of what docker exec costs. Docker does it where the tools are missing, or the container has a user namespace, or process 1 is root's.
pg_client() {
  pg_find
  if [ -n "$pg_pid" ]; then
    setpriv --no-new-privs nsenter -t "$pg_pid" -m -n -p -S "$pg_uid" -G "$pg_gid" env -i "PATH=$pg_path" "$@"
  else
    docker exec -i -u postgres "$container" "$@"
  fi
}
# What it finds lasts when it is called outside of pipes and $( ).
pg_find() {
  [ -z "${pg_pid:-}" ] || [ ! -d "/proc/$pg_pid/ns" ] || return 0
  pg_pid=
  [ -z "${pg_no_enter:-}" ] || return 0
  command -v nsenter >/dev/null 2>&1 && command -v setpriv >/dev/null 2>&1 || { pg_no_enter=1; return 0; }
  pg_seen=$(docker inspect -f '{{.State.Status}} {{.State.Pid}}' "$container" 2>/dev/null) || return 0
  case $pg_seen in 'running '[1-9]*) pg_seen=${pg_seen#running } ;; *) return 0 ;; esac
  [ /proc/self/ns/user -ef "/proc/$pg_seen/ns/user" ] || return 0
  set -- $(stat -c '%u %g' "/proc/$pg_seen" 2>/dev/null)
  pg_uid=${1:-0} pg_gid=${2:-0}
  [ "$pg_uid" != 0 ] || return 0
  pg_path=$(tr '\0' '\n' <"/proc/$pg_seen/environ" 2>/dev/null | sed -n 's/^PATH=//p')
  pg_pid=$pg_seen
  pg_client psql -V >/dev/null 2>&1 </dev/null || { pg_pid= pg_no_enter=1; }
}
pg_ready() { pg_client pg_isready -q -h 127.0.0.1 -t 3 -U "$superuser" -d postgres >/dev/null 2>&1 </dev/null; }
pg_sql() {
  pg_find
  printf '%s\n' "set client_min_messages = error;" "$1" |
    pg_client psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=terse -U "$superuser" -d "${database:-postgres}" 2>&1
}
pg_must() { pg_find; pg_out=$(pg_sql "$1") || { reply failed 1; reply msg "the server in container $container refused: $pg_out"; exit 0; }; }
pg_stop() {
  # Fast shutdown whatever the image's stop signal is: smart shutdown (SIGTERM) would wait for clients until it is killed.
  docker kill --signal INT "$container" >/dev/null 2>&1
  pg_waited=0
  while [ "$(pg_state)" = running ]; do
    [ "$pg_waited" -ge "$1" ] && return 1
    sleep 0.2 2>/dev/null || sleep 1
    pg_waited=$((pg_waited + 1))
  done
}
"#;

/// `server_pids`: the processes of the server that runs on `data`, whatever Docker knows of it: their working folder is the data directory.
pub(super) const PIDS: &str = r#"server_pids() {
  sp_own=$(stat -L -c %d:%i "$data" 2>/dev/null) || return 0
  for sp_pid in $(stat -L -c '%d:%i %n' /proc/[0-9]*/cwd 2>/dev/null | sed -n "s|^$sp_own /proc/\([0-9]*\)/cwd\$|\1|p" | sort -n); do
    case $(cat "/proc/$sp_pid/comm" 2>/dev/null) in postgres | postmaster) echo "$sp_pid" ;; esac
  done
}
within() { if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }
"#;

/// `put PATH TEXT`: replaces a file as a whole, for the server's user, before its content can be read by others.
pub(super) const FILES: &str = r#"put() {
  put_tmp="$1.matron.$$"
  (umask 077 && printf '%s' "$2" >"$put_tmp") && chown "$owner" "$put_tmp" && chmod 600 "$put_tmp" && sync "$put_tmp" 2>/dev/null
  mv -f "$put_tmp" "$1" || { rm -f "$put_tmp"; reply failed 1; reply msg "cannot write $1"; exit 0; }
}
"#;

/// `control_text DIR`: the first facts of `global/pg_control` in the words of `pg_controldata`.
///
/// The file begins with the system identifier, its own version, the state and the latest checkpoint; up to 10 (version 1002)
/// the previous checkpoint stands in between. Read from the file, because images exist without `pg_controldata`.
pub(super) const CONTROL: &str = r#"control_text() {
  ct_file="$1/global/pg_control"
  [ -s "$ct_file" ] || return 1
  ct() { od -An -v -t "$1" -j "$2" -N "$3" "$ct_file" | tr -d ' \n'; }
  ct_lsn() { ct_low=$(ct x4 "$1" 4); ct_high=$(ct x4 $(($1 + 4)) 4); printf '%X/%X' "0x$ct_high" "0x$ct_low"; }
  ct_tli=48; [ "$(ct u4 8 4)" -lt 1100 ] && ct_tli=56
  case $(ct u4 16 4) in
    0) ct_state='starting up';; 1) ct_state='shut down';; 2) ct_state='shut down in recovery';; 3) ct_state='shutting down';;
    4) ct_state='in crash recovery';; 5) ct_state='in archive recovery';; 6) ct_state='in production';; *) ct_state=unknown;;
  esac
  printf 'Database system identifier: %s\nDatabase cluster state: %s\nLatest checkpoint location: %s\nLatest checkpoint'"'"'s TimeLineID: %s\n' \
    "$(ct u8 0 8)" "$ct_state" "$(ct_lsn 32)" "$(ct u4 "$ct_tli" 4)"
}
"#;

/// `half_rewound`: whether the data directory is one on which a rewind was begun and did not end. The mark holds its inode, so
/// that it stands for this directory and for no later one. Needs `root`.
pub(super) const REWIND: &str = r#"half_rewound() {
  [ -s "$root/rewind.begun" ] && [ "$(cat "$root/rewind.begun")" = "$(stat -c %i "$root/data" 2>/dev/null)" ]
}
"#;

/// What of a node lies outside its data folder: tablespaces and a WAL directory of its own. Needs `places`, a line a place: folder on
/// this host, path in the container.
///
/// In each folder, as in the cluster's own, `data` is what the server uses, `clone` a copy on its way and `aside` what was kept.
/// `place_folders` prints the folders, `place_mounts SUB` docker's words that mount `FOLDER/SUB` of each, `place_of PATH` the
/// folder that a container's path is in, `on_host PATH` that path as the host sees it. None of them holds a blank or a comma.
pub(super) const PLACES: &str = r#"place_folders() { printf '%s\n' "$places" | while read -r pl_folder pl_path; do [ -z "$pl_folder" ] || printf '%s\n' "$pl_folder"; done; }
place_mounts() { printf '%s\n' "$places" | while read -r pl_folder pl_path; do [ -z "$pl_folder" ] || printf '%s\n' "--mount type=bind,src=$pl_folder/$1,dst=$pl_path"; done; }
place_of() { printf '%s\n' "$places" | while read -r pl_folder pl_path; do case $1 in "$pl_path" | "$pl_path"/*) [ -z "$pl_path" ] || { printf '%s\n' "$pl_folder"; break; } ;; esac; done; }
on_host() { printf '%s\n' "$places" | while read -r pl_folder pl_path; do case $1 in "$pl_path" | "$pl_path"/*) [ -z "$pl_path" ] || { printf '%s\n' "$pl_folder/data${1#"$pl_path"}"; break; } ;; esac; done; }
"#;

/// The arguments by which a node is reached; each may be left out after `pg_require` and `pg_image`.
pub(super) const fn container_arg() -> ArgDoc {
    arg(
        "container",
        ArgKind::Str,
        "Name of the database container. Left out: what `pg_require` found.",
    )
}

/// See [`container_arg`].
pub(super) const fn superuser_arg() -> ArgDoc {
    arg(
        "superuser",
        ArgKind::Str,
        "The database's superuser (`POSTGRES_USER`). Left out: what `pg_require` found.",
    )
}

/// See [`container_arg`].
pub(super) const fn data_arg() -> ArgDoc {
    arg(
        "data",
        ArgKind::Path,
        "The data directory (`PGDATA`) as the host sees it. Left out: what `pg_image` found.",
    )
}

/// See [`container_arg`].
pub(super) const fn major_arg() -> ArgDoc {
    arg("major", ArgKind::Str, "The server's major version. Left out: what `pg_image` found.")
}

/// See [`container_arg`].
pub(super) const fn root_arg() -> ArgDoc {
    arg(
        "root",
        ArgKind::Path,
        "The cluster's folder on the host. Left out: what `pg_require` found.",
    )
}

/// See [`container_arg`].
pub(super) const fn etc_arg() -> ArgDoc {
    arg(
        "etc",
        ArgKind::Path,
        "Folder of marker, guard and debts. Left out: what `pg_require` found.",
    )
}

/// See [`container_arg`].
pub(super) const fn owner_arg() -> ArgDoc {
    arg("owner", ArgKind::Str, "uid:gid of the server. Left out: what `pg_image` found.")
}

/// See [`container_arg`].
pub(super) const fn image_arg() -> ArgDoc {
    arg("image", ArgKind::Str, "The database's image. Left out: what `pg_require` found.")
}

/// See [`container_arg`].
pub(super) const fn nodes_arg() -> ArgDoc {
    arg(
        "nodes",
        ArgKind::Raw,
        "The cluster's nodes: name, address, port. Left out: what `pg_require` found.",
    )
}

/// See [`PLACES`].
pub(super) const fn places_arg() -> ArgDoc {
    arg(
        "places",
        ArgKind::Raw,
        "Tablespaces and WAL directory: path in the container, folder on the host. Left out: what `pg_require` found.",
    )
}

/// Arguments, with what earlier tasks found about this host as defaults.
pub(super) struct Settings<'a, 'b> {
    args: &'a Args,
    cx: &'a TaskContext<'b>,
    found: Vec<Value>,
}

impl<'a, 'b> Settings<'a, 'b> {
    /// Reads what earlier tasks found.
    pub(super) fn new(args: &'a Args, cx: &'a TaskContext<'b>) -> Result<Self, ArgError> {
        let mut found = Vec::new();
        for name in ["pg", "pg_engine"] {
            found.extend(cx.vars.variable(name).map_err(ArgError::new)?);
        }
        Ok(Self { args, cx, found })
    }

    /// Returns a setting as a value.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        if let Some(arg) = self.args.get(name) {
            return Some(arg.value.clone());
        }
        let known = self.found.iter().filter_map(|found| found.get_attr(name).ok());
        known.into_iter().find(|value| !value.is_undefined() && !value.is_none())
    }

    /// Returns a setting as text.
    pub(super) fn maybe(&self, name: &str) -> Option<String> {
        if let Ok(Some(text)) = self.args.text(name) {
            return Some(text);
        }
        let value = self.value(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// Returns a setting that must be there.
    pub(super) fn text(&self, name: &str) -> Result<String, ArgError> {
        self.maybe(name).filter(|text| !text.is_empty()).ok_or_else(|| {
            ArgError::new(format!("missing required arguments: {name}")).hint(format!(
                "give `{name}`, or run pg_require and pg_image on {} before",
                self.cx.host
            ))
        })
    }

    /// Returns a setting as a whole number.
    pub(super) fn number(&self, name: &str, default: u64) -> Result<u64, ArgError> {
        let Some(text) = self.maybe(name) else { return Ok(default) };
        text.trim()
            .parse()
            .map_err(|_| ArgError::new(format!("argument '{name}' is not a whole number: {text}")))
    }

    /// Returns a setting as JSON.
    pub(super) fn json(&self, name: &str) -> Result<Option<Json>, ArgError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        to_json(&value)
            .map(Some)
            .map_err(|error| ArgError::new(format!("'{name}' cannot be used as data: {error}")))
    }

    /// Returns the variable `places` of [`PLACES`].
    pub(super) fn places(&self) -> Result<String, ArgError> {
        let places = self.json("places")?.unwrap_or_default();
        let lines = places.as_array().into_iter().flatten().map(|place| {
            let text = |key: &str| place[key].as_str().unwrap_or_default();
            format!("{} {}", text("folder"), text("path"))
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Returns the dialect of the node's version.
    pub(super) fn dialect(&self) -> Result<&'static Dialect, ArgError> {
        let text = self.text("major")?;
        let major = Major::parse(&text).map_err(|error| ArgError::new(error.to_string()))?;
        Dialect::of(major).map_err(|error| {
            ArgError::new(error.to_string()).hint("use an image of one of these versions")
        })
    }

    /// Returns the rendered text of a template of the project (or an embedded one).
    pub(super) fn template(&self, name: &str, extra: &[(&str, Value)]) -> Result<String, ArgError> {
        let path = self.cx.files.find("templates", name).map_err(|tried| {
            let tried: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
            ArgError::new(format!("cannot find the template {name}"))
                .hint(format!("looked for {}", tried.join(", ")))
        })?;
        let bytes = self.cx.files.read(&path).map_err(|error| {
            ArgError::new(format!("cannot read the template {}: {error}", path.display()))
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| ArgError::new(format!("the template {} is not UTF-8", path.display())))?;
        let options = crate::template::TemplateOptions::default();
        self.cx.vars.template(&text, &path, &options, extra).map_err(ArgError::new)
    }
}

/// Quotes text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}

/// Quotes a name as an SQL identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_is_named_by_its_node_in_letters_a_slot_may_have() {
        assert_eq!(slot_name("DB-2.ward.example"), "matron_db_2_ward_example");
    }

    #[test]
    fn sql_literals_hold_quotes_and_backslashes() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\b'"), r"E'a\\b'''");
        assert_eq!(identifier(r#"a"b"#), r#""a""b""#);
    }
}
