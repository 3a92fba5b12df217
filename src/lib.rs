//! A live media server on stackful coroutines over one thread.
//!
//! Layers, each importing only from itself and those to its right: `main -> app -> protocol -> kernel -> core`.
//!
//! Invariants:
//! - All application code runs on ONE operating-system thread, so shared state is `Rc`, `Cell` and `RefCell`; locks,
//!   atomics and threads exist in `core` only.
//! - Nothing on that thread blocks: sockets wait in the reactor, files, names and processes go through `core::offload`;
//!   `core::folder` reads what the kernel has in its cache by itself.
//! - No borrow of a `RefCell` lives across a call whose documentation says "Yields.".
//! - A peer's bytes end at most that peer's connection.

#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod app;
#[allow(unsafe_code)]
pub mod core;
#[doc(hidden)]
pub mod fuzz;
pub mod kernel;
pub mod protocol;
