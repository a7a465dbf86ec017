//! Further parts for the command `rekindle`: text for terminals and machines, the command's own streams, inherited
//! descriptors.
//!
//! Not part of the API: changes without notice.

pub use crate::advice::as_option;
pub use crate::project::values::{duration, ready};
pub use rekindle_adapters::clock::now;
pub use rekindle_adapters::line::Pattern;
pub use rekindle_adapters::orphans;
pub use rekindle_adapters::socket_file::file_at;
pub use rekindle_adapters::startup;
pub use rekindle_adapters::state_root::StateRoot;
pub use rekindle_adapters::stdio::{OwnInput, OwnOutput, input_hung_up, output_hung_up, write_blocking};
pub use rekindle_adapters::tcp::foreign_listener as port_holder;
pub use rekindle_core::byte_text::ByteText;
pub use rekindle_core::shown::{Shown, is_obeyed, shell_quoted, shell_word, terminal_safe};
