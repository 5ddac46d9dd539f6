//! Connections against a real sshd, and against shells on this machine.

mod hands;
mod reach;
mod work;
