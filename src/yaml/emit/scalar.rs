//! Writing one scalar: which quotes it needs, and where it may be folded.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::{Context, Writer};
use crate::yaml::{ScalarValue, scalar_from_text};

/// A scalar as text with what its characters allow.
pub(super) struct Text {
    chars: Vec<char>,
    /// Whether the plain text would be read back as what it is.
    plain_reads_back: bool,
    multiline: bool,
    flow_plain: bool,
    block_plain: bool,
    single_quoted: bool,
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_space_or_break(c: Option<char>) -> bool {
    c.is_none_or(|c| matches!(c, '\0' | ' ' | '\t' | '\r') || is_break(c))
}

impl Text {
    pub(super) fn of(value: &Value, allow_unicode: bool) -> Self {
        if let Some(text) = value.as_str() {
            return Self::analysed(text, reads_as_string(text), allow_unicode);
        }
        let text = match value.kind() {
            ValueKind::Undefined | ValueKind::None => "null".to_owned(),
            ValueKind::Bool => value.is_true().to_string(),
            ValueKind::Number if value.is_integer() => value.to_string(),
            ValueKind::Number => f64::try_from(value.clone()).map(float_text).unwrap_or_default(),
            // ValueKind is minijinja's and may grow: anything else is written as its text.
            _ => {
                let text = value.to_string();
                return Self::analysed(&text, reads_as_string(&text), allow_unicode);
            }
        };
        Self::analysed(&text, true, allow_unicode)
    }

    fn analysed(text: &str, plain_reads_back: bool, allow_unicode: bool) -> Self {
        let chars: Vec<char> = text.chars().collect();
        if chars.is_empty() {
            return Self {
                chars,
                plain_reads_back,
                multiline: false,
                flow_plain: false,
                block_plain: true,
                single_quoted: true,
            };
        }
        let marker = text.starts_with("---") || text.starts_with("...");
        let (mut flow_indicators, mut block_indicators) = (marker, marker);
        let (mut line_breaks, mut special) = (false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut previous_space, mut previous_break) = (false, false);
        let mut after_space = true;
        for (at, c) in chars.iter().copied().enumerate() {
            let before_space = is_space_or_break(chars.get(at + 1).copied());
            if at == 0 {
                if "#,[]{}&*!|>'\"%@`".contains(c) || (c == '-' && before_space) {
                    flow_indicators = true;
                    block_indicators = true;
                }
                if c == '?' || c == ':' {
                    flow_indicators = true;
                    block_indicators |= before_space;
                }
            } else {
                flow_indicators |= ",?[]{}:".contains(c);
                block_indicators |= c == ':' && before_space;
                if c == '#' && after_space {
                    flow_indicators = true;
                    block_indicators = true;
                }
            }
            line_breaks |= is_break(c);
            special |= !(c == '\n' || is_printable(c, allow_unicode));
            if c == ' ' {
                break_space |= previous_break;
                (previous_space, previous_break) = (true, false);
            } else if is_break(c) {
                space_break |= previous_space;
                (previous_space, previous_break) = (false, true);
            } else {
                (previous_space, previous_break) = (false, false);
            }
            after_space = is_space_or_break(Some(c));
        }
        let edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
        let edges = edge(chars.first()) || edge(chars.last());
        let plain = !(edges || break_space || space_break || special || line_breaks);
        Self {
            plain_reads_back,
            multiline: line_breaks,
            flow_plain: plain && !flow_indicators,
            block_plain: plain && !block_indicators,
            single_quoted: !(break_space || space_break || special),
            chars,
        }
    }

    pub(super) fn is_simple_key(&self) -> bool {
        // PyYAML counts the five characters of an unwritten `!!str` towards its limit of 128.
        !self.chars.is_empty() && self.chars.len() + 5 < 128 && !self.multiline
    }
}

/// Tells whether a plain text is read as a string by YAML 1.1 readers, dates and the merge sign included.
fn reads_as_string(text: &str) -> bool {
    if text == "<<" || text == "=" || is_timestamp(text) {
        return false;
    }
    match scalar_from_text(text) {
        // A whole number too large for us is still a number to PyYAML.
        ScalarValue::Str => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            !(digits.starts_with(|c: char| ('1'..='9').contains(&c))
                && digits.bytes().all(|b| b.is_ascii_digit() || b == b'_'))
        }
        ScalarValue::Null | ScalarValue::Bool(_) | ScalarValue::Int(_) | ScalarValue::Float(_) => {
            false
        }
    }
}

/// `2001-12-14`, or a date and a time as YAML 1.1 spells them.
fn is_timestamp(text: &str) -> bool {
    let mut rest = text;
    let digits = |rest: &mut &str, least: usize, most: usize| {
        let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        *rest = &rest[count..];
        count >= least
    };
    let literal = |rest: &mut &str, c: char| match rest.strip_prefix(c) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    };
    if !(digits(&mut rest, 4, 4) && literal(&mut rest, '-')) {
        return false;
    }
    let month = rest.len();
    if !(digits(&mut rest, 1, 2) && literal(&mut rest, '-')) {
        return false;
    }
    let month_is_two = month - rest.len() == 3;
    let day = rest.len();
    if !digits(&mut rest, 1, 2) {
        return false;
    }
    if rest.is_empty() {
        return month_is_two && day == 2;
    }
    let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    if spaces > 0 {
        rest = &rest[spaces..];
    } else if !(literal(&mut rest, 'T') || literal(&mut rest, 't')) {
        return false;
    }
    if !(digits(&mut rest, 1, 2)
        && literal(&mut rest, ':')
        && digits(&mut rest, 2, 2)
        && literal(&mut rest, ':')
        && digits(&mut rest, 2, 2))
    {
        return false;
    }
    if literal(&mut rest, '.') {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    rest = rest.trim_start_matches([' ', '\t']);
    if rest.is_empty() || rest == "Z" {
        return true;
    }
    (literal(&mut rest, '-') || literal(&mut rest, '+'))
        && digits(&mut rest, 1, 2)
        && (rest.is_empty()
            || (literal(&mut rest, ':') && digits(&mut rest, 2, 2) && rest.is_empty()))
}

fn is_printable(c: char, allow_unicode: bool) -> bool {
    matches!(c, ' '..='~')
        || (allow_unicode
            && c != '\u{feff}'
            && matches!(c, '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}'))
}

/// A float as Python's `repr` writes it, in YAML's clothes: the shortest digits that read back.
fn float_text(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let text = value.to_string();
        return if text.contains('.') { text } else { format!("{text}.0") };
    }
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{point}e{sign}{:02}", exponent.abs())
}

impl Writer {
    pub(super) fn scalar(&mut self, text: &Text, context: Context) {
        let is_key = context == Context::SimpleKey;
        let split = !is_key;
        let fits_plain = if self.flow_level > 0 { text.flow_plain } else { text.block_plain };
        if text.plain_reads_back
            && fits_plain
            && !(is_key && (text.chars.is_empty() || text.multiline))
        {
            self.plain(&text.chars, split);
            if context == Context::Root {
                self.open_ended = true;
            }
        } else if text.single_quoted && !(is_key && text.multiline) {
            self.single_quoted(&text.chars, split);
        } else {
            self.double_quoted(&text.chars, split);
        }
    }

    fn put_chars(&mut self, chars: &[char]) {
        self.column += chars.len();
        self.out.extend(chars);
    }

    fn plain(&mut self, chars: &[char], split: bool) {
        if chars.is_empty() {
            return;
        }
        if !self.whitespace {
            self.put(" ");
        }
        self.whitespace = false;
        self.indention = false;
        for run in chars.chunk_by(|a, b| (*a == ' ') == (*b == ' ')) {
            if run == [' '] && self.column > self.best_width && split {
                self.write_indent();
                self.whitespace = false;
                self.indention = false;
            } else {
                self.put_chars(run);
            }
        }
    }

    fn single_quoted(&mut self, chars: &[char], split: bool) {
        let kind = |c: char| {
            if c == ' ' {
                0
            } else if is_break(c) {
                1
            } else {
                2
            }
        };
        self.indicator("'", true, false, false);
        let mut at = 0;
        for run in chars.chunk_by(|a, b| kind(*a) == kind(*b)) {
            let first = at == 0;
            at += run.len();
            match run.first().map(|c| kind(*c)) {
                Some(0) => {
                    let inside = !first && at != chars.len();
                    if run.len() == 1 && self.column > self.best_width && split && inside {
                        self.write_indent();
                    } else {
                        self.put_chars(run);
                    }
                }
                Some(1) => {
                    // One line break alone would be folded into a space when read.
                    if run.first() == Some(&'\n') {
                        self.line_break('\n');
                    }
                    for c in run {
                        self.line_break(*c);
                    }
                    self.write_indent();
                }
                Some(_) | None => {
                    for c in run {
                        if *c == '\'' {
                            self.put("'");
                        }
                        self.put_chars(&[*c]);
                    }
                }
            }
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, chars: &[char], split: bool) {
        self.indicator("\"", true, false, false);
        let mut start = 0;
        for end in 0..=chars.len() {
            let c = chars.get(end).copied();
            let escape = c.is_none_or(|c| self.needs_escape(c));
            if escape {
                self.put_chars(chars.get(start..end).unwrap_or_default());
                start = end;
                if let Some(c) = c {
                    self.put(&escaped(c));
                    start = end + 1;
                }
            }
            let inside = end > 0 && end + 1 < chars.len();
            let reached = self.column + end.saturating_sub(start);
            // After an escape `start` is one past `end`, and PyYAML counts that column back.
            let reached = if start > end { reached.saturating_sub(start - end) } else { reached };
            if inside && (c == Some(' ') || start >= end) && reached > self.best_width && split {
                let rest = chars.get(start..end).unwrap_or_default();
                self.put_chars(rest);
                self.put("\\");
                start = start.max(end);
                self.write_indent();
                self.whitespace = false;
                self.indention = false;
                if chars.get(start) == Some(&' ') {
                    self.put("\\");
                }
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn needs_escape(&self, c: char) -> bool {
        if matches!(c, '"' | '\\' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') {
            return true;
        }
        let plain =
            matches!(c, ' '..='~') || (self.allow_unicode && matches!(c, '\u{a0}'..='\u{fffd}'));
        !plain
    }
}

fn escaped(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}
