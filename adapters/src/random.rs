//! Random numbers, from the kernel.

use rekindle_core::Nonce;

/// 64 random bits, for names that must not collide.
pub(crate) fn bits64() -> u64 {
    getrandom::u64().expect("Linux answers getrandom once it has booted")
}

/// A nonce of 128 random bits.
pub fn nonce() -> Nonce {
    Nonce::from_random((u128::from(bits64()) << 64) | u128::from(bits64()))
}
