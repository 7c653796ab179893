//! The settings of tokens, sessions and passwords.

use std::time::Duration;

use actors::auth::{self, Cost, Secrets};

use super::{Limits, Table};

/// A month, in seconds.
const MONTH: u64 = 30 * 24 * 3600;
/// What an issuer or an audience may be long, in bytes: both are in every token.
const NAME_LENGTH: usize = 200;

impl<R: Fn(&str) -> Option<String>> Table<R> {
    /// All of them, none without secrets. The costs begin where guessing begins to be dear, and end where a machine
    /// has no more to give.
    pub(super) fn auth(
        &mut self,
        secrets: Option<Secrets>,
        cores: usize,
        hands: usize,
        limits: &Limits,
    ) -> Option<auth::Settings> {
        let least = Cost::default();
        let cost = Cost {
            memory_kib: self.between("PASSWORD_MEMORY_KIB", least.memory_kib, least.memory_kib..=4 * 1024 * 1024),
            passes: self.between("PASSWORD_PASSES", least.passes, least.passes..=100),
            lanes: self.between("PASSWORD_LANES", least.lanes, least.lanes..=64),
        };
        let (issuer, audience) = (self.name("JWT_ISSUER"), self.name("JWT_AUDIENCE"));
        let lifetime = self.seconds("ACCESS_TOKEN_SECONDS", 15 * 60);
        let session_lifetime = self.seconds("SESSION_SECONDS", MONTH);
        let sessions_keep = Duration::from_secs(self.number("SESSIONS_KEEP_SECONDS", MONTH, 0));
        // More at once than there are cores makes none of them faster. By default half of the cores are left to
        // requests, which cost less and hurry more.
        let password_hands = self.count("PASSWORD_WORKERS", (cores / 2).max(1)).min(cores);
        let password_room = self.count("PASSWORD_QUEUE", 64);
        Some(auth::Settings {
            tokens: auth::token::Settings { secrets: secrets?, issuer, audience, lifetime, keep: limits.kept },
            session_lifetime,
            sessions_keep,
            cost,
            password_hands,
            password_room,
            room: limits.mailbox,
            hands,
            batch: limits.batch,
            keep: limits.kept,
        })
    }

    /// Who tokens are from or for.
    fn name(&mut self, variable: &'static str) -> String {
        let name = self.text(variable).unwrap_or_else(|| "callboard".to_owned());
        if name.len() > NAME_LENGTH || name.chars().any(char::is_control) {
            self.mistake(variable, format!("must have at most {NAME_LENGTH} bytes and no control characters"));
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn config(more: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let required = [
            ("DATABASE_URL", "postgres://localhost/x"),
            ("REDIS_URL", "redis://localhost"),
            ("JWT_SECRET", "0123456789abcdef0123456789abcdef, another secret of thirty-two byt"),
        ];
        let pairs = [more, &required].concat();
        let read = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::from(read).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn passwords_cost_at_least_what_is_recommended() {
        let Ok(default) = config(&[]) else { unreachable!() };
        let cost = default.auth.cost;
        assert_eq!((cost.memory_kib, cost.passes, cost.lanes), (19 * 1024, 2, 1));
        for cheap in [("PASSWORD_MEMORY_KIB", "19455"), ("PASSWORD_PASSES", "1"), ("PASSWORD_LANES", "0")] {
            let Err(mistakes) = config(&[cheap]) else { unreachable!("{cheap:?} was taken") };
            assert!(mistakes.len() == 1 && mistakes.iter().all(|mistake| mistake.starts_with(cheap.0)), "{mistakes:?}");
        }
        assert!(config(&[("PASSWORD_MEMORY_KIB", "65536"), ("PASSWORD_PASSES", "3")]).is_ok());
        assert!(config(&[("PASSWORD_PASSES", "4000000000")]).is_err());
    }

    #[test]
    fn no_more_passwords_are_hashed_at_once_than_there_are_cores() {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let hands = |more: &[(&str, &str)]| config(more).map(|config| config.auth.password_hands);
        assert_eq!(hands(&[("PASSWORD_WORKERS", "1")]), Ok(1));
        assert_eq!(hands(&[("PASSWORD_WORKERS", "1000")]), Ok(cores));
        assert!(hands(&[]).is_ok_and(|hands| hands == (cores / 2).max(1)));
    }

    #[test]
    fn a_mistake_about_secrets_repeats_none_of_them() {
        let Err(mistakes) = config(&[("JWT_SECRET", "0123456789abcdef0123456789abcdef,hunter2")]) else {
            unreachable!()
        };
        assert!(mistakes.iter().all(|mistake| mistake.starts_with("JWT_SECRET") && !mistake.contains("hunter2")));
    }
}
