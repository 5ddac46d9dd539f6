//! `blockinfile`: a block of lines between two marker lines.

use serde_json::Map;

use crate::modules::attributes::{
    GROUP, MODE, OWNER, SELEVEL, SEROLE, SETYPE, SEUSER, UNSAFE_WRITES,
};
use crate::modules::copy::{BACKUP, VALIDATE};
use crate::modules::edit::{self, Edit, Edited, Editor, Refusal};
use crate::modules::lineinfile::{CREATE, PATH};
use crate::modules::python_regex::{Anchors, compile};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;

/// See the file's head.
pub(super) struct BlockInFile;

static DOC: Doc = Doc {
    name: "blockinfile",
    summary: "Keeps a block of lines between marker lines in a file.",
    description: "A block that is there is replaced where it stands. An empty block removes it. Several blocks in one file need markers that differ.",
    args: &[
        PATH,
        ArgDoc { aliases: &["content"], ..arg("block", ArgKind::Str, "The lines.") },
        ArgDoc {
            default: "# {mark} ANSIBLE MANAGED BLOCK",
            ..arg(
                "marker",
                ArgKind::Str,
                "The marker line; `{mark}` becomes `marker_begin` and `marker_end`.",
            )
        },
        ArgDoc {
            default: "BEGIN",
            ..arg("marker_begin", ArgKind::Str, "Word of the first marker line.")
        },
        ArgDoc {
            default: "END",
            ..arg("marker_end", ArgKind::Str, "Word of the last marker line.")
        },
        ArgDoc {
            default: "present",
            ..arg(
                "state",
                ArgKind::Choice(&["absent", "present"]),
                "Whether the block shall be there.",
            )
        },
        arg(
            "insertafter",
            ArgKind::Str,
            "Where a new block goes: behind the last line that matches, or `EOF` (the default).",
        ),
        arg(
            "insertbefore",
            ArgKind::Str,
            "Where a new block goes: before the last line that matches, or `BOF`.",
        ),
        ArgDoc {
            default: "false",
            ..arg("append_newline", ArgKind::Bool, "Keeps an empty line behind the block.")
        },
        ArgDoc {
            default: "false",
            ..arg("prepend_newline", ArgKind::Bool, "Keeps an empty line before the block.")
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
    returns: &[("msg", "What was done."), ("backup_file", "Where the old file is kept.")],
    examples: "- blockinfile:\n    path: /etc/hosts\n    marker: '# {mark} pg pair'\n    block: |\n      10.0.0.1 pg1\n      10.0.0.2 pg2\n",
};

impl Module for BlockInFile {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let present = args.choice("state", &["absent", "present"], "present")? == "present";
        let (after, before) = (args.text("insertafter")?, args.text("insertbefore")?);
        if after.is_some() && before.is_some() {
            return Err(ArgError::new(
                "parameters are mutually exclusive: insertbefore|insertafter",
            ));
        }
        let pattern = |text: &str| compile(text, Anchors::Text, false).map_err(ArgError::new);
        let place = match (after.as_deref(), before.as_deref()) {
            (None | Some("EOF"), None) => Place::End,
            (None, Some("BOF")) => Place::Start,
            (Some(text), _) => Place::Near(pattern(text)?, 1),
            (None, Some(text)) => Place::Near(pattern(text)?, 0),
        };
        let marker = args.text("marker")?;
        let marker = marker.as_deref().unwrap_or("# {mark} ANSIBLE MANAGED BLOCK");
        let word = |name: &str, default: &str| -> Result<String, ArgError> {
            let word = args.text(name)?.unwrap_or_else(|| default.to_owned());
            Ok(marker.replace("{mark}", &word).trim_end_matches('\n').to_owned())
        };
        let block = args.text("block")?.unwrap_or_default();
        let editor = Block {
            lines: if present { block.lines().map(str::to_owned).collect() } else { Vec::new() },
            begin: word("marker_begin", "BEGIN")?,
            end: word("marker_end", "END")?,
            place,
            blank_behind: args.boolean("append_newline", false)?,
            blank_before: args.boolean("prepend_newline", false)?,
            create: args.boolean("create", false)?,
            path: args.required("path")?,
        };
        Ok(Box::new(Edit::new(editor, edit::placement(args, cx)?)))
    }
}

/// Where a new block goes.
enum Place {
    Start,
    End,
    /// At the last line that matches, plus this many lines.
    Near(fancy_regex::Regex, usize),
}

struct Block {
    /// Empty: no block.
    lines: Vec<String>,
    begin: String,
    end: String,
    place: Place,
    blank_behind: bool,
    blank_before: bool,
    create: bool,
    path: String,
}

impl Block {
    /// Takes the old block out, if there is one, and returns where the new one goes.
    fn take_out(&self, lines: &mut Vec<String>) -> Result<usize, Refusal> {
        let last = |marker: &String| lines.iter().rposition(|line| line == marker);
        if let (Some(begin), Some(end)) = (last(&self.begin), last(&self.end)) {
            let (from, to) = (begin.min(end), begin.max(end));
            lines.drain(from..=to);
            return Ok(from);
        }
        let Place::Near(regex, offset) = &self.place else {
            return Ok(if matches!(self.place, Place::Start) { 0 } else { lines.len() });
        };
        let mut spot = lines.len();
        for (number, line) in lines.iter().enumerate() {
            if regex.is_match(line)? {
                spot = number + offset;
            }
        }
        Ok(spot)
    }
}

impl Editor for Block {
    fn edit(&self, text: Option<&str>) -> Result<Edited, Refusal> {
        if text.is_none() && !self.create {
            let message = format!("Path {} does not exist !", self.path);
            return Err(Refusal::missing(message));
        }
        let old = text.unwrap_or_default();
        // Not `lines()`: a carriage return belongs to the line and stays.
        let whole = old.strip_suffix('\n').unwrap_or(old);
        let mut lines: Vec<String> = whole.split('\n').map(str::to_owned).collect();
        if old.is_empty() {
            lines.clear();
        }
        let spot = self.take_out(&mut lines)?;
        let mut at_end = false;
        if !self.lines.is_empty() {
            let is_filled = |line: Option<&String>| line.is_some_and(|line| !line.is_empty());
            let before = spot.checked_sub(1).and_then(|at| lines.get(at));
            let mut block = Vec::new();
            if self.blank_before && is_filled(before) {
                block.push(String::new());
            }
            block.push(self.begin.clone());
            block.extend(self.lines.iter().cloned());
            block.push(self.end.clone());
            if self.blank_behind && is_filled(lines.get(spot)) {
                block.push(String::new());
            }
            at_end = spot >= lines.len();
            lines.splice(spot..spot, block);
        }
        let mut new = lines.join("\n");
        if !new.is_empty() && (at_end || old.ends_with('\n')) {
            new.push('\n');
        }
        let message = match (text, new == old) {
            (_, true) => "",
            (None, false) => "File created",
            (Some(_), false) if self.lines.is_empty() => "Block removed",
            (Some(_), false) => "Block inserted",
        };
        Ok(Edited { text: new, message: message.to_owned(), data: Map::new() })
    }

    fn report(&self, outcome: Outcome, backup: Option<String>) -> Outcome {
        match backup {
            Some(backup) => outcome.with("backup_file", backup),
            None => outcome,
        }
    }
}
