//! What tests share.

pub(crate) mod shell_host;
