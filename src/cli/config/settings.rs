//! The settings of `ansible.cfg` and `ANSIBLE_*` that matron knows, named as `ansible-config` names them.

use Kind::{Bool, Int, List, One, Path, PathList, Text};
use Weight::{Counts, Idle};

/// The form of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// yes or no.
    Bool,
    /// A whole number.
    Int,
    /// Text.
    Text,
    /// One of these words.
    One(&'static [&'static str]),
    /// A path; from a file it is below that file's folder.
    Path,
    /// Paths with colons between.
    PathList,
    /// Words with commas between.
    List,
}

/// Whether a setting has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It does what it does for Ansible.
    Counts,
    /// It is about a thing that is not here (Python, plugins, cows) or is always so; setting it changes nothing.
    Idle,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    /// Environment variables, the first one first.
    pub(super) env: &'static [&'static str],
    /// Section and key, the first one first.
    pub(super) ini: &'static [(&'static str, &'static str)],
    pub(super) kind: Kind,
    /// As it would be written; empty for none.
    pub(super) default: &'static str,
    pub(super) weight: Weight,
}

const fn setting(
    name: &'static str,
    env: &'static [&'static str],
    ini: &'static [(&'static str, &'static str)],
    kind: Kind,
    default: &'static str,
    weight: Weight,
) -> Setting {
    Setting { name, env, ini, kind, default, weight }
}

const D: &str = "defaults";
const I: &str = "inventory";
const P: &str = "privilege_escalation";
const S: &str = "ssh_connection";

/// All of them, by name.
#[rustfmt::skip]
pub(super) static ALL: &[Setting] = &[
    setting("ALLOW_BROKEN_CONDITIONALS", &["ANSIBLE_ALLOW_BROKEN_CONDITIONALS"], &[(D, "allow_broken_conditionals")], Bool, "False", Idle),
    setting("ANSIBLE_COW_SELECTION", &["ANSIBLE_COW_SELECTION"], &[(D, "cow_selection")], Text, "default", Idle),
    setting("ANSIBLE_FORCE_COLOR", &["ANSIBLE_FORCE_COLOR"], &[(D, "force_color")], Bool, "False", Counts),
    setting("ANSIBLE_HOME", &["ANSIBLE_HOME"], &[(D, "home")], Path, "~/.ansible", Counts),
    setting("ANSIBLE_NOCOLOR", &["ANSIBLE_NOCOLOR", "NO_COLOR"], &[(D, "nocolor")], Bool, "False", Counts),
    setting("ANSIBLE_NOCOWS", &["ANSIBLE_NOCOWS"], &[(D, "nocows")], Bool, "False", Idle),
    setting("ANSIBLE_PIPELINING", &["ANSIBLE_PIPELINING", "ANSIBLE_SSH_PIPELINING"], &[(D, "pipelining"), ("connection", "pipelining"), (S, "pipelining")], Bool, "False", Idle),
    setting("ANY_ERRORS_FATAL", &["ANSIBLE_ANY_ERRORS_FATAL"], &[(D, "any_errors_fatal")], Bool, "False", Counts),
    setting("BECOME_PASSWORD_FILE", &["ANSIBLE_BECOME_PASSWORD_FILE"], &[(D, "become_password_file")], Path, "", Counts),
    setting("CACHE_PLUGIN", &["ANSIBLE_CACHE_PLUGIN"], &[(D, "fact_caching")], Text, "memory", Counts),
    setting("CACHE_PLUGIN_CONNECTION", &["ANSIBLE_CACHE_PLUGIN_CONNECTION"], &[(D, "fact_caching_connection")], Text, "", Counts),
    setting("CACHE_PLUGIN_PREFIX", &["ANSIBLE_CACHE_PLUGIN_PREFIX"], &[(D, "fact_caching_prefix")], Text, "ansible_facts", Counts),
    setting("CACHE_PLUGIN_TIMEOUT", &["ANSIBLE_CACHE_PLUGIN_TIMEOUT"], &[(D, "fact_caching_timeout")], Int, "86400", Counts),
    setting("CALLBACKS_ENABLED", &["ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_CALLBACK_WHITELIST"], &[(D, "callbacks_enabled"), (D, "callback_whitelist")], List, "", Counts),
    setting("CALLBACK_RESULT_FORMAT", &["ANSIBLE_CALLBACK_RESULT_FORMAT"], &[(D, "callback_result_format")], One(&["json", "yaml"]), "json", Counts),
    setting("CHECK_MODE_MARKERS", &["ANSIBLE_CHECK_MODE_MARKERS"], &[(D, "check_mode_markers")], Bool, "False", Counts),
    setting("COLLECTIONS_PATHS", &["ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_COLLECTIONS_PATHS"], &[(D, "collections_path"), (D, "collections_paths")], PathList, "~/.ansible/collections:/usr/share/ansible/collections", Counts),
    setting("CONNECTION_PASSWORD_FILE", &["ANSIBLE_CONNECTION_PASSWORD_FILE"], &[(D, "connection_password_file")], Path, "", Counts),
    setting("DEFAULT_ASK_PASS", &["ANSIBLE_ASK_PASS"], &[(D, "ask_pass")], Bool, "False", Counts),
    setting("DEFAULT_ASK_VAULT_PASS", &["ANSIBLE_ASK_VAULT_PASS"], &[(D, "ask_vault_pass")], Bool, "False", Counts),
    setting("DEFAULT_BECOME", &["ANSIBLE_BECOME"], &[(P, "become")], Bool, "False", Counts),
    setting("DEFAULT_BECOME_ASK_PASS", &["ANSIBLE_BECOME_ASK_PASS"], &[(P, "become_ask_pass")], Bool, "False", Counts),
    setting("DEFAULT_BECOME_METHOD", &["ANSIBLE_BECOME_METHOD"], &[(P, "become_method")], Text, "sudo", Counts),
    setting("DEFAULT_BECOME_USER", &["ANSIBLE_BECOME_USER"], &[(P, "become_user")], Text, "root", Counts),
    setting("DEFAULT_CALLBACK_PLUGIN_PATH", &["ANSIBLE_CALLBACK_PLUGINS"], &[(D, "callback_plugins")], PathList, "", Idle),
    setting("DEFAULT_EXECUTABLE", &["ANSIBLE_EXECUTABLE"], &[(D, "executable")], Path, "/bin/sh", Idle),
    setting("DEFAULT_FORCE_HANDLERS", &["ANSIBLE_FORCE_HANDLERS"], &[(D, "force_handlers")], Bool, "False", Counts),
    setting("DEFAULT_FORKS", &["ANSIBLE_FORKS"], &[(D, "forks")], Int, "5", Counts),
    setting("DEFAULT_GATHERING", &["ANSIBLE_GATHERING"], &[(D, "gathering")], One(&["implicit", "explicit", "smart"]), "implicit", Counts),
    setting("DEFAULT_HASH_BEHAVIOUR", &["ANSIBLE_HASH_BEHAVIOUR"], &[(D, "hash_behaviour")], One(&["replace", "merge"]), "replace", Counts),
    setting("DEFAULT_HOST_LIST", &["ANSIBLE_INVENTORY"], &[(D, "inventory")], List, "/etc/ansible/hosts", Counts),
    setting("DEFAULT_JINJA2_NATIVE", &["ANSIBLE_JINJA2_NATIVE"], &[(D, "jinja2_native")], Bool, "True", Idle),
    setting("DEFAULT_LOCAL_TMP", &["ANSIBLE_LOCAL_TEMP"], &[(D, "local_tmp")], Path, "", Idle),
    setting("DEFAULT_LOG_PATH", &["ANSIBLE_LOG_PATH"], &[(D, "log_path")], Path, "", Counts),
    setting("DEFAULT_MANAGED_STR", &[], &[(D, "ansible_managed")], Text, "Ansible managed", Counts),
    setting("DEFAULT_MODULE_NAME", &[], &[(D, "module_name")], Text, "command", Counts),
    setting("DEFAULT_MODULE_PATH", &["ANSIBLE_LIBRARY"], &[(D, "library")], PathList, "", Idle),
    setting("DEFAULT_NO_LOG", &["ANSIBLE_NO_LOG"], &[(D, "no_log")], Bool, "False", Counts),
    setting("DEFAULT_NO_TARGET_SYSLOG", &["ANSIBLE_NO_TARGET_SYSLOG"], &[(D, "no_target_syslog")], Bool, "False", Idle),
    setting("DEFAULT_POLL_INTERVAL", &["ANSIBLE_POLL_INTERVAL"], &[(D, "poll_interval")], Int, "15", Counts),
    setting("DEFAULT_PRIVATE_KEY_FILE", &["ANSIBLE_PRIVATE_KEY_FILE"], &[(D, "private_key_file")], Path, "", Counts),
    setting("DEFAULT_REMOTE_PORT", &["ANSIBLE_REMOTE_PORT"], &[(D, "remote_port")], Int, "", Counts),
    setting("DEFAULT_REMOTE_USER", &["ANSIBLE_REMOTE_USER"], &[(D, "remote_user")], Text, "", Counts),
    setting("DEFAULT_ROLES_PATH", &["ANSIBLE_ROLES_PATH"], &[(D, "roles_path")], PathList, "~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles", Counts),
    setting("DEFAULT_STDOUT_CALLBACK", &["ANSIBLE_STDOUT_CALLBACK"], &[(D, "stdout_callback")], Text, "default", Counts),
    setting("DEFAULT_STRATEGY", &["ANSIBLE_STRATEGY"], &[(D, "strategy")], Text, "linear", Counts),
    setting("DEFAULT_TIMEOUT", &["ANSIBLE_TIMEOUT"], &[(D, "timeout")], Int, "10", Counts),
    setting("DEFAULT_TRANSPORT", &["ANSIBLE_TRANSPORT"], &[(D, "transport")], Text, "ssh", Counts),
    setting("DEFAULT_UNDEFINED_VAR_BEHAVIOR", &["ANSIBLE_ERROR_ON_UNDEFINED_VARS"], &[(D, "error_on_undefined_vars")], Bool, "True", Idle),
    setting("DEFAULT_VAULT_ENCRYPT_IDENTITY", &["ANSIBLE_VAULT_ENCRYPT_IDENTITY"], &[(D, "vault_encrypt_identity")], Text, "", Counts),
    setting("DEFAULT_VAULT_IDENTITY", &["ANSIBLE_VAULT_IDENTITY"], &[(D, "vault_identity")], Text, "default", Counts),
    setting("DEFAULT_VAULT_IDENTITY_LIST", &["ANSIBLE_VAULT_IDENTITY_LIST"], &[(D, "vault_identity_list")], List, "", Counts),
    setting("DEFAULT_VAULT_ID_MATCH", &["ANSIBLE_VAULT_ID_MATCH"], &[(D, "vault_id_match")], Bool, "False", Counts),
    setting("DEFAULT_VAULT_PASSWORD_FILE", &["ANSIBLE_VAULT_PASSWORD_FILE"], &[(D, "vault_password_file")], Path, "", Counts),
    setting("DEFAULT_VERBOSITY", &["ANSIBLE_VERBOSITY"], &[(D, "verbosity")], Int, "0", Counts),
    setting("DEPRECATION_WARNINGS", &["ANSIBLE_DEPRECATION_WARNINGS"], &[(D, "deprecation_warnings")], Bool, "True", Counts),
    setting("DIFF_ALWAYS", &["ANSIBLE_DIFF_ALWAYS"], &[("diff", "always")], Bool, "False", Counts),
    setting("DIFF_CONTEXT", &["ANSIBLE_DIFF_CONTEXT"], &[("diff", "context")], Int, "3", Counts),
    setting("DISPLAY_ARGS_TO_STDOUT", &["ANSIBLE_DISPLAY_ARGS_TO_STDOUT"], &[(D, "display_args_to_stdout")], Bool, "False", Idle),
    setting("DISPLAY_FAILED_STDERR", &["ANSIBLE_DISPLAY_FAILED_STDERR"], &[(D, "display_failed_stderr")], Bool, "False", Counts),
    setting("DISPLAY_OK_HOSTS", &["ANSIBLE_DISPLAY_OK_HOSTS"], &[(D, "display_ok_hosts")], Bool, "True", Counts),
    setting("DISPLAY_SKIPPED_HOSTS", &["ANSIBLE_DISPLAY_SKIPPED_HOSTS"], &[(D, "display_skipped_hosts")], Bool, "True", Counts),
    setting("DUPLICATE_YAML_DICT_KEY", &["ANSIBLE_DUPLICATE_YAML_DICT_KEY"], &[(D, "duplicate_dict_key")], One(&["warn", "error", "ignore"]), "warn", Counts),
    setting("ERROR_ON_MISSING_HANDLER", &["ANSIBLE_ERROR_ON_MISSING_HANDLER"], &[(D, "error_on_missing_handler")], Bool, "True", Counts),
    setting("HOST_KEY_CHECKING", &["ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_HOST_KEY_CHECKING"], &[(D, "host_key_checking"), (S, "host_key_checking")], Bool, "True", Counts),
    setting("HOST_PATTERN_MISMATCH", &["ANSIBLE_HOST_PATTERN_MISMATCH"], &[(I, "host_pattern_mismatch")], One(&["warning", "error", "ignore"]), "warning", Counts),
    setting("INJECT_FACTS_AS_VARS", &["ANSIBLE_INJECT_FACT_VARS"], &[(D, "inject_facts_as_vars")], Bool, "True", Counts),
    setting("INTERPRETER_PYTHON", &["ANSIBLE_PYTHON_INTERPRETER"], &[(D, "interpreter_python")], Text, "auto", Idle),
    setting("INVENTORY_ANY_UNPARSED_IS_FAILED", &["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"], &[(I, "any_unparsed_is_failed")], Bool, "False", Counts),
    setting("INVENTORY_ENABLED", &["ANSIBLE_INVENTORY_ENABLED"], &[(I, "enable_plugins")], List, "host_list,script,auto,yaml,ini,toml", Idle),
    setting("INVENTORY_UNPARSED_IS_FAILED", &["ANSIBLE_INVENTORY_UNPARSED_FAILED"], &[(I, "unparsed_is_failed")], Bool, "False", Counts),
    setting("INVENTORY_UNPARSED_WARNING", &["ANSIBLE_INVENTORY_UNPARSED_WARNING"], &[(I, "inventory_unparsed_warning")], Bool, "True", Counts),
    setting("LOCALHOST_WARNING", &["ANSIBLE_LOCALHOST_WARNING"], &[(D, "localhost_warning")], Bool, "True", Counts),
    setting("PLAYBOOK_DIR", &["ANSIBLE_PLAYBOOK_DIR"], &[(D, "playbook_dir")], Path, "", Counts),
    setting("RETRY_FILES_ENABLED", &["ANSIBLE_RETRY_FILES_ENABLED"], &[(D, "retry_files_enabled")], Bool, "False", Idle),
    setting("SHOW_CUSTOM_STATS", &["ANSIBLE_SHOW_CUSTOM_STATS"], &[(D, "show_custom_stats")], Bool, "False", Counts),
    setting("SHOW_PER_HOST_START", &["ANSIBLE_SHOW_PER_HOST_START"], &[(D, "show_per_host_start")], Bool, "False", Counts),
    setting("SSH_ARGS", &["ANSIBLE_SSH_ARGS"], &[(S, "ssh_args")], Text, "", Counts),
    setting("SSH_COMMON_ARGS", &["ANSIBLE_SSH_COMMON_ARGS"], &[(S, "ssh_common_args")], Text, "", Counts),
    setting("SSH_CONTROL_PATH", &["ANSIBLE_SSH_CONTROL_PATH"], &[(S, "control_path")], Text, "", Idle),
    setting("SSH_EXTRA_ARGS", &["ANSIBLE_SSH_EXTRA_ARGS"], &[(S, "ssh_extra_args")], Text, "", Counts),
    setting("SSH_RETRIES", &["ANSIBLE_SSH_RETRIES"], &[(S, "retries")], Int, "0", Idle),
    setting("SYSTEM_WARNINGS", &["ANSIBLE_SYSTEM_WARNINGS"], &[(D, "system_warnings")], Bool, "True", Counts),
    setting("TAGS_RUN", &["ANSIBLE_RUN_TAGS"], &[("tags", "run")], List, "", Counts),
    setting("TAGS_SKIP", &["ANSIBLE_SKIP_TAGS"], &[("tags", "skip")], List, "", Counts),
    setting("TASK_TIMEOUT", &["ANSIBLE_TASK_TIMEOUT"], &[(D, "task_timeout")], Int, "0", Counts),
    setting("TRANSFORM_INVALID_GROUP_CHARS", &["ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS"], &[(D, "force_valid_group_names")], One(&["never", "always", "silently", "ignore"]), "never", Idle),
    setting("VERBOSE_TO_STDERR", &["ANSIBLE_VERBOSE_TO_STDERR"], &[(D, "verbose_to_stderr")], Bool, "False", Idle),
];
