//! Keyset
