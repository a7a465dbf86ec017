//! The only door to `std`: names that hold data and do nothing.
//!
//! `#![no_std]` takes the rest out of scope, so that a file, socket, process or clock in this crate does not compile.

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
// Text as its bytes, and bytes as text: on Unix they are one and the same.
pub(crate) use std::os::unix::ffi::{OsStrExt, OsStringExt};
pub(crate) use std::path::{Path, PathBuf};
