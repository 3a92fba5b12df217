//! x86-64, System V: only so that the tests of this crate run on the machine of whoever works on it.

use std::arch::global_asm;

global_asm!(
    ".text",
    ".p2align 4",
    ".globl may_generator_switch",
    ".hidden may_generator_switch",
    ".type may_generator_switch, @function",
    "may_generator_switch:",
    ".cfi_startproc",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    ".cfi_def_cfa_offset 56",
    "mov [rdi], rsp",
    "mov rsp, rsi",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
    ".size may_generator_switch, . - may_generator_switch",
    ".globl may_generator_start",
    ".hidden may_generator_start",
    ".type may_generator_start, @function",
    "may_generator_start:",
    ".cfi_startproc",
    // The outermost frame: unwinding and backtraces end here.
    ".cfi_undefined rip",
    "mov rdi, r12",
    "call r13",
    "ud2",
    ".cfi_endproc",
    ".size may_generator_start, . - may_generator_start",
);

/// Lays out below `top` what the first switch pops, so that `entry` is called with `argument`; gives the stack pointer.
///
/// # Safety
/// `top` is the end of a stack that nothing runs on.
pub(crate) unsafe fn prepare(top: *mut u8, entry: usize, argument: usize) -> *mut u8 {
    let start = super::start as *const () as usize;
    // r15, r14, r13, r12, rbx, rbp, the return address
    let frame = [0, 0, entry, argument, 0, 0, start];
    let pointer = top.wrapping_sub(16 + top as usize % 16 + size_of_val(&frame));
    // SAFETY: within the stack, as the caller states.
    unsafe { pointer.cast::<[usize; 7]>().write(frame) };
    pointer
}
