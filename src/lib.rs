//! matron: provisions and operates PostgreSQL pairs for hospital image archives over SSH, and runs Ansible
//! inventories and playbooks with nothing on the target but `sshd` and a POSIX `sh`.
//!
//! The rooms, from the ground up (see `docs/architecture.md`; `tests/floors.rs` keeps the order):
//!
//! * words: [`names`] [`source`] [`yaml`] [`secret`] [`vault`] [`shell`] [`digest`] [`outcome`] [`event`]
//! * thought (pure): [`inventory`] [`playbook`] [`vars`] [`template`]
//! * hands: [`transport`] [`remote`]
//! * skills: [`postgres`] [`modules`]
//! * mind: [`engine`] [`record`]
//! * beside: [`report`]
//! * door: [`cli`]

pub mod digest;
pub mod names;
pub mod outcome;
pub mod secret;
pub mod shell;
pub mod source;
pub mod vault;
pub mod yaml;

pub mod event;

pub mod inventory;
pub mod playbook;
pub mod template;
pub mod vars;

pub mod remote;
pub mod transport;

pub mod modules;
pub mod postgres;

pub mod engine;
pub mod record;

pub mod report;

pub mod cli;
