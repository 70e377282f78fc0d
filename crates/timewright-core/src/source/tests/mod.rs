//! Tests of whole associations and of the table, driven as the engine drives them.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers of the tests' own"
)]

mod bench;
mod connectivity;
mod exchange;
mod keys;
mod measure;
mod names;
mod peers;
mod requests;
mod responses;
mod rules;
