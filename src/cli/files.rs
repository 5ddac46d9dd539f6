//! Project files: the disk, and behind it the playbooks and templates that matron carries.
//!
//! Embedded files live under the folder [`EMBEDDED`]. A file of the same name under the working folder wins, so a site
//! overrides `templates/pg_hba.conf.j2` by having one.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};

use crate::source::{EMBEDDED, Files};
use crate::vault::{self, Keyring};

static PLAYBOOKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/playbooks");
static TEMPLATES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The disk, with embedded files behind it.
#[derive(Debug, Clone)]
pub(super) struct ProjectDisk {
    folder: PathBuf,
    keyring: Keyring,
}

/// Where a path leads.
enum Place {
    Disk(PathBuf),
    Embedded(&'static [u8]),
    EmbeddedDir(Vec<String>),
    Nowhere,
}

impl ProjectDisk {
    /// Takes the working folder of the process, and the passwords that open sealed files.
    pub(super) fn new(folder: PathBuf, keyring: Keyring) -> Self {
        Self { folder, keyring }
    }

    fn place(&self, path: &Path) -> Place {
        let Ok(inside) = path.strip_prefix(EMBEDDED) else { return Place::Disk(path.to_owned()) };
        let inside = without_dots(inside);
        // Templates stand beside the playbooks, not below them; a playbook looks below its own folder.
        let inside = match inside.strip_prefix("playbooks/templates") {
            Ok(rest) => Path::new("templates").join(rest),
            Err(_) => inside,
        };
        let own = self.folder.join(&inside);
        if own.is_file() {
            return Place::Disk(own);
        }
        let Some(first) = inside.iter().next() else { return Place::Nowhere };
        let dir = match first.to_str() {
            Some("playbooks") => &PLAYBOOKS,
            Some("templates") => &TEMPLATES,
            _ => return Place::Nowhere,
        };
        let Ok(rest) = inside.strip_prefix(first) else { return Place::Nowhere };
        if let Some(file) = dir.get_file(rest) {
            return Place::Embedded(file.contents());
        }
        let folder = if rest.as_os_str().is_empty() { Some(dir) } else { dir.get_dir(rest) };
        match folder {
            Some(folder) => Place::EmbeddedDir(names(folder)),
            None => Place::Nowhere,
        }
    }
}

fn names(dir: &Dir<'static>) -> Vec<String> {
    let name = |entry: &DirEntry<'static>| {
        entry.path().file_name().map(|name| name.to_string_lossy().into_owned())
    };
    let mut names: Vec<String> = dir.entries().iter().filter_map(name).collect();
    names.sort();
    names
}

/// Takes `.` and `..` out of a path by its words alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            std::path::Component::Normal(_)
            | std::path::Component::RootDir
            | std::path::Component::Prefix(_) => out.push(part),
        }
    }
    out
}

impl Files for ProjectDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = self.read_as_is(path)?;
        if !vault::is_sealed(&bytes) {
            return Ok(bytes);
        }
        let plain = self.keyring.open(&bytes);
        plain
            .map(|plain| plain.to_vec())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn keyring(&self) -> Keyring {
        self.keyring.clone()
    }

    fn read_as_is(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.place(path) {
            Place::Disk(path) => fs::read(path),
            Place::Embedded(bytes) => Ok(bytes.to_vec()),
            Place::EmbeddedDir(_) => Err(io::ErrorKind::IsADirectory.into()),
            Place::Nowhere => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn is_file(&self, path: &Path) -> bool {
        match self.place(path) {
            Place::Disk(path) => path.is_file(),
            Place::Embedded(_) => true,
            Place::EmbeddedDir(_) | Place::Nowhere => false,
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        match self.place(path) {
            Place::Disk(path) => path.is_dir(),
            Place::EmbeddedDir(_) => true,
            Place::Embedded(_) | Place::Nowhere => false,
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        match self.place(path) {
            Place::Disk(path) => {
                let mut names = Vec::new();
                for entry in fs::read_dir(path)? {
                    names.push(entry?.file_name().to_string_lossy().into_owned());
                }
                names.sort();
                Ok(names)
            }
            Place::EmbeddedDir(names) => Ok(names),
            Place::Embedded(_) | Place::Nowhere => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn is_executable(&self, path: &Path) -> bool {
        match self.place(path) {
            Place::Disk(path) => {
                fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
            }
            Place::Embedded(_) | Place::EmbeddedDir(_) | Place::Nowhere => false,
        }
    }
}

/// Returns the path of a bundled playbook by its short name: the site's own `playbooks/NAME.yml` when there is one.
pub(super) fn bundled(name: &str) -> PathBuf {
    Path::new(EMBEDDED).join("playbooks").join(format!("{name}.yml"))
}

/// Writes every embedded playbook and template below a folder (`matron doc --export`).
pub(super) fn export(into: &Path) -> io::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (name, dir) in [("playbooks", &PLAYBOOKS), ("templates", &TEMPLATES)] {
        let mut folders = vec![dir];
        while let Some(folder) = folders.pop() {
            for entry in folder.entries() {
                match entry {
                    DirEntry::Dir(inner) => folders.push(inner),
                    DirEntry::File(file) => {
                        let path = into.join(name).join(file.path());
                        if let Some(parent) = path.parent() {
                            fs::create_dir_all(parent)?;
                        }
                        fs::write(&path, file.contents())?;
                        written.push(path);
                    }
                }
            }
        }
    }
    written.sort();
    Ok(written)
}
