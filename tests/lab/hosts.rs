//! Practice hosts as matron meets them: what only a machine with sshd, sh and systemd, and no Python, can prove.
//!
//! The tests use h3 and h4 and leave them as they were.

#[path = "hosts/elevation.rs"]
mod elevation;
#[path = "hosts/faults.rs"]
mod faults;
#[path = "hosts/jumps.rs"]
mod jumps;
#[path = "hosts/modules.rs"]
mod modules;
#[path = "hosts/order.rs"]
mod order;
#[path = "hosts/secrets.rs"]
mod secrets;

use std::path::{Path, PathBuf};

use super::Test;
use super::ward::{Ran, Ward};

pub(crate) const TESTS: &[Test] = &[
    ("hosts::every_module_works_without_python", modules::every_module_works_without_python),
    ("hosts::a_restarted_host_is_waited_for", modules::a_restarted_host_is_waited_for),
    ("hosts::a_name_is_set_and_restored", modules::a_name_is_set_and_restored),
    ("hosts::tasks_become_other_users", elevation::tasks_become_other_users),
    ("hosts::sudo_passwords_are_asked_and_judged", elevation::sudo_passwords_are_asked_and_judged),
    ("hosts::jumps_lead_to_hosts_behind_them", jumps::jumps_lead_to_hosts_behind_them),
    ("hosts::ssh_config_is_honoured", jumps::ssh_config_is_honoured),
    ("hosts::an_unknown_jump_is_refused", jumps::an_unknown_jump_is_refused),
    ("hosts::one_connection_serves_hosts_behind_a_jump", jumps::one_connection_serves_all),
    ("hosts::strategies_order_hosts_by_their_speed", order::strategies_order_hosts),
    ("hosts::delegates_and_new_hosts_are_reached", order::delegates_and_new_hosts),
    ("hosts::handlers_run_on_each_host_that_changed", order::handlers_on_hosts),
    ("hosts::one_failure_can_end_it_for_all", order::one_failure_ends_all),
    ("hosts::metas_act_on_their_hosts", order::metas),
    ("hosts::flags_choose_hosts_and_tasks", order::flags),
    ("hosts::a_paused_host_is_left_out", faults::a_paused_host_is_left_out),
    ("hosts::a_cut_host_ends_its_task", faults::a_cut_host_ends_its_task),
    ("hosts::ctrl_c_leaves_nothing_running", faults::ctrl_c_leaves_nothing_running),
    ("hosts::secrets_show_nowhere", secrets::secrets_show_nowhere),
    ("hosts::records_are_whole", secrets::records_are_whole),
];

/// Addresses of the hosts these tests own.
const H3: &str = "10.79.0.13";
const H4: &str = "10.79.0.14";

/// Returns a file beside these tests.
fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/hosts").join(name)
}

/// Plays a text as a playbook.
fn play(ward: &Ward, name: &str, text: &str, more: &[&str]) -> Ran {
    let path = ward.write(&format!("{name}.yml"), text);
    play_file(ward, &path, more)
}

fn play_file(ward: &Ward, path: &Path, more: &[&str]) -> Ran {
    let path = path.to_string_lossy();
    let mut words = vec![path.as_ref()];
    words.extend(more);
    ward.with_inventory(&["play"], &words)
}

/// Runs one module on hosts.
fn exec(ward: &Ward, hosts: &str, module: &str, args: &str, more: &[&str]) -> Ran {
    let mut words = vec![hosts, "-m", module, "-a", args];
    words.extend(more);
    ward.with_inventory(&["exec"], &words)
}

/// Fails with a message unless something holds.
fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}
