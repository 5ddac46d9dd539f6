//! Words of the expression language, with their places.

/// One word of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Name,
    /// A number.
    Number,
    /// A string with its quotes.
    Text,
    /// An operator or bracket.
    Sign,
    /// White space that is not ASCII: Jinja2 skips it, minijinja does not know it.
    OddSpace,
}

/// A word and where it stands in the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

const LONG_SIGNS: [&str; 7] = ["==", "!=", "<=", ">=", "//", "**", "~="];

/// Splits an expression from `from` on until `end` stands outside of all brackets and strings (or the text ends).
///
/// Returns the words, where `end` starts, and the byte after it; without `end` in the text both are the text's length.
pub(super) fn split(source: &str, from: usize, end: Option<&str>) -> (Vec<Token>, usize, usize) {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    let mut at = from;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        if let Some(end) = end
            && depth == 0
        {
            if rest.starts_with(end) {
                return (tokens, at, at + end.len());
            }
            // `-}}` and `+}}` belong to the end.
            if (c == '-' || c == '+') && rest[1..].starts_with(end) {
                return (tokens, at, at + 1 + end.len());
            }
        }
        let start = at;
        if c.is_whitespace() {
            at += c.len_utf8();
            if !c.is_ascii() {
                tokens.push(Token { kind: Kind::OddSpace, start, end: at });
            }
            continue;
        }
        let kind = if c == '_' || c.is_alphabetic() {
            at += rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            Kind::Name
        } else if c.is_ascii_digit() {
            at += number_length(rest);
            Kind::Number
        } else if c == '"' || c == '\'' {
            at += string_length(rest, c);
            Kind::Text
        } else {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += LONG_SIGNS
                .iter()
                .find(|sign| rest.starts_with(**sign))
                .map_or(c.len_utf8(), |sign| sign.len());
            Kind::Sign
        };
        tokens.push(Token { kind, start, end: at });
    }
    (tokens, source.len(), source.len())
}

fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    let mut dot = false;
    while let Some(b) = bytes.get(at) {
        let next_is_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        match b {
            b'.' if !dot && next_is_digit => dot = true,
            b'+' | b'-'
                if at > 0 && matches!(bytes.get(at - 1), Some(b'e' | b'E')) && next_is_digit => {}
            b if b.is_ascii_alphanumeric() || *b == b'_' => {}
            _ => break,
        }
        at += 1;
    }
    at
}

fn string_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    rest.len()
}
