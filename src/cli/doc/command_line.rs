//! The reference of the command line, rendered from clap's own tables.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::cell;
use crate::cli::Cli;

/// Flags of one heading that several verbs share.
struct Shared {
    heading: String,
    flags: Vec<Arg>,
}

/// Returns the whole page.
pub(super) fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page =
        "# Command line\n\nWritten by `matron doc --cli docs/cli.md`; `matron VERB --help` shows the same.\n"
            .to_owned();
    if let Some(text) = root.get_after_help() {
        let _ = write!(page, "\n{text}\n");
    }
    let mut shared: Vec<Shared> = Vec::new();
    verbs(&root, "matron", &mut page, &mut shared);
    for group in shared {
        let _ = write!(page, "\n## Flags: {}\n\n", group.heading);
        table(&mut page, &group.flags.iter().collect::<Vec<_>>());
    }
    page
}

fn verbs(command: &Command, path: &str, page: &mut String, shared: &mut Vec<Shared>) {
    let shown = command.get_subcommands().filter(|verb| {
        // clap adds `help` below every verb that has verbs.
        !verb.is_hide_set() && verb.get_name() != "help"
    });
    for verb in shown {
        let path = format!("{path} {}", verb.get_name());
        let inherited = command.get_arguments().filter(|arg| arg.is_global_set()).map(Arg::get_id);
        one(verb, &path, &inherited.collect::<Vec<_>>(), page, shared);
        if verb.get_arguments().any(Arg::is_global_set) && verb.has_subcommands() {
            page.push_str("\nThese flags are taken by each of its verbs too.\n");
        }
        verbs(verb, &path, page, shared);
    }
}

/// Writes one verb's part.
fn one(
    verb: &Command,
    path: &str,
    inherited: &[&clap::Id],
    page: &mut String,
    shared: &mut Vec<Shared>,
) {
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "\n## {path}\n\n{about}.\n");
    if verb.has_subcommands() && verb.is_subcommand_required_set() {
        let names: Vec<String> = verb
            .get_subcommands()
            .filter(|below| below.get_name() != "help")
            .map(|below| format!("`{path} {}`", below.get_name()))
            .collect();
        let _ = write!(page, "\nOne of: {}.\n", names.join(", "));
    }
    let mut own = Vec::new();
    let mut headings: Vec<&str> = Vec::new();
    for arg in verb.get_arguments() {
        let asks = matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        if asks || arg.is_hide_set() || inherited.contains(&arg.get_id()) {
            continue;
        }
        let Some(heading) = arg.get_help_heading() else {
            own.push(arg);
            continue;
        };
        if !headings.contains(&heading) {
            headings.push(heading);
        }
        remember(shared, heading, arg);
    }
    if !own.is_empty() {
        page.push('\n');
        table(page, &own);
    }
    if !headings.is_empty() {
        let links: Vec<String> =
            headings.iter().map(|heading| format!("[{heading}]({})", anchor(heading))).collect();
        let _ = write!(page, "\nTakes the flags of: {}.\n", links.join(", "));
    }
}

fn remember(shared: &mut Vec<Shared>, heading: &str, arg: &Arg) {
    if !shared.iter().any(|group| group.heading == heading) {
        shared.push(Shared { heading: heading.to_owned(), flags: Vec::new() });
    }
    let Some(group) = shared.iter_mut().find(|group| group.heading == heading) else { return };
    if !group.flags.iter().any(|known| known.get_id() == arg.get_id()) {
        group.flags.push(arg.clone());
    }
}

/// Returns the address of a heading as Markdown renderers make it.
fn anchor(heading: &str) -> String {
    format!("#flags-{}", heading.to_lowercase().replace(' ', "-"))
}

fn table(page: &mut String, args: &[&Arg]) {
    page.push_str("| argument | meaning |\n| --- | --- |\n");
    for arg in args {
        let _ = writeln!(page, "| {} | {} |", name(arg), meaning(arg));
    }
}

fn name(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    if arg.is_positional() {
        let value = value.unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
        return format!("`{}`", value.to_uppercase());
    }
    let value = value.map(|value| format!(" {value}")).unwrap_or_default();
    let mut words = Vec::new();
    words.extend(arg.get_short().map(|short| format!("`-{short}{value}`")));
    let longs = arg.get_long().into_iter().chain(arg.get_visible_aliases().into_iter().flatten());
    words.extend(longs.map(|long| format!("`--{long}{value}`")));
    words.join(", ")
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if !text.ends_with('.') {
        text.push('.');
    }
    if arg.get_action().takes_values() {
        let choices = arg.get_possible_values();
        if !choices.is_empty() {
            let words: Vec<String> = choices
                .iter()
                .filter(|choice| !choice.is_hide_set())
                .map(|choice| match choice.get_help() {
                    Some(help) => format!("`{}` ({help})", choice.get_name()),
                    None => format!("`{}`", choice.get_name()),
                })
                .collect();
            let _ = write!(text, " One of {}.", words.join(", "));
        }
        let defaults: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if defaults.iter().any(|value| !value.is_empty()) {
            let _ = write!(text, " Default: `{}`.", defaults.join(" "));
        }
    }
    // The variable's name only: its value is this machine's, and no part of a page.
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " Environment: `{}`.", variable.to_string_lossy());
    }
    cell(&text)
}

#[cfg(test)]
#[path = "command_line/tests.rs"]
mod tests;
