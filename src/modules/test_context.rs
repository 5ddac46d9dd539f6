//! A stand-in for the engine, for tests of modules that never reach a host.

use std::path::{Path, PathBuf};

use minijinja::Value;

use crate::modules::{
    Action, ArgError, Args, Evaluate, Mode, Module, ProjectFiles, Step, TaskContext,
};
use crate::outcome::Outcome;
use crate::source::Span;
use crate::template::TemplateOptions;

/// A context with plain variables, files by name, and minijinja's own expressions.
#[derive(Clone, Debug, Default)]
pub(super) struct Fake {
    variables: Vec<(String, Value)>,
    files: Vec<(String, String)>,
}

impl Fake {
    /// Adds a variable.
    pub(super) fn variable(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a project file.
    pub(super) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Parses arguments in this context.
    pub(super) fn parse(
        &self,
        module: &dyn Module,
        args: &mut Args,
    ) -> Result<Box<dyn Action>, ArgError> {
        module.parse(
            args,
            &TaskContext {
                host: "db1",
                mode: Mode::default(),
                vars: self,
                files: self,
                environment: &[],
                user: "root",
                timeout: None,
                verbosity: 0,
            },
        )
    }

    fn context(&self) -> Value {
        Value::from_pairs(self.variables.iter().map(|(name, value)| (name.clone(), value.clone())))
    }
}

/// Parses and begins an action that must be done at once.
pub(super) fn finish(
    module: &dyn Module,
    args: &mut Args,
    fake: &Fake,
) -> Result<Outcome, ArgError> {
    match fake.parse(module, args)?.begin(Mode::default()) {
        Step::Done(outcome) => Ok(outcome),
        other => panic!("not done at once: {other:?}"),
    }
}

impl Evaluate for Fake {
    fn expression(&self, text: &str, _at: Option<Span>) -> Result<Value, String> {
        let environment = minijinja::Environment::new();
        let expression = environment.compile_expression(text).map_err(|e| e.to_string())?;
        let value = expression.eval(self.context()).map_err(|e| e.to_string())?;
        if value.is_undefined() { Err(format!("'{text}' is undefined")) } else { Ok(value) }
    }

    fn condition(&self, text: &str, at: Option<Span>) -> Result<bool, String> {
        self.expression(text, at).map(|value| value.is_true())
    }

    fn variable(&self, name: &str) -> Result<Option<Value>, String> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        Ok(found.map(|(_, value)| value.clone()))
    }

    fn template(
        &self,
        text: &str,
        _name: &Path,
        _overrides: &TemplateOptions,
        _extra: &[(&str, Value)],
    ) -> Result<String, String> {
        let environment = minijinja::Environment::new();
        environment.render_str(text, self.context()).map_err(|e| e.to_string())
    }
}

impl ProjectFiles for Fake {
    fn find(&self, _subfolder: &str, name: &str) -> Result<PathBuf, Vec<PathBuf>> {
        let known = self.files.iter().any(|(file, _)| file == name);
        if known { Ok(PathBuf::from(name)) } else { Err(vec![PathBuf::from(name)]) }
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let found = self.files.iter().find(|(file, _)| Path::new(file) == path);
        found
            .map(|(_, text)| text.clone().into_bytes())
            .ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn is_dir(&self, _path: &Path) -> bool {
        false
    }

    fn list(&self, _path: &Path) -> std::io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn mode(&self, _path: &Path) -> Option<u32> {
        None
    }
}

/// How a test runs what an action sends: the frame stands for the conduit. stdin is the script.
const CONDUIT: &str = r#"LC_ALL=C PATH=$1:$PATH; export LC_ALL PATH; work=$2
reply() { printf '%s %s\n%s\n' "$1" "${#2}" "$2" >&3; }
reply_file() { printf '%s +' "$1" >&3; base64 <"$2" | tr -d '\n' >&3; printf '\n' >&3; }
script=$(cat)
( eval "$script" ) 3>"$work/reply" >"$work/stdout" 2>"$work/stderr" </dev/null
echo $? >"$work/status"
"#;

static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// A temporary folder and the shells that scripts must run under, one after the other for each test by turns.
#[derive(Debug)]
pub(super) struct Host {
    folder: PathBuf,
    shell: Vec<String>,
    container: Option<String>,
}

impl Host {
    /// Makes a host; each test gets one of dash, bash and busybox by turns.
    pub(super) fn temporary() -> Self {
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let shells: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];
        Self::with(shells[usize::try_from(count).expect("small") % 3], count)
    }

    /// Makes a host with each of the three shells.
    pub(super) fn each() -> [Self; 3] {
        let count = || COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        [
            Self::with(&["dash"], count()),
            Self::with(&["bash"], count()),
            Self::with(&["busybox", "sh"], count()),
        ]
    }

    fn with(shell: &[&str], count: u32) -> Self {
        let folder = std::env::temp_dir().join(format!("matron-{}-{count}", std::process::id()));
        std::fs::create_dir_all(folder.join("bin")).expect("temp folder");
        std::fs::create_dir_all(folder.join("frame")).expect("temp folder");
        let shell = shell.iter().map(|word| (*word).to_owned()).collect();
        Self { folder, shell, container: None }
    }

    /// Runs a module with arguments as they are.
    pub(super) fn run(
        &self,
        module: &dyn Module,
        args: impl IntoIterator<Item = (&'static str, Value)>,
        mode: Mode,
    ) -> Outcome {
        let action = Fake::default().parse(module, &mut Args::of(args));
        self.drive(action.unwrap_or_else(|error| panic!("{error}")), mode)
    }

    /// Returns a path in the folder as text.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().expect("inside")).expect("temp folder");
        std::fs::write(path, text).expect("temp file");
    }

    /// Reads a file; empty when it is missing.
    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.join(name)).expect("temp file");
    }

    /// Puts a program in front of the PATH.
    pub(super) fn program(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let name = format!("bin/{name}");
        self.write(&name, text);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.folder.join(name), mode).expect("temp file");
    }

    /// Runs an action to its end; waiting takes no time.
    pub(super) fn drive(&self, mut action: Box<dyn Action>, mode: Mode) -> Outcome {
        use crate::modules::Done;
        let mut step = action.begin(mode);
        loop {
            step = match step {
                Step::Done(outcome) => return outcome,
                Step::Send(script) | Step::SendLong(script) => {
                    action.resume(Done::Reply(self.send(&script)))
                }
                Step::Wait(_) => action.resume(Done::Waited),
                other => panic!("this host does not do {other:?}"),
            };
        }
    }

    fn send(&self, script: &crate::shell::Script) -> crate::shell::Reply {
        use std::io::Write as _;
        let (bin, frame) = (self.path("bin"), self.path("frame"));
        let (shell, options) = self.shell.split_first().expect("a shell");
        let mut child = std::process::Command::new(shell)
            .args(options)
            .args(["-c", CONDUIT, "sh", &bin, &frame])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("the shell is installed");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(&script.render()).expect("the shell reads");
        drop(stdin);
        child.wait().expect("the shell ends");
        let part =
            |name: &str| std::fs::read(self.folder.join("frame").join(name)).expect("written");
        crate::shell::Reply {
            status: self.read("frame/status").trim().parse().expect("a number"),
            stdout: part("stdout"),
            stderr: part("stderr"),
            fields: crate::shell::Fields::parse(&part("reply")).expect("fields"),
            took: std::time::Duration::from_millis(1),
            between: None,
            timed_out: false,
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(name) = &self.container {
            let _gone = std::process::Command::new("docker").args(["rm", "-f", name]).output();
        }
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}
