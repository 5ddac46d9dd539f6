//! `stat`: what is at a path.

use serde_json::{Map, Value, json};

use crate::modules::action::unexpected;
use crate::modules::attributes::octal;
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg, environment, verdict,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct Stat;

/// Digests a host can compute; the tool is the name with `sum`.
pub(super) const ALGORITHMS: &[&str] = &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

pub(super) const CHECKSUM_ALGORITHM: ArgDoc = ArgDoc {
    default: "sha1",
    aliases: &["checksum", "checksum_algo"],
    ..arg("checksum_algorithm", ArgKind::Choice(ALGORITHMS), "Which digest to compute.")
};

static DOC: Doc = Doc {
    name: "stat",
    summary: "Tells what is at a path.",
    description: "Changes nothing. A path where nothing is gives `stat.exists: false`.",
    args: &[
        ArgDoc {
            required: true,
            aliases: &["dest", "name"],
            ..arg("path", ArgKind::Path, "The path.")
        },
        ArgDoc { default: "false", ..arg("follow", ArgKind::Bool, "Follows symbolic links.") },
        ArgDoc {
            default: "true",
            ..arg("get_checksum", ArgKind::Bool, "Computes the digest of a regular file.")
        },
        CHECKSUM_ALGORITHM,
        ArgDoc {
            default: "true",
            aliases: &["mime", "mime_type", "mime-type"],
            ..arg(
                "get_mime",
                ArgKind::Bool,
                "Asks `file` for type and character set, where it is installed.",
            )
        },
        ArgDoc {
            default: "true",
            aliases: &["attr", "attributes"],
            ..arg("get_attributes", ArgKind::Bool, "Asks `lsattr`, where it is installed.")
        },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[(
        "stat",
        "A mapping: `exists`, and if so `isreg`, `isdir`, `islnk`, `mode`, `uid`, `size`, `mtime`, `checksum` …",
    )],
    examples: "- stat:\n    path: /srv/pg/standby.signal\n  register: signal\n",
};

impl Module for Stat {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn observes(&self, _args: &Args) -> bool {
        true
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let sum = args.choice("checksum_algorithm", ALGORITHMS, "sha1")?;
        let checksum = args.boolean("get_checksum", true)?;
        let script = Script::new(HOST_PATHS).then(LOOK_CLOSELY);
        let script = environment::with(script, &environment::exports(cx)?)
            .var("path", args.required("path")?)
            .flag("follow", args.boolean("follow", false)?)
            .var("sum", if checksum { format!("{sum}sum") } else { String::new() })
            .flag("mime", args.boolean("get_mime", true)?)
            .flag("attributes", args.boolean("get_attributes", true)?);
        Ok(Box::new(Looking { script: Some(script), checksum }))
    }
}

struct Looking {
    script: Option<Script>,
    checksum: bool,
}

const LOOK_CLOSELY: &str = r#"expand "$path"; path=$expanded
reply path "$path"
deref=
if [ "$follow" ]; then deref=-L; fi
if ! line=$(stat $deref -c '%f %u %g %s %i %d %h %b %o %t %T %X %Y %Z|%x|%y|%z|%U|%G' -- "$path" 2>/dev/null); then
  if [ -e "$path" ] || [ -L "$path" ]; then
    [ ! "$follow" ] || { reply end 1; exit 0; }
    fail "cannot stat $path"
  fi
  # Nothing there, or no way to tell.
  said=$(LC_ALL=C ls -d -- "$path" 2>&1)
  case $said in
    *'Not a directory'*) fail 'Not a directory' ;;
    *'Permission denied'*) fail "Permission denied: '$path'" ;;
  esac
  reply end 1
  exit 0
fi
reply stat "$line"
[ ! -r "$path" ] || reply readable 1
[ ! -w "$path" ] || reply writeable 1
[ ! -x "$path" ] || reply executable 1
if [ ! "$follow" ] && [ -L "$path" ]; then
  reply target "$(readlink -- "$path")"
  reply source "$(readlink -f -- "$path" || readlink -m -- "$path" 2>/dev/null)"
elif [ "$sum" ] && [ -f "$path" ] && [ -r "$path" ]; then
  total=$("$sum" <"$path" 2>/dev/null) || fail "Could not hash file '$path' with algorithm '${sum%sum}'."
  reply checksum "${total%% *}"
fi
if [ "$mime" ]; then
  if command -v file >/dev/null 2>&1; then
    case $path in -*) as=./$path ;; *) as=$path ;; esac
    reply mime "$(file -b --mime-type --mime-encoding -- "$as" 2>/dev/null)"
  else reply mime unknown; fi
fi
if [ "$attributes" ]; then reply attributes "$(lsattr -vd "$path" 2>/dev/null)"; fi
reply end 1"#;

impl Action for Looking {
    fn begin(&mut self, _mode: Mode) -> Step {
        self.script.take().map_or_else(unexpected, Step::Send)
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(failed) = verdict::failure(&reply) {
            return Step::Done(failed);
        }
        let facts = reply.field("stat").and_then(|line| facts(&line));
        let Some(mut facts) = facts else {
            return Step::Done(Outcome::ok().with("stat", json!({ "exists": false })));
        };
        facts.insert("path".to_owned(), json!(reply.field("path")));
        for key in ["readable", "writeable", "executable"] {
            facts.insert(key.to_owned(), json!(reply.fields.is_set(key)));
        }
        self.add_details(&mut facts, &reply);
        Step::Done(Outcome::ok().with("stat", Value::Object(facts)))
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }
}

impl Looking {
    fn add_details(&self, facts: &mut Map<String, Value>, reply: &Reply) {
        for (key, field) in [("lnk_source", "source"), ("lnk_target", "target")] {
            if let Some(value) = reply.field(field) {
                facts.insert(key.to_owned(), json!(value));
            }
        }
        if self.checksum
            && let Some(sum) = reply.field("checksum")
        {
            facts.insert("checksum".to_owned(), json!(sum));
        }
        if let Some(mime) = reply.field("mime") {
            let (kind, charset) = match mime.split_once("; charset=") {
                Some((kind, charset)) => (kind.to_owned(), charset.to_owned()),
                None => ("unknown".to_owned(), "unknown".to_owned()),
            };
            facts.insert("mimetype".to_owned(), json!(kind));
            facts.insert("charset".to_owned(), json!(charset));
        }
        if let Some(line) = reply.field("attributes") {
            let mut words = line.split_whitespace();
            let version = words.next().map(str::to_owned);
            let flags: String =
                words.next().unwrap_or_default().chars().filter(|c| *c != '-').collect();
            let names: Vec<_> = flags.chars().filter_map(flag_name).collect();
            facts.insert("version".to_owned(), json!(version));
            facts.insert("attributes".to_owned(), json!(names));
            facts.insert("attr_flags".to_owned(), json!(flags));
        }
    }
}

/// Names of the flags `lsattr` shows (chattr(1)).
fn flag_name(flag: char) -> Option<&'static str> {
    Some(match flag {
        'A' => "noatime",
        'a' => "append",
        'c' => "compressed",
        'C' => "nocow",
        'd' => "nodump",
        'D' => "dirsync",
        'e' => "extents",
        'E' => "encrypted",
        'h' => "blocksize",
        'i' => "immutable",
        'I' => "indexed",
        'j' => "journalled",
        'N' => "inline",
        's' => "zero",
        'S' => "synchronous",
        't' => "notail",
        'T' => "blockroot",
        'u' => "undelete",
        'X' => "compressedraw",
        'Z' => "compresseddirty",
        _ => return None,
    })
}

/// Reads the line of [`LOOK_CLOSELY`] (the find module writes it too) into Ansible's keys.
pub(super) fn facts(line: &str) -> Option<Map<String, Value>> {
    let mut parts = line.split('|');
    let mut words = parts.next()?.split(' ');
    let bits = u32::from_str_radix(words.next()?, 16).ok()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let (uid, gid, size, inode, dev, nlink) =
        (number()?, number()?, number()?, number()?, number()?, number()?);
    let (blocks, block_size) = (number()?, number()?);
    let major = u64::from_str_radix(words.next()?, 16).ok()?;
    let minor = u64::from_str_radix(words.next()?, 16).ok()?;
    let mut time = || -> Option<Value> {
        let seconds: i64 = words.next()?.parse().ok()?;
        // `2026-11-22 21:50:36.807688516 +0000`: only the fraction is taken from the readable form.
        let readable = parts.next().unwrap_or_default();
        let fraction = readable.split('.').nth(1).and_then(|rest| rest.split(' ').next());
        format!("{seconds}.{}", fraction.filter(|f| !f.is_empty()).unwrap_or("0"))
            .parse::<f64>()
            .ok()
            .map(Value::from)
    };
    let (atime, mtime, ctime) = (time()?, time()?, time()?);
    let kind = bits & 0o170_000;
    let is = |bit: u32| bits & bit != 0;
    let mut facts = Map::new();
    let mut put = |key: &str, value: Value| {
        facts.insert(key.to_owned(), value);
    };
    put("exists", json!(true));
    put("path", Value::Null);
    put("mode", json!(octal(bits & 0o7777)));
    for (key, wanted) in [
        ("isdir", 0o040_000),
        ("ischr", 0o020_000),
        ("isblk", 0o060_000),
        ("isreg", 0o100_000),
        ("isfifo", 0o010_000),
        ("islnk", 0o120_000),
        ("issock", 0o140_000),
    ] {
        put(key, json!(kind == wanted));
    }
    for (key, value) in [
        ("uid", uid),
        ("gid", gid),
        ("size", size),
        ("inode", inode),
        ("dev", dev),
        ("nlink", nlink),
    ] {
        put(key, json!(value));
    }
    put("atime", atime);
    put("mtime", mtime);
    put("ctime", ctime);
    for (key, bit) in [
        ("wusr", 0o200),
        ("rusr", 0o400),
        ("xusr", 0o100),
        ("wgrp", 0o020),
        ("rgrp", 0o040),
        ("xgrp", 0o010),
        ("woth", 0o002),
        ("roth", 0o004),
        ("xoth", 0o001),
        ("isuid", 0o4000),
        ("isgid", 0o2000),
    ] {
        put(key, json!(is(bit)));
    }
    put("blocks", json!(blocks));
    put("block_size", json!(block_size));
    put("device_type", json!((major << 8) | minor));
    for key in ["pw_name", "gr_name"] {
        if let Some(name) = parts.next().filter(|name| !name.is_empty() && *name != "UNKNOWN") {
            put(key, json!(name));
        }
    }
    Some(facts)
}
