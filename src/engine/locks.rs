//! Locks on hosts: taken by a task, held until the run ends, gone with the connection when matron dies.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::names::HostName;
use crate::remote::lock::{HostLock, LockError};
use crate::transport::{Connection, Identity, TransportError};

/// The locks of a run.
#[derive(Debug)]
pub(crate) struct Locks {
    holder: String,
    held: Mutex<HashMap<(HostName, String), HostLock>>,
}

impl Locks {
    /// Makes an empty set; `holder` is who others are told of.
    pub(crate) fn new(holder: String) -> Self {
        Self { holder, held: Mutex::default() }
    }

    /// Takes a lock, or keeps the one that is held already. Returns who holds it when that is somebody else.
    pub(crate) async fn take(
        &self,
        connection: Arc<dyn Connection>,
        host: &HostName,
        identity: &Identity,
        name: &str,
    ) -> Result<Result<(), String>, TransportError> {
        let key = (host.clone(), name.to_owned());
        // One that was lost with its connection (a host that was rebooted) is taken anew.
        if self.held.lock().await.get(&key).is_some_and(|lock| !lock.is_lost()) {
            return Ok(Ok(()));
        }
        match HostLock::take(connection, host, identity, name, &self.holder).await {
            Ok(lock) => {
                self.held.lock().await.insert(key, lock);
                Ok(Ok(()))
            }
            Err(LockError::Held { holder, .. }) => Ok(Err(holder)),
            Err(LockError::Transport(error)) => Err(error),
        }
    }

    /// Gives all locks back.
    pub(crate) async fn release(&self) {
        let held = std::mem::take(&mut *self.held.lock().await);
        let mut ends = tokio::task::JoinSet::new();
        for lock in held.into_values() {
            ends.spawn(lock.release());
        }
        while ends.join_next().await.is_some() {}
    }
}
