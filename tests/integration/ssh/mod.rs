//! Connections against a real sshd, and against shells on this machine.

mod daemon;
mod reach;
mod work;
