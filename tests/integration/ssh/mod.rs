//! Connections against a real sshd, and against shells on this machine.

mod daemon;
mod hands;
mod reach;
mod work;
