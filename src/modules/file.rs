//! `file`: files, folders and links: that they are there or not, and whose they are.

use serde_json::{Map, Value, json};

use crate::modules::action::unexpected;
use crate::modules::attributes::{
    self, ATTRIBUTES, Attributes, GROUP, MODE, Now, OWNER, SELEVEL, SEROLE, SETYPE, SEUSER,
    UNSAFE_WRITES,
};
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg, environment, verdict,
};
use crate::outcome::{Outcome, Status};
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct File;

const STATES: &[&str] = &["absent", "directory", "file", "hard", "link", "touch"];
const TIME_FORMAT: &str = "%Y%m%d%H%M.%S";

static DOC: Doc = Doc {
    name: "file",
    summary: "Manages files, folders, links and their attributes.",
    description: "Without `state`, a path that is there keeps its kind and gets owner, group and mode.",
    args: &[
        ArgDoc {
            required: true,
            aliases: &["dest", "name"],
            ..arg("path", ArgKind::Path, "The path to manage.")
        },
        arg(
            "state",
            ArgKind::Choice(STATES),
            "What shall be there. `directory` makes parents too; `absent` removes folders whole.",
        ),
        arg(
            "src",
            ArgKind::Path,
            "What a link points to; relative paths are relative to the link.",
        ),
        OWNER,
        GROUP,
        MODE,
        ArgDoc {
            default: "false",
            ..arg(
                "recurse",
                ArgKind::Bool,
                "Sets owner, group and mode on everything inside a folder.",
            )
        },
        ArgDoc {
            default: "true",
            ..arg("follow", ArgKind::Bool, "Acts on what a symbolic link points to.")
        },
        ArgDoc {
            default: "false",
            ..arg(
                "force",
                ArgKind::Bool,
                "Makes a link even if its target is missing, and replaces a file by a link.",
            )
        },
        arg(
            "access_time",
            ArgKind::Str,
            "`preserve`, `now` or a time. The default is `now` for touch, else `preserve`.",
        ),
        ArgDoc {
            default: TIME_FORMAT,
            ..arg("access_time_format", ArgKind::Str, "How `access_time` is written.")
        },
        arg(
            "modification_time",
            ArgKind::Str,
            "`preserve`, `now` or a time. The default is `now` for touch, else `preserve`.",
        ),
        ArgDoc {
            default: TIME_FORMAT,
            ..arg("modification_time_format", ArgKind::Str, "How `modification_time` is written.")
        },
        UNSAFE_WRITES,
        SEUSER,
        SEROLE,
        SETYPE,
        SELEVEL,
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[
        ("path", "The path; `dest` for links and touch."),
        ("src", "What a link points to."),
        ("state", "What is there now; with mode, owner, group, uid, gid and size."),
    ],
    examples: "- file:\n    path: /srv/pg\n    state: directory\n    owner: '999'\n    mode: '0700'\n",
};

impl Module for File {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let state = match args.get("state") {
            None => "",
            Some(_) => args.choice("state", STATES, "file")?,
        };
        let recurse = args.boolean("recurse", false)?;
        if recurse && !matches!(state, "" | "directory") {
            return Err(ArgError::new("recurse option requires state to be 'directory'"));
        }
        let src = args.text("src")?;
        if src.is_some() && !matches!(state, "" | "link" | "hard") {
            return Err(ArgError::new(format!(
                "src option requires state to be 'link' or 'hard', not '{state}'"
            )));
        }
        let (attributes, preserve) = attributes::parse(args)?;
        if preserve {
            return Err(ArgError::new("mode: preserve has no source here").hint("give a mode"));
        }
        Ok(Box::new(Managing {
            path: args.required("path")?,
            state,
            src,
            attributes,
            recurse,
            follow: args.boolean("follow", true)?,
            force: args.boolean("force", false)?,
            unsafe_writes: args.boolean("unsafe_writes", false)?,
            atime: moment(args, "access_time", "access_time_format", state)?,
            mtime: moment(args, "modification_time", "modification_time_format", state)?,
            environment: environment::exports(cx)?,
            mode: Mode::default(),
        }))
    }
}

/// Reads a time into what `touch -t` takes: local time of the host, whole seconds.
fn moment(args: &Args, name: &str, format: &str, state: &str) -> Result<String, ArgError> {
    let Some(text) = args.text(name)? else {
        return Ok(if state == "touch" { "now" } else { "preserve" }.to_owned());
    };
    if text.is_empty() || text == "preserve" {
        return Ok("preserve".to_owned());
    }
    if text == "now" {
        return Ok(text);
    }
    let format = args.text(format)?.unwrap_or_else(|| TIME_FORMAT.to_owned());
    let time = jiff::civil::DateTime::strptime(&format, &text).map_err(|_| {
        ArgError::new(format!(
            "Error while obtaining timestamp for time {text} using format {format}"
        ))
    })?;
    Ok(time.strftime(TIME_FORMAT).to_string())
}

struct Managing {
    path: String,
    state: &'static str,
    src: Option<String>,
    attributes: Attributes,
    recurse: bool,
    follow: bool,
    force: bool,
    unsafe_writes: bool,
    atime: String,
    mtime: String,
    environment: String,
    mode: Mode,
}

/// Needs HOST_PATHS and ATTRIBUTES.
const MANAGE: &str = r#"finish() {
  [ ! "$changed" ] || reply changed 1
  now "$path"
  reply end 1
  exit 0
}
refuse() { now "$path"; fail "$1"; }
stamp() { date -d "@$1" +%Y%m%d%H%M.%S; }
# Sets the times of $1 where they differ.
set_times() {
  t_now=$(stat -c '%X %Y' -- "$1") || return 0
  for t_which in a m; do
    case $t_which in a) t_want=$atime t_is=${t_now% *} ;; m) t_want=$mtime t_is=${t_now#* } ;; esac
    [ "$t_want" != preserve ] || continue
    [ "$t_want" = now ] || [ "$(stamp "$t_is")" != "$t_want" ] || continue
    changed=1
    reply "was_${t_which}time" "$t_is"
    [ ! "$check" ] || continue
    if [ "$t_want" = now ]; then said=$(touch -c -"$t_which" -- "$1" 2>&1)
    else said=$(touch -c -"$t_which" -t "$t_want" -- "$1" 2>&1); fi || refuse "Error while updating modification or access time: $said"
  done
}
inside() {
  quiet=1
  found_all=$(find "$1" -mindepth 1 -exec stat -c '%f %u %g %n' -- {} +)
  [ "$found_all" ] || { quiet=; return 0; }
  while read -r r_bits r_uid r_gid r_path; do
    # Only what differs costs more than this line.
    case $r_bits in *[!0-9a-f]*|'') fail "cannot work on a file name with a line end in $1" ;; esac
    r_raw=$((0x$r_bits))
    case $((r_raw & 61440)) in
      16384) r_type=directory ;;
      40960)
        settle "$r_path"
        if [ "$follow" ] && [ -e "$r_path" ]; then settle "$(readlink -f -- "$r_path")"; fi
        continue ;;
      *) r_type=file ;;
    esac
    bits=$((r_raw & 4095))
    [ ! "$mode" ] || mode_bits "$mode" "$bits" "$r_type"
    if [ "$bits" = $((r_raw & 4095)) ] && [ "${want_uid:-$r_uid}:${want_gid:-$r_gid}" = "$r_uid:$r_gid" ]; then continue; fi
    settle "$r_path"
  done <<EOF
$found_all
EOF
  quiet=
}
make_folders() {
  m_done=
  case $1 in /*) m_left=${1#/} m_done=/ ;; *) m_left=$1 ;; esac
  while [ "$m_left" ]; do
    m_part=${m_left%%/*}
    case $m_left in */*) m_left=${m_left#*/} ;; *) m_left= ;; esac
    [ "$m_part" ] || continue
    m_done=$m_done$m_part
    if [ ! -e "$m_done" ]; then
      if ! said=$(mkdir -- "$m_done" 2>&1) && [ ! -d "$m_done" ]; then
        fail "There was an issue creating $m_done as requested: ${said##*: }"
      fi
      if [ "$m_left" ]; then quiet=1; settle "$m_done"; quiet=; fi
    fi
    m_done=$m_done/
  done
}
put_link() {
  l_temp=$path.matron.$$
  rm -f -- "$l_temp"
  said=$(ln $1 -- "$src" "$l_temp" 2>&1) || refuse "Error while linking: ${said##*: }"
  if ! said=$(mv -fT -- "$l_temp" "$path" 2>&1); then
    rm -f -- "$l_temp"
    said=$(ln $1 -fn -- "$src" "$path" 2>&1) || refuse "Error while replacing: ${said##*: }"
  fi
}
changed=
expand "$path"; path=$expanded
case $path in /|'') ;; */) path=${path%"${path##*[!/]}"}; path=${path:-/} ;; esac
[ ! "$src" ] || { expand "$src"; src=$expanded; }
want_ids
prev=absent
look "$path" && prev=$l_type
if [ ! "$state" ]; then
  if [ "$recurse" ]; then state=directory
  elif [ "$src" ]; then state=link
  elif [ "$prev" = link ] && [ "$follow" ]; then
    reply src "$(readlink -- "$path")"
    r_target=$(readlink -f -- "$path")
    if [ -e "$r_target" ]; then settle "$r_target"; set_times "$r_target"; fi
    reply dest "$path"; finish
  elif [ "$prev" = link ]; then
    settle "$path"
    reply dest "$path"; finish
  elif [ "$prev" = directory ]; then state=directory
  else state=file; fi
fi
case $state in file|directory|touch)
  if [ "$follow" ] && [ "$prev" = link ]; then
    path=$(readlink -f -- "$path")
    prev=absent
    look "$path" && prev=$l_type
  fi ;;
esac
reply prev "$prev"
case $state in
  file)
    reply path "$path"
    case $prev in
      file|hard|link) settle "$path"; set_times "$path"; finish ;;
      absent) reply state absent ;;
    esac
    refuse "file ($path) is $prev, cannot continue" ;;
  directory)
    reply path "$path"
    case $prev in
      absent)
        changed=1
        reply becomes directory
        [ ! "$check" ] || finish
        make_folders "$path" ;;
      directory|link) ;;
      *) refuse "$path already exists as a $prev" ;;
    esac
    settle "$path"
    set_times "$path"
    [ ! "$recurse" ] || inside "$path"
    finish ;;
  absent)
    reply path "$path"
    [ "$prev" != absent ] || { reply end 1; exit 0; }
    changed=1
    reply becomes absent
    if [ "$diff" ] && [ "$prev" = directory ]; then
      reply folders "$(find "$path" -mindepth 1 -type d | head -n 1000)"
      reply files "$(find "$path" -mindepth 1 ! -type d | head -n 1000)"
    fi
    if [ ! "$check" ]; then
      if [ "$prev" = directory ]; then said=$(rm -rf -- "$path" 2>&1) || refuse "rmtree failed: $said"
      else said=$(rm -f -- "$path" 2>&1) || refuse "unlinking failed: $said"; fi
    fi
    reply changed 1; reply end 1; exit 0 ;;
  touch)
    reply dest "$path"
    reply becomes touch
    if [ "$prev" = absent ]; then
      changed=1
      [ ! "$check" ] || finish
      said=$(touch -- "$path" 2>&1) || fail "Error, could not touch target."
      [ "$atime" != now ] || atime=preserve
      [ "$mtime" != now ] || mtime=preserve
    fi
    set_times "$path"
    settle "$path"
    finish ;;
  link)
    if [ ! "$src" ]; then
      [ "$prev" = link ] || fail 'src is required for creating new symlinks'
      src=$(readlink -- "$path")
    fi
    base=$path
    if [ "$prev" != directory ]; then
      case $path in */*) base=${path%/*}; base=${base:-/} ;; *) base=. ;; esac
    fi
    case $src in /*) whole=$src ;; *) whole=${base%/}/$src ;; esac
    if [ ! "$force" ] && [ ! -e "$whole" ]; then
      refuse "src file does not exist, use 'force=yes' if you really want to create the link: $whole"
    fi
    reply dest "$path"; reply src "$src"
    case $prev in
      absent) changed=1; reply becomes link ;;
      link)
        old=$(readlink -- "$path")
        if [ "$old" != "$src" ]; then changed=1; reply was_src "$old"; fi ;;
      directory)
        [ "$force" ] || refuse "refusing to convert from directory to symlink for $path"
        [ ! "$(ls -A -- "$path")" ] || refuse "the directory $path is not empty, refusing to convert it"
        changed=1; reply becomes link ;;
      *)
        [ "$force" ] || refuse "refusing to convert from $prev to symlink for $path"
        changed=1; reply becomes link ;;
    esac
    if [ "$changed" ] && [ ! "$check" ]; then
      [ "$prev" != directory ] || rmdir -- "$path"
      put_link -s
    fi
    if [ "$check" ] && [ "$prev" != link ]; then finish; fi
    if [ ! "$follow" ]; then settle "$path"
    elif [ -e "$path" ]; then settle "$(readlink -f -- "$path")"
    else reply warning 'Cannot set fs attributes on a non-existent symlink target. follow should be set to False to avoid this.'; fi
    finish ;;
  hard)
    if [ ! "$src" ]; then
      [ "$prev" = hard ] || fail 'src is required for creating new hardlinks'
    fi
    reply dest "$path"; reply src "$src"
    if [ "$src" ]; then
      [ -e "$src" ] || fail 'src does not exist'
      if [ "$prev" = absent ]; then changed=1; reply becomes hard
      elif [ "$(stat -c %d:%i -- "$path")" != "$(stat -c %d:%i -- "$src")" ]; then
        case $prev in
          directory) refuse "Cannot link, $prev exists at destination" ;;
          hard) [ "$force" ] || refuse 'Cannot link, different hard link exists at destination' ;;
          *) [ "$force" ] || refuse "Cannot link, $prev exists at destination" ;;
        esac
        changed=1; reply becomes hard
      fi
      if [ "$changed" ]; then
        [ ! "$check" ] || finish
        put_link ''
      fi
    fi
    settle "$path"
    set_times "$path"
    finish ;;
esac"#;

impl Action for Managing {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        let script = Script::new(HOST_PATHS).then(ATTRIBUTES).then(MANAGE);
        let script = environment::with(script, &self.environment)
            .var("path", &self.path)
            .var("state", self.state)
            .var_or_empty("src", self.src.as_deref())
            .flag("recurse", self.recurse)
            .flag("follow", self.follow)
            .flag("force", self.force)
            .flag("unsafe", self.unsafe_writes)
            .var("atime", &self.atime)
            .var("mtime", &self.mtime)
            .flag("check", mode.check)
            .flag("diff", mode.diff);
        Step::Send(self.attributes.give_to(script))
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        Step::Done(self.outcome(&reply))
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }
}

impl Managing {
    fn outcome(&self, reply: &Reply) -> Outcome {
        if let Some(mut failed) = verdict::failure(reply) {
            if reply.fields.is_set("state") {
                failed = failed.with("state", "absent");
            }
            return attributes::describe(failed.with("path", self.path.clone()), reply);
        }
        let mut outcome = Outcome::changed_if(reply.fields.is_set("changed"));
        for key in ["path", "dest", "src"] {
            if let Some(value) = reply.field(key) {
                outcome = outcome.with(key, value);
            }
        }
        if let Some(warning) = reply.field("warning") {
            outcome = outcome.with("warnings", json!([warning]));
        }
        if self.state == "absent" {
            outcome = outcome.with("state", "absent");
        }
        if self.mode.diff && outcome.status == Status::Changed {
            outcome.diff.extend(self.diff(reply));
        }
        if Now::read(reply).is_some() { attributes::describe(outcome, reply) } else { outcome }
    }

    fn diff(&self, reply: &Reply) -> Option<crate::outcome::Diff> {
        let path = reply.field("path").or_else(|| reply.field("dest"))?;
        let start: Map<_, _> = [("path".to_owned(), json!(path))].into_iter().collect();
        let (mut before, mut after) = attributes::sides(reply, start.clone(), start);
        let mut put = |key: &str, was: Value, becomes: Value| {
            before.insert(key.to_owned(), was);
            after.insert(key.to_owned(), becomes);
        };
        if let (Some(prev), Some(becomes)) = (reply.field("prev"), reply.field("becomes")) {
            put("state", json!(prev), json!(becomes));
        }
        if let Some(old) = reply.field("was_src") {
            put("src", json!(old), json!(reply.field("src")));
        }
        for (key, wanted) in [("atime", &self.atime), ("mtime", &self.mtime)] {
            if let Some(old) = reply.field(&format!("was_{key}")) {
                put(key, json!(old.parse::<i64>().ok()), json!(wanted));
            }
        }
        if let (Some(folders), Some(files)) = (reply.field("folders"), reply.field("files")) {
            let sorted = |text: String| {
                let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            let content = json!({"directories": sorted(folders), "files": sorted(files)});
            before.insert("path_content".to_owned(), content);
        }
        attributes::diff("", before, after)
    }
}
