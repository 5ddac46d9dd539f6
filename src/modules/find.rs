//! `find`: files of a host by name, kind, age, size, mode or content.

use fancy_regex::Regex;
use serde_json::{Map, Value, json};

use crate::modules::action::unexpected;
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::python_regex::{Anchors, compile};
use crate::modules::stat::{self, ALGORITHMS, CHECKSUM_ALGORITHM};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, FileMode, Mode, Module, Reach,
    Step, TaskContext, arg, environment, verdict,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script, join};

/// See the file's head.
pub(super) struct Find;

const KINDS: &[&str] = &["any", "directory", "file", "link"];
const STAMPS: &[&str] = &["atime", "ctime", "mtime"];

static DOC: Doc = Doc {
    name: "find",
    summary: "Finds files on a host.",
    description: "All conditions must hold. Changes nothing.",
    args: &[
        ArgDoc {
            required: true,
            aliases: &["name", "path"],
            ..arg("paths", ArgKind::List, "Folders to look in.")
        },
        ArgDoc {
            aliases: &["pattern"],
            ..arg(
                "patterns",
                ArgKind::List,
                "Globs (or Python patterns with `use_regex`) of the file name; one must match.",
            )
        },
        ArgDoc {
            aliases: &["exclude"],
            ..arg("excludes", ArgKind::List, "Names to leave out, written like `patterns`.")
        },
        ArgDoc {
            default: "false",
            ..arg("use_regex", ArgKind::Bool, "`patterns` and `excludes` are regular expressions.")
        },
        ArgDoc { default: "file", ..arg("file_type", ArgKind::Choice(KINDS), "What to look for.") },
        ArgDoc { default: "false", ..arg("recurse", ArgKind::Bool, "Looks into folders within.") },
        arg("depth", ArgKind::Int, "How deep to look with `recurse`."),
        ArgDoc {
            default: "false",
            ..arg("hidden", ArgKind::Bool, "Also names that begin with a dot.")
        },
        ArgDoc { default: "false", ..arg("follow", ArgKind::Bool, "Follows symbolic links.") },
        arg(
            "age",
            ArgKind::Str,
            "At least this old (`30s`, `5m`, `2h`, `7d`, `4w`); negative: at most.",
        ),
        ArgDoc {
            default: "mtime",
            ..arg("age_stamp", ArgKind::Choice(STAMPS), "Which time `age` means.")
        },
        arg(
            "size",
            ArgKind::Str,
            "At least this large (`100`, `5k`, `10m`, `1g`, `1t`); negative: at most.",
        ),
        arg("mode", ArgKind::Mode, "Permissions, octal."),
        ArgDoc {
            default: "true",
            ..arg("exact_mode", ArgKind::Bool, "Exactly these permissions, not at least these.")
        },
        arg(
            "contains",
            ArgKind::Str,
            "A Python pattern that must match at the start of a line (or of the file with `read_whole_file`: anywhere).",
        ),
        ArgDoc {
            default: "false",
            ..arg("read_whole_file", ArgKind::Bool, "`contains` is looked for in the whole text.")
        },
        ArgDoc {
            default: "false",
            ..arg("get_checksum", ArgKind::Bool, "Computes digests of regular files.")
        },
        CHECKSUM_ALGORITHM,
        arg("limit", ArgKind::Int, "At most this many."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[
        ("files", "What was found, as `stat` tells it."),
        ("matched", "How many."),
        ("examined", "How many were looked at."),
        ("skipped_paths", "Folders that could not be looked into, and why."),
    ],
    examples: "- find:\n    paths: /var/backups/pg\n    patterns: '*.dump'\n    age: 14d\n  register: old\n",
};

impl Module for Find {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn observes(&self, _args: &Args) -> bool {
        true
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let use_regex = args.boolean("use_regex", false)?;
        let names = |name: &str| -> Result<Vec<Regex>, ArgError> {
            let texts = args.list(name)?.unwrap_or_default();
            let compiled = texts.iter().map(|text| {
                // Both kinds match from the start of the name, as re.match does; globs to its end.
                let pattern = if use_regex { format!("\\A(?:{text})") } else { glob(text) };
                compile(&pattern, Anchors::Text, !use_regex).map_err(ArgError::new)
            });
            compiled.collect()
        };
        let limit = args.integer("limit")?;
        let mode = match args.mode("mode")? {
            None => None,
            Some(FileMode::Octal(bits)) => Some(bits),
            Some(FileMode::Symbolic(_) | FileMode::Preserve) => {
                return Err(ArgError::new("find: mode must be octal").hint("mode: '0644'"));
            }
        };
        let whole = args.boolean("read_whole_file", false)?;
        let contains = args.text("contains")?.map(|text| {
            let pattern = if whole { text } else { format!("^(?:{text})") };
            compile(&pattern, Anchors::Lines, false).map_err(ArgError::new)
        });
        let unit = |name: &str, units: &[(char, f64)]| -> Result<Option<f64>, ArgError> {
            let Some(text) = args.text(name)? else { return Ok(None) };
            amount(&text, units)
                .map(Some)
                .ok_or_else(|| ArgError::new(format!("failed to process {name}: {text}")))
        };
        let ages = [('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86_400.0), ('w', 604_800.0)];
        let k = 1024.0;
        let sizes = [('b', 1.0), ('k', k), ('m', k * k), ('g', k * k * k), ('t', k * k * k * k)];
        let sum = args.choice("checksum_algorithm", ALGORITHMS, "sha1")?;
        let recurse = args.boolean("recurse", false)?;
        Ok(Box::new(Finding {
            paths: args.list("paths")?.unwrap_or_default(),
            patterns: names("patterns")?,
            excludes: names("excludes")?,
            kind: args.choice("file_type", KINDS, "file")?,
            depth: if recurse { args.integer("depth")? } else { Some(1) },
            hidden: args.boolean("hidden", false)?,
            follow: args.boolean("follow", false)?,
            age: unit("age", &ages)?,
            stamp: args.choice("age_stamp", STAMPS, "mtime")?,
            size: unit("size", &sizes)?,
            mode,
            exact: args.boolean("exact_mode", true)?,
            contains: contains.transpose()?,
            sum: args.boolean("get_checksum", false)?.then(|| format!("{sum}sum")),
            limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX),
            environment: environment::exports(cx)?,
            found: Vec::new(),
            result: Outcome::ok(),
        }))
    }
}

/// Turns a glob into a pattern as Python's fnmatch does.
fn glob(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::from("\\A(?:");
    let mut index = 0;
    while let Some(letter) = letters.get(index) {
        index += 1;
        let close = letters.iter().skip(index + 1).position(|c| *c == ']');
        match (letter, close) {
            ('*', _) => out.push_str(".*"),
            ('?', _) => out.push('.'),
            ('[', Some(length)) => {
                let end = index + 1 + length;
                let inside: String = letters.get(index..end).unwrap_or_default().iter().collect();
                let (not, inside) = match inside.strip_prefix('!') {
                    Some(inside) => ("^", inside.to_owned()),
                    None => ("", inside),
                };
                out.push('[');
                out.push_str(not);
                out.push_str(&inside.replace('\\', "\\\\"));
                out.push(']');
                index = end + 1;
            }
            (plain, _) if plain.is_alphanumeric() || *plain == '_' => out.push(*plain),
            (other, _) => out.extend(['\\', *other]),
        }
    }
    out.push_str(")\\Z");
    out
}

/// Reads `-5m` with its unit; no unit is one.
fn amount(text: &str, units: &[(char, f64)]) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let last = text.chars().last()?;
    let unit = units.iter().find(|(letter, _)| *letter == last);
    let number = if unit.is_some() { text.get(..text.len() - 1)? } else { text.as_str() };
    Some(number.parse::<i32>().ok().map(f64::from)? * unit.map_or(1.0, |(_, factor)| *factor))
}

struct Finding {
    paths: Vec<String>,
    patterns: Vec<Regex>,
    excludes: Vec<Regex>,
    kind: &'static str,
    depth: Option<i64>,
    hidden: bool,
    follow: bool,
    age: Option<f64>,
    stamp: &'static str,
    size: Option<f64>,
    mode: Option<u32>,
    exact: bool,
    contains: Option<Regex>,
    sum: Option<String>,
    limit: usize,
    environment: String,
    found: Vec<Map<String, Value>>,
    result: Outcome,
}

const WALK: &str = r#"reply clock "$(date +%s)"
eval "set -- $paths"
for given do
  expand "$given"
  if [ ! -d "$expanded" ]; then reply skipped "$expanded"; continue; fi
  top=$expanded
  case $top in -*) top=./$top ;; esac
  if [ "$follow" ]; then links=-L; else links=-H; fi
  deref=
  [ ! "$follow" ] || deref=-L
  if [ "$depth" ]; then set_depth="-maxdepth $depth"; else set_depth=; fi
  reply entries "$(find $links "$top" -mindepth 1 $set_depth -exec stat $deref -c '%f %u %g %s %i %d %h %b %o %t %T %X %Y %Z|%x|%y|%z|%U|%G|%n' -- {} + 2>/dev/null)"
done
reply end 1"#;

const LOOK_INSIDE: &str = r#"eval "set -- $paths"
for path do
  if [ "$sum" ]; then total=$("$sum" <"$path" 2>/dev/null); reply sum "${total%% *}"; fi
  if [ "$inside" ]; then reply_file inside "$path"; fi
done
reply end 1"#;

impl Finding {
    fn fits(&self, facts: &Map<String, Value>, clock: f64) -> bool {
        let is = |key: &str| facts.get(key) == Some(&Value::Bool(true));
        let number = |key: &str| facts.get(key).and_then(Value::as_f64).unwrap_or_default();
        let path = facts.get("path").and_then(Value::as_str).unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let matches = |list: &[Regex]| list.iter().any(|one| one.is_match(name).unwrap_or(false));
        let kind = match self.kind {
            "file" => is("isreg"),
            "directory" => is("isdir"),
            "link" => is("islnk"),
            _ => true,
        };
        // At least for a positive limit, at most for a negative one.
        let within = |limit: Option<f64>, value: f64| match limit {
            None => true,
            Some(limit) if limit >= 0.0 => value >= limit,
            Some(limit) => value <= -limit,
        };
        let bits = facts.get("mode").and_then(Value::as_str);
        let bits = bits.and_then(|text| u32::from_str_radix(text, 8).ok()).unwrap_or_default();
        let mode = match self.mode {
            None => true,
            Some(wanted) if self.exact => bits == wanted,
            Some(wanted) => bits & wanted == wanted,
        };
        kind && mode
            && (self.hidden || !name.starts_with('.'))
            && (self.patterns.is_empty() || matches(&self.patterns))
            && !matches(&self.excludes)
            && within(self.age, clock - number(self.stamp))
            && (is("isdir") || within(self.size, number("size")))
    }

    fn read(&mut self, reply: &Reply) -> Step {
        if let Some(failed) = verdict::failure(reply) {
            return Step::Done(failed);
        }
        let clock = reply.field("clock").and_then(|text| text.parse().ok()).unwrap_or_default();
        let mut examined = 0;
        for text in reply.fields.all("entries") {
            for line in text.lines() {
                let Some((_, path)) = line
                    .match_indices('|')
                    .nth(5)
                    .map(|(at, _)| (at, line.get(at + 1..).unwrap_or_default()))
                else {
                    continue;
                };
                let Some(mut facts) = stat::facts(line) else { continue };
                examined += 1;
                facts.insert("path".to_owned(), json!(path));
                for key in ["exists", "blocks", "block_size", "device_type"] {
                    facts.shift_remove(key);
                }
                if self.fits(&facts, clock) {
                    self.found.push(facts);
                }
            }
        }
        let skipped: Map<_, _> = reply
            .fields
            .all("skipped")
            .map(|path| (path.clone(), json!(format!("'{path}' is not a directory"))))
            .collect();
        let message = if skipped.is_empty() {
            "All paths examined"
        } else {
            "Not all paths examined, check warnings for details"
        };
        let warnings: Vec<_> = skipped
            .iter()
            .map(|(path, why)| {
                let why = why.as_str().unwrap_or_default();
                format!("Skipped '{path}' path due to this access issue: {why}\n")
            })
            .collect();
        self.result = Outcome::ok().with("msg", message).with("examined", examined);
        if !warnings.is_empty() {
            self.result = self.result.clone().with("warnings", json!(warnings));
        }
        self.result = self.result.clone().with("skipped_paths", Value::Object(skipped));
        let paths: Vec<_> =
            self.regular().iter().filter_map(|facts| facts.get("path")?.as_str()).collect();
        if paths.is_empty() || (self.contains.is_none() && self.sum.is_none()) {
            return self.finish();
        }
        let script = Script::new(HOST_PATHS).then(LOOK_INSIDE).var("paths", join(&paths));
        let script = environment::with(script, &self.environment)
            .var_or_empty("sum", self.sum.as_deref())
            .flag("inside", self.contains.is_some());
        Step::Send(script)
    }

    fn regular(&self) -> Vec<&Map<String, Value>> {
        self.found.iter().filter(|facts| facts.get("isreg") == Some(&Value::Bool(true))).collect()
    }

    fn look_inside(&mut self, reply: &Reply) -> Step {
        if let Some(failed) = verdict::failure(reply) {
            return Step::Done(failed);
        }
        let mut sums = reply.fields.all("sum").collect::<Vec<_>>().into_iter();
        let mut texts = reply.fields.all("inside").collect::<Vec<_>>().into_iter();
        let contains = self.contains.take();
        self.found.retain_mut(|facts| {
            if facts.get("isreg") != Some(&Value::Bool(true)) {
                return contains.is_none();
            }
            if let Some(sum) = sums.next() {
                facts.insert("checksum".to_owned(), json!(sum));
            }
            match (&contains, texts.next()) {
                (Some(regex), Some(text)) => regex.is_match(&text).unwrap_or(false),
                (Some(_), None) => false,
                (None, _) => true,
            }
        });
        self.finish()
    }

    fn finish(&mut self) -> Step {
        let mut found = std::mem::take(&mut self.found);
        found.truncate(self.limit);
        let matched = found.len();
        let files: Vec<_> = found.into_iter().map(Value::Object).collect();
        Step::Done(self.result.clone().with("matched", matched).with("files", files))
    }
}

impl Action for Finding {
    fn begin(&mut self, _mode: Mode) -> Step {
        let script = Script::new(HOST_PATHS).then(WALK).var("paths", join(&self.paths));
        let script = environment::with(script, &self.environment)
            .flag("follow", self.follow)
            .var_or_empty("depth", self.depth.map(|depth| depth.to_string()));
        Step::Send(script)
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if self.result.data.is_empty() { self.read(&reply) } else { self.look_inside(&reply) }
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }
}
