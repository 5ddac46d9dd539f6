//! Where named files are looked for.

use std::path::{Component, Path, PathBuf};

use crate::source::{Diagnostic, Files};

use super::TaskPlace;

/// Endings a YAML file of a role may have, in the order tried.
const ENDINGS: [&str; 4] = [".yml", ".yaml", ".json", ""];

/// Returns the path of a playbook named on the command line: the path itself, with `.yml` or `.yaml` added, or either of
/// these in `bundled`, the folder of the playbooks that come with matron.
pub fn find_playbook(
    files: &dyn Files,
    name: &Path,
    bundled: Option<&Path>,
) -> Result<PathBuf, Diagnostic> {
    let mut tried = Vec::new();
    let inside = bundled.filter(|_| name.is_relative()).map(|folder| folder.join(name));
    for base in std::iter::once(name.to_owned()).chain(inside) {
        for ending in ["", ".yml", ".yaml"] {
            let mut candidate = base.clone().into_os_string();
            candidate.push(ending);
            let candidate = tidy(Path::new(&candidate));
            if files.is_file(&candidate) {
                return Ok(candidate);
            }
            tried.push(candidate);
        }
    }
    let message = format!("the playbook: {} could not be found", name.display());
    Err(Diagnostic::missing(message).hint(format!("looked for: {}", listed(&tried))))
}

/// Returns the path of a task file, or the paths tried.
pub(super) fn task_file(
    files: &dyn Files,
    name: &str,
    place: &TaskPlace,
) -> Result<PathBuf, Vec<PathBuf>> {
    let name = Path::new(name);
    let sort = if place.handlers { "handlers" } else { "tasks" };
    let mut folders = vec![place.folder.clone()];
    if let Some(role) = &place.role {
        folders.extend([role.path.join(sort), role.path.join("tasks"), role.path.clone()]);
    }
    folders.extend([place.playbook_dir.join(sort), place.playbook_dir.clone()]);
    first(files, folders.iter().map(|folder| tidy(&folder.join(name))))
}

/// Returns the first candidate that is a file, or all candidates.
pub(super) fn first(
    files: &dyn Files,
    candidates: impl IntoIterator<Item = PathBuf>,
) -> Result<PathBuf, Vec<PathBuf>> {
    let mut tried: Vec<PathBuf> = Vec::new();
    for candidate in candidates {
        if tried.contains(&candidate) {
            continue;
        }
        if files.is_file(&candidate) {
            return Ok(candidate);
        }
        tried.push(candidate);
    }
    Err(tried)
}

/// Returns the folder of a role, or the paths tried. `name` may be a path or, dotted, a role of a collection.
pub(super) fn role(
    files: &dyn Files,
    name: &str,
    roles_path: &[PathBuf],
    place: &TaskPlace,
) -> Result<PathBuf, Vec<PathBuf>> {
    let mut candidates = Vec::new();
    let parts: Vec<&str> = name.split('.').collect();
    if let [space, collection, role] = parts.as_slice() {
        let inside = Path::new("collections/ansible_collections")
            .join(space)
            .join(collection)
            .join("roles")
            .join(role);
        candidates.push(place.playbook_dir.join(inside));
    }
    let beside = place.role.as_ref().and_then(|role| role.path.parent()).map(Path::to_owned);
    candidates.push(place.playbook_dir.join("roles").join(name));
    candidates.extend(roles_path.iter().map(|folder| folder.join(name)));
    candidates.extend(beside.map(|folder| folder.join(name)));
    candidates.push(place.playbook_dir.join(name));
    let mut tried: Vec<PathBuf> = Vec::new();
    for candidate in candidates.iter().map(|candidate| tidy(candidate)) {
        if tried.contains(&candidate) {
            continue;
        }
        if files.is_dir(&candidate) {
            return Ok(candidate);
        }
        tried.push(candidate);
    }
    Err(tried)
}

/// Returns the files that hold a role's `folder/name`: one file, or with `deep` all files below a folder of that name, in
/// order. Empty when there is none.
pub(super) fn role_files(files: &dyn Files, folder: &Path, name: &str, deep: bool) -> Vec<PathBuf> {
    let base = tidy(&folder.join(name));
    for ending in ENDINGS {
        let mut candidate = base.clone().into_os_string();
        candidate.push(ending);
        let candidate = PathBuf::from(candidate);
        if files.is_file(&candidate) {
            return vec![candidate];
        }
    }
    let mut found = Vec::new();
    if deep && files.is_dir(&base) {
        collect(files, &base, &mut found);
    }
    found
}

fn collect(files: &dyn Files, folder: &Path, found: &mut Vec<PathBuf>) {
    for name in files.list(folder).unwrap_or_default() {
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let path = folder.join(&name);
        if files.is_dir(&path) {
            collect(files, &path, found);
        } else if [".yml", ".yaml", ".json"].iter().any(|end| name.ends_with(end))
            || !name.contains('.')
        {
            found.push(path);
        }
    }
}

/// Takes `.` and `..` out of a path, as far as its text allows.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                let can_go_up = matches!(out.components().next_back(), Some(Component::Normal(_)));
                if can_go_up {
                    out.pop();
                } else {
                    out.push(part);
                }
            }
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => out.push(part),
        }
    }
    out
}

/// Joins paths for a message.
pub(super) fn listed(paths: &[PathBuf]) -> String {
    let texts: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    texts.join(", ")
}

/// Returns the folder of a file; the current one is empty.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Fault, MemoryFiles};

    #[test]
    fn playbook_is_found_by_path_without_ending_and_among_the_bundled_ones() {
        let files = MemoryFiles::of(&[("mine.yml", ""), ("/own/site.yml", ""), ("site.yml", "")]);
        let find = |name: &str| find_playbook(&files, Path::new(name), Some(Path::new("/own")));
        assert_eq!(find("./mine.yml"), Ok(PathBuf::from("mine.yml")));
        assert_eq!(find("mine"), Ok(PathBuf::from("mine.yml")));
        assert_eq!(find("site"), Ok(PathBuf::from("site.yml")));
        assert_eq!(find("/own/site.yml"), Ok(PathBuf::from("/own/site.yml")));
        assert_eq!(find("none").map_err(|error| error.fault), Err(Fault::Missing));
    }

    #[test]
    fn bundled_playbook_is_used_when_there_is_none_of_that_name() {
        let files = MemoryFiles::of(&[("/own/site.yml", "")]);
        let found = find_playbook(&files, Path::new("site.yml"), Some(Path::new("/own")));
        assert_eq!(found, Ok(PathBuf::from("/own/site.yml")));
    }

    #[test]
    fn tidy_keeps_what_goes_above_the_start() {
        assert_eq!(tidy(Path::new("a/./b/../c")), PathBuf::from("a/c"));
        assert_eq!(tidy(Path::new("../a/../../b")), PathBuf::from("../../b"));
    }
}
