//! The switch from one stack to another, for each processor.
//!
//! A switch is a function call that returns on another stack: it pushes the registers that a called function must keep,
//! stores the stack pointer, loads the other one, and pops. A new stack gets what the first pop expects.

#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "mips", path = "mips.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
mod processor;

pub(crate) use processor::prepare;

unsafe extern "C" {
    /// Leaves this stack, whose pointer is stored at `save`, for the one whose pointer is `to`.
    #[link_name = "may_generator_switch"]
    pub(crate) fn switch(save: *mut *mut u8, to: *mut u8);

    /// Where the first switch to a new stack returns to: calls the function with the argument that [`prepare`] left.
    #[link_name = "may_generator_start"]
    fn start();
}
