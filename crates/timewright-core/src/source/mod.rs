//! (module documentation comes with its first code)
