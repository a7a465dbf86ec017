//! Text that may hold any bytes: how it is stored, shown, and cut into lines.

pub mod byte_text;
pub(crate) mod duration_ms;
pub mod lines;
pub mod shown;
pub(crate) mod sift;
