//! `lineinfile`: one line of a file is there, or not.

use serde_json::{Map, Value, json};

use crate::modules::attributes::{
    GROUP, MODE, OWNER, SELEVEL, SEROLE, SETYPE, SEUSER, UNSAFE_WRITES,
};
use crate::modules::copy::{BACKUP, VALIDATE};
use crate::modules::edit::{self, Edit, Edited, Editor, Refusal};
use crate::modules::python_regex::{Anchors, Replacement, compile};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;

/// See the file's head.
pub(super) struct LineInFile;

/// `path` of the line editors.
pub(super) const PATH: ArgDoc = ArgDoc {
    required: true,
    aliases: &["dest", "destfile", "name"],
    ..arg("path", ArgKind::Path, "The file.")
};
pub(super) const CREATE: ArgDoc = ArgDoc {
    default: "false",
    ..arg("create", ArgKind::Bool, "Makes the file (and its folder) when it is not there.")
};

static DOC: Doc = Doc {
    name: "lineinfile",
    summary: "Makes sure that a line is in a file, or is not.",
    description: "With `regexp` the last line that matches is replaced. Patterns are Python's.",
    args: &[
        PATH,
        ArgDoc { aliases: &["value"], ..arg("line", ArgKind::Str, "The line.") },
        ArgDoc {
            aliases: &["regex"],
            ..arg("regexp", ArgKind::Str, "Which line to replace or remove.")
        },
        arg(
            "search_string",
            ArgKind::Str,
            "Plain text that names the line to replace or remove, instead of `regexp`.",
        ),
        ArgDoc {
            default: "present",
            ..arg(
                "state",
                ArgKind::Choice(&["absent", "present"]),
                "Whether the line shall be there.",
            )
        },
        ArgDoc {
            default: "false",
            ..arg(
                "backrefs",
                ArgKind::Bool,
                "`line` may use groups of `regexp`; without a match nothing is done.",
            )
        },
        arg(
            "insertafter",
            ArgKind::Str,
            "Where a new line goes: behind the last line that matches, or `EOF` (the default).",
        ),
        arg(
            "insertbefore",
            ArgKind::Str,
            "Where a new line goes: before the last line that matches, or `BOF`.",
        ),
        ArgDoc {
            default: "false",
            ..arg("firstmatch", ArgKind::Bool, "The first line that matches counts, not the last.")
        },
        CREATE,
        BACKUP,
        VALIDATE,
        OWNER,
        GROUP,
        MODE,
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
        ("msg", "What was done."),
        ("backup", "Where the old file is kept, or empty."),
        ("found", "How many lines were removed."),
    ],
    examples: "- lineinfile:\n    path: /etc/hosts\n    regexp: '\\spg-primary$'\n    line: 10.0.0.1 pg-primary\n",
};

impl Module for LineInFile {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let present = args.choice("state", &["absent", "present"], "present")? == "present";
        let (regexp, search) = (args.text("regexp")?, args.text("search_string")?);
        let (line, backrefs) = (args.text("line")?, args.boolean("backrefs", false)?);
        let (after, before) = (args.text("insertafter")?, args.text("insertbefore")?);
        if regexp.is_some() && search.is_some() {
            return Err(ArgError::new("parameters are mutually exclusive: regexp|search_string"));
        }
        if after.is_some() && before.is_some() {
            return Err(ArgError::new(
                "parameters are mutually exclusive: insertbefore|insertafter",
            ));
        }
        if backrefs && search.is_some() {
            return Err(ArgError::new("parameters are mutually exclusive: backrefs|search_string"));
        }
        if present && backrefs && regexp.is_none() {
            return Err(ArgError::new("regexp is required with backrefs=true"));
        }
        if present && line.is_none() {
            return Err(ArgError::new("line is required with state=present"));
        }
        if !present && line.is_none() && regexp.is_none() && search.is_none() {
            return Err(ArgError::new(
                "one of line, search_string, or regexp is required with state=absent",
            ));
        }
        let pattern = |text: &str| compile(text, Anchors::Text, false).map_err(ArgError::new);
        let regex = regexp.as_deref().map(pattern).transpose()?;
        let template = match (&regex, &line, backrefs) {
            (Some(regex), Some(line), true) => {
                Some(Replacement::parse(line, regex).map_err(ArgError::new)?)
            }
            (_, _, _) => None,
        };
        let place = match (after.as_deref(), before.as_deref()) {
            (None | Some("EOF"), None) => Place::End,
            (Some("BOF"), _) | (None, Some("BOF")) => Place::Start,
            (Some(text), _) => Place::After(pattern(text)?),
            (None, Some(text)) => Place::Before(pattern(text)?),
        };
        let editor = Lines {
            present,
            line,
            regex,
            search,
            backrefs,
            template,
            place,
            first: args.boolean("firstmatch", false)?,
            create: args.boolean("create", false)?,
            path: args.required("path")?,
        };
        Ok(Box::new(Edit::new(editor, edit::placement(args, cx)?)))
    }
}

/// Where a new line goes.
enum Place {
    Start,
    End,
    After(fancy_regex::Regex),
    Before(fancy_regex::Regex),
}

struct Lines {
    present: bool,
    line: Option<String>,
    regex: Option<fancy_regex::Regex>,
    search: Option<String>,
    backrefs: bool,
    template: Option<Replacement>,
    place: Place,
    first: bool,
    create: bool,
    path: String,
}

fn bare(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

fn matches(regex: &fancy_regex::Regex, line: &str) -> Result<bool, Refusal> {
    Ok(regex.is_match(line)?)
}

impl Lines {
    /// Tells whether a line is the one that is meant.
    fn is_meant(&self, line: &str) -> Result<bool, Refusal> {
        match (&self.regex, &self.search) {
            (Some(regex), _) => matches(regex, line),
            (None, Some(search)) => Ok(line.contains(search.as_str())),
            (None, None) => Ok(self.line.as_deref() == Some(bare(line))),
        }
    }

    fn remove(&self, text: &str) -> Result<Edited, Refusal> {
        let mut kept = String::new();
        let mut found = 0;
        for line in text.split_inclusive('\n') {
            if self.is_meant(line)? {
                found += 1;
            } else {
                kept.push_str(line);
            }
        }
        let message = if found > 0 { format!("{found} line(s) removed") } else { String::new() };
        let data = [("found".to_owned(), json!(found))].into_iter().collect();
        Ok(Edited { text: kept, message, data })
    }

    fn put(&self, text: &str) -> Result<Edited, Refusal> {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let wanted = self.line.as_deref().unwrap_or_default();
        let mut meant = None;
        let mut spot = None;
        for (number, line) in lines.iter().enumerate() {
            if self.is_meant(line)? {
                if meant.is_none() || !self.first {
                    meant = Some(number);
                }
                continue;
            }
            let (regex, offset) = match &self.place {
                Place::After(regex) => (regex, 1),
                Place::Before(regex) => (regex, 0),
                Place::Start | Place::End => continue,
            };
            if (spot.is_none() || !self.first) && matches(regex, line)? {
                spot = Some(number + offset);
            }
        }
        let with_end = |line: &str| {
            if line.ends_with('\n') { line.to_owned() } else { format!("{line}\n") }
        };
        let unchanged =
            || Edited { text: text.to_owned(), message: String::new(), data: Map::new() };
        let mut new: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        if let Some(number) = meant {
            let old = lines.get(number).copied().unwrap_or_default();
            let line = self.filled(old)?.unwrap_or_else(|| wanted.to_owned());
            let line = with_end(&line);
            if old == line {
                return Ok(unchanged());
            }
            if let Some(slot) = new.get_mut(number) {
                *slot = line;
            }
            return Ok(Edited {
                text: new.concat(),
                message: "line replaced".to_owned(),
                data: Map::new(),
            });
        }
        // A line that is there word for word is as it should be, although the pattern knows another form of it.
        let is_there = lines.iter().any(|line| bare(line) == wanted);
        if self.backrefs || is_there {
            return Ok(unchanged());
        }
        let spot = match (&self.place, spot) {
            (Place::Start, _) => 0,
            (Place::After(_) | Place::Before(_), Some(spot)) => spot,
            (Place::End | Place::After(_) | Place::Before(_), _) => new.len(),
        };
        if spot == new.len()
            && let Some(last) = new.last_mut()
        {
            *last = with_end(last);
        }
        new.insert(spot, with_end(wanted));
        Ok(Edited { text: new.concat(), message: "line added".to_owned(), data: Map::new() })
    }

    /// Fills the line's groups from the line that matched.
    fn filled(&self, old: &str) -> Result<Option<String>, Refusal> {
        let (Some(regex), Some(template)) = (&self.regex, &self.template) else { return Ok(None) };
        let captures = regex.captures(old)?;
        Ok(captures.map(|captures| template.expand(&captures)))
    }
}

impl Editor for Lines {
    fn edit(&self, text: Option<&str>) -> Result<Edited, Refusal> {
        match (text, self.present) {
            (Some(text), true) => self.put(text),
            (Some(text), false) => self.remove(text),
            (None, false) => {
                let message = "file not present".to_owned();
                Ok(Edited { text: String::new(), message, data: Map::new() })
            }
            (None, true) if self.create => self.put(""),
            (None, true) => {
                let message = format!("Destination {} does not exist !", self.path);
                Err(Refusal::missing(message))
            }
        }
    }

    fn report(&self, outcome: Outcome, backup: Option<String>) -> Outcome {
        outcome.with("backup", Value::from(backup.unwrap_or_default()))
    }
}
