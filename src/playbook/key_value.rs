//! The `key=value` form of module arguments: `copy: src=a dest="b c"`, `command: ls creates=/x`.
//!
//! Words end at white space outside quotes and outside `{{ }}`, `{% %}`, `{# #}`. A value may be quoted as a whole; then the
//! quotes go. Backslash escapes that Python knows (`\n`, `\t`, `\"`, `\x41`, `\u00e9` ...) are decoded in values, others
//! (`\d`, `\1`) stay, so regular expressions survive.

use std::ops::Range;

use thiserror::Error;

/// Why a text cannot be split.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("failed at splitting arguments, either an unbalanced jinja2 block or quotes: {text}")]
pub struct KeyValueError {
    /// The text.
    pub text: String,
}

/// One `key=value` word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// Before the `=`.
    pub name: String,
    /// After it, unquoted and unescaped.
    pub value: String,
    /// Bytes of the name in the text.
    pub name_at: Range<usize>,
}

/// A text in its parts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parts {
    /// The `key=value` words in order.
    pub pairs: Vec<Pair>,
    /// What else there is, as written; `None` when nothing.
    pub rest: Option<String>,
}

/// Options that `command`, `shell`, `raw` and `script` take inside their free-form text; any other `a=b` there is text.
const COMMAND_OPTIONS: [&str; 8] = [
    "creates",
    "removes",
    "chdir",
    "executable",
    "warn",
    "stdin",
    "stdin_add_newline",
    "strip_empty_ends",
];

/// The pairs in order, and what else there is.
pub type Split = (Vec<(String, String)>, Option<String>);

/// Splits `a=1 b="x y" rest` into pairs and the rest.
pub fn split(text: &str) -> Result<Split, KeyValueError> {
    parts(text).map(Parts::into_pairs)
}

/// Splits the text of `command`, `shell`, `raw` or `script`: only their options are pairs, all else is the command.
pub fn split_command(text: &str) -> Result<Split, KeyValueError> {
    command_parts(text).map(Parts::into_pairs)
}

/// Like [`split`], with places.
pub fn parts(text: &str) -> Result<Parts, KeyValueError> {
    let (pairs, rest) = take_pairs(text, |_| true)?;
    let rest = rest.trim();
    Ok(Parts { pairs, rest: (!rest.is_empty()).then(|| rest.to_owned()) })
}

/// Like [`split_command`], with places.
pub fn command_parts(text: &str) -> Result<Parts, KeyValueError> {
    let (pairs, rest) = take_pairs(text, |name| COMMAND_OPTIONS.contains(&name))?;
    // `\=` keeps an `a=b` from being taken for an option; the end of the last line stays, as in the results of Ansible.
    let rest = rest.trim_matches(' ').replace("\\=", "=");
    Ok(Parts { pairs, rest: (!rest.trim().is_empty()).then_some(rest) })
}

impl Parts {
    fn into_pairs(self) -> Split {
        let pairs = self.pairs.into_iter().map(|pair| (pair.name, pair.value)).collect();
        (pairs, self.rest)
    }
}

fn take_pairs(
    text: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<(Vec<Pair>, String), KeyValueError> {
    let (words, joins) = words(text)?;
    let copy = |rest: &mut String, range: Range<usize>| {
        let mut from = range.start;
        for join in joins.iter().filter(|join| range.contains(join)) {
            rest.push_str(text.get(from..*join).unwrap_or_default());
            from = join + 2;
        }
        rest.push_str(text.get(from..range.end).unwrap_or_default());
    };
    let mut pairs = Vec::new();
    let mut rest = String::new();
    let mut kept_to = 0;
    for word in words {
        let written = text.get(word.clone()).unwrap_or_default();
        let Some((name, value)) = pair_of(written).filter(|(name, _)| wanted(name)) else {
            continue;
        };
        copy(&mut rest, kept_to..word.start);
        kept_to = word.end;
        // The blank after an option goes with it, else `ls creates=x -l` would keep two.
        if text.get(kept_to..).is_some_and(|after| after.starts_with(' ')) {
            kept_to += 1;
        }
        let name_at = word.start..word.start + name.len();
        pairs.push(Pair { name: name.to_owned(), value: plain_value(value), name_at });
    }
    copy(&mut rest, kept_to..text.len());
    Ok((pairs, rest))
}

/// Returns the two sides when a word is `name=value` and the name can be one.
fn pair_of(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let mut letters = name.chars();
    let starts = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let goes_on = letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    (starts && goes_on).then_some((name, value))
}

/// Returns the byte ranges of the words, and where a backslash joins a line to the next.
fn words(text: &str) -> Result<(Vec<Range<usize>>, Vec<usize>), KeyValueError> {
    let mut joins = Vec::new();
    let unbalanced = || KeyValueError { text: text.to_owned() };
    let mut words = Vec::new();
    let mut start = None;
    let mut quote: Option<char> = None;
    let mut rest = text.char_indices().peekable();
    while let Some((at, letter)) = rest.next() {
        if let Some(close) = block_opened(text, at) {
            start.get_or_insert(at);
            let end = block_end(text, at + 2, close).ok_or_else(unbalanced)?;
            while rest.peek().is_some_and(|(next, _)| *next < end) {
                rest.next();
            }
            continue;
        }
        match quote {
            None if letter == '\\' && rest.peek().is_some_and(|(_, next)| *next == '\n') => {
                joins.push(at);
                if let Some(from) = start.take() {
                    words.push(from..at);
                }
                rest.next();
                continue;
            }
            None if letter.is_whitespace() => {
                if let Some(from) = start.take() {
                    words.push(from..at);
                }
                continue;
            }
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            Some(open) if open == letter => quote = None,
            None | Some(_) => {}
        }
        start.get_or_insert(at);
        if letter == '\\' {
            // An escaped quote neither opens nor closes; an escaped blank still ends a word.
            if rest.peek().is_some_and(|(_, next)| matches!(next, '"' | '\'' | '\\')) {
                rest.next();
            }
        }
    }
    if quote.is_some() {
        return Err(unbalanced());
    }
    if let Some(from) = start {
        words.push(from..text.len());
    }
    Ok((words, joins))
}

/// Returns what closes the template block that opens at `at`, if one does.
fn block_opened(text: &str, at: usize) -> Option<&'static str> {
    match text.get(at..at + 2)? {
        "{{" => Some("}}"),
        "{%" => Some("%}"),
        "{#" => Some("#}"),
        _ => None,
    }
}

/// Returns the byte after the end of a template block; quotes inside expressions may hold its end marker.
fn block_end(text: &str, from: usize, close: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut depth = 0_usize;
    for (offset, letter) in text.get(from..)?.char_indices() {
        let at = from + offset;
        if escaped {
            escaped = false;
            continue;
        }
        if let Some(open) = quote {
            escaped = letter == '\\';
            if letter == open {
                quote = None;
            }
            continue;
        }
        if depth == 0 && text.get(at..).is_some_and(|rest| rest.starts_with(close)) {
            return Some(at + close.len());
        }
        if close != "#}" {
            match letter {
                '"' | '\'' => quote = Some(letter),
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    None
}

/// Takes the quotes off a value that is quoted as a whole, and decodes escapes.
fn plain_value(value: &str) -> String {
    let value = value.trim();
    let first = value.chars().next();
    let quoted = value.len() > 1
        && matches!(first, Some('"' | '\''))
        && value.chars().last() == first
        && !value.ends_with("\\\"")
        && !value.ends_with("\\'");
    let inner = if quoted { value.get(1..value.len() - 1).unwrap_or(value) } else { value };
    decode_escapes(inner)
}

fn decode_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let mut letters = from.chars();
        letters.next();
        let letter = letters.next();
        let simple = match letter {
            Some('\\') => Some('\\'),
            Some('\'') => Some('\''),
            Some('"') => Some('"'),
            Some('a') => Some('\u{7}'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('v') => Some('\u{b}'),
            Some(_) | None => None,
        };
        if let Some(meant) = simple {
            out.push(meant);
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        let digits = match letter {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(_) | None => 0,
        };
        let coded = from
            .get(2..2 + digits)
            .filter(|_| digits > 0)
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32);
        if let Some(meant) = coded {
            out.push(meant);
            rest = from.get(2 + digits..).unwrap_or_default();
        } else {
            out.push('\\');
            rest = from.get(1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        split(text).unwrap().0
    }

    fn one(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn quotes_hold_blanks_and_go_away() {
        assert_eq!(pairs("msg=\"a b\""), one("msg", "a b"));
        assert_eq!(pairs("msg='it is \"x\"'"), one("msg", "it is \"x\""));
    }

    #[test]
    fn templates_stay_in_one_word_with_quotes_and_blanks_inside() {
        assert_eq!(
            pairs("msg={{ a | default('x y') }}/z"),
            one("msg", "{{ a | default('x y') }}/z")
        );
        assert_eq!(
            pairs("msg=\"{{ a | default(\"x y\") }}\""),
            one("msg", "{{ a | default(\"x y\") }}")
        );
        assert_eq!(
            pairs("msg={{ {'a': {'b': 1}}['a'] }}"),
            one("msg", "{{ {'a': {'b': 1}}['a'] }}")
        );
    }

    #[test]
    fn known_escapes_are_decoded_and_regular_expressions_survive() {
        assert_eq!(pairs(r#"line="a\tb\n""#), one("line", "a\tb\n"));
        assert_eq!(pairs(r"regexp='^\s+(\d) \1'"), one("regexp", r"^\s+(\d) \1"));
        assert_eq!(pairs(r"c=\x41\u00e9"), one("c", "Aé"));
    }

    #[test]
    fn command_keeps_its_own_equal_signs_and_gives_up_its_options() {
        let (options, command) = split_command("FOO=1 ls  -l creates=/x a=b").unwrap();
        assert_eq!(options, one("creates", "/x"));
        assert_eq!(command.as_deref(), Some("FOO=1 ls  -l a=b"));
    }

    #[test]
    fn command_text_keeps_quotes_and_line_ends() {
        let (_, command) = split_command("echo 'a   b'\n  echo \"c\\n\"\n").unwrap();
        assert_eq!(command.as_deref(), Some("echo 'a   b'\n  echo \"c\\n\"\n"));
    }

    #[test]
    fn command_lines_ended_by_a_backslash_are_joined() {
        let (options, command) = split_command("ls \\\n -l creates=/x\n").unwrap();
        assert_eq!(options, one("creates", "/x"));
        assert_eq!(command.as_deref(), Some("ls  -l \n"));
    }

    #[test]
    fn escaped_equal_sign_is_text() {
        let (options, command) = split_command("env creates\\=1").unwrap();
        assert_eq!(options, []);
        assert_eq!(command.as_deref(), Some("env creates=1"));
    }

    #[test]
    fn unbalanced_quotes_and_blocks_are_refused() {
        assert!(split("msg='a").is_err());
        assert!(split_command("echo don't").is_err());
        assert!(split("msg={{ a").is_err());
    }

    #[test]
    fn text_beside_pairs_is_the_rest() {
        let (found, rest) = split("tasks.yml a=1").unwrap();
        assert_eq!(found, one("a", "1"));
        assert_eq!(rest.as_deref(), Some("tasks.yml"));
    }

    #[test]
    fn place_of_a_name_is_its_bytes() {
        let found = parts("é src=a").unwrap();
        assert_eq!(found.pairs[0].name_at, 3..6);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _outcome = split(&text).is_ok();
            let _outcome = split_command(&text).is_ok();
        }
    }
}
