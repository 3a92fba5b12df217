//! The memory map of the process: which file each address of code belongs to, and whether a fault was in a guard page.

use std::fmt::Write;

use super::text::Line;

/// The most frames that are told.
pub(super) const FRAMES: usize = 64;
/// The most files that they may be in.
const FILES: usize = 8;
const PATH_BYTES: usize = 256;
const NO_FILE: u8 = u8::MAX;
/// One line of the map, bytes, as far as it is looked at.
const MAP_LINE_BYTES: usize = 512;

/// What is known of a crash.
pub(super) struct Findings {
    /// Addresses of code, innermost first.
    pub(super) frames: [usize; FRAMES],
    /// How many of them there are.
    pub(super) count: usize,
    /// The address that could not be used; 0 if that is not the matter.
    pub(super) fault: usize,
    /// Whether that is in the guard page below a stack.
    pub(super) is_guard: bool,
    /// The file of each frame.
    files_of: [u8; FRAMES],
    files: [File; FILES],
    file_count: usize,
    /// The file whose parts are being read.
    present: File,
    /// What has been read of the map.
    chunk: [u8; 4096],
}

/// A program or a library in memory.
#[derive(Clone, Copy)]
struct File {
    path: [u8; PATH_BYTES],
    length: usize,
    /// Where its beginning is.
    base: usize,
    /// Whether its addresses are those of the memory, as in a program that cannot be moved.
    is_fixed: bool,
}

impl File {
    const NONE: File = File {
        path: [0; PATH_BYTES],
        length: 0,
        base: 0,
        is_fixed: false,
    };

    fn path(&self) -> &[u8] {
        &self.path[..self.length]
    }
}

/// A line of the map.
#[derive(Debug, PartialEq, Eq)]
struct Mapping<'l> {
    start: usize,
    end: usize,
    rights: &'l [u8],
    offset: usize,
    path: &'l [u8],
}

impl<'l> Mapping<'l> {
    fn parse(line: &'l [u8]) -> Option<Self> {
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let range = fields.next()?;
        let dash = range.iter().position(|byte| *byte == b'-')?;
        let (start, end) = (hex(&range[..dash])?, hex(&range[dash + 1..])?);
        let rights = fields.next()?;
        let offset = hex(fields.next()?)?;
        let path = fields.nth(2).unwrap_or_default().trim_ascii();
        Some(Mapping {
            start,
            end,
            rights,
            offset,
            path,
        })
    }

    fn has(&self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }
}

fn hex(digits: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(digits).ok()?;
    usize::from_str_radix(text, 16).ok()
}

impl Findings {
    /// Nothing is known.
    pub(super) const NONE: Findings = Findings {
        frames: [0; FRAMES],
        count: 0,
        fault: 0,
        is_guard: false,
        files_of: [NO_FILE; FRAMES],
        files: [File::NONE; FILES],
        file_count: 0,
        present: File::NONE,
        chunk: [0; 4096],
    };

    fn see(&mut self, mapping: &Mapping<'_>) {
        if self.fault != 0 && mapping.has(self.fault) {
            // What is below the guard page may be closed too, and then be one mapping with it.
            let is_last_page = mapping.end - self.fault <= page_bytes();
            self.is_guard = is_last_page && mapping.path.is_empty() && mapping.rights.starts_with(b"---");
        }
        if mapping.path.first() != Some(&b'/') {
            return;
        }
        if mapping.offset == 0 {
            self.begin_file(mapping);
        }
        if self.present.path() != &mapping.path[..mapping.path.len().min(PATH_BYTES)] {
            return;
        }
        for index in 0..self.count {
            if mapping.has(self.frames[index]) {
                self.files_of[index] = self.present_number();
            }
        }
    }

    fn begin_file(&mut self, mapping: &Mapping<'_>) {
        let length = mapping.path.len().min(PATH_BYTES);
        self.present.path[..length].copy_from_slice(&mapping.path[..length]);
        self.present.length = length;
        self.present.base = mapping.start;
        self.present.is_fixed = mapping.rights.starts_with(b"r") && is_fixed(mapping);
    }

    /// The number of the file that is being read; it gets one when a frame is in it.
    fn present_number(&mut self) -> u8 {
        let known = &self.files[..self.file_count];
        if let Some(index) = known.iter().position(|file| file.base == self.present.base) {
            return index as u8;
        }
        if self.file_count == FILES {
            return NO_FILE;
        }
        self.files[self.file_count] = self.present;
        self.file_count += 1;
        (self.file_count - 1) as u8
    }

    /// Writes a frame: its number, its address, and its place in its file as addr2line takes it.
    pub(super) fn tell(&self, line: &mut Line, index: usize) {
        let frame = self.frames[index];
        let _ = write!(line, "#{index} {frame:#x}");
        if let Some(file) = self.files.get(usize::from(self.files_of[index])) {
            let path = std::str::from_utf8(file.path()).unwrap_or("?");
            let offset = if file.is_fixed { frame } else { frame - file.base };
            let _ = write!(line, " {path} {offset:#x}");
        }
    }
}

fn page_bytes() -> usize {
    // SAFETY: no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Whether a program says of itself that it cannot be moved.
fn is_fixed(mapping: &Mapping<'_>) -> bool {
    const TYPE_AT: usize = 16;
    const EXECUTABLE: u16 = 2;
    if mapping.end - mapping.start < TYPE_AT + 2 {
        return false;
    }
    // SAFETY: it is mapped and may be read; nobody unmaps code that runs. Files that are no programs only look odd.
    let kind = unsafe { std::ptr::read_unaligned((mapping.start as *const u8).add(TYPE_AT).cast::<u16>()) };
    kind == EXECUTABLE
}

/// Looks everything up in the map of this process.
pub(super) fn read(findings: &mut Findings) {
    // SAFETY: a constant path; the descriptor is closed below.
    let fd = unsafe { libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return;
    }
    let mut line = [0; MAP_LINE_BYTES];
    let mut length = 0;
    loop {
        // SAFETY: the chunk has that many bytes.
        let count = unsafe { libc::read(fd, findings.chunk.as_mut_ptr().cast(), findings.chunk.len()) };
        let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
            break;
        };
        for index in 0..count {
            match findings.chunk[index] {
                b'\n' => {
                    if let Some(mapping) = Mapping::parse(&line[..length]) {
                        findings.see(&mapping);
                    }
                    length = 0;
                }
                byte if length < MAP_LINE_BYTES => {
                    line[length] = byte;
                    length += 1;
                }
                _ => {}
            }
        }
    }
    // SAFETY: it is ours.
    unsafe { libc::close(fd) };
}

#[cfg(test)]
mod tests {
    use super::super::text::Stamp;
    use super::*;
    use crate::core::id::ContextId;

    #[test]
    fn lines_of_the_map_are_understood() {
        let line = b"7f00-7fff r-xp 00002000 08:01 1234                       /usr/lib/a b.so";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!((mapping.start, mapping.end, mapping.offset), (0x7f00, 0x7fff, 0x2000));
        assert_eq!((mapping.rights, mapping.path), (&b"r-xp"[..], &b"/usr/lib/a b.so"[..]));
        assert_eq!(Mapping::parse(b"1000-2000 ---p 00000000 00:00 0 ").unwrap().path, b"");
        for wrong in [&b""[..], b"1000", b"x-y r--p 0 0 0", b"1000-2000"] {
            assert_eq!(Mapping::parse(wrong), None);
        }
    }

    #[test]
    fn an_address_of_this_program_has_its_file() {
        let mut findings = Box::new(Findings::NONE);
        findings.frames[0] = an_address_of_this_program_has_its_file as *const () as usize;
        findings.frames[1] = 1;
        findings.count = 2;
        read(&mut findings);
        let tell = |index| {
            let mut line = Line::begin(&Stamp::now(0, ContextId::generate()));
            findings.tell(&mut line, index);
            String::from_utf8_lossy(line.end())
                .trim_end()
                .rsplit("[0] ")
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let program = std::env::current_exe().unwrap();
        let file = &findings.files[0];
        // A static program stands where it was linked for.
        let base = if file.is_fixed { 0 } else { file.base };
        let (address, offset) = (findings.frames[0], findings.frames[0] - base);
        assert_eq!(tell(0), format!("#0 {address:#x} {} {offset:#x}", program.display()));
        assert_eq!(tell(1), "#1 0x1");
        assert!(!findings.is_guard);
    }
}
