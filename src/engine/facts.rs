//! Whether anything in a project can read facts: gathering them costs a round trip and a long script a host.
//!
//! The scan errs on the safe side: whatever it cannot see into (files included at run time, templates with computed
//! names) counts as reading facts.

use std::path::PathBuf;

use crate::engine::World;
use crate::engine::files::TaskFiles;
use crate::engine::scene::Scene;
use crate::modules::ProjectFiles as _;
use crate::playbook::{Block, Item, Play, Playbook, Task};
use crate::template::has_template;

/// Words that start with `ansible_` and are no facts.
const NOT_FACTS: &[&str] = &[
    "ansible_become",
    "ansible_check_mode",
    "ansible_config_file",
    "ansible_connection",
    "ansible_diff_mode",
    "ansible_failed_result",
    "ansible_failed_task",
    "ansible_forks",
    "ansible_host",
    "ansible_host_key_checking",
    "ansible_index_var",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_loop",
    "ansible_loop_var",
    "ansible_managed",
    "ansible_parent_role_names",
    "ansible_parent_role_paths",
    "ansible_password",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_name",
    "ansible_play_role_names",
    "ansible_port",
    "ansible_private_key_file",
    "ansible_python_interpreter",
    "ansible_role_name",
    "ansible_run_tags",
    "ansible_search_path",
    "ansible_skip_tags",
    "ansible_timeout",
    "ansible_user",
    "ansible_verbosity",
    "ansible_version",
];

/// Modules that choose by facts, or can read any variable of a host.
const READERS: &[&str] = &["package", "service", "include_tasks", "include_role", "script"];

/// Tells whether the scene's implicit gathering is worth its script.
pub(crate) fn wanted(scene: &Scene) -> bool {
    scene.run.facts_wanted
}

/// Looks through everything loaded.
pub(crate) fn scan(playbooks: &[Playbook], world: &World) -> bool {
    world.sources.all().iter().any(|file| reads_facts(&file.text))
        || playbooks.iter().flat_map(|playbook| &playbook.plays).any(|play| play_reads(play, world))
}

fn play_reads(play: &Play, world: &World) -> bool {
    [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks, &play.handlers]
        .into_iter()
        .flatten()
        .any(|item| item_reads(item, play, world, None))
}

fn item_reads(item: &Item, play: &Play, world: &World, role: Option<&PathBuf>) -> bool {
    match item {
        Item::Task(task) => task_reads(task, play, world, role),
        Item::Block(block) => block_reads(block, play, world, role),
    }
}

fn block_reads(block: &Block, play: &Play, world: &World, role: Option<&PathBuf>) -> bool {
    let usage = block.role.as_ref();
    let role = usage.map(|usage| &usage.role.path).or(role);
    let lists = [&block.block, &block.rescue, &block.always];
    let inner = lists.into_iter().flatten();
    let of_role =
        usage.into_iter().flat_map(|usage| usage.dependencies.iter().chain(&usage.role.handlers));
    inner.chain(of_role).any(|item| item_reads(item, play, world, role))
}

fn task_reads(task: &Task, play: &Play, world: &World, role: Option<&PathBuf>) -> bool {
    let action = &task.action;
    if READERS.contains(&action.name.as_str()) {
        return true;
    }
    if action.name != "template" {
        return false;
    }
    let named = action.named.iter().find(|argument| argument.name == "src");
    let Some(src) = named.and_then(|argument| argument.value.raw()) else { return true };
    if has_template(src) {
        return true;
    }
    let mut search: Vec<PathBuf> = role.into_iter().cloned().collect();
    search.extend([task.folder.clone(), play.playbook_dir.clone()]);
    let files = TaskFiles::new(world.files.clone(), search.into());
    let text = files.find("templates", src).ok().and_then(|path| world.files.read_text(&path).ok());
    match text {
        Some(text) => {
            reads_facts(&text)
                || ["include", "import", "extends", "lookup", "query"]
                    .iter()
                    .any(|word| text.contains(word))
        }
        None => true,
    }
}

/// Tells whether a text may name a fact.
fn reads_facts(text: &str) -> bool {
    if text.contains("hostvars") || text.contains("lookup('template'") || text.contains("vars[") {
        return true;
    }
    text.match_indices("ansible_").any(|(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return false;
        }
        let word: String =
            text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let connection = ["ansible_ssh_", "ansible_become_", "ansible_sudo_"];
        !NOT_FACTS.contains(&word.as_str())
            && !connection.iter().any(|start| word.starts_with(start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_seen_and_magic_words_are_not() {
        assert!(reads_facts("{{ ansible_facts.os_family }}"));
        assert!(reads_facts("when: ansible_os_family == 'Debian'"));
        assert!(reads_facts("{{ hostvars['a'].x }}"));
        assert!(!reads_facts("ansible_host: 10.0.0.1\n  my_ansible_os: 3"));
    }
}
