//! What the scripts pack is installed and run: the Debian package, the one for OpenWrt, and the samples for containers.

mod container;
mod deb;
mod dockerfile;
mod ipk;
mod system;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{Ended, run};
use crate::support::server::PROGRAM;
use crate::support::workdir::repository;

/// Runs one of the scripts that make packages, into the folder. Not compressed, as that would take most of the time.
#[track_caller]
fn make(script: &str, folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(repository().join("scripts").join(script));
    command.arg(format!("--output={}", folder.display())).args(arguments);
    // Whoever runs the tests may have it set.
    command.env_remove("SOURCE_DATE_EPOCH");
    run(script, folder, 60, &mut command)
}

/// The path that the script has printed.
#[track_caller]
fn made(script: &str, folder: &Path, arguments: &[&str]) -> PathBuf {
    let ended = make(script, folder, arguments).ok();
    let path = PathBuf::from(ended.output.trim());
    assert!(path.is_file(), "{}", ended.output);
    path
}

/// A package of the program under test.
#[track_caller]
fn made_of_program(script: &str, folder: &Path, arguments: &[&str]) -> PathBuf {
    let program = format!("--program={PROGRAM}");
    made(
        script,
        folder,
        &[&[program.as_str(), "--compress=none"], arguments].concat(),
    )
}

/// The head of an ELF file: class (1 or 2), byte order (1: low byte first), machine and flags.
fn elf(class: u8, order: u8, machine: u16, flags: u32) -> Vec<u8> {
    let number = |bytes: &[u8]| match order {
        1 => bytes.iter().rev().copied().collect::<Vec<u8>>(),
        _ => bytes.to_vec(),
    };
    let mut head = vec![0x7f, b'E', b'L', b'F', class, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // An executable; its machine; the version of the format.
    head.extend(number(&2u16.to_be_bytes()));
    head.extend(number(&machine.to_be_bytes()));
    head.extend(number(&1u32.to_be_bytes()));
    // Entry and tables: none.
    head.extend(vec![0; 12 * usize::from(class)]);
    head.extend(number(&flags.to_be_bytes()));
    head.extend(number(&(40 + 12 * u16::from(class)).to_be_bytes()));
    head.extend([0; 10]);
    head
}

/// Writes a program without content, for a machine.
fn write_elf(path: &Path, head: (u8, u8, u16, u32)) -> String {
    fs::write(path, elf(head.0, head.1, head.2, head.3)).expect("write a program");
    format!("--program={}", path.display())
}
