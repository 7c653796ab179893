//! How much is allowed in what time, as operators write it: `120/60s`.

use std::fmt;
use std::time::Duration;

/// The most that a quota may be.
const QUOTA_MAX: u32 = 1_000_000;
/// The longest time that one may take to grow back.
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

/// A quota and the time in which it grows back, evenly. All of it may be used at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    quota: u32,
    window: Duration,
}

/// The rate of every limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Writes of one user.
    pub writes: Rate,
    /// Registrations from one address.
    pub registrations: Rate,
    /// Failed logins from one address into one account.
    pub logins: Rate,
    /// Failed logins from one address into all accounts.
    pub logins_address: Rate,
    /// Failed logins into one account from all addresses that it does not know.
    pub logins_account: Rate,
    /// Those from one of these addresses, when there were as many.
    pub logins_stranger: Rate,
}

impl Rate {
    /// A quota of 1 to a million in a time of a second to a day.
    pub const fn new(quota: u32, window: Duration) -> Option<Self> {
        let sound =
            quota >= 1 && quota <= QUOTA_MAX && window.as_secs() >= 1 && window.as_secs() <= WINDOW_MAX.as_secs();
        if sound { Some(Self { quota, window }) } else { None }
    }

    /// Reads `120/60s`; the time may be in `s`, `m` or `h`.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow a setting's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rate = || {
            let (quota, window) = text.split_once('/')?;
            let unit = match window.chars().last()? {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                _ => return None,
            };
            let digits =
                |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
            let count = u64::from(digits(window.get(..window.len() - 1)?)?);
            Self::new(digits(quota)?, Duration::from_secs(count * unit))
        };
        rate().ok_or_else(|| {
            format!("must be a number and a time like 120/60s, at most {QUOTA_MAX} in at least 1s and at most 24h")
        })
    }

    /// How much is allowed at once.
    pub fn quota(self) -> u32 {
        self.quota
    }

    /// In what time all of it grows back.
    pub fn window(self) -> Duration {
        self.window
    }

    /// In how many microseconds one grows back: rounded up, so that never more does than was said.
    pub(super) fn interval(self) -> u64 {
        u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX).div_ceil(u64::from(self.quota))
    }

    /// In how many all do.
    pub(super) fn depth(self) -> u64 {
        self.interval().saturating_mul(u64::from(self.quota))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.quota, self.window.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for (text, seconds) in [("120/60s", 60), ("10/15m", 900), ("1/24h", 24 * 3600)] {
            assert_eq!(Rate::parse(text).map(|rate| rate.window.as_secs()), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "/",
            "0/1s",
            "1/0s",
            "1/25h",
            "1/s",
            "1/60",
            "-1/1s",
            "+1/1s",
            "1/+1s",
            "1000001/1s",
            "1/1d",
            "1/4294967296h",
            "1/1ſ",
            " 1/1s",
        ] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(quota in 1..=QUOTA_MAX, seconds in 1_u64..=24 * 3600) {
            let rate = Rate::new(quota, Duration::from_secs(seconds)).unwrap_or_else(|| unreachable!());
            prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = Rate::parse(&text);
        }
    }
}
