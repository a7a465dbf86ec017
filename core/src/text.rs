//! Text of any bytes: storage, display, and division into lines.

pub mod byte_text;
pub(crate) mod duration_ms;
pub mod lines;
pub mod shown;
pub(crate) mod sift;
