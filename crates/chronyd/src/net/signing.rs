//! The MS-SNTP signing service at the other end of a Unix socket (`auth-nts.md` 3).

use crate::logger::Logger;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use timewright_core::ids::SocketKey;
use timewright_core::server::signing::Signing;
use timewright_sys::error_text;
use timewright_sys::net::Socket;
use timewright_time::MonoTime;

/// Whom a response is for, and the way it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) key: SocketKey,
    pub(crate) to: SocketAddr,
    pub(crate) from: Option<IpAddr>,
    pub(crate) interface: u32,
}

/// A signed response.
pub(crate) type Signed = (Vec<u8>, Client);

/// The service. It is connected to when there is something to sign.
#[derive(Debug)]
pub(crate) struct SigningService {
    path: PathBuf,
    stream: Option<UnixStream>,
    talk: Signing<Client>,
    /// That it cannot be reached was logged, and nothing was signed since.
    is_told: bool,
}

impl SigningService {
    /// The service whose socket is in a directory.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join("socket"),
            stream: None,
            talk: Signing::default(),
            is_told: false,
        }
    }

    /// Has a response signed. Without service, or when too many wait, it is dropped.
    pub(crate) fn push(
        &mut self,
        packet: &[u8],
        key_id: u32,
        client: Client,
        now: MonoTime,
        logger: &mut Logger,
    ) {
        if self.stream.is_none() {
            match Socket::unix_stream(self.path.as_os_str().as_bytes()) {
                Ok(stream) => self.stream = Some(stream),
                Err(error) => {
                    if !std::mem::replace(&mut self.is_told, true) {
                        logger.error(format_args!(
                            "Could not connect to signd socket {} : {}",
                            self.path.display(),
                            error_text(&error)
                        ));
                    }
                    return;
                }
            }
        }
        if !self.talk.push(packet, key_id, client, now) {
            logger.debug(format_args!("No room to sign a response to {}", client.to));
        }
    }

    /// What to wait for: the stream, and whether for room to write.
    pub(crate) fn descriptor(&self) -> Option<(BorrowedFd<'_>, bool)> {
        let stream = self.stream.as_ref()?;
        Some((stream.as_fd(), !self.talk.to_write().is_empty()))
    }

    /// When [`Self::advance`] is due even if nothing comes.
    pub(crate) const fn deadline(&self) -> Option<MonoTime> {
        self.talk.deadline()
    }

    /// Writes and reads what can be without waiting, and gives what was signed. A service that
    /// went away, talks nonsense or does not answer is left, and what waited for it dropped.
    pub(crate) fn advance(&mut self, now: MonoTime, logger: &mut Logger) -> Vec<Signed> {
        let mut signed = Vec::new();
        let is_late = self.talk.deadline().is_some_and(|at| at <= now);
        if self.converse(&mut signed, now).is_err() || (is_late && signed.is_empty()) {
            logger.debug("Signing service lost");
            self.stream = None;
            self.talk.reset();
        }
        if !signed.is_empty() {
            self.is_told = false;
        }
        signed
    }

    fn converse(&mut self, signed: &mut Vec<Signed>, now: MonoTime) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let broken = |_| io::Error::from(ErrorKind::InvalidData);
        let mut buffer = [0; 2048];
        loop {
            let mut progress = false;
            while !self.talk.to_write().is_empty() {
                match stream.write(self.talk.to_write()) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(len) => self.talk.wrote(len),
                    Err(error) if is_temporary(&error) => break,
                    Err(error) => return Err(error),
                }
                progress = true;
            }
            let len = match stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if is_temporary(&error) => 0,
                Err(error) => return Err(error),
            };
            progress |= len > 0;
            let mut bytes = buffer.get(..len).unwrap_or_default();
            while let Some(one) = self.talk.read(bytes, now).map_err(broken)? {
                signed.push(one);
                bytes = &[];
            }
            if !progress {
                return Ok(());
            }
        }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::testing::Scratch;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;
    use timewright_time::Seconds;

    fn client(port: u16) -> Client {
        Client {
            key: SocketKey(1),
            to: SocketAddr::from(([192, 0, 2, 1], port)),
            from: None,
            interface: 0,
        }
    }

    fn at(s: f64) -> MonoTime {
        MonoTime::ZERO + Seconds(s)
    }

    /// A service that signs so many responses, with its packet id in every byte, then goes away.
    fn serve(listener: UnixListener, count: usize) -> std::thread::JoinHandle<()> {
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..count {
                let mut request = [0; 68];
                stream.read_exact(&mut request).unwrap();
                let mut reply = vec![0, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0];
                reply.extend(&request[12..14]);
                reply.extend(&request[20..]);
                reply.extend(&request[16..20]);
                reply.extend([request[13]; 16]);
                stream.write_all(&reply).unwrap();
            }
        })
    }

    fn wait(service: &mut SigningService, count: usize) -> Vec<Signed> {
        let mut signed = Vec::new();
        for _ in 0..1000 {
            signed.extend(service.advance(at(1.5), &mut Logger::early()));
            if signed.len() >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        signed
    }

    #[test]
    fn responses_are_signed_one_by_one() {
        let scratch = Scratch::new();
        let listener = UnixListener::bind(scratch.path("socket")).unwrap();
        let thread = serve(listener, 3);
        let mut service = SigningService::new(scratch.dir());
        for port in 1..=3 {
            let response = [port; 48];
            let client = client(port.into());
            service.push(
                &response,
                0x0102_0304,
                client,
                at(1.0),
                &mut Logger::early(),
            );
        }
        let signed = wait(&mut service, 3);
        thread.join().unwrap();
        let found: Vec<(u16, usize)> = signed
            .iter()
            .map(|(packet, client)| (client.to.port(), packet.len()))
            .collect();
        assert_eq!(found, [(1, 68), (2, 68), (3, 68)]);
        assert_eq!(signed[2].0[48..52], [1, 2, 3, 4]);
        // It has gone, and is connected to again.
        for _ in 0..100 {
            service.advance(at(1.6), &mut Logger::early());
            if service.descriptor().is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(service.descriptor().is_none());
        std::fs::remove_file(scratch.path("socket")).unwrap();
        let listener = UnixListener::bind(scratch.path("socket")).unwrap();
        let thread = serve(listener, 1);
        service.push(&[9; 48], 1, client(9), at(2.0), &mut Logger::early());
        assert_eq!(wait(&mut service, 1).len(), 1);
        thread.join().unwrap();
    }

    #[test]
    fn a_service_that_does_not_answer_is_left() {
        let scratch = Scratch::new();
        let _listener = UnixListener::bind(scratch.path("socket")).unwrap();
        let mut service = SigningService::new(scratch.dir());
        service.push(&[9; 48], 1, client(9), at(1.0), &mut Logger::early());
        assert_eq!(service.deadline(), Some(at(3.0)));
        assert!(service.advance(at(2.9), &mut Logger::early()).is_empty());
        assert!(service.descriptor().is_some());
        assert!(service.advance(at(3.0), &mut Logger::early()).is_empty());
        assert!(service.descriptor().is_none());
        assert_eq!(service.deadline(), None);
    }

    #[test]
    fn without_a_service_nothing_waits() {
        let scratch = Scratch::new();
        let mut service = SigningService::new(scratch.dir());
        service.push(&[9; 48], 1, client(9), at(1.0), &mut Logger::early());
        assert!(service.is_told && service.descriptor().is_none());
        assert_eq!(service.deadline(), None);
    }
}
