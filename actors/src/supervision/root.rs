//! The root of a tree: the supervisor that has nobody above it, as whoever started the tree holds it.

use std::sync::Arc;

use ractor::{Actor, ActorRef};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::node::Node;
use super::observer::Observer;
use super::spec::SupervisorSpec;
use super::supervisor::{Order, Supervisor, started};
use crate::kit::Fault;

/// A running tree.
pub struct Root {
    actor: ActorRef<Order>,
    ended: JoinHandle<()>,
    node: Arc<Node>,
}

impl Root {
    /// The tree as it is.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Completes when the tree ended by itself, which is the end of the process. Cancel-safe.
    pub async fn ended(&mut self) {
        // Its panics were reported where they happened.
        let _ = (&mut self.ended).await;
    }

    /// Stops the tree, last started first; each child gets the time that its spec allows.
    pub async fn stop(self) {
        let (done, stopped) = oneshot::channel();
        if self.actor.send_message(Order::Shutdown(done)).is_ok() {
            // An error means that it ended meanwhile.
            let _ = stopped.await;
            let _ = self.ended.await;
        }
    }
}

/// Starts a tree.
///
/// # Errors
/// When the root itself cannot be spawned; a child that cannot is tried again.
pub async fn start_root(spec: SupervisorSpec, observer: Observer) -> Result<Root, Fault> {
    let node = Node::root("root", &spec);
    let supervisor = Supervisor { spec: Arc::new(spec), node: Arc::clone(&node), observer };
    let (actor, ended) = Actor::spawn(None, supervisor, ()).await.map_err(Fault::internal)?;
    node.started(started(actor.clone()));
    Ok(Root { actor, ended, node })
}
