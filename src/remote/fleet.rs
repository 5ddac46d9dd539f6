//! One connection a host, made when it is first needed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};

use crate::secret::Redactor;
use crate::transport::ssh::{Dialer, Person, Ssh};
use crate::transport::{Address, Connection, ConnectionKind, Local, TransportError};

/// Connections being made at once: enough to be quick, few enough not to be taken for an attack (MaxStartups).
pub const CONNECTING: usize = 64;

/// What a fleet needs to know.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// On whose behalf we connect.
    pub person: Person,
    /// Masks secrets in what errors say.
    pub redactor: Redactor,
    /// Connections being made at once ([`CONNECTING`]).
    pub connecting: usize,
}

type Place = Arc<OnceCell<Result<Arc<dyn Connection>, TransportError>>>;

/// All connections of a run. Hosts with the same address share one.
pub struct Fleet {
    dialer: Arc<Dialer>,
    redactor: Redactor,
    places: Mutex<HashMap<String, Place>>,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("dialer", &self.dialer).finish_non_exhaustive()
    }
}

impl Fleet {
    /// Makes a fleet; nothing is connected yet.
    pub fn new(options: FleetOptions) -> Self {
        Self {
            dialer: Arc::new(Dialer::new(options.person, options.connecting)),
            redactor: options.redactor,
            places: Mutex::new(HashMap::new()),
        }
    }

    /// Returns the connection to an address, made at the first call. A host that could not be reached stays so until
    /// [`Fleet::forget`]: as in Ansible, a host is tried once a run.
    pub async fn connection(
        &self,
        address: &Address,
    ) -> Result<Arc<dyn Connection>, TransportError> {
        let place = {
            let mut places = self.places.lock().await;
            Arc::clone(places.entry(key(address)).or_default())
        };
        let made = place.get_or_init(|| self.make(address)).await;
        made.clone().map_err(|mut error| {
            // Hosts with one address share one connection, each keeps its own name.
            error.host = address.name.clone();
            error
        })
    }

    async fn make(&self, address: &Address) -> Result<Arc<dyn Connection>, TransportError> {
        match address.kind {
            ConnectionKind::Local => {
                Ok(Arc::new(Local::new(address.name.clone(), address.timeout.max(SHELL_PATIENCE))))
            }
            ConnectionKind::Ssh => match Ssh::connect(address, &self.dialer).await {
                Ok(ssh) => Ok(Arc::new(ssh)),
                Err(mut error) => {
                    error.message = self.redactor.redact(&error.message);
                    Err(error)
                }
            },
        }
    }

    /// Forgets what is known of an address, so that the next act connects anew (`meta: reset_connection`,
    /// `clear_host_errors`, a reboot). A live connection is closed.
    pub async fn forget(&self, address: &Address) {
        let place = self.places.lock().await.remove(&key(address));
        if let Some(Ok(connection)) = place.as_ref().and_then(|place| place.get()) {
            connection.close().await;
        }
    }

    /// Forgets the addresses that could not be reached, so that they are tried again.
    pub async fn forget_lost(&self) {
        let mut places = self.places.lock().await;
        places.retain(|_, place| !matches!(place.get(), Some(Err(_))));
    }

    /// Closes all connections, those to jump hosts last.
    pub async fn close(&self) {
        let places = std::mem::take(&mut *self.places.lock().await);
        let mut ends = tokio::task::JoinSet::new();
        for place in places.into_values() {
            ends.spawn(async move {
                if let Some(Ok(connection)) = place.get() {
                    connection.close().await;
                }
            });
        }
        while ends.join_next().await.is_some() {}
        self.dialer.close().await;
    }
}

/// How long a local shell may take to come up.
const SHELL_PATIENCE: Duration = Duration::from_secs(10);

/// What makes two addresses one. The inventory name is no part of it; secrets are, by value.
fn key(address: &Address) -> String {
    let Address {
        name: _,
        kind,
        host,
        port,
        user,
        password,
        private_key,
        ssh_args,
        timeout,
        host_keys,
    } = address;
    match kind {
        ConnectionKind::Local => "local".to_owned(),
        ConnectionKind::Ssh => {
            let password = password.as_ref().map(crate::secret::Secret::reveal);
            format!(
                "{host}\0{port:?}\0{user:?}\0{password:?}\0{private_key:?}\0{ssh_args:?}\0{timeout:?}\0{host_keys:?}"
            )
        }
    }
}
