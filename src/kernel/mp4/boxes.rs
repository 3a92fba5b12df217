//! Boxes (ISO/IEC 14496-12, 4.2): a size, a type, and contents that may be boxes again.

use crate::kernel::buf::Put;

/// Size and type.
pub const HEADER_BYTES: usize = 8;

/// Appends a box; its size is filled in when `contents` has written what is inside. It must stay below 4 GB: what we put
/// in is bounded far below.
pub fn put_box(out: &mut Vec<u8>, kind: &[u8; 4], contents: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(kind);
    contents(out);
    let size = u32::try_from(out.len() - start).unwrap_or_default();
    set_u32(out, start, size);
}

/// Appends a box whose contents begin with a version and 24 bits of flags.
pub fn put_full_box(out: &mut Vec<u8>, kind: &[u8; 4], version: u8, flags: u32, contents: impl FnOnce(&mut Vec<u8>)) {
    put_box(out, kind, |out| {
        out.put_u8(version);
        out.put_u24(flags);
        contents(out);
    });
}

/// Fills a field in that was left open at `at`.
pub fn set_u32(out: &mut [u8], at: usize, value: u32) {
    if let Some(field) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *field = value.to_be_bytes();
    }
}

/// Goes over the boxes in some bytes. Ends before the first one that is cut short.
#[derive(Clone, Debug)]
pub struct Boxes<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Where a box lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoxAt<'a> {
    /// The four letters.
    pub kind: [u8; 4],
    /// Where its size stands, as an index of the bytes that were gone over.
    pub start: usize,
    /// What is inside.
    pub contents: &'a [u8],
}

impl<'a> Boxes<'a> {
    /// Goes over `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Boxes { bytes, at: 0 }
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = BoxAt<'a>;

    fn next(&mut self) -> Option<BoxAt<'a>> {
        let start = self.at;
        let (size, rest) = self.bytes.get(start..)?.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let contents = rest.get(..size.checked_sub(HEADER_BYTES)?)?;
        self.at = start + size;
        Some(BoxAt {
            kind: *kind,
            start,
            contents,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_stand_in_boxes() {
        let mut out = b"before".to_vec();
        put_box(&mut out, b"moof", |out| {
            put_full_box(out, b"mfhd", 1, 0x02_0304, |out| out.put_u32(5));
            put_box(out, b"free", |_| {});
        });
        assert_eq!(
            out,
            b"before\0\0\0\x20moof\0\0\0\x10mfhd\x01\x02\x03\x04\0\0\0\x05\0\0\0\x08free"
        );
        let whole: Vec<_> = Boxes::new(&out[6..]).collect();
        assert_eq!((whole.len(), &whole[0].kind), (1, b"moof"));
        let inner: Vec<_> = Boxes::new(whole[0].contents)
            .map(|found| (found.kind, found.start))
            .collect();
        assert_eq!(inner, [(*b"mfhd", 0), (*b"free", 16)]);
    }

    #[test]
    fn cut_boxes_end_the_walk() {
        let mut out = Vec::new();
        put_box(&mut out, b"free", |out| out.put_u32(7));
        for cut in 0..out.len() {
            assert_eq!(Boxes::new(&out[..cut]).count(), 0, "{cut} bytes");
        }
        // Sizes below that of the header, and beyond the end.
        for size in [0u32, 7, 13, u32::MAX] {
            set_u32(&mut out, 0, size);
            assert_eq!(Boxes::new(&out).count(), 0, "size {size}");
        }
        set_u32(&mut out, 10, 9);
        assert_eq!(out.len(), 12);
    }
}
