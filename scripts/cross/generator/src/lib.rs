//! The part of the `generator` 0.8 crate that `may` 0.3 uses, with context switches that the published one lacks: 32-bit
//! MIPS in both byte orders, and ARM without a floating-point unit.
//!
//! Cross builds put it in the place of the published crate (`scripts/cross-build.sh`); nothing else uses it. README.md
//! says what it has to keep to.

#![cfg_attr(target_arch = "mips", feature(asm_experimental_arch))]
#![deny(missing_docs)]

mod context;
mod faults;
mod generator;
mod running;
mod stack;
mod switch;

pub use context::Error;
pub use generator::{Generator, Gn};
pub use running::{co_get_yield, co_set_para, co_yield_with, get_local_data, is_generator};

/// The size of a stack whose maker has no opinion, words.
pub const DEFAULT_STACK_SIZE: usize = 0x8000 / size_of::<usize>();
