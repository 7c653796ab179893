//! Sessions: one for each time that somebody signed in, open until it is ended or expires.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::token::RefreshToken;

/// A session's id: the `sid` of its access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub Uuid);

/// A session that is to be opened.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Its first refresh token.
    pub refresh: RefreshToken,
    /// How long it lasts, however often it is refreshed.
    pub lifetime: Duration,
    /// With what it is opened.
    pub agent: Agent,
}

/// An open session, as its owner sees it.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// When it was opened.
    pub created_at: OffsetDateTime,
    /// When it was last refreshed.
    pub refreshed_at: Option<OffsetDateTime>,
    /// When it is over, however often it is refreshed.
    pub expires_at: OffsetDateTime,
    /// With what it was opened.
    pub user_agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// What a client calls itself, as much of it as people need to recognize it: it is data about a person.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Agent(String);

impl Agent {
    /// As many characters as are kept.
    const LENGTH: usize = 200;

    /// What of this text is kept.
    pub fn cut(text: &str) -> Self {
        let printable = text.chars().filter(|c| !c.is_control()).take(Self::LENGTH).collect::<String>();
        Self(printable.trim().to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Agent({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_agent_is_kept_as_it_is_when_it_is_short_and_printable() {
        assert_eq!(Agent::cut(" curl/8.5 (ä)\0\n ").as_str(), "curl/8.5 (ä)");
        assert_eq!(Agent::cut(&"ä".repeat(300)).as_str(), "ä".repeat(200));
        assert_eq!(format!("{:?}", Agent::cut("curl")), "Agent(4 bytes)");
    }

    proptest! {
        #[test]
        fn whatever_is_said_can_be_stored(text in any::<String>()) {
            let agent = Agent::cut(&text);
            prop_assert!(agent.as_str().chars().count() <= 200 && !agent.as_str().contains('\0'));
        }
    }
}
