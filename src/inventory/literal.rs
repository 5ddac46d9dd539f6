//! INI values: a Python literal when the whole text is one, else the text.

use std::sync::Arc;

use crate::source::Span;
use crate::yaml::{Node, NodeKind, Scalar, ScalarValue, Style};

const MAX_DEPTH: usize = 50;

/// Returns the node a value text stands for.
pub(super) fn value(text: &str, span: Span) -> Node {
    let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']), span };
    match reader.whole() {
        Some(node) => node,
        None => Node::string(text, span),
    }
}

struct Reader<'t> {
    rest: &'t str,
    span: Span,
}

impl Reader<'_> {
    fn whole(&mut self) -> Option<Node> {
        let first = self.one(0)?;
        self.spaces(false);
        // `80, 443` is a tuple without brackets.
        if !self.rest.starts_with(',') {
            return self.at_end().then_some(first);
        }
        let mut items = vec![first];
        while self.take(',') {
            self.spaces(false);
            if self.at_end() {
                break;
            }
            items.push(self.one(0)?);
            self.spaces(false);
        }
        self.at_end().then(|| self.seq(items))
    }

    fn at_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn spaces(&mut self, newlines: bool) {
        let blank =
            |c: char| matches!(c, ' ' | '\t' | '\x0c') || (newlines && matches!(c, '\n' | '\r'));
        self.rest = self.rest.trim_start_matches(blank);
    }

    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn scalar(&self, raw: &str, value: ScalarValue) -> Node {
        let style = if value == ScalarValue::Str { Style::DoubleQuoted } else { Style::Plain };
        let scalar = Scalar { raw: Arc::from(raw), style, value };
        Node { kind: NodeKind::Scalar(scalar), span: self.span, tag: None }
    }

    fn seq(&self, items: Vec<Node>) -> Node {
        Node { kind: NodeKind::Seq(items), span: self.span, tag: None }
    }

    fn one(&mut self, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.spaces(depth > 0);
        let first = self.rest.chars().next()?;
        match first {
            '[' => self.list(depth, '[', ']').map(|(items, _)| self.seq(items)),
            '(' => {
                let (mut items, comma) = self.list(depth, '(', ')')?;
                if items.len() == 1 && !comma { items.pop() } else { Some(self.seq(items)) }
            }
            '{' => self.braces(depth),
            '\'' | '"' => self.strings(),
            '+' | '-' | '.' | '0'..='9' => self.number(),
            _ => self.word(),
        }
    }

    /// Items up to a closing bracket, and whether a comma followed one of them.
    fn list(&mut self, depth: usize, open: char, close: char) -> Option<(Vec<Node>, bool)> {
        self.take(open);
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            self.spaces(true);
            if self.take(close) {
                return Some((items, comma));
            }
            items.push(self.one(depth + 1)?);
            self.spaces(true);
            if self.take(',') {
                comma = true;
            } else if !self.rest.starts_with(close) {
                return None;
            }
        }
    }

    /// A mapping, or a set (which becomes a list).
    fn braces(&mut self, depth: usize) -> Option<Node> {
        self.take('{');
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut items = Vec::new();
        loop {
            self.spaces(true);
            if self.take('}') {
                break;
            }
            let key = self.one(depth + 1)?;
            self.spaces(true);
            if self.take(':') {
                let value = self.one(depth + 1)?;
                key.as_scalar()?;
                match entries.iter_mut().find(|(known, _)| known.as_scalar() == key.as_scalar()) {
                    Some(known) => known.1 = value,
                    None => entries.push((key, value)),
                }
            } else {
                items.push(key);
            }
            self.spaces(true);
            if !self.take(',') && !self.rest.starts_with('}') {
                return None;
            }
        }
        match (entries.is_empty(), items.is_empty()) {
            (_, true) => Some(Node { kind: NodeKind::Map(entries), span: self.span, tag: None }),
            (true, false) => Some(self.seq(items)),
            (false, false) => None,
        }
    }

    fn word(&mut self) -> Option<Node> {
        let end =
            self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "None" => ScalarValue::Null,
            "True" => ScalarValue::Bool(true),
            "False" => ScalarValue::Bool(false),
            "u" | "r" | "R" | "U" if rest.starts_with(['\'', '"']) => return self.strings(),
            _ => return None,
        };
        self.rest = rest;
        Some(self.scalar(word, value))
    }

    fn number(&mut self) -> Option<Node> {
        let whole = self.rest;
        let negative = self.rest.starts_with('-');
        if negative || self.rest.starts_with('+') {
            self.rest = self.rest.get(1..)?;
            self.spaces(false);
        }
        let body = self.rest;
        let mut end = 0;
        let mut previous = ' ';
        for c in body.chars() {
            let signed_exponent =
                matches!(c, '+' | '-') && matches!(previous, 'e' | 'E') && !body.starts_with("0x");
            if !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || signed_exponent) {
                break;
            }
            previous = c;
            end += c.len_utf8();
        }
        let (text, rest) = body.split_at(end);
        self.rest = rest;
        let value = number(text, negative)?;
        let raw = whole.get(..whole.len() - rest.len())?;
        Some(self.scalar(raw, value))
    }

    /// Strings side by side are one string.
    fn strings(&mut self) -> Option<Node> {
        let mut text = String::new();
        loop {
            let raw = match self.rest.chars().next()? {
                'r' | 'R' => {
                    self.rest = self.rest.get(1..)?;
                    true
                }
                'u' | 'U' => {
                    self.rest = self.rest.get(1..)?;
                    false
                }
                _ => false,
            };
            self.string(raw, &mut text)?;
            self.spaces(false);
            if !self.rest.starts_with(['\'', '"']) {
                return Some(self.scalar(&text, ScalarValue::Str));
            }
        }
    }

    fn string(&mut self, raw: bool, into: &mut String) -> Option<()> {
        let quote = self.rest.chars().next()?;
        let triple: String = [quote; 3].iter().collect();
        let close = if self.rest.starts_with(&triple) { triple } else { quote.to_string() };
        self.rest = self.rest.get(close.len()..)?;
        loop {
            if let Some(rest) = self.rest.strip_prefix(close.as_str()) {
                self.rest = rest;
                return Some(());
            }
            let mut chars = self.rest.chars();
            let c = chars.next()?;
            self.rest = chars.as_str();
            if c == '\n' && close.len() == 1 {
                return None;
            }
            if c != '\\' {
                into.push(c);
            } else if raw {
                into.push(c);
                let next = chars.next()?;
                into.push(next);
                self.rest = chars.as_str();
            } else {
                self.escape(into)?;
            }
        }
    }

    fn escape(&mut self, into: &mut String) -> Option<()> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        let plain = match c {
            '\n' => return Some(()),
            '\\' | '\'' | '"' => c,
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '0'..='7' => return self.octal(c, into),
            _ => {
                into.push('\\');
                c
            }
        };
        into.push(plain);
        Some(())
    }

    fn octal(&mut self, first: char, into: &mut String) -> Option<()> {
        let mut value = first.to_digit(8)?;
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.rest = self.rest.get(1..)?;
        }
        into.push(char::from_u32(value)?);
        Some(())
    }

    fn code(&mut self, length: usize) -> Option<char> {
        let (digits, rest) = self.rest.split_at_checked(length)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.rest = rest;
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    }
}

/// A Python number without sign; `None` for what Python does not take (`0644`, `1__0`, `5L`, `1j`).
fn number(text: &str, negative: bool) -> Option<ScalarValue> {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with('_') || lower.ends_with('_') || lower.contains("__") {
        return None;
    }
    let digits = lower.replace('_', "");
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(body) = digits.strip_prefix(prefix) {
            let body_only = !body.is_empty() && body.chars().all(|c| c.is_digit(radix));
            let value = i128::from_str_radix(body_only.then_some(body)?, radix).ok()?;
            return integer(value, negative);
        }
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
        let zeros = digits.bytes().all(|b| b == b'0');
        if digits.starts_with('0') && !zeros {
            return None;
        }
        return integer(digits.parse().ok()?, negative);
    }
    // Rust also reads "inf" and "nan", Python's literals do not have them.
    let (mantissa, exponent) = match digits.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits.as_str(), None),
    };
    let well_formed = mantissa.bytes().any(|b| b.is_ascii_digit())
        && mantissa.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && exponent.is_none_or(|e| {
            let body = e.strip_prefix(['+', '-']).unwrap_or(e);
            !body.is_empty() && body.bytes().all(|b| b.is_ascii_digit())
        });
    let near_underscore = lower.contains("_.")
        || lower.contains("._")
        || lower.contains("_e")
        || lower.contains("e_");
    if !well_formed || near_underscore {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    Some(ScalarValue::Float(if negative { -value } else { value }))
}

fn integer(value: i128, negative: bool) -> Option<ScalarValue> {
    let value = if negative { -value } else { value };
    i64::try_from(value).ok().map(ScalarValue::Int)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Sources;
    use crate::yaml::to_json;

    fn read(text: &str) -> String {
        let file = Sources::default().add("t", "");
        to_json(&value(text, Span::new(file, 0, 0))).to_string()
    }

    #[test]
    fn values_read_as_python_literals_or_stay_text() {
        let cases = [
            ("5", "5"),
            ("-3", "-3"),
            ("+1", "1"),
            ("1.5", "1.5"),
            ("1e3", "1000.0"),
            ("1_000", "1000"),
            ("0x10", "16"),
            ("0o17", "15"),
            ("0b1", "1"),
            ("00", "0"),
            ("0644", r#""0644""#),
            ("5L", r#""5L""#),
            ("1j", r#""1j""#),
            ("1.2.3", r#""1.2.3""#),
            ("10.0.0.9", r#""10.0.0.9""#),
            ("--1", r#""--1""#),
            ("True", "true"),
            ("true", r#""true""#),
            ("yes", r#""yes""#),
            ("None", "null"),
            ("[1, 2]", "[1,2]"),
            ("[1,", r#""[1,""#),
            ("(1,2)", "[1,2]"),
            ("(1)", "1"),
            ("(1,)", "[1]"),
            ("()", "[]"),
            ("80,443", "[80,443]"),
            ("80,x", r#""80,x""#),
            ("{1,2}", "[1,2]"),
            ("{}", "{}"),
            ("{'a': 'b', 'n': [1, {'c': None}]}", r#"{"a":"b","n":[1,{"c":null}]}"#),
            (r#"{"a": true}"#, r#""{\"a\": true}""#),
            ("{k:1}", r#""{k:1}""#),
            (r#""quoted""#, r#""quoted""#),
            (r#"'a' "b""#, r#""ab""#),
            (r#""a\nb""#, r#""a\nb""#),
            (r"'\x41\u00e4\101\q'", r#""AäA\\q""#),
            (r"r'\n'", r#""\\n""#),
            ("1 # c", "1"),
            ("value # kept", r#""value # kept""#),
            ("a=b=c", r#""a=b=c""#),
            ("", r#""""#),
            ("#x", r##""#x""##),
            ("inf", r#""inf""#),
            ("1__0", r#""1__0""#),
            ("9223372036854775808", r#""9223372036854775808""#),
        ];
        for (text, json) in cases {
            assert_eq!(read(text), json, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_panic(text in "(?s:.{0,30})|([-+.0-9eEx_'\"\\\\\\[\\](){},: a-cäTN#]{0,40})") {
            read(&text);
        }
    }
}
