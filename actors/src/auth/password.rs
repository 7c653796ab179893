//! Passwords and their hashes: argon2id, in PHC strings, with memory that is used again.
//!
//! Hashing is processor work of some twenty milliseconds over 19 MiB. It runs on the blocking threads,
//! no more at once than there are hands in the pool, each with a block of memory that is kept: freshly
//! allocated blocks fragment the heap (gigabytes within seconds of logins, in services like this one).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::kit::Fault;

/// A password as somebody chose it: 8 to 128 characters, any at all.
#[derive(Clone)]
pub struct Password(String);

/// Why a password cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 8 to 128 characters")]
pub struct BadLength;

impl Password {
    /// Checks a new password.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn parse(text: &str) -> Result<Self, BadLength> {
        if (8..=128).contains(&text.chars().count()) { Ok(Self(text.to_owned())) } else { Err(BadLength) }
    }

    /// A password that somebody claims to have: anything at all, compared and never stored.
    pub fn claimed(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// A hash with its parameters, as a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash that was made by [`Hasher::hash`].
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The PHC string: for the database only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// What hashing costs. The defaults are the OWASP password storage cheat sheet's: 19 MiB, two passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

/// Hashes and verifies, with memory that is used again.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    params: Params,
    /// Blocks of memory that nobody uses now; no more than there are hands.
    idle: Mutex<Vec<Vec<Block>>>,
    /// What an unknown address is verified against, so that it takes as long as a known one.
    decoy: String,
}

impl Hasher {
    /// A hasher of this cost.
    ///
    /// # Errors
    /// When argon2 does not allow the cost.
    pub fn new(cost: Cost) -> Result<Self, Fault> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(Fault::internal)?;
        let hasher = Self(Arc::new(Inner { params: params.clone(), idle: Mutex::default(), decoy: String::new() }));
        let decoy = hasher.hash(&Password::claimed("nobody has this password"))?.0;
        Ok(Self(Arc::new(Inner { params, idle: Mutex::default(), decoy })))
    }

    /// Hashes a password with a salt of its own. Takes milliseconds of processor: not on async threads.
    ///
    /// # Errors
    /// Only when argon2 contradicts itself.
    pub fn hash(&self, password: &Password) -> Result<PasswordHash, Fault> {
        let salt: [u8; 16] = rand::random();
        let salt = Salt::new(&salt).map_err(Fault::internal)?;
        let output = self.compute(&self.0.params, password, &salt)?;
        let phc = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: (&self.0.params).try_into().map_err(Fault::internal)?,
            salt: Some(salt),
            hash: Some(output),
        };
        Ok(PasswordHash(phc.to_string()))
    }

    /// Whether `password` is the one that `hash` was made of; with no hash the work is done all the same
    /// and the answer is no. Takes milliseconds of processor: not on async threads.
    ///
    /// # Errors
    /// When the hash is not one of ours.
    pub fn verify(&self, password: &Password, hash: Option<&PasswordHash>) -> Result<bool, Fault> {
        let phc = Phc::new(hash.map_or(self.0.decoy.as_str(), |hash| &hash.0)).map_err(Fault::internal)?;
        let params = Params::try_from(&phc).map_err(Fault::internal)?;
        let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else {
            return Err(Fault::internal("a stored hash has no salt or no output"));
        };
        // `Output` compares in constant time.
        Ok(self.compute(&params, password, &salt)? == expected && hash.is_some())
    }

    fn compute(&self, params: &Params, password: &Password, salt: &Salt) -> Result<Output, Fault> {
        let mut memory = self.idle().pop().unwrap_or_default();
        if memory.len() < params.block_count() {
            memory.resize(params.block_count(), Block::default());
        }
        let mut out = [0_u8; Params::DEFAULT_OUTPUT_LEN];
        let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone()).hash_password_into_with_memory(
            password.0.as_bytes(),
            salt.as_ref(),
            &mut out,
            &mut memory,
        );
        self.idle().push(memory);
        hashed.map_err(Fault::internal)?;
        Output::new(&out).map_err(Fault::internal)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher() -> Hasher {
        Hasher::new(Cost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap_or_else(|fault| unreachable!("{fault}"))
    }

    #[test]
    fn only_the_right_password_is_right() -> Result<(), Fault> {
        let hasher = hasher();
        let hash = hasher.hash(&Password::claimed("correct horse"))?;
        assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert!(hasher.verify(&Password::claimed("correct horse"), Some(&hash))?);
        assert!(!hasher.verify(&Password::claimed("correct horsf"), Some(&hash))?);
        assert!(!hasher.verify(&Password::claimed("nobody has this password"), None)?);
        Ok(())
    }

    #[test]
    fn a_hash_keeps_its_own_cost_when_the_settings_change() -> Result<(), Fault> {
        let hash = hasher().hash(&Password::claimed("correct horse"))?;
        let dearer = Hasher::new(Cost { memory_kib: 128, passes: 2, lanes: 1 })?;
        assert!(dearer.verify(&Password::claimed("correct horse"), Some(&hash))?);
        Ok(())
    }

    #[test]
    fn passwords_of_8_to_128_characters_can_be_chosen() {
        assert!(Password::parse("1234567").is_err());
        assert!(Password::parse("12345678").is_ok());
        assert!(Password::parse(&"ä".repeat(128)).is_ok());
        assert!(Password::parse(&"ä".repeat(129)).is_err());
    }

    #[test]
    fn a_password_and_its_hash_never_show_themselves() -> Result<(), Fault> {
        let password = Password::claimed("correct horse");
        let shown = format!("{password:?} {:?}", hasher().hash(&password)?);
        assert_eq!(shown, "Password(***) PasswordHash(***)");
        Ok(())
    }
}
