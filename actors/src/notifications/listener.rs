//! Hears from PostgreSQL who was told something, on whichever node, and calls their readers here.
//!
//! A notice is sent by the trigger that numbers a change, when that commits; it holds the recipient's id and no
//! more. One connection for the whole process, and none before somebody sits here. What must stay true: whoever is
//! seated when the listening begins is called; while it cannot listen, the readers' slow clocks go on.

use super::hub::Hub;
use crate::auth::UserId;
use crate::kit::listen::Hear;

impl Hear for Hub {
    const CHANNEL: &'static str = "callboard_notifications";

    async fn wanted(&self) {
        self.somebody().await;
    }

    fn begun(&self) {
        self.call_all();
    }

    fn heard(&self, payload: &str) {
        // What is no id comes from somebody else who knows the channel.
        if let Ok(user) = payload.parse() {
            self.call(UserId(user));
        }
    }
}
