//! Starting, restarting and stopping actors, with OTP's words and semantics. Imports no domain.
//!
//! A supervisor is a [`spec`]: a list of children and three numbers. What a child's end touches is a
//! pure function ([`strategy`]); whether one more restart is allowed is another ([`intensity`]). The
//! [`supervisor`] applies both, in one mailbox, and keeps a [`node`] for each child up to date, from
//! which the whole tree can be read without asking anybody. An [`observer`] takes note of every restart,
//! off everybody's path: for the [`ledger`], and for those who follow the [`events`] live. The [`watchdog`]
//! finds who lives and makes no progress.
//!
//! Beyond OTP, and labelled so: a child that crashed soon after its start is started again after a
//! jittered back-off, and a start that fails counts as a crash.

pub mod child;
pub mod events;
pub mod intensity;
pub mod ledger;
pub mod node;
pub mod observer;
mod recovery;
mod root;
pub mod spec;
mod store;
pub mod strategy;
mod supervisor;
pub mod watchdog;

pub use ledger::{Ledger, ListRestarts};
pub use node::{Node, Snapshot};
pub use root::{Root, start_root};
pub use spec::{ChildSpec, Patience, Restart, Strategy, SupervisorSpec};
pub use store::RestartView;
