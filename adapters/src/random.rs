//! Random numbers, from the kernel.

use crate::os::During;
use rekindle_core::{Nonce, OsFailure};
use std::io;

/// A nonce of 128 random bits.
///
/// # Errors
/// If the kernel has none to give.
pub fn nonce() -> Result<Nonce, OsFailure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::from).doing("draw a random number")?;
    Ok(Nonce::from_random(u128::from_ne_bytes(bytes)))
}
