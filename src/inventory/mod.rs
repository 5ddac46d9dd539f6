//! The inventory: hosts, groups, and their variables as written.
//!
//! Lives here: INI, YAML and host-list sources, `group_vars/` and `host_vars/`, ranges, and host patterns.
//! Does not: resolving values (vars), connecting. Only `load.rs` reads files, through [`crate::source::Files`].
