//! Process tests.
#![forbid(unsafe_code)]
