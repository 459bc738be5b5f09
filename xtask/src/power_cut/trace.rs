//! Reads what `strace -f -y -xx` wrote: calls, and the lines on which each of them began and ended.
//!
//! Nothing is judged here, and nothing is left out: what a call means is the kernel's business.

use std::borrow::Cow;
use std::collections::HashMap;

use anyhow::{Context, Result, bail};

/// In bytes, of which each is printed as four; longer texts are something else.
const LONGEST_PATH: usize = 4_096;

/// Everything that the traced processes asked of the kernel.
#[derive(Debug)]
pub(super) struct Trace<'a> {
    pub(super) calls: Vec<Call<'a>>,
    /// The beginnings and ends of the calls, in the order in which they happened.
    pub(super) moments: Vec<Moment>,
}

/// The beginning or the end of the call with this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Began(usize),
    Ended(usize),
}

/// One call of one thread.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// strace tells threads apart, not processes.
    pub(super) thread: u32,
    pub(super) name: &'a str,
    arguments: Cow<'a, str>,
    /// What follows the equals sign.
    returned: &'a str,
    pub(super) began: usize,
    /// `None` if the process died before.
    pub(super) ended: Option<usize>,
}

/// A descriptor as `-y` prints it: `3</srv/keys.db>`, or `AT_FDCWD</srv>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// `None` for `AT_FDCWD`.
    pub(super) number: Option<i64>,
    /// Where it led when the call began. Pipes and sockets have something here that is no absolute path.
    pub(super) path: Option<String>,
    /// Its name was removed.
    pub(super) deleted: bool,
}

impl<'a> Trace<'a> {
    /// Reads the whole of what strace wrote.
    pub(super) fn read(text: &'a str) -> Result<Self> {
        let mut trace = Self { calls: Vec::new(), moments: Vec::new() };
        let mut running = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            trace.read_line(number, line, &mut running).with_context(|| format!("cannot read line {number} of the trace"))?;
        }
        Ok(trace)
    }

    fn read_line(&mut self, number: usize, line: &'a str, running: &mut HashMap<u32, usize>) -> Result<()> {
        let (thread, rest) = line.split_once(' ').context("it does not begin with a process")?;
        let thread: u32 = thread.parse().context("it does not begin with a process; trace with -f and -o")?;
        let rest = rest.trim_start();
        if rest.starts_with("+++ ") || rest.starts_with("--- ") {
            return Ok(());
        }
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let (name, rest) = resumed.split_once(" resumed>").context("there is no `resumed`")?;
            let call = running.remove(&thread).filter(|call| self.calls[*call].name == name);
            let call = call.with_context(|| format!("no `{name}` of this process was under way"))?;
            let (arguments, returned) = end_of_call(rest)?;
            self.calls[call].arguments.to_mut().push_str(arguments);
            self.calls[call].returned = returned;
            self.calls[call].ended = Some(number);
            self.moments.push(Moment::Ended(call));
            return Ok(());
        }
        let (name, rest) = rest.split_once('(').context("there is no call")?;
        let call = self.calls.len();
        self.moments.push(Moment::Began(call));
        if let Some(arguments) = rest.strip_suffix("<unfinished ...>") {
            if running.insert(thread, call).is_some() {
                bail!("two calls of one thread are under way");
            }
            let arguments = arguments.trim_end().into();
            self.calls.push(Call { thread, name, arguments, returned: "?", began: number, ended: None });
        } else {
            let (arguments, returned) = end_of_call(rest)?;
            self.calls.push(Call { thread, name, arguments: arguments.into(), returned, began: number, ended: Some(number) });
            self.moments.push(Moment::Ended(call));
        }
        Ok(())
    }
}

fn end_of_call(text: &str) -> Result<(&str, &str)> {
    let (arguments, returned) = text.rsplit_once(" = ").context("there is no result")?;
    let arguments = arguments.trim_end().strip_suffix(')').context("the arguments have no end")?;
    Ok((arguments, returned))
}

impl Call<'_> {
    /// What it returned, unless it failed or was never heard of again.
    pub(super) fn succeeded(&self) -> Option<i64> {
        let number = self.returned.split([' ', '<']).next().unwrap_or_default();
        let value = match number.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        };
        value.filter(|value| *value >= 0)
    }

    /// The descriptor that it returned.
    pub(super) fn returned_descriptor(&self) -> Result<Descriptor> {
        descriptor(self.returned)
    }

    /// The arguments as they were printed.
    pub(super) fn arguments(&self) -> Vec<&str> {
        split(&self.arguments)
    }

    fn argument(&self, index: usize) -> Result<&str> {
        self.arguments().get(index).copied().with_context(|| format!("`{}` has no argument {index}", self.name))
    }

    /// Whether one of the words stands among the flags; they may stand within a structure.
    pub(super) fn says(&self, word: &str) -> bool {
        self.arguments.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|found| found == word)
    }

    pub(super) fn number(&self, index: usize) -> Result<i64> {
        let argument = self.argument(index)?;
        argument.parse().with_context(|| format!("`{argument}` is not a number"))
    }

    pub(super) fn word(&self, index: usize) -> Result<&str> {
        self.argument(index)
    }

    pub(super) fn descriptor(&self, index: usize) -> Result<Descriptor> {
        descriptor(self.argument(index)?)
    }

    pub(super) fn path(&self, index: usize) -> Result<String> {
        String::from_utf8(self.bytes(index)?).context("a path is not UTF-8")
    }

    /// The text of an argument; of a list of buffers, all of their texts.
    pub(super) fn bytes(&self, index: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for text in texts(self.argument(index)?)? {
            bytes.extend(unescape(text)?);
        }
        Ok(bytes)
    }

    /// Every path that it mentions, be it in a text or beside a descriptor.
    pub(super) fn mentioned_paths(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for text in self.arguments.split('"').skip(1).step_by(2).filter(|text| text.len() < 4 * LONGEST_PATH) {
            found.extend(String::from_utf8(unescape(text)?).ok());
        }
        for printed in [&self.arguments, self.returned] {
            for annotation in printed.split('<').skip(1) {
                if let Some((path, _)) = annotation.split_once('>') {
                    found.extend(String::from_utf8(unescape(path)?).ok());
                }
            }
        }
        Ok(found)
    }
}

/// Splits at the commas that stand outside of brackets and texts.
fn split(arguments: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut start, mut at) = (0, 0, 0);
    while let Some(byte) = arguments.as_bytes().get(at) {
        match byte {
            // Texts are long, and nothing in them matters.
            b'"' => at += arguments[at + 1..].find('"').map_or(arguments.len() - at - 1, |length| length + 1),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                found.push(arguments[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    found.push(arguments[start..].trim());
    found
}

fn texts(argument: &str) -> Result<Vec<&str>> {
    let parts: Vec<_> = argument.split('"').collect();
    if parts.len().is_multiple_of(2) {
        bail!("a text has no end");
    }
    // Between two quotation marks stands a text, then what separates it from the next.
    if parts.iter().skip(2).step_by(2).any(|between| between.starts_with("...")) {
        bail!("a text was cut off; trace with a larger -s");
    }
    Ok(parts.into_iter().skip(1).step_by(2).collect())
}

/// With `-xx` every byte is `\x2f`. Other escapes are refused, so that a trace without it is not misread.
fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                rest = after;
            }
            (b'\\', _) => bail!("`{text}` has an escape other than \\x; trace with -xx"),
            (plain, after) => {
                bytes.push(*plain);
                rest = after;
            }
        }
    }
    Ok(bytes)
}

fn digit(byte: u8) -> Result<u8> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => bail!("`{}` is not a hexadecimal digit", byte as char),
    }
}

fn descriptor(printed: &str) -> Result<Descriptor> {
    let (number, annotation) = match printed.split_once('<') {
        Some((number, annotation)) => (number, Some(annotation)),
        None => (printed, None),
    };
    let number = match number {
        "AT_FDCWD" => None,
        _ => Some(number.parse().with_context(|| format!("`{printed}` is not a descriptor"))?),
    };
    let Some(annotation) = annotation else {
        return Ok(Descriptor { number, path: None, deleted: false });
    };
    let (path, after) = annotation.split_once('>').with_context(|| format!("`{printed}` is not a descriptor"))?;
    let path = String::from_utf8(unescape(path)?).context("a path is not UTF-8")?;
    Ok(Descriptor { number, path: Some(path), deleted: after.starts_with("(deleted)") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_with_its_result() {
        let text = "7 openat(AT_FDCWD<\\x2f>, \"\\x61\\x22\", O_RDWR|O_CREAT, 0644) = 3<\\x2f\\x61\\x22>\n";
        let trace = Trace::read(text).unwrap();
        let [call] = &trace.calls[..] else { panic!("{trace:?}") };
        assert_eq!((call.thread, call.name, call.began, call.ended), (7, "openat", 1, Some(1)));
        assert_eq!(call.succeeded(), Some(3));
        assert_eq!(call.path(1).unwrap(), "a\"");
        assert!(call.says("O_CREAT") && !call.says("O_TRUNC") && !call.says("O_C"));
        let root = Descriptor { number: None, path: Some("/".to_owned()), deleted: false };
        assert_eq!(call.descriptor(0).unwrap(), root);
        let opened = Descriptor { number: Some(3), path: Some("/a\"".to_owned()), deleted: false };
        assert_eq!(call.returned_descriptor().unwrap(), opened);
        assert_eq!(call.mentioned_paths().unwrap(), ["a\"", "/", "/a\""]);
    }

    #[test]
    fn a_call_that_was_interrupted_has_two_lines() {
        let text = "\
7 read(3</d/a>,  <unfinished ...>
8 fsync(4</d/b>(deleted)) = 0
7 <... read resumed>\"one\", 100) = 3
9 pwrite64(3</d/a>, \"two\", 3, 0 <unfinished ...>
8 +++ exited with 0 +++
";
        let trace = Trace::read(text).unwrap();
        use Moment::{Began, Ended};
        assert_eq!(trace.moments, [Began(0), Began(1), Ended(1), Ended(0), Began(2)]);
        assert_eq!((trace.calls[0].began, trace.calls[0].ended), (1, Some(3)));
        assert_eq!((trace.calls[0].bytes(1).unwrap(), trace.calls[0].succeeded()), (b"one".to_vec(), Some(3)));
        assert!(trace.calls[1].descriptor(0).unwrap().deleted);
        assert_eq!((trace.calls[2].ended, trace.calls[2].succeeded()), (None, None));
    }

    #[test]
    fn buffers_are_joined_and_structures_stay_whole() {
        let text = "\
7 writev(3</d/a>, [{iov_base=\"one\", iov_len=3}, {iov_base=\"two\", iov_len=3}], 2) = 6
7 clone3({flags=CLONE_VM|CLONE_FILES, exit_signal=0} => {parent_tid=[8]}, 88) = 8
7 mmap(NULL, 8, PROT_READ, MAP_SHARED, 3</d/a>, 0) = 0x7f335e710000
7 rename(\"a\", \"b\")                       = -1 ENOENT (No such file or directory)
";
        let trace = Trace::read(text).unwrap();
        assert_eq!(trace.calls[0].arguments().len(), 3);
        assert_eq!(trace.calls[0].bytes(1).unwrap(), b"onetwo");
        assert_eq!(trace.calls[1].arguments().len(), 2);
        assert!(trace.calls[1].says("CLONE_FILES"));
        assert_eq!(trace.calls[2].succeeded(), Some(0x7f33_5e71_0000));
        assert_eq!(trace.calls[3].succeeded(), None);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (line, why) in [
            ("close(3) = 0", "process"),
            ("7 close(3)", "no result"),
            ("7 <... close resumed>) = 0", "no `close` of this process"),
        ] {
            let told = format!("{:#}", Trace::read(&format!("7 getpid() = 7\n{line}\n")).unwrap_err());
            assert!(told.contains("line 2") && told.contains(why), "{told}");
        }
        let cut = Trace::read("7 write(3</d/a>, \"one\"..., 100) = 100").unwrap();
        assert!(cut.calls[0].bytes(1).unwrap_err().to_string().contains("larger -s"));
        let escaped = Trace::read("7 write(3</d/a>, \"one\\n\", 4) = 4").unwrap();
        assert!(escaped.calls[0].bytes(1).unwrap_err().to_string().contains("-xx"));
    }
}
