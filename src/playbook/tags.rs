//! Which tasks run under `-t` and `--skip-tags`.
//!
//! Tags of play, block, role entry, import and task add up; [`Selection::takes`] is given them all together.

/// What `-t` and `--skip-tags` ask for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Selection {
    /// Makes a selection; each text may hold several tags with commas between. No `only` at all means `all`.
    pub fn new<S: AsRef<str>>(only: &[S], skip: &[S]) -> Self {
        Self { only: split(only), skip: split(skip) }
    }

    /// Tells whether a task with these tags runs. `always` runs unless skipped by name; `never` runs only when one of the
    /// task's tags is asked for.
    pub fn takes<S: AsRef<str>>(&self, tags: &[S]) -> bool {
        self.wants(tags) && !self.skips(tags)
    }

    fn wants<S: AsRef<str>>(&self, tags: &[S]) -> bool {
        let has = |tag: &str| tags.iter().any(|own| own.as_ref() == tag);
        let asks = |tag: &str| self.only.iter().any(|asked| asked == tag);
        let all = self.only.is_empty() || asks("all");
        if has("always") || tags.iter().any(|tag| asks(tag.as_ref())) {
            return true;
        }
        if has("never") {
            return false;
        }
        all || (asks("tagged") && !tags.is_empty()) || (asks("untagged") && tags.is_empty())
    }

    fn skips<S: AsRef<str>>(&self, tags: &[S]) -> bool {
        let has = |tag: &str| tags.iter().any(|own| own.as_ref() == tag);
        let asks = |tag: &str| self.skip.iter().any(|asked| asked == tag);
        if tags.iter().any(|tag| asks(tag.as_ref())) {
            return true;
        }
        // `--skip-tags all` leaves `always` running unless that is named too.
        (asks("all") && !has("always"))
            || (asks("tagged") && !tags.is_empty())
            || (asks("untagged") && tags.is_empty())
    }
}

fn split<S: AsRef<str>>(texts: &[S]) -> Vec<String> {
    texts
        .iter()
        .flat_map(|text| text.as_ref().split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}
