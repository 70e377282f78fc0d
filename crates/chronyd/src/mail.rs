//! Telling somebody of a large correction by mail (`daemon-and-files.md` 11.10).

use std::io::Write;
use std::process::{Child, Command, Stdio};
use timewright_core::discipline::MailNotice;
use timewright_sys::local::{calendar, hostname};

/// The program that takes mail on its standard input.
const PROGRAM: &str = timewright_defaults::SENDMAIL;

/// Mails on their way.
#[derive(Debug)]
pub(crate) struct Mailer {
    program: &'static str,
    /// Programs that have not ended when last looked at.
    running: Vec<Child>,
}

impl Mailer {
    pub(crate) const fn new() -> Self {
        Self {
            program: PROGRAM,
            running: Vec::new(),
        }
    }

    /// Hands a notice to the mail program, without waiting for it to end.
    ///
    /// # Errors
    /// The line for the log.
    pub(crate) fn send(&mut self, notice: &MailNotice) -> Result<(), String> {
        // Whatever ended meanwhile need not be remembered.
        self.running
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let at = notice.raw.sec();
        let date = calendar(at, c"%A, %d %B %Y").unwrap_or_default();
        let clock = calendar(at, c"%H:%M:%S (%Z)").unwrap_or_default();
        let message = notice.message(hostname().as_deref(), &date, &clock);
        let sent = Command::new(self.program)
            .arg("-t")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .and_then(|mut child| {
                // A few hundred bytes: the pipe takes them even if nobody reads.
                let written = match child.stdin.take() {
                    Some(mut input) => input.write_all(message.as_bytes()),
                    None => Ok(()),
                };
                self.running.push(child);
                written
            });
        sent.map_err(|_| {
            let user = &notice.user;
            format!("Could not send mail notification to user {user}\n")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timewright_time::{Seconds, Timestamp};

    fn notice() -> MailNotice {
        MailNotice {
            user: "admin@example.org".into(),
            adjustment: Seconds(2.5),
            threshold: Seconds(1.0),
            raw: Timestamp::from_parts(1_700_049_600, 0),
        }
    }

    #[test]
    fn the_program_is_run_and_forgotten_once_it_has_ended() {
        let mut mailer = Mailer {
            program: "/bin/true",
            running: Vec::new(),
        };
        // The program may end before it has read anything; that is not our failure to send.
        let _ = mailer.send(&notice());
        assert_eq!(mailer.running.len(), 1);
        mailer.running[0].wait().unwrap();
        let _ = mailer.send(&notice());
        assert_eq!(mailer.running.len(), 1);
        mailer.running[0].wait().unwrap();
    }

    #[test]
    fn a_missing_program_is_reported() {
        let mut mailer = Mailer {
            program: "/no/such/program",
            running: Vec::new(),
        };
        let text = mailer.send(&notice()).unwrap_err();
        assert_eq!(
            text,
            "Could not send mail notification to user admin@example.org\n"
        );
    }
}
