//! Starting, restarting and stopping actors, with OTP's words and semantics. Imports no domain.
//!
//! A supervisor is a [`spec`]: a list of children and three numbers. What a child's end touches is a
//! pure function ([`strategy`]); whether one more restart is allowed is another ([`intensity`]). The
//! [`supervisor`] applies both, in one mailbox, and keeps a [`node`] for each child up to date, from
//! which the whole tree can be read without asking anybody. Every restart is also put into the
//! [`ledger`]'s bounded buffer, off everybody's path.
//!
//! Beyond OTP, and labelled so: a child that crashed soon after its start is started again after a
//! jittered back-off, and a start that fails counts as a crash.

pub mod child;
pub mod intensity;
pub mod ledger;
pub mod node;
pub mod spec;
pub mod strategy;
pub mod supervisor;

pub use node::{Node, Snapshot};
pub use spec::{ChildSpec, Restart, Strategy, SupervisorSpec};
pub use supervisor::{Root, start_root};
