//! Strings inside of expressions.

/// A playbook's string: a backslash is a backslash, but an escaped quote stays a quote.
pub(super) fn keep_backslashes(inner: &str) -> String {
    inner.replace("\\'", "'").replace("\\\"", "\"")
}

/// A template file's string: Python's escapes.
pub(super) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some(c) = chars.next() else {
            out.push('\\');
            break;
        };
        let mut hex = |digits: usize| {
            let code: String = chars.clone().take(digits).collect();
            let read = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)?;
            (code.len() == digits).then(|| {
                chars.by_ref().take(digits).for_each(drop);
                read
            })
        };
        match c {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            '0' => out.push('\0'),
            '\\' | '\'' | '"' => out.push(c),
            '\n' => {}
            'x' | 'u' | 'U' => {
                let digits = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                if let Some(read) = hex(digits) {
                    out.push(read);
                } else {
                    out.push('\\');
                    out.push(c);
                }
            }
            c => {
                out.push('\\');
                out.push(c);
            }
        }
    }
    out
}
