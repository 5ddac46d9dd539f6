//! Files of the data directory as text: quoting, and blocks that matron keeps in files it shares with others.

/// Quotes a value for `postgresql.conf` and `recovery.conf`.
pub fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// Returns a value of a configuration file without its quotes and without a comment behind it.
pub fn unquote(value: &str) -> String {
    let Some(inner) = value.trim().strip_prefix('\'') else {
        return value.split('#').next().unwrap_or_default().trim().to_owned();
    };
    let mut out = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.next_if_eq(&'\'').is_some() => out.push('\''),
            '\'' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// Returns a value in one form, so that `1GB` and `1024MB`, `on` and `true` are equal: bytes, milliseconds, on or off.
pub fn canonical(value: &str) -> String {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let factor: Option<u64> = match unit.trim() {
        "kB" => Some(1 << 10),
        "MB" => Some(1 << 20),
        "GB" => Some(1 << 30),
        "TB" => Some(1 << 40),
        "ms" => Some(1),
        "s" => Some(1000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    if let (Ok(number), Some(factor)) = (number.parse::<u64>(), factor) {
        return number.saturating_mul(factor).to_string();
    }
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => "on".to_owned(),
        "off" | "false" | "no" | "0" => "off".to_owned(),
        // Up to 9.5 a standby's primary said so.
        "hot_standby" => "replica".to_owned(),
        other => other.to_owned(),
    }
}

/// Where a new block goes in a file that has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Before everything: pg_hba.conf takes the first line that fits.
    Top,
    /// After everything: postgresql.conf takes the last.
    Bottom,
}

const BEGIN: &str = "# BEGIN matron";
const END: &str = "# END matron";

/// Returns the text with matron's block in it; everything else stays, byte by byte.
///
/// A second block, or one whose end is missing, is put right: only lines between the marks are ever dropped, and a
/// beginning without an end counts as one line.
pub fn with_block(text: &str, block: &str, place: Place) -> String {
    let mut wanted = String::from(BEGIN);
    wanted.push('\n');
    wanted.push_str(block.trim_end_matches('\n'));
    wanted.push('\n');
    wanted.push_str(END);
    wanted.push('\n');

    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is = |line: &str, mark: &str| line.trim_end() == mark;
    let mut out = String::with_capacity(text.len() + wanted.len());
    let mut placed = false;
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if is(line, BEGIN) {
            let rest = lines.get(at + 1..).unwrap_or_default();
            let end = rest.iter().position(|line| is(line, END));
            if !placed {
                out.push_str(&wanted);
                placed = true;
            }
            at += end.map_or(1, |end| end + 2);
            continue;
        }
        if !is(line, END) {
            out.push_str(line);
        }
        at += 1;
    }
    if placed {
        return out;
    }
    match place {
        Place::Top => format!("{wanted}{out}"),
        Place::Bottom => {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            out.push_str(&wanted);
            out
        }
    }
}

/// Returns the text without the settings named, wherever they stand; comments stay.
pub fn without_settings(text: &str, names: &[&str]) -> String {
    text.split_inclusive('\n')
        .filter(|line| {
            let name = line.trim_start().split(|c: char| c == '=' || c.is_whitespace()).next();
            !name.is_some_and(|name| names.iter().any(|other| name.eq_ignore_ascii_case(other)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_and_backslash_survive() {
        assert_eq!(quote(r"it's a\b"), r"'it''s a\\b'");
    }

    #[test]
    fn block_goes_where_it_is_read_as_meant() {
        assert_eq!(with_block("a\n", "x", Place::Top), "# BEGIN matron\nx\n# END matron\na\n");
        assert_eq!(with_block("a", "x\n", Place::Bottom), "a\n# BEGIN matron\nx\n# END matron\n");
        assert_eq!(with_block("", "x", Place::Bottom), "# BEGIN matron\nx\n# END matron\n");
    }

    #[test]
    fn block_is_replaced_where_it_stands_and_nothing_else_changes() {
        let before = "a\n# BEGIN matron\nold\n# END matron\nb";
        let after = with_block(before, "new", Place::Top);
        assert_eq!(after, "a\n# BEGIN matron\nnew\n# END matron\nb");
        assert_eq!(with_block(&after, "new", Place::Top), after);
    }

    #[test]
    fn lost_line_of_the_block_comes_back() {
        let whole = with_block("a\n", "x\ny", Place::Bottom);
        for line in whole.lines().filter(|line| *line != "a") {
            let broken = whole.replacen(&format!("{line}\n"), "", 1);
            let healed = with_block(&broken, "x\ny", Place::Bottom);
            assert!(healed.contains("# BEGIN matron\nx\ny\n# END matron\n"), "{line}: {healed}");
            assert!(healed.contains("a\n"), "{line}: {healed}");
        }
    }

    #[test]
    fn second_block_is_taken_out() {
        let twice = "# BEGIN matron\nx\n# END matron\na\n# BEGIN matron\nx\n# END matron\n";
        assert_eq!(with_block(twice, "x", Place::Top), "# BEGIN matron\nx\n# END matron\na\n");
    }

    #[test]
    fn settings_are_taken_out_by_name_and_comments_stay() {
        let text = "# primary_conninfo = ''\nprimary_conninfo = 'x'\nprimary_conninfo_x=1\n PRIMARY_slot_name='a'\n";
        assert_eq!(
            without_settings(text, &["primary_conninfo", "primary_slot_name"]),
            "# primary_conninfo = ''\nprimary_conninfo_x=1\n"
        );
    }
}
