//! Filters for paths, by Python's `os.path` rules.

use minijinja::value::Kwargs;
use minijinja::{Error, State, Value};

use super::super::library::{Shelf, as_text};
use super::super::lookups::root;
use super::failed;
use super::text::{text_only, texts};

pub(super) fn add(shelf: &mut Shelf) {
    shelf.filter("basename", |path: &Value| -> Result<String, Error> {
        let path = as_text(path)?;
        Ok(path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name).to_owned())
    });
    shelf.filter("dirname", |path: &Value| -> Result<String, Error> {
        Ok(folder_of(&as_text(path)?))
    });
    shelf.filter("splitext", splitext);
    shelf.filter("expanduser", |state: &mut State<'_, '_>, path: &str| expanduser(state, path));
    shelf.filter("expandvars", |state: &mut State<'_, '_>, path: &str| expandvars(state, path));
    shelf.filter("realpath", |state: &mut State<'_, '_>, path: &str| -> Result<String, Error> {
        Ok(normal(&absolute(state, path)?))
    });
    shelf.filter("normpath", |path: &str| normal(path));
    shelf.filter("relpath", relpath);
    shelf.filter("commonpath", commonpath);
    shelf.filter("path_join", path_join);
    shelf.filter("fileglob", fileglob);
    shelf.filter("win_basename", |path: &str| {
        path.rsplit(['\\', '/']).next().unwrap_or(path).to_owned()
    });
    shelf.filter("win_dirname", |path: &str| {
        path.rfind(['\\', '/']).map_or("", |at| &path[..at]).to_owned()
    });
    shelf.filter("win_splitdrive", |path: &str| -> Vec<String> {
        let at = if path.as_bytes().get(1) == Some(&b':') { 2 } else { 0 };
        vec![
            path.get(..at).unwrap_or_default().to_owned(),
            path.get(at..).unwrap_or(path).to_owned(),
        ]
    });
}

fn folder_of(path: &str) -> String {
    let Some((head, _)) = path.rsplit_once('/') else { return String::new() };
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

fn splitext(path: &Value) -> Result<Vec<String>, Error> {
    let path = text_only(path, "splitext")?;
    let name_at = path.rfind('/').map_or(0, |at| at + 1);
    let name = &path[name_at..];
    let leading = name.len() - name.trim_start_matches('.').len();
    let at = name[leading..].rfind('.').map_or(path.len(), |at| name_at + leading + at);
    Ok(vec![path[..at].to_owned(), path[at..].to_owned()])
}

fn expanduser(state: &State<'_, '_>, path: &str) -> Result<String, Error> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(path.to_owned()) };
    let (user, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let root = root(state)?;
    let home = if user.is_empty() {
        root.templar.outside().env("HOME")
    } else {
        let known =
            root.templar.files().read_text(std::path::Path::new("/etc/passwd")).unwrap_or_default();
        known.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(user)).then(|| fields.nth(4).map(str::to_owned)).flatten()
        })
    };
    Ok(match home {
        Some(home) => format!("{}{rest}", home.trim_end_matches('/')),
        None => path.to_owned(),
    })
}

fn expandvars(state: &State<'_, '_>, path: &str) -> Result<String, Error> {
    let root = root(state)?;
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, length) = if let Some((name, _)) = braced {
            (name, name.len() + 2)
        } else {
            let end = after.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
            let end = end.unwrap_or(after.len());
            (&after[..end], end)
        };
        match root.templar.outside().env(name) {
            Some(value) if !name.is_empty() => out.push_str(&value),
            _ => {
                out.push('$');
                out.push_str(&after[..length]);
            }
        }
        rest = &after[length..];
    }
    out.push_str(rest);
    Ok(out)
}

fn absolute(state: &State<'_, '_>, path: &str) -> Result<String, Error> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let here = root(state)?.templar.outside().env("PWD").unwrap_or_else(|| "/".to_owned());
    Ok(format!("{here}/{path}"))
}

/// Takes `.`, `..` and doubled slashes out. Links are not followed: the controller's disk is not ours to walk.
fn normal(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn relpath(
    state: &mut State<'_, '_>,
    path: &str,
    start: Option<&str>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let start = start.or(kwargs.get("start")?).unwrap_or(".");
    let path = normal(&absolute(state, path)?);
    let start = normal(&absolute(state, start)?);
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let start: Vec<&str> = start.split('/').filter(|part| !part.is_empty()).collect();
    let common = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", start.len() - common);
    let parts: Vec<&str> = up.chain(path.into_iter().skip(common)).collect();
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

fn commonpath(paths: &Value) -> Result<String, Error> {
    let paths = texts(paths)?;
    let Some(first) = paths.first() else {
        return Err(failed("commonpath", "commonpath() arg is an empty sequence"));
    };
    let rooted = first.starts_with('/');
    if paths.iter().any(|path| path.starts_with('/') != rooted) {
        return Err(failed("commonpath", "Can't mix absolute and relative paths"));
    }
    let split = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
    };
    let mut common = split(first);
    for path in &paths {
        let same = split(path).iter().zip(&common).take_while(|(a, b)| a == b).count();
        common.truncate(same);
    }
    let joined = common.join("/");
    Ok(if rooted { format!("/{joined}") } else { joined })
}

fn path_join(paths: &Value) -> Result<String, Error> {
    let parts = if paths.as_str().is_some() { vec![as_text(paths)?] } else { texts(paths)? };
    let mut out = String::new();
    for part in parts {
        if part.starts_with('/') {
            out = part;
        } else {
            if !out.is_empty() && !out.ends_with('/') {
                out.push('/');
            }
            out.push_str(&part);
        }
    }
    Ok(out)
}

fn fileglob(state: &mut State<'_, '_>, pattern: &str) -> Result<Vec<String>, Error> {
    let root = root(state)?;
    let found = root.templar.outside().glob(pattern);
    Ok(found
        .into_iter()
        .filter(|path| root.templar.files().is_file(path))
        .map(|path| path.display().to_string())
        .collect())
}
