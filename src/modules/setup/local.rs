//! Local facts: `*.fact` files of the host, JSON or INI.

use serde_json::{Map, Value as Json};

/// Makes `ansible_local` of the files found: name without `.fact`, data by JSON, else INI, else the complaint as text.
pub(super) fn facts(found: &[(String, i32, String)]) -> Json {
    let mut all = Map::new();
    for (path, status, text) in found {
        let file = path.rsplit('/').next().unwrap_or(path);
        let name = file.strip_suffix(".fact").unwrap_or(file);
        all.insert(name.to_owned(), one(path, *status, text));
    }
    Json::Object(all)
}

fn one(path: &str, status: i32, text: &str) -> Json {
    if status != 0 {
        let text = text.trim();
        return Json::from(format!(
            "Failure executing fact script ({path}), rc: {status}, err: {text}"
        ));
    }
    if let Ok(data) = serde_json::from_str(text) {
        return data;
    }
    ini(text).unwrap_or_else(|| {
        Json::from(format!("error loading facts as JSON or ini - please check content: {path}"))
    })
}

/// Reads sections of `key = value`; option names in lower case, values as text. A line that is neither is an error.
fn ini(text: &str) -> Option<Json> {
    let mut sections = Map::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.entry(name).or_insert_with(|| Json::Object(Map::new()));
            current = Some(name.to_owned());
            continue;
        }
        let (key, value) = bare.split_once(['=', ':'])?;
        let section = sections.get_mut(current.as_deref()?)?.as_object_mut()?;
        section.insert(key.trim().to_lowercase(), Json::from(value.trim()));
    }
    current.map(|_| Json::Object(sections))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fact(text: &str) -> Json {
        facts(&[("/etc/ansible/facts.d/ward.fact".to_owned(), 0, text.to_owned())])["ward"].clone()
    }

    #[test]
    fn json_and_ini_are_both_read() {
        assert_eq!(fact("{\"beds\": 12}"), json!({"beds": 12}));
        assert_eq!(fact("[site]\nName = St Mary\n"), json!({"site": {"name": "St Mary"}}));
    }

    #[test]
    fn text_that_is_neither_is_said_not_lost() {
        let text = "error loading facts as JSON or ini - please check content: /etc/ansible/facts.d/ward.fact";
        assert_eq!(fact("hello"), Json::from(text));
    }
}
