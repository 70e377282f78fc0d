//! Writing archives in the format `newc`, which the kernel unpacks as its first root file system.
//!
//! Several archives in a row are one: files of the later replace those of the earlier.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const TYPE: u32 = 0o170_000;

/// An archive being written.
pub(super) struct Archive<W> {
    to: W,
    /// Bytes written, for padding.
    len: u64,
    /// Number of the next member; equal numbers would be hard links.
    inode: u32,
}

struct Member<'a> {
    name: &'a OsStr,
    mode: u32,
    uid: u32,
    gid: u32,
    /// Major and minor number of a device.
    device: (u32, u32),
    content: &'a [u8],
}

impl<'a> Member<'a> {
    /// A member owned by root.
    const fn new(name: &'a OsStr, mode: u32, content: &'a [u8]) -> Self {
        Self {
            name,
            mode,
            uid: 0,
            gid: 0,
            device: (0, 0),
            content,
        }
    }
}

impl<W: Write> Archive<W> {
    pub(super) const fn new(to: W) -> Self {
        Self {
            to,
            len: 0,
            inode: 1,
        }
    }

    /// Adds a directory of root's.
    pub(super) fn directory(&mut self, name: &str) -> io::Result<()> {
        self.add(&Member::new(name.as_ref(), DIRECTORY | 0o755, &[]))
    }

    /// Adds a regular file of root's with the permissions `mode`.
    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.add(&Member::new(name.as_ref(), REGULAR | mode, content))
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, name: &str, target: &str) -> io::Result<()> {
        self.add(&Member::new(
            name.as_ref(),
            SYMLINK | 0o777,
            target.as_bytes(),
        ))
    }

    /// Adds the console, which the kernel opens for the first process.
    pub(super) fn console(&mut self) -> io::Result<()> {
        self.add(&Member {
            device: (5, 1),
            ..Member::new("dev/console".as_ref(), CHARACTER_DEVICE | 0o600, &[])
        })
    }

    /// Adds what is in `root` and below it, with owners and permissions, but for the directories
    /// whose names from there `skip` tells. Other than files, directories and links is left out.
    pub(super) fn tree(&mut self, root: &Path, skip: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        self.subtree(root, root, skip)
    }

    fn subtree(
        &mut self,
        root: &Path,
        directory: &Path,
        skip: &dyn Fn(&Path) -> bool,
    ) -> io::Result<()> {
        let mut paths: Vec<_> = fs::read_dir(directory)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        paths.sort();
        for path in paths {
            let name = path.strip_prefix(root).map_err(io::Error::other)?;
            let metadata = fs::symlink_metadata(&path)?;
            let kind = metadata.mode() & TYPE;
            if skip(name) {
                continue;
            }
            let content = match kind {
                REGULAR => fs::read(&path)?,
                SYMLINK => fs::read_link(&path)?.as_os_str().as_bytes().to_vec(),
                DIRECTORY => Vec::new(),
                _ => continue,
            };
            self.add(&Member {
                uid: metadata.uid(),
                gid: metadata.gid(),
                ..Member::new(name.as_os_str(), metadata.mode(), &content)
            })?;
            if kind == DIRECTORY {
                self.subtree(root, &path, skip)?;
            }
        }
        Ok(())
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.inode = 0;
        self.add(&Member::new("TRAILER!!!".as_ref(), 0, &[]))?;
        self.to.flush()
    }

    fn add(&mut self, member: &Member<'_>) -> io::Result<()> {
        let too_long = || io::Error::other(format!("{} is too long", member.name.display()));
        let size = u32::try_from(member.content.len()).map_err(|_| too_long())?;
        let name_len = u32::try_from(member.name.len() + 1).map_err(|_| too_long())?;
        let links = if member.mode & TYPE == DIRECTORY {
            2
        } else {
            1
        };
        // inode, mode, owner, group, links, time, size, device the file is on (two numbers),
        // device it is (two numbers), length of the name, check sum (none)
        let fields = [
            self.inode,
            member.mode,
            member.uid,
            member.gid,
            links,
            0,
            size,
            0,
            0,
            member.device.0,
            member.device.1,
            name_len,
            0,
        ];
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        self.write(header.as_bytes())?;
        self.write(member.name.as_bytes())?;
        self.write(&[0])?;
        self.pad()?;
        self.write(member.content)?;
        self.pad()?;
        self.inode += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len() as u64;
        self.to.write_all(bytes)
    }

    fn pad(&mut self) -> io::Result<()> {
        while !self.len.is_multiple_of(4) {
            self.write(&[0])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(fill: impl FnOnce(&mut Archive<&mut Vec<u8>>) -> io::Result<()>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        fill(&mut archive).unwrap();
        archive.finish().unwrap();
        bytes
    }

    #[test]
    fn a_member_is_a_header_a_name_and_content_each_padded() {
        let bytes = archive(|archive| archive.file("a", 0o644, b"hello"));
        let text = String::from_utf8_lossy(&bytes);
        let header = format!(
            "070701{:08x}{:08x}{}{:08x}{:08x}{:08x}{}{:08x}{:08x}",
            1,
            0o100_644,
            "00000000".repeat(2),
            1,
            0,
            5,
            "00000000".repeat(4),
            2,
            0
        );
        assert_eq!(header.len(), 110);
        assert!(text.starts_with(&header), "{text}");
        assert_eq!(&bytes[110..120], b"a\0hello\0\0\0");
        assert!(bytes[120..].starts_with(b"070701"));
        assert!(bytes.ends_with(b"TRAILER!!!\0\0\0\0"));
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn devices_and_links_are_told_by_their_mode() {
        let bytes = archive(|archive| {
            archive.console()?;
            archive.link("sbin", "usr/sbin")
        });
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(&format!(
            "{:08x}{:08x}{:08x}",
            5,
            1,
            "dev/console".len() + 1
        )));
        assert!(text.contains("sbin\0\0usr/sbin"));
    }

    #[test]
    fn trees_are_taken_with_their_modes_and_without_what_is_skipped() {
        let bytes = archive(|archive| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            archive.tree(root, &|name| name == Path::new("src/vm"))
        });
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("src/main.rs\0") && text.contains("name = \"xtask\""));
        assert!(!text.contains("src/vm/cpio.rs\0"));
    }
}
