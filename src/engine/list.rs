//! What a run would act on: `--list-hosts`, `--list-tasks`, `--list-tags`, in `ansible-playbook`'s form.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::engine::World;
use crate::inventory::Inventory;
use crate::names::HostName;
use crate::playbook::tags::Selection;
use crate::playbook::{Common, Item, Play, Playbook, RoleUse, Task};
use crate::source::{Diagnostic, Diagnostics};
use crate::template::Templar;
use crate::vars::{Layer, Layers, Rank};
use crate::yaml::{Node, NodeKind};

/// What to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Hosts of each play.
    pub hosts: bool,
    /// Tasks of each play.
    pub tasks: bool,
    /// All tags of each play.
    pub tags: bool,
}

/// Returns the listing as text. Fails on a host pattern that cannot be used.
pub fn list(
    world: &World,
    inventory: &Inventory,
    playbooks: &[Playbook],
    what: Listing,
) -> Result<String, Diagnostics> {
    let mut text = String::new();
    for playbook in playbooks {
        let _ = write!(text, "\nplaybook: {}\n", playbook.path.display());
        for (at, play) in playbook.plays.iter().enumerate() {
            list_play(world, inventory, play, at + 1, what, &mut text)?;
        }
    }
    Ok(text)
}

fn list_play(
    world: &World,
    inventory: &Inventory,
    play: &Play,
    number: usize,
    what: Listing,
    text: &mut String,
) -> Result<(), Diagnostics> {
    let patterns = patterns(world, play)?;
    let pattern = patterns.join(",");
    let name = play.name.as_ref().and_then(Node::raw).unwrap_or(&pattern);
    let mut own = BTreeSet::new();
    add_tags(&play.common, &mut own);
    let tags = join(&own);
    let _ = write!(text, "\n  play #{number} ({pattern}): {name}\tTAGS: [{tags}]\n");
    if what.hosts {
        let hosts = chosen(world, inventory, play, &pattern)?;
        let shown: Vec<String> = patterns.iter().map(|one| format!("'{one}'")).collect();
        let _ = writeln!(text, "    pattern: [{}]", shown.join(", "));
        let _ = writeln!(text, "    hosts ({}):", hosts.len());
        for host in hosts {
            let _ = writeln!(text, "      {host}");
        }
    }
    if what.tasks || what.tags {
        let selection = Selection::new(&world.options.tags, &world.options.skip_tags);
        let mut walk = Walk { selection, tasks: Vec::new(), tags: BTreeSet::new() };
        let context = Context { tags: own, role: None };
        for list in [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks] {
            walk.items(list, &context);
        }
        if what.tasks {
            text.push_str("    tasks:\n");
            for (name, tags) in &walk.tasks {
                let _ = writeln!(text, "      {name}\tTAGS: [{tags}]");
            }
        }
        if what.tags {
            let _ = writeln!(text, "      TASK TAGS: [{}]", join(&walk.tags));
        }
    }
    Ok(())
}

/// Returns a play's host patterns, templates rendered from play vars and `-e`.
fn patterns(world: &World, play: &Play) -> Result<Vec<String>, Diagnostics> {
    let templar = Templar::new(world.sources.clone(), world.files.clone(), world.outside.clone());
    let mut layers = Layers::default();
    layers.push(Rank::PlayVars, Layer::written(&play.common.vars, "play vars").into());
    layers.push(Rank::Extra, world.extra.clone());
    let scope = crate::vars::scope(layers.into(), &templar);
    let nodes: Vec<&Node> = match &play.hosts.kind {
        NodeKind::Seq(items) => items.iter().collect(),
        NodeKind::Scalar(_) | NodeKind::Map(_) => vec![&play.hosts],
    };
    let mut patterns = Vec::new();
    for node in nodes {
        let value = templar.resolve(node, &scope).map_err(|error| {
            Diagnostic::error(error.message.clone()).at(error.span.unwrap_or(node.span), "")
        })?;
        match value.as_str() {
            Some(text) => patterns.push(text.to_owned()),
            None => match value.try_iter() {
                Ok(items) => patterns.extend(items.map(|item| item.to_string())),
                Err(_) => patterns.push(value.to_string()),
            },
        }
    }
    Ok(patterns)
}

fn chosen(
    world: &World,
    inventory: &Inventory,
    play: &Play,
    pattern: &str,
) -> Result<Vec<HostName>, Diagnostics> {
    let bad = |error: crate::inventory::PatternError| {
        Diagnostics::from(Diagnostic::error(error.to_string()).at(play.hosts.span, ""))
    };
    let hosts = inventory.matching(pattern, world.files.as_ref()).map_err(bad)?;
    let Some(limit) = &world.options.limit else { return Ok(hosts) };
    let within = inventory.matching(limit, world.files.as_ref()).map_err(bad)?;
    Ok(hosts.into_iter().filter(|host| within.contains(host)).collect())
}

/// What a task inherits.
#[derive(Clone, Debug)]
struct Context {
    tags: BTreeSet<String>,
    role: Option<String>,
}

struct Walk {
    selection: Selection,
    tasks: Vec<(String, String)>,
    tags: BTreeSet<String>,
}

impl Walk {
    fn items(&mut self, items: &[Item], context: &Context) {
        for item in items {
            match item {
                Item::Task(task) => self.task(task, context),
                Item::Block(block) => {
                    let mut inner = context.clone();
                    add_tags(&block.common, &mut inner.tags);
                    if let Some(role) = &block.role {
                        self.dependencies(role, &inner);
                        inner.role = Some(role.role.name.clone());
                    }
                    for list in [&block.block, &block.rescue, &block.always] {
                        self.items(list, &inner);
                    }
                }
            }
        }
    }

    fn dependencies(&mut self, role: &RoleUse, context: &Context) {
        self.items(&role.dependencies, context);
    }

    fn task(&mut self, task: &Task, context: &Context) {
        // Ansible lists no meta tasks.
        if task.action.name == "meta" {
            return;
        }
        let mut tags = context.tags.clone();
        add_tags(&task.common, &mut tags);
        let list: Vec<&str> = tags.iter().map(String::as_str).collect();
        if !self.selection.takes(&list) {
            return;
        }
        let own = task.name.as_ref().and_then(Node::raw).unwrap_or(&task.action.written);
        let name = match &context.role {
            Some(role) => format!("{role} : {own}"),
            None => own.to_owned(),
        };
        self.tasks.push((name, list.join(", ")));
        self.tags.extend(tags);
    }
}

fn add_tags(common: &Common, into: &mut BTreeSet<String>) {
    for node in &common.tags {
        match &node.kind {
            NodeKind::Seq(items) => {
                into.extend(items.iter().filter_map(Node::raw).map(str::to_owned));
            }
            NodeKind::Scalar(scalar) => {
                into.extend(scalar.raw.split(',').map(|tag| tag.trim().to_owned()));
            }
            NodeKind::Map(_) => {}
        }
    }
}

fn join(tags: &BTreeSet<String>) -> String {
    tags.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
