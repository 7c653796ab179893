//! Who has to wait: the rate of every limit, and what limits may cost.

use std::time::Duration;

use actors::throttle::{Pepper, Rate, Rates, Settings};

use super::Table;
use crate::app::REDIS_PREFIX;

/// `None` where nothing is limited. What is wrong is reported all the same.
pub(super) fn read<R: Fn(&str) -> Option<String>>(table: &mut Table<R>) -> Option<Settings> {
    table.word("RATE_LIMITS", &["on", "off"]);
    let on = table.text("RATE_LIMITS").is_none_or(|word| word == "on");
    let rates = Rates {
        writes: rate(table, "RATE_LIMIT_WRITES", 120, 60)?,
        registrations: rate(table, "RATE_LIMIT_REGISTRATIONS", 60, 3600)?,
        logins: rate(table, "RATE_LIMIT_LOGINS", 10, 900)?,
        logins_address: rate(table, "RATE_LIMIT_LOGINS_ADDRESS", 100, 900)?,
        logins_account: rate(table, "RATE_LIMIT_LOGINS_ACCOUNT", 100, 3600)?,
        logins_stranger: rate(table, "RATE_LIMIT_LOGINS_STRANGER", 3, 3600)?,
    };
    let within = table.millis("RATE_LIMIT_REDIS_TIMEOUT_MS", 100);
    let local = table.count("RATE_LIMIT_LOCAL_MAX", 100_000);
    // Without a secret the process does not start.
    let pepper = Pepper::of(&table.text("JWT_SECRET")?)?;
    on.then(|| Settings { rates, pepper, prefix: REDIS_PREFIX.to_owned(), within, local })
}

fn rate<R: Fn(&str) -> Option<String>>(
    table: &mut Table<R>,
    variable: &'static str,
    quota: u32,
    seconds: u64,
) -> Option<Rate> {
    let default = Rate::new(quota, Duration::from_secs(seconds));
    table.parsed(variable, Rate::parse).or(default)
}
