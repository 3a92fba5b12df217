//! Commands: arrays of byte strings.

/// Appends a command to what is to be sent. The arguments may hold any bytes.
pub fn put_command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    put_line(out, b'*', arguments.len());
    for argument in arguments {
        put_line(out, b'$', argument.len());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

fn put_line(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_byte_strings() {
        let mut out = Vec::new();
        put_command(&mut out, &[b"GET", b"a\r\nb"]);
        put_command(&mut out, &[b"PING"]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n*1\r\n$4\r\nPING\r\n");
    }
}
