//! Going into the background: the process in the foreground waits until the daemon is ready or
//! has failed (`daemon-and-files.md` 2, step 3).

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use timewright_sys::error_text;
use timewright_sys::process::{Fork, detach_descriptors, fork, new_session};

/// Which process this is after [`detach`].
pub(crate) enum Side {
    /// The daemon, with the way to tell the foreground process.
    Daemon(PipeWriter),
    /// The foreground process or a go-between; it ends with this status.
    Ends(u8),
}

/// Splits into the daemon and the process that waits for it. `inherited` is the number of
/// descriptors from 3 on that belong to the daemon; `notify` is one more.
///
/// # Errors
/// The fatal message.
pub(crate) fn detach(inherited: u32, notify: Option<i32>) -> Result<Side, String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("{what} : {}", error_text(&error))
    };
    let (reader, writer) = io::pipe().map_err(failed("pipe() failed"))?;
    if fork().map_err(failed("fork() failed"))? == Fork::Parent {
        drop(writer);
        return Ok(Side::Ends(wait(reader)));
    }
    drop(reader);
    new_session();
    // A second time, so that the daemon leads no session and can never get a terminal. From here
    // on the waiting process hears of failures.
    match fork() {
        Ok(Fork::Parent) => return Ok(Side::Ends(0)),
        Ok(Fork::Child) => {}
        Err(error) => return Ok(tell(writer, &failed("fork() failed")(error))),
    }
    if let Err(error) = std::env::set_current_dir("/") {
        return Ok(tell(writer, &failed("chdir() failed")(error)));
    }
    let mut keep = vec![writer.as_raw_fd()];
    keep.extend(3..3i32.saturating_add_unsigned(inherited));
    keep.extend(notify);
    if let Err(error) = detach_descriptors(&keep) {
        return Ok(tell(writer, &failed("Could not open /dev/null")(error)));
    }
    Ok(Side::Daemon(writer))
}

fn tell(mut writer: PipeWriter, text: &str) -> Side {
    let _ = writer.write_all(text.as_bytes());
    Side::Ends(1)
}

/// Waits for the daemon's message: one NUL is success, a text is its fatal error, nothing means
/// that it vanished.
fn wait(mut reader: PipeReader) -> u8 {
    let mut message = [0; 1024];
    let length = loop {
        match reader.read(&mut message) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result.unwrap_or(0),
        }
    };
    match message.get(..length) {
        Some([0, ..]) => 0,
        Some(text @ [_, ..]) => {
            let _ = writeln!(io::stderr(), "{}", String::from_utf8_lossy(text));
            1
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waiting_process_ends_as_it_is_told() {
        for (message, want) in [(&b"\0"[..], 0), (b"no such user", 1), (b"", 1)] {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(message).unwrap();
            drop(writer);
            assert_eq!(wait(reader), want, "{message:?}");
        }
    }
}
