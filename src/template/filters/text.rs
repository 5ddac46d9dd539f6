//! stub
use super::super::library::Shelf;
pub(super) fn add(_: &mut Shelf) {}
pub(crate) fn pattern() {}
/// Splits text as Python does.
pub(crate) fn split_text(text: &str, separator: Option<&str>, most: Option<usize>) -> Vec<String> {
    match (separator, most) {
        (Some(separator), Some(most)) => {
            text.splitn(most + 1, separator).map(str::to_owned).collect()
        }
        (Some(separator), None) => text.split(separator).map(str::to_owned).collect(),
        (None, None) => text.split_whitespace().map(str::to_owned).collect(),
        (None, Some(most)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start();
            while parts.len() < most && !rest.is_empty() {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                parts.push(rest[..end].to_owned());
                rest = rest[end..].trim_start();
            }
            if !rest.is_empty() {
                parts.push(rest.to_owned());
            }
            parts
        }
    }
}
