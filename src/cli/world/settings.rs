//! What settings say, in the words of the rooms that obey them.

use std::path::{Path, PathBuf};

use crate::cli::config::Config;
use crate::cli::failure::Failure;
use crate::engine::{Defaults, Gathering, Mismatch};
use crate::report::Show;

pub(super) fn paths(config: &Config, name: &str) -> Vec<PathBuf> {
    config.list(name).into_iter().map(PathBuf::from).collect()
}

pub(super) fn number(config: &Config, name: &str, default: usize) -> usize {
    config.number(name).and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
}

pub(super) fn given_or(given: &[String], config: &Config, name: &str) -> Vec<String> {
    if given.is_empty() { config.list(name) } else { given.to_vec() }
}

/// Returns what holds where playbook and flags are silent.
pub(super) fn defaults(config: &Config) -> Result<Defaults, Failure> {
    let port = config.set_number("DEFAULT_REMOTE_PORT");
    let port = port
        .map(|number| {
            u16::try_from(number).map_err(|_| {
                Failure::usage(format!("remote_port is {number}; it must be from 1 to 65535"))
            })
        })
        .transpose()?;
    Ok(Defaults {
        strategy: config.text("DEFAULT_STRATEGY"),
        gathering: match config.text("DEFAULT_GATHERING").as_str() {
            "explicit" => Gathering::Explicit,
            "smart" => Gathering::Smart,
            _ => Gathering::Implicit,
        },
        merge_hashes: config.text("DEFAULT_HASH_BEHAVIOUR") == "merge",
        any_errors_fatal: config.flag("ANY_ERRORS_FATAL"),
        no_log: config.flag("DEFAULT_NO_LOG"),
        missing_handler_is_error: config.flag("ERROR_ON_MISSING_HANDLER"),
        pattern_mismatch: match config.text("HOST_PATTERN_MISMATCH").as_str() {
            "error" => Mismatch::Error,
            "ignore" => Mismatch::Ignore,
            _ => Mismatch::Warn,
        },
        task_timeout: config.set_number("TASK_TIMEOUT").filter(|seconds| *seconds > 0),
        remote_port: port,
        config_file: config.file().map(Path::to_owned),
        poll_interval: config.number("DEFAULT_POLL_INTERVAL").unwrap_or(15),
    })
}

/// Returns what the settings of the default callback say.
pub(super) fn show(config: &Config) -> Show {
    Show {
        skipped: config.flag("DISPLAY_SKIPPED_HOSTS"),
        ok: config.flag("DISPLAY_OK_HOSTS"),
        failed_to_stderr: config.flag("DISPLAY_FAILED_STDERR"),
        yaml: config.text("CALLBACK_RESULT_FORMAT") == "yaml"
            || config.text("DEFAULT_STDOUT_CALLBACK").ends_with("yaml"),
        check_markers: config.flag("CHECK_MODE_MARKERS"),
        host_start: config.flag("SHOW_PER_HOST_START"),
        custom_stats: config.flag("SHOW_CUSTOM_STATS"),
        diff_context: number(config, "DIFF_CONTEXT", 3),
    }
}
