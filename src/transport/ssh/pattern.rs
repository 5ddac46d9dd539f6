//! OpenSSH's wildcards: `*` and `?`, as in ssh_config(5), PATTERNS.

/// Tells whether a whole name matches a pattern.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // The last star seen, and how much of the name it has taken: enough to try again without recursion.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            Some(_) | None => match star {
                Some((at, taken)) => {
                    p = at + 1;
                    n = taken + 1;
                    star = Some((at, n));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks_cover_whole_names() {
        assert!(matches("*.ward.example", "db1.ward.example"));
        assert!(matches("db?", "db1") && !matches("db?", "db") && !matches("db", "db1"));
        assert!(matches("*", "") && matches("a*b*c", "axxbybc") && !matches("a*b", "axc"));
        assert!(matches("[10.0.0.*]:2222", "[10.0.0.7]:2222"));
    }
}
