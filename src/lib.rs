//! whyd
