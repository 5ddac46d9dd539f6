//! Finds files of the project for a task, where Ansible would look.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::modules::ProjectFiles;
use crate::source::{EMBEDDED, Files};

/// Files as one task sees them.
pub(crate) struct TaskFiles {
    files: Arc<dyn Files>,
    /// Folders, nearest first.
    search: Arc<[PathBuf]>,
}

impl TaskFiles {
    /// Looks in these folders, nearest first.
    pub(crate) fn new(files: Arc<dyn Files>, search: Arc<[PathBuf]>) -> Self {
        Self { files, search }
    }
}

impl ProjectFiles for TaskFiles {
    fn find(&self, subfolder: &str, name: &str) -> Result<PathBuf, Vec<PathBuf>> {
        let given = Path::new(name);
        let there = |path: &Path| self.files.is_file(path) || self.files.is_dir(path);
        if given.is_absolute() {
            let path = given.to_owned();
            return if there(&path) { Ok(path) } else { Err(vec![path]) };
        }
        let mut tried = Vec::new();
        // What matron carries stands behind the project's own files.
        let embedded = Path::new(EMBEDDED).join("playbooks");
        for folder in self.search.iter().chain(std::iter::once(&embedded)) {
            for path in [folder.join(subfolder).join(given), folder.join(given)] {
                if there(&path) {
                    return Ok(path);
                }
                if !folder.starts_with(EMBEDDED) && !tried.contains(&path) {
                    tried.push(path);
                }
            }
        }
        // Last, what matron carries itself: the templates of its own playbooks, which a project may have copied.
        let own = Path::new(EMBEDDED).join(subfolder).join(given);
        if there(&own) {
            return Ok(own);
        }
        Err(tried)
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.files.read(path)
    }

    fn read_as_is(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.files.read_as_is(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.files.is_dir(path)
    }

    fn list(&self, path: &Path) -> std::io::Result<Vec<String>> {
        self.files.list(path)
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).ok().map(|meta| meta.permissions().mode() & 0o7777)
    }
}
