//! What a running body calls.

use std::any::{Any, type_name};
use std::panic;
use std::ptr;

use crate::context::{Error, Slot, State, current_coroutine, leave, top};

/// The local data of the coroutine that runs; null outside of all.
pub fn get_local_data() -> *mut u8 {
    // SAFETY: it runs, so it is alive.
    current_coroutine().map_or(ptr::null_mut(), |context| unsafe { context.as_ref().local })
}

/// Whether any generator runs on this thread.
pub fn is_generator() -> bool {
    !top().is_null()
}

/// Suspends the running coroutine and gives `value` to who resumed it. Yields.
///
/// # Panics
/// Outside a coroutine; with another type than the coroutine's; with [`Error::Cancel`] when it was cancelled.
pub fn co_yield_with<T: Any>(value: T) {
    let context = current_coroutine().expect("a yield outside a coroutine").as_ptr();
    // SAFETY: it runs, so it is alive, and so it is in the chain that `leave` wants.
    unsafe {
        if (*context).cancelled {
            panic::panic_any(Error::Cancel);
        }
        *place::<T>((*context).ret) = Some(value);
        (*context).state = State::Suspended;
        leave(context);
        if (*context).cancelled {
            panic::panic_any(Error::Cancel);
        }
    }
}

/// Takes what was left for the running coroutine by `set_para`, or by [`co_set_para`].
pub fn co_get_yield<A: Any>() -> Option<A> {
    let context = current_coroutine()?.as_ptr();
    // SAFETY: it runs, so it is alive; `place` has compared the types.
    unsafe { (*place::<A>((*context).para)).take() }
}

/// Leaves a value for the running coroutine's own [`co_get_yield`].
pub fn co_set_para<A: Any>(para: A) {
    if let Some(context) = current_coroutine() {
        // SAFETY: as above.
        unsafe { *place::<A>((*context.as_ptr()).para) = Some(para) }
    }
}

/// # Panics
/// With [`Error::TypeErr`] when the slot is of another type.
fn place<V: Any>(slot: Slot) -> *mut Option<V> {
    if slot.of != std::any::TypeId::of::<V>() {
        eprintln!(
            "generator: a value of type {} is passed to another type",
            type_name::<V>()
        );
        panic::panic_any(Error::TypeErr);
    }
    slot.place.cast()
}
