//! All tests that need more than one room, in one binary: one line a module.

#[path = "integration/bundled.rs"]
mod bundled;
#[path = "integration/config.rs"]
mod config;
#[path = "integration/docs.rs"]
mod docs;
#[path = "integration/engine.rs"]
mod engine;
#[path = "integration/guard.rs"]
mod guard;
#[path = "integration/modules_commands.rs"]
mod modules_commands;
#[path = "integration/modules_editors.rs"]
mod modules_editors;
#[path = "integration/modules_files.rs"]
mod modules_files;
#[path = "integration/modules_postgres.rs"]
mod modules_postgres;
#[path = "integration/modules_readers.rs"]
mod modules_readers;
#[path = "integration/output_cases.rs"]
mod output_cases;
#[path = "integration/playbook_cases.rs"]
mod playbook_cases;
#[path = "integration/refusals/mod.rs"]
mod refusals;
#[path = "integration/ssh/mod.rs"]
mod ssh;
#[path = "support/mod.rs"]
mod support;
#[path = "integration/vault.rs"]
mod vault;
#[path = "integration/workloads.rs"]
mod workloads;
