//! What client spans say of the server that they ask: the same for each span, and so made once.

use std::sync::Arc;

use opentelemetry::KeyValue;
use redis::{ConnectionAddr, ConnectionInfo};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// PostgreSQL's port where no other is set.
const POSTGRES_PORT: u16 = 5432;

/// A server. Its attributes share their text, so that a copy costs no memory.
#[derive(Debug, Clone)]
pub(super) struct Peer(Arc<[KeyValue]>);

impl Peer {
    /// The database of these settings; of several servers, the first.
    pub(super) fn postgres(config: &Config) -> Self {
        let port = config.get_ports().first().copied().unwrap_or(POSTGRES_PORT);
        let (address, port) = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => (Some(host.clone()), Some(port)),
            Some(Host::Unix(folder)) => (Some(folder.join(format!(".s.PGSQL.{port}")).display().to_string()), None),
            None => (None, None),
        };
        let database = config.get_dbname().or(config.get_user());
        Self::new("postgresql", database.map(str::to_owned), address, port)
    }

    /// The Redis of these settings, and which of its databases.
    pub(super) fn redis(info: &ConnectionInfo) -> Self {
        let (address, port) = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), Some(*port)),
            ConnectionAddr::Unix(path) => (path.display().to_string(), None),
            _ => (String::new(), None),
        };
        let address = Some(address).filter(|address| !address.is_empty());
        Self::new("redis", Some(info.redis_settings().db().to_string()), address, port)
    }

    fn new(system: &'static str, namespace: Option<String>, address: Option<String>, port: Option<u16>) -> Self {
        let shared = |name, value: String| KeyValue::new(name, Arc::<str>::from(value));
        let all = [
            Some(KeyValue::new("db.system.name", system)),
            namespace.map(|namespace| shared("db.namespace", namespace)),
            address.map(|address| shared("server.address", address)),
            port.map(|port| KeyValue::new("server.port", i64::from(port))),
        ];
        Self(all.into_iter().flatten().collect())
    }

    /// What metrics say of it: which database, and where.
    pub(super) fn where_it_is(&self) -> Vec<KeyValue> {
        let told = |pair: &&KeyValue| matches!(pair.key.as_str(), "db.namespace" | "server.address");
        self.0.iter().filter(told).cloned().collect()
    }

    /// The attributes, with room for so many more.
    pub(super) fn attributes(&self, more: usize) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(self.0.len() + more);
        attributes.extend_from_slice(&self.0);
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(peer: &Peer) -> Vec<String> {
        peer.0.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect()
    }

    #[test]
    fn a_server_is_named_by_its_address_or_its_socket_and_never_by_its_password() {
        let postgres =
            |url: &str| url.parse().map(|config: Config| shown(&Peer::postgres(&config))).unwrap_or_default();
        let by_name = ["db.system.name=postgresql", "db.namespace=callboard", "server.address=db", "server.port=5432"];
        assert_eq!(postgres("postgres://user:secret@db/callboard"), by_name);
        let by_socket = postgres("postgres:///callboard?host=/run/postgresql&port=5433");
        assert_eq!(by_socket[2..], ["server.address=/run/postgresql/.s.PGSQL.5433"]);
        let redis = |url: &str| {
            redis::Client::open(url).map(|client| shown(&Peer::redis(client.get_connection_info()))).unwrap_or_default()
        };
        let by_name = ["db.system.name=redis", "db.namespace=3", "server.address=cache", "server.port=6380"];
        assert_eq!(redis("redis://:secret@cache:6380/3"), by_name);
        assert_eq!(redis("redis+unix:///run/redis.sock")[2..], ["server.address=/run/redis.sock"]);
    }
}
