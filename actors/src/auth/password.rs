//! Passwords and their hashes: argon2id, in PHC strings, with memory that is used again.
//!
//! Hashing is processor work of some twenty milliseconds over 19 MiB. It runs on threads of its own (`hashing.rs`),
//! each with a block of memory that is kept: freshly allocated blocks fragment the heap (gigabytes within seconds of
//! logins, in services like this one).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::commonest;
use super::email::Email;
use crate::kit::Fault;

/// A password as somebody chose it: 8 to 128 characters, any at all, but none of the commonest passwords.
#[derive(Clone)]
pub struct Password(String);

/// Why a password cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is too short or too long.
    #[error("must have 8 to 128 characters")]
    Length,
    /// Everybody tries it first.
    #[error("is one of the commonest passwords")]
    Common,
}

impl Password {
    /// Checks a new password.
    ///
    /// # Errors
    /// When it is too short, too long or too common.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        if !(8..=128).contains(&text.chars().count()) {
            return Err(Unfit::Length);
        }
        if commonest::holds(text) { Err(Unfit::Common) } else { Ok(Self(text.to_owned())) }
    }

    /// A password that somebody claims to have: anything at all, compared and never stored.
    pub fn claimed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether it is nothing but its owner's name or address, in whatever case.
    pub(crate) fn names(&self, email: &Email, name: &str) -> bool {
        let (password, email) = (self.0.trim().to_lowercase(), email.expose().to_lowercase());
        let local = email.rsplit_once('@').map_or("", |(local, _)| local);
        [email.as_str(), local, name.trim().to_lowercase().as_str()].contains(&password.as_str())
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

/// What a claimed password is verified against.
#[derive(Debug, Clone)]
pub enum Against {
    /// The hash of whoever claims it.
    Own(PasswordHash),
    /// Nobody's: the same work is done, and the answer is no. Somebody else's hash says how much work; without one
    /// it is as much as for a new password.
    Nobody(Option<PasswordHash>),
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the password.
    Wrong,
    /// It is.
    Right,
    /// It is, and was hashed at another cost than the one in force.
    Outdated,
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
    /// What is verified against where there is no hash at all, so that it takes as long.
    decoy: PasswordHash,
}

impl Hasher {
    /// A hasher of this cost.
    ///
    /// # Errors
    /// When argon2 does not allow the cost.
    pub fn new(cost: Cost) -> Result<Self, Fault> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(Fault::internal)?;
        let none = PasswordHash(String::new());
        let hasher = Self(Arc::new(Inner { params: params.clone(), idle: Mutex::default(), decoy: none }));
        let decoy = hasher.hash(&Password::claimed("nobody has this password"))?;
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

    /// Whether `password` is the right one. Takes milliseconds of processor, as many against nobody's hash as
    /// against anybody's: not on async threads.
    ///
    /// # Errors
    /// When the hash is not one of ours.
    pub fn verify(&self, password: &Password, against: &Against) -> Result<Verdict, Fault> {
        let (params, salt, expected) = match against {
            Against::Own(hash) => parts(hash)?,
            Against::Nobody(hash) => match hash.as_ref().map(parts) {
                Some(Ok(parts)) => parts,
                // Without a hash, or with one that is none, it is the same as with any.
                _ => parts(&self.0.decoy)?,
            },
        };
        // `Output` compares in constant time.
        let same = self.compute(&params, password, &salt)? == expected;
        let in_force = &self.0.params;
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        Ok(match against {
            Against::Own(_) if same && cost(&params) == cost(in_force) => Verdict::Right,
            Against::Own(_) if same => Verdict::Outdated,
            _ => Verdict::Wrong,
        })
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

/// What a hash was made with, and what came out.
fn parts(hash: &PasswordHash) -> Result<(Params, Salt, Output), Fault> {
    let phc = Phc::new(&hash.0).map_err(Fault::internal)?;
    let params = Params::try_from(&phc).map_err(Fault::internal)?;
    match (phc.salt, phc.hash) {
        (Some(salt), Some(output)) => Ok((params, salt, output)),
        _ => Err(Fault::internal("a stored hash has no salt or no output")),
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
        let own = Against::Own(hash.clone());
        assert_eq!(hasher.verify(&Password::claimed("correct horse"), &own)?, Verdict::Right);
        assert_eq!(hasher.verify(&Password::claimed("correct horsf"), &own)?, Verdict::Wrong);
        let somebody_elses = Against::Nobody(Some(hash));
        assert_eq!(hasher.verify(&Password::claimed("correct horse"), &somebody_elses)?, Verdict::Wrong);
        let none = PasswordHash::stored("none".to_owned());
        for (claimed, decoy) in [("nobody has this password", None), ("none", Some(none.clone()))] {
            assert_eq!(hasher.verify(&Password::claimed(claimed), &Against::Nobody(decoy))?, Verdict::Wrong);
        }
        assert!(hasher.verify(&Password::claimed("none"), &Against::Own(none)).is_err());
        Ok(())
    }

    #[test]
    fn a_hash_keeps_its_own_cost_when_the_settings_change_and_is_known_to_be_outdated() -> Result<(), Fault> {
        let own = Against::Own(hasher().hash(&Password::claimed("correct horse"))?);
        for (memory_kib, passes, lanes) in [(128, 1, 1), (64, 2, 1), (64, 1, 2), (32, 1, 1)] {
            let other = Hasher::new(Cost { memory_kib, passes, lanes })?;
            assert_eq!(other.verify(&Password::claimed("correct horse"), &own)?, Verdict::Outdated);
            assert_eq!(other.verify(&Password::claimed("correct horsf"), &own)?, Verdict::Wrong);
        }
        Ok(())
    }

    #[test]
    fn passwords_of_8_to_128_characters_that_are_not_common_can_be_chosen() {
        assert_eq!(Password::parse("1234567").err(), Some(Unfit::Length));
        assert_eq!(Password::parse(&"ä".repeat(129)).err(), Some(Unfit::Length));
        for common in ["12345678", "PASSWORD1", "qwertyuiop", "iLoveYou1"] {
            assert_eq!(Password::parse(common).err(), Some(Unfit::Common), "{common}");
        }
        for fit in ["12345679 ", "        ", "p\0ssword", &"ä".repeat(8), &"ä".repeat(128)] {
            assert!(Password::parse(fit).is_ok(), "{fit:?}");
        }
    }

    #[test]
    fn ones_own_name_and_address_are_no_secrets() {
        let Ok(email) = Email::parse("Ann.Example@example.com") else { unreachable!() };
        for password in ["ann.example@EXAMPLE.com", "Ann.example", " ann of the hill ", "ANN OF THE HILL"] {
            assert!(Password::claimed(password).names(&email, "Ann of the Hill"), "{password}");
        }
        for password in ["ann.example@example.org", "Ann of the Hills", "ann.example1"] {
            assert!(!Password::claimed(password).names(&email, "Ann of the Hill"), "{password}");
        }
    }

    #[test]
    fn a_password_and_its_hash_never_show_themselves() -> Result<(), Fault> {
        let password = Password::claimed("correct horse");
        let shown = format!("{password:?} {:?}", hasher().hash(&password)?);
        assert_eq!(shown, "Password(***) PasswordHash(***)");
        Ok(())
    }
}
