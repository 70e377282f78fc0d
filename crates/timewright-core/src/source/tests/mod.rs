//! Tests of whole associations.
