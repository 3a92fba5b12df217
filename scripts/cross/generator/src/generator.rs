//! Generators: a body with a stack of its own, resumed from outside.

use std::any::{Any, TypeId};
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of};
use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;

use crate::context::{Context, Error, Slot, State, enter, entry};
use crate::faults;
use crate::stack::Stack;
use crate::switch;

/// What a generator owns, at an address that never changes.
#[repr(C)]
struct Inner<'a, A, T> {
    /// First, since the address of a context is taken for the address of its owner.
    context: Context,
    para: Option<A>,
    ret: Option<T>,
    body: Option<Box<dyn FnOnce() -> T + 'a>>,
    stack: Stack,
}

const _: () = {
    // `may` keeps `Option<Generator>` in an atomic cell.
    assert!(size_of::<Option<Generator<'static, (), ()>>>() == size_of::<usize>());
    assert!(offset_of!(Inner<'static, u64, u128>, context) == 0);
};

/// # Safety
/// The context is that of an `Inner` of these types, and runs on its own stack.
unsafe fn run_body<A, T>(context: *mut Context) {
    let inner = context.cast::<Inner<'_, A, T>>();
    // SAFETY: as the caller states; nobody else looks at it while its body runs, save through fields of the context.
    let body = unsafe { (*inner).body.take() }.expect("a generator runs only with a body");
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        // SAFETY: as above.
        Ok(value) => unsafe { (*inner).ret = Some(value) },
        Err(payload) if matches!(payload.downcast_ref(), Some(Error::Cancel | Error::Done)) => {}
        // SAFETY: as above.
        Err(payload) => unsafe { (*context).panic = Some(payload) },
    }
}

/// A body on a stack of its own: gives values of `T`, takes values of `A`. One pointer wide and never null.
pub struct Generator<'a, A, T> {
    inner: NonNull<Inner<'a, A, T>>,
    mark: PhantomData<&'a mut (A, T)>,
}

// SAFETY: the body is `Send`, as `new_opt` and `init_code` demand, and what it holds on its stack moves only between its
// switches.
unsafe impl<A: Send, T: Send> Send for Generator<'static, A, T> {}

/// Makes generators that take values of `A`.
#[derive(Debug)]
pub struct Gn<A = ()>(PhantomData<A>);

impl<A: Any> Gn<A> {
    /// A generator with a stack of `size` machine words, which runs `body` when it is resumed.
    ///
    /// # Panics
    /// When the system refuses memory for the stack.
    pub fn new_opt<'a, T: Any, F>(size: usize, body: F) -> Generator<'a, A, T>
    where
        F: FnOnce() -> T + Send + 'a,
    {
        faults::watch();
        let stack = Stack::new(size);
        let slot = |of| Slot {
            of,
            place: std::ptr::null_mut(),
        };
        let (para, ret) = (slot(TypeId::of::<A>()), slot(TypeId::of::<T>()));
        let inner = Box::into_raw(Box::new(Inner {
            context: Context::new(para, ret, stack.guard(), run_body::<A, T>),
            para: None,
            ret: None,
            body: None,
            stack,
        }));
        // SAFETY: just made, so alive, and nobody else has it.
        unsafe {
            (*inner).context.para.place = (&raw mut (*inner).para).cast();
            (*inner).context.ret.place = (&raw mut (*inner).ret).cast();
        }
        let mut generator = Generator {
            inner: NonNull::new(inner).expect("a box has an address"),
            mark: PhantomData,
        };
        generator.install(Box::new(body));
        generator
    }
}

impl<'a, A, T> Generator<'a, A, T> {
    fn inner(&self) -> *mut Inner<'a, A, T> {
        self.inner.as_ptr()
    }

    fn context(&self) -> *mut Context {
        // SAFETY: the generator owns it.
        unsafe { &raw mut (*self.inner()).context }
    }

    /// Gives it a new body; an unfinished old one is cancelled first.
    pub fn init_code<F: FnOnce() -> T + Send + 'a>(&mut self, body: F)
    where
        T: Send + 'a,
    {
        self.install(Box::new(body));
    }

    fn install(&mut self, body: Box<dyn FnOnce() -> T + 'a>) {
        self.cancel();
        let (inner, context) = (self.inner(), self.context());
        // SAFETY: the generator owns both, and its body does not run.
        unsafe {
            (*inner).para = None;
            (*inner).ret = None;
            (*inner).body = Some(body);
            (*context).leaf = context;
            (*context).cancelled = false;
            (*context).panic = None;
            let entry = entry as *const () as usize;
            (*context).inside = switch::prepare((*inner).stack.top(), entry, context as usize);
            (*context).state = State::Ready;
        }
    }

    /// Runs the body until it yields a value, returns one (given once), or panics (`None`, as when it has ended already).
    ///
    /// # Panics
    /// With the body's panic when the generator has no local data; when called from inside its own body.
    pub fn resume(&mut self) -> Option<T> {
        let (inner, context) = (self.inner(), self.context());
        // SAFETY: the generator owns both; the state says that the stack is one to switch to.
        unsafe {
            match (*context).state {
                State::Ready | State::Suspended => {}
                State::Done | State::Empty => return None,
                State::Running => panic!("a running generator cannot be resumed"),
            }
            enter(context);
            if (*context).local.is_null()
                && let Some(payload) = (*context).panic.take()
            {
                panic::resume_unwind(payload);
            }
            (*inner).ret.take()
        }
    }

    /// Leaves a value for the body's next [`co_get_yield`](crate::co_get_yield).
    pub fn set_para(&mut self, para: A) {
        // SAFETY: the generator owns it.
        unsafe { (*self.inner()).para = Some(para) }
    }

    /// Makes it a coroutine: its body, and what the body calls, finds this pointer.
    pub fn set_local_data(&mut self, data: *mut u8) {
        // SAFETY: the generator owns it.
        unsafe { (*self.context()).local = data }
    }

    /// What [`set_local_data`](Self::set_local_data) left; null at first.
    pub fn get_local_data(&self) -> *mut u8 {
        // SAFETY: the generator owns it.
        unsafe { (*self.context()).local }
    }

    /// The payload of the body's panic, once.
    pub fn get_panic_data(&mut self) -> Option<Box<dyn Any + Send>> {
        // SAFETY: the generator owns it.
        unsafe { (*self.context()).panic.take() }
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        // SAFETY: the generator owns it.
        unsafe { (*self.context()).state == State::Done }
    }

    /// The stack's size as it was asked for, and how much of it was used at most, both in words. The latter is exact
    /// for an odd size, else the most that it can be.
    pub fn stack_usage(&self) -> (usize, usize) {
        // SAFETY: the generator owns it.
        unsafe { (*self.inner()).stack.usage() }
    }

    /// Ends the body: a suspended one unwinds, one that has not begun is dropped.
    ///
    /// # Panics
    /// From inside its own body.
    pub fn cancel(&mut self) {
        let (inner, context) = (self.inner(), self.context());
        // SAFETY: the generator owns both; the state says that the stack is one to switch to.
        unsafe {
            match (*context).state {
                State::Suspended => {
                    (*context).cancelled = true;
                    // Once is enough: a body that catches the panic cannot yield any more.
                    enter(context);
                    (*context).panic = None;
                    (*inner).ret = None;
                }
                State::Ready => {
                    (*context).state = State::Done;
                    drop((*inner).body.take());
                }
                State::Running => panic!("a running generator cannot be cancelled"),
                State::Empty | State::Done => {}
            }
        }
    }

    /// Gives the generator away as a pointer, for [`from_raw`](Self::from_raw).
    pub fn into_raw(self) -> *mut usize {
        ManuallyDrop::new(self).inner.as_ptr().cast()
    }

    /// Takes a generator back.
    ///
    /// # Safety
    /// `raw` is of [`into_raw`](Self::into_raw) of the same types, and is given once.
    ///
    /// # Panics
    /// When it is null.
    pub unsafe fn from_raw(raw: *mut usize) -> Self {
        Generator {
            inner: NonNull::new(raw.cast()).expect("a generator's address is not null"),
            mark: PhantomData,
        }
    }
}

impl<A, T> Drop for Generator<'_, A, T> {
    fn drop(&mut self) {
        self.cancel();
        // SAFETY: it was a box, and this is its only owner.
        drop(unsafe { Box::from_raw(self.inner()) });
    }
}

impl<A, T> fmt::Debug for Generator<'_, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the generator owns it.
        write!(f, "Generator({:?})", unsafe { (*self.context()).state })
    }
}
