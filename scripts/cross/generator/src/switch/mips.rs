//! 32-bit MIPS, o32, both byte orders. A called function keeps s0 to s7, fp, gp (code for shared libraries holds it over
//! calls), and with a floating-point unit the even doubles f20 to f30.
//!
//! No `cfg` tells whether there is such a unit. Rust's targets of musl have none and those of glibc have one; anything
//! else must say it by the feature `soft-float`. Wrongly "has one" does not assemble for such a target; wrongly "has
//! none" loses f20 to f30, which the test of floats shows.

use std::arch::global_asm;

/// The frame that a switch pushes, bytes.
const FRAME: usize = 96;

#[cfg(not(any(target_env = "musl", feature = "soft-float")))]
global_asm!(
    ".macro may_generator_floats op",
    "\\op $f20, 0($sp)",
    "\\op $f22, 8($sp)",
    "\\op $f24, 16($sp)",
    "\\op $f26, 24($sp)",
    "\\op $f28, 32($sp)",
    "\\op $f30, 40($sp)",
    ".endm",
);
#[cfg(any(target_env = "musl", feature = "soft-float"))]
global_asm!(".macro may_generator_floats op", ".endm");

global_asm!(
    ".macro may_generator_words op",
    "\\op $16, 48($sp)",
    "\\op $17, 52($sp)",
    "\\op $18, 56($sp)",
    "\\op $19, 60($sp)",
    "\\op $20, 64($sp)",
    "\\op $21, 68($sp)",
    "\\op $22, 72($sp)",
    "\\op $23, 76($sp)",
    "\\op $28, 80($sp)",
    "\\op $30, 84($sp)",
    "\\op $31, 88($sp)",
    ".endm",
    ".text",
    ".p2align 2",
    ".set push",
    ".set noreorder",
    ".globl may_generator_switch",
    ".hidden may_generator_switch",
    ".type may_generator_switch, @function",
    "may_generator_switch:",
    ".cfi_startproc",
    "addiu $sp, $sp, -96",
    ".cfi_def_cfa_offset 96",
    "may_generator_words sw",
    "may_generator_floats sdc1",
    ".cfi_offset 31, -8",
    "sw $sp, 0($4)",
    "move $sp, $5",
    "may_generator_words lw",
    "may_generator_floats ldc1",
    "jr $31",
    "addiu $sp, $sp, 96",
    ".cfi_endproc",
    ".size may_generator_switch, . - may_generator_switch",
    ".globl may_generator_start",
    ".hidden may_generator_start",
    ".type may_generator_start, @function",
    "may_generator_start:",
    ".cfi_startproc",
    // The outermost frame: unwinding and backtraces end here.
    ".cfi_undefined 31",
    "move $4, $16",
    // A function of a shared library finds its gp by t9.
    "move $25, $17",
    "jalr $25",
    "nop",
    "break",
    "nop",
    ".cfi_endproc",
    ".size may_generator_start, . - may_generator_start",
    ".set pop",
);

/// Lays out below `top` what the first switch pops, so that `entry` is called with `argument`; gives the stack pointer.
///
/// # Safety
/// `top` is the end of a stack that nothing runs on.
pub(crate) unsafe fn prepare(top: *mut u8, entry: usize, argument: usize) -> *mut u8 {
    // The callee may store its first four arguments above the stack pointer, which is a multiple of 8.
    let pointer = top.wrapping_sub(32 + top as usize % 16 + FRAME);
    let start = super::start as *const () as usize;
    // s0, s1, gp, fp, ra
    for (offset, word) in [(48, argument), (52, entry), (80, 0), (84, 0), (88, start)] {
        // SAFETY: within the stack, as the caller states.
        unsafe { pointer.wrapping_add(offset).cast::<usize>().write(word) };
    }
    pointer
}
