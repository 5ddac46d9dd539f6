//! What the engine is given of this machine and this command line.

mod extra_vars;
mod settings;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::asker::{self, Terminal};
use super::config::Config;
use super::failure::{Failure, Kind, with_causes};
use super::files::ProjectDisk;
use super::flags::{
    BecomeFlags, ConnectFlags, HostFlags, HostKeyPolicy, Output, RunFlags, TaskFlags,
};
use super::outside::ThisMachine;
use crate::digest::hex;
use crate::engine::{self, Options, Person, World};
use crate::event::{Event, EventSink, Fan};
use crate::inventory::Inventory;
use crate::playbook::{self, Playbook};
use crate::record::Recorder;
use crate::report::{JsonLines, Look, Minimal, Plain, Rehearsal, Screen, Tty};
use crate::secret::{Redactor, Secret};
use crate::source::{Diagnostic, Diagnostics, EMBEDDED, Fault, Files, Severity, Sources};
use crate::transport::HostKeys;
use crate::vars::{Layer, Origin, Variable};
use extra_vars::extra_vars;
use settings::{defaults, given_or, number, paths, show};

/// All flags of a run, from whichever verb.
#[derive(Clone, Debug, Default)]
pub(super) struct RunRequest {
    pub(super) hosts: HostFlags,
    pub(super) connect: ConnectFlags,
    pub(super) become_flags: BecomeFlags,
    pub(super) run: RunFlags,
    pub(super) tasks: TaskFlags,
    /// Variables that the verb itself sets, below `-e`.
    pub(super) own_vars: Vec<(String, serde_json::Value)>,
    /// Further consumers of events.
    pub(super) listeners: Vec<Listener>,
    /// What is said on the terminal.
    pub(super) look: Form,
}

/// What a run says on the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// Plays and tasks.
    #[default]
    Plays,
    /// One block a host.
    Minimal,
    /// Nothing: the verb speaks for itself.
    Silent,
}

/// One more consumer of events.
#[derive(Clone)]
pub(super) struct Listener(pub(super) Arc<dyn EventSink>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

/// A run made ready: nothing has been touched yet.
pub(super) struct Ready {
    pub(super) world: World,
    pub(super) inventory: Inventory,
    sources: Sources,
    colour: bool,
    request: RunRequest,
    state: PathBuf,
    screen: Screen,
    config: Config,
}

impl RunRequest {
    /// Reads the inventory and the extra variables, and asks for passwords.
    pub(super) fn prepare(self) -> Result<Ready, Failure> {
        let sources = Sources::default();
        let colour = is_colourful(std::io::stderr().is_terminal());
        let folder = std::env::current_dir().map_err(|error| {
            Failure::general(format!("cannot tell the working folder: {error}"))
        })?;
        let config = Config::load(&folder)?;
        for warning in &config.warnings {
            super::talk(&format!("[WARNING]: {warning}"));
        }
        let keyring = self.run.vault.keyring(&config)?;
        let files: Arc<dyn Files> = Arc::new(ProjectDisk::new(folder.clone(), keyring));
        let person = person(folder);
        let redactor = Redactor::default();
        let drawn =
            |kind, found: &Diagnostics| Failure::of_diagnostics(kind, found, &sources, colour);
        let given = self.inventory_sources(&person.folder, &config);
        let (inventory, warnings) =
            Inventory::load_with_programs(&given, files.as_ref(), &sources, &ThisMachine)
                .map_err(|found| drawn(Kind::Parse, &found))?;
        for warning in &warnings {
            super::talk(&crate::report::draw(warning, &sources, colour));
        }
        let mut layer = Layer::default();
        for (name, value) in &self.own_vars {
            let origin = Origin { what: Arc::from("the command's own flags"), span: None };
            let value = Variable::Data(minijinja::Value::from(minijinja::value::Serde(value)));
            layer.values.insert(Arc::from(name.as_str()), (value, origin));
        }
        for text in &self.run.extra_vars {
            extra_vars(text, files.as_ref(), &sources, &mut layer)
                .map_err(|error| error.into_failure(&sources, colour))?;
        }
        // Before the run is recorded: its command line may hold them.
        engine::hide_written_secrets(&layer, &redactor);
        let options = self.options(&redactor, &config)?;
        let state = state_dir(self.run.state_dir.as_deref(), &person.home);
        let screen = Screen::default();
        let world = World {
            options,
            sources: sources.clone(),
            files,
            outside: Arc::new(ThisMachine),
            extra: Arc::new(layer),
            roles_path: paths(&config, "DEFAULT_ROLES_PATH"),
            events: Arc::new(Fan(Vec::new())),
            redactor,
            cancel: CancellationToken::new(),
            asker: Arc::new(Terminal { screen: screen.clone() }),
            connections: None,
            person,
        };
        Ok(Ready { world, inventory, sources, colour, request: self, state, screen, config })
    }

    fn inventory_sources(&self, folder: &Path, config: &Config) -> Vec<String> {
        if !self.hosts.inventory.is_empty() {
            return self.hosts.inventory.clone();
        }
        if let Some(set) = config.set_list("DEFAULT_HOST_LIST") {
            return set;
        }
        // A project's own inventory, then the place Ansible looks at.
        let own = ["inventory", "inventory.yml", "inventory.ini", "hosts", "hosts.yml"];
        let found = own.iter().map(|name| folder.join(name)).find(|path| path.exists());
        let system = PathBuf::from("/etc/ansible/hosts");
        let found = found.or_else(|| system.exists().then_some(system));
        found.map(|path| path.to_string_lossy().into_owned()).into_iter().collect()
    }

    fn options(&self, redactor: &Redactor, config: &Config) -> Result<Options, Failure> {
        let connect = &self.connect;
        let file = |given: &Option<PathBuf>, name: &str| {
            given.clone().or_else(|| config.set_text(name).map(PathBuf::from))
        };
        let connection_password = password(
            connect.ask_pass || config.flag("DEFAULT_ASK_PASS"),
            file(&connect.connection_password_file, "CONNECTION_PASSWORD_FILE").as_deref(),
            "SSH password: ",
        )?;
        let mut become_password = password(
            self.become_flags.ask_become_pass || config.flag("DEFAULT_BECOME_ASK_PASS"),
            file(&self.become_flags.become_password_file, "BECOME_PASSWORD_FILE").as_deref(),
            "BECOME password[defaults to SSH password]: ",
        )?;
        if become_password.as_ref().is_some_and(|secret| secret.reveal().is_empty()) {
            become_password.clone_from(&connection_password);
        }
        for secret in [&connection_password, &become_password].into_iter().flatten() {
            redactor.add(secret.reveal());
        }
        let mut ssh_args = Vec::new();
        let args = [
            config.set_text("SSH_ARGS"),
            connect.ssh_common_args.clone().or_else(|| config.set_text("SSH_COMMON_ARGS")),
            connect.ssh_extra_args.clone().or_else(|| config.set_text("SSH_EXTRA_ARGS")),
        ];
        for text in args.into_iter().flatten() {
            ssh_args.extend(words(&text)?);
        }
        if self.tasks.step && !std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "cannot ask before each task (--step): there is no terminal",
            )
            .hint("run it at a terminal, or choose tasks with --tags or --start-at-task"));
        }
        let tags = |list: &[String]| list.iter().map(|tag| tag.trim().to_owned()).collect();
        Ok(Options {
            forks: self.run.forks.unwrap_or_else(|| number(config, "DEFAULT_FORKS", 5)).max(1),
            check: self.run.check,
            diff: self.run.diff || config.flag("DIFF_ALWAYS"),
            limit: self.hosts.limit.clone(),
            tags: tags(&given_or(&self.tasks.tags, config, "TAGS_RUN")),
            skip_tags: tags(&given_or(&self.tasks.skip_tags, config, "TAGS_SKIP")),
            start_at_task: self.tasks.start_at_task.clone(),
            step: self.tasks.step,
            verbosity: self
                .run
                .verbose
                .max(number(config, "DEFAULT_VERBOSITY", 0).try_into().unwrap_or(4)),
            r#become: self.become_flags.r#become || config.flag("DEFAULT_BECOME"),
            become_user: self
                .become_flags
                .become_user
                .clone()
                .or_else(|| config.set_text("DEFAULT_BECOME_USER")),
            become_method: self
                .become_flags
                .become_method
                .clone()
                .or_else(|| config.set_text("DEFAULT_BECOME_METHOD")),
            become_password,
            remote_user: connect.user.clone().or_else(|| config.set_text("DEFAULT_REMOTE_USER")),
            connection_password,
            private_key: file(&connect.private_key, "DEFAULT_PRIVATE_KEY_FILE"),
            connection: connect.connection.clone().or_else(|| config.set_text("DEFAULT_TRANSPORT")),
            timeout: connect.timeout.or_else(|| config.set_number("DEFAULT_TIMEOUT")),
            ssh_args,
            host_keys: host_keys(connect, config),
            force_handlers: self.tasks.force_handlers || config.flag("DEFAULT_FORCE_HANDLERS"),
            show_scripts: self.run.show_scripts,
            defaults: defaults(config)?,
            plan: self.run.plan,
            purpose: purpose(),
        })
    }
}

impl Ready {
    /// Loads playbooks; all mistakes of all of them are shown together.
    pub(super) fn load(&mut self, paths: &[PathBuf]) -> Result<Vec<Playbook>, Failure> {
        let loader = playbook::Loader::new(
            self.sources.clone(),
            self.world.files.clone(),
            engine::catalog(),
            self.world.roles_path.clone(),
        );
        let mut playbooks = Vec::new();
        let mut wrong = Diagnostics::default();
        for path in paths {
            if !self.world.files.is_file(path) {
                let shown = path.display();
                return Err(Failure::general(format!("the playbook: {shown} could not be found")));
            }
            let early = engine::Early::new(&self.world);
            match loader.playbook(path, &early) {
                Ok((mut playbook, warnings)) => {
                    self.warn(&warnings);
                    for play in &mut playbook.plays {
                        // `playbook_dir` is absolute, as authors who hand it to programs expect.
                        // What matron carries has no place on the disk.
                        if !play.playbook_dir.starts_with(EMBEDDED) {
                            play.playbook_dir = self.world.person.folder.join(&play.playbook_dir);
                        }
                    }
                    playbooks.push(playbook);
                }
                Err(found) => wrong.0.extend(found.0),
            }
        }
        if !wrong.0.is_empty() {
            return Err(self.refusal(&wrong));
        }
        for playbook in &playbooks {
            let folder = playbook.path.parent().unwrap_or(Path::new(""));
            let folder = if folder.starts_with(EMBEDDED) {
                folder.to_owned()
            } else {
                self.world.person.folder.join(folder)
            };
            let files = self.world.files.clone();
            match self.inventory.load_group_vars(&folder, files.as_ref(), &self.sources) {
                Ok(warnings) => self.warn(&warnings),
                Err(found) => return Err(self.refusal(&found)),
            }
        }
        self.check(&playbooks)?;
        Ok(playbooks)
    }

    /// Refuses what can be seen to be wrong before anything is touched.
    pub(super) fn check(&self, playbooks: &[Playbook]) -> Result<(), Failure> {
        match engine::check(&self.world, &self.inventory, playbooks) {
            Ok(warnings) => self.warn(&warnings),
            Err(found) => return Err(self.refusal(&found)),
        }
        self.check_limit()
    }

    /// Does the same for a playbook made of the command line: there is no file to point into.
    pub(super) fn check_words(&self, playbooks: &[Playbook]) -> Result<(), Failure> {
        if let Err(mut found) = engine::check(&self.world, &self.inventory, playbooks) {
            found.0.iter_mut().for_each(|one| one.labels.clear());
            return Err(self.refusal(&found));
        }
        self.check_limit()
    }

    /// Refuses a limit that leaves nothing to do: it is a typing mistake more often than a wish.
    fn check_limit(&self) -> Result<(), Failure> {
        let Some(limit) = &self.world.options.limit else { return Ok(()) };
        let matched = self
            .inventory
            .matched(limit, self.world.files.as_ref())
            .map_err(|error| Failure::general(with_causes(&error)))?;
        if !matched.hosts.is_empty() || self.inventory.hosts().next().is_none() {
            return Ok(());
        }
        let failure = Failure::general(format!(
            "--limit '{limit}' leaves no host: nothing in the inventory matches it"
        ));
        let near = matched.missed.into_iter().find_map(|(_, near)| near);
        Err(failure.hint(near.map_or_else(
            || "matron inventory --graph shows the hosts and groups there are".to_owned(),
            |near| format!("did you mean '{near}'?"),
        )))
    }

    /// Says warnings on stderr.
    fn warn(&self, warnings: &[Diagnostic]) {
        for warning in warnings.iter().filter(|found| found.severity == Severity::Warning) {
            super::talk(&crate::report::draw(warning, &self.sources, self.colour));
        }
    }

    /// Turns mistakes of the project into a failure; only missing files make it a general one (exit 1).
    pub(super) fn refusal(&self, found: &Diagnostics) -> Failure {
        let missing = found.0.iter().all(|one| one.fault == Fault::Missing);
        let kind = if missing { Kind::General } else { Kind::Parse };
        Failure::of_diagnostics(kind, found, &self.sources, self.colour)
    }

    /// Runs playbooks, reporting and recording; returns the exit code.
    pub(super) async fn run(mut self, playbooks: Vec<Playbook>) -> Result<u8, Failure> {
        self.round(playbooks, true).await
    }

    /// Keeps connections open from one round to the next; those that could not be made are tried again.
    pub(super) async fn keep_connections(&mut self) {
        let kept = match self.world.connections.take() {
            Some(kept) => kept,
            None => engine::connections(&self.world),
        };
        kept.forget_lost().await;
        self.world.connections = Some(kept);
    }

    /// Closes the connections that were kept.
    pub(super) async fn close(&mut self) {
        if let Some(kept) = self.world.connections.take() {
            kept.close().await;
        }
    }

    /// Tells whether the run was interrupted.
    pub(super) fn is_cancelled(&self) -> bool {
        self.world.cancel.is_cancelled()
    }

    /// Runs playbooks, and may be asked to do so again; `recorded` keeps a record of it.
    pub(super) async fn round(
        &mut self,
        playbooks: Vec<Playbook>,
        recorded: bool,
    ) -> Result<u8, Failure> {
        let id = run_id();
        let mut folder = None;
        let mut sinks: Vec<Arc<dyn EventSink>> = Vec::new();
        if recorded {
            let keeper = Recorder::start(&self.state, &id)?;
            folder = Some(keeper.folder().to_owned());
            sinks.push(Arc::new(keeper));
        }
        if self.request.look != Form::Silent {
            sinks.push(self.reporter());
        }
        sinks.extend(self.request.listeners.iter().map(|listener| listener.0.clone()));
        self.world.events = Arc::new(Fan(sinks));
        self.world.events.take(&Event::RunStarted {
            run: id,
            command: std::env::args().map(|word| self.world.redactor.redact(&word)).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            user: self.world.person.user.clone(),
            reason: self.request.run.reason.clone(),
            ticket: self.request.run.ticket.clone(),
            check: self.world.options.check,
        });
        let watcher = tokio::spawn(watch_interrupt(self.world.cancel.clone(), self.screen.clone()));
        let result = engine::run(&self.world, self.inventory.clone(), playbooks).await;
        watcher.abort();
        if let Some(failure) = &result.failure {
            super::talk(&crate::report::draw(failure, &self.sources, self.colour));
        }
        if let Some(folder) = folder
            && self.request.run.verbose > 0
            && self.request.look == Form::Plays
        {
            super::talk(&format!("record: {}", folder.display()));
        }
        Ok(result.exit)
    }

    fn reporter(&self) -> Arc<dyn EventSink> {
        let terminal = console::Term::stdout();
        let is_terminal = terminal.is_term() && std::io::stderr().is_terminal();
        let width = if is_terminal { usize::from(terminal.size().1).saturating_sub(1) } else { 79 };
        let options = &self.world.options;
        let look = Look {
            verbosity: options.verbosity,
            diff: options.diff,
            width,
            show: show(&self.config),
        };
        match self.request.run.output {
            Output::Json => Arc::new(JsonLines::new(std::io::stdout())),
            Output::Text if options.plan => Arc::new(Rehearsal::new(std::io::stdout())),
            Output::Text if self.request.look == Form::Minimal => {
                Arc::new(Minimal::new(std::io::stdout()))
            }
            Output::Text if is_colourful(is_terminal) => Arc::new(Tty::new(look, &self.screen)),
            Output::Text => Arc::new(Plain::new(look, std::io::stdout(), std::io::stderr())),
        }
    }
}

/// Cancels on the first Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once.
async fn watch_interrupt(cancel: CancellationToken, screen: Screen) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    screen.aside(|| {
        super::talk(
            "\nInterrupted: ending what runs on the hosts. Press Ctrl-C again to leave at once.",
        );
    });
    cancel.cancel();
    interrupt.recv().await;
    screen.aside(|| super::talk("Left without waiting; what ran on the hosts may still run."));
    leave(99);
}

#[expect(clippy::disallowed_methods, clippy::exit, reason = "a second Ctrl-C means now")]
fn leave(code: i32) {
    std::process::exit(code)
}

pub(super) fn is_colourful(is_terminal: bool) -> bool {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    is_terminal && !set("NO_COLOR") && !set("CI") && env("TERM").as_deref() != Some("dumb")
}

#[expect(clippy::disallowed_methods, reason = "the door is where the environment is read")]
pub(super) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns who runs this and where, for logs on the hosts.
pub(super) fn who() -> String {
    let Person { user, hostname, .. } = person(PathBuf::new());
    format!("{user}@{hostname}")
}

fn person(folder: PathBuf) -> Person {
    let home =
        env("HOME").filter(|home| !home.is_empty()).map_or_else(|| "/root".into(), PathBuf::from);
    let user = env("USER").or_else(|| env("LOGNAME")).unwrap_or_else(|| "root".to_owned());
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let agent = env("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
    Person { user, home, agent, folder, hostname }
}

/// Says what this process is, for others who meet its locks: the words before the first flag, which hold no secret.
fn purpose() -> String {
    let verb: Vec<String> =
        std::env::args().skip(1).take_while(|word| !word.starts_with('-')).collect();
    format!("pid {}: matron {}", std::process::id(), verb.join(" "))
}

fn state_dir(given: Option<&Path>, home: &Path) -> PathBuf {
    if let Some(given) = given {
        return given.to_owned();
    }
    match env("XDG_STATE_HOME").filter(|path| path.starts_with('/')) {
        Some(state) => PathBuf::from(state).join("matron"),
        None => home.join(".local/state/matron"),
    }
}

/// Returns the folder where runs are kept.
pub(super) fn default_state_dir(given: Option<&Path>) -> PathBuf {
    state_dir(given, &person(PathBuf::new()).home)
}

fn host_keys(connect: &ConnectFlags, config: &Config) -> Option<HostKeys> {
    let asked = match connect.host_keys {
        Some(HostKeyPolicy::Strict) => Some(HostKeys::Strict),
        Some(HostKeyPolicy::AcceptNew) => Some(HostKeys::AcceptNew),
        Some(HostKeyPolicy::Off) => Some(HostKeys::Off),
        None if connect.accept_new_host_keys => Some(HostKeys::AcceptNew),
        None => None,
    };
    asked.or_else(|| (config.set_flag("HOST_KEY_CHECKING") == Some(false)).then_some(HostKeys::Off))
}

fn password(ask: bool, file: Option<&Path>, prompt: &str) -> Result<Option<Secret>, Failure> {
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::general(format!("cannot read the password file {}: {error}", file.display()))
        })?;
        return Ok(Some(Secret::new(text.trim())));
    }
    if ask { asker::password(prompt).map(|text| Some(Secret::new(text))) } else { Ok(None) }
}

/// Splits a line into words as a shell does.
pub(super) fn words(text: &str) -> Result<Vec<String>, Failure> {
    crate::shell::split(text)
        .map_err(|why| Failure::usage(format!("cannot read the ssh arguments: {why}: {text}")))
}

/// Returns a run id that begins with the time: `20261122T213400Z-3f9a`.
fn run_id() -> String {
    use rand::Rng as _;
    let now = jiff::Timestamp::now();
    let mut tail = [0_u8; 3];
    rand::rng().fill_bytes(&mut tail);
    format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), hex(&tail))
}
