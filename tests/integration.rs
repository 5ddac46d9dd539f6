//! All tests that need more than one room, in one binary: one line a module.

#[path = "integration/playbook_cases.rs"]
mod playbook_cases;
