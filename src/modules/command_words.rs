//! Words of a command line, split as Python's `shlex.split` does it (POSIX rules, no comments).

/// Splits a command line into words. The error text is Python's, which is what users find when they search for it.
pub(super) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let next = letters.next().ok_or("No escaped character")?;
                word.get_or_insert_default().push(next);
            }
            '\'' => {
                let into = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or("No closing quotation")? {
                        '\'' => break,
                        inside => into.push(inside),
                    }
                }
            }
            '"' => {
                let into = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or("No closing quotation")? {
                        '"' => break,
                        '\\' => match letters.next().ok_or("No closing quotation")? {
                            escaped @ ('"' | '\\') => into.push(escaped),
                            other => {
                                into.push('\\');
                                into.push(other);
                            }
                        },
                        inside => into.push(inside),
                    }
                }
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_split_as_shlex_splits_them() {
        let line = r#"a 'b c' "d \"e\" \n $f" g\ h '' x"y"z # no"#;
        let words = ["a", "b c", r#"d "e" \n $f"#, "g h", "", "xyz", "#", "no"];
        assert_eq!(split(line), Ok(words.map(str::to_owned).to_vec()));
    }

    #[test]
    fn an_open_quote_is_an_error() {
        assert_eq!(split("echo 'a"), Err("No closing quotation"));
    }
}
