//! Random numbers, from the kernel.

use crate::sys::linux::failure::During;
use rekindle_core::{Nonce, OsFailure};
use std::io;

/// A nonce of 128 random bits.
///
/// # Errors
/// If the kernel has none to give.
pub fn nonce() -> Result<Nonce, OsFailure> {
    Ok(Nonce::from_random(u128::from_ne_bytes(bytes()?)))
}

/// A number of 64 random bits.
///
/// # Errors
/// If the kernel has none to give.
pub fn number() -> Result<u64, OsFailure> {
    Ok(u64::from_ne_bytes(bytes()?))
}

fn bytes<const N: usize>() -> Result<[u8; N], OsFailure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from).doing("draw a random number")?;
    Ok(bytes)
}
