//! What tests share.

pub mod shell_host;
