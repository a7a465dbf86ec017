//! The only door to `std`: names that hold data and do nothing.
//!
//! `#![no_std]` takes all other names out of scope, so a use of a file, socket, process or clock in this crate does not
//! compile.

extern crate std;

pub(crate) use alloc::{
    borrow::ToOwned,
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
pub(crate) use core::time::Duration;
pub(crate) use std::ffi::{OsStr, OsString};
// Text as bytes, and bytes as text: on Unix both are the same.
pub(crate) use std::os::unix::ffi::{OsStrExt, OsStringExt};
pub(crate) use std::path::{Path, PathBuf};
