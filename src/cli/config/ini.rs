//! The form of `ansible.cfg`: what Python's configparser reads, with `;` as the mark of a comment behind a value.

use std::collections::BTreeMap;

/// Section and key to line and value.
pub(super) type Written = BTreeMap<(String, String), (usize, String)>;

/// Reads a file; an error has its line.
pub(super) fn read(text: &str) -> Result<Written, (usize, String)> {
    let mut out = Written::new();
    let mut section: Option<String> = None;
    let mut last: Option<(String, String)> = None;
    for (at, raw) in text.lines().enumerate() {
        let number = at + 1;
        let line = uncommented(raw);
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = last.as_ref().and_then(|key| out.get_mut(key))
        {
            value.push('\n');
            value.push_str(line.trim());
            continue;
        }
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            let Some(name) = name.strip_suffix(']') else {
                return Err((number, format!("'{line}' is no section: its ] is missing")));
            };
            section = Some(name.trim().to_owned());
            last = None;
            continue;
        }
        let Some(section) = &section else {
            return Err((number, format!("'{line}' stands before any [section]")));
        };
        let (key, value) = match line.find(['=', ':']) {
            Some(end) => {
                let (key, value) = line.split_at(end);
                (key.trim(), value.get(1..).unwrap_or_default().trim())
            }
            None => return Err((number, format!("'{line}' is not KEY = VALUE"))),
        };
        let place = (section.clone(), key.to_lowercase());
        last = Some(place.clone());
        out.insert(place, (number, value.to_owned()));
    }
    Ok(out)
}

/// Takes comments away: whole lines of `#` or `;`, and what follows a `;` after a blank.
fn uncommented(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let mark = line
        .match_indices(';')
        .map(|(at, _)| at)
        .find(|at| line.get(..*at).is_some_and(|before| before.ends_with([' ', '\t'])));
    mark.and_then(|at| line.get(..at)).unwrap_or(line).trim_end()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn comments_continuations_and_colons_are_read() {
        let text = "# x\n[defaults]\nforks = 7 ; seven\nroles_path: a;b\nssh = -o A\n  -o B\n\n[tags]\nrun=x\n";
        let got = read(text).unwrap();
        let of = |section: &str, key: &str| got.get(&(section.to_owned(), key.to_owned())).cloned();
        assert_eq!(of("defaults", "forks"), Some((3, "7".to_owned())));
        assert_eq!(of("defaults", "roles_path"), Some((4, "a;b".to_owned())));
        assert_eq!(of("defaults", "ssh"), Some((5, "-o A\n-o B".to_owned())));
        assert_eq!(of("tags", "run"), Some((9, "x".to_owned())));
    }

    #[test]
    fn what_is_no_setting_is_refused_with_its_line() {
        assert_eq!(read("x = 1\n").unwrap_err().0, 1);
        assert_eq!(read("[a]\nwords\n").unwrap_err(), (2, "'words' is not KEY = VALUE".to_owned()));
    }
}
