//! Connections against a real sshd, and against shells on this machine.

pub(crate) mod daemon;
mod hands;
mod reach;
mod work;
