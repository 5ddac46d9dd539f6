//! Python's regular expressions on top of `fancy_regex`: the pattern syntax, and the templates of `re.sub` and `expand`.

use fancy_regex::{Captures, Regex};

/// How `^` and `$` are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchors {
    /// `$` is the end of the text, also before a last line end.
    Text,
    /// `re.MULTILINE`.
    Lines,
}

/// Compiles a pattern written for Python's `re`.
pub(super) fn compile(pattern: &str, anchors: Anchors, dot_all: bool) -> Result<Regex, String> {
    let mut translated = String::new();
    match (anchors, dot_all) {
        (Anchors::Text, false) => {}
        (Anchors::Text, true) => translated.push_str("(?s)"),
        (Anchors::Lines, false) => translated.push_str("(?m)"),
        (Anchors::Lines, true) => translated.push_str("(?ms)"),
    }
    translated.push_str(&translate(pattern, anchors));
    Regex::new(&translated)
        .map_err(|error| format!("'{pattern}' is not a regular expression: {error}"))
}

/// Rewrites what the two dialects read differently: `$`, `\Z`, lone braces, and class members that Rust reads as operators.
fn translate(pattern: &str, anchors: Anchors) -> String {
    let letters: Vec<char> = pattern.chars().collect();
    let at = |index: usize| letters.get(index).copied();
    let own_flag = pattern.contains("(?m") || pattern.contains("(?im") || pattern.contains("(?sm");
    let mut out = String::new();
    let mut index = 0;
    let mut class_start = None;
    while let Some(letter) = at(index) {
        index += 1;
        if letter == '\\' {
            let next = at(index);
            index += 1;
            match next {
                Some('Z') if class_start.is_none() => out.push_str(r"\z"),
                Some(escaped) if escaped.is_ascii_alphanumeric() => out.extend(['\\', escaped]),
                Some(escaped) if r"\.+*?()|[]{}^$-&~#".contains(escaped) => {
                    out.extend(['\\', escaped]);
                }
                Some(' ') => out.push_str(r"\x20"),
                Some(other) => out.push(other),
                None => out.push('\\'),
            }
            continue;
        }
        if let Some(start) = class_start {
            // A bracket right after the opening one is a member in Python.
            let first = index == start + 1;
            match letter {
                ']' if !first => {
                    class_start = None;
                    out.push(']');
                }
                '^' if first => {
                    class_start = Some(start + 1);
                    out.push('^');
                }
                ']' | '[' | '&' | '~' => out.extend(['\\', letter]),
                '-' if at(index) == Some('-') => out.push_str(r"\-"),
                other => out.push(other),
            }
            continue;
        }
        match letter {
            '[' => {
                class_start = Some(index);
                out.push('[');
            }
            '$' if anchors == Anchors::Text && !own_flag => out.push_str(r"(?=\n?\z)"),
            '{' => match quantifier(letters.get(index..).unwrap_or_default()) {
                Some((text, length)) => {
                    out.push_str(&text);
                    index += length;
                }
                None => out.push_str(r"\{"),
            },
            '}' => out.push_str(r"\}"),
            other => out.push(other),
        }
    }
    out
}

/// Reads `n}`, `n,}`, `,m}` or `n,m}` behind an opening brace; anything else is plain text in Python.
fn quantifier(rest: &[char]) -> Option<(String, usize)> {
    let end = rest.iter().position(|letter| *letter == '}')?;
    let inside: String = rest.get(..end)?.iter().collect();
    let (least, most) = inside.split_once(',').unwrap_or((&inside, &inside));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if inside.is_empty() || inside == "," || !digits(least) || !digits(most) {
        return None;
    }
    let least = if least.is_empty() { "0" } else { least };
    let text =
        if inside.contains(',') { format!("{{{least},{most}}}") } else { format!("{{{least}}}") };
    Some((text, end + 1))
}

/// A replacement template (`\1`, `\g<name>`, `\n` …), read once.
#[derive(Debug)]
pub(super) struct Replacement {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Number(usize),
    Name(String),
}

impl Replacement {
    /// Reads a template for a pattern; the error texts are Python's.
    pub(super) fn parse(template: &str, regex: &Regex) -> Result<Self, String> {
        let mut parts = vec![];
        let mut text = String::new();
        let mut letters = template.char_indices().peekable();
        while let Some((position, letter)) = letters.next() {
            if letter != '\\' {
                text.push(letter);
                continue;
            }
            let Some((_, next)) = letters.next() else {
                return Err(format!("bad escape (end of pattern) at position {position}"));
            };
            let group = match next {
                'n' => {
                    text.push('\n');
                    continue;
                }
                't' => {
                    text.push('\t');
                    continue;
                }
                'r' => {
                    text.push('\r');
                    continue;
                }
                'a' => {
                    text.push('\x07');
                    continue;
                }
                'f' => {
                    text.push('\x0c');
                    continue;
                }
                'v' => {
                    text.push('\x0b');
                    continue;
                }
                'b' => {
                    text.push('\x08');
                    continue;
                }
                '0' => {
                    text.push('\0');
                    continue;
                }
                '\\' => {
                    text.push('\\');
                    continue;
                }
                'g' => {
                    let rest: String = template.chars().skip(position + 2).collect();
                    let name = rest
                        .strip_prefix('<')
                        .and_then(|rest| rest.split_once('>'))
                        .map(|(name, _)| name.to_owned())
                        .ok_or_else(|| {
                            format!("missing group name at position {}", position + 2)
                        })?;
                    for _ in 0..name.chars().count() + 2 {
                        letters.next();
                    }
                    match name.parse() {
                        Ok(number) => Part::Number(number),
                        Err(_) => Part::Name(name),
                    }
                }
                digit @ '1'..='9' => {
                    let mut number = digit.to_digit(10).unwrap_or_default() as usize;
                    if let Some(second) = letters.peek().and_then(|(_, c)| c.to_digit(10)) {
                        letters.next();
                        number = number * 10 + second as usize;
                    }
                    Part::Number(number)
                }
                letter if letter.is_ascii_alphabetic() => {
                    return Err(format!("bad escape \\{letter} at position {position}"));
                }
                other => {
                    text.extend(['\\', other]);
                    continue;
                }
            };
            match &group {
                Part::Number(number) if *number >= regex.captures_len() => {
                    return Err(format!(
                        "invalid group reference {number} at position {}",
                        position + 1
                    ));
                }
                Part::Name(name) if !regex.capture_names().flatten().any(|known| known == name) => {
                    return Err(format!("unknown group name '{name}'"));
                }
                Part::Number(_) | Part::Name(_) | Part::Text(_) => {}
            }
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(group);
        }
        parts.push(Part::Text(text));
        Ok(Self { parts })
    }

    /// Fills the template from a match; groups that took no part are empty.
    pub(super) fn expand(&self, captures: &Captures<'_, str>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Number(number) => {
                    out.push_str(captures.get(*number).map_or("", |found| found.as_str()));
                }
                Part::Name(name) => {
                    out.push_str(captures.name(name).map_or("", |found| found.as_str()));
                }
            }
        }
        out
    }
}

/// Replaces every match and counts them, as `re.subn` does (an empty match right behind another one counts as well).
pub(super) fn replace_all(
    regex: &Regex,
    template: &Replacement,
    text: &str,
) -> Result<(String, usize), String> {
    let mut out = String::new();
    let (mut from, mut copied, mut count) = (0, 0, 0);
    while from <= text.len() {
        let found = regex.captures_from_pos(text, from).map_err(|error| error.to_string())?;
        let Some(captures) = found else { break };
        let Some(whole) = captures.get(0) else { break };
        out.push_str(text.get(copied..whole.start()).unwrap_or_default());
        out.push_str(&template.expand(&captures));
        count += 1;
        copied = whole.end();
        from = whole.end();
        if whole.start() == whole.end() {
            from += text.get(from..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Ok((out, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(pattern: &str, template: &str, text: &str) -> Result<(String, usize), String> {
        let regex = compile(pattern, Anchors::Lines, false)?;
        replace_all(&regex, &Replacement::parse(template, &regex)?, text)
    }

    #[test]
    fn substitution_is_pythons() {
        // Right sides as python3.11's re.subn(pattern, template, text, flags=re.MULTILINE) gives them.
        for (pattern, template, text, result, count) in [
            ("z*", "-", "a\nbc\nzzz\n", "-a-\n-b-c-\n--\n-", 8),
            (r"^a(\d)$", r"A\1", "a8\nb\na9\n", "A8\nb\nA9\n", 2),
            (r"(?P<k>\w+)=(\w+)", r"\2=\g<k>\.\\\t$1", "x=1", "1=x\\.\\\t$1", 1),
            (r"[]a[&]+", "_", "x]a[&y", "x_y", 1),
            ("^foo {$", "bar {{", "foo {\n", "bar {{\n", 1),
            (r"a{,2}b\/\-\<", "X", "aab/-<", "X", 1),
            ("(a)|(b)", r"[\1\2]", "ab", "[a][b]", 2),
        ] {
            assert_eq!(sub(pattern, template, text), Ok((result.to_owned(), count)), "{pattern}");
        }
    }

    #[test]
    fn a_wrong_group_is_told_in_pythons_words() {
        assert_eq!(sub("a", r"\9", "a"), Err("invalid group reference 9 at position 1".to_owned()));
        assert_eq!(sub("a", r"\q", "a"), Err(r"bad escape \q at position 0".to_owned()));
    }

    #[test]
    fn dollar_matches_before_the_last_line_end() {
        let regex = compile("^port=5432$", Anchors::Text, false).map_err(|error| panic!("{error}"));
        assert_eq!(regex.map(|regex| regex.is_match("port=5432\n").ok()), Ok::<_, ()>(Some(true)));
    }
}
