//! 32-bit ARM without floating-point registers to keep: the targets whose name ends with `eabi`.

use std::arch::global_asm;

#[cfg(target_abi = "eabihf")]
compile_error!("hard-float ARM is what the published crate has a switch for");

global_asm!(
    ".text",
    ".p2align 2",
    ".globl may_generator_switch",
    ".hidden may_generator_switch",
    ".type may_generator_switch, %function",
    "may_generator_switch:",
    ".fnstart",
    ".cantunwind",
    // r3 only keeps the stack pointer a multiple of 8.
    "push {{r3-r11, lr}}",
    "str sp, [r0]",
    "mov sp, r1",
    "pop {{r3-r11, pc}}",
    ".fnend",
    ".size may_generator_switch, . - may_generator_switch",
    ".globl may_generator_start",
    ".hidden may_generator_start",
    ".type may_generator_start, %function",
    "may_generator_start:",
    ".fnstart",
    // The outermost frame: unwinding and backtraces end here.
    ".cantunwind",
    "mov r0, r4",
    "blx r5",
    "udf #0",
    ".fnend",
    ".size may_generator_start, . - may_generator_start",
);

/// Lays out below `top` what the first switch pops, so that `entry` is called with `argument`; gives the stack pointer.
///
/// # Safety
/// `top` is the end of a stack that nothing runs on.
pub(crate) unsafe fn prepare(top: *mut u8, entry: usize, argument: usize) -> *mut u8 {
    let start = super::start as *const () as usize;
    // r3 to r11, pc
    let frame = [0, argument, entry, 0, 0, 0, 0, 0, 0, start];
    let pointer = top.wrapping_sub(top as usize % 16 + size_of_val(&frame));
    // SAFETY: within the stack, as the caller states.
    unsafe { pointer.cast::<[usize; 10]>().write(frame) };
    pointer
}
