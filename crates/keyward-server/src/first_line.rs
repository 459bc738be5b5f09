//! What is read from standard input since it must not stand on a command line: one line.

use std::io::{self, BufRead, Read};

use zeroize::Zeroizing;

use crate::failure::Failure;

/// What is read at most: more than any key or password has.
const LONGEST: u64 = 64 * 1024;

/// The first line that was not read yet, without its end.
pub(crate) fn read() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut line = Zeroizing::new(Vec::new());
    let read = io::stdin().lock().take(LONGEST).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::Fault(format!("cannot read standard input: {error}")))?;
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    Ok(line)
}
