//! Hosts as the engine uses them: one connection each, transfers, locks.
//!
//! Lives here: `fleet.rs` (one connection a host, opened lazily; jump sharing; connect cap), `transfer.rs` (upload and
//! download with digest check and atomic rename), `lock.rs` (one operator a host), `tunnel.rs` (tokio-postgres through a
//! connection). Does not: which host and when, and what a script means (engine, modules).

mod fleet;
pub mod lock;
pub mod transfer;
pub mod tunnel;

pub use self::fleet::{CONNECTING, Fleet, FleetOptions};
