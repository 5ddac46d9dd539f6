//! `replace`: every match of a pattern in a file.

use serde_json::{Map, json};

use crate::modules::attributes::{
    GROUP, MODE, OWNER, SELEVEL, SEROLE, SETYPE, SEUSER, UNSAFE_WRITES,
};
use crate::modules::copy::{BACKUP, VALIDATE};
use crate::modules::edit::{self, Edit, Edited, Editor, Refusal};
use crate::modules::lineinfile::PATH;
use crate::modules::python_regex::{Anchors, Replacement, compile, replace_all};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;

/// See the file's head.
pub(super) struct Replace;

static DOC: Doc = Doc {
    name: "replace",
    summary: "Replaces every match of a pattern in a file.",
    description: "Patterns are Python's; `^` and `$` match at each line. It is for you to write a pattern that does not match its own result.",
    args: &[
        PATH,
        ArgDoc { required: true, ..arg("regexp", ArgKind::Str, "The pattern.") },
        arg(
            "replace",
            ArgKind::Str,
            "What to put there; `\\1` and `\\g<name>` are groups. Without it matches are removed.",
        ),
        arg("after", ArgKind::Str, "Only what follows a match of this is looked at."),
        arg("before", ArgKind::Str, "Only what precedes a match of this is looked at."),
        ArgDoc {
            default: "utf-8",
            ..arg("encoding", ArgKind::Choice(&["utf-8"]), "Only UTF-8 is read.")
        },
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
        ("msg", "How many replacements were made."),
        ("backup_file", "Where the old file is kept."),
    ],
    examples: "- replace:\n    path: /etc/app.conf\n    regexp: '^host=.*$'\n    replace: host={{ primary }}\n",
};

impl Module for Replace {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        args.choice("encoding", &["utf-8"], "utf-8")?;
        let regex =
            compile(&args.required("regexp")?, Anchors::Lines, false).map_err(ArgError::new)?;
        let template = args.text("replace")?.unwrap_or_default();
        let template = Replacement::parse(&template, &regex).map_err(|error| {
            ArgError::new(format!("Unable to process replace due to error: {error}"))
        })?;
        let section = match (args.text("after")?, args.text("before")?) {
            (None, None) => None,
            (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
            (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
            (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
        };
        let section = match section {
            None => None,
            Some(text) => {
                let regex = compile(&text, Anchors::Text, true).map_err(ArgError::new)?;
                Some((regex, text))
            }
        };
        let editor = Matches { regex, template, section, path: args.required("path")? };
        Ok(Box::new(Edit::new(editor, edit::placement(args, cx)?)))
    }
}

struct Matches {
    regex: fancy_regex::Regex,
    template: Replacement,
    section: Option<(fancy_regex::Regex, String)>,
    path: String,
}

impl Editor for Matches {
    fn edit(&self, text: Option<&str>) -> Result<Edited, Refusal> {
        let Some(text) = text else {
            let message = format!("Path {} does not exist !", self.path);
            return Err(Refusal::missing(message));
        };
        let data: Map<_, _> = [("rc".to_owned(), json!(0))].into_iter().collect();
        let (start, end) = match &self.section {
            None => (0, text.len()),
            Some((regex, written)) => {
                let found = regex.captures(text)?;
                let Some(section) = found.as_ref().and_then(|found| found.name("subsection"))
                else {
                    let message = format!(
                        "Pattern for before/after params did not match the given file: {written}"
                    );
                    return Ok(Edited { text: text.to_owned(), message, data });
                };
                (section.start(), section.end())
            }
        };
        let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
        let (middle, count) =
            replace_all(&self.regex, &self.template, part(start..end)).map_err(|error| {
                Refusal::new(format!("Unable to process replace due to error: {error}"))
            })?;
        let changed = middle != part(start..end);
        let new = [part(0..start), &middle, part(end..text.len())].concat();
        let message = if changed { format!("{count} replacements made") } else { String::new() };
        Ok(Edited { text: new, message, data })
    }

    fn report(&self, outcome: Outcome, backup: Option<String>) -> Outcome {
        match backup {
            Some(backup) => outcome.with("backup_file", backup),
            None => outcome,
        }
    }

    fn heading(&self, path: &str) -> String {
        path.to_owned()
    }
}
