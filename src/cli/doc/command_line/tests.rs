//! What the pages tell people to type is held against the command line itself.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;

use super::*;

/// Returns README.md and every page below docs/.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("docs can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// Returns the command lines a page quotes: lines of `sh` blocks, and `code` words that begin with a command of ours.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<bool> = None;
    let mut carried = String::new();
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = match block {
                Some(_) => None,
                None => Some(matches!(language, "" | "sh" | "console")),
            };
            continue;
        }
        match block {
            Some(true) => {
                let line = line.trim().trim_start_matches("$ ");
                if let Some(first) = line.strip_suffix('\\') {
                    carried.push_str(first);
                    continue;
                }
                let whole = std::mem::take(&mut carried) + line;
                found.extend(ours(&whole));
            }
            Some(false) => {}
            None => found.extend(line.split('`').skip(1).step_by(2).filter_map(ours)),
        }
    }
    found
}

/// Returns the part of a line that is a command of ours, as matron would get it.
fn ours(line: &str) -> Option<String> {
    let line = line.strip_prefix("target/debug/").unwrap_or(line);
    let line = match line.strip_prefix("cargo demo") {
        // The alias in .cargo/config.toml.
        Some(rest) => format!("matron lab demo{rest}"),
        None => line.to_owned(),
    };
    line.starts_with("matron ").then_some(line)
}

/// Splits as a shell does, up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | '<' | ';') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_command_line_in_the_pages_is_one_we_take() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for line in quoted(&text) {
            seen += 1;
            let Err(error) = Cli::try_parse_from(words(&line)) else { continue };
            match error.kind() {
                // Prose names verbs without what they need.
                ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                | ErrorKind::MissingSubcommand
                | ErrorKind::MissingRequiredArgument => {}
                ErrorKind::InvalidSubcommand if line.starts_with("matron VERB") => {}
                _ => wrong.push(format!("{}: {line}\n{error}", page.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 20, "only {seen} command lines were found: is this test looking?");
}

#[test]
fn words_are_split_as_a_shell_does() {
    assert_eq!(
        words("matron exec all -a 'uname -r' # why"),
        ["matron", "exec", "all", "-a", "uname -r"]
    );
    assert_eq!(words("matron doc | cat"), ["matron", "doc"]);
}

#[test]
fn page_holds_no_value_of_this_machine() {
    assert!(!page().contains("ANSIBLE_INVENTORY="), "the environment leaked into the page");
}

#[test]
fn every_verb_has_a_part() {
    let page = page();
    for verb in Cli::command().get_subcommands() {
        assert!(
            page.contains(&format!("\n## matron {}\n", verb.get_name())),
            "{}",
            verb.get_name()
        );
    }
}
