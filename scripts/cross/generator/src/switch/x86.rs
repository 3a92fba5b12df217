//! 32-bit x86, System V. Arguments are on the stack; a called function keeps ebx, esi, edi and ebp.

use std::arch::global_asm;

global_asm!(
    ".text",
    ".p2align 4",
    ".globl may_generator_switch",
    ".hidden may_generator_switch",
    ".type may_generator_switch, @function",
    "may_generator_switch:",
    ".cfi_startproc",
    "mov eax, [esp + 4]",
    "mov edx, [esp + 8]",
    "push ebp",
    "push ebx",
    "push esi",
    "push edi",
    ".cfi_def_cfa_offset 20",
    "mov [eax], esp",
    "mov esp, edx",
    "pop edi",
    "pop esi",
    "pop ebx",
    "pop ebp",
    ".cfi_def_cfa_offset 4",
    "ret",
    ".cfi_endproc",
    ".size may_generator_switch, . - may_generator_switch",
    ".globl may_generator_start",
    ".hidden may_generator_start",
    ".type may_generator_start, @function",
    "may_generator_start:",
    ".cfi_startproc",
    // The outermost frame: unwinding and backtraces end here.
    ".cfi_undefined eip",
    // The stack pointer is a multiple of 16 where a function is called.
    "sub esp, 12",
    "push esi",
    "call ebx",
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
    // edi, esi, ebx, ebp, the return address
    let frame = [0, argument, entry, 0, start];
    let pointer = top.wrapping_sub(16 + top as usize % 16 + size_of_val(&frame));
    // SAFETY: within the stack, as the caller states.
    unsafe { pointer.cast::<[usize; 5]>().write(frame) };
    pointer
}
