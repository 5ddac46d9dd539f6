//! PostgreSQL through a connection: a database port that no network sees.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

use crate::transport::{Connection, TransportError};

/// Why there is no session with a database.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The port or socket could not be reached through the host.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The database refused.
    #[error("the database at {place} refused the session")]
    Database {
        /// `host:port`, or the socket.
        place: String,
        /// What it said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// It did not answer.
    #[error("the database at {place} did not answer within {} s", within.as_secs())]
    Silent {
        /// `host:port`, or the socket.
        place: String,
        /// The deadline.
        within: Duration,
    },
}

/// A session with a database; it ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    /// For queries.
    pub client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Opens a session with the database at `host:port` as seen from the far side, or at a Unix socket when `host` starts with
/// `/`. No TLS: the bytes are inside SSH already.
pub async fn postgres(
    connection: &dyn Connection,
    host: &str,
    port: u16,
    config: &Config,
    within: Duration,
) -> Result<Session, TunnelError> {
    let place = if host.starts_with('/') { host.to_owned() } else { format!("{host}:{port}") };
    let stream = connection.tunnel(host, port).await?;
    match tokio::time::timeout(within, config.connect_raw(stream, NoTls)).await {
        Ok(Ok((client, connection))) => {
            let driver = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a database session ended");
                }
            });
            Ok(Session { client, driver })
        }
        Ok(Err(source)) => Err(TunnelError::Database { place, source }),
        Err(_) => Err(TunnelError::Silent { place, within }),
    }
}
