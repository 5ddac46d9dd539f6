//! What is brought in at run time: task files, roles, variables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::engine::arguments;
use crate::engine::check::unchecked_spec;
use crate::engine::compile::{
    BlockPlan, Compiler, Lineage, Order, Part, Place, TaskPlan, role_view,
};
use crate::engine::files::TaskFiles;
use crate::engine::result::Finished;
use crate::engine::scene::{Run, Scene};
use crate::engine::task::{Job, Single};
use crate::engine::view::{View, shown};
use crate::modules::{Args, ProjectFiles as _};
use crate::names::HostName;
use crate::outcome::Outcome;
use crate::playbook::{
    Block, Common, Delegate, EarlyVars, PlaceInRole, RoleFrom, RoleUse, TaskPlace,
};
use crate::source::Diagnostics;
use crate::vars::{Layer, Layers, Origin, Rank, Variable};
use crate::yaml::Node;

/// A file or role that a host goes on with.
#[derive(Clone, Debug)]
pub(crate) struct Include {
    what: What,
    /// Loop variables; the tasks inside see them.
    params: Arc<Layer>,
    apply: Option<Node>,
    /// Says whether two hosts include the same; they then go on in step.
    pub(crate) key: String,
    /// The file or role, to be shown.
    pub(crate) shown: String,
    /// Label of the loop item.
    pub(crate) label: Option<String>,
}

#[derive(Clone, Debug)]
enum What {
    Tasks(PathBuf),
    Role { name: String, from: RoleFrom, allow_duplicates: bool, public: bool, validate: bool },
}

/// `include_tasks`: finds the file.
pub(crate) fn tasks(job: &Job, view: &View) -> Single {
    let args = match rendered(job, view) {
        Ok(args) => args,
        Err(finished) => return Single::of(*finished),
    };
    let name = match args.required("file") {
        Ok(name) => name,
        Err(error) => return Single::of(Finished::of(Outcome::failed(error.message))),
    };
    match job.scene.run.loader.find_tasks(&name, &place(job)) {
        Ok(path) => {
            let shown = path.display().to_string();
            included(job, view, What::Tasks(path), shown)
        }
        Err(tried) => {
            let path = tried.first().map(|path| path.display().to_string()).unwrap_or(name.clone());
            let reason = format!("Could not find or access '{path}' on the Ansible Controller.");
            let outcome = Outcome::new(crate::outcome::Status::Failed)
                .with("include", name)
                .with("reason", reason);
            Single::of(Finished::of(outcome))
        }
    }
}

/// `include_role`.
pub(crate) fn role(job: &Job, view: &View) -> Single {
    let args = match rendered(job, view) {
        Ok(args) => args,
        Err(finished) => return Single::of(*finished),
    };
    let read = || -> Result<What, crate::modules::ArgError> {
        Ok(What::Role {
            name: args.required("name")?,
            from: RoleFrom {
                tasks: args.text("tasks_from")?,
                vars: args.text("vars_from")?,
                defaults: args.text("defaults_from")?,
                handlers: args.text("handlers_from")?,
            },
            allow_duplicates: args.boolean("allow_duplicates", true)?,
            public: args.boolean("public", false)?,
            validate: args.boolean("rolespec_validate", true)?,
        })
    };
    match read() {
        Ok(what) => {
            let shown = args.text("name").ok().flatten().unwrap_or_default();
            included(job, view, what, shown)
        }
        Err(error) => Single::of(Finished::of(Outcome::failed(error.message))),
    }
}

fn rendered(job: &Job, view: &View) -> Result<Args, Box<Finished>> {
    let Some(module) = crate::modules::find(&job.plan.task.action.name) else {
        return Err(Box::new(Finished::failed("Task failed: the include statement is not known")));
    };
    // What `apply` holds is for the tasks inside, and templated there.
    let mut plan = TaskPlan {
        task: job.plan.task.clone(),
        order: job.plan.order.clone(),
        keywords: job.plan.keywords.clone(),
        when: Vec::new(),
        notify: Vec::new(),
        delegate: Delegate::default(),
        vars: job.plan.vars.clone(),
        lineage: job.plan.lineage.clone(),
        tags: job.plan.tags.clone(),
        ..*job.plan
    };
    if plan.task.action.named.iter().any(|argument| argument.name == "apply") {
        let mut task = (*plan.task).clone();
        task.action.named.retain(|argument| argument.name != "apply");
        plan.task = Arc::new(task);
    }
    arguments::render(&plan, module.doc(), view)
        .map_err(|error| Box::new(crate::engine::attempt::failed_arguments(error)))
}

fn included(job: &Job, view: &View, what: What, shown_as: String) -> Single {
    let task = &job.plan.task;
    let mut values = Vec::new();
    let mut label = None;
    if task.repeat.is_some() {
        let control = &task.loop_control;
        let item = control.loop_var.as_ref().and_then(Node::raw).unwrap_or("item");
        let index = control.index_var.as_ref().and_then(Node::raw);
        for name in [Some(item), index, Some("ansible_loop_var"), Some("ansible_loop")] {
            if let Some(name) = name
                && let Ok(Some(value)) = view.variable(name)
            {
                values.push((name.to_owned(), value));
            }
        }
        label = match &control.label {
            Some(node) => view.text(node).ok(),
            None => values.first().map(|(_, value)| shown(value)),
        };
    }
    let apply = task.action.named.iter().find(|argument| argument.name == "apply");
    let key =
        format!("{what:?}|{:?}", values.iter().map(|(_, value)| shown(value)).collect::<Vec<_>>());
    let include = Include {
        what,
        params: Arc::new(Layer::data(values, "loop of the include")),
        apply: apply.map(|argument| argument.value.clone()),
        key,
        shown: shown_as,
        label,
    };
    let mut single = Single::of(Finished::of(Outcome::ok()));
    single.include = Some(include);
    single
}

fn place(job: &Job) -> TaskPlace {
    TaskPlace {
        playbook_dir: job.scene.plan.play.playbook_dir.clone(),
        folder: job.plan.task.folder.clone(),
        role: job.plan.lineage.role.as_ref().map(|role| PlaceInRole {
            name: role.name.clone(),
            path: role.path.clone(),
            parents: role.parents.iter().map(|parent| parent.name.clone()).collect(),
        }),
        handlers: job.plan.handler,
        vars: Vec::new(),
    }
}

/// Names in imports inside included files, seen from the host that includes.
pub(crate) struct HostEarly<'a> {
    /// The run.
    pub(crate) run: &'a Run,
    /// The host's variables.
    pub(crate) layers: Layers,
}

impl EarlyVars for HostEarly<'_> {
    fn render(&self, text: &str, vars: &[(Node, Node)]) -> Result<String, String> {
        let mut layers = self.layers.clone();
        layers.push(Rank::BlockVars, Arc::new(Layer::written(vars, "vars of the import")));
        let scope = crate::vars::scope(Arc::new(layers), &self.run.templar);
        match self.run.templar.text(text, None, &scope) {
            Ok(value) => Ok(shown(&value)),
            Err(error) => Err(error.message),
        }
    }
}

/// Reads what is included and makes it part of the play, at `order`.
pub(crate) fn build(
    scene: &Scene,
    host: &HostName,
    plan: &Arc<TaskPlan>,
    include: &Include,
    order: Order,
) -> Result<Arc<BlockPlan>, Diagnostics> {
    let job_place = |handlers| TaskPlace {
        playbook_dir: scene.plan.play.playbook_dir.clone(),
        folder: plan.task.folder.clone(),
        role: plan.lineage.role.as_ref().map(|role| PlaceInRole {
            name: role.name.clone(),
            path: role.path.clone(),
            parents: role.parents.iter().map(|parent| parent.name.clone()).collect(),
        }),
        handlers,
        vars: Vec::new(),
    };
    let layers = scene.layers(host, Some(plan));
    let render_view = View::new(&scene.run, layers.clone(), Arc::from([]));
    let render = |node: &Node| tag_words(node, &render_view);
    let compiler = Compiler {
        tags: &scene.run.tags,
        ids: &scene.run.ids,
        render: &render,
        handler: plan.handler,
    };
    let early = HostEarly { run: &scene.run, layers };
    let mut lineage = Lineage::clone(&plan.lineage);
    lineage.params.push(include.params.clone());
    lineage.params.push(plan.vars.clone());
    if let Some(apply) = &include.apply {
        self::apply(apply, &mut lineage, &compiler);
    }
    let mut place = Place::under(order);
    match &include.what {
        What::Tasks(path) => {
            let items = scene.run.loader.task_file(path, &job_place(plan.handler), &early)?;
            let main = compiler.list(&items, &Arc::new(lineage), &mut place);
            Ok(Arc::new(BlockPlan { main, ..BlockPlan::default() }))
        }
        What::Role { name, from, allow_duplicates, public, validate } => {
            let mut usage = scene.run.loader.role(name, from, &job_place(false), &early)?;
            if let Some(refusal) = unchecked_spec(&usage.role).filter(|_| *validate) {
                return Err(Diagnostics(vec![refusal]));
            }
            usage.allow_duplicates = *allow_duplicates;
            usage.public = *public;
            Ok(Arc::new(role_block(scene, &compiler, usage, &lineage, plan, &mut place)))
        }
    }
}

fn role_block(
    scene: &Scene,
    compiler: &Compiler<'_>,
    usage: RoleUse,
    lineage: &Lineage,
    plan: &TaskPlan,
    place: &mut Place,
) -> BlockPlan {
    let usage = Arc::new(usage);
    let block = Block {
        span: plan.task.span,
        name: None,
        common: Common::default(),
        when: Vec::new(),
        notify: Vec::new(),
        delegate: Delegate::default(),
        role: Some(usage.clone()),
        block: Vec::new(),
        rescue: Vec::new(),
        always: Vec::new(),
    };
    let view = Arc::new(role_view(&usage, &block, lineage.role.as_ref()));
    let mut inner = lineage.clone();
    inner.role = Some(view.clone());
    let inner = Arc::new(inner);
    let mut main = compiler.list(&usage.dependencies, &inner, place);
    main.extend(compiler.list(&usage.role.tasks, &inner, place));
    main.push(Part::RoleEnd(view.clone()));
    // Handlers of a role are there for the rest of the play, whoever included it.
    scene.add_handlers(&view, |handlers| compiler.handlers(&usage.role.handlers, &inner, handlers));
    if usage.public {
        scene.publish(&view);
    }
    BlockPlan { main, role: Some(view), ..BlockPlan::default() }
}

/// Turns a tag, which may hold templates, into words.
pub(crate) fn tag_words(node: &Node, view: &View) -> Vec<String> {
    let split = |text: &str| -> Vec<String> {
        text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
    };
    let raw = node.raw().unwrap_or_default();
    if !crate::template::has_template(raw) {
        return split(raw);
    }
    match view.resolve(node) {
        Ok(value) => match value.try_iter() {
            Ok(items) if value.as_str().is_none() => {
                items.flat_map(|item| split(&shown(&item))).collect()
            }
            Ok(_) | Err(_) => split(&shown(&value)),
        },
        Err(_) => split(raw),
    }
}

/// Gives the tasks inside what `apply:` says.
fn apply(node: &Node, lineage: &mut Lineage, compiler: &Compiler<'_>) {
    let mut common = Common::default();
    for (key, value) in node.as_map().unwrap_or_default() {
        let many = || value.as_seq().map_or_else(|| vec![value.clone()], <[Node]>::to_vec);
        let one = || Some(value.clone());
        match key.raw().unwrap_or_default() {
            "tags" => common.tags = many(),
            "vars" => common.vars = value.as_map().unwrap_or_default().to_vec(),
            "environment" => common.environment = many(),
            "module_defaults" => common.module_defaults = many(),
            "become" => common.r#become = one(),
            "become_user" => common.become_user = one(),
            "become_method" => common.become_method = one(),
            "become_flags" => common.become_flags = one(),
            "become_exe" => common.become_exe = one(),
            "connection" => common.connection = one(),
            "remote_user" => common.remote_user = one(),
            "port" => common.port = one(),
            "check_mode" => common.check_mode = one(),
            "diff" => common.diff = one(),
            "no_log" => common.no_log = one(),
            "ignore_errors" => common.ignore_errors = one(),
            "ignore_unreachable" => common.ignore_unreachable = one(),
            "any_errors_fatal" => common.any_errors_fatal = one(),
            "run_once" => common.run_once = one(),
            "throttle" => common.throttle = one(),
            "timeout" => common.timeout = one(),
            "when" => lineage.when.extend(many()),
            "notify" => lineage.notify.extend(many()),
            "delegate_to" => lineage.delegate.to = one(),
            "delegate_facts" => lineage.delegate.facts = one(),
            // Anything else was refused by the checks before the run.
            _ => {}
        }
    }
    compiler.inherit(lineage, &common);
}

/// `include_vars`: reads variables from files.
pub(crate) fn vars(job: &Job, view: &View, search: &Arc<[PathBuf]>) -> Single {
    let args = match rendered(job, view) {
        Ok(args) => args,
        Err(finished) => return Single::of(*finished),
    };
    match read_vars(job, &args, search) {
        Ok((entries, files)) => {
            let name = args.text("name").ok().flatten();
            let span = job.plan.task.span;
            let entries = match name {
                Some(name) => {
                    let kind = crate::yaml::NodeKind::Map(entries);
                    vec![(Node::string(&name, span), Node { kind, span, tag: None })]
                }
                None => entries,
            };
            let mut shown = Map::new();
            let mut variables = Vec::new();
            for (key, value) in entries {
                let key: Arc<str> = Arc::from(key.raw().unwrap_or_default());
                shown.insert(key.to_string(), crate::yaml::to_json(&value));
                let origin = Origin { what: Arc::from("include_vars"), span: Some(value.span) };
                variables.push((key, (Variable::Written(value), origin)));
            }
            let files: Vec<Json> =
                files.iter().map(|path| Json::from(path.display().to_string())).collect();
            let outcome = Outcome::ok()
                .with("ansible_facts", Json::Object(shown))
                .with("ansible_included_var_files", files);
            let mut single = Single::of(Finished::of(outcome));
            single.variables = variables;
            single
        }
        Err(message) => {
            let outcome = Outcome::failed(message.clone())
                .with("ansible_facts", Json::Object(Map::new()))
                .with("ansible_included_var_files", Vec::<Json>::new())
                .with("message", message);
            Single::of(Finished::of(outcome))
        }
    }
}

type Entries = Vec<(Node, Node)>;

fn read_vars(
    job: &Job,
    args: &Args,
    search: &Arc<[PathBuf]>,
) -> Result<(Entries, Vec<PathBuf>), String> {
    let run = &job.scene.run;
    let files = TaskFiles::new(run.world.files.clone(), search.clone());
    let text = |name: &str| args.text(name).map_err(|error| error.message);
    let mut found = Vec::new();
    match (text("file")?, text("dir")?) {
        (Some(file), _) => {
            found.push(files.find("vars", &file).map_err(|tried| not_found(&file, &tried))?);
        }
        (None, Some(dir)) => {
            let folder = files.find("vars", &dir).map_err(|tried| not_found(&dir, &tried))?;
            collect_folder(job, args, &folder, 1, &mut found)?;
        }
        (None, None) => return Err("one of file or dir must be given".to_owned()),
    }
    let mut entries: Entries = Vec::new();
    for path in &found {
        for (key, value) in read_file(run, path)? {
            entries.retain(|(known, _)| known.raw() != key.raw());
            entries.push((key, value));
        }
    }
    Ok((entries, found))
}

/// Reads a file of variables; an empty one has none.
pub(crate) fn read_file(run: &Run, path: &Path) -> Result<Entries, String> {
    let text = run
        .world
        .files
        .read_text(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let file = run.world.sources.add(path, text);
    let node = crate::yaml::parse_one(&run.world.sources, file)
        .map_err(|error| format!("{}: {}", path.display(), error.message))?;
    if node.is_null() {
        return Ok(Vec::new());
    }
    match node.as_map() {
        Some(entries) => Ok(entries.to_vec()),
        None => Err(format!("{} must be stored as a dictionary/hash", path.display())),
    }
}

fn collect_folder(
    job: &Job,
    args: &Args,
    folder: &Path,
    depth: i64,
    into: &mut Vec<PathBuf>,
) -> Result<(), String> {
    let files = &job.scene.run.world.files;
    let words = |name: &str| args.list(name).map_err(|error| error.message);
    let limit = args.integer("depth").map_err(|error| error.message)?.unwrap_or(0);
    let endings =
        words("extensions")?.unwrap_or_else(|| ["json", "yaml", "yml"].map(str::to_owned).to_vec());
    let ignored = words("ignore_files")?.unwrap_or_default();
    let matching = args.text("files_matching").map_err(|error| error.message)?;
    let matching = matching
        .map(|text| fancy_regex::Regex::new(&text).map_err(|error| error.to_string()))
        .transpose()?;
    let lenient =
        args.boolean("ignore_unknown_extensions", false).map_err(|error| error.message)?;
    for name in files.list(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = folder.join(&name);
        if files.is_dir(&path) {
            if limit == 0 || depth < limit {
                collect_folder(job, args, &path, depth + 1, into)?;
            }
            continue;
        }
        let taken = matching.as_ref().is_none_or(|regex| regex.is_match(&name).unwrap_or(false));
        if !taken || ignored.contains(&name) {
            continue;
        }
        let ending = path.extension().map(|end| end.to_string_lossy().into_owned());
        match ending {
            Some(ending) if endings.contains(&ending) => into.push(path),
            Some(_) | None if lenient || matching.is_none() => {}
            Some(_) | None => {
                return Err(format!(
                    "{} does not have a valid extension: {}",
                    path.display(),
                    endings.join(", ")
                ));
            }
        }
    }
    Ok(())
}

fn not_found(name: &str, tried: &[PathBuf]) -> String {
    let list: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
    format!(
        "Could not find or access '{name}'\nSearched in:\n\t{} on the Ansible Controller.",
        list.join("\n\t")
    )
}
