//! A TCP balancer that knows no HTTP: each connection goes to the next node whose probe says that it is ready.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::Service;

/// How often each node is probed.
const PROBE_EVERY: Duration = Duration::from_millis(25);

#[derive(Clone, Copy)]
struct Node {
    api: SocketAddr,
    admin: SocketAddr,
    ready: bool,
}

/// The balancer. It ends with the test.
pub struct Balancer {
    /// Where it listens.
    pub address: SocketAddr,
    nodes: Arc<Mutex<Vec<Node>>>,
}

impl Balancer {
    /// Starts it without any node.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let nodes: Arc<Mutex<Vec<Node>>> = Arc::default();
        tokio::spawn(probe(Arc::clone(&nodes)));
        let known = Arc::clone(&nodes);
        tokio::spawn(async move {
            for turn in 0.. {
                let (mut client, _) = listener.accept().await.unwrap();
                let known = Arc::clone(&known);
                tokio::spawn(async move {
                    let node = loop {
                        let ready: Vec<_> = known.lock().unwrap().iter().filter(|node| node.ready).copied().collect();
                        match ready.get(turn % ready.len().max(1)) {
                            Some(node) => break *node,
                            None => tokio::time::sleep(PROBE_EVERY).await,
                        }
                    };
                    let mut server = TcpStream::connect(node.api).await.unwrap();
                    // Either side may break off; the other one learns of it.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, nodes }
    }

    /// Adds a node, which gets connections from the moment that it says it is ready; waits for that.
    pub async fn add(&self, service: &Service) {
        let (api, admin) = (service.api.unwrap(), service.admin);
        self.nodes.lock().unwrap().push(Node { api, admin, ready: false });
        super::eventually("the new node is ready", async || {
            self.nodes.lock().unwrap().iter().any(|node| node.api == api && node.ready).then_some(())
        })
        .await;
    }
}

async fn probe(nodes: Arc<Mutex<Vec<Node>>>) {
    loop {
        let known = nodes.lock().unwrap().clone();
        for node in known {
            let ready = is_ready(node.admin).await.unwrap_or(false);
            let mut nodes = nodes.lock().unwrap();
            nodes.iter_mut().filter(|known| known.api == node.api).for_each(|known| known.ready = ready);
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

/// Whether the probe answers 200; a node that goes away meanwhile is none that is ready.
async fn is_ready(admin: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}
