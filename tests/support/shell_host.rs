//! A host made of one shell and one temporary folder: runs modules for real, without a connection.
//!
//! It does what the conduit does (the prelude, fields on fd 3, `LC_ALL=C`, a subshell for each script) and what the engine
//! does with steps. The busybox host has nothing but busybox's own tools on its PATH.

#![expect(
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test stands or falls by its host"
)]

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use matron::modules::{
    self, Action, Arg, ArgError, ArgKind, Args, Done, Evaluate, Mode, ProjectFiles, Step,
    TaskContext, UploadSource,
};
use matron::outcome::{Outcome, Status};
use matron::shell::{Fields, PRELUDE, Reply, Script};
use matron::source::Span;
use matron::template::TemplateOptions;
use minijinja::Value;

/// One host: a shell, and a folder that goes away with it.
pub struct ShellHost {
    /// Name of the shell, for messages.
    pub name: &'static str,
    /// Where tests work; `files/` and `templates/` in it are the project's.
    pub folder: PathBuf,
    /// `environment:` of the tasks that follow.
    pub environment: RefCell<Vec<(String, String)>>,
    shell: Vec<String>,
    path: String,
    trips: Cell<usize>,
}

const CHECK: Mode = Mode { check: true, diff: true };
const ACT: Mode = Mode { check: false, diff: true };

impl ShellHost {
    /// Returns a host for each shell a target may have.
    pub fn each() -> Vec<Self> {
        super::packages::ensure(&["busybox", "bash", "dash"]);
        ["dash", "bash", "busybox"].into_iter().map(Self::new).collect()
    }

    fn new(name: &'static str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("matron-{}-{number}-{name}", std::process::id()));
        for sub in ["files", "templates", "bin", "host"] {
            fs::create_dir_all(folder.join(sub)).expect("temporary folder");
        }
        let folder = folder.canonicalize().expect("temporary folder");
        // What a test puts into `bin` is found before what the machine has.
        let own = folder.join("bin").display().to_string();
        let usual = format!("{own}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let (shell, path) = if name == "busybox" {
            let bin = folder.join("bin");
            let done = Command::new("busybox").args(["--install", "-s"]).arg(&bin).status();
            assert!(done.expect("busybox is installed").success());
            (vec![bin.join("sh").display().to_string()], bin.display().to_string())
        } else {
            (vec![format!("/bin/{name}")], usual)
        };
        Self { name, folder, environment: RefCell::default(), shell, path, trips: Cell::new(0) }
    }

    /// Returns a path in the folder tests work in.
    pub fn path(&self, name: &str) -> String {
        self.folder.join("host").join(name).display().to_string()
    }

    /// Writes a file, making its folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = PathBuf::from(self.path(name));
        fs::create_dir_all(path.parent().expect("has a parent")).expect("folder");
        fs::write(&path, content).expect("file");
        path.display().to_string()
    }

    /// Writes a file of the project (`files/x`, `templates/x`).
    pub fn project(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("folder");
        fs::write(&path, content).expect("file");
        path
    }

    /// Makes a symbolic link.
    pub fn link(&self, to: &str, name: &str) -> String {
        symlink(to, self.path(name)).expect("link");
        self.path(name)
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).expect(name)).into_owned()
    }

    /// Returns a path's permissions, as `0644`, or `-` when nothing is there.
    pub fn mode(&self, name: &str) -> String {
        fs::symlink_metadata(self.path(name))
            .map_or_else(|_| "-".to_owned(), |data| format!("0{:03o}", data.mode() & 0o7777))
    }

    /// Sets a path's permissions.
    pub fn chmod(&self, name: &str, bits: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(bits)).expect("chmod");
    }

    /// Lists everything below the folder, with kind, mode, size and content digest: two equal lists mean nothing changed.
    pub fn picture(&self) -> Vec<String> {
        fn walk(folder: &Path, into: &mut Vec<String>) {
            for entry in fs::read_dir(folder).expect("folder") {
                let path = entry.expect("entry").path();
                let data = fs::symlink_metadata(&path).expect("metadata");
                let content = if data.is_file() {
                    fs::read(&path).unwrap_or_default()
                } else {
                    fs::read_link(&path)
                        .map(|to| to.display().to_string().into_bytes())
                        .unwrap_or_default()
                };
                let (bits, inode) = (data.mode(), data.ino());
                into.push(format!(
                    "{} {bits:o} {inode} {}",
                    path.display(),
                    String::from_utf8_lossy(&content)
                ));
                if data.is_dir() {
                    walk(&path, into);
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.folder.join("host"), &mut all);
        all.sort();
        all
    }

    /// Runs a module with arguments written as JSON.
    pub fn run(&self, module: &str, args: serde_json::Value) -> Outcome {
        self.run_in(module, args, ACT)
    }

    /// Runs a module in check mode with diff, and asserts that nothing on the host has changed.
    pub fn check(&self, module: &str, args: serde_json::Value) -> Outcome {
        let before = self.picture();
        let outcome = self.run_in(module, args, CHECK);
        assert_eq!(before, self.picture(), "{}: check mode changed something", self.name);
        outcome
    }

    /// Asserts that a module changes something, then that a second run does not and takes one round trip.
    pub fn converges(&self, module: &str, args: serde_json::Value) -> Outcome {
        let planned = self.check(module, args.clone());
        assert_eq!(planned.status, Status::Changed, "{} plan: {planned:?}", self.name);
        let first = self.run(module, args.clone());
        assert_eq!(first.status, Status::Changed, "{} first run: {first:?}", self.name);
        self.stays(module, args);
        first
    }

    /// Asserts that a module finds nothing to do, in one round trip.
    pub fn stays(&self, module: &str, args: serde_json::Value) -> Outcome {
        self.trips.set(0);
        let before = self.picture();
        let second = self.run(module, args.clone());
        assert_eq!(second.status, Status::Ok, "{} second run: {second:?}", self.name);
        assert_eq!(before, self.picture(), "{}: unchanged run changed something", self.name);
        assert_eq!(second.diff, Vec::new(), "{}: a diff without a change", self.name);
        assert_eq!(self.trips.get(), 1, "{}: round trips when unchanged", self.name);
        second
    }

    /// Runs a module that must fail and returns its message.
    pub fn refuses(&self, module: &str, args: serde_json::Value) -> String {
        let outcome = self.run(module, args);
        assert_eq!(outcome.status, Status::Failed, "{}: {outcome:?}", self.name);
        outcome.message().unwrap_or_default().to_owned()
    }

    /// Returns how many scripts were sent since the last call.
    pub fn trips(&self) -> usize {
        self.trips.replace(0)
    }

    /// Runs a module in a mode.
    pub fn run_in(&self, module: &str, args: serde_json::Value, mode: Mode) -> Outcome {
        match self.action(module, args, mode) {
            Ok(mut action) => self.drive(action.as_mut(), mode),
            Err(error) => Outcome::failed(error.message),
        }
    }

    fn action(
        &self,
        module: &str,
        args: serde_json::Value,
        mode: Mode,
    ) -> Result<Box<dyn Action>, ArgError> {
        let found = modules::find(module).expect("module is listed");
        let doc = found.doc();
        let mut named = Args::default();
        for (given, value) in args.as_object().expect("arguments are a mapping") {
            let known = doc
                .args
                .iter()
                .find(|arg| arg.name == given || arg.aliases.contains(&given.as_str()));
            let Some(known) = known else {
                return Err(ArgError::new(format!(
                    "Unsupported parameters for ({module}) module: {given}"
                )));
            };
            if matches!(known.kind, ArgKind::Ignored(_)) {
                continue;
            }
            named.named.insert(known.name.to_owned(), Arg::of(minijinja::value::Serde(value)));
        }
        let environment = self.environment.borrow().clone();
        let context = TaskContext {
            host: "h1",
            mode,
            vars: &Plain,
            files: self,
            environment: &environment,
            user: "root",
            timeout: None,
            verbosity: 0,
        };
        found.parse(&mut named, &context)
    }

    /// Drives an action to its end.
    pub fn drive(&self, action: &mut dyn Action, mode: Mode) -> Outcome {
        let mut step = action.begin(mode);
        for _ in 0..50 {
            let done = match step {
                Step::Send(script) | Step::SendLong(script) => Done::Reply(self.send(&script)),
                Step::Upload(upload) => {
                    let temp = format!("{}.upload", upload.beside);
                    let bytes = match upload.source {
                        UploadSource::File(path) => fs::read(path).expect("source"),
                        UploadSource::Bytes(bytes) => bytes,
                    };
                    fs::write(&temp, bytes).expect("upload");
                    fs::set_permissions(&temp, fs::Permissions::from_mode(0o600)).expect("chmod");
                    Done::Uploaded(temp)
                }
                Step::Download(wanted) => {
                    Done::Downloaded(fs::read(&wanted.path).expect("download"))
                }
                Step::Wait(_) => Done::Waited,
                Step::Ask(_) => Done::Answered(None),
                Step::Lock { .. } => Done::Locked(Ok(())),
                Step::Done(outcome) => return outcome,
            };
            step = action.resume(done);
        }
        panic!("{}: the action does not come to an end", self.name);
    }

    /// Runs one script as the conduit would.
    pub fn send(&self, script: &Script) -> Reply {
        self.trips.set(self.trips.get() + 1);
        let at = |name: &str| self.folder.join(name);
        fs::write(at("prelude"), PRELUDE).expect("prelude");
        fs::write(at("script"), script.render()).expect("script");
        let began = Instant::now();
        let output = Command::new(&self.shell[0])
            .args(&self.shell[1..])
            .args(["-c", r#"exec 3>"$1"; . "$2"; ( . "$3" )"#, "sh"])
            .args([at("fields"), at("prelude"), at("script")])
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.folder.join("host"))
            .env("LC_ALL", "C")
            .current_dir(self.folder.join("host"))
            .stdin(Stdio::null())
            .output()
            .expect("the shell runs");
        let fields = fs::read(at("fields")).expect("fields");
        let fields = Fields::parse(&fields).unwrap_or_else(|error| {
            panic!("{}: {error}: {}", self.name, String::from_utf8_lossy(&fields))
        });
        Reply {
            status: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: output.stderr,
            fields,
            took: began.elapsed(),
            between: None,
            timed_out: false,
        }
    }
}

impl Drop for ShellHost {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Returns a text of an outcome's data.
pub fn text<'a>(outcome: &'a Outcome, key: &str) -> &'a str {
    outcome
        .data
        .get(key)
        .and_then(serde_json::Value::as_str)
        .unwrap_or_else(|| panic!("no {key} in {outcome:?}"))
}

/// Returns a value of an outcome's data; null when it is missing.
pub fn data(outcome: &Outcome, key: &str) -> serde_json::Value {
    outcome.data.get(key).cloned().unwrap_or(serde_json::Value::Null)
}

/// Just enough of a template language: `{{ v }}` is `world`.
struct Plain;

impl Evaluate for Plain {
    fn expression(&self, text: &str, _at: Option<Span>) -> Result<Value, String> {
        Ok(Value::from(text))
    }

    fn condition(&self, text: &str, _at: Option<Span>) -> Result<bool, String> {
        Ok(text == "true")
    }

    fn variable(&self, _name: &str) -> Result<Option<Value>, String> {
        Ok(None)
    }

    fn template(
        &self,
        text: &str,
        _name: &Path,
        _overrides: &TemplateOptions,
        _extra: &[(&str, Value)],
    ) -> Result<String, String> {
        if text.contains("nope") {
            return Err("'nope' is undefined".to_owned());
        }
        Ok(text.replace("{{ v }}", "world"))
    }
}

impl ProjectFiles for ShellHost {
    fn find(&self, subfolder: &str, name: &str) -> Result<PathBuf, Vec<PathBuf>> {
        let tried = [self.folder.join(subfolder).join(name), self.folder.join(name)];
        tried.iter().find(|path| path.exists()).cloned().ok_or_else(|| tried.to_vec())
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn list(&self, path: &Path) -> std::io::Result<Vec<String>> {
        let mut names: Vec<_> = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_, _>>()?;
        names.sort();
        Ok(names)
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        fs::metadata(path).ok().map(|data| data.mode() & 0o7777)
    }
}
