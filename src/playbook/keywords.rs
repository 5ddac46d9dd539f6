//! The keyword tables: which words Ansible knows where, for "did you mean" and "belongs elsewhere".

use crate::names::nearest;

/// What holds keywords, in the names Ansible's own messages use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holder {
    Play,
    PlaybookInclude,
    Block,
    Task,
    Handler,
    TaskInclude,
    IncludeRole,
    RoleMetadata,
    LoopControl,
}

/// Keywords of plays, blocks, role entries and tasks alike.
pub(super) const SHARED: &[&str] = &[
    "any_errors_fatal",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "check_mode",
    "collections",
    "connection",
    "debugger",
    "diff",
    "environment",
    "ignore_errors",
    "ignore_unreachable",
    "module_defaults",
    "name",
    "no_log",
    "port",
    "remote_user",
    "run_once",
    "tags",
    "throttle",
    "timeout",
    "vars",
];

const PLAY: &[&str] = &[
    "fact_path",
    "force_handlers",
    "gather_facts",
    "gather_subset",
    "gather_timeout",
    "handlers",
    "hosts",
    "max_fail_percentage",
    "order",
    "post_tasks",
    "pre_tasks",
    "roles",
    "serial",
    "strategy",
    "tasks",
    "vars_files",
    "vars_prompt",
];

const BLOCK: &[&str] =
    &["always", "block", "delegate_facts", "delegate_to", "notify", "rescue", "when"];

const TASK: &[&str] = &[
    "action",
    "args",
    "async",
    "changed_when",
    "delay",
    "delegate_facts",
    "delegate_to",
    "failed_when",
    "local_action",
    "loop",
    "loop_control",
    "notify",
    "poll",
    "register",
    "retries",
    "until",
    "when",
];

/// What a task that includes at run time may carry; the rest goes under `apply:`.
pub(super) const INCLUDE: &[&str] = &[
    "action",
    "args",
    "collections",
    "debugger",
    "ignore_errors",
    "loop",
    "loop_control",
    "name",
    "no_log",
    "register",
    "run_once",
    "tags",
    "timeout",
    "vars",
    "when",
];

const PLAYBOOK_INCLUDE: &[&str] = &["import_playbook", "name", "tags", "vars", "when"];

const ROLE_METADATA: &[&str] =
    &["allow_duplicates", "argument_specs", "collections", "dependencies", "galaxy_info"];

const LOOP_CONTROL: &[&str] =
    &["break_when", "extended", "extended_allitems", "index_var", "label", "loop_var", "pause"];

/// Lookups that `with_NAME` may name.
pub(super) const LOOP_LOOKUPS: &[&str] = &[
    "csvfile",
    "dict",
    "env",
    "file",
    "fileglob",
    "filetree",
    "first_found",
    "flattened",
    "indexed_items",
    "ini",
    "inventory_hostnames",
    "items",
    "lines",
    "list",
    "nested",
    "password",
    "pipe",
    "random_choice",
    "sequence",
    "subelements",
    "template",
    "together",
    "unvault",
    "url",
    "varnames",
    "vars",
];

/// Words that no variable may be named. Other words of Python (`class`) may: Ansible 2.19 takes them.
const RESERVED: [&str; 3] = ["False", "None", "True"];

/// Tells whether a text may name a variable.
pub(super) fn is_variable_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name)
}

impl Holder {
    /// Returns the name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Play => "Play",
            Self::PlaybookInclude => "PlaybookInclude",
            Self::Block => "Block",
            Self::Task => "Task",
            Self::Handler => "Handler",
            Self::TaskInclude => "TaskInclude",
            Self::IncludeRole => "IncludeRole",
            Self::RoleMetadata => "RoleMetadata",
            Self::LoopControl => "LoopControl",
        }
    }

    /// Returns every keyword it takes.
    pub(super) fn keywords(self) -> impl Iterator<Item = &'static str> {
        let (shared, own, more): (&[&str], &[&str], &[&str]) = match self {
            Self::Play => (SHARED, PLAY, &[]),
            Self::PlaybookInclude => (&[], PLAYBOOK_INCLUDE, &[]),
            Self::Block => (SHARED, BLOCK, &[]),
            Self::Task => (SHARED, TASK, &[]),
            Self::Handler => (SHARED, TASK, &["listen"]),
            Self::TaskInclude | Self::IncludeRole => (&[], INCLUDE, &[]),
            Self::RoleMetadata => (&[], ROLE_METADATA, &[]),
            Self::LoopControl => (&[], LOOP_CONTROL, &[]),
        };
        shared.iter().chain(own).chain(more).copied()
    }

    /// Returns what to do about a word it does not take.
    pub(super) fn advice(self, word: &str) -> Option<String> {
        if let Some(near) = nearest(word, self.keywords()) {
            return Some(format!("did you mean '{near}'?"));
        }
        if let Some(modern) = modern_word(word) {
            return Some(modern.to_owned());
        }
        let elsewhere = [Self::Handler, Self::Block, Self::Play]
            .into_iter()
            .find(|other| *other != self && other.keywords().any(|keyword| keyword == word))?;
        Some(match elsewhere {
            Self::Handler if word == "listen" => "only handlers take it".to_owned(),
            Self::Block => "it belongs to a block: add 'block:' with the tasks".to_owned(),
            Self::Play => "it belongs to a play".to_owned(),
            Self::Handler => "it belongs to a task".to_owned(),
            Self::PlaybookInclude
            | Self::Task
            | Self::TaskInclude
            | Self::IncludeRole
            | Self::RoleMetadata
            | Self::LoopControl => return None,
        })
    }
}

/// Returns what replaced a keyword of old releases.
fn modern_word(word: &str) -> Option<&'static str> {
    match word {
        "sudo" | "su" => Some("write 'become: true' instead"),
        "sudo_user" | "su_user" => Some("write 'become_user' instead"),
        "always_run" => Some("write 'check_mode: false' instead"),
        "accelerate" | "static" => Some("it is gone from Ansible: remove it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slip_of_the_finger_is_put_right_and_a_foreign_word_sent_home() {
        assert_eq!(Holder::Task.advice("whne").as_deref(), Some("did you mean 'when'?"));
        assert_eq!(Holder::Task.advice("vars_files").as_deref(), Some("it belongs to a play"));
        assert_eq!(Holder::Task.advice("listen").as_deref(), Some("only handlers take it"));
        assert_eq!(Holder::Task.advice("quux"), None);
    }

    #[test]
    fn variable_names_are_identifiers_and_not_reserved() {
        assert!(is_variable_name("a_1"));
        assert!(!is_variable_name("a-b"));
        assert!(!is_variable_name("1a"));
        assert!(!is_variable_name("True"));
        assert!(is_variable_name("class"));
    }
}
