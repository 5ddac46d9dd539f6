//! What tests share.

pub(crate) mod bench;
pub(crate) mod desk;
pub(crate) mod packages;
pub(crate) mod shell_host;
pub(crate) mod sshd;
