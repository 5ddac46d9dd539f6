//! `matron doc`: the pages of modules and of the command line, made from the same tables that both are checked against.

mod command_line;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::modules::{self, ArgDoc, ArgKind, CheckMode, Doc, Reach};

/// Show the pages of modules, or export the bundled playbooks
#[derive(Debug, Args)]
pub(super) struct DocArgs {
    /// A module; all of them by name and summary when none is given
    module: Option<String>,
    /// Write every module's page, and an index, below this folder as Markdown
    #[arg(long, value_name = "FOLDER", conflicts_with = "module")]
    markdown: Option<PathBuf>,
    /// Write the reference of this command line into a file as Markdown
    #[arg(long, value_name = "FILE", conflicts_with_all = ["module", "markdown"])]
    cli: Option<PathBuf>,
    /// Write the bundled playbooks and templates below this folder, to read, copy or change
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["module", "markdown", "cli"])]
    export: Option<PathBuf>,
}

pub(super) fn run(args: DocArgs) -> Result<u8, Failure> {
    if let Some(folder) = args.export {
        let written = super::files::export(&folder).map_err(|error| {
            Failure::general(format!("cannot write below {}: {error}", folder.display()))
        })?;
        for path in written {
            super::say(&path.display().to_string());
        }
        return Ok(0);
    }
    if let Some(folder) = args.markdown {
        let say = |error: std::io::Error| {
            Failure::general(format!("cannot write below {}: {error}", folder.display()))
        };
        std::fs::create_dir_all(&folder).map_err(say)?;
        for module in modules::ALL {
            let doc = module.doc();
            std::fs::write(folder.join(format!("{}.md", doc.name)), markdown(doc)).map_err(say)?;
        }
        std::fs::write(folder.join("index.md"), index()).map_err(say)?;
        return Ok(0);
    }
    if let Some(file) = args.cli {
        std::fs::write(&file, command_line::page()).map_err(|error| {
            Failure::general(format!("cannot write {}: {error}", file.display()))
        })?;
        return Ok(0);
    }
    let Some(name) = args.module else {
        for module in modules::ALL {
            super::say(&format!("{:<22} {}", module.doc().name, module.doc().summary));
        }
        return Ok(0);
    };
    let short = name.rsplit('.').next().unwrap_or(&name);
    let module = modules::find(short).ok_or_else(|| {
        let failure = Failure::general(format!("there is no module '{name}'"));
        match crate::names::nearest(short, modules::ALL.iter().map(|module| module.doc().name)) {
            Some(near) => failure.hint(format!("did you mean '{near}'?")),
            None => failure.hint("matron doc lists them all"),
        }
    })?;
    super::say(markdown(module.doc()).trim_end());
    Ok(0)
}

/// Returns the page that leads to all the others.
fn index() -> String {
    let mut page = "# Modules\n\nWritten by `matron doc --markdown docs/modules`; `matron doc NAME` shows one page.\n".to_owned();
    for (head, own) in [("Any host", false), ("PostgreSQL in containers", true)] {
        let _ = write!(page, "\n## {head}\n\n| module | what it does |\n| --- | --- |\n");
        for doc in modules::ALL.iter().map(|module| module.doc()) {
            if doc.name.starts_with("pg_") == own {
                let _ = writeln!(page, "| [{0}]({0}.md) | {1} |", doc.name, cell(doc.summary));
            }
        }
    }
    page
}

/// Returns a module's page.
pub(super) fn markdown(doc: &Doc) -> String {
    let mut page = format!("# {}\n\n{}\n", doc.name, doc.summary);
    if !doc.description.is_empty() {
        let _ = writeln!(page, "\n{}", doc.description.trim());
    }
    if !doc.args.is_empty() {
        page.push_str("\n| argument | type | meaning |\n| --- | --- | --- |\n");
        for arg in doc.args {
            let _ = writeln!(page, "| {} | {} | {} |", name(arg), kind(arg), meaning(arg));
        }
    }
    if let Some(free) = doc.free_form {
        let _ = writeln!(page, "\nFree-form text is `{free}`.");
    }
    if doc.open {
        page.push_str("\nAny other argument is data.\n");
    }
    let check = match doc.check_mode {
        CheckMode::Full => "says what would change",
        CheckMode::Skipped => "is skipped",
    };
    let reach = match doc.reach {
        Reach::Controller => "runs on the controller only",
        Reach::Local => "touches its own host only",
        Reach::Visible => "can be noticed by other hosts",
    };
    let _ = writeln!(page, "\nIn check mode it {check}. It {reach}.");
    if !doc.returns.is_empty() {
        page.push_str("\n| result | meaning |\n| --- | --- |\n");
        for (key, meaning) in doc.returns {
            let _ = writeln!(page, "| `{key}` | {} |", cell(meaning));
        }
    }
    if !doc.examples.is_empty() {
        let _ = write!(page, "\n```yaml\n{}\n```\n", doc.examples.trim());
    }
    page
}

fn name(arg: &ArgDoc) -> String {
    let mut text = format!("`{}`", arg.name);
    for alias in arg.aliases {
        let _ = write!(text, ", `{alias}`");
    }
    text
}

fn kind(arg: &ArgDoc) -> String {
    let word = match arg.kind {
        ArgKind::Str => "text".to_owned(),
        ArgKind::Path => "path".to_owned(),
        ArgKind::Bool => "yes/no".to_owned(),
        ArgKind::Int => "whole number".to_owned(),
        ArgKind::Float => "number".to_owned(),
        ArgKind::List => "list".to_owned(),
        ArgKind::Dict => "mapping".to_owned(),
        ArgKind::Mode => "file mode".to_owned(),
        ArgKind::Raw => "anything".to_owned(),
        ArgKind::Choice(choices) => choices.join(", "),
        ArgKind::Expression => "expression".to_owned(),
        ArgKind::Ignored(_) => "accepted, without effect".to_owned(),
    };
    if arg.required { format!("{word}, required") } else { word }
}

fn meaning(arg: &ArgDoc) -> String {
    let mut text = arg.help.trim().to_owned();
    if let ArgKind::Ignored(why) = arg.kind {
        let _ = write!(text, " ({why})");
    }
    if !arg.default.is_empty() {
        let _ = write!(text, " Default: `{}`.", arg.default);
    }
    cell(&text)
}

/// Keeps text inside a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}
