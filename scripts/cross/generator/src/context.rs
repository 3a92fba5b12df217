//! A coroutine's context without the types of its values, and the two moves: into it and out of it.

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::ops::Range;
use std::ptr::{self, NonNull};

use crate::switch;

/// The payload of a panic that ends a body from inside. It is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The body is to end.
    Done,
    /// The generator was dropped or cancelled while its body was suspended.
    Cancel,
    /// A value was passed with another type than the generator has.
    TypeErr,
    /// A stack cannot be used.
    StackErr,
    /// A call came from outside the context that it is for.
    ContextErr,
}

/// Where a generator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no body yet.
    Empty,
    /// Its body has not begun.
    Ready,
    /// Its body runs, or waits for a generator that it resumed itself.
    Running,
    /// Its body waits in a yield.
    Suspended,
    /// Its body has returned or panicked.
    Done,
}

/// Where a value is handed over: what type it has, and the `Option` of that type that holds it.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) of: TypeId,
    pub(crate) place: *mut (),
}

/// The part of a generator that does not depend on its types. It never moves: switches keep its address.
pub(crate) struct Context {
    /// Where the body goes on when it is resumed.
    pub(crate) inside: *mut u8,
    /// Where the resuming side goes on when the body yields.
    outside: *mut u8,
    /// What ran when this was resumed.
    parent: *mut Context,
    /// The innermost of the contexts that a yield of this one suspended with it; mostly itself.
    pub(crate) leaf: *mut Context,
    pub(crate) state: State,
    /// Whether its next wake is a [`Error::Cancel`].
    pub(crate) cancelled: bool,
    /// What the coroutine library keeps with it; null for a plain generator.
    pub(crate) local: *mut u8,
    pub(crate) para: Slot,
    pub(crate) ret: Slot,
    pub(crate) panic: Option<Box<dyn Any + Send>>,
    /// Addresses of its stack's guard page.
    pub(crate) guard: Range<usize>,
    /// Runs the body, with its types.
    pub(crate) run: unsafe fn(*mut Context),
}

impl Context {
    pub(crate) fn new(para: Slot, ret: Slot, guard: Range<usize>, run: unsafe fn(*mut Context)) -> Self {
        Context {
            inside: ptr::null_mut(),
            outside: ptr::null_mut(),
            parent: ptr::null_mut(),
            leaf: ptr::null_mut(),
            state: State::Empty,
            cancelled: false,
            local: ptr::null_mut(),
            para,
            ret,
            panic: None,
            guard,
            run,
        }
    }
}

thread_local! {
    /// The innermost context that runs on this thread; null outside of all.
    static TOP: Cell<*mut Context> = const { Cell::new(ptr::null_mut()) };
}

// A coroutine may wake on another thread, so no caller may keep the address of a thread local over a switch: the two
// functions that use it are never inlined.
#[inline(never)]
pub(crate) fn top() -> *mut Context {
    TOP.get()
}

#[inline(never)]
fn set_top(context: *mut Context) {
    TOP.set(context)
}

/// The innermost coroutine of this thread: a context with local data.
pub(crate) fn current_coroutine() -> Option<NonNull<Context>> {
    let mut context = top();
    while let Some(found) = NonNull::new(context) {
        // SAFETY: contexts of the chain from `top` are of generators that run, whose resume keeps them alive.
        let running = unsafe { found.as_ref() };
        if !running.local.is_null() {
            return Some(found);
        }
        context = running.parent;
    }
    None
}

/// Gives control to the body; returns when it yields or ends.
///
/// # Safety
/// The context is alive and stays so, is `Ready` or `Suspended`, and `inside` is where its stack was left.
pub(crate) unsafe fn enter(context: *mut Context) {
    // SAFETY: as the caller states.
    unsafe {
        (*context).parent = top();
        (*context).state = State::Running;
        set_top((*context).leaf);
        switch::switch(&raw mut (*context).outside, (*context).inside);
    }
}

/// Gives control back to who resumed the context; returns when it is resumed again.
///
/// # Safety
/// The context is in the chain from `top`.
pub(crate) unsafe fn leave(context: *mut Context) {
    // SAFETY: as the caller states; `outside` was written by the `enter` that runs.
    unsafe {
        (*context).leaf = top();
        set_top((*context).parent);
        switch::switch(&raw mut (*context).inside, (*context).outside);
    }
}

/// What a new stack runs first.
///
/// # Safety
/// Called once for each body, on its own stack, by `enter`.
pub(crate) unsafe extern "C" fn entry(context: *mut Context) -> ! {
    // SAFETY: `enter` keeps the context alive while its body runs; `run` fits it, as both were made together.
    unsafe {
        ((*context).run)(context);
        (*context).state = State::Done;
        leave(context);
    }
    // A body that has ended is never resumed.
    std::process::abort()
}
